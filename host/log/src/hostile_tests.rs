//! Any bytes at all, for everything that parses: an error or a value, never a panic, and what parses
//! is written as it was read.

use proptest::prelude::*;

use crate::fixtures::{Log, verifier};
use crate::{CheckpointVerifier, Entry, EntryBody, EntryRef, Epoch, Link, LogId, Origin, Receipt, verify_export};

fn try_all(bytes: &[u8]) {
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
    assert!(verifier().verify(bytes).is_err());
    assert!(verify_export(bytes, Some(&verifier())).is_err());
    let _ = verify_export(bytes, None);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(body) = EntryBody::parse(text) {
        assert_eq!(body.as_str(), text);
    }
    if let Ok(receipt) = Receipt::parse(text) {
        assert_eq!(receipt.to_string(), text);
        assert!(receipt.verify(&verifier()).is_err());
    }
    if let Ok(key) = text.parse::<CheckpointVerifier>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(at) = text.parse::<EntryRef>() {
        assert_eq!(at.to_string(), text);
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert_eq!(origin.to_string(), text);
    }
    if let Ok(log_id) = text.parse::<LogId>() {
        assert_eq!(log_id.to_string(), text);
    }
    if let Ok(epoch) = text.parse::<Epoch>() {
        assert_eq!(epoch.to_string(), text);
    }
    if let Ok(link) = text.parse::<Link>() {
        assert_eq!(link.to_string(), text);
    }
}

/// Something that all but parses: a piece of it taken out and another put in its place.
fn spliced(whole: &[u8], from: usize, len: usize, with: &[u8]) -> Option<Vec<u8>> {
    let from = from % whole.len();
    let to = (from + len).min(whole.len());
    let bytes = [&whole[..from], with, &whole[to..]].concat();
    (bytes != whole).then_some(bytes)
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_all(&bytes);
    }

    #[test]
    fn any_text(text in "(\\PC|[\n\t+/ 0-9{}\":,]){0,100}") {
        try_all(text.as_bytes());
    }

    #[test]
    fn almost_right(kind in 0..5, from: usize, len in 0_usize..40, with in prop::collection::vec(any::<u8>(), 0..40)) {
        let log = Log::of(5);
        let whole = match kind {
            0 => log.export(),
            1 => log.receipt(2).to_string().into_bytes(),
            2 => log.checkpoint().note().as_bytes().to_vec(),
            3 => verifier().to_string().into_bytes(),
            _ => log.entries[2].to_bytes(),
        };
        if let Some(bytes) = spliced(&whole, from, len, &with) {
            try_all(&bytes);
        }
    }
}
