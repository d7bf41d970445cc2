//! What the store promises to its callers, one at a time: opening, recorded values, proofs, pages.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use attorn_core::{DecisionId, Digest, Grant, GrantId, KeyBinding, TimeMs};
use attorn_log::tree;
use tempfile::TempDir;

use crate::batch::{Batch, BatchError, Require};
use crate::commit::Store;
use crate::error::{CommitError, OpenError, ReadError};
use crate::fixtures::{add, batch, body, counter, id, imprint_anew, meta, new_store, ours, ours_of, put, unlocked};
use crate::integrity::IntegrityError;
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::recorded::GrantStanding;
use crate::records::{GrantRecord, Kept, Sealed};

#[track_caller]
fn refused(outcome: Result<Store, OpenError>, message: &str) {
    assert_eq!(outcome.map(|_| ()).unwrap_err().to_string(), message);
}

#[test]
fn only_a_whole_store_of_this_log_is_opened_and_by_one_only() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("data");
    let shown = dir.display();
    refused(Store::open(&dir, &ours()), &format!("there is no store in `{shown}`"));
    let store = Store::create(&dir, ours()).unwrap();
    refused(Store::open(&dir, &ours()), &format!("the store in `{shown}` is in use"));
    refused(Store::create(&dir, ours()), &format!("the store in `{shown}` is in use"));
    drop(store);
    refused(Store::create(&dir, ours()), &format!("there is a store in `{shown}` already"));
    refused(Store::open(&dir, &ours_of("other")), "the store belongs to the log `test`, not to `other`");
    drop(Store::open(&dir, &ours()).unwrap());
    let marker = dir.join("store.format");
    assert_eq!(fs::read(&marker).unwrap(), b"attorn-store 5\n");
    fs::write(&marker, "attorn-store 6\n").unwrap();
    let newer = "the store has format 6, and this program knows none above 5: use a newer one";
    refused(Store::open(&dir, &ours()), newer);
    for hostile in ["", "attorn-store", "attorn-store 1", "attorn-store x\n", "other 1\n", "attorn-store 0\n"] {
        fs::write(&marker, hostile).unwrap();
        refused(
            Store::open(&dir, &ours()),
            &format!(
                "`{}` does not name a format of the store; `attorn repair` writes it anew, if base copy and journal are whole",
                marker.display()
            ),
        );
    }
    fs::remove_file(&marker).unwrap();
    let lost = format!(
        "the store in `{shown}` has no `store.format`, which was lost: `attorn repair` writes it anew, if base copy and journal \
         are whole"
    );
    for gone in ["base-is-there", "store"] {
        // Also where the engine is gone: something is left that it can be made anew of.
        fs::remove_dir_all(dir.join(gone)).ok();
        refused(Store::open(&dir, &ours()), &lost);
        refused(Store::create(&dir, ours()), &lost);
    }
    fs::create_dir(dir.join("store")).unwrap();
    for gone in ["00000000000000000000.base", ""] {
        let path = dir.join("base").join(gone);
        if gone.is_empty() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        for half in [Store::open(&dir, &ours()), Store::create(&dir, ours())] {
            let said = half.map(|_| ()).unwrap_err().to_string();
            assert!(said.starts_with(&format!("the store in `{shown}` has neither `store.format` nor a base copy: ")));
            assert!(said.contains("move it away, and `attorn restore` a backup"), "{said}");
        }
    }
}

#[test]
fn nobody_else_can_read_the_files() {
    let (dir, store) = new_store();
    drop(store);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (name, expected) in [
        ("store", 0o700),
        ("blobs", 0o700),
        ("journal", 0o700),
        ("journal/00000000000000000000.journal", 0o600),
        ("base", 0o700),
        ("base/00000000000000000000.base", 0o600),
        ("store.lock", 0o600),
        ("store.format", 0o600),
    ] {
        assert_eq!(mode(&dir.path().join(name)), expected, "{name}");
    }
}

#[tokio::test]
async fn a_log_that_does_not_fit_its_head_is_not_opened() {
    for (name, tamper) in [
        ("the last is 2", Tamper::RemoveEntry(3)),
        ("the last is 4", Tamper::SetEntry(4, b"more".to_vec())),
        ("entry 3 is invalid", Tamper::SetEntry(3, b"garbage".to_vec())),
        ("entry 3 does not have the link of the head", Tamper::SetEntry(3, entry(3, "{\"n\":99}", &"0".repeat(64)))),
        ("the tree does not have entry 3 as its leaf", Tamper::SetHash(3, 0)),
    ] {
        let (dir, store) = new_store();
        store.commit(batch(|batch| batch.entries = (0..4).map(body).collect())).await.unwrap();
        drop(store);
        tamper.apply(dir.path());
        let problem = Store::open(dir.path(), &ours()).map(|_| ()).unwrap_err().to_string();
        assert!(problem.starts_with("the store is inconsistent: ") && problem.contains(name), "{problem}");
    }
}

