//! What a decision rests on, read once, each with the version that the commit names.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::reason::HostReason;
use attorn_core::{
    Agent, BoundsLimits, Holder, KeyThumbprint, Request, Resource, Situation, TimeMs, UserId, WantedCredential,
    WithinBounds, bounds,
};
use attorn_store::records::{
    AgentRecord, IdempotencyRecord, ResourceServerRecord, ResourceTypeRecord, TokenKeyRecord, TokenKeyState,
};
use attorn_store::{Key, Require, Versioned};

use super::ask::{Ask, Row, Wanted};
use super::behalf::{self, Chain};
use super::veil::Veil;
use crate::active::ActiveSet;
use crate::app::App;
use crate::holders;
use crate::http::failure::Failure;
use crate::leases::place;

/// What was found.
pub(super) enum Gathered {
    /// The same was asked before, and its decision stands.
    Earlier(Box<Versioned<IdempotencyRecord>>),
    /// It is to be decided now.
    Now(Box<Ground>),
}

/// What a decision rests on.
pub(super) struct Ground {
    pub(super) agent: Versioned<AgentRecord>,
    /// The key that the agent proved possession of; none if it has lost it since.
    pub(super) holder: Option<Holder>,
    /// What is wanted. The session is the delegation's where the agent names none.
    pub(super) request: Request,
    /// The credential that is asked for; none where that is a token.
    pub(super) credential: Option<WantedCredential>,
    /// The user that the request names.
    pub(super) user: Option<UserId>,
    pub(super) chain: Option<Chain>,
    /// Whether the request names a delegation, also one that could not be read.
    pub(super) delegated: bool,
    /// Why nothing needs to be checked any more.
    pub(super) refused: Option<HostReason>,
    pub(super) resource_server: Option<Versioned<ResourceServerRecord>>,
    pub(super) active: Arc<ActiveSet>,
    /// The key that would sign a token.
    pub(super) signed_by: KeyThumbprint,
    /// What must still hold when the decision is committed.
    pub(super) require: Vec<(Key, Require)>,
}

impl Ground {
    pub(super) fn agent(&self) -> &Agent {
        self.agent.value.agent()
    }

    /// How the log speaks of whom and what this is about.
    pub(super) fn veil<'a>(&'a self, app: &'a App) -> Veil<'a> {
        Veil::of(app, self.delegated, self.chain.as_ref())
    }

    /// Check all that does not depend on policies.
    pub(super) fn check(&self, now: TimeMs, limits: BoundsLimits) -> Result<WithinBounds<'_>, HostReason> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let situation = Situation {
            agent: self.agent(),
            holder: self.holder.as_ref(),
            request: &self.request,
            user: self.user.as_ref(),
            behalf: self.chain.as_ref().map(|chain| &chain.behalf),
            resource_server: self.resource_server.as_ref().map(|record| &record.value.server),
            now,
        };
        bounds::check(situation, limits)
    }
}

