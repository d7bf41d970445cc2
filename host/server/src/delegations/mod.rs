//! `/v1/delegations`: users' consent becomes delegations, agents offer parts of them to others, everybody concerned
//! sees and revokes.
//!
//! Revoking is one durable write, whatever hangs below: every decision, use and introspection reads the whole chain
//! (`decisions::behalf`), and its commit names the versions. What the permissions of a chain come to is not decided
//! here.

mod collect;
pub(crate) mod make;
pub(crate) mod offer;
pub(crate) mod revoke;
pub(crate) mod room;
mod wire;

pub(crate) use wire::{refused, shown_permission};

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::delegations as api;
use attorn_core::reason::HostReason;
use attorn_core::{AgentId, DelegationId, Permission, UserId};
use attorn_store::records::{DelegationBody, DelegationRecord};
use attorn_store::{Key, KeyKind, KeyPrefix, Versioned};

use crate::app::App;
use crate::audit::reference;
use crate::decisions::behalf;
use crate::http::call::{AgentCaller, Call, Reply};
use crate::http::failure::Failure;
use crate::providers;
use crate::registry::count;
use crate::users::kept;

/// How many delegations a tree shows.
const TREE_MAX: usize = 500;

/// A delegation and what is sealed in it.
pub(crate) struct Known {
    pub(crate) record: Versioned<DelegationRecord>,
    pub(crate) body: DelegationBody,
}

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (caller, wire): (_, api::CreateDelegation) = (call.agent()?, call.json()?);
    let token = providers::subject_token(&app, &wire.subject_token).await.map_err(wire::refused)?;
    let ask = make::Ask {
        caller,
        token: &token,
        purpose: wire.purpose.parse()?,
        permissions: wire.permissions.as_deref().map(wire::permissions).transpose()?,
        expires_in_ms: wire::expires_in(wire.expires_in_ms)?,
    };
    let made = make::delegation(&app, &ask).await?;
    Reply::created(&shown_made(&app, &made).await?)
}

/// What was delegated to the agent that calls.
pub(crate) async fn list_own(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let agent = call.agent()?.agent.value.agent().id.clone();
    let after = call.query::<DelegationId>("after")?.map(|id| Key::agent_delegation(&agent, &id));
    page(&app, &KeyPrefix::agent_delegations(&agent), after, call.limit()?).await
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (user, agent) = (call.query::<UserId>("user")?, call.query::<AgentId>("agent")?);
    if let Some(user) = &user
        && app.store.get(&Key::erasure(user)).await?.is_some()
    {
        return Err(kept::gone(&app, user).await?);
    }
    let after = call.query::<DelegationId>("after")?;
    let (prefix, after) = match (&user, &agent) {
        (Some(_), Some(_)) => {
            return Err(Failure::of(ProblemCode::InvalidQuery, "`user` or `agent`, not both"));
        }
        (Some(user), None) => (KeyPrefix::user_delegations(user), after.map(|id| Key::user_delegation(user, &id))),
        (None, Some(agent)) => (KeyPrefix::agent_delegations(agent), after.map(|id| Key::agent_delegation(agent, &id))),
        (None, None) => (KeyPrefix::kind(KeyKind::Delegation), after.map(|id| Key::delegation(&id))),
    };
    page(&app, &prefix, after, call.limit()?).await
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let known = find(&app, &call.path("id")?).await?;
    let evidence = known.body.evidence.as_ref().map(wire::evidence);
    let revoked_because = reason(&app, &known.record.value).await?;
    Reply::ok(&api::DelegationDetails { delegation: shown(&app, &known).await?, evidence, revoked_because })
}

/// Why it was revoked, if a user or an agent did, and said why.
async fn reason(app: &App, record: &DelegationRecord) -> Result<Option<String>, Failure> {
    let (Some(sealed), Some(key)) = (&record.sealed_reason, kept::key(app, &record.user).await?) else {
        return Ok(None);
    };
    crate::users::open_reason(&key, &Key::delegation(&record.id), sealed).map(Some)
}

pub(crate) async fn tree(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let known = find(&app, &call.path("id")?).await?;
    let mut left = TREE_MAX;
    Reply::ok(&Box::pin(subtree(&app, known, &mut left)).await?)
}

async fn subtree(app: &App, known: Known, left: &mut usize) -> Result<api::DelegationTree, Failure> {
    let mut tree = api::DelegationTree { delegation: shown(app, &known).await?, children: Vec::new(), more: false };
    *left = left.saturating_sub(1);
    let below = KeyPrefix::child_delegations(&known.record.value.id);
    let children = app.store.scan(&below, None, *left + 1).await?;
    tree.more = children.next.is_some();
    for id in children.items.iter().filter_map(|(key, _)| key.named_delegation()) {
        if *left == 0 {
            tree.more = true;
            break;
        }
        if let Some(child) = known_by(app, &id).await? {
            tree.children.push(Box::pin(subtree(app, child, left)).await?);
        }
    }
    Ok(tree)
}

