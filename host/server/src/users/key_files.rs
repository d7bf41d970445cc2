//! Copies of the users' keys, apart from those of the data: who has both, and the root key, reads what is kept of users.
//!
//! With the keys go the marks of users who were erased. A file counts as a key if the root key opens it, whatever its
//! name says; one that it does not open is named. A file has its name when it is whole and on disk, not before, so that
//! what is cut off leaves no half key. Who is still to have a key is for `restore` to know.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use attorn_core::UserId;
use attorn_identity::RootKey;
use attorn_store::{create_beside, open_regular};

use super::keys::{EXTENSION, FILE_BYTES_MAX, MARK_EXTENSION, UserKeys, unwrapped};

/// How the name of a file ends that is being written.
const UNFINISHED: &str = "tmp";

/// What was copied of users' keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CopiedKeys {
    /// How many keys.
    pub keys: u64,
    /// Which files hold none that the root key opens, and why; they were copied as they are, where they are files.
    pub bad: Vec<String>,
}

/// What came of putting a key back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there.
    Back,
    /// It was there already, or the copy has none any more, or its user was erased here.
    NotNeeded,
    /// What the copy has of it is no key; which file, and why.
    Bad(String),
}

/// What a directory has of a user's key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// A key that the root key opens.
    Key,
    /// No file.
    Nothing,
    /// A file that is none; which, and why.
    Bad(String),
}

/// Copy the files of all users' keys into a directory that is not there yet. The server may run: a user who is erased
/// meanwhile is in the copy or not, and whoever restores it has the next start destroy their key. With the root key, each
/// copy is opened.
///
/// # Errors
///
/// When something cannot be read or written; then the copy is worth nothing.
pub fn copy_user_keys(user_keys: &Path, to: &Path, root: Option<&RootKey>) -> io::Result<CopiedKeys> {
    private_directory(to)?;
    let mut copied = CopiedKeys::default();
    for shard in fs::read_dir(user_keys)? {
        let shard = shard?;
        if !shard.file_type()?.is_dir() {
            continue;
        }
        let target = to.join(shard.file_name());
        private_directory(&target)?;
        for entry in fs::read_dir(shard.path())? {
            let path = entry?.path();
            match path.extension() {
                Some(extension) if extension == EXTENSION => copied.take(&path, &target, root)?,
                Some(extension) if extension == MARK_EXTENSION => drop(copy(&path, &target)?),
                _ => {}
            }
        }
        File::open(&target)?.sync_all()?;
    }
    File::open(to)?.sync_all()?;
    Ok(copied)
}

impl CopiedKeys {
    /// Copy a key. What cannot be one is named and left where it is.
    fn take(&mut self, path: &Path, to: &Path, root: Option<&RootKey>) -> io::Result<()> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        let why = if !found.is_file() {
            Some("it is no regular file".to_owned())
        } else if found.len() > FILE_BYTES_MAX {
            Some("its file is too long".to_owned())
        } else if copy(path, to)? {
            let target = to.join(path.file_name().unwrap_or_default());
            match (root, user_of(path)) {
                (_, None) => Some("its name is no user's id".to_owned()),
                (None, Some(_)) => None,
                (Some(root), Some(user)) => unwrapped(root, &user, &target).err(),
            }
        } else {
            return Ok(());
        };
        match why {
            None => self.keys += 1,
            Some(why) => self.bad.push(no_key(path, &why)),
        }
        Ok(())
    }
}

/// Copy one, over what is there; false if its user was erased meanwhile. It has its name when it is on disk.
fn copy(path: &Path, to: &Path) -> io::Result<bool> {
    let mut from = match open_regular(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened?.take(FILE_BYTES_MAX),
    };
    let target = to.join(path.file_name().unwrap_or_default());
    let beside = target.with_added_extension(UNFINISHED);
    let mut write = || {
        let mut file = create_beside(&beside)?;
        io::copy(&mut from, &mut file)?;
        file.sync_all()?;
        fs::rename(&beside, &target)
    };
    write().inspect_err(|_| {
        // What matters is why. Nobody takes what is left for a key.
        let _ = fs::remove_file(&beside);
    })?;
    Ok(true)
}

/// The users whose keys are in a directory. Ids are short, so a list of all has its place in memory.
pub(crate) fn users(dir: &Path) -> io::Result<Vec<UserId>> {
    named(dir, EXTENSION)
}

/// The users who were erased, as far as the marks in a directory say. None if it is not there.
pub(crate) fn erased_users(dir: &Path) -> io::Result<Vec<UserId>> {
    match named(dir, MARK_EXTENSION) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        named => named,
    }
}

fn named(dir: &Path, extension: &str) -> io::Result<Vec<UserId>> {
    let mut all = Vec::new();
    for shard in fs::read_dir(dir)? {
        let shard = shard?;
        if !shard.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(shard.path())? {
            let path = entry?.path();
            all.extend(user_of(&path).filter(|_| path.extension().is_some_and(|found| found == extension)));
        }
    }
    Ok(all)
}

fn user_of(path: &Path) -> Option<UserId> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// What a directory has of a user's key.
pub(crate) fn held(user_keys: &Path, user: &UserId, root: &RootKey) -> Held {
    let path = user_keys.join(UserKeys::file_of(user));
    match unwrapped(root, user, &path) {
        Ok(Some(_)) => Held::Key,
        Ok(None) => Held::Nothing,
        Err(why) => Held::Bad(no_key(&path, &why)),
    }
}

fn no_key(path: &Path, why: &str) -> String {
    format!("`{}` is no user's key: {why}", path.display())
}

/// Put a user's key back from a copy, also in the place of a file that the root key does not open.
pub(crate) fn put_back(copied: &Path, user_keys: &Path, user: &UserId, root: &RootKey) -> io::Result<Put> {
    let file = UserKeys::file_of(user);
    let (from, target) = (copied.join(&file), user_keys.join(&file));
    if target.with_extension(MARK_EXTENSION).try_exists()? || held(user_keys, user, root) == Held::Key {
        return Ok(Put::NotNeeded);
    }
    match held(copied, user, root) {
        Held::Bad(why) => return Ok(Put::Bad(why)),
        Held::Nothing => return Ok(Put::NotNeeded),
        Held::Key => {}
    }
    let shard = target.parent().unwrap_or(user_keys);
    DirBuilder::new().recursive(true).mode(0o700).create(shard)?;
    let put = copy(&from, shard)?;
    File::open(shard)?.sync_all()?;
    File::open(user_keys)?.sync_all()?;
    Ok(if put { Put::Back } else { Put::NotNeeded })
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
#[path = "key_files_tests.rs"]
mod tests;
