//! The checkpoints that a log signed earlier, in files of a bounded size, and an entry as a line of JSON.
//!
//! ```text
//! checkpoints/<n>   those that count at least n · 2^20 entries and fewer than (n + 1) · 2^20, one after another
//! ```
//!
//! Neither is a standard's. Checkpoints are kept so that a verifier can see that each continues the one before; the
//! lines are there for whoever reads JSON and no tiles.
//!
//! A log has no end, and so its history has none; a segment of it has. Which segments there are follows from how
//! many entries there are, as with tiles: no list says it, and one that is not there is missed. A segment may be
//! empty. Nothing is thinned out: one checkpoint for each bundle is a thousandth of what the entries have.

use std::fmt::Write as _;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::key::CheckpointVerifier;
use crate::note::is_signature_line;
use crate::reference::decimal;

/// The longest segment, in bytes. One has a checkpoint for each 256 entries, of a few hundred bytes; this leaves room
/// for the cosignatures under them.
pub const SEGMENT_BYTES_MAX: usize = 16 << 20;

/// The directory of all segments.
pub const SEGMENTS: &str = "checkpoints";

/// How many entries one segment of a history stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(u64);

impl Span {
    /// What every log has. Others are for tests, which cannot wait for so many entries.
    pub const USUAL: Self = Self(1 << 20);

    /// Another one, which is a multiple of 256.
    #[must_use]
    pub const fn of_bundles(bundles: u32) -> Self {
        Self(if bundles == 0 { 256 } else { 256 * bundles as u64 })
    }

    /// The segment in which a checkpoint stands that counts so many entries. It is the last of a log that has no more.
    #[must_use]
    pub const fn segment_of(self, size: u64) -> u64 {
        size / self.0
    }

    /// The least that a checkpoint of a segment counts.
    pub(crate) const fn begin(self, segment: u64) -> u64 {
        segment.saturating_mul(self.0)
    }
}

/// The name of a segment's file.
#[must_use]
pub fn segment_name(segment: u64) -> String {
    format!("{SEGMENTS}/{segment}")
}

/// Read what [`segment_name`] wrote, from after the slash on.
#[must_use]
pub fn parse_segment(number: &str) -> Option<u64> {
    decimal(number)
}

/// What is wrong with a segment of a history.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// One of its checkpoints cannot be relied on.
    #[error("number {number} in `checkpoints/{segment}` cannot be relied on")]
    Checkpoint {
        /// Which segment.
        segment: u64,
        /// Which in it, from 1.
        number: usize,
        /// What is wrong.
        #[source]
        source: CheckpointError,
    },
    /// They do not grow.
    #[error("number {number} in `checkpoints/{segment}` does not count more entries than the one before it")]
    Order {
        /// Which segment.
        segment: u64,
        /// Which in it, from 1.
        number: usize,
    },
    /// One belongs to another segment.
    #[error("number {number} in `checkpoints/{segment}` counts {size} entries, and belongs to another segment")]
    Place {
        /// Which segment.
        segment: u64,
        /// Which in it, from 1.
        number: usize,
        /// What it counts.
        size: u64,
    },
}

/// Read the checkpoints of a segment, each with how many bytes it ends after. After an error it goes on with the next.
pub fn read_segment<'a>(
    bytes: &'a [u8],
    segment: u64,
    span: Span,
    key: &'a CheckpointVerifier,
) -> impl Iterator<Item = Result<(SignedCheckpoint, usize), SegmentError>> + 'a {
    let (mut before, mut end) = (None, 0);
    pieces(bytes).into_iter().zip(1..).map(move |(piece, number)| {
        end += piece.len();
        let checkpoint = key.verify(piece).map_err(|source| SegmentError::Checkpoint { segment, number, source })?;
        let size = checkpoint.checkpoint().size;
        if span.segment_of(size) != segment {
            return Err(SegmentError::Place { segment, number, size });
        }
        if before.replace(size).is_some_and(|before| before >= size) {
            return Err(SegmentError::Order { segment, number });
        }
        Ok((checkpoint, end))
    })
}

/// The notes of a segment, and as the last what is not text.
fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    // A file that was cut may end within a character.
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let text = std::str::from_utf8(&bytes[..valid]).unwrap_or_default();
    let mut pieces: Vec<&[u8]> = notes(text).into_iter().map(str::as_bytes).collect();
    if valid < bytes.len() {
        // Behind a whole note it is a piece of its own.
        let is_whole = text.ends_with('\n') && text.lines().last().is_some_and(is_signature_line);
        let begin = if is_whole { valid } else { valid - pieces.pop().map_or(0, <[u8]>::len) };
        pieces.push(&bytes[begin..]);
    }
    pieces
}

/// Take a text apart into its notes: each is a text, a blank line, and signatures. What is not whole is the last.
#[must_use]
pub fn notes(text: &str) -> Vec<&str> {
    let (mut notes, mut begin, mut at) = (Vec::new(), 0, 0);
    let (mut blank, mut signed) = (false, false);
    for line in text.split_inclusive('\n') {
        let is_signature = blank && is_signature_line(line);
        // The first line below the signatures that is none begins the next note.
        if signed && !is_signature {
            notes.push(&text[begin..at]);
            (begin, blank, signed) = (at, false, false);
        }
        signed |= is_signature;
        blank |= line == "\n";
        at += line.len();
    }
    if begin < text.len() {
        notes.push(&text[begin..]);
    }
    notes
}

