//! What a published log is read from: bundles, paths, checkpoints, policies and what witnesses answer.

use attorn_log::segments::{Span, json_line, notes, read_segment};
use attorn_log::tiles::{Bundle, add_to_bundle};
use attorn_log::witness::size_of_conflict;
use attorn_log::{
    CheckpointSigner, CheckpointVerifier, Entry, Hash, Receipt, Tile, WitnessKey, WitnessPolicy, verify_export,
};

/// The first byte says what the rest is taken for. It ends in a value or an error, and what was read is written as it
/// was; nothing passes for signed.
pub fn published(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let signer = CheckpointSigner::new("attorn/fuzz/1".parse().unwrap(), &[7; 32]);
    match kind % 6 {
        0 => bundle(bytes),
        1 => {
            if let Ok(tile) = text.parse::<Tile>() {
                assert_eq!(tile.to_string(), text);
                assert!(tile.nodes().count() <= 256);
                let _ = tile.is_in(u64::MAX);
            }
        }
        2 => {
            let notes = notes(text);
            assert_eq!(notes.concat(), text);
            assert!(notes.iter().all(|note| signer.verifier().verify(note.as_bytes()).is_err()));
            let key = signer.verifier();
            assert!(read_segment(bytes, 0, Span::USUAL, &key).all(|checkpoint| checkpoint.is_err()));
        }
        3 => {
            let policy = text.parse::<WitnessPolicy>();
            if let Ok(policy) = policy {
                let _ = policy.check(&signer.sign(1, Hash([1; 32])));
            }
            if let Ok(key) = text.parse::<WitnessKey>() {
                assert_eq!(key.to_string(), text);
            }
            if let Ok(key) = text.parse::<CheckpointVerifier>() {
                assert_eq!(key.to_string(), text);
            }
        }
        4 => {
            if let Some(size) = size_of_conflict(bytes) {
                assert_eq!(format!("{size}\n"), text);
            }
            let key: WitnessKey = WITNESS.parse().unwrap();
            assert!(key.read(&signer.sign(1, Hash([1; 32])), bytes).is_err());
        }
        _ => {
            assert!(verify_export(bytes, Some(&signer.verifier())).is_err());
            if let Ok(receipt) = Receipt::parse(text) {
                assert!(receipt.verify(&signer.verifier()).is_err());
            }
        }
    }
}

/// Its key is the base point of the curve.
const WITNESS: &str = "witness.example/w1+240e77bf+BFhmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZm";

fn bundle(bytes: &[u8]) {
    let (mut bundle, mut again) = (Bundle::new(bytes), Vec::new());
    while let Ok(entry) = bundle.next_entry() {
        add_to_bundle(&mut again, entry);
        let line = json_line(entry);
        if let Ok(parsed) = Entry::parse(entry) {
            assert_eq!(parsed.to_bytes(), entry);
            let line = line.expect("an entry has a line");
            assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|value| value.is_object()), "{line}");
        }
        if bundle.end().is_ok() {
            assert_eq!(again, bytes);
            return;
        }
    }
    assert!(bytes.starts_with(&again));
}
