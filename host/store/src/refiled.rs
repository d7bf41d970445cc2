//! Which decision records base copies and journal still have, of files that are damaged or gone.
//!
//! The engine has the digest of each record and where in its file it is. What a file still has of its records, and what
//! base copies and journal have of the others, is put where it was into a file that takes the place of the bad one; that
//! is moved aside and not deleted. Where the value of a record is nowhere, its place is left empty, and whoever asks for
//! it is told so as before.
//!
//! Nothing of the engine is changed. A file that would not have more records than it has is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::bundler::write;
use crate::error::StorageError;
use crate::filed::{self, Filed, RecordFiles, digest_in};
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::places::{Places, at};
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::record_walk::BadRecords;
use crate::redo::Write;
use crate::repair::{RepairError, free_name, is_there, nowhere};
use crate::salvage::salvage;
use crate::seek::{Seeker, seek};
use crate::trees::{Stored, TreeName, Trees, ValueError};

/// How many bytes of records are in memory at a time. Files with more are looked for one after the other.
const HELD_BYTES_MAX: u64 = 256 << 20;

/// What came of the files that were bad.
#[derive(Default)]
pub(crate) struct Refiled {
    /// What was wrong with each file that was written anew.
    pub(crate) problems: Vec<String>,
    /// What is wrong with each that is still bad, and what to do.
    pub(crate) still_bad: Vec<String>,
}

/// A file, by the epoch and the number of its bundle.
type FileName = (u64, u64);

/// Write files with decision records anew, as far as base copies and journal have what is missing in them.
pub(crate) fn bring_back(places: &Places, trees: &Trees, bad: &[BadRecords]) -> Result<Refiled, RepairError> {
    let mut lengths: BTreeMap<FileName, u64> = bad.iter().map(|bad| (bad.name(), 0)).collect();
    each_filed(trees, |_, filed| {
        if let Some(length) = lengths.get_mut(&filed.file()) {
            *length += filed.length() as u64;
        }
    })?;
    let (mut refiled, mut rest) = (Refiled::default(), bad);
    while let Some(first) = rest.first() {
        let mut bytes = lengths[&first.name()];
        let more = rest[1..].iter().take_while(|bad| {
            bytes = bytes.saturating_add(lengths[&bad.name()]);
            bytes <= HELD_BYTES_MAX
        });
        let (some, after) = rest.split_at(1 + more.count());
        some_of(places, trees, some, &mut refiled)?;
        rest = after;
    }
    Ok(refiled)
}

fn some_of(places: &Places, trees: &Trees, bad: &[BadRecords], refiled: &mut Refiled) -> Result<(), RepairError> {
    let names: BTreeSet<FileName> = bad.iter().map(BadRecords::name).collect();
    let files = RecordFiles::of(&places.dir);
    let mut wanted = Wanted::default();
    each_filed(trees, |key, filed| {
        if names.contains(&filed.file()) {
            wanted.add(&files, key, filed);
        }
    })?;
    let sought = match seek(places, &mut wanted) {
        // Then it is damaged, or not there.
        Err(error @ RepairError::Parts(_)) => Err(error),
        sought => Ok(sought?),
    };
    if !wanted.is_done() {
        salvage(places, &mut wanted)?;
    }
    if !wanted.has_found() {
        sought?;
    }
    for bad in bad {
        let Some(file) = wanted.files.get(&bad.name()) else {
            refiled.still_bad.push(nowhere(&bad.what));
            continue;
        };
        let lost = file.values().filter(|record| record.value.is_none()).count();
        let bytes = file.values().any(|record| record.is_back).then(|| file_of(file)).flatten();
        let Some(bytes) = bytes else {
            refiled.still_bad.push(nowhere(&bad.what));
            continue;
        };
        let path = files.path(bad.epoch, bad.bundle);
        put_back(places, &path, &bytes).map_err(at(&path))?;
        refiled.problems.push(bad.what.clone());
        if lost > 0 {
            refiled.still_bad.push(filed::in_part(&path, lost, file.len()));
        }
    }
    Ok(())
}

/// Look at all records that are in files.
fn each_filed(trees: &Trees, mut each: impl FnMut(Key, Filed)) -> Result<(), RepairError> {
    let (prefix, mut after) = (KeyPrefix::kind(KeyKind::Decision), None);
    loop {
        let page = trees.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX).map_err(unread)?;
        after = page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more);
        for (key, stored) in page.items {
            if let Some(filed) = Filed::of(&key, &stored.value) {
                each(key, filed);
            }
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

fn unread(error: ValueError) -> RepairError {
    RepairError::Storage(match error {
        ValueError::Storage(error) => error,
        ValueError::Invalid(error) => StorageError::new(&error),
    })
}

/// One record of a file.
struct Record {
    filed: Filed,
    value: Option<Vec<u8>>,
    /// Whether the value is from a base copy or the journal.
    is_back: bool,
}

/// The records of the files that are looked for.
#[derive(Default)]
struct Wanted {
    files: BTreeMap<FileName, BTreeMap<Key, Record>>,
    /// Those that are not found yet.
    missing: BTreeMap<Key, Filed>,
    has_found: bool,
}

impl Wanted {
    fn add(&mut self, within: &RecordFiles, key: Key, filed: Filed) {
        let value = within.read(&key, &filed).ok();
        if value.is_none() {
            self.missing.insert(key.clone(), filed);
        }
        self.files.entry(filed.file()).or_default().insert(key, Record { filed, value, is_back: false });
    }
}

impl Seeker for Wanted {
    fn is_done(&self) -> bool {
        self.missing.is_empty()
    }

    fn has_found(&self) -> bool {
        self.has_found
    }

    fn take(&mut self, write: &Write) -> Result<(), RepairError> {
        let Some(value) = write.value.as_ref().filter(|_| write.tree == TreeName::State) else { return Ok(()) };
        let key = Key::from_stored(&write.key);
        let Some(filed) = self.missing.get(&key).copied() else { return Ok(()) };
        // What stands there may be where it is in the file, or what it was before it was written once more.
        let Ok(stored) = Stored::parse(&key, value) else { return Ok(()) };
        if Filed::of(&key, &stored.value).is_some() || digest_in(&key, &stored.value) != Some(filed.digest()) {
            return Ok(());
        }
        self.missing.remove(&key);
        self.has_found = true;
        if let Some(record) = self.files.get_mut(&filed.file()).and_then(|file| file.get_mut(&key)) {
            (record.value, record.is_back) = (Some(stored.value), true);
        }
        Ok(())
    }
}

fn file_of(records: &BTreeMap<Key, Record>) -> Option<Vec<u8>> {
    filed::put_where_they_were(records.iter().map(|(key, record)| (key, record.filed, record.value.as_deref())))
}

fn put_back(places: &Places, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_there(path)? {
        fs::rename(path, free_name(path)?)?;
    }
    write(&places.dir, &mut None, path, bytes)
}
