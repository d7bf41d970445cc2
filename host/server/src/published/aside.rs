//! What is moved aside of an epoch's files with checkpoints: `<name>.broken-<n>`, beside where it was. None of it is ever
//! deleted.
//!
//! What something else takes the place of gets a second name there, and leaves its own only when the other is renamed over
//! it. So there is something in its place at every moment, and whoever was cut off begins anew with the same.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use attorn_store::{free_name, is_there};

use super::files::sync_dir;

/// All that was moved aside from this place, the last of it last.
pub(super) fn all(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (dir, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let found = entry?.file_name();
        let more = found.to_str().zip(name.to_str()).and_then(|(found, name)| found.strip_prefix(name));
        let number = more.and_then(|more| more.strip_prefix(".broken-")?.parse::<u32>().ok());
        all.extend(number.map(|number| (number, dir.join(found))));
    }
    all.sort();
    Ok(all.into_iter().map(|(_, aside)| aside).collect())
}

/// Where something goes; none if it is not there. Whoever was cut off may have given it that name already.
pub(super) fn name_for(path: &Path) -> io::Result<Option<PathBuf>> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let id = |one: &fs::Metadata| (one.dev(), one.ino());
    let is_it = |aside: &PathBuf| fs::symlink_metadata(aside).is_ok_and(|other| id(&other) == id(&found));
    match all(path)?.into_iter().find(is_it) {
        Some(aside) => Ok(Some(aside)),
        // The last part of a name is what is replaced in it.
        None => free_name(&path.with_added_extension("aside")).map(Some),
    }
}

/// Have it aside, and leave it where it is until something is renamed over it. Nothing can be renamed over a directory, and
/// some file systems know no second names: then it is moved.
pub(super) fn keep(path: &Path) -> io::Result<()> {
    let Some(aside) = name_for(path)? else { return Ok(()) };
    if !is_there(&aside)? {
        match fs::hard_link(path, &aside) {
            // Of a directory, or where there are no second names.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                fs::rename(path, &aside)?;
            }
            kept => kept?,
        }
    }
    sync_dir(path.parent().unwrap_or(path))
}

/// Move it aside.
pub(super) fn move_away(path: &Path) -> io::Result<()> {
    let Some(aside) = name_for(path)? else { return Ok(()) };
    // Of two names of one file neither can be renamed to the other.
    let moved = if is_there(&aside)? { fs::remove_file(path) } else { fs::rename(path, &aside) };
    moved?;
    sync_dir(path.parent().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_there_goes_nowhere() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("checkpoint");
        assert_eq!((name_for(&path).unwrap(), all(&path).unwrap()), (None, Vec::new()));
        keep(&path).unwrap();
        move_away(&path).unwrap();
        assert_eq!(names(dir.path()), Vec::<String>::new());
        assert_eq!(all(&dir.path().join("gone/checkpoint")).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_file_that_is_kept_stays_in_its_place_and_has_one_other_name() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("checkpoint");
        fs::write(&path, "bad").unwrap();
        // Whoever was cut off comes again.
        for _ in 0..3 {
            keep(&path).unwrap();
            assert_eq!(names(dir.path()), ["checkpoint", "checkpoint.broken-1"]);
        }
        fs::write(dir.path().join("new"), "good").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(fs::read_to_string(path.with_extension("broken-1")).unwrap(), "bad");
        // Another one gets another name.
        keep(&path).unwrap();
        assert_eq!(names(dir.path()), ["checkpoint", "checkpoint.broken-1", "checkpoint.broken-2"]);
        move_away(&path).unwrap();
        assert_eq!(names(dir.path()), ["checkpoint.broken-1", "checkpoint.broken-2"]);
        assert_eq!(fs::read_to_string(path.with_extension("broken-2")).unwrap(), "good");
    }

    #[test]
    fn a_directory_and_a_link_that_leads_nowhere_are_moved_and_followed_nowhere() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("checkpoints");
        fs::create_dir(&path).unwrap();
        keep(&path).unwrap();
        assert_eq!(names(dir.path()), ["checkpoints.broken-1"]);
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        move_away(&path).unwrap();
        assert_eq!(fs::read_link(path.with_extension("broken-2")).unwrap(), Path::new("/nowhere"));
        assert_eq!(names(dir.path()), ["checkpoints.broken-1", "checkpoints.broken-2"]);
    }

    #[test]
    fn what_lies_aside_is_told_from_what_is_called_alike_and_the_last_of_it_is_last() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("checkpoint");
        for name in ["checkpoint.broken-10", "checkpoint.broken-9", "checkpoint.broken-x", "checkpoints.broken-1"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let all = all(&path).unwrap();
        let found: Vec<&str> = all.iter().filter_map(|aside| aside.file_name()?.to_str()).collect();
        assert_eq!(found, ["checkpoint.broken-9", "checkpoint.broken-10"]);
        // Names keep what they say: two files of one name but for its end do not come to the same.
        fs::write(dir.path().join("checkpoints.old"), "").unwrap();
        let aside = name_for(&dir.path().join("checkpoints.old")).unwrap().unwrap();
        assert_eq!(aside, dir.path().join("checkpoints.old.broken-1"));
    }
}
