//! Backups: base copy, journal and files, copied out of a directory while the store in it goes on, or while it
//! cannot.
//!
//! ```text
//! <backup>/backup.format   the format; written last, so that a backup without it was never finished
//! <backup>/base/           the newest base copy
//! <backup>/journal/        every group since then that was whole when the copy was made
//! <backup>/blobs/ …        plain files, as they are; bundled entries among them
//! ```
//!
//! Whoever may read the directory may make a backup: it needs no server, and no say of one. What may be removed
//! meanwhile is held by a lock on `store.keep`. Keys of users and the root key are not in the directory, and so in
//! no backup. The copy is read from end to end before it is called one, and each file of entries is
//! compared with the root that base copy or journal have over it ([`crate::held`]), each decision record in a file with
//! its digest in the base copy, as each component, settings and export of an earlier epoch is with the record that names
//! it ([`crate::named`]). One that is not right keeps nothing else out of the backup: it is copied as it is, and named.
//! What is no regular file is named, too, and neither followed nor waited for.
// Long because: what a backup has, in the order in which it is written and looked through.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_log::Epoch;

use crate::base::{self, Base, BaseError};
use crate::bundled::Bundled;
use crate::commit::Store;
use crate::error::{OpenError, PartsError};
use crate::far;
use crate::filed::{RECORDS, RecordFiles, RecordWalk, is_of_records};
use crate::files::{TEMPORARY, is_within, open_lock, open_regular, read_regular_text, sync_dir};
use crate::frame::StoreId;
use crate::held::Held;
use crate::held_records::HeldRecords;
use crate::imprint::ImprintKey;
use crate::journal::{self, End, JournalError};
use crate::named::{BLOBS, BadNamed, EPOCHS, Named, open_blob, unreadable};
use crate::parts;
use crate::places::Places;
use crate::records::{KeyMaterialRecord, RecordError};
use crate::redo::{Redo, Write};

const MARKER: &str = "backup.format";
const MARKER_TEXT: &str = "attorn-backup 1\n";
/// Plain files beside the engine, by directory: what is too large to be a value, the logs of earlier epochs, the
/// checkpoints that were published, and decision records. Copied after the journal: whatever it names is there.
const PLAIN: [&str; 4] = [BLOBS, EPOCHS, "log", RECORDS];
/// After how many bytes of a file it is said how far a copy is.
const COPIED_AT_ONCE: u64 = 8 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// The version of the last batch in it.
    pub version: u64,
    /// From which version on its journal is needed.
    pub base: u64,
    /// How many files it has.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Which files with entries of the log cannot be read or are not what its tree says, and why.
    pub bad_files: Vec<String>,
    /// Which components, settings and exports of earlier epochs are not what records say, or not there.
    pub bad_named: BadNamed,
    /// How many decision records are lost of which somebody has accepted that.
    pub lost_records: u64,
    /// The epoch that its log is in.
    pub epoch: Epoch,
    /// The key that signs it, wrapped.
    pub log_key: Option<KeyMaterialRecord>,
}

/// How it is told whose a store is.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// What its state is compared with; without it nobody sees whether that is ours.
    pub key: Option<&'a ImprintKey>,
    /// Whether an entry says that a server ran: then its log was published.
    pub says_served: fn(&[u8]) -> bool,
}

/// Why there is no backup, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory is no store's.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Base copy or journal cannot be relied on.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A file could not be read or made.
    #[error("`{}` could not be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One would be copied into the other.
    #[error("`{}` is within `{}`: a backup and what it is made of are kept apart", inner.display(), outer.display())]
    Within {
        /// What is within the other, or is it.
        inner: PathBuf,
        /// The other.
        outer: PathBuf,
    },
    /// A record that names a file cannot be read.
    #[error("what was copied is no whole store")]
    Record(#[from] RecordError),
    /// There is something where the backup should be.
    #[error("`{}` is not empty", dir.display())]
    NotEmpty {
        /// Where.
        dir: PathBuf,
    },
    /// It was never finished, or is something else.
    #[error("`{}` is no backup, or was never finished", dir.display())]
    NotABackup {
        /// What.
        dir: PathBuf,
    },
}

