//! Copies of the users' keys, apart from those of the data: who has both, and the root key, reads what is kept of users.
//!
//! With the keys go the marks of users who were erased. Nothing is unwrapped here, and who is still to have a key is for
//! `restore` to know.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use attorn_core::UserId;

use super::keys::{EXTENSION, FILE_BYTES_MAX, MARK_EXTENSION, UserKeys};

/// Copy the files of all users' keys into a directory that is not there yet; how many there were. The server may run: a
/// user who is erased meanwhile is in the copy or not, and whoever restores it has the next start destroy their key.
///
/// # Errors
///
/// When something cannot be read or written; then the copy is worth nothing.
pub fn copy_user_keys(user_keys: &Path, to: &Path) -> io::Result<u64> {
    private_directory(to)?;
    let mut copied = 0;
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
                Some(extension) if extension == EXTENSION => copied += u64::from(copy(&path, &target)?),
                Some(extension) if extension == MARK_EXTENSION => drop(copy(&path, &target)?),
                _ => {}
            }
        }
        File::open(&target)?.sync_all()?;
    }
    File::open(to)?.sync_all()?;
    Ok(copied)
}

/// Copy one; false if its user was erased meanwhile.
fn copy(path: &Path, to: &Path) -> io::Result<bool> {
    let mut from = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    if from.metadata()?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("`{}` is too long for a key", path.display())));
    }
    let target = to.join(path.file_name().unwrap_or_default());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    io::copy(&mut from, &mut file)?;
    file.sync_all()?;
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
            let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            all.extend(name.filter(|_| path.extension().is_some_and(|found| found == extension)));
        }
    }
    Ok(all)
}

/// Put a user's key back from a copy. False if it is there already, or its user was erased here.
pub(crate) fn put_back(copied: &Path, user_keys: &Path, user: &UserId) -> io::Result<bool> {
    let file = UserKeys::file_of(user);
    let (from, target) = (copied.join(&file), user_keys.join(&file));
    if target.try_exists()? || target.with_extension(MARK_EXTENSION).try_exists()? {
        return Ok(false);
    }
    let shard = target.parent().unwrap_or(user_keys);
    DirBuilder::new().recursive(true).mode(0o700).create(shard)?;
    let put = copy(&from, shard)?;
    File::open(shard)?.sync_all()?;
    File::open(user_keys)?.sync_all()?;
    Ok(put)
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_every_key_and_nothing_else() {
        let dir = tempfile::TempDir::new().unwrap();
        let (keys, to) = (dir.path().join("keys"), dir.path().join("copy"));
        fs::create_dir_all(keys.join("ab")).unwrap();
        for (name, text) in [
            ("ab/usr_ab.key", "one"),
            ("ab/usr_zab.key", "two"),
            ("ab/usr_1ab.erased", "x"),
            ("y", "y"),
            ("ab/usr_3ab.gone", ""),
        ] {
            fs::write(keys.join(name), text).unwrap();
        }
        assert_eq!(copy_user_keys(&keys, &to).unwrap(), 2);
        assert_eq!(fs::read(to.join("ab/usr_ab.key")).unwrap(), b"one");
        assert_eq!(fs::read_dir(to.join("ab")).unwrap().count(), 3);
        assert_eq!(erased_users(&to).unwrap(), ["usr_3ab".parse().unwrap()]);
        assert_eq!(erased_users(&dir.path().join("nowhere")).unwrap(), []);
        let mut all = users(&to).unwrap();
        all.sort();
        assert_eq!(all, ["usr_ab".parse().unwrap(), "usr_zab".parse().unwrap()]);
        assert!(copy_user_keys(&keys, &to).is_err(), "a copy is never written over");
        // Put back where there is none, and not over one, nor for somebody who was erased.
        let back = dir.path().join("back");
        for (id, expect) in [("usr_ab", true), ("usr_ab", false), ("usr_zab", false)] {
            if id == "usr_zab" {
                fs::write(back.join("ab/usr_zab.gone"), "").unwrap();
            }
            assert_eq!(put_back(&to, &back, &id.parse().unwrap()).unwrap(), expect, "{id}");
        }
        assert_eq!(fs::read(back.join("ab/usr_ab.key")).unwrap(), b"one");
        fs::write(keys.join("ab/usr_2ab.key"), vec![0; 2_000]).unwrap();
        assert!(copy_user_keys(&keys, &dir.path().join("other")).is_err());
    }
}
