//! A state that somebody else wrote is never taken for ours, whichever of its places they wrote.
// Long because: each forgery is tried on each way into a store, of the same few values.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::backup::BackupError;
use crate::boot::Boot;
use crate::commit::Store;
use crate::error::{OpenError, PartsError};
use crate::fixtures::{
    add, batch, body, copy, counter, decided, decision, forge_parts, forge_parts_beside, id, meta, new_store, ours,
    put, unlocked,
};
use crate::integrity::IntegrityError;
use crate::key::{Key, KeyPurpose};
use crate::look::LookError;
use crate::ours::Ours;
use crate::places::Places;
use crate::records::KeyMaterialRecord;
use crate::remade::SaidBy;
use crate::repair::{Accepted, RepairError, Repaired};
use crate::{base, journal};

/// What somebody does to a state who has no key.
#[derive(Debug, Clone, Copy)]
enum Forgery {
    Change,
    Add,
    Remove,
    /// Give two values each other's place.
    Swap,
    /// Put a value back as it was a batch ago.
    PutBack,
    /// Lower what was counted.
    Lower,
    /// Take the imprint away.
    NoImprint,
    /// Change the imprint.
    OtherImprint,
    /// Put the whole state back, and the imprint with it.
    Older,
}

const ALL: [Forgery; 9] = [
    Forgery::Change,
    Forgery::Add,
    Forgery::Remove,
    Forgery::Swap,
    Forgery::PutBack,
    Forgery::Lower,
    Forgery::NoImprint,
    Forgery::OtherImprint,
    Forgery::Older,
];

/// All that stands in a tree.
type Pairs = Vec<(sled::IVec, sled::IVec)>;

/// A closed store with a few values, and its state and imprint as they were before the last batch.
async fn store() -> (TempDir, Pairs, Vec<u8>) {
    let (dir, store) = new_store();
    for n in 0..4 {
        store.commit(put(n, "value")).await.unwrap();
    }
    let counted = batch(|batch| {
        batch.add = vec![add(1, 5, 9)];
        batch.entries = vec![body(1)];
    });
    store.commit(counted).await.unwrap();
    drop(store);
    let (before, row) = read(dir.path());
    let store = Store::open(dir.path(), &ours()).unwrap();
    let last = batch(|batch| {
        batch.put = vec![(meta(1), b"revoked".to_vec())];
        batch.entries = vec![body(2)];
    });
    store.commit(last).await.unwrap();
    (dir, before, row)
}

fn engine(dir: &Path) -> sled::Db {
    unlocked(&dir.join("store"))
}

fn read(dir: &Path) -> (Pairs, Vec<u8>) {
    let db = engine(dir);
    let pairs = db.open_tree("state").unwrap().iter().map(Result::unwrap).collect();
    (pairs, db.open_tree("head").unwrap().get("imprint").unwrap().unwrap().to_vec())
}

impl Forgery {
    fn make(self, dir: &Path, before: &Pairs, row: &[u8]) {
        let db = engine(dir);
        let (state, head) = (db.open_tree("state").unwrap(), db.open_tree("head").unwrap());
        let get = |key: &Key| state.get(key.as_bytes()).unwrap().unwrap();
        let set = |key: &Key, value: &[u8]| drop(state.insert(key.as_bytes(), value).unwrap());
        let old = |key: &Key| before.iter().find(|(at, _)| **at == *key.as_bytes()).unwrap().1.clone();
        match self {
            Self::Change => {
                let mut value = get(&meta(2)).to_vec();
                *value.last_mut().unwrap() ^= 1;
                set(&meta(2), &value);
            }
            Self::Add => set(&meta(9), &get(&meta(2))),
            Self::Remove => drop(state.remove(meta(2).as_bytes()).unwrap()),
            Self::Swap => {
                let (one, other) = (get(&meta(1)), get(&meta(2)));
                set(&meta(1), &other);
                set(&meta(2), &one);
            }
            Self::PutBack => set(&meta(1), &old(&meta(1))),
            Self::Lower => {
                let mut value = get(&counter(1)).to_vec();
                *value.last_mut().unwrap() -= 1;
                set(&counter(1), &value);
            }
            Self::NoImprint => drop(head.remove("imprint").unwrap()),
            Self::OtherImprint => {
                let mut row = head.get("imprint").unwrap().unwrap().to_vec();
                row[20] ^= 1;
                head.insert("imprint", row).unwrap();
            }
            Self::Older => {
                state.clear().unwrap();
                for (key, value) in before {
                    state.insert(key, value).unwrap();
                }
                head.insert("imprint", row).unwrap();
            }
        }
        db.flush().unwrap();
    }

