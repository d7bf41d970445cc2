//! Making the engine's files anew from the newest base copy and the journal.
//!
//! Nothing is invented and nothing is deleted: what is built is the state after the journal's last group, it is
//! walked from end to end before it takes its place, and the files that were there are moved aside. Where the
//! journal is damaged in a place that the engine has passed, and all after that is whole, the engine is what a new
//! journal is begun with. Where more of it is damaged there is no repair, for what it lost nobody has: then a
//! backup is what is left.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use attorn_log::LogId;

use crate::base::{self, Base, BaseError};
use crate::commit::Store;
use crate::error::{OpenError, StorageError};
use crate::files::{make_dir, sync_dir};
use crate::follower::Pace;
use crate::frame::StoreId;
use crate::integrity::{Integrity, IntegrityError, verify};
use crate::journal::{self, JournalError};
use crate::open::{begin_journal, head_of, open_whole, said};
use crate::places::{FORMAT, FORMAT_WITHOUT_JOURNAL, Places, at, exists, sync_files};
use crate::redo::Redo;
use crate::sealed::Sealed;
use crate::trees::Trees;

/// What a repair found and did.
#[derive(Debug)]
pub enum Repaired {
    /// Everything fits together; nothing was changed.
    Whole(Integrity),
    /// The engine's files were made anew.
    Rebuilt {
        /// What was wrong with them.
        problem: String,
        /// From a base copy of this version on.
        base: u64,
        /// What they hold now.
        integrity: Integrity,
        /// Where those are that were there, if any were.
        aside: Option<PathBuf>,
    },
    /// The journal was begun anew: it was damaged where the engine had read it already.
    NewJournal {
        /// What was wrong with it.
        problem: String,
        /// What the engine holds.
        integrity: Integrity,
        /// Where the old one is.
        aside: PathBuf,
    },
}

