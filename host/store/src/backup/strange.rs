//! What stands in a backup where no backup has anything, and how much of it there may be.
//!
//! Whoever may write to a backup makes as many files and directories in it as they like, under the names of epochs that are
//! to come. In `log/` and `records/` nothing of that is copied: it is named, a few of it and how many there are. What is
//! called `….broken-1` somebody moved aside before; nobody needs it, and it is not named again.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use attorn_log::Epoch;

use super::copied::PLAIN;
use super::{BackupError, at};
use crate::commit::Store;
use crate::filed::RECORDS;
use crate::files::irregular;
use crate::named::EPOCHS;
use crate::places::Places;

/// What has a directory or files for each epoch.
const BY_EPOCH: [&str; 3] = [EPOCHS, LOG, RECORDS];
const LOG: &str = "log";
/// How many names there may be in one of these: so many epochs may come after the last that is known, and some more are no
/// reason to refuse a backup.
const NAMES_MAX: usize = (1 << 16) + (1 << 12);
/// How many are named.
const NAMED_MAX: usize = 3;

/// Files and directories that are of no epoch that is restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strange {
    /// The first few of them.
    few: Vec<PathBuf>,
    /// How many more there are.
    more: usize,
}

impl Strange {
    /// Of all these.
    #[must_use]
    pub fn of(mut all: Vec<PathBuf>) -> Self {
        // So that epoch 10 comes after epoch 2.
        all.sort_by(|a, b| (a.as_os_str().len(), a).cmp(&(b.as_os_str().len(), b)));
        let more = all.len().saturating_sub(NAMED_MAX);
        all.truncate(NAMED_MAX);
        Self { few: all, more }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.few.is_empty()
    }
}

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let few: Vec<_> = self.few.iter().map(|path| format!("`{}`", path.display())).collect();
        f.write_str(&few.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

impl Store {
    /// What `log/` and `records/` of a backup have that is of no epoch up to this one, the backup's own.
    pub fn strange_in(backup: &Path, epoch: Epoch) -> Result<Strange, BackupError> {
        let mut all = Vec::new();
        for part in [LOG, RECORDS] {
            let dir = backup.join(part);
            all.extend(ByEpoch::of(&dir, epoch)?.strange.iter().map(|name| dir.join(name)));
        }
        Ok(Strange::of(all))
    }
}

/// What a directory has, which has a directory for each epoch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ByEpoch {
    /// The directories of epochs up to this one.
    pub(super) known: Vec<OsString>,
    strange: Vec<OsString>,
}

impl ByEpoch {
    /// Look at all names in it; there are none where it is not there.
    pub(super) fn of(dir: &Path, epoch: Epoch) -> Result<Self, BackupError> {
        let mut found = Self::default();
        each_name(dir, NAMES_MAX, |entry| {
            let name = entry.file_name();
            let of = name.to_str().and_then(|name| name.parse::<Epoch>().ok());
            let is_known = of.is_some_and(|of| of <= epoch) && entry.file_type().map_err(at(dir))?.is_dir();
            if is_known {
                found.known.push(name);
            } else if !is_moved_aside(&name) {
                found.strange.push(name);
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// Whether somebody has moved aside what is called so (see [`crate::repair::free_name`]).
#[must_use]
pub fn is_moved_aside(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    let number = extension.and_then(|extension| extension.strip_prefix("broken-"));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// See that what are directories in each store's are directories here, as far as they are there.
pub(super) fn check_dirs(dir: &Path) -> Result<(), BackupError> {
    let Places { base, journal, .. } = Places::of(dir);
    for path in [base, journal].into_iter().chain(PLAIN.map(|part| dir.join(part))) {
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(at(&path)(irregular("it is no directory".to_owned()))),
            Err(error) => return Err(at(&path)(error)),
        }
    }
    Ok(())
}

/// See that nobody filled a backup with names until nothing could come of it.
pub(super) fn check_names(backup: &Path) -> Result<(), BackupError> {
    BY_EPOCH.iter().try_for_each(|part| each_name(&backup.join(part), NAMES_MAX, |_| Ok(())))
}

fn each_name(
    dir: &Path,
    names_max: usize,
    mut each: impl FnMut(&fs::DirEntry) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(at(dir))?,
    };
    for (count, entry) in entries.enumerate() {
        if count >= names_max {
            return Err(BackupError::TooManyNames { dir: dir.to_owned(), names_max });
        }
        each(&entry.map_err(at(dir))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_few_are_named_in_their_order_and_the_others_counted() {
        let of = |names: &[&str]| Strange::of(names.iter().map(PathBuf::from).collect()).to_string();
        assert_eq!(of(&["log/10"]), "`log/10`");
        assert_eq!(of(&["log/10", "log/3", "log/2"]), "`log/2`, `log/3`, `log/10`");
        assert_eq!(of(&["log/4", "log/10", "log/11", "log/3", "log/2"]), "`log/2`, `log/3`, `log/4` and 2 more");
        assert!(Strange::of(Vec::new()).is_empty());
    }

    #[test]
    fn directories_of_epochs_up_to_the_last_are_known_and_nothing_else_is() {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("log");
        for name in ["1", "2", "3", "02", "x", "2.broken-1"] {
            fs::create_dir_all(log.join(name)).unwrap();
        }
        fs::write(log.join("0"), "").unwrap();
        let mut found = ByEpoch::of(&log, Epoch(2)).unwrap();
        found.known.sort();
        assert_eq!(found.known, ["1", "2"]);
        let strange = Store::strange_in(dir.path(), Epoch(2)).unwrap();
        let shown = log.display();
        assert_eq!(strange.to_string(), format!("`{shown}/0`, `{shown}/3`, `{shown}/x` and 1 more"));
        assert!(Store::strange_in(&dir.path().join("nothing"), Epoch(2)).unwrap().is_empty());
    }

    #[test]
    fn what_was_moved_aside_is_told_by_its_name() {
        for (called, is_aside) in [
            ("2.broken-1", true),
            ("checkpoint.broken-17", true),
            ("2.broken-", false),
            ("2.broken-x", false),
            ("broken-1", false),
            ("2.export", false),
        ] {
            assert_eq!(is_moved_aside(called.as_ref()), is_aside, "{called}");
        }
    }

    #[test]
    fn a_directory_with_more_names_than_there_may_be_is_refused_by_its_name() {
        let dir = TempDir::new().unwrap();
        for name in ["1.export", "1.index"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        each_name(dir.path(), 2, |_| Ok(())).unwrap();
        let refused = each_name(dir.path(), 1, |_| Ok(())).unwrap_err();
        assert!(refused.is_altered());
        let due = format!("`{}` has more than 1 names, and no backup has so many there", dir.path().display());
        assert_eq!(refused.to_string(), due);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_named() {
        for part in ["base", "journal", "blobs", "epochs", "log", "records"] {
            let dir = TempDir::new().unwrap();
            check_dirs(dir.path()).unwrap();
            let path = dir.path().join(part);
            fs::write(&path, "").unwrap();
            let refused = check_dirs(dir.path()).unwrap_err();
            assert!(refused.is_altered());
            assert_eq!(
                crate::repair::causes(&refused),
                format!("`{}` could not be used: it is no directory", path.display())
            );
        }
    }
}
