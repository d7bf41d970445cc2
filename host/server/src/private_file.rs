//! Small files that the process reads at its start, and what it demands of those that hold a secret.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// Read a file that holds a secret; one that others may read is refused.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("others may read it (mode {:o}); `chmod 600` it", mode & 0o777));
    }
    all(file, bytes_max)
}

/// Read a file that anybody may read.
pub(crate) fn read_public(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    all(File::open(path).map_err(|error| error.to_string())?, bytes_max)
}

fn all(file: File, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let room = usize::try_from(bytes_max).unwrap_or(0).saturating_add(1);
    // Room for all of it, so that no half of a secret stays behind in a buffer that was too small.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() >= room {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    Ok(bytes)
}
