//! How parts of bytes go through a pipe and stand in a file: a mark, their number, and each with its
//! length before it. Nothing is allocated before it was compared with a limit.

use std::io::{self, Read, Write};

/// The most parts of a frame.
pub const PARTS_MAX: usize = 16;
/// The most bytes of all parts together.
pub const PARTS_BYTES_MAX: u64 = 512 << 20;

const MARK: &[u8; 8] = b"attorn1\n";

/// What was read is no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It ends too early, or cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("it does not begin as a frame does")]
    Mark,
    /// It claims more than there may be.
    #[error("it has {what} {found}, and {max} is the most")]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// How much it claims.
        found: u64,
        /// How much there may be.
        max: u64,
    },
    /// Something follows it.
    #[error("something follows it")]
    Trailing,
}

/// Write parts as one frame.
pub(crate) fn write(to: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    to.write_all(MARK)?;
    to.write_all(&(parts.len() as u64).to_le_bytes())?;
    for part in parts {
        to.write_all(&(part.len() as u64).to_le_bytes())?;
        to.write_all(part)?;
    }
    to.flush()
}

/// Read the one frame that there is.
pub(crate) fn read(from: &mut impl Read) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut mark = [0; MARK.len()];
    from.read_exact(&mut mark)?;
    if mark != *MARK {
        return Err(FrameError::Mark);
    }
    let count = number(from)?;
    let max = PARTS_MAX as u64;
    if count > max {
        return Err(FrameError::TooLarge { what: "parts:", found: count, max });
    }
    let (mut parts, mut left) = (Vec::new(), PARTS_BYTES_MAX);
    for _ in 0..count {
        let bytes = number(from)?;
        left = left.checked_sub(bytes).ok_or(FrameError::TooLarge { what: "bytes:", found: bytes, max: left })?;
        let mut part = Vec::new();
        // It grows as bytes come, whatever length was claimed.
        from.by_ref().take(bytes).read_to_end(&mut part)?;
        if part.len() as u64 != bytes {
            return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        parts.push(part);
    }
    match from.read(&mut [0])? {
        0 => Ok(parts),
        _ => Err(FrameError::Trailing),
    }
}

fn number(from: &mut impl Read) -> Result<u64, FrameError> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, parts).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        for parts in [vec![], vec![&b""[..]], vec![b"a", b"", b"bcd"]] {
            assert_eq!(read(&mut &framed(&parts)[..]).unwrap(), parts);
        }
    }

    #[test]
    fn every_cut_is_seen_and_so_is_what_follows() {
        let whole = framed(&[b"one", b"two"]);
        for end in 0..whole.len() {
            assert!(matches!(read(&mut &whole[..end]), Err(FrameError::Io(_))), "cut at {end}");
        }
        assert!(matches!(read(&mut &[&whole[..], b"x"].concat()[..]), Err(FrameError::Trailing)));
        assert!(matches!(read(&mut &b"attorn2\n........"[..]), Err(FrameError::Mark)));
    }

    #[test]
    fn claims_are_compared_with_the_limits_before_anything_is_allocated() {
        let claim = |count: u64, bytes: u64| [&MARK[..], &count.to_le_bytes(), &bytes.to_le_bytes()].concat();
        let error = read(&mut &claim(17, 0)[..]).unwrap_err();
        assert_eq!(error.to_string(), "it has parts: 17, and 16 is the most");
        let error = read(&mut &claim(1, u64::MAX)[..]).unwrap_err();
        assert_eq!(error.to_string(), format!("it has bytes: {}, and 536870912 is the most", u64::MAX));
    }
}