/// Why the engine's files could not be made anew.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The directory is no store's, or somebody uses it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal cannot be read.
    #[error("the journal cannot be relied on")]
    Journal(#[from] JournalError),
    /// A base copy cannot be read.
    #[error("the base copy cannot be relied on")]
    Base(#[from] BaseError),
    /// The engine could not take it.
    #[error("the engine could not take what there is")]
    Storage(#[from] StorageError),
    /// There is nothing to begin with.
    #[error("there is no base copy in `{}`", dir.display())]
    NoBase {
        /// Where one should be.
        dir: PathBuf,
    },
    /// Base copy and journal belong to different stores.
    #[error("the base copy and the journal belong to different stores")]
    OtherStore,
    /// It does not fit together even so.
    #[error("what base copy and journal come to does not fit together")]
    Integrity(#[from] IntegrityError),
}

impl Store {
    /// Walk a store that nobody has open, and make the engine's files anew if they cannot be relied on.
    pub fn repair(dir: &Path, log: &LogId) -> Result<Repaired, RepairError> {
        let places = Places::of(dir);
        let format = places.format()?;
        let _lock = places.lock()?;
        let problem = match examine(&places, log, format) {
            Ok(integrity) => return Ok(Repaired::Whole(integrity)),
            Err(RepairError::Open(error @ OpenError::OtherLog { .. })) => return Err(error.into()),
            // What the engine has and the journal lost would be lost for good, if the engine were replaced.
            Err(RepairError::Open(OpenError::Journal(
                error @ (JournalError::Damaged { .. } | JournalError::Hole { .. }),
            ))) => {
                let replace = || replace_journal(&places, &error);
                return catch_unwind(AssertUnwindSafe(replace)).unwrap_or_else(|_| Err(error.into()));
            }
            Err(RepairError::Open(OpenError::Journal(error))) => return Err(error.into()),
            Err(error) => causes(&error),
        };
        let new = places.dir.join("store.new");
        let (base, integrity) = rebuild(&places, log, &new)?;
        let aside = move_aside(&places.engine).map_err(at(&places.engine))?;
        fs::rename(&new, &places.engine).and_then(|()| sync_dir(&places.dir)).map_err(at(&places.engine))?;
        Ok(Repaired::Rebuilt { problem, base, integrity, aside })
    }
}

/// What is wrong, and all that led to it.
fn causes(error: &dyn std::error::Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Open it and walk it.
fn examine(places: &Places, log: &LogId, format: u32) -> Result<Integrity, RepairError> {
    let opened = open_whole(places, log, format, Pace::USUAL)?;
    let walk = || verify(&opened.trees, &opened.sealed, &opened.log, opened.head.version).map_err(RepairError::from);
    catch_unwind(AssertUnwindSafe(walk)).unwrap_or_else(|panic| Err(StorageError::new(&said(&*panic)).into()))
}

/// Build the engine's files in a directory of their own, from the newest base copy that can be read.
fn rebuild(places: &Places, log: &LogId, new: &Path) -> Result<(u64, Integrity), RepairError> {
    let mut failed = None;
    for base in base::all(&places.base).map_err(at(&places.base))?.into_iter().rev() {
        match build(places, &base, log, new) {
            Ok(integrity) => return Ok((base.version, integrity)),
            // An older copy needs more of the journal, and comes to the same.
            Err(error @ (RepairError::Base(_) | RepairError::OtherStore)) => {
                tracing::warn!(base = base.version, error = causes(&error), "a base copy cannot be used");
                failed.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(failed.unwrap_or_else(|| RepairError::NoBase { dir: places.base.clone() }))
}

/// Build the engine's files in an empty directory from a base copy and the journal after it, and walk them.
fn build(places: &Places, base: &Base, log: &LogId, new: &Path) -> Result<Integrity, RepairError> {
    if exists(new)? {
        fs::remove_dir_all(new).map_err(at(new))?;
    }
    make_dir(new).map_err(at(new))?;
    let trees = Trees::open(new)?;
    let store: StoreId = base::read(base, |writes| trees.apply(&writes).map_err(RepairError::from))?;
    let replayed = journal::replay(&places.journal, Some(store), base.version, |redo: Redo| {
        trees.apply(&redo.writes).map_err(RepairError::from)
    });
    let end = replayed.map_err(|error| match error {
        RepairError::Journal(JournalError::OtherStore { .. }) => RepairError::OtherStore,
        error => error,
    })?;
    let (name, _) = trees.head()?.ok_or(IntegrityError::Head)?;
    if name.id != *log {
        return Err(OpenError::OtherLog { expected: log.clone(), found: name.id }.into());
    }
    trees.flush()?;
    sync_files(new)?;
    Ok(verify(&trees, &Sealed::of(&places.log, name.epoch), &name, end.version)?)
}

/// Begin the journal anew with what the engine holds, if nothing is wrong after that.
fn replace_journal(places: &Places, error: &JournalError) -> Result<Repaired, RepairError> {
    let trees = Trees::open(&places.engine)?;
    let (name, head) = head_of(&trees)?;
    let refused = || OpenError::Inconsistent("it has no id".to_owned());
    let store = trees.store_id()?.ok_or_else(refused)?;
    let end = journal::replay_rest(&places.journal, store, head.version, |redo: Redo| {
        trees.apply(&redo.writes).map_err(RepairError::from)
    })?;
    if end.version < head.version {
        return Err(
            JournalError::Behind { dir: places.journal.clone(), end: end.version, version: head.version }.into()
        );
    }
    trees.flush()?;
    sync_files(&places.engine)?;
    let integrity = verify(&trees, &Sealed::of(&places.log, name.epoch), &name, end.version)?;
    // From here on the engine is all that counts, and whoever opens the store begins a journal.
    places.write_marker(FORMAT_WITHOUT_JOURNAL)?;
    let aside = move_aside(&places.journal).map_err(at(&places.journal))?;
    let aside = aside.ok_or_else(|| JournalError::Missing { dir: places.journal.clone(), due: head.version })?;
    move_aside(&places.base).map_err(at(&places.base))?;
    let head = head_of(&trees)?.1;
    begin_journal(places, &trees, &head, Pace::USUAL)?;
    places.write_marker(FORMAT)?;
    Ok(Repaired::NewJournal { problem: causes(error), integrity, aside })
}

/// Give a directory another name. Nothing in it is ever deleted.
fn move_aside(dir: &Path) -> std::io::Result<Option<PathBuf>> {
    if !dir.try_exists()? {
        return Ok(None);
    }
    let mut number = 1_u32;
    loop {
        let aside = dir.with_extension(format!("broken-{number}"));
        if !aside.try_exists()? {
            fs::rename(dir, &aside)?;
            return Ok(Some(aside));
        }
        number += 1;
    }
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
