//! What was made anew and is not in the audit log yet.
//!
//! ```text
//! <dir>/store.remade   one line of JSON for each time; the file is removed when all is in the log
//! ```
//!
//! Whoever opens the store writes it to the log: what an entry says is not known here. The file is written before
//! anything takes the place of anything else, so that nothing is made anew of which nobody hears. Nothing vouches for
//! it: whoever may write the directory may write it. So it is bounded, and whoever tells of it says where it is from.
//!
//! That a state was accepted which somebody else may have written must reach the log whatever becomes of files. So it
//! stands in the state itself, under the imprint that the state gets by it, and goes in the batch by which the log says it.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use attorn_core::Digest;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::boot::replace;
use crate::commit::Store;
use crate::error::{OpenError, ReadError, StorageError};
use crate::files::{open_regular, sync_dir, with_way_out};
use crate::head::Head;
use crate::integrity::Integrity;
use crate::key::Key;
use crate::places::{Places, at};
use crate::records::json;
use crate::redo::Write;
use crate::repair::{causes, free_name};
use crate::trees::{Stored, TreeName, Trees};

/// More are never kept. The oldest go first.
const KEPT: usize = 16;
/// How long what is said of a problem may be. What is longer is cut off, and says so.
const PROBLEM_BYTES_MAX: usize = 4 << 10;
/// No file that was written here is longer, however much of it is escaped.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What to do where the file is not what was written.
const WAY_OUT: &str = "`attorn repair` moves it aside, while no server runs, and the log says so";
const CUT_OFF: &str = " … (cut off)";

/// What was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The engine's files.
    Store,
    /// The journal.
    Journal,
    /// Files with checkpoints of the log, which are not the store's.
    Published,
    /// What it was is not known any more: the file that said so was not what was written.
    Unknown,
}

/// That something was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// What.
    pub part: Part,
    /// Whether somebody asked for it; else the store did it when it was opened.
    pub by_hand: bool,
    /// What was wrong.
    pub problem: String,
    /// How many batches there were.
    pub version: u64,
    /// How many entries.
    pub entries: u64,
    /// Over all that the engine held then.
    pub digest: Digest,
    /// Where it stands.
    pub said_by: SaidBy,
}

/// Where it stands that something was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidBy {
    /// In a file, for which nothing vouches.
    File,
    /// In the state, for which the imprint does.
    State,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RemadeWire {
    part: Part,
    by_hand: bool,
    problem: String,
    version: u64,
    entries: u64,
    digest: String,
}

impl Remade {
    pub(crate) fn new(part: Part, by_hand: bool, problem: &str, integrity: &Integrity) -> Self {
        let Integrity { version, entries, digest, .. } = *integrity;
        Self { part, by_hand, problem: bounded(problem), version, entries, digest, said_by: SaidBy::File }
    }
}

impl Store {
    /// What was made anew and is not in the log yet: what stands in the state, and then what stands in the file, the oldest
    /// first.
    pub fn remade(&self) -> Result<Vec<Remade>, OpenError> {
        let mut all = accepted(&self.shared.trees)?;
        all.extend(read(&self.places)?);
        Ok(all)
    }

    /// Let the batch by which the log says all that was made anew take it out of the state. What stands in the file is
    /// removed when that has happened: see [`Self::remade_is_said`].
    pub fn say_remade(&self, batch: &mut Batch) -> Result<(), OpenError> {
        let key = Key::accepted_states();
        if self.shared.trees.raw(&key)?.is_some() {
            batch.delete.push(key);
        }
        Ok(())
    }

    /// Whether a file tells of more than the store holds: then somebody else wrote it, or it is of another epoch.
    ///
    /// # Errors
    ///
    /// As [`Self::log_head`].
    pub fn is_beyond(&self, remade: &Remade) -> Result<bool, ReadError> {
        let size = self.log_head()?.size;
        let is_more = remade.version > self.shared.applied().version || remade.entries > size;
        Ok(remade.said_by == SaidBy::File && is_more)
    }

