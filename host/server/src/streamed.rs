//! Something long that is read bit by bit while it is sent, as fast as it is taken: nobody has us hold all of it, and
//! whoever takes nothing holds no thread.

use std::io::{self, Read as _};

use axum::body::Bytes;
use futures_util::Stream;

/// How much is read at a time.
const PIECE_BYTES: u64 = 64 << 10;

/// What this reads, in pieces. A file of which more is never read than it had at first comes with a limit.
pub(crate) fn streamed(source: impl io::Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> {
    futures_util::stream::try_unfold(source, |source| async move {
        let read = tokio::task::spawn_blocking(move || {
            let (mut piece, mut taken) = (Vec::new(), source.take(PIECE_BYTES));
            taken.read_to_end(&mut piece)?;
            Ok::<_, io::Error>((piece, taken.into_inner()))
        });
        let (piece, source) = read.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), source)))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{StreamExt as _, TryStreamExt as _};

    use super::*;

    /// Far more than any test takes.
    const PATIENCE: Duration = Duration::from_secs(50);

    #[test]
    fn whoever_takes_nothing_holds_no_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_time().build();
        runtime.unwrap().block_on(async {
            let mut slow = Box::pin(streamed(io::repeat(7)));
            assert_eq!(slow.next().await.unwrap().unwrap(), vec![7; 64 << 10]);
            let other = tokio::task::spawn_blocking(|| ());
            tokio::time::timeout(PATIENCE, other).await.expect("the only thread is free").unwrap();
            assert_eq!(slow.next().await.unwrap().unwrap().len(), 64 << 10);
        });
    }

    #[tokio::test]
    async fn all_of_it_comes_and_then_it_ends() {
        for bytes in [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 1] {
            let pieces: Vec<Bytes> = streamed(io::repeat(7).take(bytes)).try_collect().await.unwrap();
            assert_eq!(pieces.iter().map(|piece| piece.len() as u64).sum::<u64>(), bytes);
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() as u64 <= PIECE_BYTES));
        }
    }
}