    fn expected(self) -> ImprintError {
        match self {
            Self::NoImprint => ImprintError::Missing,
            Self::OtherImprint | Self::Older => ImprintError::NotOfHere,
            _ => ImprintError::Differs,
        }
    }
}

fn refused(opened: Result<Store, OpenError>) -> ImprintError {
    match opened.map(drop).unwrap_err() {
        OpenError::Imprint(error) => error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_state_that_somebody_else_wrote_is_not_opened_and_made_anew_where_that_can_be() {
    for forgery in ALL {
        let (dir, before, row) = store().await;
        let expect = {
            let store = Store::open(dir.path(), &ours()).unwrap();
            store.verify_integrity().await.unwrap()
        };
        forgery.make(dir.path(), &before, &row);
        for _ in 0..2 {
            let error = refused(Store::open(dir.path(), &ours()));
            assert_eq!(error.to_string(), forgery.expected().to_string(), "{forgery:?}");
        }
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Rebuilt { .. }), "{forgery:?}");
        let store = Store::open(dir.path(), &ours()).unwrap();
        assert_eq!(store.verify_integrity().await.unwrap(), expect, "{forgery:?}");
        assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"revoked", "{forgery:?}");
    }
}

#[tokio::test]
async fn where_base_copy_and_journal_say_the_same_nothing_is_taken_until_somebody_answers_for_it() {
    for forgery in ALL {
        let (dir, before, row) = store().await;
        forgery.make(dir.path(), &before, &row);
        forge_parts(dir.path());
        let expected = forgery.expected().to_string();
        assert_eq!(refused(Store::open(dir.path(), &ours())).to_string(), expected, "{forgery:?}");
        match Store::repair(dir.path(), &ours()).unwrap_err() {
            RepairError::Integrity(IntegrityError::Imprint(error)) => assert_eq!(error.to_string(), expected),
            error => panic!("{forgery:?} {error:?}"),
        }
        assert_eq!(refused(Store::open(dir.path(), &ours())).to_string(), expected, "{forgery:?}");
        let accepted = Store::repair_with(dir.path(), &ours(), None, (Accepted::FOREIGN, &|_| true)).unwrap();
        let Repaired::NewJournal { problem, foreign: ForeignState::Accepted, .. } = accepted else {
            panic!("{forgery:?} {accepted:?}")
        };
        assert!(problem.starts_with(&expected) && problem.ends_with("accepted as it was found"), "{problem}");
        let store = Store::open(dir.path(), &ours()).unwrap();
        // The log will say it, whatever becomes of the file that says what else was made anew.
        assert!(!dir.path().join("store.remade").exists());
        let [remade] = <[_; 1]>::try_from(store.remade().unwrap()).unwrap();
        assert_eq!((remade.problem, remade.said_by), (problem, SaidBy::State));
        let expect = store.verify_integrity().await.unwrap();
        store.commit(put(7, "after")).await.unwrap();
        drop(store);
        // And all can be made anew of what there is now.
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Rebuilt { .. }));
        let store = Store::open(dir.path(), &ours()).unwrap();
        assert!(store.verify_integrity().await.unwrap().version > expect.version);
    }
}

#[tokio::test]
async fn where_base_copy_and_journal_alone_are_not_ours_a_repair_begins_new_ones() {
    let (dir, before, row) = store().await;
    forge_parts_beside(dir.path(), |dir| Forgery::Change.make(dir, &before, &row));
    let scratch = TempDir::new().unwrap();
    let looked = Store::look(dir.path(), &ours(), None, scratch.path()).unwrap();
    assert!(looked.bad.len() == 1 && looked.bad[0].contains("something in it was changed"), "{:?}", looked.bad);
    drop(looked);
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::NewJournal { problem, .. } = &repaired else { panic!("{repaired:?}") };
    assert!(problem.contains("something in it was changed"), "{problem}");
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Rebuilt { .. }));
}

