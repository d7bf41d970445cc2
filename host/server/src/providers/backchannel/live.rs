//! What is known of providers that users are asked at while the server runs: how each behaves, who is at work, and what
//! connects to them. None of it is durable.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use attorn_broker::breaker::{Breaker, Leave};
use attorn_core::{ApprovalId, ProviderId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::Network;
use crate::random;

/// How many prompts of one provider are worked on at once.
const AT_ONCE: usize = 8;

/// All of it.
pub(crate) struct Backchannels {
    pub(super) network: Network,
    providers: Mutex<HashMap<ProviderId, Arc<Live>>>,
    working: Arc<Mutex<HashSet<ApprovalId>>>,
}

/// A provider.
pub(super) struct Live {
    at_once: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    since: Instant,
}

/// Leave to work on one prompt. Whoever drops it works no more.
pub(super) struct Working {
    working: Arc<Mutex<HashSet<ApprovalId>>>,
    approval: ApprovalId,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.working.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.approval);
    }
}

impl Backchannels {
    /// Nothing is known yet; the address is the server's own.
    pub(crate) fn new(own: SocketAddr) -> Self {
        Self { network: Network::new(own), providers: Mutex::default(), working: Arc::default() }
    }

    /// There are no more of these than registered providers.
    pub(super) fn live(&self, id: &ProviderId) -> Arc<Live> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(providers.entry(id.clone()).or_insert_with(|| {
            let at_once = Arc::new(Semaphore::new(AT_ONCE));
            Arc::new(Live { at_once, breaker: Mutex::default(), since: Instant::now() })
        }))
    }

    /// Leave to work on a prompt; none if somebody does.
    pub(super) fn begin(&self, approval: ApprovalId) -> Option<Working> {
        let is_first = self.working.lock().unwrap_or_else(PoisonError::into_inner).insert(approval);
        is_first.then(|| Working { working: Arc::clone(&self.working), approval })
    }
}

impl Live {
    /// A place among those who work on this provider's prompts; none if all are taken, or it is left alone for now.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.at_once).try_acquire_owned().ok()?;
        match self.breaker().ask(self.now_ms()) {
            Leave::Ask | Leave::Probe => Some(place),
            Leave::Wait(_) => None,
        }
    }

    /// What came of it: whether it answered, if it was asked anything.
    pub(super) fn came(&self, answered: Option<bool>) {
        let now_ms = self.now_ms();
        let mut breaker = self.breaker();
        match answered {
            None => breaker.not_asked(now_ms),
            Some(true) => drop(breaker.good()),
            Some(false) => breaker.bad(now_ms, random::number()),
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
