//! Directories of the store that are links: nobody works through one.
//!
//! What is behind a link is elsewhere: backups and copies pass it by, a disk that is thrown away does not take it with it,
//! and whoever may turn the link decides what the server reads and writes. So a store is not opened where one of its
//! directories is a link. The directory of the whole store may be one: whoever names it in the configuration says so.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// All that has directories, or is one. What else stands in the directory is not the server's.
const PARTS: [&str; 10] =
    ["store", "store.cut-off", "journal", "journal.new", "base", "blobs", "epochs", "index", "log", "records"];
/// Deeper than any directory is.
const DEPTH_MAX: u32 = 16;

/// The first directory below this one that is a link; none if there is none.
pub(crate) fn first_in(dir: &Path) -> io::Result<Option<PathBuf>> {
    for part in PARTS {
        let path = dir.join(part);
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?.file_type(),
        };
        if let Some(link) = look(path, found, DEPTH_MAX)? {
            return Ok(Some(link));
        }
    }
    Ok(None)
}

/// A link that leads to no directory is refused where a file is opened.
fn look(path: PathBuf, found: fs::FileType, depth: u32) -> io::Result<Option<PathBuf>> {
    if found.is_symlink() {
        return Ok(path.is_dir().then_some(path));
    }
    if !found.is_dir() || depth == 0 {
        return Ok(None);
    }
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        let found = match entry.file_type() {
            // Somebody removed it meanwhile: what a server that runs does not need any more.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?,
        };
        if let Some(link) = look(entry.path(), found, depth - 1)? {
            return Ok(Some(link));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
