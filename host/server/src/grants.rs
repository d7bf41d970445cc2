//! `/v1/grants`: uses and effects that resource servers report, and revocation.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::decisions::CredentialKind;
use attorn_api::grants as api;
use attorn_core::{Grant, GrantId, JsonText, Request, Situation, TimeMs, bounds};
use attorn_store::records::{AgentRecord, GrantRecord, ResourceServerRecord, TokenKeyRecord, TokenKeyState};
use attorn_store::{Add, Batch, CommitError, Key, KeyKind, Require, Versioned};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::app::App;
use crate::audit::reference;
use crate::decisions::ask::Wanted;
use crate::decisions::gather;
use crate::entry;
use crate::holders;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note, page, why};
use crate::users::{kept, seal};

/// How often a use is counted anew because another came between.
const ATTEMPTS_MAX: usize = 8;

/// A grant, opened.
pub(crate) struct Known {
    pub(crate) record: Versioned<GrantRecord>,
    pub(crate) grant: Grant,
}

/// Open a grant; none if its user was erased.
pub(crate) async fn known(app: &App, record: Versioned<GrantRecord>) -> Result<Option<Known>, Failure> {
    let grant = kept::read_grant(app, &record.value).await?;
    Ok(grant.map(|grant| Known { record, grant }))
}

