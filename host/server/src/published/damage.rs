//! Which of an epoch's files with checkpoints are damaged or missing: the newest, the newest that witnesses cosigned, and
//! the history. Each is looked at, whatever the others are.
//!
//! Nothing is changed here ([`super::mend`] does that), and nothing is compared with the log: a checkpoint that is signed and
//! counts more than the log has is not damaged, but says that entries are lost.

use std::fmt;
use std::path::{Path, PathBuf};

use attorn_log::segments::{SEGMENT_BYTES_MAX, SEGMENTS, SegmentError, Span, read_segment, segment_name};
use attorn_log::{CheckpointVerifier, SignedCheckpoint};
use attorn_store::is_there;

use super::aside;
use super::files::{self, NEWEST, WITNESSED};
use super::segments::{Segments, listed};
use crate::http::failure::causes;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(super) newest: Option<SignedCheckpoint>,
    pub(super) witnessed: Option<SignedCheckpoint>,
    /// The last of the history.
    pub(super) last: Option<SignedCheckpoint>,
    pub(crate) bad: Vec<BadFile>,
}

/// A file that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadFile {
    pub(super) path: PathBuf,
    pub(super) problem: String,
    pub(super) which: Which,
}

/// Which file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    /// One checkpoint; how many entries it counts, if it still says that. Nobody vouches for it.
    Newest {
        said: Option<u64>,
    },
    Witnessed {
        said: Option<u64>,
    },
    /// Of the history, with all that can be relied on in it.
    Segment {
        number: u64,
        whole: String,
    },
    /// What has no place here, so that nothing takes it.
    Stray,
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path.display(), self.problem)
    }
}

impl Found {
    /// All checkpoints that can be relied on and that the log has to continue.
    pub(super) fn whole(&self) -> impl Iterator<Item = &SignedCheckpoint> {
        self.newest.iter().chain(&self.witnessed).chain(&self.last)
    }

    /// The one that counts most entries; of two that count as many, the one with cosignatures.
    pub(crate) fn head(&self) -> Option<&SignedCheckpoint> {
        let all = self.last.iter().chain(&self.newest).chain(&self.witnessed);
        all.max_by_key(|one| one.checkpoint().size)
    }

    fn size(&self) -> u64 {
        self.head().map_or(0, |head| head.checkpoint().size)
    }
}

/// Look at the files of an epoch in this directory, whose log has so many entries, if that is known.
pub(crate) fn look(dir: &Path, verifier: &CheckpointVerifier, size: Option<u64>) -> Found {
    let mut found = Found::default();
    match files::newest(dir, verifier) {
        Ok(newest) => found.newest = newest,
        Err(problem) => found.bad.push(checkpoint_bad(dir, NEWEST, &problem, |said| Which::Newest { said })),
    }
    match files::witnessed(dir, verifier) {
        Ok(witnessed) => found.witnessed = witnessed,
        Err(problem) => found.bad.push(checkpoint_bad(dir, WITNESSED, &problem, |said| Which::Witnessed { said })),
    }
    look_at_history(dir, verifier, size, &mut found);
    found
}

fn look_at_history(dir: &Path, verifier: &CheckpointVerifier, size: Option<u64>, found: &mut Found) {
    let mut listed = match listed(dir) {
        Ok(listed) => listed,
        // A server that has signed nothing yet does not start with it either.
        Err(error) => {
            let (path, which) = (dir.join(SEGMENTS), Which::Segment { number: 0, whole: String::new() });
            found.bad.push(BadFile { path, problem: format!("cannot be read: {error}"), which });
            return;
        }
    };
    if found.bad.is_empty() && found.head().is_none() {
        return;
    }
    let due = Span::USUAL.segment_of(size.unwrap_or(0).max(found.size()));
    // What was not begun yet is not missing: a new segment is made before the checkpoint that is the first in it.
    let begun = Span::USUAL.segment_of(found.size());
    let missing: Vec<u64> = (0..=begun).filter(|number| !listed.contains(number)).collect();
    for number in missing {
        found.bad.push(segment_bad(dir, number, "is missing".to_owned(), String::new()));
    }
    if size.is_some() {
        let problem = "stands for entries that the log does not have";
        let stray =
            |number| BadFile { path: dir.join(segment_name(number)), problem: problem.to_owned(), which: Which::Stray };
        found.bad.extend(listed.split_off(&(due + 1)).into_iter().map(stray));
    }
    let last = listed.last().copied();
    for number in listed {
        look_at(dir, (number, last == Some(number)), verifier, found);
    }
    if let (Some(number), true) = (last, ends_early(found))
        && !has(found, number)
    {
        let problem = "ends before the newest checkpoint: its end is damaged or missing".to_owned();
        let whole = whole_of(dir, number, verifier);
        found.bad.push(segment_bad(dir, number, problem, whole));
    }
}

