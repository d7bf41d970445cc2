//! What was accepted of a record that is lost goes for that one alone.

use tempfile::TempDir;

use super::*;
use crate::fixtures::decision;

fn key(n: u64) -> Key {
    Key::decision(&decision(n))
}

/// A digest is over key and value, so whoever lets a second decision's place say one that was accepted hides a record.
#[test]
fn what_was_accepted_of_one_decision_is_not_accepted_of_another() {
    let dir = TempDir::new().unwrap();
    let mut walk = RecordWalk::within(dir.path());
    walk.accepted.insert([1; 32]);
    let place = [&[0x80][..], &1_u64.to_be_bytes(), &[0; 12], &4_u32.to_be_bytes(), &[1; 32]].concat();
    assert!(Filed::of(&key(1), &place).is_some());
    let stored = || Stored { version: 1, entries: 0..1, value: place.clone() };

    for _ in 0..2 {
        assert!(walk.value(&key(1), &stored()).is_none());
    }
    assert_eq!(walk.bad.values().map(|file| file.claims.len()).sum::<usize>(), 2);
    let mut other = RecordWalk::within(dir.path());
    other.accepted.insert([1; 32]);
    other.value(&key(1), &stored());
    other.value(&key(2), &stored());
    assert_eq!((walk.into_bad(Epoch(1)).0.len(), other.into_bad(Epoch(1)).0.len()), (0, 1));
}
