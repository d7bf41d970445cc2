use std::fs;
use std::io::{self, BufRead};

use attorn_log::tiles::add_to_bundle;
use attorn_log::{CheckpointSigner, EntryBody, EntryRef, Link, SignedCheckpoint, TreeBuilder, export_header};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::exit::Exit;

/// An epoch of a log.
struct Life {
    signer: CheckpointSigner,
    entries: Vec<Vec<u8>>,
}

impl Life {
    fn of(epoch: u64, seed: u8, first: &Value, len: usize) -> Self {
        let origin = Origin::of(&"main".parse().unwrap(), Epoch(epoch));
        let (mut entries, mut previous) = (Vec::new(), Link::NONE);
        for index in 0..len {
            let said = if index == 0 { first.clone() } else { json!({ "n": index, "seed": seed }) };
            let at = EntryRef { log_id: origin.log_id.clone(), epoch: origin.epoch, index: index as u64 };
            let entry = Entry { at, previous, body: EntryBody::of_value(&said).unwrap() };
            previous = entry.link();
            entries.push(entry.to_bytes());
        }
        Self { signer: CheckpointSigner::new(origin, &[seed; 32]), entries }
    }

    /// The one that begins when this has ended; whether the old key names the new one.
    fn next(&self, epoch: u64, seed: u8, trusted: bool) -> Self {
        let ended = self.at(self.entries.len());
        let origin = Origin::of(&"main".parse().unwrap(), Epoch(epoch));
        let key = CheckpointSigner::new(origin, &[seed; 32]).verifier();
        let succession = trusted.then(|| self.signer.succession(&ended, &key));
        let first = json!({ "type": "restored", "checkpoint": ended.note(), "succession": succession });
        Self::of(epoch, seed, &first, 4)
    }

    fn at(&self, size: usize) -> SignedCheckpoint {
        let mut tree = TreeBuilder::new();
        for entry in &self.entries[..size] {
            tree.push(attorn_log::tree::leaf_hash(entry)).unwrap();
        }
        self.signer.sign(size as u64, tree.root())
    }

    fn key(&self) -> CheckpointVerifier {
        self.signer.verifier()
    }

    fn seen(&self, size: usize) -> Remembered {
        let (origin, note) = (self.key().origin().clone(), self.at(size).note().to_owned());
        Remembered { origin, key: Some(self.key()), note, path: Some("state/main.1".into()) }
    }

    fn export(&self, data: &TempDir) {
        fs::create_dir_all(data.path().join("epochs")).unwrap();
        let mut bytes = export_header(&self.key(), &self.at(self.entries.len())).into_bytes();
        self.entries.iter().for_each(|entry| bytes.extend(entry));
        let epoch = self.key().origin().epoch;
        fs::write(data.path().join("epochs").join(format!("{epoch}.export")), bytes).unwrap();
    }

    async fn back(&self, data: &TempDir, epoch: u64) -> Lineage {
        let exports = Exports::Directory(data.path().to_owned());
        Lineage::back(self, self.entries.len() as u64, &exports, Epoch(epoch)).await.unwrap()
    }

    async fn compare(&self, data: &TempDir, seen: &Remembered) -> Result<(u64, u64), String> {
        let exports = Exports::Directory(data.path().to_owned());
        let lineage = self.back(data, seen.origin.epoch.0).await;
        let found = lineage.compare(seen, &exports).await.map_err(|failure| {
            assert_eq!(failure.exit, Exit::VerificationFailed, "{failure}");
            failure.message
        })?;
        Ok((found.epoch.0, found.entries))
    }
}

impl PublishedFiles for Life {
    fn read(&self, _: &str, _: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bundle = Vec::new();
        self.entries.iter().for_each(|entry| add_to_bundle(&mut bundle, entry));
        Ok(Some(bundle))
    }

    fn lines(&self) -> io::Result<Option<Box<dyn BufRead>>> {
        Ok(None)
    }