impl From<JournalError> for BackupError {
    fn from(error: JournalError) -> Self {
        Self::Parts(error.into())
    }
}

impl From<BaseError> for BackupError {
    fn from(error: BaseError) -> Self {
        Self::Parts(error.into())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    |source| BackupError::Io { path, source }
}

impl Store {
    /// As [`Self::back_up_served`], with the key of tests.
    #[cfg(test)]
    pub(crate) fn back_up(dir: &Path, to: &Path) -> Result<BackedUp, BackupError> {
        Self::back_up_served(dir, to, Whose { key: Some(&crate::fixtures::ours().key), says_served: |_| false })
    }

    /// Copy what is needed to make the store of this directory anew into another one, which is made. The store may
    /// be open, here or in another process. Without its key nobody sees whether the state is ours: whoever restores the backup
    /// does. What was published of the log is named if it is gone where an entry says that a server ran.
    ///
    /// # Errors
    ///
    /// When there is no store, what is copied is damaged or not ours, or something cannot be read or written.
    pub fn back_up_served(dir: &Path, to: &Path, whose: Whose<'_>) -> Result<BackedUp, BackupError> {
        let places = Places::of(dir);
        places.format()?;
        places.check_links()?;
        apart(to, dir)?;
        let _kept = keep(&places)?;
        let made = make_empty(to)?;
        claim(to)?;
        let done = Self::copy_served((dir, &places), to, whose);
        if done.is_err() {
            // It is no backup, and would be in the way of the next. What cannot be removed is no backup all the same.
            let _ = made.remove(to);
        }
        done
    }

