//! The file that holds a whole log epoch, so that anybody can check it.
//!
//! ```text
//! attorn-audit-export/v1
//! key <verifier key>
//! <checkpoint: a signed note>
//! bad <number of a bundle> <the root over its entries>
//! entries
//! <the bytes of all entries, one after another>
//! ```
//!
//! There is a line `bad` for each full bundle of entries that was damaged when the epoch ended, in their order, and in
//! most exports none: its 256 entries are not in the file. The root over them stands in their place, so that all others
//! can still be proved. Whoever writes a file may leave out what they like in this way; that entries really were bad
//! then is shown by the first entry of the next epoch alone.
//!
//! The key is there so that a file can be looked at without anything else. It proves nothing about
//! whose log it is: whoever checks a file for real brings the key from elsewhere.

use std::fmt;
use std::io::{self, BufRead};
use std::ops::Range;

use crate::checkpoint::SignedCheckpoint;
use crate::entry::Entry;
use crate::key::CheckpointVerifier;
use crate::note::is_signature_line;
use crate::tiles::TILE_WIDTH;
use crate::tree::Hash;
use crate::verify::VerifyError;

/// How every export begins.
pub const EXPORT_MAGIC: &str = "attorn-audit-export/v1";
const KEY: &str = "key ";
const ENTRIES: &str = "entries";
const BAD: &str = "bad ";

/// A full bundle of entries that an export lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number of the bundle.
    pub bundle: u64,
    /// The root over its entries.
    pub root: Hash,
}

impl Gap {
    /// The most that one export may have.
    pub const COUNT_MAX: usize = 1 << 16;
    /// The most bytes of a line about one.
    pub const LINE_BYTES_MAX: usize = 80;
    /// The height of the tree over its entries.
    pub const LEVEL: u8 = 8;

    /// The indexes of its entries.
    #[must_use]
    pub const fn entries(&self) -> Range<u64> {
        let width = TILE_WIDTH as u64;
        let begin = self.bundle.saturating_mul(width);
        begin..begin.saturating_add(width)
    }

    fn parse(line: &str) -> Option<Self> {
        let (bundle, root) = line.strip_prefix(BAD)?.split_once(' ')?;
        let gap = Self { bundle: bundle.parse().ok()?, root: Hash::from_base64(root)? };
        // There is one way to write it, and no log goes on to where numbers end.
        (gap.to_string() == line && gap.bundle < 1 << 48).then_some(gap)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BAD}{} {}", self.bundle, self.root)
    }
}

/// All that stands in an export before the entries. Their bytes follow as they are, from the first to
/// the last that the checkpoint counts.
#[must_use]
pub fn export_header(key: &CheckpointVerifier, checkpoint: &SignedCheckpoint) -> String {
    export_header_without(key, checkpoint, &[])
}

/// The same for an export that lacks these bundles, in their order.
#[must_use]
pub fn export_header_without(key: &CheckpointVerifier, checkpoint: &SignedCheckpoint, gaps: &[Gap]) -> String {
    // A note ends in a newline of its own.
    let mut header = format!("{EXPORT_MAGIC}\n{KEY}{key}\n{}", checkpoint.note());
    for line in gaps.iter().map(Gap::to_string).chain([ENTRIES.to_owned()]) {
        header.push_str(&line);
        header.push('\n');
    }
    header
}

/// An export that is read entry by entry and believed: for whoever wrote it. Anybody else verifies it
/// ([`crate::verify_export`]).
#[derive(Debug)]
pub struct ExportReader<R> {
    reader: R,
    key: String,
    note: String,
    gaps: Vec<Gap>,
}

impl<R: BufRead> ExportReader<R> {
    /// Read up to the first entry.
    pub fn open(mut reader: R) -> Result<Self, VerifyError> {
        let Header { key, note, gaps } = Header::read(&mut reader)?;
        Ok(Self { reader, key, note, gaps })
    }

    /// The bundles that it lacks, in their order.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The text of the key that it names.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its checkpoint: a signed note.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// How many bytes stand before the first entry.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        let lines = [EXPORT_MAGIC.len(), KEY.len() + self.key.len(), ENTRIES.len()];
        // A note ends in a newline of its own.
        let lacking = self.gaps.iter().map(|gap| gap.to_string().len() + 1).sum::<usize>();
        let bytes = lines.into_iter().map(|line| line + 1).sum::<usize>() + self.note.len() + lacking;
        bytes as u64
    }

    /// Read the next entry in place of what `bytes` holds; false if there is none any more. One that is too long or is
    /// cut off is an error.
    pub fn next_entry(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        match read_entry(&mut self.reader, bytes)? {
            Read::Whole => Ok(true),
            Read::End => Ok(false),
            Read::Cut => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the export ends within an entry")),
            Read::TooLong => Err(io::Error::new(io::ErrorKind::InvalidData, "an entry of the export is too long")),
        }
    }
}

/// The header of an export, unchecked.
pub(crate) struct Header {
    /// The text of the key line.
    pub(crate) key: String,
    /// The note.
    pub(crate) note: String,
    /// What the export lacks, in its order.
    pub(crate) gaps: Vec<Gap>,
}

