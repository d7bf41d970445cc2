//! What is looked at in a backup: what base copy and journal come to, and each file that they name.
//!
//! Nothing is copied or mended here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attorn_log::Epoch;

use super::{BackupError, Whose, at, strange};
use crate::base::{self, Base};
use crate::bundled::{BUNDLE_ENTRIES, Bundled, last_of};
use crate::error::PartsError;
use crate::filed::RecordFiles;
use crate::head;
use crate::held::Held;
use crate::held_records::HeldRecords;
use crate::journal::{self, JournalError};
use crate::named::{BadNamed, Named};
use crate::named_records::NamedRecords;
use crate::parts::{self, LogProblem, Readable};
use crate::places::Places;
use crate::record_walk::{RecordWalk, Rows};
use crate::records::KeyMaterialRecord;
use crate::redo::{Redo, Write};
use crate::trees::HEAD_KEY;

/// What was found in what was copied.
pub(super) struct Looked {
    /// Which files are bad that only what is in them is lost with, and which decision records.
    pub(super) bad_files: Vec<String>,
    pub(super) bad_named: BadNamed,
    pub(super) lost_records: u64,
    /// How many entries its log has.
    pub(super) entries: u64,
    pub(super) log_key: Option<KeyMaterialRecord>,
}

/// Look at all that was copied to a directory. What is bad keeps nothing else from being looked at, unless no store could be
/// made of it.
pub(super) fn look(
    (dir, to): (&Path, &Path),
    (base, epoch, version): (&Base, Epoch, u64),
    whose: Whose<'_>,
    unread: &BTreeMap<PathBuf, String>,
) -> Result<Looked, BackupError> {
    let (source, copied) = (Places::of(dir), Places::of(to));
    // What was copied is what was read: else it is no backup.
    let (bundled, source) = (Bundled::of(&copied.log, epoch), Bundled::of(&source.log, epoch));
    let (mut held, mut named) = (Held::new(whose.says_served), Named::default());
    let (mut records, mut held_records) = (RecordWalk::within(to), HeldRecords::default());
    let mut last_head = None;
    let read = read_parts((base, &copied.journal), &mut named, |write| {
        held.take(write);
        held_records.take(write);
        parts::take_entry(&mut records, epoch, write);
        if write.key == HEAD_KEY {
            last_head = write.value.as_ref().and_then(|row| head::parse(row).ok()).or(last_head.take());
        }
    })?;
    if read != version {
        return Err(JournalError::Behind { dir: copied.journal, end: read, version }.into());
    }
    let unseen = |(path, source)| BackupError::Io { path, source };
    let mut bad_files: Vec<String> = held.unpublished(&source).map_err(unseen)?.into_iter().collect();
    let mut wrong = None;
    let bad = held.bad_files(&bundled, &source, &mut |number, whole, nodes| {
        for index in number * BUNDLE_ENTRIES..=last_of(number) {
            records.named.read(epoch, index, whole.entry(index));
        }
        // Its root is right. What stands below that nobody reads, but for a walk, which would end there.
        if !whole.has_nodes(last_of(number), nodes) {
            wrong = wrong.or(Some(last_of(number)));
        }
    });
    bad_files.extend(bad.map_err(unseen)?);
    if let Some(index) = wrong {
        return Err(PartsError::from(LogProblem::Entry(index)).into());
    }
    let bad_named = named.check(to, unread, &mut records.named).map_err(at(to))?;
    parts::look_at_rows(&mut records, (base, &copied.journal), Rows::All, &|| true)?;
    let lost_records = records.known_lost();
    let (bad_records, bad_decisions) = records.into_bad(epoch);
    bad_files.extend(bad_records.into_iter().map(|bad| bad.why));
    bad_files.extend(bad_decisions);
    let entries = last_head.map_or(0, |(_, head)| head.size);
    bad_files.extend(held_records.bad_files((&source, epoch.0, entries), &RecordFiles::of(dir)));
    Ok(Looked { bad_files, bad_named, lost_records, entries, log_key: named.log_key })
}

/// As [`crate::Store::check_named`], by the records of these parts.
pub(super) fn check_named(dir: &Path, parts: (&Base, &Path)) -> Result<BadNamed, BackupError> {
    strange::check_dirs(dir)?;
    let mut named = Named::default();
    read_parts(parts, &mut named, |_| {})?;
    named.check(dir, &BTreeMap::new(), &mut NamedRecords::new()).map_err(at(dir))
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

/// The newest base copy in this directory that can be read.
pub(super) fn newest_readable(dir: &Path) -> Result<Readable, BackupError> {
    Ok(parts::newest_readable(dir, base::all(dir).map_err(at(dir))?, &|| true)?)
}