    /// Copy it into an empty directory.
    fn copy_served((dir, places): (&Path, &Places), to: &Path, whose: Whose<'_>) -> Result<BackedUp, BackupError> {
        let Whose { key, says_served } = whose;
        let target = Places::of(to);
        // Where the journal is gone, no base copy helps.
        journal::segments(&places.journal)?;
        let (base, epoch, store) = newest_readable(&places.base)?;
        let plain: u64 = PLAIN.iter().map(|part| bytes_below(&dir.join(part))).sum();
        let of = bytes_below(&base.path) + bytes_below(&places.journal) + plain;
        let mut count = Count { of, ..Count::default() };
        let copied = Base { version: base.version, path: target.base.join(name(&base.path)) };
        count.copy(&base.path, &copied.path, u64::MAX)?;
        let end = copy_journal((places, &target), (&base, store), &mut count)?;
        if let Some(key) = key {
            // What was copied is what is compared: it fits its checksums, whoever wrote it.
            parts::compare(key, (&copied, &target.journal), &|| true)?;
        }
        for part in PLAIN {
            count.copy_dir(&dir.join(part), &to.join(part))?;
        }
        // What was copied is what was read: else it is no backup.
        let (bundled, mut named) = (Bundled::of(&target.log, epoch), Named::default());
        let (mut held, source) = (Held::new(says_served), Bundled::of(&places.log, epoch));
        let (mut records, mut held_records) = (RecordWalk::within(to), HeldRecords::default());
        let read = read_parts((&copied, &target.journal), &mut named, |write| {
            held.take(write);
            records.take(write);
            held_records.take(write);
        })?;
        let unseen = |(path, source)| BackupError::Io { path, source };
        count.bad_files.extend(held.unpublished(&source).map_err(unseen)?);
        count.bad_files.extend(held.bad_files(&bundled, &source).map_err(unseen)?);
        let lost_records = records.known_lost();
        count.bad_files.extend(records.into_bad().0.into_iter().map(|bad| bad.why));
        count.bad_files.extend(held_records.bad_files((&source, epoch.0), &RecordFiles::of(dir)));
        if read != end.version {
            return Err(JournalError::Behind { dir: target.journal, end: read, version: end.version }.into());
        }
        let bad_named = named.check(to, &count.unread).map_err(at(to))?;
        let marker = to.join(MARKER);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&marker).map_err(at(&marker))?;
        file.write_all(MARKER_TEXT.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&marker))?;
        sync_dir(to).map_err(at(to))?;
        let (Count { files, bytes, bad_files, .. }, version) = (count, end.version);
        let log_key = named.log_key;
        Ok(BackedUp { version, base: base.version, files, bytes, bad_files, bad_named, lost_records, epoch, log_key })
    }

    /// A key that signs the log, as base copy and journal of this directory have it: the first that is found, of whichever
    /// epoch. None where none can be read, which is for others to say.
    #[must_use]
    pub fn log_key_of(dir: &Path) -> Option<KeyMaterialRecord> {
        let (places, mut named) = (Places::of(dir), Named::default());
        let base = base::all(&places.base).ok()?.pop()?;
        // Keys are made first of all, so no more is read than has to be.
        let found = || BackupError::NotABackup { dir: dir.to_owned() };
        let mut take = |writes: &[Write]| {
            writes.iter().try_for_each(|write| named.take(write))?;
            if named.log_key.is_some() { Err(found()) } else { Ok(()) }
        };
        if let Ok(store) = base::read(&base, |writes| take(&writes)) {
            let _ = journal::replay(&places.journal, Some(store), base.version, |redo: Redo| take(&redo.writes));
        }
        named.log_key
    }

    /// Read the components, settings and exports of earlier epochs in the directory of a store that nobody uses, and
    /// compare them with the records that name them: those of base copy and journal.
    pub fn check_named(dir: &Path) -> Result<BadNamed, BackupError> {
        let places = Places::of(dir);
        let (base, ..) = newest_readable(&places.base)?;
        check_named(dir, (&base, &places.journal))
    }

    /// See whether this is a finished backup at all.
    pub fn check_is_backup(backup: &Path) -> Result<(), BackupError> {
        parts(backup).map(drop)
    }

    /// As [`Store::check_named`], in a backup.
    pub fn check_backup(backup: &Path) -> Result<BadNamed, BackupError> {
        let (base, journal) = parts(backup)?;
        check_named(backup, (&base, &journal))
    }
}

/// Where the parts of a finished backup are.
pub(crate) fn parts(backup: &Path) -> Result<(Base, PathBuf), BackupError> {
    let marker = read_regular_text(&backup.join(MARKER), MARKER_TEXT.len() as u64 + 1).unwrap_or_default();
    if marker != MARKER_TEXT {
        return Err(BackupError::NotABackup { dir: backup.to_owned() });
    }
    let places = Places::of(backup);
    places.check_links()?;
    let base = base::all(&places.base).map_err(at(&places.base))?.pop();
    Ok((base.ok_or(PartsError::NoBase { dir: places.base })?, places.journal))
}

/// Copy the plain files of a backup to where a store has them.
pub(crate) fn copy_plain(backup: &Path, dir: &Path) -> Result<(), BackupError> {
    let mut count = Count::default();
    PLAIN.iter().try_for_each(|part| count.copy_dir(&backup.join(part), &dir.join(part)))?;
    // What else is bad is found by whoever reads what was copied.
    count.irregular.map_or(Ok(()), |(path, source)| Err(BackupError::Io { path, source }))
}

fn check_named(dir: &Path, parts: (&Base, &Path)) -> Result<BadNamed, BackupError> {
    let mut named = Named::default();
    read_parts(parts, &mut named, |_| {})?;
    named.check(dir, &BTreeMap::new()).map_err(at(dir))
}

