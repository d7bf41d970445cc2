//! Waiting for what comes by itself, with an end: a test that waits for ever tells nobody what it waited for.

use std::time::{Duration, Instant};

/// Longer than anything takes that does come.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Wait until this holds.
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

/// Wait until this holds, and say after how long it did.
pub async fn until_within(within: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    found_within(within, what, async || holds().await.then_some(())).await;
    began.elapsed()
}

/// Wait until this finds something.
pub async fn found<T>(what: &str, find: impl AsyncFnMut() -> Option<T>) -> T {
    found_within(PATIENCE, what, find).await
}

async fn found_within<T>(within: Duration, what: &str, mut find: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = Waiting { what, within, began: Instant::now() };
    loop {
        if let Some(found) = find().await {
            return found;
        }
        waiting.a_moment().await;
    }
}

/// The same for a loop in a task of its own, where the compiler does not see that an asynchronous closure may go from
/// thread to thread.
pub struct Waiting<'a> {
    what: &'a str,
    within: Duration,
    began: Instant,
}

impl<'a> Waiting<'a> {
    /// Begin to wait.
    pub fn begin(what: &'a str) -> Self {
        Self { what, within: PATIENCE, began: Instant::now() }
    }

    /// Wait until it is worth looking again, and fail if it took too long.
    pub async fn a_moment(&self) {
        let Self { what, within, began } = self;
        assert!(began.elapsed() < *within, "{what}: not within {within:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends_when_it_holds() {
        let mut looks = 0;
        until("the third look", async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
        assert_eq!(found("a seven", async || Some(7)).await, 7);
    }

    #[tokio::test]
    #[should_panic(expected = "what never comes: not within 30ms")]
    async fn it_ends_when_it_never_holds() {
        until_within(Duration::from_millis(30), "what never comes", async || false).await;
    }
}
