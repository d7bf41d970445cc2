//! Copies of the users' keys, apart from those of the data: who has both, and the root key, reads what is kept of users.
//!
//! Nothing is opened or checked here, and nothing restored: a copy is put back by hand, before a start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::keys::{EXTENSION, FILE_BYTES_MAX};

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
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                copied += u64::from(copy(&path, &target)?);
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
        for (name, text) in
            [("ab/usr_ab.key", "one"), ("ab/usr_zab.key", "two"), ("ab/usr_1ab.erased", "x"), ("y", "y")]
        {
            fs::write(keys.join(name), text).unwrap();
        }
        assert_eq!(copy_user_keys(&keys, &to).unwrap(), 2);
        assert_eq!(fs::read(to.join("ab/usr_ab.key")).unwrap(), b"one");
        assert_eq!(fs::read_dir(to.join("ab")).unwrap().count(), 2);
        assert!(copy_user_keys(&keys, &to).is_err(), "a copy is never written over");
        fs::write(keys.join("ab/usr_2ab.key"), vec![0; 2_000]).unwrap();
        assert!(copy_user_keys(&keys, &dir.path().join("other")).is_err());
    }
}
