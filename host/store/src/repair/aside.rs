//! Moving aside what is broken. Nothing in it is ever deleted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Give a directory another name. Nothing in it is ever deleted.
pub(super) fn move_aside(dir: &Path) -> std::io::Result<Option<PathBuf>> {
    if !is_there(dir)? {
        return Ok(None);
    }
    let aside = free_name(dir)?;
    fs::rename(dir, &aside)?;
    Ok(Some(aside))
}

/// Whether anything is there; a link that leads nowhere is.
///
/// # Errors
///
/// When nobody can see that.
pub fn is_there(path: &Path) -> std::io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true),
    }
}

/// A name for what is broken of a file or directory.
///
/// # Errors
///
/// When nobody can see what names are taken.
pub fn free_name(dir: &Path) -> std::io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let aside = dir.with_extension(format!("broken-{number}"));
        if !is_there(&aside)? {
            return Ok(aside);
        }
        number += 1;
    }
}
