//! `/v1/agents`: registration, states, keys.

pub(crate) mod identities;
pub(crate) mod wire;

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::agents::{Agent, AgentList, ChangeCeiling, ChangeState, RegisterAgent, RegisterKey};
use attorn_api::audit::EntryType;
use attorn_core::{AgentId, AgentState, KeyThumbprint, OperatorId};
use attorn_store::records::{AgentRecord, AgentRecordError, KeyOwner, KeyOwnerRecord, StateChange};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use super::{commit, moved, note, page};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::queries::uses;

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let operator = call.operator()?;
    let wire: RegisterAgent = call.json()?;
    let mut batch = Batch::new(app.clock.now());
    let (agent, jwks) = wire::agent(&wire, batch.now)?;
    let identities = agent.identities.clone();
    let (id, thumbprints) = (agent.id.clone(), agent.keys.iter().map(|key| key.thumbprint.clone()).collect::<Vec<_>>());
    let registered = StateChange { state: AgentState::Active, at: batch.now, by: by(operator)? };
    let record = AgentRecord::new(agent, jwks, vec![registered], batch.now).map_err(|error| refused(&error))?;
    entry::act(&mut batch, operator, EntryType::AgentRegistered, wire::in_entry(&record))?;
    batch.require.push((Key::agent(&id), Require::Absent));
    batch.put_record(&record);
    for thumbprint in thumbprints {
        own_key(&mut batch, thumbprint, &id, by(operator)?);
    }
    identities::own(&app, &mut batch, &identities, (&id, by(operator)?)).await?;
    commit_new(&app, batch, &id).await?;
    Reply::created(&wire::shown(&record))
}

/// Say what is taken: the id, or one of the keys.
async fn commit_new(app: &App, batch: Batch, id: &AgentId) -> Result<(), Failure> {
    let exists = app.store.record::<AgentRecord>(&Key::agent(id)).await?.is_some();
    let taken = || {
        if exists {
            Failure::of(ProblemCode::AlreadyExists, format!("agent `{id}` exists already; ids are never used again"))
        } else {
            key_taken()
        }
    };
    commit(app, batch, taken).await.map(drop)
}

fn key_taken() -> Failure {
    Failure::of(ProblemCode::KeyTaken, "a key is registered already, for this or another holder")
        .with_help("every agent and resource server has keys of its own; make a new one")
}

