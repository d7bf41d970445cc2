//! Files with entries of the log and with decision records of which the engine has all that should be in them.
//!
//! An engine that was made anew of an older base copy has again what was in files already. Readers look in the engine
//! first, so nobody reads these files, and the next bundling and filing write them anew. One that is damaged would be
//! replaced, and nobody would hear that the disk or somebody had changed it. So a repair looks at them, and whoever writes
//! one anew moves a bad one aside before, and says so.
//!
//! Which files are missing is told by how many there were ([`Bundled::noted`]): what was never written is no damage.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use attorn_log::Hash;
use attorn_log::tiles::add_to_bundle;
use attorn_log::tree::leaf_hash;

use crate::bundled::{BUNDLE_ENTRIES, Bundled, last_of, root_of};
use crate::bundler::{Unbundled, write};
use crate::commit::Store;
use crate::error::StorageError;
use crate::filed::{Filed, RecordFiles};
use crate::files::is_of_the_process;
use crate::filing::{Found, find};
use crate::head::LogName;
use crate::integrity::IntegrityError;
use crate::key::{KeyKind, KeyPrefix};
use crate::open::head_of;
use crate::places::{Places, at};
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::repair::{RepairError, free_name};
use crate::trees::{Trees, ValueError};

/// What is or was wrong with each file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubled {
    pub(crate) entries: Vec<String>,
    pub(crate) records: Vec<String>,
}

impl Doubled {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.entries.is_empty() && self.records.is_empty()
    }
}

/// Write those anew that are not right, and move what is there aside. The engine was walked, and is right.
pub(crate) fn mend(places: &Places, trees: &Trees) -> Result<Doubled, RepairError> {
    look(places, trees, &|path, bytes| put_back(places, path, bytes))
}

/// What is done with a file that is not right, where it is known what should be in it.
type Each<'a> = &'a dyn Fn(&Path, &[u8]) -> io::Result<()>;

fn look(places: &Places, trees: &Trees, each: Each<'_>) -> Result<Doubled, RepairError> {
    let (log, head) = head_of(trees)?;
    let bundled = Bundled::of(&places.log, log.epoch);
    let full = head.size / BUNDLE_ENTRIES;
    let entries = look_at_entries(trees, &bundled, full, each)?;
    let records = RecordFiles::of(&places.dir);
    Ok(Doubled { entries, records: look_at_records(&records, (trees, &bundled, &log), full, each)? })
}

impl Store {
    /// What is wrong with files of which the engine has all that should be in them: nobody reads these, and who changed one
    /// is heard of all the same.
    ///
    /// # Errors
    ///
    /// When the engine or a file cannot be read.
    pub async fn doubled_files(&self) -> Result<Vec<String>, RepairError> {
        let (shared, places) = (Arc::clone(&self.shared), self.places.clone());
        let looked = move || look(&places, &shared.trees, &|_, _| Ok(()));
        let looked = tokio::task::spawn_blocking(looked).await.unwrap_or(Err(IntegrityError::ShuttingDown.into()))?;
        let Doubled { entries, records } = looked;
        Ok(entries.into_iter().chain(records).collect())
    }
}

fn look_at_entries(trees: &Trees, bundled: &Bundled, full: u64, each: Each<'_>) -> Result<Vec<String>, RepairError> {
    let (mut bad, mut next) = (Vec::new(), 0);
    loop {
        let looked = trees.first_unbundled(next, usize::MAX)?;
        if !looked.found || looked.bundle >= full {
            return Ok(bad);
        }
        let bundle = looked.bundle;
        next = bundle + 1;
        // Where the engine has a part of them, the walk has read the file.
        let Some((bytes, root)) = bundle_in(trees, bundle)? else { continue };
        let Err(error) = bundled.read(bundle, root) else { continue };
        if error.is_of_the_process() {
            return Err(StorageError::from(error).into());
        }
        let path = bundled.path(bundle);
        if error.is_missing() && !was_written(bundled.noted(), bundle, &path) {
            continue;
        }
        each(&path, &bytes).map_err(at(&path))?;
        bad.push(error.short());
    }
}

