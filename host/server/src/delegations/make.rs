//! A user's consent becomes a delegation: from what a provider's token says to one recorded batch.
//!
//! The token was verified before, by `providers`. It is kept nowhere; what is kept is sealed under the user's key.

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_core::reason::HostReason;
use attorn_core::{
    Agent, AgentState, Consent, DelegationId, Digest, KeyBinding, Permission, Purpose, SessionId, TimeMs, UserPresence,
};
use attorn_identity::proof::CLOCK_SKEW_MS_MAX;
use attorn_log::EntryRef;
use attorn_store::records::{
    DelegationBody, DelegationRecord, Evidence, ExchangeRecord, SessionNameRecord, SessionRecord,
};
use attorn_store::{Add, Batch, Key, Require, Versioned};
use serde_json::json;

use super::collect::make_room;
use super::room::{OPEN_OFFERS_MAX, open_offers};
use super::{limits, permissions_text};
use crate::app::App;
use crate::clock::Clock;
use crate::decisions::gather::frozen;
use crate::decisions::veil;
use crate::entry;
use crate::http::call::AgentCaller;
use crate::http::failure::Failure;
use crate::providers::{Confirmation, SubjectToken};
use crate::random;
use crate::registry::moved;
use crate::users::{self, KnownUser, names, person, sessions};

/// How often it is tried anew because something changed meanwhile.
const ATTEMPTS_MAX: usize = 4;

const SUSPENDED_SINCE: &str = "the token was issued before the agent was suspended, or less than 5 s after";

/// What an agent asks for with a user's token.
pub(crate) struct Ask<'a> {
    pub(crate) caller: &'a AgentCaller,
    pub(crate) token: &'a SubjectToken,
    pub(crate) purpose: Purpose,
    /// What of the consent; all of it if it is not said.
    pub(crate) permissions: Option<Vec<Permission>>,
    pub(crate) expires_in_ms: Option<u64>,
}

/// A delegation that is recorded.
pub(crate) struct Made {
    pub(crate) id: DelegationId,
    pub(crate) entry: EntryRef,
}

/// Make the delegation, or find the one that was made of the same token for the same.
pub(crate) async fn delegation(app: &App, ask: &Ask<'_>) -> Result<Made, Failure> {
    let agent = ask.caller.agent.value.agent();
    may_exchange(&app.clock, agent, ask)?;
    let permissions = permissions(ask)?;
    let exchange = exchange_digest(ask.token, &ask.purpose, &permissions, ask.expires_in_ms);
    let mut looked_for_room = false;
    for _ in 0..ATTEMPTS_MAX {
        if let Some(found) = app.store.record::<ExchangeRecord>(&Key::exchange(&exchange)).await? {
            return again(app, found).await;
        }
        let mut batch = Batch::new(app.clock.now());
        batch.require.push((Key::exchange(&exchange), Require::Absent));
        not_frozen(app, &mut batch).await?;
        let provider = &ask.token.said.provider;
        batch.require.extend(ask.caller.require());
        batch.require.push((Key::provider(&provider.value.id), Require::Version(provider.version)));
        let user = person::of_token(app, ask.token, &mut batch).await?;
        signed_in_since(&app.clock, &user, agent, ask.token)?;
        let session = session(app, &user, ask.token, &mut batch).await?;
        let id = random::delegation_id()?;
        add(&mut batch, ask, &user, (&id, &session), &permissions)?;
        batch.put_record(&ExchangeRecord { digest: exchange, delegation: id.clone() });
        let until = batch.now.plus_ms(provider.value.delegation_ms_max).max(ask.token.said.expires_at);
        batch.put.push((Key::expiry(until, &Key::exchange(&exchange)), Vec::new()));
        match user.commit(app, batch).await {
            Ok(None) => {}
            Ok(Some(committed)) => {
                let entry = committed.entry().map_err(Failure::internal)?.clone();
                return Ok(Made { id, entry });
            }
            Err(full) if !looked_for_room && full.problem.code == ProblemCode::TooManyDelegations => {
                looked_for_room = true;
                if !make_room(app, &user, &agent.id).await? {
                    return Err(full);
                }
            }
            Err(other) => return Err(other),
        }
    }
    Err(moved())
}

/// Nothing is delegated while everything is denied; the batch names that it was not.
pub(super) async fn not_frozen(app: &App, batch: &mut Batch) -> Result<(), Failure> {
    if frozen(app, &mut batch.require).await? {
        return Err(Failure::of(ProblemCode::Frozen, HostReason::Frozen.text()));
    }
    Ok(())
}