fn own_key(batch: &mut Batch, thumbprint: KeyThumbprint, id: &AgentId, registrar: OperatorId) {
    batch.require.push((Key::key_owner(&thumbprint), Require::Absent));
    batch.put_record(&KeyOwnerRecord { thumbprint, owner: KeyOwner::Agent(id.clone()), registrar: Some(registrar) });
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<AgentId>("after")?.map(|id| Key::agent(&id));
    let (records, more) = page::<AgentRecord>(&app, KeyKind::Agent, after, call.limit()?).await?;
    let agents: Vec<_> = records.iter().map(wire::shown).collect();
    let next = more.then(|| agents.last().map(|agent| agent.id.clone())).flatten();
    Reply::ok(&AgentList { agents, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let record = find(&app, &call.path("id")?).await?.value;
    let uses = uses::of(&app, record.agent()).await?;
    Reply::ok(&Agent { uses, ..wire::shown(&record) })
}

pub(crate) async fn suspend(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    change_state(&app, &call, AgentState::Suspended, EntryType::AgentSuspended).await
}

pub(crate) async fn resume(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    change_state(&app, &call, AgentState::Active, EntryType::AgentResumed).await
}

pub(crate) async fn retire(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    change_state(&app, &call, AgentState::Retired, EntryType::AgentRetired).await
}

/// One durable write: after its acknowledgement no allow of this agent commits, because every
/// decision's commit names the version of the agent's record.
async fn change_state(app: &App, call: &Call, state: AgentState, kind: EntryType) -> Result<Reply, Failure> {
    let (operator, why, id): (_, ChangeState, AgentId) = (call.operator()?, call.json()?, call.path("id")?);
    note("reason", why.reason.as_deref())?;
    let Versioned { mut value, version, .. } = find(app, &id).await?;
    if value.agent().state == state {
        let detail = format!("agent `{id}` is {} already", wire::state_name(state));
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    let now = app.clock.now();
    value.change_state(StateChange { state, at: now, by: by(operator)? }).map_err(|error| refused(&error))?;
    let about = json!({ "id": id.as_str(), "reason": why.reason });
    replace(app, operator, (kind, about), &value, version).await?;
    Reply::ok(&wire::shown(&value))
}

/// Say anew what the agent may do at the very most. One durable write, as with its state: what is beyond the new
/// ceiling is denied from then on, also by grants and delegations of before.
pub(crate) async fn change_ceiling(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire, id): (_, ChangeCeiling, AgentId) = (call.operator()?, call.json()?, call.path("id")?);
    note("reason", wire.reason.as_deref())?;
    let Versioned { value, version, .. } = find(&app, &id).await?;
    let mut agent = value.agent().clone();
    if agent.state == AgentState::Retired {
        return Err(refused(&AgentRecordError::Retired));
    }
    agent.ceiling = wire::ceiling(&wire.ceiling)?;
    let record = AgentRecord::new(agent, value.jwks().clone(), value.history().to_vec(), value.created_at())
        .map_err(|error| refused(&error))?;
    let about = json!({ "id": id.as_str(), "ceiling": wire.ceiling, "reason": wire.reason });
    replace(&app, operator, (EntryType::AgentCeilingChanged, about), &record, version).await?;
    Reply::ok(&wire::shown(&record))
}

pub(crate) async fn add_key(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire, id): (_, RegisterKey, AgentId) = (call.operator()?, call.json()?, call.path("id")?);
    let Versioned { value, version, .. } = find(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    let (mut agent, mut jwks) = (value.agent().clone(), value.jwks().clone());
    if agent.state == AgentState::Retired {
        return Err(refused(&AgentRecordError::Retired));
    }
    let (key, jwk) = wire::key(&wire, batch.now)?;
    let about = json!({ "id": id.as_str(), "thumbprint": key.thumbprint.as_str(), "instance": key.instance.as_str(),
        "expires_at_ms": key.expires_at.0 });
    own_key(&mut batch, key.thumbprint.clone(), &id, by(operator)?);
    jwks.insert(key.thumbprint.clone(), jwk);
    agent.keys.push(key);
    wire::check_keys(&agent.keys, 1)?;
    let record =
        AgentRecord::new(agent, jwks, value.history().to_vec(), value.created_at()).map_err(|error| refused(&error))?;
    entry::act(&mut batch, operator, EntryType::AgentKeyAdded, about)?;
    batch.require.push((Key::agent(&id), Require::Version(version)));
    batch.put_record(&record);
    commit(&app, batch, key_taken).await?;
    Reply::ok(&wire::shown(&record))
}

/// The key is forgotten as the agent's and stays taken, so nobody can register it again.
pub(crate) async fn revoke_key(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, id): (_, AgentId) = (call.operator()?, call.path("id")?);
    let thumbprint: KeyThumbprint = call.path("thumbprint")?;
    let Versioned { value, version, .. } = find(&app, &id).await?;
    let (mut agent, mut jwks) = (value.agent().clone(), value.jwks().clone());
    if jwks.remove(&thumbprint).is_none() {
        return Err(Failure::not_found("key", &thumbprint));
    }
    agent.keys.retain(|key| key.thumbprint != thumbprint);
    let record =
        AgentRecord::new(agent, jwks, value.history().to_vec(), value.created_at()).map_err(|error| refused(&error))?;
    let about = json!({ "id": id.as_str(), "thumbprint": thumbprint.as_str() });
    replace(&app, operator, (EntryType::AgentKeyRevoked, about), &record, version).await?;
    Reply::ok(&wire::shown(&record))
}

async fn find(app: &App, id: &AgentId) -> Result<Versioned<AgentRecord>, Failure> {
    app.store.record(&Key::agent(id)).await?.ok_or_else(|| Failure::not_found("agent", id))
}

async fn replace(
    app: &App,
    operator: &OperatorCaller,
    (kind, about): (EntryType, serde_json::Value),
    record: &AgentRecord,
    version: u64,
) -> Result<(), Failure> {
    let mut batch = Batch::new(app.clock.now());
    entry::act(&mut batch, operator, kind, about)?;
    batch.require.push((Key::agent(&record.agent().id), Require::Version(version)));
    batch.put_record(record);
    commit(app, batch, moved).await.map(drop)
}

fn by(operator: &OperatorCaller) -> Result<OperatorId, Failure> {
    operator.id.clone().ok_or_else(|| Failure::internal("the bootstrap token reached a route of registrars"))
}

fn refused(error: &AgentRecordError) -> Failure {
    let code = match error {
        AgentRecordError::Retired => ProblemCode::InvalidState,
        _ => ProblemCode::InvalidField,
    };
    let failure = Failure::of(code, error.to_string());
    match error {
        AgentRecordError::Retired => failure.with_help(
            "that is for ever: register it anew under another id (`attorn agent register`), with a key of its own",
        ),
        _ => failure,
    }
}