/// Read base copy and journal, and take in which files they name. The version that they come to comes back.
fn read_parts(
    (base, journal): (&Base, &Path),
    named: &mut Named,
    mut each: impl FnMut(&Write),
) -> Result<u64, BackupError> {
    let store = base::read(base, |writes| {
        writes.iter().try_for_each(|write| {
            each(write);
            Ok::<_, BackupError>(named.take(write)?)
        })
    })?;
    let take = |redo: Redo| {
        redo.writes.iter().try_for_each(|write| {
            each(write);
            Ok::<_, BackupError>(named.take(write)?)
        })
    };
    Ok(journal::replay(journal, Some(store), base.version, take)?.version)
}

/// Neither is within the other.
fn apart(this: &Path, that: &Path) -> Result<(), BackupError> {
    for (inner, outer) in [(this, that), (that, this)] {
        if is_within(inner, outer).map_err(at(inner))? {
            return Err(BackupError::Within { inner: inner.to_owned(), outer: outer.to_owned() });
        }
    }
    Ok(())
}

/// Keep base copies and journal as they are, for as long as this lives.
pub(crate) fn keep(places: &Places) -> Result<File, BackupError> {
    let keep = open_lock(&places.keep).map_err(at(&places.keep))?;
    keep.lock_shared().map_err(at(&places.keep))?;
    Ok(keep)
}

/// The epoch of the log in it, and whose it is.
fn newest_readable(dir: &Path) -> Result<(Base, Epoch, StoreId), BackupError> {
    Ok(parts::newest_readable(dir, base::all(dir).map_err(at(dir))?, &|| true)?)
}

/// Copy the segments that are needed with this base copy, the last one up to its last whole group.
fn copy_journal(
    (places, target): (&Places, &Places),
    (base, store): (&Base, StoreId),
    count: &mut Count,
) -> Result<End, BackupError> {
    let end = parts::read_journal(&places.journal, (base, store), &|| true)?;
    make_dir(&target.journal)?;
    let segments = journal::segments(&places.journal)?;
    let first = segments.iter().rposition(|segment| segment.first <= base.version).unwrap_or(0);
    for segment in &segments[first..] {
        let bytes_max = match segment.first.cmp(&end.segment.first) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => end.at,
            // It was begun after we looked.
            std::cmp::Ordering::Greater => break,
        };
        count.copy(&segment.path, &target.journal.join(name(&segment.path)), bytes_max)?;
    }
    Ok(end)
}

fn name(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

fn make_dir(dir: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().mode(0o700).create(dir).map_err(at(dir))
}

/// Where a backup is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// Into a directory that was made for it.
    Anew,
    /// Into one that was there, and empty.
    There,
}

impl Made {
    /// Remove all that was put there, and the directory if it was made.
    fn remove(self, dir: &Path) -> io::Result<()> {
        if self == Self::Anew {
            return fs::remove_dir_all(dir);
        }
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }?;
        }
        Ok(())
    }
}

/// Make a directory, or take an empty one.
fn make_empty(dir: &Path) -> Result<Made, BackupError> {
    if !dir.try_exists().map_err(at(dir))? {
        return make_dir(dir).map(|()| Made::Anew);
    }
    match fs::read_dir(dir).map_err(at(dir))?.next() {
        None => Ok(Made::There),
        Some(_) => Err(BackupError::NotEmpty { dir: dir.to_owned() }),
    }
}

/// Take an empty directory before anything is read, which takes long: whoever makes a backup there meanwhile is refused, and
/// removes nothing of this one.
fn claim(dir: &Path) -> Result<(), BackupError> {
    make_dir(&Places::of(dir).base).map_err(|error| match error {
        BackupError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            BackupError::NotEmpty { dir: dir.to_owned() }
        }
        error => error,
    })
}

/// About how many bytes there are to be copied; what cannot be seen counts for nothing, and is an error later.
fn bytes_below(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| bytes_below(&entry.path())).sum()
        }
        found => found.map_or(0, |found| found.len()),
    }
}

