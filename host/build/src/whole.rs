//! Files that others read: whoever reads one finds the old one or the new one, whole.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

/// Whether a file can go there: there is none, or a regular one, which is replaced. A link to one is, too; what is linked stays.
///
/// # Errors
///
/// When something else is there, such as a device or a directory, or nobody can see what.
pub fn check(path: &Path) -> io::Result<()> {
    rights(path).map(drop)
}

/// Write a file, or leave what is there. One that was there keeps its rights, and a new one has those of any new file.
///
/// # Errors
///
/// As [`check`], and when it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let rights = rights(path)?;
    let beside = path.parent().filter(|beside| !beside.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = new_in(beside)?;
    file.write_all(bytes)?;
    // By the open file: a name may lead elsewhere by now.
    if let Some(rights) = rights {
        file.as_file().set_permissions(rights)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The rights of the regular file that is there, if any is.
fn rights(path: &Path) -> io::Result<Option<Permissions>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    // Where a link leads; one that leads nowhere is no file.
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("what is there is no regular file"));
    }
    Ok(Some(plain(&found.permissions())))
}

/// Temporary files are for their maker alone, and these are for whom the process makes files for.
#[cfg(unix)]
fn new_in(beside: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(beside)
}

#[cfg(not(unix))]
fn new_in(beside: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::NamedTempFile::new_in(beside)
}

/// Nothing that is written here runs as somebody else.
#[cfg(unix)]
fn plain(rights: &Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(rights.mode() & 0o777)
}

#[cfg(not(unix))]
fn plain(rights: &Permissions) -> Permissions {
    rights.clone()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_no_regular_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        symlink("directory", at("to-directory")).unwrap();
        symlink("/dev/null", at("to-device")).unwrap();
        symlink("none", at("to-nothing")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        for name in ["directory", "to-directory", "to-device", "to-nothing", "socket"] {
            assert!(check(&at(name)).is_err() && write(&at(name), b"new").is_err(), "{name}");
        }
        assert!(write(&at("none/file"), b"new").is_err());
        let left = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!((left, fs::read_link(at("to-nothing")).unwrap()), (5, "none".into()));
    }

    #[test]
    fn a_file_is_replaced_with_the_rights_that_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("any"), "").unwrap();
        write(&at("new"), b"new").unwrap();
        assert_eq!(mode(&at("new")), mode(&at("any")));
        for rights in [0o600, 0o644, 0o4755] {
            fs::write(at("old"), "old").unwrap();
            fs::set_permissions(at("old"), Permissions::from_mode(rights)).unwrap();
            write(&at("old"), b"new").unwrap();
            assert_eq!((mode(&at("old")), fs::read(at("old")).unwrap()), (rights & 0o777, b"new".to_vec()));
        }
        // A link is replaced, and what it leads to stays.
        symlink("old", at("link")).unwrap();
        write(&at("link"), b"newer").unwrap();
        assert!(!at("link").is_symlink());
        assert_eq!((fs::read(at("link")).unwrap(), fs::read(at("old")).unwrap()), (b"newer".to_vec(), b"new".to_vec()));
    }
}
