//! What is copied into a backup: the journal up to its last whole group, and plain files.
//!
//! A file that nothing else depends on and that cannot be read is kept in mind, and keeps nothing else out. What the copies
//! say is not looked at here: see [`super::looked`].

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{BackupError, at};
use crate::base::Base;
use crate::far;
use crate::filed::{RECORDS, is_of_records};
use crate::files::{TEMPORARY, open_regular, sync_dir};
use crate::frame::StoreId;
use crate::journal::{self, End};
use crate::named::{BLOBS, EPOCHS, open_blob, unreadable};
use crate::parts;
use crate::places::Places;

/// Plain files beside the engine, by directory: what is too large to be a value, the logs of earlier epochs, the
/// checkpoints that were published, and decision records. Copied after the journal: whatever it names is there.
pub(super) const PLAIN: [&str; 4] = [BLOBS, EPOCHS, "log", RECORDS];
/// After how many bytes of a file it is said how far a copy is.
const COPIED_AT_ONCE: u64 = 8 << 20;

/// Copy the segments that are needed with this base copy, the last one up to its last whole group.
pub(super) fn copy_journal(
    (places, target): (&Places, &Places),
    (base, store): (&Base, StoreId),
    copied: &mut Copied,
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
        copied.copy(&segment.path, &target.journal.join(name(&segment.path)), bytes_max)?;
    }
    Ok(end)
}

pub(super) fn name(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

pub(super) fn make_dir(dir: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().mode(0o700).create(dir).map_err(at(dir))
}

/// About how many bytes there are to be copied; what cannot be seen counts for nothing, and is an error later.
pub(super) fn bytes_below(path: &Path) -> u64 {
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
pub(super) struct Copied {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// About how many bytes there are to be copied; 0 if nobody has seen.
    pub(super) of: u64,
    pub(super) bad_files: Vec<String>,
    /// Which other files could not be read, by where they should have been copied to, and what is wrong with them.
    pub(super) unread: BTreeMap<PathBuf, String>,
    /// The first that is no regular file where something else depends on it.
    pub(super) irregular: Option<(PathBuf, io::Error)>,
}

impl Copied {
    /// Copy the first bytes of a file; it is on disk afterwards.
    pub(super) fn copy(&mut self, from: &Path, to: &Path, bytes_max: u64) -> Result<(), BackupError> {
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

    /// Copy a directory with all that is in it, if it is there: its files first, and then the directories in it. A server that
    /// runs meanwhile writes in the other order: a checkpoint stands in the history before it is the newest, and a file with
    /// entries is there before it is counted. So what is copied later has at least as much as what was copied first says.
    pub(super) fn copy_dir(&mut self, from: &Path, to: &Path) -> Result<(), BackupError> {
        if !from.try_exists().map_err(at(from))? {
            return Ok(());
        }
        make_dir(to)?;
        let mut dirs = Vec::new();
        for entry in fs::read_dir(from).map_err(at(from))? {
            let entry = entry.map_err(at(from))?;
            let target = to.join(entry.file_name());
            let kind = entry.file_type().map_err(at(from))?;
            if kind.is_dir() {
                dirs.push((entry.path(), target));
            } else if is_finished(&entry.path()) {
                self.copy_plain(&entry.path(), &target, kind.is_file())?;
            }
        }
        for (dir, target) in dirs {
            self.copy_dir(&dir, &target)?;
        }
        sync_dir(to).map_err(at(to))
    }
}
