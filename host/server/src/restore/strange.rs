//! What lies in a backup and is of no epoch that is restored.
//!
//! Nobody signed it, and nothing needs it. In `epochs/` it would stand where this log and those after it keep theirs, so it
//! is moved aside, all of it into one directory and under its own names; in `log/` and `records/` it is not even copied
//! ([`Store::strange_in`]). Nothing of it is deleted, and all of it is named.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use attorn_log::Epoch;
use attorn_store::{Store, Strange, free_name, is_moved_aside};

use super::unusable;
use crate::epochs::{EPOCHS, EpochError, sync_dir};
use crate::http::failure::causes;

/// How the names of files end in which an epoch that ended is kept.
const KEPT: [&str; 2] = ["export", "index"];

/// See to all of it, in a backup whose log is in this epoch and of which `was` is what was unpacked. What is said of it
/// comes back; what was moved is told where it is when `work` has the name `target`.
pub(super) fn see_to(
    backup: &Path,
    (was, work, target): (&Path, &Path, &Path),
    epoch: Epoch,
) -> Result<Vec<String>, EpochError> {
    let strange = Store::strange_in(backup, epoch).map_err(|error| unusable(&error, causes(&error)))?;
    let left = (!strange.is_empty()).then(|| {
        format!(
            "{strange}: of no epoch of the log in the backup, the last of which is {epoch}; somebody put that there, or base copy \
             and journal in it are older. It was not copied"
        )
    });
    let moved = move_aside(was, work, epoch)?.map(|(strange, aside)| {
        let strange = strange.to_string().replace(&*was.to_string_lossy(), &backup.to_string_lossy());
        let aside = target.join(aside.file_name().unwrap_or_default());
        format!(
            "{strange}: nothing of an epoch that ended before epoch {epoch}, the backup's own, is kept under that name; it was \
             moved to `{}`",
            aside.display()
        )
    });
    Ok(left.into_iter().chain(moved).collect())
}

/// Move what lies in `epochs/` and is kept of no epoch before this one. What it was, and where it is, comes back.
fn move_aside(was: &Path, work: &Path, epoch: Epoch) -> Result<Option<(Strange, PathBuf)>, EpochError> {
    let (dir, io) = (was.join(EPOCHS), EpochError::io);
    // All names are read before the first is moved: of a directory that changes meanwhile some may be read twice, or never.
    // The store has copied no more of them than it allows.
    let strange: Vec<OsString> = match fs::read_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => {
            let names = entries.map_err(io(&dir))?.map(|entry| entry.map(|entry| entry.file_name()));
            let names: Vec<OsString> = names.collect::<Result<_, _>>().map_err(io(&dir))?;
            names.into_iter().filter(|name| !stays(name, epoch)).collect()
        }
    };
    if strange.is_empty() {
        return Ok(None);
    }
    let aside = free_name(&work.join(EPOCHS)).map_err(io(work))?;
    DirBuilder::new().mode(0o700).create(&aside).map_err(io(&aside))?;
    for name in &strange {
        fs::rename(dir.join(name), aside.join(name)).map_err(io(&dir.join(name)))?;
    }
    sync_dir(&aside)?;
    sync_dir(&dir)?;
    sync_dir(work)?;
    Ok(Some((Strange::of(strange.iter().map(|name| dir.join(name)).collect()), aside)))
}

/// Whether a name in `epochs/` is that of what is kept of an earlier epoch, or of what was moved aside before.
fn stays(name: &OsStr, epoch: Epoch) -> bool {
    let of = |name: &str| {
        let (number, ending) = name.split_once('.')?;
        KEPT.contains(&ending).then(|| number.parse::<Epoch>().ok())?
    };
    is_moved_aside(name) || name.to_str().and_then(of).is_some_and(|of| of < epoch)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(dir: &Path) -> BTreeSet<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_of_no_earlier_epoch_is_moved_into_one_directory_under_its_own_names() {
        let home = tempfile::TempDir::new().unwrap();
        let work = home.path().join("data.restoring");
        let (was, target, backup) = (work.join("was"), home.path().join("data"), home.path().join("backup"));
        fs::create_dir_all(was.join(EPOCHS)).unwrap();
        let kept = ["1.export", "1.index", "2.export", "2.broken-1", "4.broken-2"];
        let strange = ["3.export", "3.index", "4.export", "10.x", "02.export", "2.export.tmp", "junk"];
        for name in kept.iter().chain(&strange) {
            fs::write(was.join(EPOCHS).join(name), name).unwrap();
        }
        let said = see_to(&backup, (&was, &work, &target), Epoch(3)).unwrap();
        let aside = work.join("epochs.broken-1");
        assert_eq!(names(&was.join(EPOCHS)), kept.map(str::to_owned).into());
        assert_eq!(names(&aside), strange.map(str::to_owned).into());
        for name in strange {
            assert_eq!(fs::read_to_string(aside.join(name)).unwrap(), name);
        }
        let [said] = &said[..] else { panic!("{said:?}") };
        let named = ["10.x", "junk", "3.index"].map(|name| format!("`{}`", backup.join(EPOCHS).join(name).display()));
        assert!(said.starts_with(&format!("{} and 4 more: ", named.join(", "))), "{said}");
        assert!(said.ends_with(&format!("it was moved to `{}`", target.join("epochs.broken-1").display())), "{said}");
        // Where all is as it should be, nothing is said and nothing made.
        assert_eq!(see_to(&backup, (&was, &work, &target), Epoch(3)).unwrap(), Vec::<String>::new());
        assert!(!work.join("epochs.broken-2").exists());
        fs::remove_dir_all(was.join(EPOCHS)).unwrap();
        assert_eq!(see_to(&backup, (&was, &work, &target), Epoch(3)).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn however_many_there_are_each_is_moved_once() {
        let home = tempfile::TempDir::new().unwrap();
        let was = home.path().join("was");
        fs::create_dir_all(was.join(EPOCHS)).unwrap();
        for n in 0..3_000 {
            fs::write(was.join(EPOCHS).join(format!("2.x{n}")), "").unwrap();
        }
        let (strange, aside) = move_aside(&was, home.path(), Epoch(1)).unwrap().unwrap();
        assert!(strange.to_string().ends_with("/epochs/2.x2` and 2997 more"), "{strange}");
        assert_eq!(names(&aside).len(), 3_000);
        assert!(names(&was.join(EPOCHS)).is_empty());
    }
}
