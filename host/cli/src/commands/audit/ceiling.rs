//! How much of an export may come: no more than the entries that its checkpoint counts can have.
//!
//! The header says how many that are, and is signed by the key in it; whose key that is, whoever verifies the export
//! sees. So a server whose answer does not end is found out before the disk is full, unless it signed for so much, and
//! one that sends something else before much of it came.

use std::io::{self, ErrorKind, Write};

use attorn_log::{CheckpointVerifier, Entry, ExportReader, Gap, SignedCheckpoint};

/// How an export's header ends.
const HEADER_END: &[u8] = b"\nentries\n";
/// The longest header, in bytes.
const HEADER_BYTES_MAX: usize =
    SignedCheckpoint::NOTE_BYTES_MAX + CheckpointVerifier::TEXT_BYTES_MAX + Gap::COUNT_MAX * Gap::LINE_BYTES_MAX + 1024;

/// Passes an export on, up to what may come of it.
pub(super) struct Ceiling<'a, W> {
    to: &'a mut W,
    /// The header, until it is whole.
    header: Vec<u8>,
    /// What may still come, when the header has said it.
    left: Option<Left>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    entries: u64,
    bytes: u64,
}

impl<'a, W: Write> Ceiling<'a, W> {
    pub(super) const fn over(to: &'a mut W) -> Self {
        Self { to, header: Vec::new(), left: None }
    }

    /// Take in what comes before the header is whole.
    fn read_header(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The end may have begun with what came before.
        let from = self.header.len().saturating_sub(HEADER_END.len());
        self.header.extend_from_slice(bytes);
        let found = self.header[from..].windows(HEADER_END.len()).position(|some| some == HEADER_END);
        let Some(at) = found else {
            let is_too_long = self.header.len() > HEADER_BYTES_MAX;
            return if is_too_long {
                Err(invalid("what the server sends is no export of an audit log"))
            } else {
                Ok(())
            };
        };
        let (end, header) = (from + at + HEADER_END.len(), std::mem::take(&mut self.header));
        let after = (header.len() - end) as u64;
        let entries = entries(&header[..end])?;
        let left = Left { entries, bytes: entries.saturating_mul(Entry::BYTES_MAX as u64) };
        self.left = Some(left.less(after)?);
        Ok(())
    }
}

impl Left {
    fn less(self, bytes: u64) -> io::Result<Self> {
        let left = self.bytes.checked_sub(bytes).ok_or_else(|| {
            let entries = self.entries;
            invalid(&format!("the server sends more than the {entries} entries can have that the checkpoint counts"))
        })?;
        Ok(Self { bytes: left, ..self })
    }
}

/// How many entries there are by the signed checkpoint in a header.
fn entries(header: &[u8]) -> io::Result<u64> {
    let none = |why: String| invalid(&format!("what the server sends is no export that can be relied on: {why}"));
    let export = ExportReader::open(header).map_err(|error| none(error.to_string()))?;
    let key: CheckpointVerifier =
        export.key().parse().map_err(|error: attorn_log::KeyError| none(error.to_string()))?;
    let signed = key.verify(export.note().as_bytes()).map_err(|error| none(error.to_string()))?;
    Ok(signed.checkpoint().size)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

impl<W: Write> Write for Ceiling<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left {
            Some(left) => self.left = Some(left.less(bytes.len() as u64)?),
            None => self.read_header(bytes)?,
        }
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use attorn_log::{CheckpointSigner, Hash, export_header};

    use super::*;

    fn header(size: u64) -> Vec<u8> {
        let signer = CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[7; 32]);
        export_header(&signer.verifier(), &signer.sign(size, Hash([1; 32]))).into_bytes()
    }

    /// Pass this on, so many bytes at a time.
    fn passed(bytes: &[u8], at_once: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut ceiling = Ceiling::over(&mut out);
        let done = bytes.chunks(at_once).try_for_each(|some| ceiling.write_all(some));
        done.map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            error.to_string()
        })?;
        Ok(out)
    }

    #[test]
    fn no_more_comes_than_was_signed() {
        for size in [1, 3] {
            let fits = [header(size), vec![b'x'; usize::try_from(size).unwrap() * Entry::BYTES_MAX]].concat();
            let more = [&fits[..], b"x"].concat();
            for at_once in [1, 7, 64 << 10, usize::MAX] {
                assert_eq!(passed(&fits, at_once).unwrap(), fits, "{size} {at_once}");
                let why = passed(&more, at_once).unwrap_err();
                let expect =
                    format!("the server sends more than the {size} entries can have that the checkpoint counts");
                assert_eq!(why, expect, "{at_once}");
            }
        }
    }

    #[test]
    fn what_is_no_export_or_not_signed_is_refused() {
        let endless = vec![b'x'; HEADER_BYTES_MAX + 1];
        assert_eq!(passed(&endless, 64 << 10).unwrap_err(), "what the server sends is no export of an audit log");
        let mut forged = header(3);
        let at = forged.windows(3).position(|some| some == b"\n3\n").unwrap();
        forged[at + 1] = b'9';
        let why = passed(&forged, 100).unwrap_err();
        assert!(why.starts_with("what the server sends is no export that can be relied on: "), "{why}");
        let other = [&b"x\n"[..], &header(3)].concat();
        assert!(passed(&other, 100).is_err());
    }
}
