//! A thread that panics is no thread that ended: the store fails, whichever it is.

use tempfile::TempDir;

use crate::commit::Store;
use crate::error::{CommitError, StorageError};
use crate::fixtures::{batch, body, hurried, ours, put};
use crate::steps::{Step, Steps};

/// Panics at a step, as the engine does where it finds its files corrupt.
struct Panics(Step);

impl Steps for Panics {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        assert!(step != self.0, "a panic by the test");
        act()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_panics_fails_the_store_whichever_it_is() {
    for (step, says) in [
        (Step::Append, "the store's writer stopped"),
        (Step::Flush, "the store's follower stopped"),
        (Step::Page, "the store's copier stopped"),
        (Step::Bundle, "the store's bundler stopped"),
    ] {
        let dir = TempDir::new().unwrap();
        let store = Store::create_with(dir.path(), ours(), hurried(Panics(step))).unwrap();
        let mut tried = 0;
        while store.failure().is_none() {
            assert!(tried < 1_000, "{step} was never taken");
            // Whether it happens is no matter here.
            let _ = store.commit(batch(|batch| batch.entries.push(body(tried)))).await;
            tried += 1;
            if let Ok(head) = store.log_head() {
                store.bundle_through(head.size);
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(store.failed().await.to_string(), says, "{step}");
        assert!(matches!(store.commit(put(1, "late")).await, Err(CommitError::Failed(_))));
    }
}
