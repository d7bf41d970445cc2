//! Plain files that records name: components and large settings, whose names are the BLAKE3 digests of their bytes, and
//! the exports of earlier epochs of the log, of which the records have key and checkpoint.
//!
//! Each is read from end to end and compared with what names it. Nothing is mended here: whoever finds one bad says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attorn_core::{Digest, PolicyId};
use attorn_log::{Checks, Epoch, verify_export_and_show};

use crate::commit::Store;
use crate::error::StorageError;
use crate::files::{TEMPORARY, open_regular};
use crate::integrity::IntegrityError;
use crate::key::{Key, KeyKind, KeyPrefix, KeyPurpose};
use crate::named_records::NamedRecords;
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::records::{
    KeyMaterialRecord, LogEpochRecord, PolicySettings, PolicyVersionRecord, Record as _, RecordError,
};
use crate::redo::Write;
use crate::repair::causes;
use crate::trees::{Stored, TreeName};

/// Where components and large settings are, within a store's directory and within a backup.
pub(crate) const BLOBS: &str = "blobs";
/// More than any of them has: who writes one, writes it whole, out of memory.
const BLOB_BYTES_MAX: u64 = 256 << 20;
/// Where exports of earlier epochs of the log are.
pub(crate) const EPOCHS: &str = "epochs";

/// What is wrong with plain files that records name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadNamed {
    /// Components and settings.
    pub blobs: Vec<BadBlob>,
    /// Exports of earlier epochs.
    pub exports: Vec<BadExport>,
}

impl BadNamed {
    /// Whether all are what they should be.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.exports.is_empty()
    }

    /// Whether something is bad that something else needs.
    #[must_use]
    pub fn has_needed(&self) -> bool {
        !self.exports.is_empty() || self.blobs.iter().any(BadBlob::is_needed)
    }
}

/// A component or settings that are not what their name says, or not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBlob {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it: `is missing`, or the like.
    pub problem: String,
    /// Which versions of policies need it. None do where a component was put and no version was made of it.
    pub needed_by: Vec<NeededBy>,
}

/// What needs a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededBy {
    /// Which policy.
    pub policy: PolicyId,
    /// Which version of it.
    pub version: u32,
    /// As what.
    pub part: PolicyPart,
}

/// A part of a version of a policy that is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyPart {
    /// Its component.
    Component,
    /// Its settings.
    Settings,
}

impl PolicyPart {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Settings => "settings",
        }
    }
}

/// What is kept of an earlier epoch of the log, if it is not what the records say, or not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExport {
    /// The file.
    pub path: PathBuf,
    /// Of which epoch.
    pub epoch: Epoch,
    /// What is wrong with it.
    pub problem: String,
}

impl BadBlob {
    /// What is said of those that nobody needs.
    pub const SPARE: &str = "No version of a policy needs that file: nothing is lost with it, and it may be removed. Pushing the \
                             component again puts it anew.";

    /// Whether a version of a policy needs it.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.needed_by.is_empty()
    }
}

impl fmt::Display for NeededBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of `{}` version {}", self.part.as_str(), self.policy, self.version)
    }
}

impl fmt::Display for BadBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}: ", self.path.display(), self.problem)?;
        if self.needed_by.is_empty() {
            return f.write_str("no version of a policy needs it");
        }
        let needed_by: Vec<_> = self.needed_by.iter().map(NeededBy::to_string).collect();
        write!(f, "it is {}", needed_by.join(", "))
    }
}

impl fmt::Display for BadExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, all that is kept of epoch {} of the log: {}", self.path.display(), self.epoch, self.problem)
    }
}

/// Which files the records name.
#[derive(Default)]
pub(crate) struct Named {
    blobs: BTreeMap<String, BTreeSet<NeededBy>>,
    epochs: BTreeMap<u64, LogEpochRecord>,
    /// The key that signs the log, wrapped.
    pub(crate) log_key: Option<KeyMaterialRecord>,
}

impl Named {
    /// Take in what a write of the engine's says. Records that name files are never removed and never change.
    pub(crate) fn take(&mut self, write: &Write) -> Result<(), RecordError> {
        let Some(bytes) = write.value.as_ref().filter(|_| write.tree == TreeName::State) else { return Ok(()) };
        let key = Key::from_stored(&write.key);
        if !names_something(&key) {
            return Ok(());
        }
        self.take_value(&key, &Stored::parse(&key, bytes)?.value)
    }