/// Read it. The agent is read again although authentication has read it: if it changed since, or
/// changes until the commit, the decision is made anew.
pub(super) async fn gather(app: &App, ask: &Ask) -> Result<Gathered, Failure> {
    let mut require = Vec::new();
    if let Some(idempotency) = &ask.idempotency {
        let key = Key::idempotency(&ask.agent, &idempotency.key_digest);
        match app.store.record::<IdempotencyRecord>(&key).await? {
            Some(earlier) if app.clock.now() < earlier.value.expires_at => {
                if earlier.value.request_digest != idempotency.request_digest {
                    let detail = "the idempotency key was used for another request of this agent";
                    return Err(Failure::of(ProblemCode::IdempotencyConflict, detail).with_help("take a new key"));
                }
                return Ok(Gathered::Earlier(Box::new(earlier)));
            }
            Some(expired) => require.push((key, Require::Version(expired.version))),
            None => require.push((key, Require::Absent)),
        }
    }
    let agent = app.store.record::<AgentRecord>(&Key::agent(&ask.agent)).await?;
    let agent = agent.ok_or_else(|| Failure::internal(format_args!("agent {} is gone", ask.agent)))?;
    require.push((Key::agent(&ask.agent), Require::Version(agent.version)));
    let active = app.active.snapshot();
    let version = active.store_version;
    require.push((Key::active_set(), if version == 0 { Require::Absent } else { Require::Version(version) }));
    let Wanted { request, user, .. } = &ask.wanted;
    let resource_server = resource_server(app, &request.resource, &mut require).await?;
    let signed_by = signing_key(app, &mut require).await?;
    let shown = (&ask.thumbprint, ask.identity.as_ref());
    let holder = holders::now(app, agent.value.agent(), shown, &mut require).await?;
    let credential = place::wanted(app, &ask.wanted, &mut require).await?;
    let (request, chain, refused) = on_behalf(app, &ask.wanted, &mut require).await?;
    let no_row = ask.wanted.through.as_ref().filter(|through| through.row == Row::Missing);
    let refused = refused.or(no_row.map(|_| HostReason::NoProxyRoute));
    Ok(Gathered::Now(Box::new(Ground {
        agent,
        holder,
        request,
        credential,
        user: user.clone(),
        chain,
        delegated: ask.wanted.delegation.is_some(),
        refused,
        resource_server,
        active,
        signed_by,
        require,
    })))
}

/// The request as it is checked, the chain that it acts by, and why neither matters if that is so.
pub(crate) async fn on_behalf(
    app: &App,
    wanted: &Wanted,
    require: &mut Vec<(Key, Require)>,
) -> Result<(Request, Option<Chain>, Option<HostReason>), Failure> {
    let mut request = wanted.request.clone();
    let frozen = frozen(app, require).await?.then_some(HostReason::Frozen);
    let Some(delegation) = &wanted.delegation else { return Ok((request, None, frozen)) };
    // Also where everything is denied: what is recorded of it names the user, and in pseudonyms.
    match behalf::read(app, delegation, app.clock.now(), require).await? {
        Err(reason) => Ok((request, None, frozen.or(Some(reason)))),
        Ok(chain) => {
            if request.session.is_none() {
                request.session = chain.behalf.delegations().last().map(|last| last.session.clone());
            }
            Ok((request, Some(chain), frozen))
        }
    }
}

/// Whether an operator has stopped everything.
pub(crate) async fn frozen(app: &App, require: &mut Vec<(Key, Require)>) -> Result<bool, Failure> {
    let found = app.store.get(&Key::freeze()).await?;
    require.push((Key::freeze(), found.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
    Ok(found.is_some())
}

/// The key that signs tokens now. A commit names its record, so that after it was retired nothing commits
/// that it would sign.
async fn signing_key(app: &App, require: &mut Vec<(Key, Require)>) -> Result<KeyThumbprint, Failure> {
    for _ in 0..2 {
        let thumbprint = app.token_keys.signing()?.record.thumbprint.clone();
        let key = Key::token_key(&thumbprint);
        let stored = app.store.record::<TokenKeyRecord>(&key).await?;
        if let Some(stored) = stored.filter(|stored| stored.value.state == TokenKeyState::Signing) {
            require.push((key, Require::Version(stored.version)));
            return Ok(thumbprint);
        }
        app.token_keys.settled().await;
    }
    Err(Failure::of(ProblemCode::Contention, "the key that signs tokens changed meanwhile").with_help("ask again"))
}

/// Who accepts credentials for this resource, if anybody does.
pub(crate) async fn resource_server(
    app: &App,
    resource: &Resource,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<Versioned<ResourceServerRecord>>, Failure> {
    let type_key = Key::resource_type(&resource.resource_type());
    let Some(owner) = app.store.record::<ResourceTypeRecord>(&type_key).await? else {
        require.push((type_key, Require::Absent));
        return Ok(None);
    };
    require.push((type_key, Require::Version(owner.version)));
    let key = Key::resource_server(&owner.value.resource_server);
    let Some(server) = app.store.record::<ResourceServerRecord>(&key).await? else {
        require.push((key, Require::Absent));
        return Ok(None);
    };
    require.push((key, Require::Version(server.version)));
    Ok(server.value.revoked_at.is_none().then_some(server))
}
