//! Filing: the records of decisions whose entries are bundled go into plain files, and out of the engine.
//!
//! The bundler's thread does it, a bundle of entries at a time, after that was bundled. For each it
//!
//! 1. finds the decisions that the entries name, and those of their records that the engine has whole;
//! 2. writes the file as a bundle's is written: beside its place, synced, put there, the directories above it synced;
//! 3. reads it again, and puts into the engine where each record is, if that is still what was read.
//!
//! Nothing of 3 is in the journal, as with entries: a crash, a repair and a base copy leave any of these records whole
//! in the engine, where readers look first, and a file that has them already. How far it came is marked in the engine;
//! where that is made anew the mark goes, and all bundles are looked at once more. A file that is whole and has what is
//! to be filed is kept as it is: what was filed before stands in it, too.
//!
//! A record belongs to a bundle if it was written with an entry of it; one that was written once more stays in the
//! engine.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use attorn_core::DecisionId;
use attorn_log::Entry;
use serde::Deserialize;

use crate::bundled::{BUNDLE_ENTRIES, Bundled, InOrder, last_of};
use crate::bundler::{Bundler, Unbundled, write};
use crate::commit::Shared;
use crate::doubled::set_aside_and_say;
use crate::error::StorageError;
use crate::filed::{self, Filed, Places, digest_in};
use crate::files::is_of_the_process;
use crate::head::LogName;
use crate::key::Key;
use crate::steps::Step;
use crate::trees::{Stored, Trees};

/// How far the records of decisions are filed.
pub(crate) struct Filing {
    /// Those of all bundles before this one are.
    pub(crate) next: u64,
    /// The directory of the last file; all above it are synced.
    pub(crate) synced: Option<PathBuf>,
    /// The first whose records could not be filed in this run: the mark stays before it.
    pub(crate) left: Option<u64>,
    /// When it is tried again, after it failed.
    pub(crate) retry_at: Option<Instant>,
}

/// What an entry says about a decision. All else of it is not known here.
#[derive(Deserialize)]
struct Said {
    decision_id: Option<String>,
}

/// The records of a bundle.
pub(crate) struct Found {
    /// Those that the engine has whole: as they stand there, and taken apart.
    whole: BTreeMap<Key, (Vec<u8>, Stored)>,
    /// Whether there are others, of which the file is the only place.
    others: bool,
}