/// Count a use. The commit names the versions of the grant and of all that it hangs on, so that no use counts after
/// any of it ended.
pub(crate) async fn use_grant(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (server, wire): (_, api::UseGrant) = (call.resource_server()?, call.json()?);
    let id: GrantId = call.path("id")?;
    for _ in 0..ATTEMPTS_MAX {
        let Known { record, grant } = find_of(&app, &id, server).await?;
        let still = active(&app, &grant, record.value.revoked_at).await?;
        check_use(&grant, &wire)?;
        let used = app.store.counter(&Key::grant_uses(&id)).await?;
        let uses_max = u64::from(grant.uses_max) + app.store.counter(&Key::grant_releases(&id)).await?;
        if used >= uses_max {
            return Err(Failure::of(ProblemCode::GrantSpent, format!("all uses of grant `{id}` are spent"))
                .with_help("every action needs a decision of its own: ask for another"));
        }
        let mut batch = Batch::new(app.clock.now());
        let about = json!({ "grant": id.to_string(), "resource_server": server.as_str(), "use_number": used + 1,
            "decision_id": grant.decision.to_string(), "agent": grant.agent.as_str() });
        batch.entries.push(entry::body(batch.now, EntryType::GrantUsed, about)?);
        batch.require.push((Key::grant(&id), Require::Version(record.version)));
        batch.require.extend(still);
        // The limit is what was seen, not what is left: so the number in the entry is the use's own.
        batch.add.push(Add { key: Key::grant_uses(&id), delta: 1, at_most: used + 1 });
        match app.store.commit(batch).await {
            Ok(committed) => {
                let entry = reference(committed.entry().map_err(Failure::internal)?);
                return Reply::ok(&api::GrantUse {
                    grant: id.to_string(),
                    use_number: u32::try_from(used + 1).unwrap_or(u32::MAX),
                    uses_left: u32::try_from(uses_max - used - 1).unwrap_or(u32::MAX),
                    entry,
                });
            }
            Err(CommitError::Conflict(_) | CommitError::LimitExceeded { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(moved())
}

/// What must still hold for a grant that is active now: not expired, not revoked, its holder and its resource
/// server as they were, the key that signed its token not lost, and all bounds as they are now.
pub(crate) async fn active(
    app: &App,
    grant: &Grant,
    revoked_at: Option<TimeMs>,
) -> Result<Vec<(Key, Require)>, Failure> {
    if grant.expires_at <= app.clock.now() {
        return Err(inactive(grant, "has expired"));
    }
    stands(app, grant, revoked_at).await
}

/// The same of a grant that may have expired: nothing of what it hangs on has ended.
pub(crate) async fn stands(
    app: &App,
    grant: &Grant,
    revoked_at: Option<TimeMs>,
) -> Result<Vec<(Key, Require)>, Failure> {
    let inactive = |why: &str| inactive(grant, why);
    let now = app.clock.now();
    if revoked_at.is_some() {
        return Err(inactive("was revoked"));
    }
    if now < grant.issued_at {
        return Err(inactive("was issued later than the server's time"));
    }
    // What is revised after that stays revoked, or is used: it is no younger for it.
    if app.clock.was_set_back() {
        let stored = app.store.get(&Key::grant(&grant.id)).await?;
        if stored.is_none_or(|stored| app.clock.outlived(stored.version)) {
            return Err(inactive("is from before the server's time was set back"));
        }
    }
    let mut require = Vec::new();
    let (agent_key, server_key) = (Key::agent(&grant.agent), Key::resource_server(&grant.resource_server));
    let server = app.store.record::<ResourceServerRecord>(&server_key).await?;
    let server = server.filter(|server| server.value.revoked_at.is_none());
    let server = server.ok_or_else(|| inactive("is for a resource server that was revoked"))?;
    require.push((server_key, Require::Version(server.version)));
    require.push(signer(app, grant).await?.ok_or_else(|| inactive("was signed by a key that is compromised"))?);
    let agent = app.store.record::<AgentRecord>(&agent_key).await?;
    let agent = agent.ok_or_else(|| inactive("has lost its holder"))?;
    require.push((agent_key, Require::Version(agent.version)));
    if agent.value.agent().revocations != grant.revocations {
        return Err(inactive("is of an agent that was suspended since"));
    }
    for (policy, version) in &grant.policies {
        let key = Key::policy_revocation(policy, *version);
        if app.store.get(&key).await?.is_some() {
            return Err(inactive(&format!("was allowed by version {version} of policy `{policy}`, which was revoked")));
        }
        require.push((key, Require::Absent));
    }
    let wanted = Wanted {
        request: request(grant),
        delegation: grant.behalf.as_ref().and_then(|behalf| behalf.hops.last()).map(|(id, _)| id.clone()),
        user: grant.behalf.as_ref().map(|behalf| behalf.user.clone()),
        credential: CredentialKind::Token,
        through: None,
    };
    let (request, chain, refused) = gather::on_behalf(app, &wanted, &mut require).await?;
    let holder = holders::of_grant(app, agent.value.agent(), grant, &mut require).await?;
    let situation = Situation {
        agent: agent.value.agent(),
        holder: holder.as_ref(),
        request: &request,
        user: wanted.user.as_ref(),
        behalf: chain.as_ref().map(|chain| &chain.behalf),
        resource_server: Some(&server.value.server),
        now,
    };
    let bounds = refused.map_or_else(|| bounds::check(situation, app.limits).map(drop), Err);
    bounds.map(|()| require).map_err(|reason| inactive(&format!("is out of bounds now: {}", reason.text())))
}

fn inactive(grant: &Grant, why: &str) -> Failure {
    Failure::of(ProblemCode::GrantInactive, format!("the grant `{}` {why}", grant.id))
}

/// The key that signed the grant's token; none if somebody else may have it.
async fn signer(app: &App, grant: &Grant) -> Result<Option<(Key, Require)>, Failure> {
    let key = Key::token_key(&grant.signed_by);
    let stored = app.store.record::<TokenKeyRecord>(&key).await?;
    let good = stored.filter(|stored| !matches!(stored.value.state, TokenKeyState::Compromised { .. }));
    Ok(good.map(|stored| (key, Require::Version(stored.version))))
}

/// What the grant was asked for. Its arguments are known by their digest.
fn request(grant: &Grant) -> Request {
    let nothing = JsonText::from_canonical("{}");
    Request {
        action: grant.action.clone(),
        resource: grant.resource.clone(),
        purpose: grant.purpose.clone(),
        session: grant.session.clone(),
        arguments: nothing.clone(),
        arguments_digest: grant.arguments_digest,
        claims: nothing,
    }
}

fn check_use(grant: &Grant, wire: &api::UseGrant) -> Result<(), Failure> {
    let parts = [
        ("action", wire.action == grant.action.as_str()),
        ("resource", wire.resource == grant.resource.as_str()),
        ("arguments_digest", wire.arguments_digest == grant.arguments_digest.to_string()),
    ];
    match parts.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((name, _)) => {
            let detail = format!("the grant `{}` is for another `{name}`", grant.id);
            Err(Failure::of(ProblemCode::GrantMismatch, detail))
        }
    }
}

/// Record what came of a use, once. A use that was released is given back.
pub(crate) async fn report_effect(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (server, wire): (_, api::ReportEffect) = (call.resource_server()?, call.json()?);
    let id: GrantId = call.path("id")?;
    note("note", wire.note.as_deref())?;
    let Known { grant, .. } = find_of(&app, &id, server).await?;
    let used = app.store.counter(&Key::grant_uses(&id)).await?;
    if wire.use_number == 0 || u64::from(wire.use_number) > used {
        let detail = format!("grant `{id}` has no use {}; it was used {used} times", wire.use_number);
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    let effect = match wire.effect {
        api::Effect::Done => "done",
        api::Effect::Failed => "failed",
        api::Effect::Released => "released",
    };
    let mut batch = Batch::new(app.clock.now());
    let about = json!({ "grant": id.to_string(), "resource_server": server.as_str(), "use_number": wire.use_number,
        "decision_id": grant.decision.to_string(), "effect": effect,
        "note": note_in_entry(&app, &grant, wire.use_number, wire.note.as_deref()).await? });
    batch.entries.push(entry::body(batch.now, EntryType::GrantEffect, about)?);
    let server_key = Key::resource_server(server);
    let registered = app.store.record::<ResourceServerRecord>(&server_key).await?;
    let registered = registered.filter(|record| record.value.revoked_at.is_none());
    let registered = registered.ok_or_else(|| Failure::not_found("grant", id))?;
    batch.require.push((server_key, Require::Version(registered.version)));
    let key = Key::grant_effect(&id, wire.use_number);
    batch.require.push((key.clone(), Require::Absent));
    batch.put.push((key, effect.into()));
    if wire.effect == api::Effect::Released {
        batch.add.push(Add { key: Key::grant_releases(&id), delta: 1, at_most: u64::MAX >> 1 });
    }
    let reported = || {
        let detail = format!("the effect of use {} of grant `{id}` has been reported already", wire.use_number);
        Failure::of(ProblemCode::InvalidState, detail)
    };
    let committed = commit(&app, batch, reported).await?;
    let entry = reference(committed.entry().map_err(Failure::internal)?);
    Reply::ok(&api::EffectRecorded { grant: id.to_string(), use_number: wire.use_number, effect: wire.effect, entry })
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<GrantId>("after")?.map(|id| Key::grant(&id));
    let (records, more) = page::<GrantRecord>(&app, KeyKind::Grant, after, call.limit()?).await?;
    let next = more.then(|| records.last().map(|record| record.id.to_string())).flatten();
    let mut grants = Vec::new();
    for record in records {
        // Those of users who were erased are nobody's to read any more.
        if let Some(grant) = kept::read_grant(&app, &record).await? {
            grants.push(shown(&app, &grant, record.revoked_at).await?);
        }
    }
    Reply::ok(&api::GrantList { grants, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let Known { record, grant } = find(&app, &call.path("id")?).await?;
    Reply::ok(&shown(&app, &grant, record.value.revoked_at).await?)
}

/// One durable write: after its acknowledgement no use counts.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: GrantId = call.path("id")?;
    let Known { record: Versioned { mut value, version, .. }, grant } = find(&app, &id).await?;
    if value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("grant `{id}` is revoked already")));
    }
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "grant": id.to_string(), "decision_id": grant.decision.to_string(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::GrantRevoked, about)?;
    batch.require.push((Key::grant(&id), Require::Version(version)));
    batch.put_record(&value);
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&app, &grant, value.revoked_at).await?)
}

