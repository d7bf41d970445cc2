//! Which decision records base copy and journal still have whole, though they are in files, too.
//!
//! A base copy from before a record was filed does not say where it is, and a backup that is made of it has the record. So
//! nobody who restores it would miss the file; the store does, and asks for it in vain as soon as somebody asks for the
//! record. Which bundles are in files is noted beside them ([`crate::bundled`]), since the engine, which knows, is not
//! read by a backup.
//!
//! Of a record whose entry is in a file already nothing is said here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use attorn_core::DecisionId;

use crate::bundled::{BUNDLE_ENTRIES, Bundled};
use crate::filed::{Filed, RecordFiles, digest_in};
use crate::filing::decision_in;
use crate::key::{Key, KeyKind};
use crate::redo::Write;
use crate::trees::{Stored, TreeName, entry_in};

/// What is said of a file whose records are not lost.
const ELSEWHERE: &str = "base copy and journal have its records, and so has this backup: `attorn repair` makes the file \
                         anew while the server does not run";

/// What base copy and journal have.
#[derive(Default)]
pub(crate) struct HeldRecords {
    /// Of which decision an entry is, by the entry's index.
    named: BTreeMap<u64, DecisionId>,
    whole: BTreeMap<Key, Whole>,
}

/// A record that is in no file as far as they say.
struct Whole {
    /// The entries of the batch that wrote it.
    entries: Range<u64>,
    digest: [u8; 32],
}

impl HeldRecords {
    pub(crate) fn take(&mut self, write: &Write) {
        if let Some(entry) = entry_in(write) {
            if let Some(id) = decision_in(entry.bytes) {
                self.named.insert(entry.index, id);
            }
            return;
        }
        if write.tree != TreeName::State {
            return;
        }
        let key = Key::from_stored(&write.key);
        if key.kind() != Some(KeyKind::Decision) {
            return;
        }
        let stored = write.value.as_ref().and_then(|value| Stored::parse(&key, value).ok());
        let whole = stored.filter(|stored| Filed::of(&key, &stored.value).is_none()).and_then(|stored| {
            let digest = digest_in(&key, &stored.value)?;
            Some(Whole { entries: stored.entries, digest })
        });
        match whole {
            Some(whole) => self.whole.insert(key, whole),
            None => self.whole.remove(&key),
        };
    }

    /// What is wrong with each file in which records of these should be, in the directory that was copied.
    pub(crate) fn bad_files(&self, (bundled, epoch, size): (&Bundled, u64, u64), files: &RecordFiles) -> Vec<String> {
        let (mut due, mut seen) = (BTreeMap::<u64, Vec<(&Key, &Whole)>>::new(), BTreeSet::new());
        // Whoever wrote the note: of a bundle that is not full there is no file.
        let end = bundled.noted_filed().unwrap_or(0).min(size / BUNDLE_ENTRIES) * BUNDLE_ENTRIES;
        for (index, id) in self.named.range(..end) {
            let found = self.whole.get_key_value(&Key::decision(id));
            // One that was written once more stays where it is.
            if let Some((key, whole)) = found.filter(|(_, whole)| whole.entries.contains(index))
                && seen.insert(key)
            {
                due.entry(index / BUNDLE_ENTRIES).or_default().push((key, whole));
            }
        }
        let wrong = |(bundle, records): (u64, Vec<(&Key, &Whole)>)| {
            let what = wrong_with(files, (epoch, bundle), &records)?;
            Some(format!("`{}` {what}; {ELSEWHERE}", files.path(epoch, bundle).display()))
        };
        due.into_iter().filter_map(wrong).collect()
    }
}

/// What is wrong with the file in which these records should be.
fn wrong_with(files: &RecordFiles, (epoch, bundle): (u64, u64), records: &[(&Key, &Whole)]) -> Option<String> {
    let places = match files.file(epoch, bundle) {
        Ok(found) => found.map(|(_, places)| places).unwrap_or_default(),
        Err(error) => return Some(format!("cannot be read: {error}")),
    };
    let is_in = |(key, whole): &&(&Key, &Whole)| places.get(*key).is_some_and(|place| place.digest() == whole.digest);
    let (key, _) = records.iter().find(|record| !is_in(record))?;
    Some(match files.path(epoch, bundle).try_exists() {
        Ok(false) => format!("is missing, and with it the record `{key}`"),
        _ => format!("is not what was written: the record `{key}` is not in it, or was changed"),
    })
}
