//! `/v1/users` and `/v1/entitlements`, for registrars.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::users as api;
use attorn_core::{EntitlementHolder, EntitlementPattern, JsonText, TimeMs, UserId};
use attorn_store::records::{EntitlementPatterns, EntitlementRecord, ProviderRecord, Record as _, SessionRecord};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require, Versioned};
use serde_json::{Value, json};

use super::person::Asserted;
use super::{KnownUser, entitlements, known, names, person, seal};
use crate::app::App;
use crate::decisions::veil;
use crate::delegations::shown_permission;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, count, moved};

/// The longest name of a user at a provider, in bytes, and of a group.
const SUBJECT_BYTES_MAX: usize = 255;
const GROUP_BYTES_MAX: usize = 256;
/// How many entitlements a list shows.
const LIST_MAX: usize = 1_000;

/// Register a user before they were first seen, so that they can be entitled to something.
pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::NameUser) = (call.operator()?, call.json()?);
    let provider = provider(&app, &wire).await?;
    let record = &provider.value;
    let name = names::find_user(&app, &record.issuer, &wire.subject).await?;
    let taken = match &name {
        Some(name) => known(&app, &name.value).await?.is_some(),
        None => false,
    };
    if taken {
        return Err(Failure::of(ProblemCode::AlreadyExists, "this user is registered already")
            .with_help("`POST /v1/users/find` finds them"));
    }
    let mut batch = Batch::new(app.clock.now());
    batch.require.push((Key::provider(&record.id), Require::Version(provider.version)));
    // Nothing is asserted yet: the first token says it.
    let nothing = Asserted { at: TimeMs(0), groups: None, claims: JsonText::from_canonical("{}") };
    let user =
        person::make(&app, (&record.id, &record.issuer, &wire.subject), nothing, name.as_ref(), &mut batch).await?;
    let about = json!({ "user": veil::user(&user.record.value.id, &user.key), "provider": record.id.as_str() });
    entry::act(&mut batch, operator, "user_registered", about)?;
    user.commit(&app, batch).await?.ok_or_else(moved)?;
    Reply::created(&shown(&app, &user).await?)
}

pub(crate) async fn find(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::NameUser = call.json()?;
    let provider = provider(&app, &wire).await?;
    let found = names::find_user(&app, &provider.value.issuer, &wire.subject).await?;
    let nobody = || Failure::of(ProblemCode::NotFound, "there is no user of this name at this provider");
    let user = known(&app, &found.ok_or_else(nobody)?.value).await?.ok_or_else(nobody)?;
    Reply::ok(&shown(&app, &user).await?)
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: UserId = call.path("id")?;
    let user = known(&app, &id).await?.ok_or_else(|| Failure::not_found("user", &id))?;
    Reply::ok(&shown(&app, &user).await?)
}

async fn provider(app: &App, wire: &api::NameUser) -> Result<Versioned<ProviderRecord>, Failure> {
    let bad =
        wire.subject.is_empty() || wire.subject.len() > SUBJECT_BYTES_MAX || wire.subject.chars().any(char::is_control);
    if bad {
        let detail = format!("`subject` is 1 to {SUBJECT_BYTES_MAX} bytes without control characters");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    let id = wire.provider.parse()?;
    app.store.record(&Key::provider(&id)).await?.ok_or_else(|| Failure::not_found("provider", id))
}

pub(crate) async fn shown(app: &App, user: &KnownUser) -> Result<api::User, Failure> {
    let (record, body) = (&user.record.value, &user.body);
    let entitled = entitlements::resolve(app, user, app.clock.now(), &mut Vec::new()).await?;
    Ok(api::User {
        id: record.id.to_string(),
        pseudonym: veil::user(&record.id, &user.key),
        provider: body.provider.to_string(),
        issuer: body.issuer.to_string(),
        subject: body.subject.clone(),
        created_at_ms: record.created_at.0,
        asserted_at_ms: body.asserted_at.0,
        groups_asserted_at_ms: body.groups_asserted_at.0,
        groups: body.groups.iter().cloned().collect(),
        claims: serde_json::from_str(body.claims.as_str()).unwrap_or(Value::Null),
        revocations: record.revocations,
        login_after_ms: body.login_after.map(|at| at.0),
        entitlements: entitled.iter().map(shown_permission).collect(),
    })
}

pub(crate) fn shown_session(session: &SessionRecord) -> api::Session {
    api::Session {
        id: session.id.to_string(),
        user: session.user.to_string(),
        opened_at_ms: session.opened_at.0,
        ended_at_ms: session.ended_at.map(|at| at.0),
    }
}

/// Say what a holder may do. What stood before is replaced.
pub(crate) async fn set_entitlement(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::SetEntitlement) = (call.operator()?, call.json()?);
    count("permissions", wire.permissions.len(), 1, EntitlementPatterns::COUNT_MAX)?;
    let pattern = |one: &attorn_api::agents::Permission| EntitlementPattern::parse(&one.action, &one.resource);
    let patterns = wire.permissions.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
    let holder = holder(&wire.holder)?;
    let mut batch = Batch::new(app.clock.now());
    let (in_entry, kept) = match &holder {
        EntitlementHolder::User(id) => {
            let user = known(&app, id).await?.ok_or_else(|| Failure::not_found("user", id))?;
            batch.require.push((Key::user(id), Require::Version(user.record.version)));
            let bytes = EntitlementPatterns::encode(&patterns);
            let about = json!({ "holder": { "user": veil::user(id, &user.key) },
                "commitment": user.key.commitment("entitlement", &bytes).to_string() });
            (about, EntitlementPatterns::Sealed(seal(&user.key, &Key::entitlement(&holder), &bytes)?))
        }
        _ => (json!({ "holder": wire.holder, "permissions": wire.permissions }), EntitlementPatterns::Plain(patterns)),
    };
    entry::act(&mut batch, operator, "entitlement_set", in_entry)?;
    let record = EntitlementRecord { holder, patterns: kept, set_at: batch.now };
    batch.require.push(as_found(&app, record.key()).await?);
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    let shown = api::Entitlement { holder: wire.holder, permissions: wire.permissions, set_at_ms: record.set_at.0 };
    Reply::ok(&shown)
}

