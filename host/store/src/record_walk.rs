//! Looking at decision records: in files that are bad, and of which decisions they are another than the entry names.
//!
//! Nothing is mended here, and no state depends on a record: whoever looks names what is wrong, and goes on.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use attorn_log::Epoch;

use crate::decided::digest_of;
use crate::filed::{Filed, RecordFiles};
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::named_records::{NamedRecords, Stand, Standing};
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::records::{self, LostRecordsRecord, Record as _, RecordError};
use crate::trees::{Stored, Trees, ValueError};

/// A file with decision records that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecords {
    pub(crate) epoch: u64,
    pub(crate) bundle: u64,
    /// What is wrong with it, which file it is, and what to do: of its records the one that was looked at first.
    pub why: String,
    /// The same without what to do.
    pub(crate) what: String,
}

impl BadRecords {
    /// What is wrong with it, without what to do.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Which file it is, by epoch and bundle.
    pub(crate) const fn name(&self) -> (u64, u64) {
        (self.epoch, self.bundle)
    }
}

/// A file of which something cannot be read.
#[derive(Default)]
struct BadFile {
    /// What is wrong with the first of its records that nobody is known to have accepted.
    first: Option<BadRecords>,
    /// The same of the first of all.
    any: Option<BadRecords>,
    /// The digest of each of its records that cannot be read, and of the key that is said to have it.
    claims: Vec<([u8; 32], blake3::Hash)>,
}

/// Looks at decision records: whether files have those that they should have, and whether each is what its entry names.
pub(crate) struct RecordWalk {
    records: RecordFiles,
    bad: BTreeMap<(u64, u64), BadFile>,
    /// The digests of those of which somebody has accepted that they are lost.
    accepted: HashSet<[u8; 32]>,
    /// What entries name. All that can be read are told before the first row is looked at.
    pub(crate) named: NamedRecords,
}

/// Which rows are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All, with the files that they are in.
    All,
    /// Those of which entries were read.
    OfKnown,
}

/// What is known of a row that was read: all but the record itself.
pub(crate) struct Row {
    /// With the place that stands there, if it is one.
    stored: Stored,
    /// Of its record; none if that is in a file.
    digest: Option<String>,
}

impl Row {
    pub(crate) fn of(key: &Key, row: &[u8]) -> Result<Self, RecordError> {
        let mut stored = Stored::parse(key, row)?;
        let digest = Filed::of(key, &stored.value).is_none().then(|| digest_of(&stored.value));
        if digest.is_some() {
            stored.value = Vec::new();
        }
        Ok(Self { stored, digest })
    }
}

impl RecordWalk {
    /// Of a store's directory, or of a backup.
    pub(crate) fn within(dir: &Path) -> Self {
        let records = RecordFiles::of(dir);
        Self { records, bad: BTreeMap::new(), accepted: HashSet::new(), named: NamedRecords::new() }
    }

    /// Look at the row of a decision's record.
    pub(crate) fn look(&mut self, stand: Stand<'_>, key: &Key, stored: &Stored) {
        let value = self.value(key, stored);
        let digest = value.as_deref().map(digest_of);
        let standing = self.named.compare(stand, key, stored, digest.as_deref());
        // Where an entry names it, it is what the server wrote.
        if standing == Standing::Unknown
            && let Some(Err(error)) = value.map(|value| records::check(key, &value))
        {
            self.named.cannot_read(&error);
        }
    }

    /// The same of a row whose record is not at hand any more.
    pub(crate) fn look_at_row(&mut self, stand: Stand<'_>, key: &Key, Row { stored, digest }: &Row, rows: Rows) {
        if rows == Rows::OfKnown && !self.named.knows(stand, stored) {
            return;
        }
        let in_file = || self.value(key, stored).as_deref().map(digest_of);
        let digest = digest.clone().or_else(in_file);
        self.named.compare(stand, key, stored, digest.as_deref());
    }

    /// Know which records are lost, so that these are not named.
    pub(crate) fn accept_all(&mut self, trees: &Trees) -> Result<(), ValueError> {
        let (prefix, mut after) = (KeyPrefix::kind(KeyKind::LostRecords), None);
        loop {
            let page = trees.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
            for (key, stored) in &page.items {
                self.accept(key, stored);
            }
            match page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    pub(crate) fn accept(&mut self, key: &Key, stored: &Stored) {
        // One that is invalid is found by whoever checks values, and accepts nothing.
        if let Ok(record) = LostRecordsRecord::decode(key, &stored.value) {
            self.accepted.extend(record.digests);
        }
    }

    /// The record under a key, wherever that is; none if it is in a file that is bad, which is kept.
    fn value<'a>(&mut self, key: &Key, stored: &'a Stored) -> Option<Cow<'a, [u8]>> {
        let Some(filed) = Filed::of(key, &stored.value) else { return Some(Cow::Borrowed(&stored.value)) };
        let error = match self.records.read(key, &filed) {
            Ok(value) => return Some(Cow::Owned(value)),
            Err(error) => error,
        };
        let bad = self.bad.entry(filed.file()).or_default();
        bad.claims.push((filed.digest(), blake3::hash(key.as_bytes())));
        let Filed { epoch, bundle, .. } = filed;
        let found = || BadRecords { epoch, bundle, why: error.to_string(), what: error.short() };
        if bad.first.is_none() && !(error.is_lost() && self.accepted.contains(&filed.digest())) {
            bad.first = Some(found());
        }
        bad.any.get_or_insert_with(found);
        None
    }

    /// How many records are lost of which somebody has accepted that.
    pub(crate) fn known_lost(&self) -> u64 {
        let all: HashSet<_> = self.bad.values().flat_map(|file| &file.claims).map(|(digest, _)| digest).collect();
        all.into_iter().filter(|digest| self.accepted.contains(*digest)).count() as u64
    }

    /// The files that are bad, and the decisions whose record is not what their entry says.
    pub(crate) fn into_bad(self, of: Epoch) -> (Vec<BadRecords>, Vec<String>) {
        // A digest is over key and value, so it is one record's: whoever says the same of another key hides that one.
        let mut owners = HashMap::new();
        let claims = self.bad.values().flat_map(|file| &file.claims);
        let hiding: HashSet<_> =
            claims.filter(|(digest, key)| *owners.entry(*digest).or_insert(*key) != *key).collect();
        let is_accepted =
            |claim: &([u8; 32], blake3::Hash)| self.accepted.contains(&claim.0) && !hiding.contains(claim);
        let is_known = |file: &BadFile| file.claims.iter().all(is_accepted);
        let bad = self
            .bad
            .values()
            .filter(|file| !is_known(file))
            .filter_map(|file| file.first.clone().or_else(|| file.any.clone()))
            .collect();
        (bad, self.named.into_bad(of))
    }
}

#[cfg(test)]
#[path = "record_walk_tests.rs"]
mod tests;
