//! Offers: an agent gives a part of what was delegated to it to another agent, which accepts it. Each with a proof of
//! its own; no token changes hands. What was offered counts when it was accepted.
//!
//! Whether a chain covers a request is not decided here: a decision checks every hop.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::delegations as api;
use attorn_core::reason::HostReason;
use attorn_core::{AgentId, DelegationId, Permission, UserPresence};
use attorn_store::records::{AgentRecord, DelegationBody, DelegationRecord};
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::json;

use super::collect::make_room;
use super::make::{self, Made};
use super::room::{give_room, open_offers};
use super::{Known, known_by, limits, narrower, shown_made, wire};
use crate::app::App;
use crate::decisions::behalf::{self, Chain};
use crate::decisions::veil;
use crate::entry;
use crate::http::call::{AgentCaller, Call, Reply};
use crate::http::failure::Failure;
use crate::random;
use crate::registry::{commit, moved};
use crate::users;

/// What an agent offers, and to whom.
#[derive(Clone)]
struct Part {
    to: AgentId,
    permissions: Vec<Permission>,
    expires_in_ms: Option<u64>,
}

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (caller, wire): (_, api::OfferDelegation) = (call.agent()?, call.json()?);
    let part = Part {
        to: wire.to_agent.parse()?,
        permissions: wire::permissions(&wire.permissions)?,
        expires_in_ms: wire::expires_in(wire.expires_in_ms)?,
    };
    let made = offer(&app, caller, &call.path("id")?, part).await?;
    Reply::created(&shown_made(&app, &made).await?)
}

async fn offer(app: &App, caller: &AgentCaller, out_of: &DelegationId, part: Part) -> Result<Made, Failure> {
    match offer_once(app, caller, out_of, part.clone()).await {
        Err(full) if full.problem.code == ProblemCode::TooManyDelegations => {
            let Some(known) = known_by(app, out_of).await? else { return Err(full) };
            let Some(user) = users::known(app, &known.record.value.user).await? else { return Err(full) };
            if !make_room(app, &user, &caller.agent.value.agent().id).await? {
                return Err(full);
            }
            offer_once(app, caller, out_of, part).await
        }
        done => done,
    }
}

async fn offer_once(app: &App, caller: &AgentCaller, out_of: &DelegationId, part: Part) -> Result<Made, Failure> {
    let mut batch = Batch::new(app.clock.now());
    make::not_frozen(app, &mut batch).await?;
    batch.require.extend(caller.require());
    let chain = own_chain(app, caller, out_of, &mut batch).await?;
    may_be_offered(app, &chain, &part)?;
    let to = receiver(app, &chain, &part.to, &mut batch).await?;
    let id = random::delegation_id()?;
    add(app, &mut batch, (&id, caller), &chain, (part, to)).await?;
    let committed = commit(app, batch, moved).await?;
    Ok(Made { id, entry: committed.entry().map_err(Failure::internal)?.clone() })
}

/// The chain that ends with this delegation, which stands and is the caller's. Another agent's looks like none.
async fn own_chain(app: &App, caller: &AgentCaller, last: &DelegationId, batch: &mut Batch) -> Result<Chain, Failure> {
    let refused = |reason: HostReason| match reason {
        HostReason::DelegationUnknown => Failure::not_found("delegation", last),
        reason => inactive(reason),
    };
    let chain = behalf::read(app, last, batch.now, &mut batch.require).await?.map_err(refused)?;
    let agent = &caller.agent.value.agent().id;
    chain.behalf.standing(agent, batch.now, app.limits.hops_max).map_err(refused)?;
    Ok(chain)
}

fn inactive(reason: HostReason) -> Failure {
    Failure::of(ProblemCode::DelegationInactive, reason.text())
}

/// The chain has room for another hop, which is to an agent that is not in it, and is no wider than the last.
fn may_be_offered(app: &App, chain: &Chain, part: &Part) -> Result<(), Failure> {
    let hops = &chain.behalf.hops;
    if hops.len() >= app.limits.hops_max {
        return Err(Failure::of(ProblemCode::InvalidState, HostReason::ChainTooDeep.text()));
    }
    if hops.iter().any(|hop| hop.agent.id == part.to) {
        return Err(Failure::of(ProblemCode::InvalidField, HostReason::ChainLoop.text())
            .with_help("offer it to an agent that is not in the chain: `attorn delegation tree` shows all"));
    }
    limits(&part.permissions)?;
    narrower(&part.permissions, hops.last().map_or(&[], |last| &last.delegation.permissions))
}

