//! What the whole server shares.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::{AgentId, BoundsLimits};
use attorn_engine::Engine;
use attorn_identity::issuer_token::IssuerKeys;
use attorn_identity::svid::JwtSvidKey;
use attorn_identity::{AssertionGuard, NamesKey, Nonces, ReplayGuard, RootKey};
use attorn_log::CheckpointSigner;
use attorn_store::Store;

use crate::active::ActivePolicies;
use crate::approvals::ApprovalLimits;
use crate::approvals::page::Visits;
use crate::approvals::webhooks::Webhooks;
use crate::clock::Clock;
use crate::config::Config;
use crate::decisions::pause::Pauses;
use crate::decisions::shadow::Shadows;
use crate::http::call::UserCaller;
use crate::http::connections::Connections;
use crate::http::failure::{Failure, causes};
use crate::http::rates::Rates;
use crate::http::strangers::Strangers;
use crate::loads::Loads;
use crate::metrics::Metrics;
use crate::oauth::ciba::AuthRequests;
use crate::parsed_keys::{ByVersion, ParsedKeys};
use crate::policy_logs::PolicyLogs;
use crate::providers::ProviderKeyring;
use crate::providers::backchannel::Backchannels;
use crate::published::Published;
use crate::queries::Queries;
use crate::refusals::Refusals;
use crate::replays::Replays;
use crate::targets::live::Targets;
use crate::token_keys::TokenKeys;
use crate::users::keys::UserKeys;

/// What the whole server shares.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// Held shared by every request of agents, users and resource servers from before it is authenticated until it is
    /// answered, and alone by whoever changes the server's time.
    pub(crate) era: Arc<tokio::sync::RwLock<()>>,
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    pub(crate) active: ActivePolicies,
    pub(crate) loads: Loads,
    pub(crate) pauses: Pauses,
    pub(crate) shadows: Shadows,
    /// Held by whoever simulates: one at a time, for it may compile.
    pub(crate) simulating: tokio::sync::Mutex<()>,
    pub(crate) replays: Replays,
    pub(crate) metrics: Metrics,
    pub(crate) policy_logs: PolicyLogs,
    pub(crate) nonces: Nonces,
    pub(crate) replay: ReplayGuard,
    pub(crate) assertions: AssertionGuard,
    pub(crate) refusals: Refusals,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) agent_rates: Rates<AgentId>,
    pub(crate) user_rates: Rates<UserCaller>,
    /// How often it is looked for what has ended of what an agent made.
    pub(crate) room_rates: Rates<AgentId>,
    pub(crate) keys: ParsedKeys,
    pub(crate) issuer_keys: ByVersion<IssuerKeys>,
    pub(crate) domain_keys: ByVersion<Vec<JwtSvidKey>>,
    pub(crate) user_keys: Arc<UserKeys>,
    pub(crate) names: NamesKey,
    /// What stands for things of which nobody knows whose they are is made with it. It is in memory alone and of this run,
    /// so that nobody who has the data can find out by guessing, however much is erased later.
    pub(crate) unread: NamesKey,
    pub(crate) providers: ProviderKeyring,
    pub(crate) backchannels: Backchannels,
    pub(crate) auth_requests: AuthRequests,
    pub(crate) token_keys: TokenKeys,
    pub(crate) root: Arc<RootKey>,
    pub(crate) targets: Targets,
    pub(crate) log_signer: CheckpointSigner,
    pub(crate) published: Published,
    pub(crate) queries: Queries,
    pub(crate) limits: BoundsLimits,
    pub(crate) approvals: ApprovalLimits,
    pub(crate) webhooks: Webhooks,
    pub(crate) visits: Visits,
}

impl App {
    /// Why the server cannot decide now, if it cannot.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if let Some(failure) = self.store.failure() {
            return Some(format!("the store has failed and records nothing more: {}", causes(&*failure)));
        }
        self.clock.reading().stand().problem()
    }

    /// Nothing is decided or used while the server is not ready.
    pub(crate) fn ensure_ready(&self) -> Result<(), Failure> {
        self.not_ready().map_or(Ok(()), |why| Err(Failure::of(ProblemCode::NotReady, why)))
    }
}