/// Whether a file has its own name already.
fn is_finished(path: &Path) -> bool {
    let is_new = path.extension().is_some_and(|extension| extension == "tmp");
    !is_new && !name(path).to_string_lossy().starts_with(TEMPORARY)
}

/// Whether all that is lost with a file is what is in it: nothing else depends on it.
fn stands_alone(path: &Path) -> bool {
    is_bundle(path) || is_blob(path) || path.parent().is_some_and(|dir| dir.ends_with(EPOCHS))
}

fn is_blob(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with(BLOBS))
}

/// Whether a file has entries of the log, or records of their decisions.
fn is_bundle(path: &Path) -> bool {
    let mut above = path.ancestors().skip(1).skip_while(|dir| name(dir).to_string_lossy().starts_with('x'));
    is_of_records(path) || above.next().is_some_and(|dir| dir.ends_with("tile/entries"))
}

/// Copies files, and counts them.
#[derive(Default)]
struct Count {
    files: u64,
    bytes: u64,
    /// About how many bytes there are to be copied; 0 if nobody has seen.
    of: u64,
    bad_files: Vec<String>,
    /// Which other files could not be read, by where they should have been copied to, and what is wrong with them.
    unread: BTreeMap<PathBuf, String>,
    /// The first that is no regular file where something else depends on it.
    irregular: Option<(PathBuf, io::Error)>,
}

impl Count {
    /// Copy the first bytes of a file; it is on disk afterwards.
    fn copy(&mut self, from: &Path, to: &Path, bytes_max: u64) -> Result<(), BackupError> {
        self.copy_unnamed(from, to, bytes_max)?;
        to.parent().map_or(Ok(()), sync_dir).map_err(at(to))
    }

    /// The same; its name is on disk when its directory is synced.
    fn copy_unnamed(&mut self, from: &Path, to: &Path, bytes_max: u64) -> Result<(), BackupError> {
        let mut source = open_regular(from).map_err(at(from))?.take(bytes_max);
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(at(to))?;
        loop {
            let copied = io::copy(&mut source.by_ref().take(COPIED_AT_ONCE), &mut target).map_err(at(to))?;
            self.bytes += copied;
            far::say("bytes copied", self.bytes, self.of);
            if copied < COPIED_AT_ONCE {
                break;
            }
        }
        self.files += 1;
        target.sync_all().map_err(at(to))
    }

    /// Copy a file that is whole. One that cannot be read is named, if nothing else depends on it; and so is whatever
    /// is no regular file.
    fn copy_plain(&mut self, from: &Path, to: &Path, is_file: bool) -> Result<(), BackupError> {
        let open = if is_blob(from) { open_blob } else { open_regular };
        let whole = || open(from).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        if (!is_file || stands_alone(from))
            && let Err(error) = whole()
        {
            if stands_alone(from) && !is_bundle(from) {
                self.unread.insert(to.to_owned(), unreadable(&error));
            } else {
                self.bad_files.push(format!("`{}` cannot be read: {error}", from.display()));
            }
            if !stands_alone(from) {
                self.irregular.get_or_insert((from.to_owned(), error));
            }
            return Ok(());
        }
        self.copy_unnamed(from, to, u64::MAX)
    }

    /// Copy a directory with all that is in it, if it is there.
    fn copy_dir(&mut self, from: &Path, to: &Path) -> Result<(), BackupError> {
        if !from.try_exists().map_err(at(from))? {
            return Ok(());
        }
        make_dir(to)?;
        for entry in fs::read_dir(from).map_err(at(from))? {
            let entry = entry.map_err(at(from))?;
            let target = to.join(entry.file_name());
            let kind = entry.file_type().map_err(at(from))?;
            if kind.is_dir() {
                self.copy_dir(&entry.path(), &target)?;
            } else if is_finished(&entry.path()) {
                self.copy_plain(&entry.path(), &target, kind.is_file())?;
            }
        }
        sync_dir(to).map_err(at(to))
    }
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