impl Bundler {
    /// File the records of the next bundle.
    pub(crate) fn file_next(&mut self) -> Result<(), StorageError> {
        let bundle = self.filing.next;
        match self.file(bundle) {
            Ok(()) => {}
            Err(Unbundled::Later(error)) => return Err(error),
            Err(Unbundled::Never(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the records of a bundle's decisions stay in the database until the next start");
                self.filing.left.get_or_insert(bundle);
            }
        }
        self.filing.next += 1;
        self.shared.filed.store(self.filing.next, Ordering::Relaxed);
        if let Err(error) = self.shared.bundled.note_filed(self.filing.left.unwrap_or(self.filing.next)) {
            tracing::warn!(%error, "of how many bundles the records are in files cannot be noted");
        }
        Ok(())
    }

    fn file(&mut self, bundle: u64) -> Result<(), Unbundled> {
        let (shared, epoch) = (Arc::clone(&self.shared), self.shared.log.epoch.0);
        let Shared { trees, records, .. } = &*shared;
        let found = find((trees, &shared.bundled, &shared.log), bundle)?;
        let mut places = Places::new();
        if !found.whole.is_empty() {
            let bytes = found.bytes(&shared, bundle)?;
            let path = records.path(epoch, bundle);
            let Self { steps, dir, filing, .. } = self;
            let named = |error| StorageError::new(&format_args!("`{}`: {error}", path.display()));
            let what = found.problem(records.file(epoch, bundle))?;
            steps.take(Step::File, &mut || {
                if let Some(what) = &what {
                    set_aside_and_say(&path, what).map_err(named)?;
                }
                write(dir, &mut filing.synced, &path, &bytes).map_err(named)
            })?;
            // Read again: what is not there as it was written leaves nothing.
            places = records.file(epoch, bundle)?.map(|(_, places)| places).unwrap_or_default();
            if !found.are_all_in(&places) {
                return Err(StorageError::new(&format_args!("`{}` is not what was written", path.display())).into());
            }
        }
        let left = self.filing.left;
        self.steps.take(Step::Shorten, &mut || {
            for (key, (raw, stored)) in &found.whole {
                if let Some(filed) = places.get(key) {
                    let short = Stored { value: filed.to_bytes(), ..stored.clone() };
                    trees.replace(key, raw, &short.to_bytes())?;
                }
            }
            trees.mark_filed(left.unwrap_or(bundle + 1))
        })?;
        Ok(())
    }
}

impl Found {
    /// Whether the engine has none of them whole.
    pub(crate) fn is_nothing(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whether there are others, of which the file is the only place.
    pub(crate) const fn has_others(&self) -> bool {
        self.others
    }

    /// A file with those that the engine has whole.
    pub(crate) fn put_together(&self) -> Vec<u8> {
        filed::put_together(self.whole.iter().map(|(key, (_, stored))| (key, stored.value.as_slice())))
    }

    /// What is wrong with the file that is there, if that is not what is written now.
    fn problem(&self, there: io::Result<Option<(Vec<u8>, Places)>>) -> Result<Option<String>, Unbundled> {
        match there {
            Ok(Some((_, places))) if self.are_all_in(&places) => Ok(None),
            Ok(_) => Ok(Some("it is not what was written".to_owned())),
            Err(error) if is_of_the_process(&error) => Err(Unbundled::Later(error.into())),
            Err(error) => Ok(Some(format!("it cannot be read: {error}"))),
        }
    }

    /// Whether all of them are at these places, as they are in the engine.
    pub(crate) fn are_all_in(&self, places: &Places) -> bool {
        let is_in = |(key, (_, stored)): (&Key, &(Vec<u8>, Stored))| {
            let place = places.get(key).and_then(|filed| digest_in(key, &filed.to_bytes()));
            place.is_some() && place == digest_in(key, &stored.value)
        };
        self.whole.iter().all(is_in)
    }

    /// What the file is to have.
    fn bytes(&self, shared: &Shared, bundle: u64) -> Result<Vec<u8>, Unbundled> {
        let there = shared.records.file(shared.log.epoch.0, bundle);
        match there {
            // It may not be on disk yet, and is written anew as it is.
            Ok(Some((bytes, places))) if self.are_all_in(&places) => return Ok(bytes),
            Err(error) if self.others => return Err(Unbundled::Later(error.into())),
            _ => {}
        }
        if self.others {
            let path = shared.records.path(shared.log.epoch.0, bundle);
            let text = format!(
                "`{}` is missing or not what was written, and has records that are nowhere else",
                path.display()
            );
            return Err(Unbundled::Never(StorageError::new(&text)));
        }
        Ok(self.put_together())
    }
}

/// Find the records of the decisions that the entries of a bundle name.
pub(crate) fn find((trees, bundled, log): (&Trees, &Bundled, &LogName), bundle: u64) -> Result<Found, Unbundled> {
    let mut found = Found { whole: BTreeMap::new(), others: false };
    let mut entries = InOrder::of(trees, bundled);
    for index in bundle * BUNDLE_ENTRIES..=last_of(bundle) {
        let bytes = entries.entry(index).map_err(Unbundled::Never)?;
        let Some(id) = bytes.as_deref().and_then(decision_in) else { continue };
        let key = Key::decision(&id);
        let Some(raw) = trees.raw(&key)? else { continue };
        let stored = Stored::parse(&key, &raw).map_err(|error| Unbundled::Never(StorageError::new(&error)))?;
        if !stored.entries.contains(&index) || log.earlier_of(stored.version).is_some() {
            continue;
        }
        match Filed::of(&key, &stored.value) {
            Some(filed) => found.others |= (filed.epoch, filed.bundle) == (log.epoch.0, bundle),
            None => {
                found.whole.insert(key, (raw, stored));
            }
        }
    }
    Ok(found)
}

/// The decision that an entry is about, if it is about one.
pub(crate) fn decision_in(bytes: &[u8]) -> Option<DecisionId> {
    let entry = Entry::parse(bytes).ok()?;
    let said: Said = serde_json::from_str(entry.body.as_str()).ok()?;
    said.decision_id?.parse().ok()
}

#[cfg(test)]
#[path = "filing_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "refiled_tests.rs"]
mod refiled_tests;
