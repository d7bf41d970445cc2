//! The checkpoints that a log signed earlier, one after another in one text, and an entry as a line of JSON.
//!
//! Neither is a standard's. Checkpoints are kept so that a verifier can see that each continues the one before; the
//! lines are there for whoever reads JSON and no tiles.

use std::fmt::Write as _;

use crate::note::is_signature_line;

/// The longest history that is read, in bytes.
pub const HISTORY_BYTES_MAX: usize = 64 << 20;

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
