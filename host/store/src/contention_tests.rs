//! Many tasks add to one counter at once. It never passes a limit, nothing is refused that has room, and what
//! was acknowledged is what it stands at.

use std::sync::Arc;

use attorn_core::TimeMs;
use proptest::prelude::*;

use crate::batch::Batch;
use crate::commit::Store;
use crate::error::CommitError;
use crate::fixtures::{add, body, counter, new_store};

/// One add: how much, and how far below the limit it has to stay.
type Wish = (u64, u64);

/// What one task was acknowledged: how much in how many adds.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    amount: u64,
    adds: u64,
}

/// Whether it was added; if not, it had no room.
async fn added(store: &Store, amount: u64, at_most: u64) -> bool {
    let mut batch = Batch::new(TimeMs(0));
    batch.add.push(add(0, i64::try_from(amount).unwrap(), at_most));
    batch.entries.push(body(amount));
    match store.commit(batch).await {
        Ok(_) => true,
        Err(CommitError::LimitExceeded { key, found }) => {
            assert_eq!(key, counter(0));
            assert!(found + amount > at_most, "{amount} was refused at {found}, and {at_most} is the most");
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Add all of these, and then one at a time for as long as there is room.
async fn spend(store: Arc<Store>, wishes: Vec<Wish>, limit: u64) -> Sum {
    let mut sum = Sum::default();
    for (amount, below) in wishes {
        if added(&store, amount, limit.saturating_sub(below)).await {
            sum = Sum { amount: sum.amount + amount, adds: sum.adds + 1 };
        }
        assert!(store.counter(&counter(0)).await.unwrap() <= limit);
    }
    // Once more than there can be room for: a store that forgets what it added must fail, and not go on.
    for _ in 0..=limit {
        if !added(&store, 1, limit).await {
            break;
        }
        sum = Sum { amount: sum.amount + 1, adds: sum.adds + 1 };
    }
    sum
}

async fn run(tasks: Vec<Vec<Wish>>, limit: u64) {
    let (_dir, store) = new_store();
    let store = Arc::new(store);
    let tasks: Vec<_> =
        tasks.into_iter().map(|wishes| tokio::spawn(spend(Arc::clone(&store), wishes, limit))).collect();
    let mut all = Sum::default();
    for task in tasks {
        let sum = task.await.unwrap();
        all = Sum { amount: all.amount + sum.amount, adds: all.adds + sum.adds };
    }
    assert_eq!(all.amount, limit, "what was acknowledged is not all that there was room for");
    assert_eq!(store.counter(&counter(0)).await.unwrap(), limit);
    assert_eq!(store.log_head().unwrap().size, all.adds);
    store.verify_integrity().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn many_at_once_spend_all_that_there_is_and_no_more(
        tasks in prop::collection::vec(prop::collection::vec((1_u64..9, 0_u64..6), 0..6), 2..16),
        limit in 0_u64..80,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        runtime.block_on(run(tasks, limit));
    }
}
