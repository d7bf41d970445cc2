//! Looking for the secret in what comes in pieces. What may be the beginning of it is held back until more is known, so
//! nothing of it ever gets out, and nothing else waits.

use hyper::body::Bytes;
use memchr::memmem::Finder;
use zeroize::Zeroizing;

/// Looks for one text.
pub(super) struct Scan {
    secret: Zeroizing<Vec<u8>>,
    finder: Finder<'static>,
    held: Vec<u8>,
}

/// The secret is in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found;

impl Scan {
    pub(super) fn new(secret: &Zeroizing<Vec<u8>>) -> Self {
        Self { secret: secret.clone(), finder: Finder::new(secret.as_slice()).into_owned(), held: Vec::new() }
    }

    /// The next piece, without what may be the beginning of the secret.
    pub(super) fn pass(&mut self, piece: Bytes) -> Result<Bytes, Found> {
        let mut piece = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            Bytes::from(std::mem::take(&mut self.held))
        };
        if self.finder.find(&piece).is_some() {
            return Err(Found);
        }
        let longest = (self.secret.len() - 1).min(piece.len());
        let begun = (1..=longest).rev().find(|bytes| piece.ends_with(&self.secret[..*bytes])).unwrap_or_default();
        self.held = piece.split_off(piece.len() - begun).to_vec();
        Ok(piece)
    }

    /// What was held back, when nothing more comes.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    /// Whether a text holds it.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.finder.find(text).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan() -> Scan {
        Scan::new(&Zeroizing::new(b"secrets!".to_vec()))
    }

    /// All that gets through of these pieces, and whether it was found.
    fn through(pieces: &[&str]) -> (String, bool) {
        let (mut scan, mut passed) = (scan(), Vec::new());
        for piece in pieces {
            match scan.pass(Bytes::copy_from_slice(piece.as_bytes())) {
                Ok(piece) => passed.extend_from_slice(&piece),
                Err(Found) => return (String::from_utf8(passed).unwrap(), true),
            }
        }
        passed.extend_from_slice(&scan.rest());
        (String::from_utf8(passed).unwrap(), false)
    }

    #[test]
    fn it_is_found_wherever_it_is_cut_and_nothing_of_it_gets_out() {
        let text = "before secrets! after";
        for at in 0..text.len() {
            let (passed, found) = through(&[&text[..at], &text[at..]]);
            assert!(found && "before ".starts_with(&passed), "{at}: {passed}");
        }
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        let (passed, found) = through(&pieces.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((passed.as_str(), found), ("before ", true));
        assert!(scan().is_in(b"x secrets!") && !scan().is_in(b"x secrets"));
    }

    #[test]
    fn all_else_comes_through_as_it_is() {
        for pieces in [&["sec", "ond"][..], &["secrets", "?"], &["ssecret", "s", "."], &["secsecrets"], &[""], &[]] {
            assert_eq!(through(pieces), (pieces.concat(), false));
        }
        // What cannot be its beginning does not wait.
        assert_eq!(scan().pass(Bytes::from_static(b"event: 1\n")).unwrap(), "event: 1\n");
    }
}
