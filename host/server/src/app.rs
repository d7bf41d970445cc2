//! What the whole server shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attorn_api::ProblemCode;
use attorn_core::{AgentId, BoundsLimits, UserId};
use attorn_engine::Engine;
use attorn_identity::{AssertionGuard, NamesKey, Nonces, ReplayGuard};
use attorn_log::CheckpointSigner;
use attorn_store::Store;

use crate::active::ActivePolicies;
use crate::clock::{Clock, DRIFT_MS_MAX};
use crate::config::Config;
use crate::decisions::pause::Pauses;
use crate::decisions::shadow::Shadows;
use crate::http::failure::{Failure, causes};
use crate::http::rates::Rates;
use crate::loads::Loads;
use crate::metrics::Metrics;
use crate::parsed_keys::ParsedKeys;
use crate::policy_logs::PolicyLogs;
use crate::providers::ProviderKeyring;
use crate::token_keys::TokenKeys;
use crate::users::keys::UserKeys;

/// What the whole server shares.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    pub(crate) active: ActivePolicies,
    pub(crate) loads: Loads,
    pub(crate) pauses: Pauses,
    pub(crate) shadows: Shadows,
    /// Held by whoever simulates: one at a time, for it may compile.
    pub(crate) simulating: tokio::sync::Mutex<()>,
    pub(crate) metrics: Metrics,
    pub(crate) policy_logs: PolicyLogs,
    pub(crate) nonces: Nonces,
    pub(crate) replay: ReplayGuard,
    pub(crate) assertions: AssertionGuard,
    pub(crate) agent_rates: Rates<AgentId>,
    pub(crate) user_rates: Rates<UserId>,
    pub(crate) keys: ParsedKeys,
    pub(crate) user_keys: Arc<UserKeys>,
    pub(crate) names: NamesKey,
    pub(crate) providers: ProviderKeyring,
    pub(crate) token_keys: TokenKeys,
    pub(crate) log_signer: CheckpointSigner,
    pub(crate) limits: BoundsLimits,
    pub(crate) clock_accepted: AtomicBool,
}

impl App {
    /// Why the server cannot decide now, if it cannot.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if let Some(failure) = self.store.failure() {
            return Some(format!("the store has failed and records nothing more: {}", causes(&*failure)));
        }
        if !self.clock_accepted.load(Ordering::Relaxed) {
            return Some(
                "the wall clock stands before the last record; check it, and start with --accept-clock".into(),
            );
        }
        let drift_ms = self.clock.drift_ms();
        if drift_ms > DRIFT_MS_MAX {
            return Some(format!("the wall clock has moved {drift_ms} ms away from the time that passed; restart"));
        }
        None
    }

    /// Nothing is decided or used while the server is not ready.
    pub(crate) fn ensure_ready(&self) -> Result<(), Failure> {
        self.not_ready().map_or(Ok(()), |why| Err(Failure::of(ProblemCode::NotReady, why)))
    }
}
