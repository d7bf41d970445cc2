//! Small files that the process reads at its start, and what it demands of those that hold a secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Read a file that holds a secret; one that others may read is refused.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = open(path).map_err(|error| error.to_string())?;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("others may read it (mode {:o}); `chmod 600` it", mode & 0o777));
    }
    all(file, bytes_max)
}

/// Read a file that anybody may read.
pub(crate) fn read_public(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    all(open(path).map_err(|error| error.to_string())?, bytes_max)
}

/// Open what may be a link, and is a regular file behind it: who opens a pipe waits for whoever writes into it.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
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
