//! Files that keys and certificates are read from: each whole, within a limit.
//!
//! What stands in one is not looked at here.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file is not read. Which file it is, the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// Others than its owner may read or write it. It has this mode.
    #[error("the file holds a private key, and may be read or written by others: its mode is {0:o}, and 600 is right")]
    Exposed(u32),
    /// It has more than so many bytes.
    #[error("the file has more than {0} bytes")]
    TooLong(u64),
}

/// Read a file that holds a secret: nobody but its owner may read or write it.
pub(crate) fn read_secret(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(FileError::Read)?;
    let mode = file.metadata().map_err(FileError::Read)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed(mode));
    }
    whole(file, bytes_max)
}

/// Read a file that everybody may read.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    whole(File::open(path).map_err(FileError::Read)?, bytes_max)
}

fn whole(file: File, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 << 10));
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(FileError::Read)?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLong(bytes_max));
    }
    Ok(bytes)
}
