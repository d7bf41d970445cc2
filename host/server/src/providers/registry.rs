//! `/v1/providers`: which providers are trusted. Every change is one batch with its entry, which holds the whole
//! configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::providers as api;
use attorn_core::ProviderId;
use attorn_store::records::{ProviderIssuerRecord, ProviderRecord, Record as _, WorkloadIssuerNameRecord};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use super::wire;
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, page, why};

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, configuration): (_, api::ProviderConfiguration) = (call.operator()?, call.json()?);
    let mut batch = Batch::new(app.clock.now());
    let record = wire::record(&configuration, batch.now)?;
    check_agents(&app, &record).await?;
    let issuer = ProviderIssuerRecord { issuer: record.issuer.clone(), provider: record.id.clone() };
    entry::act(&mut batch, operator, EntryType::ProviderRegistered, wire::shown_configuration(&record))?;
    batch.require.push((record.key(), Require::Absent));
    batch.require.push((issuer.key(), Require::Absent));
    batch.require.push((workload_key(&issuer), Require::Absent));
    batch.put_record(&record);
    batch.put_record(&issuer);
    let taken = taken(&app, &record, &issuer).await?;
    commit(&app, batch, || taken.unwrap_or_else(moved)).await?;
    Reply::created(&wire::shown(&record))
}

/// Where a workload issuer of these bytes would stand. Who issues tokens of users issues none of workloads.
fn workload_key(issuer: &ProviderIssuerRecord) -> Key {
    Key::workload_issuer_name(&WorkloadIssuerNameRecord::digest_of(issuer.issuer.as_str()))
}

/// What of it is taken, if anything is: the id, or the issuer. Both stay so after a revocation.
async fn taken(app: &App, record: &ProviderRecord, issuer: &ProviderIssuerRecord) -> Result<Option<Failure>, Failure> {
    let exists = |detail: String| Some(Failure::of(ProblemCode::AlreadyExists, detail));
    if app.store.get(&record.key()).await?.is_some() {
        return Ok(exists(format!("provider `{}` exists already; ids are never used again", record.id)));
    }
    if let Some(other) = app.store.record::<ProviderIssuerRecord>(&issuer.key()).await? {
        let provider = app.store.record::<ProviderRecord>(&Key::provider(&other.value.provider)).await?;
        let revoked = provider.is_some_and(|provider| provider.value.revoked_at.is_some());
        let since = if revoked { ", which was revoked: its issuer stays taken for ever" } else { "" };
        let detail =
            format!("the issuer `{}` is that of the provider `{}`{since}", issuer.issuer, other.value.provider);
        return Ok(exists(detail));
    }
    let workloads = app.store.record::<WorkloadIssuerNameRecord>(&workload_key(issuer)).await?;
    Ok(workloads.and_then(|other| {
        exists(format!("the issuer `{}` is that of the workload issuer `{}`", issuer.issuer, other.value.id))
    }))
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<ProviderId>("after")?.map(|id| Key::provider(&id));
    let (records, more) = page::<ProviderRecord>(&app, KeyKind::Provider, after, call.limit()?).await?;
    let providers: Vec<_> = records.iter().map(wire::shown).collect();
    let next = more.then(|| providers.last().map(|provider| provider.configuration.id.clone())).flatten();
    Reply::ok(&api::ProviderList { providers, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    Reply::ok(&wire::shown(&find(&app, &call.path("id")?).await?.value))
}

/// Replace what is recorded, but for id and issuer: users are known by their issuer.
pub(crate) async fn update(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, configuration): (_, api::ProviderConfiguration) = (call.operator()?, call.json()?);
    let Versioned { value, version, .. } = find_active(&app, &call.path("id")?).await?;
    let record = wire::record(&configuration, value.created_at)?;
    if (&record.id, &record.issuer) != (&value.id, &value.issuer) {
        let detail = format!("provider `{}` has the issuer `{}`, and neither ever changes", value.id, value.issuer);
        return Err(Failure::of(ProblemCode::InvalidField, detail).with_help("register another provider"));
    }
    check_agents(&app, &record).await?;
    let mut batch = Batch::new(app.clock.now());
    entry::act(&mut batch, operator, EntryType::ProviderUpdated, wire::shown_configuration(&record))?;
    replace(&app, batch, &record, version).await
}

/// Its issuer stays taken, so that nobody else can speak for its users.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let Versioned { mut value, version, .. } = find_active(&app, &call.path("id")?).await?;
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "id": value.id.as_str(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::ProviderRevoked, about)?;
    replace(&app, batch, &value, version).await
}

async fn replace(app: &App, mut batch: Batch, record: &ProviderRecord, version: u64) -> Result<Reply, Failure> {
    batch.require.push((record.key(), Require::Version(version)));
    batch.put_record(record);
    commit(app, batch, moved).await?;
    Reply::ok(&wire::shown(record))
}

pub(super) async fn find(app: &App, id: &ProviderId) -> Result<Versioned<ProviderRecord>, Failure> {
    app.store.record(&Key::provider(id)).await?.ok_or_else(|| Failure::not_found("provider", id))
}

pub(super) async fn find_active(app: &App, id: &ProviderId) -> Result<Versioned<ProviderRecord>, Failure> {
    let found = find(app, id).await?;
    if found.value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("provider `{id}` is revoked, and stays so")));
    }
    Ok(found)
}

/// A client that names nobody is a mistake. Ids of agents are never used again, so who is there stays who it is.
async fn check_agents(app: &App, record: &ProviderRecord) -> Result<(), Failure> {
    for agent in record.clients.values().collect::<BTreeSet<_>>() {
        if app.store.get(&Key::agent(agent)).await?.is_none() {
            return Err(Failure::of(ProblemCode::InvalidField, format!("`clients`: there is no agent `{agent}`"))
                .with_help("register it first: `attorn agent register`"));
        }
    }
    Ok(())
}