/// The token names this agent, is bound to its key if to any, and was issued after the agent was suspended last and
/// after a step of the clock was accepted last.
fn may_exchange(clock: &Clock, agent: &Agent, ask: &Ask<'_>) -> Result<(), Failure> {
    let refused = |why: &str| Failure::of(ProblemCode::SubjectTokenRefused, why);
    if ask.token.agent != agent.id {
        return Err(refused("the token names another agent").with_help("every agent exchanges tokens of its own"));
    }
    let bound = match &ask.token.said.confirmation {
        None => true,
        Some(Confirmation::Key(key)) => ask.caller.binding() == KeyBinding::Jkt && *key == ask.caller.thumbprint,
        Some(Confirmation::Certificate(digest)) => {
            let digest = data_encoding::BASE64URL_NOPAD.encode(digest.as_bytes());
            ask.caller.binding() == KeyBinding::X5tS256 && digest == ask.caller.thumbprint.as_str()
        }
    };
    if !bound {
        return Err(refused("the token is bound to another key or certificate than the one that was shown"));
    }
    if agent.state != AgentState::Active {
        return Err(Failure::of(ProblemCode::InvalidState, "the agent is not active"));
    }
    not_of_another_time(clock, ask.token.said.issued_at)?;
    let ended = ask
        .caller
        .agent
        .value
        .history()
        .iter()
        .filter(|change| change.state != AgentState::Active)
        .map(|change| clock.remembered(change.at));
    if ended.max().is_some_and(|at| ask.token.said.issued_at <= clearly_after(at)) {
        return Err(Failure::of(ProblemCode::LoginNeeded, SUSPENDED_SINCE)
            .with_help("get a new token: the user signs in again, with `prompt=login` or `max_age=0`"));
    }
    let ceiling = agent.ceiling.purpose(&ask.purpose).filter(|ceiling| ceiling.user == UserPresence::WithUser);
    if ceiling.is_none() {
        let detail = format!("the agent is not registered for the purpose `{}` with a user", ask.purpose);
        return Err(Failure::of(ProblemCode::ConsentMissing, detail)
            .with_help("a registrar says what an agent may do, for which purposes"));
    }
    Ok(())
}

/// Nobody can say of a token from before the server's time was changed what was exchanged for it, and what of that has
/// ended.
fn not_of_another_time(clock: &Clock, issued_at: TimeMs) -> Result<(), Failure> {
    if clock.tokens_after().is_some_and(|after| issued_at <= clearly_after(after)) {
        return Err(Failure::of(ProblemCode::LoginNeeded, "the token is from before the server's time was changed")
            .with_help("get a new token"));
    }
    Ok(())
}

/// What is delegated: what the user consented to for this purpose, or a part of it.
fn permissions(ask: &Ask<'_>) -> Result<Vec<Permission>, Failure> {
    let missing = |detail: String| {
        Failure::of(ProblemCode::ConsentMissing, detail)
            .with_help("a registrar sees what a token comes to with `attorn provider check`, and can map what does not")
    };
    let consented = ask.token.consented.iter().find(|consent| consent.purpose == ask.purpose);
    let consented = consented.map_or(&[][..], |consent| &consent.permissions);
    if consented.is_empty() {
        return Err(missing(format!("the user consented to nothing for the purpose `{}`", ask.purpose)));
    }
    let permissions = match &ask.permissions {
        None => consented.to_vec(),
        Some(asked) => {
            if let Some(wider) = asked.iter().find(|one| !consented.iter().any(|consent| one.within(consent))) {
                return Err(missing(format!("the user did not consent to `{} {}`", wider.action, wider.resource)));
            }
            asked.clone()
        }
    };
    limits(&permissions)?;
    Ok(permissions)
}

/// Whatever a token could be exchanged for twice is exchanged once: this names it.
fn exchange_digest(
    token: &SubjectToken,
    purpose: &Purpose,
    permissions: &[Permission],
    expires_in_ms: Option<u64>,
) -> Digest {
    let whole = json!([
        token.said.token_digest.to_string(),
        // Whoever brings it is the agent that it names.
        token.agent.as_str(),
        purpose.as_str(),
        permissions_text(permissions),
        expires_in_ms,
    ]);
    Digest::from_bytes(blake3::derive_key("attorn exchange v1", whole.to_string().as_bytes()))
}

