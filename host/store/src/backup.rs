//! Backups: base copy, journal and files, copied out of a directory while the store in it goes on, or while it
//! cannot.
//!
//! ```text
//! <backup>/backup.format   the format, and where the backup ended; written last ([`marker`])
//! <backup>/base/           the newest base copy
//! <backup>/journal/        every group since then that was whole when the copy was made
//! <backup>/blobs/ …        plain files, as they are; bundled entries among them
//! ```
//!
//! Whoever may read the directory may make a backup: it needs no server, and no say of one. What may be removed
//! meanwhile is held by a lock on `store.keep`. Keys of users and the root key are not in the directory, and so in
//! no backup. The copy is read from end to end before it is called one, and each file of entries is
//! compared with the root that base copy or journal have over it ([`crate::held`]), each decision record with the entry
//! that names it, of whichever epoch ([`crate::named_records`]), and each component, settings and export of an earlier epoch
//! with the record that names it ([`crate::named`]). One that is not right keeps nothing else out of the backup: it is copied as it is, and named.
//! What is no regular file is named, too, and neither followed nor waited for.

mod copied;
mod error;
mod looked;
mod marker;
mod strange;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use attorn_log::Epoch;

use self::copied::{Copied, PLAIN, bytes_below, copy_journal, make_dir, name};
use self::error::at;
use self::looked::{Looked, newest_readable};
use self::strange::ByEpoch;
use crate::base::{self, Base, BaseError};
use crate::bundled::Bundled;
use crate::commit::Store;
use crate::error::PartsError;
use crate::files::{is_within, open_lock, sync_dir};
use crate::imprint::ImprintKey;
use crate::journal::{self, JournalError};
use crate::named::{BLOBS, BadNamed, EPOCHS, log_key_in};
use crate::open::FIRST_EPOCH;
use crate::parts::{self, Readable};
use crate::places::Places;
use crate::records::KeyMaterialRecord;
use crate::redo::{Redo, Write};
use crate::repair::causes;
use crate::trees::epoch_in;

pub use self::error::BackupError;
pub use self::marker::{BackupEnd, Reached};
pub use self::strange::{Strange, is_moved_aside};

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
    /// How many entries its log has.
    pub entries: u64,
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

/// What base copy and journal know of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLog {
    /// The epoch that it is in, at least.
    pub epoch: Epoch,
    /// The keys that sign it, wrapped, of all its epochs, by their versions, and whatever else says that it is one.
    pub keys: Vec<KeyMaterialRecord>,
}

