//! `/v1/workload-issuers`: whose tokens say who a workload is, beside SPIFFE's trust domains.
//!
//! Their keys come with the registration. Nothing is fetched: Kubernetes clusters publish theirs to themselves only.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::workload_issuers as api;
use attorn_core::{Issuer, IssuerAlgorithm, JsonText, WorkloadIssuerId};
use attorn_identity::issuer_token::{GivenKeys, GivenKeysError};
use attorn_store::records::{ProviderIssuerRecord, Record as _, WorkloadIssuerNameRecord, WorkloadIssuerRecord};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::{Value, json};

use super::{commit, count, moved, page, why};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

/// The issuer of a workload and the issuer of a user are two, or a user's token could be shown as a workload's. So
/// this requires that no provider has it, and the registration of a provider requires the reverse.
pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RegisterWorkloadIssuer = call.json()?;
    let (id, issuer): (WorkloadIssuerId, Issuer) = (wire.id.parse()?, wire.issuer.parse()?);
    let mut batch = Batch::new(app.clock.now());
    let keys = keys(&wire.algorithms, &wire.jwks)?;
    let record = WorkloadIssuerRecord::new(id.clone(), issuer.clone(), keys, batch.now).map_err(|e| invalid(&e))?;
    let name = WorkloadIssuerNameRecord { issuer, id };
    entry::act(&mut batch, call.operator()?, EntryType::WorkloadIssuerRegistered, in_entry(&record)?)?;
    batch.require.push((record.key(), Require::Absent));
    batch.require.push((name.key(), Require::Absent));
    batch.require.push((provider_key(&record), Require::Absent));
    batch.put_record(&record);
    batch.put_record(&name);
    let taken = taken(&app, &record).await?;
    commit(&app, batch, || taken.unwrap_or_else(moved)).await?;
    Reply::created(&shown(&record)?)
}

/// Where a provider of this issuer would stand.
fn provider_key(record: &WorkloadIssuerRecord) -> Key {
    Key::provider_issuer(&ProviderIssuerRecord::digest_of_issuer(record.issuer().as_str()))
}

/// What of it is taken, if anything is. All of it stays so after a revocation: nobody else takes over what the
/// identities meant.
async fn taken(app: &App, record: &WorkloadIssuerRecord) -> Result<Option<Failure>, Failure> {
    let exists = |detail: String| Failure::of(ProblemCode::AlreadyExists, detail);
    if app.store.get(&record.key()).await?.is_some() {
        let taken = exists(format!("workload issuer `{}` exists already; ids are never used again", record.id()));
        return Ok(Some(taken.with_help("`attorn workload-issuer update` changes its keys")));
    }
    let issuer = record.issuer();
    if let Some(other) = name(app, issuer.as_str()).await? {
        return Ok(Some(exists(format!("the issuer `{issuer}` is that of the workload issuer `{}`", other.id))));
    }
    let provider = app.store.record::<ProviderIssuerRecord>(&provider_key(record)).await?;
    Ok(provider.map(|other| {
        exists(format!("the issuer `{issuer}` is that of the provider of users `{}`", other.value.provider))
    }))
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<WorkloadIssuerId>("after")?.map(|id| Key::workload_issuer(&id));
    let (records, more) = page::<WorkloadIssuerRecord>(&app, KeyKind::WorkloadIssuer, after, call.limit()?).await?;
    let workload_issuers: Vec<_> = records.iter().map(shown).collect::<Result<_, _>>()?;
    let next = more.then(|| workload_issuers.last().map(|issuer| issuer.id.clone())).flatten();
    Reply::ok(&api::WorkloadIssuerList { workload_issuers, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(&find(&app, &call.path("id")?).await?.value)?)
}

/// All keys at once, so that what is not in the new set does not count from here on.
pub(crate) async fn update(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::UpdateWorkloadIssuer, WorkloadIssuerId) = (call.json()?, call.path("id")?);
    let found = find_unrevoked(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    let keys = keys(&wire.algorithms, &wire.jwks)?;
    let record = found.value.changed(keys, batch.now).map_err(|error| invalid(&error))?;
    entry::act(&mut batch, call.operator()?, EntryType::WorkloadIssuerChanged, in_entry(&record)?)?;
    replace(&app, batch, &record, found.version).await
}

/// One durable write, after which the issuer vouches for nobody.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: WorkloadIssuerId = call.path("id")?;
    let Versioned { mut value, version, .. } = find_unrevoked(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "id": id.as_str(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::WorkloadIssuerRevoked, about)?;
    replace(&app, batch, &value, version).await
}

async fn replace(app: &App, mut batch: Batch, record: &WorkloadIssuerRecord, version: u64) -> Result<Reply, Failure> {
    batch.require.push((record.key(), Require::Version(version)));
    batch.put_record(record);
    commit(app, batch, moved).await?;
    Reply::ok(&shown(record)?)
}

async fn find(app: &App, id: &WorkloadIssuerId) -> Result<Versioned<WorkloadIssuerRecord>, Failure> {
    app.store.record(&Key::workload_issuer(id)).await?.ok_or_else(|| Failure::not_found("workload issuer", id))
}

async fn find_unrevoked(app: &App, id: &WorkloadIssuerId) -> Result<Versioned<WorkloadIssuerRecord>, Failure> {
    let found = find(app, id).await?;
    if found.value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("workload issuer `{id}` is revoked")));
    }
    Ok(found)
}

