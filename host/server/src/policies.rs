//! `/v1/components` and `/v1/policies`: push, activate, deactivate.
//!
//! A component is a file named by its digest; a version names a component, settings, selector and
//! limits, and never changes; the active set names versions. Each change of the set is one commit.

mod wire;

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::policies as api;
use attorn_core::{ComponentClass, Digest, Duty, PolicyId, PolicyMode};
use attorn_store::records::{ActiveMember, ActiveSetRecord, PolicyRecord, PolicySettings, PolicyVersionRecord};
use attorn_store::{Batch, FileError, Key, KeyKind, Require};
use axum::http::StatusCode;
use serde_json::json;

use crate::active::{ActivePolicy, ActiveSet, SETTINGS_BYTES_MAX, load_checked};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, page};

/// The most bytes of a component.
pub(crate) const COMPONENT_BYTES_MAX: usize = 32 << 20;
/// The most policies in force: a decision's record has to hold what each of them said.
const ACTIVE_MAX: usize = 64;
/// How many versions of a policy are shown.
const VERSIONS_SHOWN: usize = 100;

pub(crate) async fn put_component(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let digest: Digest = call.path("digest")?;
    let found = Digest::from_bytes(*blake3::hash(&call.body).as_bytes());
    if found != digest {
        let detail = format!("the body's BLAKE3 digest is `{found}`, not the one in the path");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    let known = match app.store.files().read(digest, COMPONENT_BYTES_MAX as u64).await {
        Ok(_) => true,
        Err(FileError::NotThere(_)) => false,
        Err(error) => return Err(Failure::internal(error)),
    };
    if !known {
        let mut batch = Batch::new(app.clock.now());
        let about = json!({ "digest": digest.to_string(), "bytes": call.body.len() });
        entry::act(&mut batch, call.operator()?, "component_put", about)?;
        commit(&app, batch, moved).await?;
        let written = app.store.files().write(call.body.to_vec(), COMPONENT_BYTES_MAX as u64).await;
        written.map_err(Failure::internal)?;
    }
    let component = api::Component { digest: digest.to_string(), bytes: call.body.len() as u64 };
    let mut reply = Reply::created(&component)?;
    if known {
        reply.status = StatusCode::OK;
    }
    Ok(reply)
}

/// Push a version. The component is loaded and its `init` run with these settings, so that what cannot
/// run is refused here and not at its activation.
pub(crate) async fn push(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::PushVersion) = (call.operator()?, call.json()?);
    let id: PolicyId = call.path("id")?;
    let stored = app.store.record::<PolicyRecord>(&Key::policy(&id)).await?;
    let latest = stored.as_ref().map_or(0, |policy| policy.value.latest_version);
    let version = latest.checked_add(1).ok_or_else(|| Failure::internal("versions are used up"))?;
    let settings = attorn_api::json::canonical(&wire.settings.to_string())?;
    let component: Digest = wire.component.parse()?;
    let class = component_class(&app, component).await?;
    let mut batch = Batch::new(app.clock.now());
    let record = PolicyVersionRecord {
        policy: id.clone(),
        version,
        component,
        settings: PolicySettings::of(settings.clone()),
        selector: wire::selector(&wire.selector)?,
        mode: PolicyMode::Enforce,
        required: wire.required,
        limits: wire::limits(wire.limits, class)?,
        class,
        created_at: batch.now,
        created_by: operator.id.clone().ok_or_else(|| Failure::internal("a token without operator pushed"))?,
    };
    if let PolicySettings::File(_) = record.settings {
        let written = app.store.files().write(settings.as_str().as_bytes().to_vec(), SETTINGS_BYTES_MAX).await;
        written.map_err(|error| Failure::caused(&error))?;
    }
    load_checked(&app, &record).await?;
    let about = json!({ "policy": id.as_str(), "version": version, "digest": record.digest().to_string(),
        "component": record.component.to_string(), "settings_digest": record.settings.digest().to_string() });
    entry::act(&mut batch, operator, "policy_pushed", about)?;
    let require = stored.map_or(Require::Absent, |policy| Require::Version(policy.version));
    batch.require.push((Key::policy(&id), require));
    batch.put_record(&PolicyRecord { id, latest_version: version });
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    Reply::created(&wire::shown(&record, false))
}

/// What class a component is of that was put before.
async fn component_class(app: &App, digest: Digest) -> Result<ComponentClass, Failure> {
    let bytes = app.store.files().read(digest, COMPONENT_BYTES_MAX as u64).await.map_err(|error| match error {
        FileError::NotThere(digest) => {
            Failure::not_found("component", digest).with_help("put it first: `attorn policy push` does")
        }
        error => Failure::internal(error),
    })?;
    Ok(attorn_engine::class_of(&bytes))
}

