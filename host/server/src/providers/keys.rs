//! Providers' keys as they were fetched last, and when they are fetched again.
//!
//! Keys serve for ten minutes. A token that names a key which is not among them has them fetched anew, at most once
//! in 30 seconds for each provider: whoever makes up names, or tokens of issuers that nobody registered, makes us
//! fetch no more than that. One fetch at a time; who needs it waits for it, and who has a key that is known does
//! not. After a failed fetch there is none for 30 seconds, and the old keys serve until they are an hour old.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use attorn_core::{ProviderId, TimeMs};
use attorn_identity::issuer_token::IssuerKeys;
use attorn_store::records::ProviderRecord;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::fetch::{self, FetchError};

/// How long keys serve, in milliseconds.
const FRESH_MS: u64 = 10 * 60_000;
/// How long they serve if no others can be had.
const USABLE_MS: u64 = 60 * 60_000;
/// How long there is no second fetch for an unknown key, and none after one that failed.
const PAUSE_MS: u64 = 30_000;

/// The keys of all providers that were needed so far. A provider's issuer never changes, so its id is enough.
#[derive(Default)]
pub(crate) struct ProviderKeyring(RwLock<HashMap<ProviderId, Arc<Slot>>>);

impl ProviderKeyring {
    /// The keys of a provider, among them the one of this name if the provider has it.
    pub(super) async fn keys(
        &self,
        provider: &ProviderRecord,
        key_id: Option<&str>,
        now: TimeMs,
    ) -> Result<Arc<IssuerKeys>, FetchError> {
        let (id, issuer) = (provider.id.clone(), provider.issuer.clone());
        let fetch = || async move {
            let fetched = fetch::keys(issuer).await;
            if let Err(error) = &fetched {
                tracing::warn!(provider = id.as_str(), why = error.code(), "a provider's keys were not fetched");
            }
            fetched
        };
        self.slot(&provider.id).keys(key_id, now, fetch).await
    }

    /// Fetch all anew: what was fetched is no younger than time says, where that is set back.
    pub(crate) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// There are no more slots than registered providers.
    fn slot(&self, id: &ProviderId) -> Arc<Slot> {
        if let Some(slot) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Arc::clone(slot);
        }
        let mut slots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(id.clone()).or_default())
    }
}

/// One provider's keys.
#[derive(Default)]
struct Slot {
    held: RwLock<Option<Held>>,
    /// Held by whoever fetches.
    fetching: Arc<Mutex<Fetches>>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<IssuerKeys>,
    fetched_at: TimeMs,
}

/// What came of fetches so far.
#[derive(Default)]
struct Fetches {
    failed: Option<(TimeMs, FetchError)>,
    /// When one was made for a key that was unknown.
    for_unknown_key_at: Option<TimeMs>,
}

impl Held {
    fn serves(&self, key_id: Option<&str>, now: TimeMs) -> bool {
        now.ms_since(self.fetched_at) < FRESH_MS && self.keys.has(key_id)
    }
}

impl Slot {
    fn held(&self) -> Option<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn keys<F: Future<Output = Result<IssuerKeys, FetchError>> + Send + 'static>(
        self: &Arc<Self>,
        key_id: Option<&str>,
        now: TimeMs,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<IssuerKeys>, FetchError> {
        if let Some(held) = self.held().filter(|held| held.serves(key_id, now)) {
            return Ok(held.keys);
        }
        let mut fetches = Arc::clone(&self.fetching).lock_owned().await;
        // Whoever was here before may have fetched what is wanted; `now` is then before it.
        let held = self.held();
        if let Some(held) = held.as_ref().filter(|held| held.serves(key_id, now)) {
            return Ok(Arc::clone(&held.keys));
        }
        let fresh = held.as_ref().is_some_and(|held| now.ms_since(held.fetched_at) < FRESH_MS);
        let pausing = |since: TimeMs| now.ms_since(since) < PAUSE_MS;
        if let Some((_, error)) = fetches.failed.filter(|(at, _)| pausing(*at)) {
            return usable(held, now, error);
        }
        if fresh && fetches.for_unknown_key_at.is_some_and(pausing) {
            return usable(held, now, FetchError::Unreachable);
        }
        if fresh {
            fetches.for_unknown_key_at = Some(now);
        }
        // What began ends, whoever hangs up: else somebody who does would have us begin again and again.
        let new = tokio::spawn(Arc::clone(self).take(fetches, now, fetch()));
        match new.await.unwrap_or(Err(FetchError::Unreachable)) {
            Ok(keys) => Ok(keys),
            Err(error) => usable(held, now, error),
        }
    }

    /// Wait for what was fetched, and keep it.
    async fn take(
        self: Arc<Self>,
        mut fetches: OwnedMutexGuard<Fetches>,
        now: TimeMs,
        fetch: impl Future<Output = Result<IssuerKeys, FetchError>>,
    ) -> Result<Arc<IssuerKeys>, FetchError> {
        match fetch.await {
            Ok(keys) => {
                fetches.failed = None;
                let keys = Arc::new(keys);
                let new = Held { keys: Arc::clone(&keys), fetched_at: now };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(new);
                Ok(keys)
            }
            Err(error) => {
                fetches.failed = Some((now, error));
                Err(error)
            }
        }
    }
}

/// The old keys, if they are not too old.
fn usable(held: Option<Held>, now: TimeMs, otherwise: FetchError) -> Result<Arc<IssuerKeys>, FetchError> {
    held.filter(|held| now.ms_since(held.fetched_at) < USABLE_MS).map(|held| held.keys).ok_or(otherwise)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