/// An entry as one line of JSON in canonical form (RFC 8785), without its newline. None if the bytes are no entry.
///
/// `body` is the entry's body as it stands. From the other members come the entry's bytes:
/// `attorn-entry/v1 <log_id> <epoch> <index> <previous>`, a newline, the body, a newline.
#[must_use]
pub fn json_line(entry: &[u8]) -> Option<String> {
    let (envelope, body) = std::str::from_utf8(entry).ok()?.strip_suffix('\n')?.split_once('\n')?;
    let fields: Vec<&str> = envelope.split(' ').collect();
    let [_, log_id, epoch, index, previous] = fields[..] else { return None };
    let mut line = String::with_capacity(entry.len() + 64);
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        r#"{{"body":{body},"epoch":{epoch},"index":{index},"log_id":"{log_id}","previous":"{previous}"}}"#
    );
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Log, verifier};

    #[test]
    fn a_history_is_taken_apart_into_its_notes() {
        let all: Vec<String> = (0..5).map(|len| Log::of(len).checkpoint().note().to_owned()).collect();
        for count in 0..=5 {
            let text = all[..count].concat();
            assert_eq!(notes(&text), all[..count]);
        }
        // Cut anywhere, all that is whole is still there, and no more than one piece is not.
        let text = all.concat();
        let good = |text: &str| notes(text).iter().filter(|note| verifier().verify(note.as_bytes()).is_ok()).count();
        for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let whole = (0..=5).filter(|count| all[..*count].concat().len() <= cut).max().unwrap();
            assert_eq!(good(&text[..cut]), whole, "{cut}");
            assert!(notes(&text[..cut]).len() <= whole + 1, "{cut}");
            assert_eq!(notes(&text[..cut]).concat(), text[..cut]);
        }
        for text in ["\n", "\n\n\n", "a", "a\n", "a\n\n", "a\n\nb\n", "\u{2014} k AAAA\n"] {
            assert_eq!(notes(text).concat(), text);
        }
    }

    /// What is said of a segment, and how many bytes of it are good.
    fn read(bytes: &[u8], segment: u64) -> (usize, Vec<String>) {
        let (mut good, mut said) = (0, Vec::new());
        for one in read_segment(bytes, segment, Span::of_bundles(1), &verifier()) {
            match one {
                Ok((_, end)) => good = end,
                Err(error) => said.push(error.to_string()),
            }
        }
        (good, said)
    }

    #[test]
    fn what_is_wrong_with_a_segment_is_named() {
        let note = |size| Log::of(size).checkpoint().note().to_owned();
        let text = |sizes: &[u64]| sizes.iter().map(|size| note(*size)).collect::<String>();
        let whole = text(&[256, 300, 511]);
        assert_eq!(read(whole.as_bytes(), 1), (whole.len(), vec![]));
        assert_eq!(read(b"", 7), (0, vec![]));
        for (sizes, message) in [
            (&[256, 300, 300][..], "number 3 in `checkpoints/1` does not count more entries than the one before it"),
            (&[300, 256], "number 2 in `checkpoints/1` does not count more entries than the one before it"),
            (&[255, 300], "number 1 in `checkpoints/1` counts 255 entries, and belongs to another segment"),
            (&[300, 512], "number 2 in `checkpoints/1` counts 512 entries, and belongs to another segment"),
        ] {
            assert_eq!(read(text(sizes).as_bytes(), 1).1, [message]);
        }
        let other = crate::CheckpointSigner::new("attorn/other/1".parse().unwrap(), &[0x2a; 32]);
        let mixed = note(256) + other.sign(300, crate::Hash([1; 32])).note() + &note(511);
        assert_eq!(read(mixed.as_bytes(), 1).1, ["number 2 in `checkpoints/1` cannot be relied on"]);
        // Torn at any byte: the whole ones are read, and one thing is said, also of half a character.
        for cut in 0..whole.len() {
            let ends = [0, text(&[256]).len(), text(&[256, 300]).len()];
            let good = *ends.iter().rfind(|end| **end <= cut).unwrap();
            let (found, said) = read(&whole.as_bytes()[..cut], 1);
            assert_eq!((found, said.len()), (good, usize::from(cut > good)), "{cut}");
        }
    }

    #[test]
    fn a_segment_has_one_name() {
        for segment in [0, 1, 17, u64::MAX] {
            let name = segment_name(segment);
            assert_eq!(parse_segment(name.strip_prefix("checkpoints/").unwrap()), Some(segment));
        }
        for number in ["", "00", "01", "+1", "-1", "1 ", "x", "18446744073709551616", "0/0", ".."] {
            assert_eq!(parse_segment(number), None, "{number}");
        }
        let sizes = [0, (1 << 20) - 1, 1 << 20, u64::MAX];
        assert_eq!(sizes.map(|size| Span::USUAL.segment_of(size)), [0, 0, 1, (1 << 44) - 1]);
    }

    #[test]
    fn a_line_is_canonical_json_that_gives_the_entry_back() {
        let entry = &Log::of(3).entries[2];
        let line = json_line(&entry.to_bytes()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), line);
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let body = serde_json_canonicalizer::to_string(&value["body"]).unwrap();
        let again = format!(
            "attorn-entry/v1 {} {} {} {}\n{body}\n",
            text("log_id"),
            value["epoch"],
            value["index"],
            text("previous")
        );
        assert_eq!(again.into_bytes(), entry.to_bytes());
        for bytes in [&b""[..], b"\n", b"a\nb\n", b"a b c d e\nf", b"\xff\n\n"] {
            assert_eq!(json_line(bytes), None, "{bytes:?}");
        }
    }
}