    fn take_value(&mut self, key: &Key, value: &[u8]) -> Result<(), RecordError> {
        match key.kind() {
            Some(KeyKind::PolicyVersion) => {
                let record = PolicyVersionRecord::decode(key, value)?;
                self.need(record.component, &record, PolicyPart::Component);
                if let PolicySettings::File(digest) = record.settings {
                    self.need(digest, &record, PolicyPart::Settings);
                }
            }
            Some(KeyKind::LogEpoch) => {
                let record = LogEpochRecord::decode(key, value)?;
                self.epochs.insert(record.epoch().0, record);
            }
            Some(KeyKind::KeyMaterial) => {
                let record = KeyMaterialRecord::decode(key, value)?;
                let newest = self.log_key.as_ref().map_or(0, |newest| newest.version);
                if record.purpose == KeyPurpose::Log && record.version >= newest {
                    self.log_key = Some(record);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn need(&mut self, digest: Digest, record: &PolicyVersionRecord, part: PolicyPart) {
        let needed_by = NeededBy { policy: record.policy.clone(), version: record.version, part };
        self.blobs.entry(digest.to_string()).or_default().insert(needed_by);
    }

    /// Read all of them within a directory. `unread` says which of them could not be copied there, and why. What the entries
    /// of earlier epochs name is taken in by `records`.
    pub(crate) fn check(
        &self,
        dir: &Path,
        unread: &BTreeMap<PathBuf, String>,
        records: &mut NamedRecords,
    ) -> io::Result<BadNamed> {
        let mut bad = BadNamed { blobs: self.check_blobs(dir, unread)?, exports: Vec::new() };
        for record in self.epochs.values() {
            let (path, epoch) = (export_path(dir, record.epoch()), record.epoch());
            let problem = unread.get(&path).cloned().or_else(|| read_export(&path, record, records));
            bad.exports.extend(problem.map(|problem| BadExport { path, epoch, problem }));
        }
        bad.exports.extend(self.strange_exports(&dir.join(EPOCHS))?);
        Ok(bad)
    }

    /// The same of components and settings alone.
    fn check_blobs(&self, dir: &Path, unread: &BTreeMap<PathBuf, String>) -> io::Result<Vec<BadBlob>> {
        let blobs = dir.join(BLOBS);
        let mut names: BTreeSet<String> = self.blobs.keys().cloned().collect();
        names.extend(names_in(&blobs)?);
        let mut bad = Vec::new();
        for name in names {
            let path = blobs.join(&name);
            let problem = unread.get(&path).cloned().or_else(|| problem_of_blob(&path, &name));
            if let Some(problem) = problem {
                let needed_by = self.blobs.get(&name).into_iter().flatten().cloned().collect();
                bad.push(BadBlob { path, problem, needed_by });
            }
        }
        Ok(bad)
    }

    /// The exports that stand where those of earlier epochs do, and that no record names.
    fn strange_exports(&self, dir: &Path) -> io::Result<Vec<BadExport>> {
        let mut strange = Vec::new();
        for name in names_in(dir)? {
            let number = name.strip_suffix(".export").and_then(|number| number.parse::<u64>().ok());
            if let Some(number) = number.filter(|number| !self.epochs.contains_key(number)) {
                let problem = "no record of the log names it".to_owned();
                strange.push(BadExport { path: dir.join(&name), epoch: Epoch(number), problem });
            }
        }
        strange.sort_by_key(|bad| bad.epoch);
        Ok(strange)
    }
}

impl Store {
    /// Read the components and settings in the directory of this store, and compare them with the records that name them.
    ///
    /// # Errors
    ///
    /// When a record or the directory cannot be read.
    pub async fn bad_blobs(&self) -> Result<Vec<BadBlob>, IntegrityError> {
        let (shared, dir) = (Arc::clone(&self.shared), self.places.dir.clone());
        let look = move || -> Result<Vec<BadBlob>, IntegrityError> {
            let (mut named, mut after) = (Named::default(), None);
            loop {
                let page = shared.trees.scan(
                    &KeyPrefix::kind(KeyKind::PolicyVersion),
                    after.as_ref(),
                    PAGE_ITEMS_MAX,
                    PAGE_BYTES_MAX,
                )?;
                for (key, stored) in &page.items {
                    named.take_value(key, &stored.value).map_err(IntegrityError::Value)?;
                }
                match page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more) {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
            Ok(named.check_blobs(&dir, &BTreeMap::new()).map_err(|error| StorageError::new(&error))?)
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(Err(IntegrityError::ShuttingDown))
    }
}

/// The key that signs the log, wrapped, if a write of the engine's has it.
pub(crate) fn log_key_in(write: &Write) -> Option<KeyMaterialRecord> {
    let bytes = write.value.as_ref().filter(|_| write.tree == TreeName::State)?;
    let key = Key::from_stored(&write.key);
    if key.kind() != Some(KeyKind::KeyMaterial) {
        return None;
    }
    let record = KeyMaterialRecord::decode(&key, &Stored::parse(&key, bytes).ok()?.value).ok()?;
    (record.purpose == KeyPurpose::Log).then_some(record)
}

/// Whether a record may name a file, or be the key that signs the log.
fn names_something(key: &Key) -> bool {
    matches!(key.kind(), Some(KeyKind::PolicyVersion | KeyKind::LogEpoch | KeyKind::KeyMaterial))
}

/// What a directory has that is finished; nothing if it is not there.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<io::Result<_>>()?;
    Ok(names.into_iter().filter(|name| !name.starts_with(TEMPORARY)).collect())
}

/// Open a component or settings. What is longer than any of them is read by nobody, and would be read for hours.
pub(crate) fn open_blob(path: &Path) -> io::Result<File> {
    let file = open_regular(path)?;
    let len = file.metadata()?.len();
    if len > BLOB_BYTES_MAX {
        return Err(io::Error::other(format!("it has {len} bytes, and none has more than {BLOB_BYTES_MAX}")));
    }
    Ok(file)
}

fn problem_of_blob(path: &Path, name: &str) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    match open_blob(path).and_then(|file| hasher.update_reader(file).map(|hasher| hasher.finalize())) {
        Ok(hash) if *hash.to_hex() == *name => None,
        Ok(_) => Some("has other bytes than its name says".to_owned()),
        Err(error) => Some(unreadable(&error)),
    }
}

/// Where what is kept of an epoch that has ended is, within a store's directory and within a backup.
pub(crate) fn export_path(dir: &Path, epoch: Epoch) -> PathBuf {
    dir.join(EPOCHS).join(format!("{epoch}.export"))
}

/// Take in which records the entries of an epoch name that has ended, if they are as they were signed. Else it is said what
/// is wrong, and nothing is known of them.
pub(crate) fn read_export(path: &Path, record: &LogEpochRecord, records: &mut NamedRecords) -> Option<String> {
    let epoch = record.epoch();
    let problem = problem_of_export(path, record, |index, bytes| records.read(epoch, index, bytes));
    if problem.is_some() {
        records.forget(epoch);
    }
    problem
}

/// What is wrong with what is kept of an epoch that has ended. Each of its entries is shown on the way, with its index; what
/// was shown counts only if nothing is wrong.
fn problem_of_export(path: &Path, record: &LogEpochRecord, show: impl FnMut(u64, &[u8])) -> Option<String> {
    let file = match open_regular(path) {
        Err(error) => return Some(format!("it {}", unreadable(&error))),
        Ok(file) => BufReader::new(file),
    };
    // What was bad when the epoch ended is not bad because it is copied.
    let checks = Checks { trusted: Some(&record.key), bad: &record.bad, ..Checks::default() };
    let verified = match verify_export_and_show(file, &checks, show) {
        Err(error) => return Some(causes(&error)),
        Ok(verified) => verified,
    };
    let ended = record.key.verify(record.checkpoint.as_bytes()).ok();
    let is_it = ended.is_some_and(|ended| ended.checkpoint() == verified.checkpoint.checkpoint());
    (!is_it).then(|| "it does not end where the log says that the epoch ended".to_owned())
}

/// What is wrong with a file that cannot be read.
pub(crate) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
#[path = "named_tests.rs"]
mod tests;