/// The agent that it is for, which is registered for the purpose; the batch names its version.
async fn receiver(app: &App, chain: &Chain, to: &AgentId, batch: &mut Batch) -> Result<AgentRecord, Failure> {
    let found = app.store.record::<AgentRecord>(&Key::agent(to)).await?;
    let Versioned { value, version, .. } = found.ok_or_else(|| Failure::not_found("agent", to))?;
    let purpose = chain.behalf.hops.last().map(|last| &last.delegation.purpose);
    let ceiling = purpose.and_then(|purpose| value.agent().ceiling.purpose(purpose));
    if ceiling.is_none_or(|ceiling| ceiling.user != UserPresence::WithUser) {
        let purpose = purpose.map(ToString::to_string).unwrap_or_default();
        let detail = format!("agent `{to}` is not registered for the purpose `{purpose}` with a user");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    batch.require.push((Key::agent(to), Require::Version(version)));
    Ok(value)
}

async fn add(
    app: &App,
    batch: &mut Batch,
    (id, caller): (&DelegationId, &AgentCaller),
    chain: &Chain,
    (part, to): (Part, AgentRecord),
) -> Result<(), Failure> {
    let (now, hops) = (batch.now, &chain.behalf.hops);
    let Some(last) = hops.last().map(|hop| &hop.delegation) else {
        return Err(Failure::internal("a chain without delegations stands"));
    };
    let left = last.expires_at.ms_since(now);
    // What the chain was read with is what the commit names, so this is the same user.
    let user = users::known(app, &chain.behalf.user.id).await?.ok_or_else(moved)?;
    let body = DelegationBody { permissions: part.permissions, evidence: None };
    let record = DelegationRecord {
        id: id.clone(),
        user: chain.behalf.user.id.clone(),
        from_agent: Some(caller.agent.value.agent().id.clone()),
        parent: Some(last.id.clone()),
        depth: u32::try_from(hops.len()).unwrap_or(u32::MAX),
        purpose: last.purpose.clone(),
        session: last.session.clone(),
        created_at: now,
        expires_at: now.plus_ms(part.expires_in_ms.unwrap_or(left).min(left)),
        accepted_at: None,
        revoked_at: None,
        revocations: to.agent().revocations,
        user_revocations: user.record.value.revocations,
        agent_revocations: user.body.agent_revocations.get(&part.to).copied().unwrap_or(0),
        to_agent: part.to,
        sealed: users::seal(&user.key, &Key::delegation(id), &body.encode())?,
        sealed_reason: None,
    };
    make::put(batch, &user, &record, &body, EntryType::DelegationOffered)
}

/// The agent that a delegation was offered to says yes.
pub(crate) async fn accept(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (caller, id): (_, DelegationId) = (call.agent()?, call.path("id")?);
    let agent = caller.agent.value.agent();
    let Known { record: Versioned { mut value, version, .. }, .. } = offered(&app, &id, &agent.id).await?;
    if value.accepted_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("delegation `{id}` is accepted already")));
    }
    let mut batch = Batch::new(app.clock.now());
    make::not_frozen(&app, &mut batch).await?;
    let mut chain = behalf::read(&app, &id, batch.now, &mut batch.require).await?.map_err(inactive)?;
    // All has to stand but for this yes: who was suspended since it was offered accepts nothing of before.
    if let Some(last) = chain.behalf.hops.last_mut() {
        last.accepted = true;
    }
    chain.behalf.standing(&agent.id, batch.now, app.limits.hops_max).map_err(inactive)?;
    if let Some(waits) = open_offers(&value) {
        give_room(&app.store, waits, &mut batch).await?;
    }
    value.accepted_at = Some(batch.now);
    let user = veil::user(&value.user, &chain.key);
    let members = json!({ "delegation": id.as_str(), "agent": agent.id.as_str(), "user": user });
    batch.entries.push(entry::body(batch.now, EntryType::DelegationAccepted, members)?);
    batch.require.extend(caller.require());
    batch.require.push((Key::delegation(&id), Require::Version(version)));
    batch.put_record(&value);
    let committed = commit(&app, batch, moved).await?;
    let entry = committed.entry().map_err(Failure::internal)?.clone();
    Reply::ok(&shown_made(&app, &Made { id, entry }).await?)
}

/// A delegation to this agent; another's looks like none.
async fn offered(app: &App, id: &DelegationId, agent: &AgentId) -> Result<Known, Failure> {
    let known = known_by(app, id).await?.ok_or_else(|| Failure::not_found("delegation", id))?;
    if known.record.value.to_agent == *agent { Ok(known) } else { Err(Failure::not_found("delegation", id)) }
}
