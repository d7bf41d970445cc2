//! The signed note of C2SP (`c2sp.org/signed-note`): a text and signature lines under it.
//!
//! This takes a note apart and checks its form. Whether a signature is good is not decided here.

use data_encoding::BASE64;

/// The longest note, in bytes. Sixteen of the longest known signatures need somewhat more than these;
/// ours and those of today's witnesses are a few hundred bytes each.
pub(crate) const NOTE_BYTES_MAX: usize = 64 << 10;

/// The most signatures on a note: as many as the standard asks everybody to take.
pub(crate) const SIGNATURES_MAX: usize = 16;

/// What begins a signature line: an em dash and a blank.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// Why bytes are no signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// There are too many.
    #[error("the note has {bytes} bytes, and {NOTE_BYTES_MAX} is the most")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// They are not UTF-8, or hold a control character.
    #[error("the note is not plain text")]
    NotText,
    /// There is no blank line with signatures after it.
    #[error("the note has no signatures")]
    NoSignatures,
    /// There are too many signatures.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A line below the blank line is no signature.
    #[error("line {number} below the note's text is no signature")]
    SignatureLine {
        /// Which line, from 1.
        number: usize,
    },
}

/// A note taken apart.
pub(crate) struct Note<'a> {
    /// What is signed, with its last newline.
    pub(crate) text: &'a str,
    /// By whom, as the note has it.
    pub(crate) signatures: Vec<Signature<'a>>,
}

/// One signature line.
pub(crate) struct Signature<'a> {
    /// The name of the key.
    pub(crate) name: &'a str,
    /// The id of the key.
    pub(crate) key_id: [u8; 4],
    /// What follows the key id.
    pub(crate) bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    pub(crate) fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: note.len() });
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::NotText)?;
        if note.bytes().any(|b| b < b' ' && b != b'\n') {
            return Err(NoteError::NotText);
        }
        // The text may hold blank lines; the last one ends it.
        let end = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let lines = signatures.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let signatures: Vec<_> = lines
            .split('\n')
            .enumerate()
            .take(SIGNATURES_MAX + 1)
            .map(|(at, line)| Signature::parse(line).ok_or(NoteError::SignatureLine { number: at + 1 }))
            .collect::<Result<_, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        Ok(Self { text, signatures })
    }
}

impl<'a> Signature<'a> {
    /// Read one signature line, without its newline.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        if !is_key_name(name) {
            return None;
        }
        let bytes = BASE64.decode(base64.as_bytes()).ok()?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        (!signature.is_empty()).then(|| Self { name, key_id: *key_id, bytes: signature.to_vec() })
    }
}

/// A key's name is not empty and has neither Unicode spaces nor `+`.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// Put one signature under a text that ends in a newline.
pub(crate) fn render(text: &str, name: &str, key_id: [u8; 4], signature: &[u8]) -> String {
    format!("{text}\n{}\n", signature_line(name, key_id, signature))
}

/// One signature line, without its newline.
pub(crate) fn signature_line(name: &str, key_id: [u8; 4], signature: &[u8]) -> String {
    format!("{SIGNATURE_MARK}{name} {}", BASE64.encode_display(&[&key_id, signature].concat()))
}

/// Whether a line can only stand below a note's text.
pub(crate) fn is_signature_line(line: &str) -> bool {
    line.starts_with(SIGNATURE_MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(note: &str, expect: Result<(&str, usize), NoteError>) {
        let parsed = Note::parse(note.as_bytes());
        assert_eq!(parsed.as_ref().map(|note| (note.text, note.signatures.len())).map_err(|error| *error), expect);
    }

    #[test]
    fn hostile_notes_are_refused() {
        let first = Err(NoteError::SignatureLine { number: 1 });
        check("", Err(NoteError::NoSignatures));
        check("a\n", Err(NoteError::NoSignatures));
        check("a\n\n", Err(NoteError::NoSignatures));
        check("a\n\n\u{2014} k AAAAAAA=", Err(NoteError::NoSignatures));
        check("a\n\u{2014} k AAAAAAA=\n", Err(NoteError::NoSignatures));
        check("a\r\n\n\u{2014} k AAAAAAA=\n", Err(NoteError::NotText));
        check("a\0\n\n\u{2014} k AAAAAAA=\n", Err(NoteError::NotText));
        check("a\n\n- k AAAAAAA=\n", first);
        check("a\n\n\u{2014}k AAAAAAA=\n", first);
        check("a\n\n\u{2014} k  AAAAAAA=\n", first);
        check("a\n\n\u{2014}  AAAAAAA=\n", first);
        check("a\n\n\u{2014} k+l AAAAAAA=\n", first);
        check("a\n\n\u{2014} k\u{2003}l AAAAAAA=\n", first);
        // Four bytes are a key id without a signature; the others are other spellings of base64.
        for base64 in ["", "AAAAAA==", "AAAAAAA", "AAAAAAB=", "AAAAAAA= ", "AAAAAAA==", "AAAA-AA="] {
            check(&format!("a\n\n\u{2014} k {base64}\n"), first);
        }
        check("a\n\n\u{2014} k AAAAAAA=\nb\n", Err(NoteError::SignatureLine { number: 2 }));
        let long = format!("{}\n\n\u{2014} k AAAAAAA=\n", "a".repeat(NOTE_BYTES_MAX));
        check(&long, Err(NoteError::TooLong { bytes: long.len() }));
        assert!(matches!(Note::parse(b"\xff\n\n"), Err(NoteError::NotText)));
    }

    #[test]
    fn sixteen_signatures_are_taken_and_no_more() {
        let note = |count: usize| format!("a\n\nb\n\n{}", "\u{2014} k AAAAAAA=\n".repeat(count));
        check(&note(1), Ok(("a\n\nb\n", 1)));
        check(&note(16), Ok(("a\n\nb\n", 16)));
        check(&note(17), Err(NoteError::TooManySignatures));
        check(&note(1_000), Err(NoteError::TooManySignatures));
    }
}