/// The workload issuer that tokens name so, byte by byte; revoked or not. Which one it is never changes.
pub(crate) async fn of_issuer(app: &App, issuer: &str) -> Result<Option<Versioned<WorkloadIssuerRecord>>, Failure> {
    let Some(name) = name(app, issuer).await? else { return Ok(None) };
    let found = app.store.record::<WorkloadIssuerRecord>(&Key::workload_issuer(&name.id)).await?;
    Ok(found.filter(|found| found.value.issuer().as_str() == issuer))
}

async fn name(app: &App, issuer: &str) -> Result<Option<WorkloadIssuerNameRecord>, Failure> {
    let key = Key::workload_issuer_name(&WorkloadIssuerNameRecord::digest_of(issuer));
    Ok(app.store.record::<WorkloadIssuerNameRecord>(&key).await?.map(|found| found.value))
}

/// A workload issuer that vouches for somebody.
pub(super) async fn unrevoked_of(app: &App, issuer: &Issuer) -> Result<Versioned<WorkloadIssuerRecord>, Failure> {
    let name = name(app, issuer.as_str()).await?.ok_or_else(|| {
        Failure::not_found("workload issuer", issuer).with_help("`attorn workload-issuer register`; bytes are compared")
    })?;
    find_unrevoked(app, &name.id).await
}

fn keys(algorithms: &BTreeSet<String>, jwks: &Value) -> Result<(BTreeSet<IssuerAlgorithm>, JsonText), Failure> {
    count("algorithms", algorithms.len(), 1, IssuerAlgorithm::ALL.len())?;
    let algorithms = algorithms.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let given = GivenKeys::parse(jwks.to_string().as_bytes()).map_err(|error: GivenKeysError| invalid(&error))?;
    Ok((algorithms, JsonText::from_canonical(given.text())))
}

fn invalid(error: &dyn std::fmt::Display) -> Failure {
    Failure::of(ProblemCode::InvalidField, format!("`jwks`: {error}"))
}

fn shown(record: &WorkloadIssuerRecord) -> Result<api::WorkloadIssuer, Failure> {
    let given = GivenKeys::parse(record.jwks().as_str().as_bytes()).map_err(Failure::internal)?;
    Ok(api::WorkloadIssuer {
        id: record.id().to_string(),
        issuer: record.issuer().to_string(),
        algorithms: record.algorithms().iter().map(ToString::to_string).collect(),
        keys: given.names().to_vec(),
        created_at_ms: record.created_at().0,
        changed_at_ms: record.changed_at.0,
        revoked_at_ms: record.revoked_at.map(|at| at.0),
    })
}

/// What somebody else could check later is the whole set: a name says little about a key.
fn in_entry(record: &WorkloadIssuerRecord) -> Result<Value, Failure> {
    let jwks: Value = serde_json::from_str(record.jwks().as_str()).map_err(Failure::internal)?;
    let algorithms: Vec<_> = record.algorithms().iter().map(|algorithm| algorithm.as_str()).collect();
    Ok(json!({
        "id": record.id().as_str(), "issuer": record.issuer().as_str(), "algorithms": algorithms, "jwks": jwks,
    }))
}