/// The delegation that was made of this token for all of what it consents to for a purpose, if one was.
pub(crate) async fn exchanged(
    app: &App,
    token: &SubjectToken,
    consent: &Consent,
) -> Result<Option<DelegationId>, Failure> {
    let digest = exchange_digest(token, &consent.purpose, &consent.permissions, None);
    let found = app.store.record::<ExchangeRecord>(&Key::exchange(&digest)).await?;
    Ok(found.map(|found| found.value.delegation))
}

/// The same token for the same: the delegation of the first time, if it stands. Nothing that was revoked comes
/// back so.
async fn again(app: &App, found: Versioned<ExchangeRecord>) -> Result<Made, Failure> {
    let id = found.value.delegation;
    let standing = super::standing(app, &id).await?;
    if let Some(reason) = standing {
        let detail = format!("the token was exchanged before, and that delegation has ended: {}", reason.text());
        return Err(Failure::of(ProblemCode::DelegationInactive, detail).with_help("the user has to sign in again"));
    }
    let first = app.store.record::<DelegationRecord>(&Key::delegation(&id)).await?;
    let first = first.ok_or_else(|| Failure::not_found("delegation", &id))?;
    Ok(Made { id, entry: app.store.entry_ref(first.version, first.entries.start) })
}

/// A time of the provider's that is later than this one of ours, whatever their clocks differ by.
fn clearly_after(at: TimeMs) -> TimeMs {
    at.plus_ms(CLOCK_SKEW_MS_MAX)
}

/// After a user has revoked or logged out, only a later login makes anything new.
fn signed_in_since(clock: &Clock, user: &KnownUser, agent: &Agent, token: &SubjectToken) -> Result<(), Failure> {
    let body = &user.body;
    let unnamed = body.unnamed_login_after.filter(|_| token.said.session.is_none());
    let all = [body.login_after, body.login_after_for.get(&agent.id).copied(), unnamed];
    let after = all.into_iter().flatten().map(|at| clock.remembered(at)).max();
    let Some(after) = after else { return Ok(()) };
    let (detail, help) = match token.said.auth_time {
        Some(at) if at > clearly_after(after) => return Ok(()),
        Some(_) => (
            "the user revoked what they had delegated, or logged out, and has not signed in since",
            format!(
                "get a token whose `auth_time` is later, by more than {} s: the user signs in again, with \
                 `prompt=login` or `max_age=0` in the request",
                CLOCK_SKEW_MS_MAX / 1000
            ),
        ),
        None => (
            "the user revoked what they had delegated, or logged out, and the token has no `auth_time`, so nobody can \
             tell whether they have signed in since",
            "the provider has to put `auth_time` into access tokens; then the user signs in again, with \
             `prompt=login` or `max_age=0` in the request"
                .to_owned(),
        ),
    };
    Err(Failure::of(ProblemCode::LoginNeeded, detail).with_help(help))
}

/// The session: the provider's, found or opened, or one of our own.
async fn session(app: &App, user: &KnownUser, token: &SubjectToken, batch: &mut Batch) -> Result<SessionId, Failure> {
    let user_id = &user.record.value.id;
    let new = SessionRecord {
        id: random::session_id()?,
        user: user_id.clone(),
        opened_at: batch.now,
        ended_at: None,
        sealed_name: None,
        unnamed_revocations: user.body.unnamed_revocations,
    };
    let Some(sid) = &token.said.session else {
        sessions::open(batch, &new, None);
        return Ok(new.id);
    };
    if let Some(id) = names::find_session(app, &user.body.issuer, sid).await? {
        let key = Key::session(&id);
        // A name without a session is one that ended before anything was delegated in it.
        let found = app.store.record::<SessionRecord>(&key).await?;
        let open = found.filter(|found| found.value.ended_at.is_none() && found.value.user == *user_id);
        let found = open.ok_or_else(|| {
            let detail = "the session that the token belongs to has ended, or is another user's";
            Failure::of(ProblemCode::LoginNeeded, detail).with_help("the user has to sign in again")
        })?;
        batch.require.push((key, Require::Version(found.version)));
        return Ok(id);
    }
    let name = names::session_name(app, &user.body.issuer, sid);
    batch.require.push((Key::session_name(&name), Require::Absent));
    let sealed = users::seal(&user.key, &Key::session(&new.id), sid.as_bytes())?;
    let new = SessionRecord { sealed_name: Some(sealed), ..new };
    sessions::open(batch, &new, Some(&SessionNameRecord { name, session: new.id.clone() }));
    Ok(new.id)
}