/// Put a version in force. Where another one is, that one is replaced, which can widen what agents may
/// do, and needs the duty for it.
pub(crate) async fn activate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::Activate) = (call.operator()?, call.json()?);
    let id: PolicyId = call.path("id")?;
    let key = Key::policy_version(&id, wire.version);
    let record = app.store.record::<PolicyVersionRecord>(&key).await?;
    let record = record.ok_or_else(|| Failure::not_found("policy version", format!("{id}/{}", wire.version)))?.value;
    // Compiling takes its time; nobody who has to take a policy out of force waits for it.
    let loaded = load_checked(&app, &record).await?;
    let change = app.active.change().await;
    let current = app.active.snapshot();
    let replaced = current.policy(&id).map(|policy| policy.record.version);
    if replaced == Some(wire.version) {
        let detail = format!("version {} of policy `{id}` is in force already", wire.version);
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    if replaced.is_some() && !operator.duties.contains(&Duty::PolicyWeakener) {
        let detail = format!("version {} of policy `{id}` would replace another, which can widen", wire.version);
        return Err(Failure::of(ProblemCode::MissingDuty, detail).with_help("it needs the duty `policy_weakener` too"));
    }
    let mut policies: Vec<_> = current.policies.iter().filter(|policy| policy.record.policy != id).cloned().collect();
    policies.push(Arc::new(ActivePolicy::new(record, Some(loaded))));
    policies.sort_by(|a, b| a.record.policy.cmp(&b.record.policy));
    let about = json!({ "policy": id.as_str(), "version": wire.version, "replaced": replaced });
    let set = replace(&app, &call, &current, policies, ("policy_activated", about)).await?;
    let answer = wire::active_set(&set.record);
    app.active.put(set, &change);
    Reply::ok(&answer)
}

pub(crate) async fn deactivate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: PolicyId = call.path("id")?;
    let change = app.active.change().await;
    let current = app.active.snapshot();
    let Some(version) = current.policy(&id).map(|policy| policy.record.version) else {
        return Err(Failure::of(ProblemCode::InvalidState, format!("no version of policy `{id}` is in force")));
    };
    let policies = current.policies.iter().filter(|policy| policy.record.policy != id).cloned().collect();
    let about = json!({ "policy": id.as_str(), "version": version });
    let set = replace(&app, &call, &current, policies, ("policy_deactivated", about)).await?;
    let answer = wire::active_set(&set.record);
    app.active.put(set, &change);
    Reply::ok(&answer)
}

/// Record a new set. It is in force from its commit on: a decision that was made under the old one
/// cannot commit any more.
async fn replace(
    app: &App,
    call: &Call,
    current: &ActiveSet,
    policies: Vec<Arc<ActivePolicy>>,
    (kind, mut about): (&'static str, serde_json::Value),
) -> Result<ActiveSet, Failure> {
    if policies.len() > ACTIVE_MAX {
        return Err(Failure::of(ProblemCode::InvalidState, format!("{ACTIVE_MAX} policies in force are the most")));
    }
    let members = policies.iter().map(|policy| {
        let record = &policy.record;
        ActiveMember { policy: record.policy.clone(), version: record.version, digest: record.digest() }
    });
    let record = ActiveSetRecord::new(current.record.revision() + 1, members.collect()).map_err(Failure::internal)?;
    about["active_set"] = json!({ "revision": record.revision(), "digest": record.digest().to_string() });
    let mut batch = Batch::new(app.clock.now());
    entry::act(&mut batch, call.operator()?, kind, about)?;
    let require = if current.store_version == 0 { Require::Absent } else { Require::Version(current.store_version) };
    batch.require.push((Key::active_set(), require));
    batch.put_record(&record);
    let committed = commit(app, batch, moved).await?;
    Ok(ActiveSet::new(record, committed.version, policies))
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let active = app.active.snapshot();
    let after = call.query::<PolicyId>("after")?.map(|id| Key::policy(&id));
    let (records, more) = page::<PolicyRecord>(&app, KeyKind::Policy, after, call.limit()?).await?;
    let summary = |policy: &PolicyRecord| api::PolicySummary {
        id: policy.id.to_string(),
        latest_version: policy.latest_version,
        active_version: active.policy(&policy.id).map(|policy| policy.record.version),
    };
    let policies: Vec<_> = records.iter().map(summary).collect();
    let next = more.then(|| policies.last().map(|policy| policy.id.clone())).flatten();
    Reply::ok(&api::PolicyList { active_set: wire::active_set(&active.record), policies, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: PolicyId = call.path("id")?;
    let policy = app.store.record::<PolicyRecord>(&Key::policy(&id)).await?;
    let latest = policy.ok_or_else(|| Failure::not_found("policy", &id))?.value.latest_version;
    let active = app.active.snapshot();
    let active_version = active.policy(&id).map(|policy| policy.record.version);
    let mut versions = Vec::new();
    for version in (1..=latest).rev().take(VERSIONS_SHOWN) {
        let record = app.store.record::<PolicyVersionRecord>(&Key::policy_version(&id, version)).await?;
        versions.extend(record.map(|record| wire::shown(&record.value, active_version == Some(version))));
    }
    Reply::ok(&api::Policy { id: id.to_string(), active_version, versions })
}
