//! Files with holes: of many bytes that are nowhere, and cost nothing.
//!
//! Whoever may write to a directory makes one of any length in no time, and whoever reads it or copies it never ends. What
//! has none is no longer than its disk has room.

use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::files::irregular;

/// How many bytes of holes a file may have. The store's files have none, but for the rest of a segment of the journal, what
/// the engine had not written before where it had when the machine stopped, and what a file system makes of blocks of zeros.
const HOLES_BYTES_MAX: u64 = 64 << 20;

/// See that a file of this length is not of holes. It stands at its beginning afterwards.
pub(crate) fn check(file: &File, len: u64) -> io::Result<()> {
    if len <= HOLES_BYTES_MAX {
        return Ok(());
    }
    let holes = bytes(file, len)?;
    seek(file, SeekFrom::Start(0))?;
    if holes <= HOLES_BYTES_MAX {
        return Ok(());
    }
    Err(irregular(format!(
        "of its {len} bytes {holes} or more were never written, and the server leaves no such holes"
    )))
}

/// How many bytes of holes it has, counted no further than to the most that it may have. Where the file system knows no
/// holes, all of it counts as written.
fn bytes(file: &File, len: u64) -> io::Result<u64> {
    let (mut at, mut holes) = (0, 0);
    while at < len && holes <= HOLES_BYTES_MAX {
        let data = match seek(file, SeekFrom::Data(at)) {
            // Nothing but a hole comes after this.
            Err(Errno::NXIO) => len,
            // Some file systems, in user space above all, cannot say.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(holes),
            data => data?,
        };
        holes += data.saturating_sub(at);
        if data >= len {
            break;
        }
        at = seek(file, SeekFrom::Hole(data))?;
    }
    Ok(holes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::files::is_irregular;

    #[test]
    fn what_is_mostly_holes_is_read_by_nobody() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        let of = |len: u64| {
            file.set_len(len).unwrap();
            let mut opened = File::open(&path).unwrap();
            let checked = check(&opened, len);
            // Whoever reads it begins where it begins.
            let mut first = [0];
            assert!(checked.is_err() || opened.read(&mut first).unwrap() == 0 || first == *b"x");
            checked
        };
        of(0).unwrap();
        (&file).write_all(b"x").unwrap();
        of(HOLES_BYTES_MAX).unwrap();
        for len in [HOLES_BYTES_MAX + (1 << 20), 1 << 42] {
            let error = of(len).unwrap_err();
            assert!(is_irregular(&error) && error.to_string().contains("were never written"), "{error}");
        }
        // Holes between what is written count, too; and what is written does not.
        file.write_all_at(b"x", 1 << 40).unwrap();
        of((1 << 40) + 1).unwrap_err();
        file.set_len(1).unwrap();
        let written = vec![b'x'; 1 << 20];
        for mebibyte in 0..8 {
            file.write_all_at(&written, mebibyte << 20).unwrap();
        }
        of((8 << 20) + HOLES_BYTES_MAX).unwrap();
        of((9 << 20) + HOLES_BYTES_MAX).unwrap_err();
    }
}