fn add(
    batch: &mut Batch,
    ask: &Ask<'_>,
    user: &KnownUser,
    (id, session): (&DelegationId, &SessionId),
    permissions: &[Permission],
) -> Result<(), Failure> {
    let (agent, token, now) = (ask.caller.agent.value.agent(), ask.token, batch.now);
    let most = token.said.provider.value.delegation_ms_max;
    let consented = token.consented.iter().find(|consent| consent.purpose == ask.purpose);
    let body = DelegationBody {
        permissions: permissions.to_vec(),
        evidence: Some(Evidence {
            provider: token.said.provider.value.id.clone(),
            token_id: token.said.token_id.clone(),
            token_digest: token.said.token_digest,
            issued_at: token.said.issued_at,
            auth_time: token.said.auth_time,
            acr: token.said.acr.clone(),
            consented: consented.map(|consent| consent.permissions.clone()).unwrap_or_default(),
        }),
    };
    let record = DelegationRecord {
        id: id.clone(),
        user: user.record.value.id.clone(),
        from_agent: None,
        parent: None,
        depth: 0,
        to_agent: agent.id.clone(),
        purpose: ask.purpose.clone(),
        session: session.clone(),
        created_at: now,
        expires_at: now.plus_ms(ask.expires_in_ms.unwrap_or(most).min(most)),
        // The agent asked for it itself.
        accepted_at: Some(now),
        revoked_at: None,
        revocations: agent.revocations,
        user_revocations: user.record.value.revocations,
        agent_revocations: user.body.agent_revocations.get(&agent.id).copied().unwrap_or(0),
        sealed: users::seal(&user.key, &Key::delegation(id), &body.encode())?,
        sealed_reason: None,
    };
    put(batch, user, &record, &body, EntryType::DelegationMade)
}

/// How many delegations of one user's that one agent made are kept: those that it brought the user's consent for, and
/// those that it offered out of any that it had. A delegation with its places takes some 2 KiB, and what looks for all
/// of a user's reads each, so that neither an agent nor whoever tricks it fills the disk or slows others.
///
/// INVARIANT: the count is exact, because it is of records and not of rights. Each is counted in the batch that writes
/// it and no more in the one that removes it, a day after it expired or was revoked, or when there is need of room
/// after it ended in whatever way ([`super::collect`]); what ends a subtree is one write that touches no counter.
/// Whoever makes it pays for it: nobody uses up another agent's room by offering it much.
pub(super) const KEPT_MAX: u64 = 1_000;

/// Write a new delegation, its places in the indexes, and its entry, which speaks of the user in pseudonyms. There has
/// to be room for it when the batch happens.
pub(super) fn put(
    batch: &mut Batch,
    user: &KnownUser,
    record: &DelegationRecord,
    body: &DelegationBody,
    kind: EntryType,
) -> Result<(), Failure> {
    let key = &user.key;
    let members = json!({
        "delegation": record.id.as_str(),
        "user": veil::user(&record.user, key),
        "session": veil::session(&record.session, key),
        "from_agent": record.from_agent.as_ref().map(attorn_core::AgentId::as_str),
        "parent": record.parent.as_ref().map(DelegationId::as_str),
        "depth": record.depth,
        "to_agent": record.to_agent.as_str(),
        "purpose": record.purpose.as_str(),
        "expires_at_ms": record.expires_at.0,
        // Permissions name the user's resources and evidence their logins: shown to be these, and not guessed.
        "commitment": key.commitment("delegation", &body.encode()).to_string(),
        "provider": body.evidence.as_ref().map(|evidence| evidence.provider.as_str()),
    });
    batch.entries.push(entry::body(batch.now, kind, members)?);
    batch.require.push((Key::delegation(&record.id), Require::Absent));
    let kept = Key::kept_delegations(&record.user, record.made_by());
    batch.add.push(Add { key: kept, delta: 1, at_most: KEPT_MAX });
    if let Some(offers) = open_offers(record) {
        batch.add.push(Add { key: offers, delta: 1, at_most: OPEN_OFFERS_MAX });
    }
    batch.put.push((Key::user_delegation(&record.user, &record.id), Vec::new()));
    batch.put.push((Key::agent_delegation(&record.to_agent, &record.id), Vec::new()));
    if let Some(parent) = &record.parent {
        batch.put.push((Key::child_delegation(parent, &record.id), Vec::new()));
    }
    batch.put.push((Key::expiry(record.expires_at, &Key::delegation(&record.id)), Vec::new()));
    batch.put_record(record);
    Ok(())
}

#[cfg(test)]
#[path = "make_tests.rs"]
mod tests;