pub(crate) async fn delete_entitlement(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::DeleteEntitlement) = (call.operator()?, call.json()?);
    let holder = holder(&wire.holder)?;
    let key = Key::entitlement(&holder);
    let found = app.store.record::<EntitlementRecord>(&key).await?;
    let found = found.ok_or_else(|| Failure::of(ProblemCode::NotFound, "nothing is set for this holder"))?;
    let mut batch = Batch::new(app.clock.now());
    let about = match &holder {
        EntitlementHolder::User(id) => {
            let user = app.user_keys.of(id).await?;
            json!({ "holder": { "user": user.map(|key| veil::user(id, &key)) } })
        }
        _ => json!({ "holder": wire.holder }),
    };
    entry::act(&mut batch, operator, "entitlement_deleted", about)?;
    batch.require.push((key.clone(), Require::Version(found.version)));
    batch.delete.push(key);
    commit(&app, batch, moved).await?;
    Reply::ok(&api::DeleteEntitlement { holder: wire.holder })
}

pub(crate) async fn list_entitlements(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::Entitlement), None, LIST_MAX).await?;
    let mut entitlements = Vec::new();
    for (key, stored) in &page.items {
        let record = EntitlementRecord::decode(key, &stored.value).map_err(Failure::internal)?;
        let EntitlementPatterns::Plain(patterns) = &record.patterns else { continue };
        let permission = |pattern: &EntitlementPattern| attorn_api::agents::Permission {
            action: pattern.action.to_string(),
            resource: pattern.resource().to_owned(),
        };
        let permissions = patterns.iter().map(permission).collect();
        let holder = shown_holder(&record.holder);
        entitlements.push(api::Entitlement { holder, permissions, set_at_ms: record.set_at.0 });
    }
    Reply::ok(&api::EntitlementList { entitlements, more: page.next.is_some() })
}

async fn as_found(app: &App, key: Key) -> Result<(Key, Require), Failure> {
    let found = app.store.get(&key).await?;
    let require = found.map_or(Require::Absent, |found| Require::Version(found.version));
    Ok((key, require))
}

fn holder(wire: &api::EntitlementHolder) -> Result<EntitlementHolder, Failure> {
    Ok(match wire {
        api::EntitlementHolder::User(id) => EntitlementHolder::User(id.parse()?),
        api::EntitlementHolder::Everyone(issuer) => EntitlementHolder::Everyone(issuer.parse()?),
        api::EntitlementHolder::Group { issuer, name } => {
            if name.is_empty() || name.len() > GROUP_BYTES_MAX || name.chars().any(char::is_control) {
                let detail = format!("`name` is 1 to {GROUP_BYTES_MAX} bytes without control characters");
                return Err(Failure::of(ProblemCode::InvalidField, detail));
            }
            EntitlementHolder::Group { issuer: issuer.parse()?, name: name.clone() }
        }
    })
}

fn shown_holder(holder: &EntitlementHolder) -> api::EntitlementHolder {
    match holder {
        EntitlementHolder::User(id) => api::EntitlementHolder::User(id.to_string()),
        EntitlementHolder::Everyone(issuer) => api::EntitlementHolder::Everyone(issuer.to_string()),
        EntitlementHolder::Group { issuer, name } => {
            api::EntitlementHolder::Group { issuer: issuer.to_string(), name: name.clone() }
        }
    }
}
