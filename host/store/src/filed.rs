//! Decision records that are out of the engine, in plain files.
//!
//! ```text
//! <dir>/records/<epoch>/<bundle / 1000>/<bundle % 1000>   those of the decisions whose entries are in a bundle
//!
//! file     "attorn records 1\n", then one record after the other
//! record   length of its key (2) ‖ length of its value (4) ‖ key ‖ value
//! place    0x80 ‖ epoch (8) ‖ bundle (8) ‖ where its value begins (4) ‖ length of its value (4) ‖ digest (32)
//! ```
//!
//! Under the key of such a record the engine keeps the header that all values have, and the place in the place of the
//! value. The digest there is over key and value, so whatever else a file says is named and never given out. A record
//! that is in the engine is read there, whether or not it is in a file, too: see [`crate::filing`], which writes the
//! files. They are those of all epochs, since a record is asked for long after its epoch has ended.
//!
//! What is sealed under a user's key is sealed in the file, too: who was erased cannot be read there either.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::batch::VALUE_BYTES_MAX;
use crate::bundled::BUNDLE_ENTRIES;
use crate::error::StorageError;
use crate::files::{is_of_the_process, open_regular};
use crate::key::{KEY_BYTES_MAX, Key, KeyKind};
use crate::trees::Stored;

/// Where they are, within a store's directory and within a backup.
pub(crate) const RECORDS: &str = "records";
const MAGIC: &[u8] = b"attorn records 1\n";
/// What a place begins with. The formats of records are small numbers.
const PLACE: u8 = 0x80;
const PLACE_BYTES: usize = 1 + 8 + 8 + 4 + 4 + 32;
const DIGEST_CONTEXT: &str = "attorn filed record v1";
/// How many files a directory has.
const DIRECTORY_FILES: u64 = 1_000;
/// More than any file has: of each entry one record at the most.
const FILE_BYTES_MAX: u64 = MAGIC.len() as u64 + BUNDLE_ENTRIES * (6 + KEY_BYTES_MAX + VALUE_BYTES_MAX) as u64;

/// What helps where a file is missing or altered.
const PUT_BACK: &str = "`attorn repair` makes it anew, while no server runs, if base copy or journal still have its \
                        records; else put this file back from a backup or a copy, where it has the same name, and look \
                        again with `attorn repair`";

/// What is said of a record that is lost for good.
const ACCEPTED: &str = "that it is lost was accepted (`attorn repair --with-lost-records`), and the audit log says so \
                        (`records_lost`); whoever finds the file puts it back, where it has the same name";

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filed {
    pub(crate) epoch: u64,
    pub(crate) bundle: u64,
    begin: u32,
    length: u32,
    digest: [u8; 32],
}

impl Filed {
    /// The place that stands under a key, if it is one.
    pub(crate) fn of(key: &Key, value: &[u8]) -> Option<Self> {
        let (&PLACE, rest) = value.split_first()? else { return None };
        if value.len() != PLACE_BYTES || key.kind() != Some(KeyKind::Decision) {
            return None;
        }
        let (epoch, rest) = rest.split_first_chunk()?;
        let (bundle, rest) = rest.split_first_chunk()?;
        let (begin, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        Some(Self {
            epoch: u64::from_be_bytes(*epoch),
            bundle: u64::from_be_bytes(*bundle),
            begin: u32::from_be_bytes(*begin),
            length: u32::from_be_bytes(*length),
            digest: rest.try_into().ok()?,
        })
    }

    /// What stands in the place of the value.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PLACE_BYTES);
        bytes.push(PLACE);
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.bundle.to_be_bytes());
        bytes.extend_from_slice(&self.begin.to_be_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes.extend_from_slice(&self.digest);
        bytes
    }

    /// Which file it is in, by epoch and bundle.
    pub(crate) const fn file(&self) -> (u64, u64) {
        (self.epoch, self.bundle)
    }

    /// Over its key and its value.
    pub(crate) const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Where its value is in the file.
    #[cfg(feature = "fuzz")]
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        let begin = usize::try_from(self.begin).unwrap_or(usize::MAX);
        begin..begin.saturating_add(self.length())
    }

    /// How many bytes the record has, wherever it is.
    pub(crate) fn length(&self) -> usize {
        // A value is far shorter.
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }
}

/// Where the records of a file are.
pub(crate) type Places = BTreeMap<Key, Filed>;