/// A store that is ours serves beside a base copy and a journal that are not, finds it out, and makes new ones.
#[tokio::test]
async fn base_copy_and_journal_that_are_not_ours_are_replaced_by_a_store_that_is() {
    let (dir, before, row) = store().await;
    forge_parts_beside(dir.path(), |dir| Forgery::Change.make(dir, &before, &row));
    let store = Store::open(dir.path(), &ours()).unwrap();
    let backup = TempDir::new().unwrap();
    let backed_up = |n: u32| Store::back_up(dir.path(), &backup.path().join(n.to_string()));
    let mut n = 0;
    while backed_up(n).is_err() {
        n += 1;
        assert!(n < 1_000, "it stays as it is");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    store.commit(put(8, "after")).await.unwrap();
    backed_up(n + 1).unwrap();
    drop(store);
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
}

/// Somebody writes to the engine while the store is open: no copy of that takes the place of one that is ours.
#[tokio::test]
async fn a_base_copy_of_what_somebody_else_wrote_meanwhile_is_not_kept() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), crate::fixtures::hurried(crate::steps::EveryStep)).unwrap();
    for n in 0..20 {
        store.commit(put(n, "value")).await.unwrap();
    }
    let forged = Write { tree: TreeName::State, key: meta(3).as_bytes().to_vec(), value: None };
    store.shared.trees.apply(&[forged]).unwrap();
    for n in 0..400 {
        store.commit(put(n % 7 + 10, &"x".repeat(200))).await.unwrap();
    }
    while !store.has_bad_parts() {
        store.commit(put(11, &"x".repeat(200))).await.unwrap();
    }
    drop(store);
    let places = Places::of(dir.path());
    let last = base::all(&places.base).unwrap().pop().unwrap();
    let bundled = crate::bundled::Bundled::of(&places.log, crate::open::FIRST_EPOCH);
    check_parts(&ours().key, (&last, &places.journal), &bundled, &|| true).unwrap();
    assert!(matches!(refused(Store::open(dir.path(), &ours())), ImprintError::Differs));
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Rebuilt { .. }));
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(store.get(&meta(3)).await.unwrap().unwrap().value, b"value", "nothing was lost");
}

/// A newer base copy is of what somebody else wrote, as one is that nobody had the time to compare: an older one comes to
/// the same as it should.
#[tokio::test]
async fn an_older_base_copy_is_taken_where_the_newest_is_not_ours() {
    let (dir, before, row) = store().await;
    let places = Places::of(dir.path());
    Forgery::Change.make(dir.path(), &before, &row);
    let trees = Trees::open(&places.engine).unwrap();
    let ((_, head), id) = (trees.head().unwrap().unwrap(), trees.store_id().unwrap().unwrap());
    base::write(&places.base, id, head.version, &trees).unwrap();
    drop(trees);
    fs::remove_dir_all(&places.engine).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(repaired, Repaired::Rebuilt { base, .. } if base < head.version), "{repaired:?}");
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(store.get(&meta(2)).await.unwrap().unwrap().value, b"value");
}

#[tokio::test]
async fn a_backup_of_a_forged_state_is_not_unpacked() {
    let (dir, before, row) = store().await;
    Forgery::PutBack.make(dir.path(), &before, &row);
    forge_parts(dir.path());
    let to = TempDir::new().unwrap();
    let backup = to.path().join("backup");
    // Whoever has the key makes none, and whoever has not, none that is taken.
    match Store::back_up(dir.path(), &to.path().join("refused")).unwrap_err() {
        BackupError::Parts(PartsError::Imprint(ImprintError::Differs)) => {}
        error => panic!("{error:?}"),
    }
    assert!(Store::check_is_backup(&to.path().join("refused")).is_err());
    Store::back_up_served(dir.path(), &backup, crate::backup::Whose { key: None, says_served: |_| false }).unwrap();
    let error = Store::unpack(&backup, &to.path().join("data"), &ours()).map(drop).unwrap_err();
    assert!(error.to_string().contains("something in it was changed"), "{error}");
}

/// Nobody looks at an engine that was in use when the machine stopped: what is wrong with what it would be made anew of is
/// what is wrong.
#[tokio::test]
async fn what_a_cut_off_store_would_be_made_anew_of_is_looked_at() {
    let (dir, before, row) = store().await;
    let look = || {
        let scratch = TempDir::new().unwrap();
        let error = Store::look(dir.path(), &ours(), None, scratch.path()).map(drop).unwrap_err();
        let LookError::Open(error) = error else { panic!("{error:?}") };
        error
    };
    let cut_off = || Boot::named("another").say_open(&Places::of(dir.path())).unwrap();
    cut_off();
    assert!(matches!(look(), OpenError::CutOff { .. }));
    Forgery::Change.make(dir.path(), &before, &row);
    assert!(matches!(look(), OpenError::CutOff { .. }), "what is in the engine is not what counts");
    forge_parts(dir.path());
    assert!(matches!(look(), OpenError::Imprint(ImprintError::Differs)));
    fs::remove_dir_all(dir.path().join("base")).unwrap();
    fs::create_dir(dir.path().join("base")).unwrap();
    assert!(matches!(look(), OpenError::NotRemade { .. }));
}

