//! Revocation: of a delegation with all below, of all that a user delegated, of a session. Each is one durable
//! write, however much hangs on it, because nothing below is looked for: whatever hangs on what was written is
//! found to have ended when it is next looked at.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::delegations as api;
use attorn_api::users::RevokeOfUser;
use attorn_core::{AgentId, DelegationId, SessionId, TimeMs, UserId};
use attorn_identity::UserKey;
use attorn_store::records::{SessionRecord, UserBody};
use attorn_store::{Batch, CommitError, Key, Require, Versioned};
use serde_json::{Value, json};

use super::room::{give_room, open_offers};
use super::{Known, concerns, find, known_by, shown};
use crate::app::App;
use crate::decisions::veil;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{moved, note};
use crate::users::{self, KnownUser, kept};

/// How often something is tried anew because what it rests on moved meanwhile. Revocations are not to be lost to
/// whoever is busy with what they end.
pub(crate) const ATTEMPTS_MAX: usize = 64;

/// Who revokes: what the entry says, and what it is that they revoke by.
pub(crate) enum By<'a> {
    Operator(&'a crate::http::call::OperatorCaller),
    Agent(&'a AgentId),
    User,
    Provider(&'a str),
}

impl By<'_> {
    /// Add the entry that says what they did.
    pub(crate) fn act(&self, batch: &mut Batch, kind: EntryType, mut about: Value) -> Result<(), Failure> {
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

    /// Why, and where that is kept. An operator answers for their words, which stand in the log as they are. Users and
    /// agents may write what names people: their words are kept where they can be erased, and the entry commits to
    /// them.
    fn reason<'r>(&self, key: &UserKey, words: Option<&'r str>) -> Reason<'r> {
        match self {
            Self::Operator(_) | Self::Provider(_) => Reason::InLog(words),
            Self::Agent(_) | Self::User => {
                let commitment = words.map(|words| key.commitment("reason", words.as_bytes()).to_string());
                Reason::Sealed { commitment, words }
            }
        }
    }
}

/// Why something is revoked; nobody has to say so.
enum Reason<'r> {
    /// It stands in the entry.
    InLog(Option<&'r str>),
    /// The state keeps it under the user's key.
    Sealed { commitment: Option<String>, words: Option<&'r str> },
}

impl<'r> Reason<'r> {
    /// Say it in what an entry tells.
    fn say(&self, about: &mut Value) {
        match self {
            Self::InLog(words) => about["reason"] = (*words).into(),
            Self::Sealed { commitment, .. } => about["reason_commitment"] = commitment.as_deref().into(),
        }
    }

    /// The words that the state keeps, because the log does not.
    const fn sealed(&self) -> Option<&'r str> {
        match self {
            Self::InLog(_) => None,
            Self::Sealed { words, .. } => *words,
        }
    }
}

pub(crate) async fn by_operator(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, why): (_, api::Revoke) = (call.operator()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let id: DelegationId = call.path("id")?;
    delegation(&app, &id, &By::Operator(operator), why.reason.as_deref()).await?;
    Reply::ok(&shown(&app, &find(&app, &id).await?).await?)
}

/// The agent that offered it takes it back, or the one that received it gives it back.
pub(crate) async fn by_agent(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (caller, why): (_, api::Revoke) = (call.agent()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let id: DelegationId = call.path("id")?;
    let known = known_by(&app, &id).await?.ok_or_else(|| Failure::not_found("delegation", &id))?;
    if !concerns(&known, caller) {
        return Err(Failure::not_found("delegation", &id));
    }
    delegation(&app, &id, &By::Agent(&caller.agent.value.agent().id), why.reason.as_deref()).await?;
    Reply::ok(&shown(&app, &find(&app, &id).await?).await?)
}

/// Revoke a delegation. Where it is the user's own, a token from before makes no new one for that agent.
pub(crate) async fn delegation(app: &App, id: &DelegationId, by: &By<'_>, reason: Option<&str>) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS_MAX {
        let Known { record: Versioned { mut value, version, .. }, .. } = find(app, id).await?;
        if value.revoked_at.is_some() {
            return Err(Failure::of(ProblemCode::InvalidState, format!("delegation `{id}` is revoked already")));
        }
        let mut batch = Batch::new(app.clock.now());
        let Some(user) = users::known(app, &value.user).await? else {
            return Err(kept::gone(app, &value.user).await?);
        };
        if let Some(waits) = open_offers(&value) {
            give_room(&app.store, waits, &mut batch).await?;
        }
        // It is kept for questions no longer than if it had expired now.
        batch.put.push((Key::expiry(batch.now, &Key::delegation(id)), Vec::new()));
        let seal = |words| users::seal_reason(&user.key, &Key::delegation(id), words);
        let reason = by.reason(&user.key, reason);
        (value.revoked_at, value.sealed_reason) = (Some(batch.now), reason.sealed().map(seal).transpose()?);
        let mut about = json!({ "delegation": id.as_str(), "user": veil::user(&value.user, &user.key) });
        reason.say(&mut about);
        by.act(&mut batch, EntryType::DelegationRevoked, about)?;
        if value.from_agent.is_none() {
            let mut body = user.body.clone();
            login_after(&mut body, Some(&value.to_agent), batch.now);
            put_user(&mut batch, &user, &body, user.record.value.revocations)?;
        }
        batch.require.push((Key::delegation(id), Require::Version(version)));
        batch.put_record(&value);
        if happened(app, batch).await? {
            return Ok(());
        }
    }
    Err(moved())
}

pub(crate) async fn user_by_operator(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, RevokeOfUser) = (call.operator()?, call.json()?);
    let id: UserId = call.path("id")?;
    of_user(&app, &id, wire, &By::Operator(operator)).await?;
    let Some(user) = users::known(&app, &id).await? else { return Err(kept::gone(&app, &id).await?) };
    Reply::ok(&users::routes::shown(&app, &user).await?)
}