/// What stands for a value in the digest over the state, wherever the value is; none where that is the value itself.
pub(crate) fn digest_in(key: &Key, value: &[u8]) -> Option<[u8; 32]> {
    if key.kind() != Some(KeyKind::Decision) {
        return None;
    }
    Some(Filed::of(key, value).map_or_else(|| digest_of(key, value), |filed| filed.digest))
}

fn digest_of(key: &Key, value: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
    hasher.update(&(key.as_bytes().len() as u64).to_be_bytes()).update(key.as_bytes()).update(value);
    hasher.finalize().into()
}

/// Why a record could not be read. There is nothing else to read it from.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {problem}", path.display())]
pub(crate) struct FiledError {
    path: PathBuf,
    /// Its name within the data directory.
    name: String,
    filed: Box<Filed>,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("is missing, and with it the record `{0}`: {PUT_BACK}")]
    Missing(Key),
    #[error("has the record `{0}` no more: {ACCEPTED}")]
    Accepted(Key),
    #[error("is not what was written: the record `{0}` {1}; {PUT_BACK}")]
    Altered(Key, &'static str),
    #[error("cannot be read: {0}; see that it is a file that the server may read, or {PUT_BACK}")]
    Io(io::Error),
}

impl FiledError {
    /// Which record it is.
    pub(crate) fn filed(&self) -> &Filed {
        &self.filed
    }

    /// Whether the record is lost; else it may be readable in a moment, or by somebody else.
    pub(crate) const fn is_lost(&self) -> bool {
        !matches!(self.problem, Problem::Io(_))
    }

    /// The same where somebody has accepted that the record is lost.
    pub(crate) fn accepted(self) -> Self {
        let problem = match self.problem {
            Problem::Missing(key) | Problem::Altered(key, _) => Problem::Accepted(key),
            other => other,
        };
        Self { problem, ..self }
    }

    /// What is wrong, without what to do about it.
    pub(crate) fn short(&self) -> String {
        let path = self.path.display();
        match &self.problem {
            Problem::Missing(key) => format!("`{path}` is missing, and with it the record `{key}`"),
            Problem::Accepted(key) => format!("`{path}` has the record `{key}` no more, which was accepted"),
            Problem::Altered(key, what) => format!("`{path}` is not what was written: the record `{key}` {what}"),
            Problem::Io(why) => format!("`{path}` cannot be read: {why}"),
        }
    }
}

/// What is said of a file of which only a part could be written anew.
pub(crate) fn in_part(path: &Path, lost: usize, records: usize) -> String {
    format!(
        "`{}` was written anew without {lost} of its {records} records, which neither base copy nor journal has: put \
         this file back from a backup or a copy, where it has the same name, and look again with `attorn repair`",
        path.display()
    )
}

