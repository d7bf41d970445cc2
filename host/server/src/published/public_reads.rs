//! How many tiles are read at a time for whoever does not say who they are, where the log is public.
//!
//! A tile may cost the reading and hashing of a whole bundle of entries. Operators do not wait here.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::failure::Failure;

/// How many tiles are read at a time.
const READS_MAX: usize = 4;
/// How long one waits for its turn.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct PublicReads(Arc<Semaphore>);

impl PublicReads {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(READS_MAX)))
    }

    /// The turn of one more.
    pub(super) async fn turn(&self, patience: Duration) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = tokio::time::timeout(patience, Arc::clone(&self.0).acquire_owned()).await;
        let busy = |_| {
            Failure::of(ProblemCode::Busy, "too many tiles of the public log are asked for at once")
                .with_help("ask again after the seconds in `Retry-After`, and keep the tiles that are full")
        };
        turn.map_err(busy)?.map_err(Failure::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strangers_read_few_tiles_at_a_time() {
        let reads = PublicReads::new();
        let mut turns = Vec::new();
        for _ in 0..READS_MAX {
            turns.push(reads.turn(Duration::ZERO).await.unwrap());
        }
        let failure = reads.turn(Duration::ZERO).await.unwrap_err();
        assert_eq!(failure.problem.code, ProblemCode::Busy);
        assert!(failure.problem.help.is_some());
        turns.pop();
        turns.push(reads.turn(Duration::ZERO).await.unwrap());
    }
}