impl Header {
    pub(crate) fn read(reader: &mut impl BufRead) -> Result<Self, VerifyError> {
        if read_text_line(reader, EXPORT_MAGIC.len())?.as_deref() != Some(EXPORT_MAGIC) {
            return Err(VerifyError::NotAnExport);
        }
        let key = read_text_line(reader, KEY.len() + CheckpointVerifier::TEXT_BYTES_MAX)?;
        let key = key.as_deref().and_then(|line| line.strip_prefix(KEY)).ok_or(VerifyError::NoKey)?.to_owned();
        let (mut note, mut gaps) = (String::new(), Vec::<Gap>::new());
        let mut below_text = false;
        loop {
            let line = read_text_line(reader, SignedCheckpoint::NOTE_BYTES_MAX)?.ok_or(VerifyError::NoEntries)?;
            if below_text && line == ENTRIES {
                return Ok(Self { key, note, gaps });
            }
            if let Some(gap) = Gap::parse(&line).filter(|_| below_text) {
                let in_order = gaps.last().is_none_or(|last| last.bundle < gap.bundle);
                if !in_order || gaps.len() >= Gap::COUNT_MAX {
                    return Err(VerifyError::NoEntries);
                }
                gaps.push(gap);
                continue;
            }
            // A checkpoint's text has no blank lines, so the first one ends it.
            if below_text && (!is_signature_line(&line) || !gaps.is_empty()) {
                return Err(VerifyError::NoEntries);
            }
            below_text |= line.is_empty();
            note.push_str(&line);
            note.push('\n');
            if note.len() > SignedCheckpoint::NOTE_BYTES_MAX {
                return Err(VerifyError::NoEntries);
            }
        }
    }
}

/// How the reading of one entry went.
pub(crate) enum Read {
    /// Its two lines are there.
    Whole,
    /// There is nothing more.
    End,
    /// The file ends within it.
    Cut,
    /// It goes on beyond the longest entry.
    TooLong,
}

/// Read the next entry's two lines in place of what `bytes` holds, and no more than the longest entry.
pub(crate) fn read_entry(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<Read> {
    bytes.clear();
    for _ in 0..2 {
        match read_line(reader, bytes, Entry::BYTES_MAX)? {
            Read::Whole => {}
            Read::End if !bytes.is_empty() => return Ok(Read::Cut),
            other => return Ok(other),
        }
    }
    Ok(Read::Whole)
}

/// Read up to and with the next newline, as long as `bytes` does not grow beyond `bytes_max`.
fn read_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>, bytes_max: usize) -> io::Result<Read> {
    let room = bytes_max.saturating_sub(bytes.len());
    let read = io::Read::take(&mut *reader, room as u64).read_until(b'\n', bytes)?;
    Ok(match (read, bytes.last()) {
        (1.., Some(b'\n')) => Read::Whole,
        _ if read == room => Read::TooLong,
        (0, _) => Read::End,
        _ => Read::Cut,
    })
}

/// Read a line of the header, without its newline. None if it is not there, not whole, not text or
/// longer than `bytes_max`.
fn read_text_line(reader: &mut impl BufRead, bytes_max: usize) -> Result<Option<String>, VerifyError> {
    let mut bytes = Vec::new();
    match read_line(reader, &mut bytes, bytes_max + 1).map_err(VerifyError::Read)? {
        Read::Whole => {
            bytes.pop();
            Ok(String::from_utf8(bytes).ok())
        }
        Read::End | Read::Cut | Read::TooLong => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Log, verifier};

    #[test]
    fn an_export_is_read_entry_by_entry() {
        let log = Log::of(5);
        let mut whole = export_header(&verifier(), &log.checkpoint()).into_bytes();
        log.entries.iter().for_each(|entry| whole.extend(entry.to_bytes()));
        let mut reader = ExportReader::open(whole.as_slice()).unwrap();
        assert_eq!((reader.key(), reader.note()), (verifier().to_string().as_str(), log.checkpoint().note()));
        assert_eq!(reader.header_bytes(), export_header(&verifier(), &log.checkpoint()).len() as u64);
        let mut bytes = Vec::new();
        for entry in &log.entries {
            assert!(reader.next_entry(&mut bytes).unwrap());
            assert_eq!(bytes, entry.to_bytes());
        }
        assert!(!reader.next_entry(&mut bytes).unwrap());
        let cut = &whole[..whole.len() - 3];
        let mut reader = ExportReader::open(cut).unwrap();
        let read = (0..5).map(|_| reader.next_entry(&mut bytes)).collect::<Result<Vec<_>, _>>();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut too_long = export_header(&verifier(), &log.checkpoint()).into_bytes();
        too_long.extend(vec![b'x'; Entry::BYTES_MAX + 1]);
        let mut reader = ExportReader::open(too_long.as_slice()).unwrap();
        assert_eq!(reader.next_entry(&mut bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(matches!(ExportReader::open(&b"x\n"[..]), Err(VerifyError::NotAnExport)));
    }
}