impl From<FiledError> for StorageError {
    fn from(error: FiledError) -> Self {
        let damage = || format!("`{}` {}", error.name, error.problem);
        match &error.problem {
            Problem::Altered(..) => Self::of_log(&error, damage()),
            // It may be readable in a moment, and nothing is wrong with the file.
            Problem::Io(why) if is_of_the_process(why) => Self::new(&error),
            // Of one that cannot be read nothing says that it was altered, and as little can be told as of one that is gone.
            Problem::Missing(_) | Problem::Accepted(_) | Problem::Io(_) => Self::of_missing(&error, damage()),
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many records this thread has read from files.
    pub(crate) static READS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The files of all epochs.
#[derive(Debug, Clone)]
pub(crate) struct RecordFiles(PathBuf);

impl RecordFiles {
    /// Those of a store's directory, or of a backup.
    pub(crate) fn of(dir: &Path) -> Self {
        Self(dir.join(RECORDS))
    }

    /// Where the records of a bundle are.
    pub(crate) fn path(&self, epoch: u64, bundle: u64) -> PathBuf {
        self.0.join(name_of(epoch, bundle))
    }

    /// Read a record, and compare it with its digest.
    pub(crate) fn read(&self, key: &Key, filed: &Filed) -> Result<Vec<u8>, FiledError> {
        #[cfg(test)]
        READS.set(READS.get() + 1);
        let altered = |what| Err(self.error(filed, Problem::Altered(key.clone(), what)));
        if filed.length() > VALUE_BYTES_MAX {
            return altered("would be longer than any");
        }
        let mut bytes = vec![0; filed.length()];
        let file = open_regular(&self.path(filed.epoch, filed.bundle));
        match file.and_then(|file| file.read_exact_at(&mut bytes, filed.begin.into())) {
            Ok(()) if digest_of(key, &bytes) == filed.digest => Ok(bytes),
            Ok(()) => altered("was changed"),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => altered("is cut off"),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.error(filed, Problem::Missing(key.clone()))),
            Err(error) => Err(self.error(filed, Problem::Io(error))),
        }
    }

    /// What is stored under a key, with its value wherever that is.
    pub(crate) fn whole(&self, key: &Key, stored: Stored) -> Result<Stored, FiledError> {
        match Filed::of(key, &stored.value) {
            Some(filed) => Ok(Stored { value: self.read(key, &filed)?, ..stored }),
            None => Ok(stored),
        }
    }

    /// The bytes of a file and where its records are; none if it is not there or is no whole one.
    pub(crate) fn file(&self, epoch: u64, bundle: u64) -> io::Result<Option<(Vec<u8>, Places)>> {
        let file = match open_regular(&self.path(epoch, bundle)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        let places = take_apart((epoch, bundle), &bytes);
        Ok(places.map(|places| (bytes, places)))
    }

    fn error(&self, filed: &Filed, problem: Problem) -> FiledError {
        let name = file_of(filed.epoch, filed.bundle);
        FiledError { path: self.path(filed.epoch, filed.bundle), name, filed: Box::new(*filed), problem }
    }
}

/// Whether this is where a file with records is.
pub(crate) fn is_of_records(path: &Path) -> bool {
    path.ancestors().nth(3).is_some_and(|dir| dir.ends_with(RECORDS))
}

/// Where the file with the records of a bundle belongs, below the data directory.
pub(crate) fn file_of(epoch: u64, bundle: u64) -> String {
    format!("{RECORDS}/{}", name_of(epoch, bundle))
}

fn name_of(epoch: u64, bundle: u64) -> String {
    format!("{epoch}/{:06}/{:03}", bundle / DIRECTORY_FILES, bundle % DIRECTORY_FILES)
}

/// A file with these records.
pub(crate) fn put_together<'a>(records: impl Iterator<Item = (&'a Key, &'a [u8])>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (key, value) in records {
        // A batch with longer ones is refused long before.
        bytes.extend_from_slice(&u16::try_from(key.as_bytes().len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// A file with these records at their places, empty where a record is not known any more or stands elsewhere now. None
/// if no file has these places.
pub(crate) fn put_where_they_were<'a>(
    records: impl Iterator<Item = (&'a Key, Filed, Option<&'a [u8]>)>,
) -> Option<Vec<u8>> {
    let mut records: Vec<_> = records.collect();
    records.sort_by_key(|(_, filed, _)| filed.begin);
    let mut bytes = MAGIC.to_vec();
    for (key, filed, value) in records {
        let header_bytes = 6 + key.as_bytes().len();
        let gap = usize::try_from(filed.begin).ok()?.checked_sub(header_bytes)?.checked_sub(bytes.len())?;
        let end = u64::from(filed.begin) + u64::from(filed.length);
        if filed.length() > VALUE_BYTES_MAX || end > FILE_BYTES_MAX {
            return None;
        }
        if gap > 0 {
            // Of one that was written once more, and is in the engine now.
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(&u32::try_from(gap.checked_sub(6)?).ok()?.to_be_bytes());
            bytes.resize(bytes.len() + gap - 6, 0);
        }
        bytes.extend_from_slice(&u16::try_from(key.as_bytes().len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&filed.length.to_be_bytes());
        bytes.extend_from_slice(key.as_bytes());
        match value {
            Some(value) => bytes.extend_from_slice(value),
            None => bytes.resize(bytes.len() + filed.length(), 0),
        }
    }
    Some(bytes)
}

/// Where the records of a file are; none if it is no whole one.
pub(crate) fn take_apart((epoch, bundle): (u64, u64), bytes: &[u8]) -> Option<Places> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return None;
    }
    let (mut rest, mut places) = (bytes.strip_prefix(MAGIC)?, BTreeMap::new());
    while !rest.is_empty() {
        let (key_length, after) = rest.split_first_chunk()?;
        let (value_length, after) = after.split_first_chunk()?;
        let (key, after) = after.split_at_checked(u16::from_be_bytes(*key_length).into())?;
        let length = u32::from_be_bytes(*value_length);
        let (value, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        let begin = u32::try_from(bytes.len() - after.len() - value.len()).ok()?;
        let key = Key::from_stored(key);
        let digest = digest_of(&key, value);
        places.insert(key, Filed { epoch, bundle, begin, length, digest });
        rest = after;
    }
    Some(places)
}

#[cfg(test)]
#[path = "filed_tests.rs"]
mod tests;