    fn names(&self) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

/// Three epochs, of which the first two are kept.
fn three() -> (TempDir, [Life; 3]) {
    let data = TempDir::new().unwrap();
    let first = Life::of(1, 1, &json!({ "type": "initialised" }), 9);
    let second = first.next(2, 2, true);
    let third = second.next(5, 3, true);
    first.export(&data);
    second.export(&data);
    (data, [first, second, third])
}

#[tokio::test]
async fn a_key_of_an_earlier_epoch_leads_to_the_one_that_signs_now() {
    let (data, [first, second, third]) = three();
    for known in [&first, &second] {
        let lineage = third.back(&data, known.key().origin().epoch.0).await;
        assert_eq!(lineage.follow(&known.key()).unwrap(), third.key());
    }
    // Another key of the same epoch leads nowhere, nor one of an epoch that the log does not come from.
    let other = Life::of(1, 7, &json!({}), 1);
    let failure = third.back(&data, 1).await.follow(&other.key()).unwrap_err();
    assert!(failure.message.starts_with("the note that names the next key cannot be relied on"), "{failure}");
    let given_up = Life::of(3, 7, &json!({}), 1);
    let failure = third.back(&data, 3).await.follow(&given_up.key()).unwrap_err();
    assert_eq!(failure.message, "the log does not come from `attorn/main/3`, whose key is trusted");
    assert_eq!(failure.exit, Exit::VerificationFailed);
}

#[tokio::test]
async fn a_key_that_was_given_up_leads_to_no_other() {
    let data = TempDir::new().unwrap();
    let first = Life::of(1, 1, &json!({ "type": "initialised" }), 9);
    first.export(&data);
    let second = first.next(2, 2, false);
    let failure = second.back(&data, 1).await.follow(&first.key()).unwrap_err();
    assert_eq!(failure.message, "the key of `attorn/main/1` was given up as compromised, and names no other after it");
    assert!(failure.help.unwrap().contains("`--key`"));
    // A note about another end of the epoch, or for another epoch than this.
    let forged = first.signer.succession(&first.at(3), &second.key());
    let third = CheckpointSigner::new("attorn/main/3".parse().unwrap(), &[3; 32]).verifier();
    for note in [forged, first.signer.succession(&first.at(9), &third)] {
        let body = json!({ "type": "log_key_rotated", "checkpoint": first.at(9).note(), "succession": note });
        let second = Life::of(2, 2, &body, 2);
        let failure = second.back(&data, 1).await.follow(&first.key()).unwrap_err();
        assert_eq!(failure.message, "the note by the key of `attorn/main/1` is of another end of its epoch");
    }
}

#[tokio::test]
async fn a_remembered_key_vouches_for_the_one_that_signs_now_or_it_is_said() {
    let (data, [first, second, third]) = three();
    let lineage = third.back(&data, 1).await;
    assert_eq!(lineage.vouched(&first.seen(3), &third.key()).unwrap(), None);
    let failure = lineage.vouched(&first.seen(3), &second.key()).unwrap_err();
    assert_eq!(failure.message, "the key of `attorn/main/1` named another one than the one that signs now");
    // By somebody who does not have the key of before: a log of another's that says where the old one ended.
    let body = json!({ "type": "restored", "checkpoint": first.at(9).note(),
        "succession": second.signer.succession(&second.at(4), &third.key()) });
    let stranger = Life::of(2, 8, &body, 2);
    assert!(stranger.back(&data, 1).await.vouched(&first.seen(3), &stranger.key()).is_err());
    let unvouched = |said: Option<&'static str>| said.is_some_and(|said| said.contains("does not vouch for it"));
    let given_up = first.next(2, 2, false);
    assert!(unvouched(given_up.back(&data, 1).await.vouched(&first.seen(3), &given_up.key()).unwrap()));
    let keyless = Remembered { key: None, ..first.seen(3) };
    assert_eq!(lineage.vouched(&keyless, &second.key()).unwrap(), None);
}

#[tokio::test]
async fn what_was_seen_of_an_earlier_epoch_is_still_there() {
    let (data, [first, second, third]) = three();
    for size in [1, 5, 9] {
        assert_eq!(third.compare(&data, &first.seen(size)).await, Ok((1, size as u64)));
        assert_eq!(second.compare(&data, &first.seen(size)).await, Ok((1, size as u64)));
    }
    assert_eq!(third.compare(&data, &second.seen(4)).await, Ok((2, 4)));
}

#[tokio::test]
async fn what_is_not_is_a_rollback_or_a_fork() {
    let (data, [first, second, third]) = three();
    // More was seen of the first epoch than a backup had when it was restored.
    let longer = Life::of(1, 1, &json!({ "type": "initialised" }), 14);
    let said = third.compare(&data, &longer.seen(14)).await.unwrap_err();
    assert_eq!(said, "rollback: 5 entries that you have seen are gone: epoch 1 ended with 9");
    // An epoch was seen that the log does not come from, because an older backup was restored.
    let given_up = Life::of(3, 7, &json!({}), 6);
    let said = third.compare(&data, &given_up.seen(6)).await.unwrap_err();
    assert_eq!(said, "rollback: 6 entries that you have seen are gone: the log does not come from epoch 3");
    let exports = Exports::Directory(data.path().to_owned());
    let failure = third.back(&data, 3).await.compare(&given_up.seen(6), &exports).await.err().unwrap();
    assert_eq!(failure.help.unwrap(), "if you know why, such as a restore: remove `state/main.1`, and verify anew");
    // The same number of entries, and others.
    let other = Life::of(1, 1, &json!({ "type": "another" }), 9);
    let said = third.compare(&data, &other.seen(5)).await.unwrap_err();
    assert_eq!(said, "epoch 1: the log was forked: an earlier checkpoint signs other 5 first entries than these");
    // By another key.
    let stranger = Life::of(1, 9, &json!({ "type": "initialised" }), 9);
    let said = third.compare(&data, &stranger.seen(5)).await.unwrap_err();
    assert!(said.starts_with("epoch 1: the log is of the key "), "{said}");
    // What is kept is not what ended.
    let shorter = Life::of(1, 1, &json!({ "type": "initialised" }), 7);
    shorter.export(&data);
    let said = third.compare(&data, &first.seen(5)).await.unwrap_err();
    assert_eq!(said, "what is kept of epoch 1 does not end where the log says that it ended");
    // A log that did not begin after another comes from none.
    let said = first.compare(&data, &second.seen(4)).await.unwrap_err();
    assert_eq!(said, "rollback: 4 entries that you have seen are gone: the log does not come from epoch 2");
}

#[test]
fn a_lower_epoch_than_was_seen_is_a_rollback() {
    let seen = Life::of(3, 7, &json!({}), 6).seen(6);
    let failure = rolled_back(&seen, &"attorn/main/2".parse().unwrap());
    assert_eq!(failure.exit, Exit::VerificationFailed);
    assert_eq!(
        failure.message,
        "rollback: 6 entries that you have seen are gone: the log is `attorn/main/2`, and you have seen `attorn/main/3`"
    );
}
