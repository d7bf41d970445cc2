//! What base copy and journal say of a row is what they come to, whichever of them has it.

use tempfile::TempDir;

use crate::base::BaseWriter;
use crate::commit::Store;
use crate::fixtures::{lazy, ours, recorded};
use crate::parts;
use crate::places::Places;

/// A copy that is begun at one version and goes on at others, while decisions are made.
#[tokio::test]
async fn records_that_came_while_a_copy_was_made_are_compared_once() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), lazy()).unwrap();
    std::fs::create_dir_all(dir.path().join("log/1")).unwrap();
    std::fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    for from in (0..300).step_by(100) {
        let several = (from..from + 100).map(recorded).reduce(|mut all, one| {
            all.entries.extend(one.entries);
            all.put.extend(one.put);
            all
        });
        store.commit(several.unwrap()).await.unwrap();
    }
    let (places, trees) = (Places::of(dir.path()), store.shared.trees.clone());
    let id = trees.store_id().unwrap().unwrap();
    let mut writer = BaseWriter::begin(&places.base, id, store.shared.applied().version).unwrap();
    let mut n = 300;
    while let Some(page) = writer.read(&trees).unwrap() {
        writer.write(page).unwrap();
        // Each entry that comes is on a page of its own, as long as one comes.
        if n < 304 {
            store.commit(recorded(n)).await.unwrap();
            n += 1;
        }
    }
    writer.finish().unwrap().put_in_place().unwrap();
    store.commit(recorded(n)).await.unwrap();
    parts::look(&places, &ours().key, &|| true).unwrap().unwrap();
    let to = TempDir::new().unwrap();
    let made = Store::back_up(dir.path(), to.path()).unwrap();
    assert!(made.bad_files.is_empty() && made.entries == n + 1, "{made:?}");
    // And their entries and records in files, of which the base copy of before has all.
    store.bundle_through(n);
    while store.shared.trees.filed().unwrap() < 1 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    for file in [None, Some("records/1/000000/000")] {
        let bad = usize::from(file.is_some());
        if let Some(file) = file {
            std::fs::remove_file(dir.path().join(file)).unwrap();
        }
        let made = Store::back_up(dir.path(), &TempDir::new().unwrap().path().join("to")).unwrap();
        assert_eq!(made.bad_files.len(), bad, "{made:?}");
    }
}
