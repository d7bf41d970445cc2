//! A narrow lane: few go through at a time, and the others wait.
//!
//! How many wait in all is bounded by how many connections there are; here is bounded how many wait of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use attorn_api::ProblemCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::failure::Failure;

/// How many requests of one address may wait.
pub(super) const WAITING_MAX: usize = 512;

pub(super) struct Lane {
    permits: Semaphore,
    /// How many of each address wait. Whoever has none that waits does not stand here.
    waiting: Mutex<HashMap<IpAddr, usize>>,
    /// How many have come here.
    entered: AtomicU64,
}

impl Lane {
    /// So many go through at a time.
    pub(super) fn new(permits: usize) -> Self {
        Self { permits: Semaphore::new(permits), waiting: Mutex::default(), entered: AtomicU64::new(0) }
    }

    /// Wait for a turn.
    pub(super) async fn enter(&self, address: IpAddr) -> Result<SemaphorePermit<'_>, Failure> {
        self.entered.fetch_add(1, Ordering::Relaxed);
        let waits = Waits::of(self, address)?;
        let permit = self.permits.acquire().await.map_err(Failure::internal)?;
        drop(waits);
        Ok(permit)
    }

    /// How many have come here so far.
    pub(super) fn entered(&self) -> u64 {
        self.entered.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn permits(&self) -> &Semaphore {
        &self.permits
    }

    #[cfg(test)]
    pub(super) fn nobody_waits(&self) -> bool {
        self.lock().is_empty()
    }
}

/// A request that waits.
struct Waits<'a> {
    lane: &'a Lane,
    address: IpAddr,
}

impl<'a> Waits<'a> {
    fn of(lane: &'a Lane, address: IpAddr) -> Result<Self, Failure> {
        let mut waiting = lane.lock();
        let count = waiting.entry(address).or_default();
        if *count >= WAITING_MAX {
            let detail = "too much that is refused comes from this address; nothing was decided";
            return Err(Failure::of(ProblemCode::Busy, detail));
        }
        *count += 1;
        Ok(Self { lane, address })
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.lane.lock();
        if let Some(count) = waiting.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}