async fn find(app: &App, id: &GrantId) -> Result<Known, Failure> {
    let record = app.store.record(&Key::grant(id)).await?.ok_or_else(|| Failure::not_found("grant", id))?;
    known(app, record).await?.ok_or_else(|| kept::erased(format!("the user of the grant `{id}` was erased")))
}

/// A grant that is for this resource server; another's looks like none.
async fn find_of(app: &App, id: &GrantId, server: &attorn_core::ResourceServerId) -> Result<Known, Failure> {
    let record = app.store.record(&Key::grant(id)).await?.ok_or_else(|| Failure::not_found("grant", id))?;
    // For whom the grant of an erased user was, nobody knows any more.
    let inactive = || Failure::of(ProblemCode::GrantInactive, format!("the user of the grant `{id}` was erased"));
    let known = known(app, record).await?.ok_or_else(inactive)?;
    if known.grant.resource_server == *server { Ok(known) } else { Err(Failure::not_found("grant", id)) }
}

/// What a resource server says of an effect may name the user, so it is sealed where there is one.
async fn note_in_entry(app: &App, grant: &Grant, use_number: u32, note: Option<&str>) -> Result<Value, Failure> {
    let (Some(behalf), Some(note)) = (&grant.behalf, note) else { return Ok(json!(note)) };
    let Some(key) = kept::key(app, &behalf.user).await? else { return Ok(Value::Null) };
    let sealed = seal(&key, &Key::grant_effect(&grant.id, use_number), note.as_bytes())?;
    Ok(json!({ "sealed": BASE64.encode(&sealed.0) }))
}

async fn shown(app: &App, grant: &Grant, revoked_at: Option<TimeMs>) -> Result<api::GrantDetails, Failure> {
    let uses = app.store.counter(&Key::grant_uses(&grant.id)).await?;
    let releases = app.store.counter(&Key::grant_releases(&grant.id)).await?;
    let left = uses < u64::from(grant.uses_max) + releases;
    Ok(api::GrantDetails {
        id: grant.id.to_string(),
        decision_id: grant.decision.to_string(),
        agent: grant.agent.to_string(),
        instance: grant.instance.to_string(),
        resource_server: grant.resource_server.to_string(),
        action: grant.action.to_string(),
        resource: grant.resource.to_string(),
        purpose: grant.purpose.to_string(),
        issued_at_ms: grant.issued_at.0,
        expires_at_ms: grant.expires_at.0,
        revoked_at_ms: revoked_at.map(|at| at.0),
        uses_max: grant.uses_max,
        uses: u32::try_from(uses).unwrap_or(u32::MAX),
        active: left && active(app, grant, revoked_at).await.is_ok(),
    })
}
