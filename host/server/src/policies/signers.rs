//! `/v1/policy-signers` and `/v1/policy-signatures`: who vouches for components, and whether somebody has to.
//!
//! Every change writes the record of the requirement anew, so that whoever named its version has seen all of it. What
//! is in force is never touched here.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::policy_signers as api;
use attorn_core::{OperatorId, PolicySignerId};
use attorn_identity::SignerKey;
use attorn_store::records::{PolicySignerRecord, SignatureRequirementRecord, SignerRevocation};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use super::signatures::{Signers, as_it_was, is_required, key_of, requirement};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note, page, why};

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RegisterPolicySigner = call.json()?;
    let (id, operator): (PolicySignerId, _) = (wire.id.parse()?, call.operator()?);
    note("name", wire.name.as_deref())?;
    let key = SignerKey::parse(&wire.public_key).map_err(|error| {
        Failure::of(ProblemCode::InvalidField, format!("`public_key`: {error}"))
            .with_help("the second line of a `.pub` file: `attorn policy new-key` and `minisign -G` make one")
    })?;
    let before = requirement(&app.store).await?;
    let signers = Signers::of(&app.store).await?;
    if signers.iter().any(|signer| signer.id == id) {
        return Err(Failure::of(ProblemCode::AlreadyExists, format!("policy signer `{id}` exists already")));
    }
    // Signatures name keys by their ids, so there is one signer for each; a key that was revoked stays so, also under
    // another id.
    for signer in signers.iter() {
        if key_of(signer)?.is_taken_for(&key) {
            let which = if signer.revoked.is_some() { "the revoked signer" } else { "the signer" };
            let detail = format!("the key `{}`, or its id, is that of {which} `{}`", key.id(), signer.id);
            return Err(Failure::of(ProblemCode::KeyTaken, detail).with_help("`attorn policy new-key` makes another"));
        }
    }
    signers.room()?;
    let mut batch = Batch::new(app.clock.now());
    let record = PolicySignerRecord {
        id: id.clone(),
        name: wire.name,
        public_key: key.as_str().to_owned(),
        created_at: batch.now,
        created_by: by(operator)?,
        revoked: None,
    };
    let about = json!({ "id": id.as_str(), "name": record.name, "key": key.id().to_string(),
        "public_key": record.public_key });
    entry::act(&mut batch, operator, EntryType::PolicySignerRegistered, about)?;
    batch.require.push(as_it_was(before.as_ref()));
    batch.require.push((Key::policy_signer(&id), Require::Absent));
    batch.put_record(&changed(&batch, operator, is_required(before.as_ref()))?);
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    Reply::created(&shown(&record)?)
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<PolicySignerId>("after")?.map(|id| Key::policy_signer(&id));
    let (records, more) = page::<PolicySignerRecord>(&app, KeyKind::PolicySigner, after, call.limit()?).await?;
    let policy_signers = records.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    let next = more.then(|| policy_signers.last().map(|signer| signer.id.clone())).flatten();
    Reply::ok(&api::PolicySignerList { policy_signers, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: PolicySignerId = call.path("id")?;
    let stored = app.store.record::<PolicySignerRecord>(&Key::policy_signer(&id)).await?;
    Reply::ok(&shown(&stored.ok_or_else(|| no_signer(&id))?.value)?)
}

/// Count no signature of this signer from now on. What they signed and is in force stays so.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (id, operator): (PolicySignerId, _) = (call.path("id")?, call.operator()?);
    let before = requirement(&app.store).await?;
    let stored = app.store.record::<PolicySignerRecord>(&Key::policy_signer(&id)).await?;
    let stored = stored.ok_or_else(|| no_signer(&id))?;
    if stored.value.revoked.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("policy signer `{id}` is revoked already")));
    }
    let mut batch = Batch::new(app.clock.now());
    let revoked = Some(SignerRevocation { at: batch.now, by: by(operator)? });
    let record = PolicySignerRecord { revoked, ..stored.value };
    let about = json!({ "id": id.as_str(), "key": key_of(&record)?.id().to_string(), "reason": why(&call)? });
    entry::act(&mut batch, operator, EntryType::PolicySignerRevoked, about)?;
    batch.require.push(as_it_was(before.as_ref()));
    batch.require.push((Key::policy_signer(&id), Require::Version(stored.version)));
    batch.put_record(&changed(&batch, operator, is_required(before.as_ref()))?);
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&record)?)
}

pub(crate) async fn show_requirement(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    shown_requirement(&app).await
}

/// From now on no version is taken, or comes into force, without a signature of an active signer.
pub(crate) async fn require(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let before = requirement(&app.store).await?;
    if is_required(before.as_ref()) {
        return Err(Failure::of(ProblemCode::InvalidState, "components have to be signed already"));
    }
    if Signers::of(&app.store).await?.active() == 0 {
        return Err(Failure::of(ProblemCode::InvalidState, "no signer is active, so nothing could come into force")
            .with_help("register one first: `attorn policy signer register`"));
    }
    set(&app, &call, before, true).await
}

/// Signatures are required no more, which can let in what nobody vouches for.
pub(crate) async fn lift(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let before = requirement(&app.store).await?;
    if !is_required(before.as_ref()) {
        return Err(Failure::of(ProblemCode::InvalidState, "components do not have to be signed"));
    }
    set(&app, &call, before, false).await
}

async fn set(
    app: &App,
    call: &Call,
    before: Option<Versioned<SignatureRequirementRecord>>,
    required: bool,
) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::ChangePolicySignatures) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    let mut batch = Batch::new(app.clock.now());
    let about = if required { EntryType::PolicySignaturesRequired } else { EntryType::PolicySignaturesLifted };
    entry::act(&mut batch, operator, about, json!({ "reason": wire.reason }))?;
    batch.require.push(as_it_was(before.as_ref()));
    batch.put_record(&changed(&batch, operator, required)?);
    commit(app, batch, moved).await?;
    shown_requirement(app).await
}

async fn shown_requirement(app: &App) -> Result<Reply, Failure> {
    let (requirement, signers) = (requirement(&app.store).await?, Signers::of(&app.store).await?);
    let active = app.active.snapshot();
    let without = active.policies().iter().filter(|policy| !signers.vouch_for(&policy.record)).count();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Reply::ok(&api::PolicySignatures {
        required: is_required(requirement.as_ref()),
        signers_active: number(signers.active()),
        in_force_without: number(without),
    })
}

fn changed(batch: &Batch, operator: &OperatorCaller, required: bool) -> Result<SignatureRequirementRecord, Failure> {
    Ok(SignatureRequirementRecord { required, changed_at: batch.now, changed_by: by(operator)? })
}

fn by(operator: &OperatorCaller) -> Result<OperatorId, Failure> {
    operator.id.clone().ok_or_else(|| Failure::internal("the bootstrap token reached a policy signer"))
}

fn no_signer(id: &PolicySignerId) -> Failure {
    Failure::not_found("policy signer", id).with_help("`attorn policy signer list` lists those that there are")
}

fn shown(record: &PolicySignerRecord) -> Result<api::PolicySigner, Failure> {
    Ok(api::PolicySigner {
        id: record.id.to_string(),
        name: record.name.clone(),
        public_key: record.public_key.clone(),
        key: key_of(record)?.id().to_string(),
        created_at_ms: record.created_at.0,
        created_by: record.created_by.to_string(),
        revoked_at_ms: record.revoked.as_ref().map(|revoked| revoked.at.0),
        revoked_by: record.revoked.as_ref().map(|revoked| revoked.by.to_string()),
    })
}
