//! How far the store is durable, and how to wait for it.
//!
//! sled shows a write before it is on disk. What has been read there may leave the process only after
//! the horizon has reached its version; once the store has failed, it never does.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Failure, ReadError};
use crate::head::Head;
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
    progress: Arc<Progress>,
}

impl Teller {
    pub(crate) fn new(horizon: watch::Sender<Horizon>, progress: Arc<Progress>) -> Self {
        Self { horizon: Arc::new(horizon), progress }
    }

    pub(crate) fn durable(&self, head: Head) {
        self.tell(Horizon::Durable(head));
    }

    /// The first failure is the one that counts, and is said.
    pub(crate) fn fail(&self, failure: Failure) {
        let failure = Arc::new(failure);
        if self.tell(Horizon::Failed(Arc::clone(&failure))) {
            tracing::error!(error = &*failure as &dyn std::error::Error, help = Failure::HELP, "the store has failed");
        }
        self.progress.fail();
    }

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
pub(crate) struct Watch(watch::Receiver<Horizon>);

impl Watch {
    pub(crate) const fn new(horizon: watch::Receiver<Horizon>) -> Self {
        Self(horizon)
    }

    /// The durable head now.
    pub(crate) fn head(&self) -> Result<Head, ReadError> {
        match &*self.0.borrow() {
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
        let mut horizon = self.0.clone();
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
        match &*self.0.borrow() {
            Horizon::Durable(_) => None,
            Horizon::Failed(failure) => Some(Arc::clone(failure)),
        }
    }

    /// Why the store failed, as soon as it does.
    pub(crate) async fn failed(&self) -> Arc<Failure> {
        match self.reached(|_| false).await {
            Err(ReadError::Failed(failure)) => failure,
            // `reached` ends in nothing else when no head is far enough.
            _ => Arc::new(Failure::WriterStopped),
        }
    }
}
