//! `/v1/components` and `/v1/policies`: push and show. What is in force is changed in [`change`].
//!
//! A component is a file named by its digest; a version names a component, settings, selector and
//! limits, and never changes.

pub(crate) mod change;
mod signatures;
pub(crate) mod signers;
mod wire;

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::policies as api;
use attorn_core::{ComponentClass, Digest, PolicyId};
use attorn_engine::LoadStep;
use attorn_identity::ComponentSignature;
use attorn_store::records::{PolicyRecord, PolicySettings, PolicyVersionRecord, ShadowReportRecord};
use attorn_store::{Batch, FileError, Key, KeyKind, Require};
use axum::http::StatusCode;
use serde_json::json;

use crate::active::{ActivePolicy, SETTINGS_BYTES_MAX, load_new};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::http::route::BODY_BYTES_MAX;
use crate::loads::LoadAsk;
use crate::registry::{commit, moved, page};

/// The most bytes of a component.
pub(crate) const COMPONENT_BYTES_MAX: usize = 32 << 20;
/// The most bytes of a push: settings and all else, and a signature.
pub(crate) const PUSH_BYTES_MAX: usize = BODY_BYTES_MAX + ComponentSignature::BYTES_MAX;
/// How many versions of a policy are shown.
const VERSIONS_SHOWN: usize = 100;
/// How many agents are shown for which a version is not asked.
const PAUSES_SHOWN: usize = 16;