/// How it is told whose a store is.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// What its state is compared with; without it nobody sees whether that is ours.
    pub key: Option<&'a ImprintKey>,
    /// Whether an entry says that a server ran: then its log was published.
    pub says_served: fn(&[u8]) -> bool,
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
        let target = Places::of(to);
        // Where the journal is gone, no base copy helps.
        journal::segments(&places.journal)?;
        let Readable { base, epoch, store, passed } = newest_readable(&places.base)?;
        let plain: u64 = PLAIN.iter().map(|part| bytes_below(&dir.join(part))).sum();
        let of = bytes_below(&base.path) + bytes_below(&places.journal) + plain;
        let mut copied = Copied { of, ..Copied::default() };
        let copy = Base { version: base.version, path: target.base.join(name(&base.path)) };
        copied.copy(&base.path, &copy.path, u64::MAX)?;
        let end = copy_journal((places, &target), (&base, store), &mut copied)?;
        if let Some(key) = whose.key {
            // What was copied is what is compared: it fits its checksums, whoever wrote it.
            parts::compare(key, (&copy, &target.journal), &Bundled::of(&places.log, epoch), &|| true)?;
        }
        for part in PLAIN {
            copied.copy_dir(&dir.join(part), &to.join(part))?;
        }
        let Copied { files, bytes, mut bad_files, unread, .. } = copied;
        let found = looked::look((dir, to), (&copy, epoch, end.version), whose, &unread)?;
        let Looked { bad_files: found, bad_named, lost_records, entries, log_key } = found;
        bad_files.extend(found);
        bad_files.extend(passed.map(|error| {
            format!(
                "{}: the backup begins with an older base copy, and has all the same; `attorn repair` makes a new one, while \
                 no server runs",
                causes(&error)
            )
        }));
        let (version, base) = (end.version, base.version);
        marker::write(to, BackupEnd { version, entries, epoch })?;
        Ok(BackedUp { version, base, files, bytes, entries, bad_files, bad_named, lost_records, epoch, log_key })
    }

    /// What base copies and journal of this directory know of the log; none where they cannot be read. How far they come is for
    /// others to say. Nobody has compared them with their imprint, and whoever may write there makes a base copy that is read:
    /// so it is the least of what they say, and all keys that they have.
    #[must_use]
    pub fn known_log(dir: &Path) -> Option<KnownLog> {
        let places = Places::of(dir);
        let (mut known, mut keys): (Option<Epoch>, Vec<KeyMaterialRecord>) = (None, Vec::new());
        for base in base::all(&places.base).ok()? {
            let mut epoch = FIRST_EPOCH;
            let mut take = |writes: &[Write]| {
                epoch = writes.iter().filter_map(epoch_in).fold(epoch, Epoch::max);
                keys.extend(writes.iter().filter_map(log_key_in));
            };
            let store = base::read::<BaseError>(&base, |writes| {
                take(&writes);
                Ok(())
            });
            let Ok(store) = store else { continue };
            // What a journal has before where it is damaged is known all the same.
            let _ = journal::replay::<JournalError>(&places.journal, Some(store), base.version, |redo: Redo| {
                take(&redo.writes);
                Ok(())
            });
            known = Some(known.map_or(epoch, |known| known.min(epoch)));
        }
        keys.sort_by_key(|record| record.version);
        keys.dedup();
        Some(KnownLog { epoch: known?, keys })
    }

    /// Read the components, settings and exports of earlier epochs in the directory of a store that nobody uses, and
    /// compare them with the records that name them: those of base copy and journal.
    pub fn check_named(dir: &Path) -> Result<BadNamed, BackupError> {
        let places = Places::of(dir);
        let Readable { base, .. } = newest_readable(&places.base)?;
        looked::check_named(dir, (&base, &places.journal))
    }

    /// See whether this is a finished backup at all.
    pub fn check_is_backup(backup: &Path) -> Result<(), BackupError> {
        parts(backup).map(drop)
    }

    /// Where a finished backup ended when it was made.
    pub fn backup_end(backup: &Path) -> Result<BackupEnd, BackupError> {
        marker::read(backup)
    }

    /// As [`Store::check_named`], in a backup.
    pub fn check_backup(backup: &Path) -> Result<BadNamed, BackupError> {
        let (base, journal) = parts(backup)?;
        looked::check_named(backup, (&base, &journal))
    }
}

/// Where the parts of a finished backup are.
pub(crate) fn parts(backup: &Path) -> Result<(Base, PathBuf), BackupError> {
    marker::read(backup)?;
    let places = Places::of(backup);
    places.check_links()?;
    strange::check_dirs(backup)?;
    strange::check_names(backup)?;
    let base = base::all(&places.base).map_err(at(&places.base))?.pop();
    Ok((base.ok_or(PartsError::NoBase { dir: places.base })?, places.journal))
}

/// Copy the plain files of a backup, whose log is in this epoch, to where a store has them.
pub(crate) fn copy_plain(backup: &Path, dir: &Path, epoch: Epoch) -> Result<(), BackupError> {
    let mut copied = Copied::default();
    for part in PLAIN {
        let (from, to) = (backup.join(part), dir.join(part));
        match part {
            BLOBS | EPOCHS => copied.copy_dir(&from, &to)?,
            _ => copy_by_epoch(&mut copied, (&from, &to), epoch)?,
        }
    }
    // What else is bad is found by whoever reads what was copied.
    copied.irregular.map_or(Ok(()), |(path, source)| Err(BackupError::Io { path, source }))
}

/// Copy what a directory has of epochs up to this one. Of later ones nobody has signed anything that is restored, and the
/// next takes the place of the first of them.
fn copy_by_epoch(copied: &mut Copied, (from, to): (&Path, &Path), epoch: Epoch) -> Result<(), BackupError> {
    if !from.try_exists().map_err(at(from))? {
        return Ok(());
    }
    make_dir(to)?;
    for name in ByEpoch::of(from, epoch)?.known {
        copied.copy_dir(&from.join(&name), &to.join(&name))?;
    }
    sync_dir(to).map_err(at(to))
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
    let base = Places::of(dir).base;
    match fs::DirBuilder::new().mode(0o700).create(&base) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::NotEmpty { dir: dir.to_owned() })
        }
        made => made.map_err(at(&base)),
    }
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
