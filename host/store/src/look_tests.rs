//! What is copied to be looked at: regular files alone, and only where there is room.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

#[test]
fn regular_files_are_copied_and_nothing_else_is_opened() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir(from.path().join("blobs")).unwrap();
    for (name, bytes) in [("db", "engine"), ("blobs/1", "large")] {
        fs::write(from.path().join(name), bytes).unwrap();
    }
    let copy = to.path().join("copy");
    copy_apart(from.path(), &copy).unwrap();
    assert_eq!(fs::read_to_string(copy.join("db")).unwrap(), "engine");
    assert_eq!(fs::read_to_string(copy.join("blobs/1")).unwrap(), "large");
    symlink("db", from.path().join("link")).unwrap();
    let error = copy_apart(from.path(), &to.path().join("other")).unwrap_err();
    assert_eq!(error.to_string(), "`link` in it is no regular file");
    assert!(!to.path().join("other").exists(), "nothing was copied");
    let error = copy_apart(&from.path().join("db"), &to.path().join("other")).unwrap_err();
    assert_eq!(error.to_string(), "it is no directory");
}

#[test]
fn what_finds_no_room_is_not_copied() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // It has no bytes on disk, and more than any file system has room for.
    File::create(from.path().join("db")).unwrap().set_len(1 << 43).unwrap();
    let error = copy_apart(from.path(), &to.path().join("copy")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert!(!to.path().join("copy/db").exists());
}