/// What somebody does to the files while nobody looks.
enum Tamper {
    RemoveEntry(u64),
    /// Keep its hashes and give it other bytes.
    SetEntry(u64, Vec<u8>),
    /// Give it another hash at this level.
    SetHash(u64, usize),
    /// Give it one hash less.
    DropHash(u64),
    SetState(Key, Vec<u8>),
}

impl Tamper {
    fn apply(self, dir: &Path) {
        let db = unlocked(&dir.join("store"));
        let entries = db.open_tree("entries").unwrap();
        let stored = |index: u64| {
            let stored = entries.get(index.to_be_bytes()).unwrap().map_or_else(|| vec![0], |stored| stored.to_vec());
            let hashes_end = 1 + 32 * usize::from(stored[0]);
            (stored, hashes_end)
        };
        let set = |index: u64, bytes: Vec<u8>| drop(entries.insert(index.to_be_bytes(), bytes).unwrap());
        match self {
            Self::RemoveEntry(index) => drop(entries.remove(index.to_be_bytes()).unwrap()),
            Self::SetEntry(index, bytes) => {
                let (stored, end) = stored(index);
                set(index, [&stored[..end], &bytes].concat());
            }
            Self::SetHash(index, level) => {
                let (mut stored, _) = stored(index);
                stored[1 + 32 * level] ^= 1;
                set(index, stored);
            }
            Self::DropHash(index) => {
                let (mut stored, end) = stored(index);
                stored[0] -= 1;
                stored.drain(end - 32..end);
                set(index, stored);
            }
            Self::SetState(key, bytes) => {
                drop(db.open_tree("state").unwrap().insert(key.as_bytes(), bytes).unwrap());
            }
        }
        db.flush().unwrap();
        drop((entries, db));
        // As if it was ours: what is wrong with the rest of it is what is looked for.
        imprint_anew(dir);
    }
}

#[tokio::test]
async fn the_walk_finds_what_opening_does_not() {
    let header = |version: u8| [&[0; 7][..], &[version], &[0; 10], &[1], b"{}"].concat();
    for (problem, tamper) in [
        ("entry 1 does not continue the one before it", Tamper::SetEntry(1, entry(1, "{\"n\":99}", &"0".repeat(64)))),
        ("entry 2 is missing", Tamper::RemoveEntry(2)),
        ("entry 2 is stored in a broken form", Tamper::DropHash(2)),
        ("node `0/2` of the tree is wrong or missing", Tamper::SetHash(2, 0)),
        ("node `1/0` of the tree is wrong or missing", Tamper::SetHash(1, 1)),
        ("a value is invalid", Tamper::SetState(meta(1), vec![0; 17])),
        ("a value is invalid", Tamper::SetState(counter(1), header(1))),
        ("a value is invalid", Tamper::SetState(Key::active_set(), header(1))),
        ("a value is invalid", Tamper::SetState(Key::from_stored(b"unheard"), header(1))),
        (
            "the value of `meta/value-1` has the version 3 and the entries up to 0, beyond the head",
            Tamper::SetState(meta(1), header(3)),
        ),
    ] {
        let (dir, store) = new_store();
        store.commit(batch(|batch| batch.entries = (0..5).map(body).collect())).await.unwrap();
        drop(store);
        tamper.apply(dir.path());
        let store = Store::open(dir.path(), &ours()).unwrap();
        let error = store.verify_integrity().await.unwrap_err();
        let said = error.source().filter(|_| matches!(error, IntegrityError::Storage(_)));
        assert_eq!(said.map_or_else(|| error.to_string(), ToString::to_string), problem);
    }
}

fn entry(index: u64, body: &str, previous: &str) -> Vec<u8> {
    format!("attorn-entry/v1 test 1 {index} {previous}\n{body}\n").into_bytes()
}

