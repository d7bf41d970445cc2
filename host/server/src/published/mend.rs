//! Mending what is damaged of an epoch's files with checkpoints, where no server runs.
//!
//! A checkpoint is made anew only where nothing says that the log had more entries than it has, or others: not the
//! high-water file, not a checkpoint that is whole, and not the damaged one itself, for what its text is worth. Else
//! whoever cuts the log could have a repair sign what is left. What was there is moved aside and stays, and the audit log
//! says what was made anew ([`attorn_store::Part::Published`]).
//!
//! Of the history stays what can be relied on. Earlier checkpoints are not signed anew: nobody knows which there were.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use attorn_log::CheckpointSigner;
use attorn_log::segments::{SEGMENTS, Span, segment_name};
use attorn_store::{Integrity, Store};

use super::damage::{self, BadFile, Found, Which};
use super::error::CONTRADICTS_HELP;
use super::files;
use super::segments::Segments;
use super::{aside, continued, directory};
use crate::config::Config;
use crate::http::failure::causes;
use crate::{high_water, most_seen};

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// What was wrong with each file that was made anew, and where it is now.
    pub(crate) anew: Vec<String>,
    /// What is wrong with each that was not, and why it was not.
    pub(crate) still_bad: Vec<String>,
    /// Where the files are whole: why the server does not start with them all the same.
    pub(crate) refused: Option<Refused>,
}

/// Why the server refuses to go on with a log that fits together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What says so, and what it says.
    pub why: String,
    /// What to do about it.
    pub help: Option<&'static str>,
}

/// Look at the files of the epoch that the log is in, and make those anew that are damaged, where that is honest.
pub(crate) async fn mend(
    config: &Config,
    (store, integrity): (&Store, &Integrity),
    signer: &CheckpointSigner,
) -> Result<Mended, String> {
    let (dir, verifier) = (directory(&config.data_dir, &signer.verifier()), signer.verifier());
    let size = store.log_head().map_err(|error| causes(&error))?.size;
    let found = damage::look(&dir, &verifier, Some(size));
    let contradicted = contradicts(config, store, signer, &found, size).await;
    if found.bad.is_empty() {
        return Ok(Mended { refused: contradicted, ..Mended::default() });
    }
    if let Some(Refused { why, .. }) = contradicted {
        let still_bad = |bad: &BadFile| {
            format!(
                "{bad}; it is not made anew: {why}; put the right data directory back, and if there is none, `attorn restore` \
                 a backup"
            )
        };
        let still_bad = found.bad.iter().map(still_bad).collect();
        return Ok(Mended { still_bad, ..Mended::default() });
    }
    let mut mended = Vec::new();
    for bad in &found.bad {
        let aside = aside::name_for(&bad.path).map_err(|error| failed(&bad.path, &error))?;
        mended.push(match &aside {
            Some(aside) => format!("{bad}; it was moved to `{}`, and {}", aside.display(), said(bad, size)),
            None => format!("{bad}; {}", said(bad, size)),
        });
    }
    let unseen = high_water::read(&config.high_water).ok().flatten().is_none();
    let problem =
        format!("{}{}", mended.join("; "), if unseen { "; no high-water file told how long the log was" } else { "" });
    // Before anything takes the place of anything else.
    store.note_published(&problem, integrity).map_err(|error| causes(&error))?;
    for bad in &found.bad {
        set_aside(&dir, bad).map_err(|error| failed(&bad.path, &error))?;
    }
    sign_anew(&dir, &found, (store, signer)).map_err(|error| failed(&dir, &error))?;
    Ok(Mended { anew: mended, ..Mended::default() })
}

pub(super) fn failed(path: &Path, error: &io::Error) -> String {
    format!("`{}` cannot be made anew: {error}", path.display())
}

/// What becomes of a file.
fn said(bad: &BadFile, size: u64) -> String {
    match &bad.which {
        Which::Newest { .. } => format!("a new one was signed over the {size} entries that the log has"),
        Which::Witnessed { .. } => "witnesses are asked anew when the server runs".to_owned(),
        Which::Segment { whole, .. } if whole.is_empty() => "the history goes on without it".to_owned(),
        Which::Segment { .. } => "the history has what was whole in it".to_owned(),
        Which::Stray => "nothing takes its place".to_owned(),
    }
}

/// What says that the log was longer, or another.
async fn contradicts(
    config: &Config,
    store: &Store,
    signer: &CheckpointSigner,
    found: &Found,
    size: u64,
) -> Option<Refused> {
    if let Err(error) = most_seen::check(config, store, signer).await {
        return Some(Refused { why: causes(&error), help: error.help() });
    }
    if let Some(why) = found.whole().find_map(|checkpoint| continued(checkpoint, store).err()) {
        return Some(Refused { why: format!("of the checkpoints that are whole {why}"), help: Some(CONTRADICTS_HELP) });
    }
    // A text that nobody vouches for makes nothing good, but it can keep something from being signed.
    let said = found.bad.iter().filter_map(|bad| match bad.which {
        Which::Newest { said } | Which::Witnessed { said } => said,
        Which::Segment { .. } | Which::Stray => None,
    });
    let most = said.max().filter(|most| *most > size)?;
    let why = format!(
        "its text counts {most} entries, and the log has {size}: entries may be lost, or the store is an older copy"
    );
    Some(Refused { why, help: None })
}

/// Have a damaged file aside. A segment is replaced at once with what was whole in it; the newest checkpoint stays until
/// another is signed, so that whoever is cut off in between finds it damaged the next time, and not gone.
pub(super) fn set_aside(dir: &Path, bad: &BadFile) -> io::Result<()> {
    match &bad.which {
        Which::Newest { .. } => aside::keep(&bad.path)?,
        Which::Segment { number, .. } if bad.path == dir.join(segment_name(*number)) => aside::keep(&bad.path)?,
        Which::Witnessed { .. } | Which::Segment { .. } | Which::Stray => aside::move_away(&bad.path)?,
    }
    if let Which::Segment { number, whole } = &bad.which {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join(SEGMENTS))?;
        files::put_segment(dir, *number, whole)?;
    }
    files::sync_dir(dir)
}

/// Sign what has to be: the newest, if it was damaged, and for the history the one that it lacks.
fn sign_anew(dir: &Path, found: &Found, (store, signer): (&Store, &CheckpointSigner)) -> io::Result<()> {
    let other = |error: &dyn std::error::Error| io::Error::other(causes(error));
    let verifier = signer.verifier();
    let mut segments = Segments::open(dir, &verifier, Span::USUAL).map_err(io::Error::other)?;
    let last = segments.last().map_or(0, |last| last.checkpoint().size);
    if found.bad.iter().any(|bad| matches!(bad.which, Which::Newest { .. })) {
        let size = store.log_head().map_err(|error| other(&error))?.size;
        let root = store.root(size).map_err(|error| other(&error))?;
        let checkpoint = signer.sign(size, root);
        return files::put_newest(dir, &mut segments, &checkpoint, last.min(size));
    }
    match &found.newest {
        Some(newest) if Segments::takes(newest.checkpoint().size, last) => {
            let plain = signer.sign(newest.checkpoint().size, newest.checkpoint().root);
            let _ = segments.add(&plain)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "mend_tests.rs"]
mod tests;