/// Revoke all that a user delegated, or all that they delegated to one agent, at whatever depth.
pub(crate) async fn of_user(app: &App, id: &UserId, wire: RevokeOfUser, by: &By<'_>) -> Result<(), Failure> {
    note("reason", wire.reason.as_deref())?;
    let agent = wire.agent.map(|agent| agent.parse::<AgentId>()).transpose()?;
    if let Some(agent) = &agent
        && app.store.get(&Key::agent(agent)).await?.is_none()
    {
        return Err(Failure::not_found("agent", agent));
    }
    for _ in 0..ATTEMPTS_MAX {
        let Some(mut user) = users::known(app, id).await? else { return Err(kept::gone(app, id).await?) };
        let (mut batch, reason) = (Batch::new(app.clock.now()), by.reason(&user.key, wire.reason.as_deref()));
        if let Some(words) = reason.sealed() {
            user.body.revoked_because = Some(words.to_owned());
        }
        revoke_all(&mut batch, &user, agent.as_ref())?;
        let agent = agent.as_ref().map(AgentId::as_str);
        let mut about = json!({ "user": veil::user(id, &user.key), "agent": agent });
        reason.say(&mut about);
        by.act(&mut batch, EntryType::UserDelegationsRevoked, about)?;
        if happened(app, batch).await? {
            return Ok(());
        }
    }
    Err(moved())
}

/// Commit; false if something moved meanwhile, and it has to be done anew.
pub(crate) async fn happened(app: &App, batch: Batch) -> Result<bool, Failure> {
    match app.store.commit(batch).await {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict(_)) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// Put into the batch that all that the user delegated, or all that they delegated to one agent, has ended, and
/// that only a later login makes anything new.
pub(crate) fn revoke_all(batch: &mut Batch, user: &KnownUser, agent: Option<&AgentId>) -> Result<(), Failure> {
    let (mut body, mut revocations) = (user.body.clone(), user.record.value.revocations);
    login_after(&mut body, agent, batch.now);
    let known = |agent: &&AgentId| {
        body.agent_revocations.len() < UserBody::AGENTS_MAX || body.agent_revocations.contains_key(*agent)
    };
    if let Some(agent) = agent.filter(known) {
        *body.agent_revocations.entry(agent.clone()).or_default() += 1;
    } else {
        // Nobody keeps a list without end; then all ends rather than too little.
        revocations += 1;
        body.agent_revocations.clear();
    }
    put_user(batch, user, &body, revocations)
}

/// From now on a token counts only if the user authenticated later: for one agent, or for all.
fn login_after(body: &mut UserBody, agent: Option<&AgentId>, now: TimeMs) {
    let room = body.login_after_for.len() < UserBody::AGENTS_MAX;
    if let Some(agent) = agent.filter(|agent| room || body.login_after_for.contains_key(*agent)) {
        body.login_after_for.insert(agent.clone(), now);
    } else {
        body.login_after = Some(now);
        body.login_after_for.clear();
    }
}

pub(crate) fn put_user(batch: &mut Batch, user: &KnownUser, body: &UserBody, revocations: u64) -> Result<(), Failure> {
    let id = &user.record.value.id;
    batch.require.push((Key::user(id), Require::Version(user.record.version)));
    batch.put_record(&user.with_body(body, revocations)?);
    Ok(())
}

pub(crate) async fn session_by_operator(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, why): (_, api::Revoke) = (call.operator()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let id: SessionId = call.path("id")?;
    let ended = match session(&app, &id, &By::Operator(operator), why.reason.as_deref()).await? {
        Ended::Now(ended) => ended,
        Ended::Before => {
            return Err(Failure::of(ProblemCode::InvalidState, format!("session `{id}` has ended already")));
        }
        Ended::WithItsUser => return Err(kept::erased(format!("the user of the session `{id}` was erased"))),
        Ended::NotThere => return Err(Failure::not_found("session", &id)),
    };
    Reply::ok(&users::routes::shown_session(&ended))
}

/// End a session: all that was delegated in it ends with it. Where the host had opened it, the token that did so
/// opens no other.
pub(crate) async fn session(app: &App, id: &SessionId, by: &By<'_>, reason: Option<&str>) -> Result<Ended, Failure> {
    for _ in 0..ATTEMPTS_MAX {
        let key = Key::session(id);
        let Some(found) = app.store.record::<SessionRecord>(&key).await? else { return Ok(Ended::NotThere) };
        if found.value.ended_at.is_some() {
            return Ok(Ended::Before);
        }
        let Some(user) = users::known(app, &found.value.user).await? else { return Ok(Ended::WithItsUser) };
        let mut batch = Batch::new(app.clock.now());
        let ended = SessionRecord { ended_at: Some(batch.now), ..found.value };
        if ended.sealed_name.is_none() {
            let body = UserBody { unnamed_login_after: Some(batch.now), ..user.body.clone() };
            put_user(&mut batch, &user, &body, user.record.value.revocations)?;
        }
        let mut about = json!({
            "session": veil::session(&ended.id, &user.key),
            "user": veil::user(&ended.user, &user.key),
        });
        by.reason(&user.key, reason).say(&mut about);
        by.act(&mut batch, EntryType::SessionEnded, about)?;
        batch.require.push((key, Require::Version(found.version)));
        batch.put_record(&ended);
        if happened(app, batch).await? {
            return Ok(Ended::Now(ended));
        }
    }
    Err(moved())
}

/// What came of ending a session.
pub(crate) enum Ended {
    Now(SessionRecord),
    Before,
    /// When its user was erased.
    WithItsUser,
    NotThere,
}
