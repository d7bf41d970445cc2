//! How far the store is durable, and how to wait for it.
//!
//! sled shows a write before it is on disk. What has been read there may leave the process only after
//! the horizon has reached its version; once the store has failed, it never does.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Failure, ReadError};
use crate::head::Head;
use crate::last_words::LastWords;
use crate::progress::Progress;

#[derive(Debug, Clone)]
pub(crate) enum Horizon {
    /// All up to this head is on disk.
    Durable(Head),
    /// Nobody knows.
    Failed(Arc<Failure>),
}

/// Where the horizon is told. Once the store has failed, nothing is durable any more, whoever says so.
#[derive(Clone)]
pub(crate) struct Teller {
    horizon: Arc<watch::Sender<Horizon>>,
    failure: Arc<watch::Sender<Option<Arc<Failure>>>>,
    progress: Arc<Progress>,
    last_words: Arc<LastWords>,
}

impl Teller {
    /// All up to this head is on disk. Whether that counts: not where the store has failed.
    pub(crate) fn durable(&self, head: Head) -> bool {
        self.tell(Horizon::Durable(head))
    }

    /// The first failure is the one that counts, and is said.
    pub(crate) fn fail(&self, failure: Failure) {
        let failure = Arc::new(failure);
        if self.tell(Horizon::Failed(Arc::clone(&failure))) {
            self.failure.send_replace(Some(Arc::clone(&failure)));
            tracing::error!(error = &*failure as &dyn std::error::Error, help = Failure::HELP, "the store has failed");
            self.last_words.say();
        }
        self.progress.fail();
    }

    /// Whether the store has failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(*self.horizon.borrow(), Horizon::Failed(_))
    }

    fn tell(&self, news: Horizon) -> bool {
        self.horizon.send_if_modified(|horizon| {
            let goes_on = matches!(horizon, Horizon::Durable(_));
            if goes_on {
                *horizon = news;
            }
            goes_on
        })
    }
}

/// Where readers see the horizon. [`Teller`] is the other end.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    horizon: watch::Receiver<Horizon>,
    /// Beside it, so that whoever waits for a failure is not woken by each group.
    failure: watch::Receiver<Option<Arc<Failure>>>,
}

/// Both ends, of a store that is durable up to this head.
pub(crate) fn at(head: Head, progress: Arc<Progress>, last_words: Arc<LastWords>) -> (Teller, Watch) {
    let ((horizon, watched), (failure, failed)) = (watch::channel(Horizon::Durable(head)), watch::channel(None));
    let teller = Teller { horizon: Arc::new(horizon), failure: Arc::new(failure), progress, last_words };
    (teller, Watch { horizon: watched, failure: failed })
}

impl Watch {
    /// The durable head now.
    pub(crate) fn head(&self) -> Result<Head, ReadError> {
        match &*self.horizon.borrow() {
            Horizon::Durable(head) => Ok(*head),
            Horizon::Failed(failure) => Err(ReadError::Failed(Arc::clone(failure))),
        }
    }

    /// The durable head as soon as it is `far` enough.
    pub(crate) async fn reached(&self, far: impl Fn(&Head) -> bool) -> Result<Head, ReadError> {
        let head = self.head()?;
        if far(&head) {
            return Ok(head);
        }
        let mut horizon = self.horizon.clone();
        let seen = horizon.wait_for(|horizon| match horizon {
            Horizon::Durable(head) => far(head),
            Horizon::Failed(_) => true,
        });
        match seen.await.as_deref() {
            Ok(Horizon::Durable(head)) => Ok(*head),
            Ok(Horizon::Failed(failure)) => Err(ReadError::Failed(Arc::clone(failure))),
            Err(_) => Err(ReadError::Failed(Arc::new(Failure::WriterStopped))),
        }
    }

    /// Why the store has failed, if it has.
    pub(crate) fn failure(&self) -> Option<Arc<Failure>> {
        match &*self.horizon.borrow() {
            Horizon::Durable(_) => None,
            Horizon::Failed(failure) => Some(Arc::clone(failure)),
        }
    }

    /// Wait until the store fails; for ever, if it ends without that.
    pub(crate) async fn has_failed(mut self) {
        if self.failure.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why the store failed, as soon as it does.
    pub(crate) async fn failed(&self) -> Arc<Failure> {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        // The threads are gone, and have not said why.
        failed.unwrap_or_else(|| Arc::new(Failure::WriterStopped))
    }
}