/// The bytes of a bundle of which the engine has all entries, and the root over them.
fn bundle_in(trees: &Trees, bundle: u64) -> Result<Option<(Vec<u8>, Hash)>, StorageError> {
    let (mut bytes, mut leaves) = (Vec::new(), Vec::new());
    for index in bundle * BUNDLE_ENTRIES..=last_of(bundle) {
        let Some(entry) = trees.entry(index)? else { return Ok(None) };
        leaves.push(leaf_hash(&entry));
        add_to_bundle(&mut bytes, &entry);
    }
    Ok(Some((bytes, root_of(&leaves))))
}

fn look_at_records(
    files: &RecordFiles,
    (trees, bundled, log): (&Trees, &Bundled, &LogName),
    full: u64,
    each: Each<'_>,
) -> Result<Vec<String>, RepairError> {
    let epoch = log.epoch.0;
    let mut bad = Vec::new();
    for bundle in bundles_of_whole(trees, log)?.into_iter().filter(|bundle| *bundle < full) {
        let path = files.path(epoch, bundle);
        let is_there = fs::symlink_metadata(&path).is_ok();
        if !is_there && !was_written(bundled.noted_filed(), bundle, &path) {
            continue;
        }
        let found = match find((trees, bundled, log), bundle) {
            Ok(found) if !found.is_nothing() => found,
            // What cannot be read of its entries is named by the walk.
            Ok(_) | Err(Unbundled::Never(_)) => continue,
            Err(Unbundled::Later(error)) => return Err(error.into()),
        };
        let what = match files.file(epoch, bundle) {
            Ok(Some((_, there))) if found.are_all_in(&there) => continue,
            Ok(_) if is_there => "is not what was written".to_owned(),
            Ok(_) => "is missing".to_owned(),
            Err(error) if is_of_the_process(&error) => return Err(at(&path)(error).into()),
            Err(error) => format!("cannot be read: {error}"),
        };
        // Of one that has records that are nowhere else only these count, and the walk has looked at them.
        let Some(bytes) = found.alone() else { continue };
        each(&path, &bytes).map_err(at(&path))?;
        bad.push(format!("`{}` {what}", path.display()));
    }
    Ok(bad)
}

/// The bundles in which the entries may be of the records that the engine has whole.
fn bundles_of_whole(trees: &Trees, log: &LogName) -> Result<BTreeSet<u64>, RepairError> {
    let (prefix, mut after, mut bundles) = (KeyPrefix::kind(KeyKind::Decision), None, BTreeSet::new());
    loop {
        let page = trees.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX).map_err(unread)?;
        after = page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more);
        for (key, stored) in page.items {
            if Filed::of(&key, &stored.value).is_none() && log.earlier_of(stored.version).is_none() {
                // A batch has few entries, and its number is kept in two bytes.
                bundles.extend(stored.entries.map(|index| index / BUNDLE_ENTRIES));
            }
        }
        if after.is_none() {
            return Ok(bundles);
        }
    }
}

fn unread(error: ValueError) -> StorageError {
    match error {
        ValueError::Storage(error) => error,
        ValueError::Invalid(error) => StorageError::new(&error),
    }
}

/// Whether a file that is not there was written once, as far as that was noted; else its directory tells.
fn was_written(noted: Option<u64>, bundle: u64, path: &Path) -> bool {
    let has_directory = || path.parent().is_some_and(Path::exists);
    noted.map_or_else(has_directory, |noted| bundle < noted)
}

fn put_back(places: &Places, path: &Path, bytes: &[u8]) -> io::Result<()> {
    set_aside(path)?;
    write(&places.dir, &mut None, path, bytes)
}

/// Move a bad file aside that is about to be written anew by nobody's order, and say so.
pub(crate) fn set_aside_and_say(path: &Path, what: &dyn Display) -> io::Result<()> {
    if let Some(aside) = set_aside(path)? {
        tracing::error!(
            what = %what,
            aside = %aside.display(),
            "a file was damaged of which the database has all: it is moved aside, and written anew"
        );
    }
    Ok(())
}

/// Where what was there is now, if anything was: a link is moved, too, and not what it leads to.
fn set_aside(path: &Path) -> io::Result<Option<std::path::PathBuf>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let aside = free_name(path)?;
    fs::rename(path, &aside)?;
    Ok(Some(aside))
}

impl Found {
    /// What a file with them alone has; none if it has records that are nowhere else.
    fn alone(&self) -> Option<Vec<u8>> {
        (!self.has_others()).then(|| self.put_together())
    }
}

#[cfg(test)]
#[path = "doubled_tests.rs"]
mod tests;