    /// Keep for the log that files with checkpoints are about to be replaced, because somebody asked for it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn note_published(&self, problem: &str, integrity: &Integrity) -> Result<(), OpenError> {
        note(&self.places, Remade::new(Part::Published, true, problem, integrity))
    }

    /// Move the file aside that says what was made anew, if it is not what was written: no server starts with it. What was
    /// wrong with it, and where it is now, comes back.
    ///
    /// # Errors
    ///
    /// When somebody uses the store, or it cannot be read or moved.
    pub fn set_remade_aside(dir: &Path) -> Result<Option<(String, PathBuf)>, OpenError> {
        let places = Places::of(dir);
        match read(&places) {
            Err(error) if !error.is_altered() => return Err(error),
            Err(_) => {}
            Ok(_) => return Ok(None),
        }
        places.check_links()?;
        let _lock = places.lock()?;
        // Whoever held it may have written it meanwhile.
        let Err(error) = read(&places) else { return Ok(None) };
        let path = &places.remade;
        let aside = free_name(&path.with_extension("remade.aside")).map_err(at(path))?;
        fs::rename(path, &aside).and_then(|()| sync_dir(&places.dir)).map_err(at(path))?;
        Ok(Some((causes(&error), aside)))
    }

    /// Keep for the log that what was made anew before is not known, because the file that said so was moved aside.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn note_unknown(&self, problem: &str, integrity: &Integrity) -> Result<(), OpenError> {
        note(&self.places, Remade::new(Part::Unknown, true, problem, integrity))
    }

    /// All of it is in the log: the file goes.
    pub fn remade_is_said(&self) -> Result<(), OpenError> {
        let path = &self.places.remade;
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_dir(&self.places.dir)).map_err(at(path)),
        }
    }
}

/// Keep for the log that something is about to be replaced.
pub(crate) fn note(places: &Places, remade: Remade) -> Result<(), OpenError> {
    let mut all = read(places)?;
    all.push(remade);
    replace(&places.remade, &places.dir, &text(all)).map_err(at(&places.remade))
}

/// The write that says in the state, at this head, that it was accepted; with what was accepted before and is not in the
/// log yet.
pub(crate) fn accepted_write(trees: &Trees, head: &Head, remade: Remade) -> Write {
    // Of a state that somebody else wrote it may be anything: that keeps nobody from accepting it.
    let mut all = accepted(trees).unwrap_or_default();
    all.push(remade);
    let stored = Stored { version: head.version, entries: head.size..head.size, value: text(all) };
    let key = Key::accepted_states().as_bytes().to_vec();
    Write { tree: TreeName::State, key, value: Some(stored.to_bytes()) }
}

/// What stands in the state.
fn accepted(trees: &Trees) -> Result<Vec<Remade>, OpenError> {
    let key = Key::accepted_states();
    let invalid = || OpenError::Inconsistent(format!("the value of `{key}` is not what is written there"));
    let Some(bytes) = trees.raw(&key)? else { return Ok(Vec::new()) };
    let value = Stored::parse(&key, &bytes).map_err(|_| invalid())?.value;
    let text = String::from_utf8(value).map_err(|_| invalid())?;
    let parsed = text.lines().map(|line| Some(Remade { said_by: SaidBy::State, ..parse(line)? }));
    parsed.collect::<Option<Vec<_>>>().ok_or_else(invalid)
}

fn text(all: Vec<Remade>) -> Vec<u8> {
    let skipped = all.len().saturating_sub(KEPT);
    let mut text = Vec::new();
    for Remade { part, by_hand, problem, version, entries, digest, said_by: _ } in all.into_iter().skip(skipped) {
        text.extend(json(&RemadeWire { part, by_hand, problem, version, entries, digest: digest.to_string() }));
        text.push(b'\n');
    }
    text
}

fn read(places: &Places) -> Result<Vec<Remade>, OpenError> {
    let path = &places.remade;
    let file = match open_regular(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(|error| at(path)(with_way_out(error, WAY_OUT)))?,
    };
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(at(path))?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(broken(path, &"it is longer than any that is written"));
    }
    let text = String::from_utf8(bytes).map_err(|_| broken(path, &"it is no text"))?;
    let parsed =
        text.lines().map(|line| parse(line).ok_or_else(|| broken(path, &"a line of it is not what is written")));
    let all = parsed.collect::<Result<Vec<_>, _>>()?;
    let skipped = all.len().saturating_sub(KEPT);
    Ok(all.into_iter().skip(skipped).collect())
}

fn parse(line: &str) -> Option<Remade> {
    let RemadeWire { part, by_hand, problem, version, entries, digest } = serde_json::from_str(line).ok()?;
    let (problem, digest, said_by) = (bounded(&problem), digest.parse().ok()?, SaidBy::File);
    Some(Remade { part, by_hand, problem, version, entries, digest, said_by })
}

/// What is too long for an entry of the log is cut off.
fn bounded(problem: &str) -> String {
    if problem.len() <= PROBLEM_BYTES_MAX {
        return problem.to_owned();
    }
    let end = problem.floor_char_boundary(PROBLEM_BYTES_MAX - CUT_OFF.len());
    format!("{}{CUT_OFF}", &problem[..end])
}

fn broken(path: &Path, why: &dyn std::fmt::Display) -> OpenError {
    let path = path.display();
    OpenError::Storage(StorageError::new(&format_args!(
        "`{path}` cannot be relied on: {why}; it says what was made anew and is not in the log yet: {WAY_OUT}"
    )))
}

#[cfg(test)]
#[path = "remade_tests.rs"]
mod tests;