/// A page of delegations, found by an index or all of them.
pub(crate) async fn page(app: &App, prefix: &KeyPrefix, after: Option<Key>, limit: usize) -> Result<Reply, Failure> {
    let page = app.store.scan(prefix, after.as_ref(), limit).await?;
    let mut delegations = Vec::new();
    for (key, _) in &page.items {
        let id = key.named_delegation().ok_or_else(|| Failure::internal(format_args!("{key} names no delegation")))?;
        if let Some(known) = known_by(app, &id).await? {
            delegations.push(shown(app, &known).await?);
        }
    }
    let last = page.items.last().and_then(|(key, _)| key.named_delegation());
    let next = page.next.is_some().then(|| last.map(|id| id.to_string())).flatten();
    Reply::ok(&api::DelegationList { delegations, next })
}

/// A delegation, opened; none if there is no such, or its user is nobody any more.
pub(crate) async fn known_by(app: &App, id: &DelegationId) -> Result<Option<Known>, Failure> {
    let key = Key::delegation(id);
    let Some(record) = app.store.record::<DelegationRecord>(&key).await? else { return Ok(None) };
    let Some(user) = kept::key(app, &record.value.user).await? else { return Ok(None) };
    let body = crate::users::open(&user, &key, &record.value.sealed)?;
    let body = DelegationBody::decode(&key, &body).map_err(Failure::internal)?;
    Ok(Some(Known { record, body }))
}

/// For those who may see all: that the user was erased is said.
async fn find(app: &App, id: &DelegationId) -> Result<Known, Failure> {
    if let Some(known) = known_by(app, id).await? {
        return Ok(known);
    }
    Err(match app.store.get(&Key::delegation(id)).await? {
        Some(_) => kept::erased(format!("the user of the delegation `{id}` was erased")),
        None => Failure::not_found("delegation", id),
    })
}

/// Why a decision by this delegation would be denied whatever is asked; none if it would not.
pub(crate) async fn standing(app: &App, id: &DelegationId) -> Result<Option<HostReason>, Failure> {
    let now = app.clock.now();
    let chain = match behalf::standing(app, id, &mut Vec::new()).await? {
        Ok((_, chain)) => chain,
        Err(reason) => return Ok(Some(reason)),
    };
    let Some(last) = chain.behalf.hops.last() else { return Ok(Some(HostReason::DelegationUnknown)) };
    Ok(chain.behalf.standing(&last.agent.id, now, app.limits.hops_max).err())
}

async fn shown(app: &App, known: &Known) -> Result<api::Delegation, Failure> {
    let standing = standing(app, &known.record.value.id).await?;
    Ok(wire::shown(&known.record.value, &known.body, standing))
}

/// A delegation as it stands now.
pub(crate) async fn shown_by(app: &App, id: &DelegationId) -> Result<api::Delegation, Failure> {
    shown(app, &find(app, id).await?).await
}

async fn shown_made(app: &App, made: &make::Made) -> Result<api::DelegationMade, Failure> {
    let known = find(app, &made.id).await?;
    Ok(api::DelegationMade { delegation: shown(app, &known).await?, entry: reference(&made.entry) })
}

/// The agent that calls either gave this delegation or received it.
pub(crate) fn concerns(known: &Known, caller: &AgentCaller) -> bool {
    let (record, agent) = (&known.record.value, &caller.agent.value.agent().id);
    record.to_agent == *agent || record.from_agent.as_ref() == Some(agent)
}

/// Neither too few permissions nor more than a decision's record can hold.
fn limits(permissions: &[Permission]) -> Result<(), Failure> {
    count("permissions", permissions.len(), 1, DelegationBody::PERMISSIONS_MAX)?;
    let bytes = permissions_text(permissions).iter().map(String::len).sum::<usize>();
    if bytes > DelegationBody::PERMISSIONS_BYTES_MAX {
        let max = DelegationBody::PERMISSIONS_BYTES_MAX;
        let detail = format!("the permissions have {bytes} bytes together, and {max} is the most");
        return Err(Failure::of(ProblemCode::InvalidField, detail).with_help("name fewer, with patterns: `account/*`"));
    }
    Ok(())
}

fn permissions_text(permissions: &[Permission]) -> Vec<String> {
    permissions.iter().map(|permission| format!("{} {}", permission.action, permission.resource)).collect()
}

/// What is offered is within what was delegated. A decision checks every hop anyway; this says so at once.
fn narrower(permissions: &[Permission], within: &[Permission]) -> Result<(), Failure> {
    match permissions.iter().find(|one| !within.iter().any(|wide| one.within(wide))) {
        None => Ok(()),
        Some(wider) => {
            let detail = format!("`{} {}` is not within what was delegated", wider.action, wider.resource);
            Err(Failure::of(ProblemCode::InvalidField, detail).with_help("nobody offers what they do not have"))
        }
    }
}