pub(crate) async fn put_component(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let digest: Digest = call.path("digest")?;
    let found = Digest::from_bytes(*blake3::hash(&call.body).as_bytes());
    if found != digest {
        let detail = format!("the body's BLAKE3 digest is `{found}`, not the one in the path");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    // What is plainly something else, such as a file that was named by mistake, is not kept.
    if let Some(problem) = api::no_component(&call.body) {
        let detail = format!("the component failed the step `{}`: {problem}", LoadStep::Parse);
        return Err(Failure::of(ProblemCode::ComponentRejected, detail).with_help(api::COMPONENT_HELP));
    }
    let known = match app.store.files().read(digest, COMPONENT_BYTES_MAX as u64).await {
        Ok(_) => true,
        // One that was altered is written anew.
        Err(FileError::NotThere(_) | FileError::Altered(_) | FileError::TooLarge { .. }) => false,
        Err(error) => return Err(Failure::internal(error)),
    };
    if !known {
        let mut batch = Batch::new(app.clock.now());
        let about = json!({ "digest": digest.to_string(), "bytes": call.body.len() });
        entry::act(&mut batch, call.operator()?, EntryType::ComponentPut, about)?;
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
    if settings.as_str().len() > BODY_BYTES_MAX {
        let bytes = settings.as_str().len();
        let detail = format!("the settings have {bytes} bytes, and {BODY_BYTES_MAX} are the most");
        return Err(Failure::of(ProblemCode::BodyTooLarge, detail));
    }
    let component: Digest = wire.component.parse()?;
    // INVARIANT: nothing of the component is stored as a version, parsed or compiled before its signature is verified.
    let brought = signatures::Brought::of(&app.store, wire.signature.as_deref()).await?;
    let signature = brought.as_ref().map(signatures::Brought::recorded);
    let (bytes, class) = read_component(&app, component, brought).await?;
    let mut batch = Batch::new(app.clock.now());
    let record = PolicyVersionRecord {
        policy: id.clone(),
        version,
        component,
        settings: PolicySettings::of(settings.clone()),
        selector: wire::selector(&wire.selector)?,
        mode: wire::mode(wire.mode),
        required: wire.required,
        limits: wire::limits(wire.limits, class)?,
        class,
        created_at: batch.now,
        created_by: operator.id.clone().ok_or_else(|| Failure::internal("a token without operator pushed"))?,
        signature,
    };
    if let PolicySettings::File(_) = record.settings {
        let written = app.store.files().write(settings.as_str().as_bytes().to_vec(), SETTINGS_BYTES_MAX).await;
        written.map_err(|error| Failure::caused(&error))?;
    }
    let loaded = load_new(&app, record.clone(), bytes, &LoadAsk::of(&call)?).await?;
    // Loading takes its time, in which signers come and go.
    let signer = signatures::vouched(&app.store, &mut batch, &record).await?;
    let mut about = json!({ "policy": id.as_str(), "version": version, "digest": record.digest().to_string(),
        "component": record.component.to_string(), "settings_digest": record.settings.digest().to_string() });
    if let (Some(signer), Some(signature)) = (&signer, &record.signature) {
        about["signer"] = signer.id.clone().into();
        about["signer_key"] = signer.key.clone().into();
        about["signature_digest"] = signature.digest.to_string().into();
    }
    entry::act(&mut batch, operator, EntryType::PolicyPushed, about)?;
    let require = stored.as_ref().map_or(Require::Absent, |policy| Require::Version(policy.version));
    batch.require.push((Key::policy(&id), require));
    let (in_force, before) = stored.map_or((None, Vec::new()), |policy| (policy.value.in_force, policy.value.before));
    batch.put_record(&PolicyRecord { id, latest_version: version, in_force, before });
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    let shown = api::PolicyVersion { signer, ..wire::shown(&record, false, loaded.loaded.as_ref(), None) };
    app.active.keep(loaded);
    Reply::created(&shown)
}

/// There is no such version of a policy, or no such policy.
pub(crate) fn no_version(id: &PolicyId, version: u32) -> Failure {
    Failure::not_found("policy version", format!("{id}/{version}"))
        .with_help(format!("`attorn policy show {id}` lists those that there are"))
}

/// A component that was put before, and its class, for which it is parsed when its signature is verified: not on the
/// async threads.
async fn read_component(
    app: &App,
    digest: Digest,
    brought: Option<signatures::Brought>,
) -> Result<(Vec<u8>, ComponentClass), Failure> {
    let bytes = app.store.files().read(digest, COMPONENT_BYTES_MAX as u64).await?;
    let classify = move || {
        brought.map_or(Ok(()), |brought| brought.verify(&bytes))?;
        let class = attorn_engine::class_of(&bytes);
        Ok((bytes, class))
    };
    tokio::task::spawn_blocking(classify).await.map_err(Failure::internal)?
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let active = app.active.snapshot();
    let after = call.query::<PolicyId>("after")?.map(|id| Key::policy(&id));
    let (records, more) = page::<PolicyRecord>(&app, KeyKind::Policy, after, call.limit()?).await?;
    let signers = signatures::Signers::of(&app.store).await?;
    let in_force = |policy: &ActivePolicy| api::ActiveVersion {
        signer: signers.of_version(&policy.record),
        not_loaded: policy.not_loaded.clone(),
        ..wire::in_force(&policy.record)
    };
    let summary = |policy: &PolicyRecord| api::PolicySummary {
        id: policy.id.to_string(),
        latest_version: policy.latest_version,
        active: active.policy(&policy.id).map(|policy| in_force(policy)),
        before: policy.before.last().copied(),
    };
    let policies: Vec<_> = records.iter().map(summary).collect();
    let next = more.then(|| policies.last().map(|policy| policy.id.clone())).flatten();
    Reply::ok(&api::PolicyList { active_set: wire::active_set(&active.record), policies, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: PolicyId = call.path("id")?;
    let policy = app.store.record::<PolicyRecord>(&Key::policy(&id)).await?;
    let policy = policy.ok_or_else(|| Failure::not_found("policy", &id))?.value;
    let active = app.active.snapshot();
    let active_version = active.policy(&id).map(|policy| policy.record.version);
    let signers = signatures::Signers::of(&app.store).await?;
    let mut versions = Vec::new();
    for version in (1..=policy.latest_version).rev().take(VERSIONS_SHOWN) {
        let record = app.store.record::<PolicyVersionRecord>(&Key::policy_version(&id, version)).await?;
        let report = app.store.record::<ShadowReportRecord>(&Key::shadow_report(&id, version)).await?;
        let report = report.map(|report| wire::shadow_report(&report.value));
        let in_force = active.policy(&id).filter(|policy| policy.record.version == version);
        let loaded = in_force.cloned().or_else(|| app.active.kept(&id, version));
        let loaded = loaded.as_ref().and_then(|policy| policy.loaded.as_ref());
        let paused = app.pauses.of(&id, version, app.clock.now(), PAUSES_SHOWN).into_iter();
        let paused = paused.map(|(agent, until)| api::Pause { agent: agent.to_string(), until_ms: until.0 }).collect();
        versions.extend(record.map(|record| api::PolicyVersion {
            paused,
            signer: signers.of_version(&record.value),
            not_loaded: in_force.and_then(|policy| policy.not_loaded.clone()),
            ..wire::shown(&record.value, in_force.is_some(), loaded, report)
        }));
    }
    let before = policy.before.iter().rev().copied().collect();
    Reply::ok(&api::Policy { id: id.to_string(), active_version, before, versions })
}
