// Long because: one life of a log over several epochs is made here, and all that may be brought against it is tried on it.

use std::fs;
use std::io::{self, BufRead};

use attorn_log::tiles::{add_to_bundle, hash_tile};
use attorn_log::{CheckpointSigner, EntryBody, EntryRef, Link, SignedCheckpoint, TreeBuilder, export_header};
use serde_json::json;
use tempfile::TempDir;

use super::super::earlier;
use super::super::offline::{self, Exported};
use super::super::remembered::Memory;
use super::super::report::Believed;
use super::super::{Given, Unverified, live};
use super::*;
use crate::exit::Exit;
use crate::output::Output;

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

    fn seen(&self, size: usize) -> Anchor {
        let (origin, note) = (self.key().origin().clone(), self.at(size).note().to_owned());
        Anchor { origin, key: Some(self.key()), note, path: Some("state/main.1".into()) }
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

    async fn compare(&self, data: &TempDir, seen: &Anchor) -> Result<(u64, u64), String> {
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
    fn read(&self, name: &str, _: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bundle = Vec::new();
        self.entries.iter().for_each(|entry| add_to_bundle(&mut bundle, entry));
        let leaves: Vec<_> = self.entries.iter().map(|entry| attorn_log::tree::leaf_hash(entry)).collect();
        Ok(Some(match name {
            "key" => format!("{}\n", self.key()).into_bytes(),
            "checkpoint" => self.at(self.entries.len()).note().as_bytes().to_vec(),
            "checkpoints/0" => Vec::new(),
            name if name.starts_with("tile/entries/") => bundle,
            _ => hash_tile(&leaves),
        }))
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
    assert_eq!(failure.message, "the key of `attorn/main/1` was given up, and names no other after it");
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
async fn the_key_of_what_was_seen_leads_to_the_one_that_signs_now() {
    let (data, [first, second, third]) = three();
    let lineage = third.back(&data, 1).await;
    lineage.vouched(&first.key(), &third.key()).unwrap();
    let failure = lineage.vouched(&first.key(), &second.key()).unwrap_err();
    assert_eq!(failure.message, "the key of `attorn/main/1` named another one than the one that signs now");
    assert!(failure.exit == Exit::VerificationFailed && failure.help.unwrap().contains("`--key`"));
}

/// How a log is verified that goes on, by whoever knows these things of it.
struct Knows {
    state: TempDir,
    key: Option<CheckpointVerifier>,
    since: Option<String>,
}

impl Knows {
    /// That this was seen: with its key, or as it was remembered before keys were.
    fn remembers(life: &Life, size: usize) -> Self {
        let state = TempDir::new().unwrap();
        Memory::within(state.path()).remember(&life.at(size), &life.key(), None).unwrap();
        Self { state, key: None, since: None }
    }

    fn remembers_no_key(life: &Life, size: usize) -> Self {
        let knows = Self::remembers(life, size);
        let (origin, note) = (life.key().origin().clone(), life.at(size).note().to_owned());
        let file = knows.state.path().join(format!("attorn/checkpoints/{}.{}", origin.log_id, origin.epoch));
        fs::write(file, note).unwrap();
        knows
    }

    fn brings(life: &Life, size: usize) -> Self {
        let since = Some(life.at(size).note().to_owned());
        Self { state: TempDir::new().unwrap(), key: None, since }
    }

    fn nothing() -> Self {
        Self { state: TempDir::new().unwrap(), key: None, since: None }
    }

    fn memory(&self) -> Memory {
        Memory::within(self.state.path())
    }

    fn latest(&self) -> Option<Anchor> {
        self.memory().latest(&"main".parse().unwrap()).unwrap()
    }

    /// The log says that it has this key.
    async fn verify(&self, log: &Life, data: &TempDir) -> Result<Exit, Failure> {
        let exports = Exports::Directory(data.path().to_owned());
        let given = Given { since: self.since.iter().cloned().collect(), policy: None };
        let now = (&log.key(), Believed::FromServer);
        let done =
            live(&Output::new(false), (log, &exports), (given, self.key.clone(), Some(self.memory())), now).await;
        done.map_err(Unverified::into_failure)
    }
}

#[tokio::test]
async fn whoever_has_a_copy_of_the_log_and_no_key_is_not_believed() {
    let data = TempDir::new().unwrap();
    let first = Life::of(1, 1, &json!({ "type": "initialised" }), 9);
    first.export(&data);
    // More than the victim has seen, up to a checkpoint that anybody may have.
    let ended = first.at(9).note().to_owned();
    let stranger = CheckpointSigner::new("attorn/main/2".parse().unwrap(), &[8; 32]);
    let by_itself = stranger.succession(&first.at(9), &stranger.verifier());
    for succession in [Value::Null, json!("garbage"), json!(by_itself), json!(7)] {
        let body = json!({ "type": "log_key_rotated", "checkpoint": ended, "succession": succession });
        let forged = Life::of(2, 8, &body, 4);
        let with_key = Knows::remembers(&first, 3);
        let beside = Knows { since: Some(first.at(5).note().to_owned()), ..Knows::remembers(&first, 3) };
        for mut knows in [with_key, Knows::remembers_no_key(&first, 3), Knows::brings(&first, 3), beside] {
            let before = knows.latest();
            let failure = knows.verify(&forged, &data).await.unwrap_err();
            assert_eq!(failure.exit, Exit::VerificationFailed, "{succession}: {failure}");
            assert!(failure.help.unwrap().contains("`--key`"), "{succession}");
            assert_eq!(knows.latest(), before, "{succession}");
            // Whoever gives the old key is told, too; the new one is believed because somebody gives it.
            knows.key = Some(first.key());
            assert_eq!(knows.verify(&forged, &data).await.unwrap_err().exit, Exit::VerificationFailed);
            knows.key = Some(forged.key());
            assert_eq!(knows.verify(&forged, &data).await.unwrap(), Exit::Done);
            assert_eq!(knows.latest().unwrap().key, Some(forged.key()));
        }
    }
}

#[tokio::test]
async fn a_log_that_the_known_key_leads_to_is_believed_and_remembered() {
    let (data, [first, second, third]) = three();
    for knows in [
        Knows::remembers(&first, 3),
        Knows::remembers(&second, 4),
        Knows::remembers_no_key(&first, 9),
        Knows::brings(&first, 5),
        Knows { key: Some(first.key()), ..Knows::remembers(&second, 2) },
        // What is remembered is older than the key that is given.
        Knows { key: Some(second.key()), ..Knows::remembers(&first, 2) },
    ] {
        assert_eq!(knows.verify(&third, &data).await.unwrap(), Exit::Done);
        assert_eq!(knows.latest().unwrap().key, Some(third.key()));
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_brought_does_not_replace_the_key_that_is_remembered() {
    let (data, [first, second, _]) = three();
    let other = first.next(2, 9, true);
    let knows = Knows { since: Some(other.at(2).note().to_owned()), ..Knows::remembers(&second, 2) };
    let failure = knows.verify(&other, &data).await.unwrap_err();
    assert_eq!(failure.message, "the log `attorn/main/2` is of another key than the one that is remembered");
    assert!(failure.exit == Exit::VerificationFailed && failure.help.unwrap().contains("main.2`"));
    assert_eq!(knows.latest().unwrap().key, Some(second.key()));
    // Nor does it hide that the log was in a later epoch.
    let knows = Knows { since: Some(first.at(2).note().to_owned()), ..Knows::remembers(&second, 2) };
    let failure = knows.verify(&first, &data).await.unwrap_err();
    assert!(failure.message.starts_with("rollback: 2 entries that you have seen are gone"), "{failure}");
}

#[tokio::test]
async fn a_checkpoint_that_is_brought_does_not_hide_the_one_that_is_remembered() {
    let (data, [first, ..]) = three();
    // The victim saw more of the same epoch, under the same key, than what is brought counts.
    let body = json!({ "type": "restored", "checkpoint": first.at(9).note() });
    let [longer, grown] = [14, 18].map(|len| Life::of(2, 2, &body, len));
    let cut = Life::of(2, 2, &body, 7);
    let other = json!({ "type": "restored", "checkpoint": first.at(9).note(), "other": true });
    let forked = Life::of(2, 2, &other, 18);
    for (log, brought, message) in [
        (&cut, &cut, "the log was cut: it has 7 entries, and had 14 when an earlier checkpoint was signed"),
        (&forked, &forked, "the log was forked: an earlier checkpoint signs other 14 first entries than these"),
    ] {
        for since in [None, Some(brought.at(5).note().to_owned())] {
            let knows = Knows { since, ..Knows::remembers(&longer, 14) };
            let before = knows.latest();
            let failure = knows.verify(log, &data).await.unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (Exit::VerificationFailed, message));
            assert_eq!(knows.latest(), before, "the evidence stays");
            // Nor does a key that somebody gives beside it.
            let knows = Knows { key: Some(log.key()), ..knows };
            assert_eq!(knows.verify(log, &data).await.unwrap_err().message, message);
            assert_eq!(knows.latest(), before);
        }
    }
    // What is brought counts as well, where it is the larger.
    let knows = Knows { since: Some(forked.at(16).note().to_owned()), ..Knows::remembers(&longer, 14) };
    let failure = knows.verify(&grown, &data).await.unwrap_err();
    assert_eq!(failure.message, "the log was forked: an earlier checkpoint signs other 16 first entries than these");
    let knows = Knows { since: Some(longer.at(5).note().to_owned()), ..Knows::remembers(&longer, 14) };
    assert_eq!(knows.verify(&grown, &data).await.unwrap(), Exit::Done);
    let seen = knows.latest().unwrap();
    assert_eq!(grown.key().verify(seen.note.as_bytes()).unwrap().checkpoint().size, 18);
    // Of another key than the one that signs now, whoever gave that one.
    let stranger = Life::of(2, 9, &body, 4);
    let note = stranger.at(2).note().to_owned();
    let knows = Knows { since: Some(note), key: Some(stranger.key()), ..Knows::remembers(&longer, 4) };
    let before = knows.latest();
    let failure = knows.verify(&stranger, &data).await.unwrap_err();
    assert_eq!(failure.message, "the log `attorn/main/2` is of another key than the one that is remembered");
    assert_eq!(knows.latest(), before);
}

#[tokio::test]
async fn an_epoch_that_begins_as_another_one_leads_nowhere() {
    let (data, [first, second, third]) = three();
    // In place of the second epoch's export stands one of an epoch before it.
    fs::copy(data.path().join("epochs/1.export"), data.path().join("epochs/2.export")).unwrap();
    let failure = Knows::remembers(&first, 3).verify(&third, &data).await.unwrap_err();
    assert!(failure.message.contains("the log does not come from epoch 1"), "{failure}");
    let fake = Life::of(7, 2, &json!({ "type": "restored", "checkpoint": first.at(9).note() }), 2);
    let mut bytes = export_header(&fake.key(), &fake.at(2)).into_bytes();
    fake.entries.iter().for_each(|entry| bytes.extend(entry));
    fs::write(data.path().join("epochs/2.export"), bytes).unwrap();
    let failure = Knows::remembers(&first, 3).verify(&third, &data).await.unwrap_err();
    assert!(failure.message.contains("the log does not come from epoch 1"), "{failure}");
    second.export(&data);
    assert_eq!(Knows::remembers(&first, 3).verify(&third, &data).await.unwrap(), Exit::Done);
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
    // Of what somebody brings nobody can tell whether it was signed.
    let brought = Anchor { path: None, key: None, ..seen };
    let failure = rolled_back(&brought, &"attorn/main/2".parse().unwrap());
    assert_eq!(failure.exit, Exit::VerificationFailed);
    assert_eq!(
        failure.message,
        "the checkpoint that was kept says that it is of `attorn/main/3`, and the log is `attorn/main/2`: if the log's key \
         signed it, the log was put back, and 6 entries that it counts are gone"
    );
}

/// What is said of the epochs before a log, with what is kept of them in this directory.
async fn before(log: &Life, data: &TempDir) -> Result<Vec<(u64, u64, bool)>, (Option<u64>, String)> {
    let exports = Exports::Directory(data.path().to_owned());
    let found = earlier::verify(&Output::new(false), Some(&log.entries[0]), &exports, None).await;
    let found = found.map_err(|wrong| {
        assert_eq!(wrong.failure.exit, Exit::VerificationFailed, "{}", wrong.failure);
        (wrong.entry, wrong.failure.message)
    })?;
    Ok(found.iter().map(|one| (one.epoch.0, one.entries, one.seen == earlier::Seen::Whole)).collect())
}

#[tokio::test]
async fn every_epoch_that_is_kept_is_verified_and_the_first_bad_entry_named_with_its_epoch() {
    let (data, [first, second, third]) = three();
    assert_eq!(before(&third, &data).await, Ok(vec![(2, 4, true), (1, 9, true)]));
    assert_eq!(before(&first, &data).await, Ok(vec![]));
    for (epoch, life, at) in [(1, &first, 4), (2, &second, 2)] {
        let path = data.path().join(format!("epochs/{epoch}.export"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&format!("\"n\":{at},"), &format!("\"n\":{},", at + 1))).unwrap();
        let said = format!("epoch {epoch}: entry {at} was changed");
        assert_eq!(before(&third, &data).await, Err((Some(at), said.clone())));
        // Whoever verifies the log is told so, and remembers nothing.
        let knows = Knows { state: TempDir::new().unwrap(), key: None, since: None };
        assert_eq!(knows.verify(&third, &data).await.unwrap_err().message, said);
        assert_eq!(knows.latest(), None);
        life.export(&data);
    }
    // Written anew, in the whole of it, by whoever has another key.
    let forged = Life::of(1, 9, &json!({ "type": "initialised" }), 9);
    forged.export(&data);
    let (_, said) = before(&third, &data).await.unwrap_err();
    assert!(said.starts_with("epoch 1: what is kept of it is by another key"), "{said}");
    // Or by the key of then, and another.
    Life::of(1, 1, &json!({ "type": "another" }), 9).export(&data);
    let (_, said) = before(&third, &data).await.unwrap_err();
    assert_eq!(said, "what is kept of epoch 1 does not end where the log says that it ended");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let (data, [_, second, _]) = three();
    let pipe = |path: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    };
    let export = data.path().join("epochs/1.export");
    fs::remove_file(&export).unwrap();
    pipe(&export);
    let exports = Exports::Directory(data.path().to_owned());
    for link in [None, Some("2.export"), Some("nowhere"), Some("/dev/zero")] {
        if let Some(link) = link {
            fs::remove_file(&export).unwrap();
            std::os::unix::fs::symlink(link, &export).unwrap();
        }
        let wrong = earlier::verify(&Output::new(false), Some(&second.entries[0]), &exports, None).await.err().unwrap();
        assert!(wrong.failure.message.contains("1.export` is no regular file"), "{link:?}: {}", wrong.failure);
        assert!(wrong.failure.exit == Exit::VerificationFailed && wrong.failure.help.is_some(), "{link:?}");
        for unread in [first_exported(&export).err(), origin_exported(&export).err()] {
            assert!(unread.is_some_and(|failure| failure.exit == Exit::VerificationFailed), "{link:?}");
        }
    }
    pipe(&data.path().join("entries.jsonl"));
    let files = super::super::Directory::new(data.path().to_owned(), super::super::Form::Exported);
    assert_eq!(files.lines().err().unwrap().kind(), io::ErrorKind::InvalidData);
    assert!(files.read("entries.jsonl", 10).is_err());
}

#[tokio::test]
async fn an_epoch_of_which_nothing_is_kept_is_said() {
    let (data, [_, second, third]) = three();
    fs::remove_file(data.path().join("epochs/1.export")).unwrap();
    assert_eq!(before(&third, &data).await, Ok(vec![(2, 4, true), (1, 9, false)]));
    assert_eq!(before(&second, &data).await, Ok(vec![(1, 9, false)]));
    fs::remove_file(data.path().join("epochs/2.export")).unwrap();
    assert_eq!(before(&third, &data).await, Ok(vec![(2, 4, false)]));
}

#[tokio::test]
async fn an_epoch_before_a_gap_is_unproven_and_no_key_leads_over_the_gap() {
    let (data, [first, _, third]) = three();
    fs::remove_file(data.path().join("epochs/2.export")).unwrap();
    let missing = earlier::Broken::Missing(Epoch(2));
    let found = beyond(&third, &data, None).await.unwrap();
    assert_eq!(found, [(2, 4, earlier::Seen::NotKept), (1, 9, earlier::Seen::Unproven(missing))]);
    let knows = Knows { key: Some(third.key()), ..Knows::nothing() };
    let failure = knows.verify(&third, &data).await.unwrap_err();
    assert!(
        failure.exit == Exit::VerificationFailed
            && failure.message.contains("epoch 1 is unproven: `2.export` is missing")
    );
    assert!(failure.help.unwrap().starts_with("put `2.export` back from a backup"));
    assert_eq!(knows.latest(), None, "nothing is remembered");
    // Neither a key nor a checkpoint of before leads on, and what is missing is named.
    for knows in [Knows::remembers(&first, 3), Knows { key: Some(first.key()), ..Knows::brings(&first, 3) }] {
        let failure = knows.verify(&third, &data).await.unwrap_err();
        assert_eq!(failure.exit, Exit::VerificationFailed, "{failure}");
        assert!(failure.message.contains("the export of epoch 2 is not kept (`2.export`)"), "{failure}");
        assert!(failure.help.unwrap().contains("put that file back"));
    }
    // What is kept there is looked at all the same, and every entry counts.
    let path = data.path().join("epochs/1.export");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"n\":4,", "\"n\":5,")).unwrap();
    assert_eq!(before(&third, &data).await, Err((Some(4), "epoch 1: entry 4 was changed".to_owned())));
    fs::write(&path, text.replace("attorn/main/1", "attorn/other/1")).unwrap();
    assert!(before(&third, &data).await.is_err());
}

/// What is said of each epoch before a log, by whoever remembers this.
async fn beyond(
    log: &Life,
    data: &TempDir,
    memory: Option<&Memory>,
) -> Result<Vec<(u64, u64, earlier::Seen)>, Failure> {
    let exports = Exports::Directory(data.path().to_owned());
    let found = earlier::verify(&Output::new(false), Some(&log.entries[0]), &exports, memory).await;
    let found = found.map_err(|wrong| wrong.failure)?;
    Ok(found.iter().map(|one| (one.epoch.0, one.entries, one.seen)).collect())
}

#[tokio::test]
async fn an_epoch_before_a_gap_is_proved_by_a_key_that_is_remembered_of_it_or_of_one_after_it() {
    let (data, [first, second, third]) = three();
    let fourth = third.next(7, 7, true);
    third.export(&data);
    fs::remove_file(data.path().join("epochs/5.export")).unwrap();
    let remembers = |life: &Life, size| Knows { state: Knows::remembers(life, size).state, ..Knows::nothing() };
    let unproven = earlier::Seen::Unproven(earlier::Broken::Missing(Epoch(5)));
    let gone = (5, 4, earlier::Seen::NotKept);
    // The key of the second vouches for the first, whose end its first entry names, and not the other way around.
    for (known, seen) in [
        (remembers(&second, 2), [earlier::Seen::Remembered; 2]),
        (remembers(&first, 2), [unproven, earlier::Seen::Remembered]),
        (Knows::remembers_no_key(&second, 2), [unproven; 2]),
    ] {
        let due = vec![gone, (2, 4, seen[0]), (1, 9, seen[1])];
        assert_eq!(beyond(&fourth, &data, Some(&known.memory())).await.unwrap(), due);
    }
    let known = remembers(&second, 2);
    known.memory().remember(&fourth.at(1), &fourth.key(), None).unwrap();
    assert_eq!(known.verify(&fourth, &data).await.unwrap(), Exit::Done);
    // Another one under the same name, by whoever has another key, or by the key of then.
    let begun = json!({ "type": "restored", "checkpoint": first.at(9).note() });
    for (seed, why) in [(9, "epoch 2: the log is of the key "), (2, "epoch 2: the log was forked: ")] {
        Life::of(2, seed, &begun, 4).export(&data);
        let failure = beyond(&fourth, &data, Some(&known.memory())).await.unwrap_err();
        assert!(failure.exit == Exit::VerificationFailed && failure.message.starts_with(why), "{failure}");
        assert!(failure.help.unwrap().contains("main.2`"));
    }
}

/// What a record says that nobody signed is no reason for entries to be lacking.
#[tokio::test]
async fn entries_beyond_a_gap_may_be_lacking_by_nothing_that_an_export_says_of_itself() {
    let (data, [_, _, third]) = three();
    let first = Life::of(1, 1, &json!({ "type": "initialised" }), 300);
    let mut tree = TreeBuilder::new();
    for entry in &first.entries[..256] {
        tree.push(attorn_log::tree::leaf_hash(entry)).unwrap();
    }
    let gap = attorn_log::Gap { bundle: 0, root: tree.root() };
    let mut bytes = attorn_log::export_header_without(&first.key(), &first.at(300), &[gap]).into_bytes();
    first.entries[256..].iter().for_each(|entry| bytes.extend(entry));
    fs::write(data.path().join("epochs/1.export"), bytes).unwrap();
    fs::remove_file(data.path().join("epochs/2.export")).unwrap();
    for known in [Knows::nothing(), Knows::remembers(&first, 300)] {
        let failure = beyond(&third, &data, Some(&known.memory())).await.unwrap_err();
        assert!(failure.message.contains("and nothing that was signed says so"), "{failure}");
        assert!(failure.exit == Exit::VerificationFailed && failure.help.unwrap().contains("`2.export`"));
    }
}

/// Without a server or a memory: an export, one file, beside those of earlier epochs.
#[tokio::test]
async fn a_key_and_a_checkpoint_of_an_earlier_epoch_are_followed_offline() {
    let (data, [first, second, third]) = three();
    third.export(&data);
    let verify = async |log: u64, key: Option<&Life>, since: Option<(&Life, usize)>| {
        let exported = Exported::File(data.path().join(format!("epochs/{log}.export")));
        let since = since.map(|(life, size)| life.at(size).note().to_owned());
        let given = (Given { since: since.into_iter().collect(), policy: None }, key.map(Life::key));
        offline::verify(&Output::new(false), &exported, given).await
    };
    let good = async |log, key, since| assert_eq!(verify(log, key, since).await.unwrap(), Exit::Done);
    good(5, Some(&first), Some((&first, 3))).await;
    good(5, Some(&second), Some((&first, 9))).await;
    good(5, Some(&third), Some((&first, 3))).await;
    good(5, None, Some((&second, 2))).await;
    good(5, None, None).await;
    good(1, Some(&first), Some((&first, 3))).await;
    // Another key, another log of before, and more than there was.
    let bad = async |key, since, said: &str| {
        let failure = verify(5, key, since).await.unwrap_err();
        assert!(failure.exit == Exit::VerificationFailed && failure.message.contains(said), "{failure}");
    };
    let (stranger, other) = (Life::of(1, 7, &json!({}), 1), Life::of(1, 1, &json!({ "type": "another" }), 14));
    bad(Some(&stranger), None, "the note that names the next key cannot be relied on").await;
    bad(Some(&first), Some((&other, 5)), "epoch 1: the log was forked").await;
    bad(Some(&first), Some((&other, 14)), "rollback: 5 entries that you have seen are gone").await;
    fs::remove_file(data.path().join("epochs/2.export")).unwrap();
    bad(Some(&first), None, "the export of epoch 2 is not kept").await;
    bad(None, Some((&first, 3)), "the export of epoch 2 is not kept").await;
    // The key of the second epoch leads to the third; to the first, whose file stands there, nothing leads.
    bad(Some(&second), None, "epoch 1 is unproven: `2.export` is missing").await;
    fs::remove_file(data.path().join("epochs/1.export")).unwrap();
    good(5, Some(&second), None).await;
}

/// How an epoch is recorded.
fn recorded(life: &Life) -> LogEpoch {
    let (origin, key) = (life.key().origin().clone(), life.key().to_string());
    LogEpoch {
        epoch: origin.epoch.0,
        size: life.entries.len() as u64,
        key,
        checkpoint: Some(life.at(life.entries.len()).note().to_owned()),
        ended: Some(attorn_api::audit::LogEpochEnd::Restored),
        ended_at_ms: Some(1),
        bad_entries: Vec::new(),
    }
}

#[tokio::test]
async fn an_epoch_before_a_gap_is_compared_with_what_is_recorded_of_it() {
    let (data, [first, second, third]) = three();
    fs::remove_file(data.path().join("epochs/2.export")).unwrap();
    let records = || vec![recorded(&first), recorded(&second)];
    let verify = async |records| {
        let exports = Exports::Store(data.path().to_owned(), records);
        let found = earlier::verify(&Output::new(false), Some(&third.entries[0]), &exports, None).await;
        found.map_err(|wrong| (wrong.failure.exit, wrong.failure.message))
    };
    let found: Vec<_> =
        verify(records()).await.unwrap().iter().map(|one| (one.epoch.0, one.entries, one.seen)).collect();
    assert_eq!(found, [(2, 4, earlier::Seen::NotKept), (1, 9, earlier::Seen::Recorded)]);
    // By its own key it is whole, and the epoch ended elsewhere, or was another's.
    let cut = LogEpoch { checkpoint: Some(first.at(5).note().to_owned()), ..recorded(&first) };
    let other = LogEpoch { key: second.key().to_string(), ..recorded(&first) };
    for of_first in [cut, other, LogEpoch { checkpoint: None, ..recorded(&first) }] {
        let said = "what is kept of epoch 1 is not of the key and the end that are recorded of it".to_owned();
        let done = verify(vec![of_first, recorded(&second)]).await;
        assert_eq!(done, Err((Exit::VerificationFailed, said)));
    }
    // What is recorded and not kept is said, of each.
    fs::remove_file(data.path().join("epochs/1.export")).unwrap();
    let found: Vec<_> =
        verify(records()).await.unwrap().iter().map(|one| (one.epoch.0, one.entries, one.seen)).collect();
    assert_eq!(found, [(2, 4, earlier::Seen::NotKept), (1, 9, earlier::Seen::NotKept)]);
}

#[tokio::test]
async fn entries_may_be_lacking_that_the_next_epoch_says_were_bad() {
    let log = |bad: Value| {
        let data = TempDir::new().unwrap();
        let first = Life::of(1, 1, &json!({ "type": "initialised" }), 300);
        let ended = first.at(300);
        let begun = json!({ "type": "restored", "checkpoint": ended.note(), "succession": null, "bad_entries": bad });
        let second = Life::of(2, 2, &begun, 4);
        let mut tree = TreeBuilder::new();
        for entry in &first.entries[..256] {
            tree.push(attorn_log::tree::leaf_hash(entry)).unwrap();
        }
        let gap = attorn_log::Gap { bundle: 0, root: tree.root() };
        let mut bytes = attorn_log::export_header_without(&first.key(), &ended, &[gap]).into_bytes();
        first.entries[256..].iter().for_each(|entry| bytes.extend(entry));
        fs::create_dir_all(data.path().join("epochs")).unwrap();
        fs::write(data.path().join("epochs/1.export"), bytes).unwrap();
        (data, first, second)
    };
    let (data, first, second) = log(json!([{ "from": "0", "to": "255" }]));
    assert_eq!(before(&second, &data).await, Ok(vec![(1, 300, true)]));
    let exports = Exports::Directory(data.path().to_owned());
    let found = earlier::verify(&Output::new(false), Some(&second.entries[0]), &exports, None).await.ok().unwrap();
    assert_eq!(found[0].bad.iter().map(|bad| (bad.start, bad.end)).collect::<Vec<_>>(), [(0, 256)]);
    // What was seen of it before is compared where it can be.
    assert_eq!(second.compare(&data, &first.seen(256)).await, Ok((1, 256)));
    let said = second.compare(&data, &first.seen(9)).await.unwrap_err();
    assert!(said.contains("of 9 entries, can be compared with nothing: the entries 0 to 255 were bad"), "{said}");
    let lacking = "epoch 1: the entries 0 to 255 are not in the export: it says that they were bad when the epoch ended, and \
                   nothing that was signed says so";
    for bad in [json!([]), json!(null), json!([{ "from": "1", "to": "255" }]), json!([{ "from": 0, "to": 255 }])] {
        let (data, _, second) = log(bad);
        assert_eq!(before(&second, &data).await, Err((Some(0), lacking.to_owned())));
    }
}