#[tokio::test]
async fn a_log_that_was_written_anew_does_not_fit_the_imprint() {
    let (dir, ..) = store().await;
    let db = engine(dir.path());
    let head = db.open_tree("head").unwrap();
    let text = String::from_utf8(head.get("head").unwrap().unwrap().to_vec()).unwrap();
    // The last entry goes, and the head says so: nobody needs a key for that.
    let entries = db.open_tree("entries").unwrap();
    entries.remove(1_u64.to_be_bytes()).unwrap();
    let first = attorn_log::Entry::parse(&entries.get(0_u64.to_be_bytes()).unwrap().unwrap()[33..]).unwrap();
    let link = text.split("\"last_link\":\"").nth(1).unwrap().split('"').next().unwrap();
    let text = text.replace("\"size\":2", "\"size\":1").replace(link, &first.link().to_string());
    head.insert("head", text.as_bytes()).unwrap();
    drop((head, entries, db));
    assert!(matches!(refused(Store::open(dir.path(), &ours())), ImprintError::NotOfHere));
}

#[tokio::test]
async fn another_key_is_told_and_never_accepted() {
    let (dir, ..) = store().await;
    let other = Ours { key: ImprintKey::of(&[8; 32]), ..ours() };
    assert!(matches!(refused(Store::open(dir.path(), &other)), ImprintError::OtherKey));
    let error = Store::repair_with(dir.path(), &other, None, (Accepted::FOREIGN, &|_| true)).unwrap_err();
    assert!(matches!(error, RepairError::Integrity(IntegrityError::Imprint(ImprintError::OtherKey))), "{error:?}");
    Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(format!("{:?}", ours().key), "ImprintKey([redacted])");
}

#[tokio::test]
async fn a_store_from_before_there_were_imprints_is_accepted_and_not_opened() {
    let (dir, ..) = store().await;
    engine(dir.path()).open_tree("head").unwrap().remove("imprint").unwrap();
    forge_parts(dir.path());
    fs::write(dir.path().join("store.format"), "attorn-store 4\n").unwrap();
    assert!(matches!(refused(Store::open(dir.path(), &ours())), ImprintError::Missing));
    assert_eq!(fs::read(dir.path().join("store.format")).unwrap(), b"attorn-store 4\n");
    Store::repair_with(dir.path(), &ours(), None, (Accepted::FOREIGN, &|_| true)).unwrap();
    Store::open(dir.path(), &ours()).unwrap().verify_integrity().await.unwrap();
}

#[tokio::test]
async fn nothing_is_accepted_by_a_root_key_that_opens_nothing() {
    let (dir, store) = new_store();
    let key = KeyMaterialRecord { purpose: KeyPurpose::Log, id: id("k1"), version: 1, wrapped: vec![1; 40] };
    store.commit(batch(|batch| batch.put_record(&key))).await.unwrap();
    drop(store);
    engine(dir.path()).open_tree("head").unwrap().remove("imprint").unwrap();
    forge_parts(dir.path());
    let before = fs::read_dir(dir.path()).unwrap().count();
    let error = Store::repair_with(dir.path(), &ours(), None, (Accepted::FOREIGN, &|_| false)).unwrap_err();
    assert!(matches!(error, RepairError::Integrity(IntegrityError::Imprint(ImprintError::OtherKey))), "{error:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before, "nothing was moved");
    assert!(matches!(refused(Store::open(dir.path(), &ours())), ImprintError::Missing));
    let opens = |found: &KeyMaterialRecord| found.wrapped == key.wrapped;
    Store::repair_with(dir.path(), &ours(), None, (Accepted::FOREIGN, &opens)).unwrap();
    drop(Store::open(dir.path(), &ours()).unwrap());
}

/// A marker that calls a store older than it is gets nobody past its imprint.
#[tokio::test]
async fn a_store_that_is_called_older_than_it_is_is_not_opened() {
    let (dir, before, row) = store().await;
    Forgery::Change.make(dir.path(), &before, &row);
    for format in 1..=4 {
        fs::write(dir.path().join("store.format"), format!("attorn-store {format}\n")).unwrap();
        let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::OtherFormat { said, .. } if said == format), "{error:?}");
        // Nothing was done that is done for a store of that format.
        let places = Places::of(dir.path());
        assert!(!journal::segments(&places.journal).unwrap().is_empty() && places.has_base());
    }
}

