//! What base copy and journal come to has the imprint that the engine has, however the base copy was made.

use attorn_core::TimeMs;
use tempfile::TempDir;

use super::*;
use crate::base::{self, BaseWriter};
use crate::batch::Batch;
use crate::commit::Store;
use crate::fixtures::{add, batch, body, decided, decision, hurried, lazy, meta, ours, put};
use crate::journal::JournalError;
use crate::key::Key;
use crate::places::Places;
use crate::steps::EveryStep;

fn several(n: u64) -> Batch {
    batch(|batch| {
        batch.put = vec![(meta(n % 7), vec![1; usize::try_from(n * 13 % 200).unwrap()])];
        if !n.is_multiple_of(4) {
            batch.put.push((Key::decision(&decision(n)), vec![2; 10]));
        }
        batch.add = vec![add(n % 3, 2, u64::MAX)];
        if n.is_multiple_of(5) && n > 7 {
            batch.delete = vec![meta((n + 1) % 7)];
        }
        batch.entries = vec![decided(n); usize::try_from(n % 4).unwrap()];
    })
}

fn bundled(places: &Places) -> Bundled {
    Bundled::of(&places.log, crate::open::FIRST_EPOCH)
}

fn check_all(dir: &Path) -> Result<usize, PartsError> {
    let places = Places::of(dir);
    let bases = base::all(&places.base).unwrap();
    for base in &bases {
        check_parts(&ours().key, (base, &places.journal), &bundled(&places), &|| true)?;
    }
    Ok(bases.len())
}

#[tokio::test]
async fn base_copies_that_were_made_while_the_store_went_on_come_to_what_it_has() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap();
    check_all(dir.path()).unwrap();
    for n in 0..300 {
        store.commit(several(n)).await.unwrap();
    }
    drop(store);
    assert!(check_all(dir.path()).unwrap() > 1, "there are no copies");
}

/// A copy that is begun at one version and goes on at others, with a journal after it or none.
#[tokio::test]
async fn what_came_while_a_copy_was_made_is_not_counted_twice() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), lazy()).unwrap();
    for n in 0..40 {
        store.commit(several(n)).await.unwrap();
    }
    let (places, trees) = (Places::of(dir.path()), store.shared.trees.clone());
    let id = trees.store_id().unwrap().unwrap();
    let mut writer = BaseWriter::begin(&places.base, id, store.shared.applied().version).unwrap();
    let mut n = 40;
    while let Some(page) = writer.read(&trees).unwrap() {
        writer.write(page).unwrap();
        store.commit(several(n)).await.unwrap();
        n += 1;
    }
    writer.finish().unwrap().put_in_place().unwrap();
    assert_eq!(check_all(dir.path()).unwrap(), 2);
    base::write(&places.base, id, store.shared.applied().version, &trees).unwrap();
    assert_eq!(check_all(dir.path()).unwrap(), 3);
    // One that has a value which no batch wrote, with checksums that fit.
    let key = meta(50).as_bytes().to_vec();
    trees.apply(&[Write { tree: TreeName::State, key, value: Some(vec![0; 30]) }]).unwrap();
    base::write(&places.base, id, store.shared.applied().version, &trees).unwrap();
    let Err(PartsError::Imprint(ImprintError::Differs)) = check_all(dir.path()) else { panic!("it is not seen") };
}

#[tokio::test]
async fn what_is_not_read_to_its_end_tells_nothing() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), lazy()).unwrap();
    let (places, mut batch) = (Places::of(dir.path()), Batch::new(TimeMs(1)));
    batch.entries = vec![body(1)];
    store.commit(batch).await.unwrap();
    store.commit(put(1, "value")).await.unwrap();
    let base = base::all(&places.base).unwrap().pop().unwrap();
    let given_up = check_parts(&ours().key, (&base, &places.journal), &bundled(&places), &|| false);
    assert!(matches!(given_up, Err(PartsError::Journal(JournalError::Io { .. }))), "{given_up:?}");
}
