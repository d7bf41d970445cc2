//! Nothing of the log that somebody else wrote into the engine is given out, however much of the tree they wrote with it.

use attorn_log::{Entry, Link, TreeBuilder};
use tempfile::TempDir;

use super::*;
use crate::bundled::last_of;
use crate::commit::Store;
use crate::error::OpenError;
use crate::fixtures::{batch, body, new_store, ours};
use crate::imprint::ImprintError;
use crate::places::Places;
use crate::trees::{Record, Trees};

/// A store with so many entries.
async fn store(entries: u64) -> (TempDir, Store) {
    let (dir, store) = new_store();
    let mut next = 0;
    while next < entries {
        let end = entries.min(next + 50);
        store.commit(batch(|batch| batch.entries = (next..end).map(body).collect())).await.unwrap();
        next = end;
    }
    (dir, store)
}

/// Write another entry, and all nodes over it that stand with entries up to `with`.
fn forge(trees: &Trees, size: u64, index: u64, with: u64) {
    let entry = |index: u64| trees.record(index).unwrap().unwrap();
    let mut forged = Entry::parse(&entry(index).bytes).unwrap();
    forged.body = body(index + 1_000);
    let mut tree = TreeBuilder::new();
    for at in 0..size {
        let old = entry(at);
        let bytes = if at == index { forged.to_bytes() } else { old.bytes };
        let hashes = tree.push(leaf_hash(&bytes)).unwrap().into_iter().map(|(_, hash)| hash).collect();
        if at == index && with == 0 {
            trees.put(at, &Record { hashes: old.hashes, bytes }).unwrap();
        } else if (index..=with).contains(&at) {
            trees.put(at, &Record { hashes, bytes }).unwrap();
        }
    }
}

#[tokio::test]
async fn an_entry_that_somebody_else_wrote_is_not_given_out() {
    const SIZE: u64 = 300;
    // Without any node, with its leaf, with some nodes, and with all of them.
    for with in [0, 13, 15, 100, SIZE - 1] {
        let (_dir, store) = store(SIZE).await;
        forge(&store.shared.trees, SIZE, 13, with);
        for error in [store.entry(13).unwrap_err(), store.entries(10, 9).unwrap_err()] {
            let damage = error.damage().unwrap_or_default();
            assert!(damage.contains("entry 1") && damage.contains("is not what was signed"), "{with}: {error:?}");
        }
        let mut reader = store.entry_reader();
        let read: Vec<_> = (0..SIZE).map(|index| reader.entry(index)).collect();
        assert!(read[13].is_err(), "{with}");
        // No node stands over the one and the other.
        assert!(read.last().unwrap().is_ok(), "{with}");
        assert_eq!(with == 0, read.iter().filter(|read| read.is_err()).count() == 1, "{with}");
        let signed = store.root(SIZE);
        assert_eq!(with == SIZE - 1, signed.is_err_and(|error| error.damage().is_some()), "{with}");
    }
}

#[tokio::test]
async fn whatever_was_not_touched_is_given_out_in_any_order() {
    const SIZE: u64 = 300;
    let (_dir, store) = store(SIZE).await;
    let mut reader = store.entry_reader();
    for index in (0..SIZE).chain((0..SIZE).rev()).chain((0..SIZE).map(|n| n * 7 % SIZE)) {
        let entry = Entry::parse(&reader.entry(index).unwrap().unwrap()).unwrap();
        assert_eq!((entry.at.index, entry.body), (index, body(index)));
    }
    assert!(reader.entry(SIZE).unwrap().is_none());
    // What comes later, too.
    store.commit(batch(|batch| batch.entries = vec![body(SIZE)])).await.unwrap();
    assert!(reader.entry(SIZE).unwrap().is_some());
    for size in 0..=SIZE {
        let expect = TreeBuilder::load(size, |id| store.shared.trees.node(id)).unwrap().root();
        assert_eq!(store.root(size).unwrap(), expect);
    }
}

/// The links are ours, and the tree is not: the last link alone tells nothing of it.
#[tokio::test]
async fn a_tree_that_somebody_else_wrote_is_not_opened() {
    const SIZE: u64 = 300;
    let (dir, store) = store(SIZE).await;
    drop(store);
    let trees = Trees::open(&Places::of(dir.path()).engine).unwrap();
    forge(&trees, SIZE, 13, SIZE - 2);
    trees.flush().unwrap();
    drop(trees);
    match Store::open(dir.path(), &ours()).map(drop).unwrap_err() {
        OpenError::Imprint(ImprintError::NotOfHere) => {}
        error => panic!("{error:?}"),
    }
}

/// A file with entries, and the root over them, by which the file is known, are both somebody else's.
#[tokio::test]
async fn a_file_whose_root_was_written_with_it_is_not_given_out() {
    const SIZE: u64 = 600;
    let (_dir, store) = store(SIZE).await;
    let mut forged = Vec::new();
    let (mut tree, mut link) = (TreeBuilder::new(), Link::NONE);
    for index in 0..256 {
        let mut entry = Entry::parse(&store.entry(index).unwrap().unwrap()).unwrap();
        (entry.previous, entry.body) = (link, body(index + 1_000));
        link = entry.link();
        attorn_log::tiles::add_to_bundle(&mut forged, &entry.to_bytes());
        tree.push(leaf_hash(&entry.to_bytes())).unwrap();
    }
    let path = store.shared.bundled.path(0);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &forged).unwrap();
    let mut last = store.shared.trees.record(last_of(0)).unwrap().unwrap();
    *last.hashes.last_mut().unwrap() = tree.root();
    store.shared.trees.unload(0, &Record { bytes: Vec::new(), ..last }).unwrap();
    for error in [store.entry(5).unwrap_err(), store.bundle_file(0).unwrap_err(), store.entries(0, 9).unwrap_err()] {
        assert!(error.damage().is_some_and(|damage| damage.contains("is not what was signed")), "{error:?}");
    }
    // Nothing tells that the bundle beside it is right, of which the tree has one node with it; all else is.
    assert!(store.entry(300).is_err() && store.entry(550).unwrap().is_some());
}