#[tokio::test]
async fn a_store_that_is_called_older_and_has_no_good_base_copy_is_repaired_and_loses_nothing() {
    for format in [1, 4] {
        let (dir, ..) = store().await;
        let places = Places::of(dir.path());
        fs::write(&places.marker, format!("attorn-store {format}\n")).unwrap();
        for base in base::all(&places.base).unwrap() {
            fs::write(&base.path, "damaged").unwrap();
        }
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        let Repaired::NewJournal { foreign: ForeignState::Refused, aside, bases_aside, .. } = repaired else {
            panic!("{repaired:?}")
        };
        assert!(!journal::segments(&aside).unwrap().is_empty() && bases_aside.is_some());
        assert_eq!(fs::read(&places.marker).unwrap(), b"attorn-store 5\n");
        let store = Store::open(dir.path(), &ours()).unwrap();
        assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"revoked");
    }
    // Where the machine stopped, nobody knows what the engine lacks, whatever is said of its format.
    let (dir, ..) = store().await;
    let places = Places::of(dir.path());
    fs::write(&places.marker, "attorn-store 1\n").unwrap();
    fs::remove_file(&places.boot).unwrap();
    for base in base::all(&places.base).unwrap() {
        fs::write(&base.path, "damaged").unwrap();
    }
    let foreign = (Accepted::FOREIGN, &(|_: &_| true) as &dyn Fn(&_) -> bool);
    assert!(Store::repair_with(dir.path(), &ours(), None, foreign).is_err());
    assert_eq!(fs::read(&places.marker).unwrap(), b"attorn-store 1\n");
}

#[tokio::test]
async fn a_store_whose_format_is_lost_is_repaired() {
    for marker in [None, Some("junk"), Some("")] {
        let (dir, ..) = store().await;
        let path = dir.path().join("store.format");
        match marker {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err().to_string();
        assert!(error.contains("`attorn repair` writes it anew"), "{error}");
        // What was lost is what was mended: the state has an imprint, which nobody looked for.
        let Repaired::Rebuilt { problem, .. } = Store::repair(dir.path(), &ours()).unwrap() else { unreachable!() };
        let lost = if marker.is_none() { "store.format` is missing, and" } else { "store.format` names no format of" };
        assert!(problem.contains(lost) && !problem.contains("imprint"), "{problem}");
        assert_eq!(fs::read(&path).unwrap(), b"attorn-store 5\n");
        let store = Store::open(dir.path(), &ours()).unwrap();
        assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"revoked");
    }
}

#[tokio::test]
async fn a_whole_store_that_is_called_older_than_it_is_is_named_right_by_a_repair() {
    let (dir, ..) = store().await;
    fs::write(dir.path().join("store.format"), "attorn-store 4\n").unwrap();
    Store::repair(dir.path(), &ours()).unwrap();
    assert_eq!(fs::read(dir.path().join("store.format")).unwrap(), b"attorn-store 5\n");
    Store::open(dir.path(), &ours()).unwrap();
}

#[tokio::test]
async fn what_is_kept_is_what_is_computed_anew_whatever_the_batches_were() {
    let (dir, store) = new_store();
    for n in 0..60_u64 {
        let several = batch(|batch| {
            batch.put = vec![(meta(n % 7), vec![1; usize::try_from(n * 13 % 200).unwrap()])];
            batch.put.push((Key::decision(&decision(n)), vec![2; 10]));
            batch.add = vec![add(n % 3, 2, u64::MAX)];
            if n % 5 == 0 && n > 7 {
                batch.delete = vec![meta((n + 1) % 7)];
            }
            batch.entries = vec![decided(n)];
        });
        store.commit(several).await.unwrap();
    }
    drop(store);
    let trees = Trees::open(&dir.path().join("store")).unwrap();
    let (log, head) = trees.head().unwrap().unwrap();
    check(&ours().key, &trees, &log, &head).unwrap();
    drop(trees);
    // Of a copy that is taken elsewhere, too.
    let other = TempDir::new().unwrap();
    copy(dir.path(), other.path());
    drop(Store::open(other.path(), &ours()).unwrap());
}
