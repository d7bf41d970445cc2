//! Revocation: of a delegation with all below, of all that a user delegated, of a session. Each is one durable
//! write, however much hangs on it, because nothing below is looked for: whatever hangs on what was written is
//! found to have ended when it is next looked at.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::delegations as api;
use attorn_api::users::RevokeOfUser;
use attorn_core::{AgentId, DelegationId, SessionId, TimeMs, UserId};
use attorn_store::records::{SessionRecord, UserBody};
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::{Value, json};

use super::{Known, concerns, find, shown};
use crate::app::App;
use crate::decisions::veil;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note};
use crate::users::{self, KnownUser};

/// Who revokes: what the entry says, and what it is that they revoke by.
pub(crate) enum By<'a> {
    Operator(&'a crate::http::call::OperatorCaller),
    Agent(&'a AgentId),
    User,
    Provider(&'a str),
}

impl By<'_> {
    /// Add the entry that says what they did.
    pub(crate) fn act(&self, batch: &mut Batch, kind: &'static str, mut about: Value) -> Result<(), Failure> {
        let (by, name) = match self {
            Self::Operator(operator) => return entry::act(batch, operator, kind, about),
            Self::Agent(agent) => ("agent", Some(agent.as_str())),
            Self::User => ("user", None),
            Self::Provider(provider) => ("provider", Some(*provider)),
        };
        about["by"] = json!({ by: name });
        batch.entries.push(entry::body(batch.now, kind, about)?);
        Ok(())
    }
}

pub(crate) async fn by_operator(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, why): (_, api::Revoke) = (call.operator()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let known = find(&app, &call.path("id")?).await?;
    delegation(&app, &known, &By::Operator(operator), why.reason).await?;
    Reply::ok(&shown(&app, &find(&app, &known.record.value.id).await?).await?)
}

/// The agent that gave it takes it back, or the one that received it gives it back.
pub(crate) async fn by_agent(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (caller, why): (_, api::Revoke) = (call.agent()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let id: DelegationId = call.path("id")?;
    let known = find(&app, &id).await?;
    if !concerns(&known, caller) {
        return Err(Failure::not_found("delegation", &id));
    }
    delegation(&app, &known, &By::Agent(&caller.agent.value.agent().id), why.reason).await?;
    Reply::ok(&shown(&app, &find(&app, &id).await?).await?)
}

/// Revoke a delegation. Where it is the user's own, a token from before makes no new one for that agent.
pub(crate) async fn delegation(app: &App, known: &Known, by: &By<'_>, reason: Option<String>) -> Result<(), Failure> {
    let Versioned { mut value, version, .. } = known.record.clone();
    if value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("delegation `{}` is revoked already", value.id)));
    }
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "delegation": value.id.as_str(), "reason": reason });
    by.act(&mut batch, "delegation_revoked", about)?;
    if value.from_agent.is_none() {
        let user = users::known(app, &value.user).await?.ok_or_else(moved)?;
        let mut body = user.body.clone();
        login_after(&mut body, Some(&value.to_agent), batch.now);
        put_user(&mut batch, &user, &body, user.record.value.revocations)?;
    }
    batch.require.push((Key::delegation(&value.id), Require::Version(version)));
    batch.put_record(&value);
    commit(app, batch, moved).await.map(drop)
}

pub(crate) async fn user_by_operator(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, RevokeOfUser) = (call.operator()?, call.json()?);
    let id: UserId = call.path("id")?;
    of_user(&app, &id, wire, &By::Operator(operator)).await?;
    let user = users::known(&app, &id).await?.ok_or_else(|| Failure::not_found("user", &id))?;
    Reply::ok(&users::handlers::shown(&app, &user).await?)
}

/// Revoke all that a user delegated, or all that they delegated to one agent.
pub(crate) async fn of_user(app: &App, id: &UserId, wire: RevokeOfUser, by: &By<'_>) -> Result<(), Failure> {
    note("reason", wire.reason.as_deref())?;
    let agent = wire.agent.map(|agent| agent.parse::<AgentId>()).transpose()?;
    let user = users::known(app, id).await?.ok_or_else(|| Failure::not_found("user", id))?;
    let mut batch = Batch::new(app.clock.now());
    revoke_all(&mut batch, &user, agent.as_ref())?;
    let about = json!({
        "user": veil::user(id, &user.key),
        "agent": agent.as_ref().map(AgentId::as_str),
        "reason": wire.reason,
    });
    by.act(&mut batch, "user_delegations_revoked", about)?;
    commit(app, batch, moved).await.map(drop)
}

/// Put into the batch that all that the user delegated, or all that they delegated to one agent, has ended, and
/// that only a later login makes anything new.
pub(crate) fn revoke_all(batch: &mut Batch, user: &KnownUser, agent: Option<&AgentId>) -> Result<(), Failure> {
    let (mut body, mut revocations) = (user.body.clone(), user.record.value.revocations);
    login_after(&mut body, agent, batch.now);
    match agent {
        Some(agent) if body.revoked_for.len() < UserBody::AGENTS_MAX || body.revoked_for.contains_key(agent) => {
            body.revoked_for.insert(agent.clone(), batch.now);
        }
        // Nobody keeps a list without end; then all ends rather than too little.
        _ => {
            revocations += 1;
            body.revoked_for.clear();
        }
    }
    put_user(batch, user, &body, revocations)
}

/// From now on a token counts only if the user authenticated later: for one agent, or for all.
fn login_after(body: &mut UserBody, agent: Option<&AgentId>, now: TimeMs) {
    let room = body.login_after_for.len() < UserBody::AGENTS_MAX;
    match agent.filter(|agent| room || body.login_after_for.contains_key(*agent)) {
        Some(agent) => drop(body.login_after_for.insert(agent.clone(), now)),
        None => {
            body.login_after = Some(now);
            body.login_after_for.clear();
        }
    }
}

fn put_user(batch: &mut Batch, user: &KnownUser, body: &UserBody, revocations: u64) -> Result<(), Failure> {
    let id = &user.record.value.id;
    batch.require.push((Key::user(id), Require::Version(user.record.version)));
    batch.put_record(&user.with_body(body, revocations)?);
    Ok(())
}

pub(crate) async fn session_by_operator(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, why): (_, api::Revoke) = (call.operator()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let id: SessionId = call.path("id")?;
    let found = app.store.record::<SessionRecord>(&Key::session(&id)).await?;
    let found = found.ok_or_else(|| Failure::not_found("session", &id))?;
    if found.value.ended_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("session `{id}` has ended already")));
    }
    let ended = session(&app, found, &By::Operator(operator), why.reason).await?;
    Reply::ok(&users::handlers::shown_session(&ended))
}

/// End a session: all that was delegated in it ends with it.
pub(crate) async fn session(
    app: &App,
    found: Versioned<SessionRecord>,
    by: &By<'_>,
    reason: Option<String>,
) -> Result<SessionRecord, Failure> {
    let key = app.user_keys.of(&found.value.user).await?.ok_or_else(moved)?;
    let mut batch = Batch::new(app.clock.now());
    let ended = SessionRecord { ended_at: Some(batch.now), ..found.value };
    let about = json!({
        "session": veil::session(&ended.id, Some(&key)),
        "user": veil::user(&ended.user, &key),
        "reason": reason,
    });
    by.act(&mut batch, "session_ended", about)?;
    batch.require.push((Key::session(&ended.id), Require::Version(found.version)));
    batch.put_record(&ended);
    commit(app, batch, moved).await?;
    Ok(ended)
}
