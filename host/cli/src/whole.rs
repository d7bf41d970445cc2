//! Files that others read: whoever reads one finds the old one or the new one, whole.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::failure::Failure;

/// Write a file, or leave what is there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let beside = path.parent().filter(|beside| !beside.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(beside).and_then(|mut file| {
        file.write_all(bytes)?;
        open_to_readers(file.path())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    });
    written.map_err(|error| Failure::file("write", path, &error))
}

/// Temporary files are for their maker alone, and these are for others, too.
#[cfg(unix)]
fn open_to_readers(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn open_to_readers(path: &Path) -> std::io::Result<()> {
    fs::metadata(path).map(drop)
}