#[tokio::test]
async fn a_value_that_nobody_can_read_hurts_only_those_who_need_it() {
    let (dir, store) = new_store();
    store.commit(put(1, "fine")).await.unwrap();
    drop(store);
    Tamper::SetState(counter(0), vec![0; 20]).apply(dir.path());
    Tamper::SetState(meta(2), vec![1; 20]).apply(dir.path());
    let store = Store::open(dir.path(), &ours()).unwrap();
    let hit = store.commit(batch(|batch| batch.add.push(add(0, 1, 9)))).await;
    assert!(matches!(hit, Err(CommitError::Invalid(_))), "{hit:?}");
    assert!(matches!(store.counter(&counter(0)).await, Err(ReadError::Invalid(_))));
    // A version that no batch has is not waited for.
    assert!(matches!(store.get(&meta(2)).await, Err(ReadError::Invalid(_))));
    store.commit(put(1, "better")).await.unwrap();
    assert!(matches!(store.verify_integrity().await, Err(IntegrityError::Value(_))));
}

fn grant(n: u8) -> Grant {
    Grant {
        id: GrantId::from_random([n; 16]),
        decision: DecisionId::from_random([n; 16]),
        agent: id("bot"),
        instance: id("pod"),
        key_thumbprint: id(&"A".repeat(43)),
        key_binding: KeyBinding::Jkt,
        identity: None,
        revocations: 0,
        behalf: None,
        policies: Vec::new(),
        resource_server: id("bank"),
        audience: id("bank"),
        action: id("account.read"),
        resource: id("account/1"),
        arguments_digest: Digest::from_bytes([0; 32]),
        purpose: id("support"),
        session: None,
        issued_at: TimeMs(1_000),
        expires_at: TimeMs(2_000),
        uses_max: 1,
        signed_by: id(&"A".repeat(43)),
    }
}

#[tokio::test]
async fn a_grant_is_recorded_with_its_entry_and_yields_nothing_once_revoked() {
    let (dir, store) = new_store();
    let nothing = store.commit_recorded(put(1, "no entry"), ()).await.unwrap_err();
    assert!(matches!(nothing, CommitError::Malformed(BatchError::NoEntry)));
    let grant = grant(1);
    assert_eq!(store.grant(&grant.id).await.unwrap(), None);
    let mut issue = batch(|batch| batch.entries = vec![body(1), body(2)]);
    issue.put_record(&GrantRecord::plain(grant.clone()));
    let recorded = store.commit_recorded(issue, grant.clone()).await.unwrap();
    assert_eq!(recorded.get(), &grant);
    let names: Vec<_> = recorded.entries().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["test/1/0", "test/1/1"]);
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    let stored = store.grant(&grant.id).await.unwrap().unwrap();
    let version = stored.version;
    assert_eq!(stored.standing(None).unwrap(), GrantStanding::Granted(recorded));
    let mut revoke = batch(|batch| {
        batch.require.push((Key::grant(&grant.id), Require::Version(version)));
        batch.entries.push(body(3));
    });
    revoke.put_record(&GrantRecord { revoked_at: Some(TimeMs(1_500)), ..GrantRecord::plain(grant.clone()) });
    store.commit(revoke.clone()).await.unwrap();
    let stored = store.grant(&grant.id).await.unwrap().unwrap();
    assert_eq!(stored.entries, [store.entry_ref(u64::MAX, 2)]);
    let revoked = GrantStanding::Revoked { grant: grant.clone(), revoked_at: TimeMs(1_500) };
    assert_eq!(stored.standing(None).unwrap(), revoked);
    // The version has moved on, so nobody revokes twice.
    assert!(matches!(store.commit(revoke).await, Err(CommitError::Conflict(keys)) if keys == [Key::grant(&grant.id)]));
}

#[tokio::test]
async fn a_sealed_grant_stands_only_for_whoever_opened_it() {
    let (_dir, store) = new_store();
    let (grant, other) = (grant(1), grant(2));
    let sealed = Kept::Sealed { user: id("usr_1"), sealed: Sealed(vec![1, 2, 3]) };
    let mut issue = batch(|batch| batch.entries = vec![body(1)]);
    issue.put_record(&GrantRecord { id: grant.id, grant: sealed.clone(), revoked_at: None });
    let recorded = store.commit_recorded(issue, grant.clone()).await.unwrap();
    let stored = store.grant(&grant.id).await.unwrap().unwrap();
    assert_eq!(stored.record().grant, sealed);
    assert!(stored.clone().standing(None).is_err());
    for opened in [&b"\x01{}"[..], b"", &GrantRecord::encode_grant(&other)] {
        assert!(stored.clone().standing(Some(opened)).is_err(), "{opened:?}");
    }
    let standing = stored.standing(Some(&GrantRecord::encode_grant(&grant))).unwrap();
    assert_eq!(standing, GrantStanding::Granted(recorded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_counter_is_never_passed_by_many_at_once() {
    let (_dir, store) = new_store();
    let store = Arc::new(store);
    let uses: Vec<_> = (0..64)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut batch = Batch::new(TimeMs(0));
                batch.add.push(add(0, 1, 10));
                batch.entries.push(body(n));
                store.commit(batch).await
            })
        })
        .collect();
    let mut happened = 0;
    for used in uses {
        match used.await.unwrap() {
            Ok(_) => happened += 1,
            Err(error) => assert!(matches!(error, CommitError::LimitExceeded { found: 10, .. }), "{error:?}"),
        }
    }
    assert_eq!((happened, store.counter(&counter(0)).await.unwrap()), (10, 10));
    assert_eq!(store.log_head().unwrap().size, 10);
    store.verify_integrity().await.unwrap();
}