/// Whether the history lacks the checkpoint that is written to it before the newest takes its place.
fn ends_early(found: &Found) -> bool {
    let last = found.last.as_ref().map_or(0, |last| last.checkpoint().size);
    found.newest.as_ref().is_some_and(|newest| Segments::takes(newest.checkpoint().size, last))
}

fn has(found: &Found, number: u64) -> bool {
    found.bad.iter().any(|bad| matches!(bad.which, Which::Segment { number: other, .. } if other == number))
}

/// One of the two files of a checkpoint each. Where it is not there any more, what lies aside says how many entries it counted.
fn checkpoint_bad(dir: &Path, name: &str, problem: &str, which: impl FnOnce(Option<u64>) -> Which) -> BadFile {
    let is_there = is_there(&dir.join(name)).unwrap_or(true);
    let said = said_in(dir, name).or_else(|| {
        if is_there {
            return None;
        }
        let asides = aside::all(&dir.join(name)).unwrap_or_default();
        asides.iter().filter_map(|aside| said_in(dir, aside.file_name()?.to_str()?)).max()
    });
    let prefix = format!("`{name}`: ");
    let problem = problem.strip_prefix(&prefix).unwrap_or(problem);
    BadFile { path: dir.join(name), problem: format!("is no checkpoint of this log: {problem}"), which: which(said) }
}

/// How many entries the text of a file counts.
fn said_in(dir: &Path, name: &str) -> Option<u64> {
    let text = files::bytes(dir, name, SignedCheckpoint::NOTE_BYTES_MAX).ok().flatten()?;
    String::from_utf8_lossy(&text).lines().nth(1)?.parse().ok()
}

fn segment_bad(dir: &Path, number: u64, problem: String, whole: String) -> BadFile {
    BadFile { path: dir.join(segment_name(number)), problem, which: Which::Segment { number, whole } }
}

fn look_at(dir: &Path, (number, is_last): (u64, bool), verifier: &CheckpointVerifier, found: &mut Found) {
    let bytes = match files::bytes(dir, &segment_name(number), SEGMENT_BYTES_MAX) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => {
            found.bad.push(segment_bad(dir, number, format!("cannot be read: {error}"), String::new()));
            return;
        }
    };
    let (mut whole, mut problem) = (String::new(), None);
    let mut read = read_segment(&bytes, number, Span::USUAL, verifier).peekable();
    while let Some(one) = read.next() {
        match one {
            Ok((checkpoint, _)) => {
                whole.push_str(checkpoint.note());
                found.last = Some(checkpoint);
            }
            // The end of the last one can be half-written.
            Err(SegmentError::Checkpoint { .. }) if is_last && problem.is_none() && read.peek().is_none() => {}
            Err(error) => problem = problem.or_else(|| Some(format!("is damaged: {}", causes(&error)))),
        }
    }
    drop(read);
    if let Some(problem) = problem {
        found.bad.push(segment_bad(dir, number, problem, whole));
    }
}

/// What can be relied on in a segment.
pub(super) fn whole_of(dir: &Path, number: u64, verifier: &CheckpointVerifier) -> String {
    let bytes = files::bytes(dir, &segment_name(number), SEGMENT_BYTES_MAX).ok().flatten().unwrap_or_default();
    let read = read_segment(&bytes, number, Span::USUAL, verifier);
    read.filter_map(|one| Some(one.ok()?.0.note().to_owned())).collect()
}