#[tokio::test]
async fn every_entry_is_proved_to_be_in_every_later_tree() {
    let (_dir, store) = new_store();
    assert_eq!(store.root(0).unwrap(), tree::Hash::EMPTY_ROOT);
    for n in 0..12 {
        store.commit(batch(|batch| batch.entries = (0..=n % 3).map(body).collect())).await.unwrap();
    }
    let head = store.log_head().unwrap();
    for size in 0..=head.size {
        let root = store.root(size).unwrap();
        for index in 0..size {
            let leaf = tree::leaf_hash(&store.entry(index).unwrap().unwrap());
            let proof = store.inclusion_proof(index, size).unwrap();
            tree::verify_inclusion(leaf, index, size, &proof, root).unwrap();
        }
        let proof = store.consistency_proof(size, head.size).unwrap();
        tree::verify_consistency(size, root, head.size, store.root(head.size).unwrap(), &proof).unwrap();
    }
    let asked = head.size + 1;
    assert!(matches!(store.root(asked), Err(ReadError::BeyondEnd { .. })));
    assert!(matches!(store.inclusion_proof(0, asked), Err(ReadError::BeyondEnd { .. })));
    assert!(matches!(store.inclusion_proof(3, 3), Err(ReadError::Tree(_))));
    assert!(matches!(store.consistency_proof(2, 1), Err(ReadError::Tree(_))));
    assert_eq!(store.entry(head.size).unwrap(), None);
    assert_eq!(store.entries(head.size - 1, 10).unwrap().len(), 1);
    assert!(store.entries(head.size, 10).unwrap().is_empty());
    assert!(store.entries(u64::MAX, 10).unwrap().is_empty());
}

#[tokio::test]
async fn pages_are_bounded_and_go_on_where_they_ended() {
    let (_dir, store) = new_store();
    let large = vec![0; crate::batch::VALUE_BYTES_MAX];
    for tens in 0..10_u64 {
        let put = |n: u64| (meta(tens * 10 + n), large.clone());
        store.commit(batch(|batch| batch.put = (0..10).map(put).collect())).await.unwrap();
    }
    let prefix = KeyPrefix::kind(KeyKind::Meta);
    let mut seen = BTreeMap::new();
    let (mut after, mut pages) = (None, 0);
    loop {
        let page = store.scan(&prefix, after.as_ref(), usize::MAX).await.unwrap();
        pages += 1;
        assert!(page.items.len() <= 65);
        seen.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (100, 2));
    // Who asks for nothing would never come to an end.
    assert_eq!(store.scan(&prefix, None, 0).await.unwrap().items.len(), 1);
    let agents = store.scan(&KeyPrefix::kind(KeyKind::Agent), Some(&Key::active_set()), 10).await.unwrap();
    assert!(agents.items.is_empty() && agents.next.is_none());
}

#[tokio::test]
async fn what_is_deleted_and_written_again_has_a_new_version() {
    let (_dir, store) = new_store();
    let first = store.commit(put(1, "same")).await.unwrap().version;
    store.commit(batch(|batch| batch.delete.push(meta(1)))).await.unwrap();
    assert_eq!(store.get(&meta(1)).await.unwrap(), None);
    let again = store.commit(put(1, "same")).await.unwrap().version;
    assert!(again > first);
    let stale = batch(|batch| {
        batch.require.push((meta(1), Require::Version(first)));
        batch.delete.push(meta(1));
    });
    assert!(matches!(store.commit(stale).await, Err(CommitError::Conflict(_))));
    assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().version, again);
}
