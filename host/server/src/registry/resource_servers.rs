//! `/v1/resource-servers`.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::resource_servers as api;
use attorn_core::{ResourceServer, ResourceServerId, ResourceType, UseCounting};
use attorn_store::records::{KeyOwner, KeyOwnerRecord, ResourceServerRecord, ResourceTypeRecord};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use super::{commit, count, keys, moved, page, why};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::RegisterResourceServer) = (call.operator()?, call.json()?);
    count("resource types", wire.resource_types.len(), 1, 64)?;
    let (key_thumbprint, jwk) = keys::parse(&wire.jwk)?;
    let resource_types: BTreeSet<ResourceType> =
        wire.resource_types.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let counts_uses = match wire.counts_uses {
        api::UseCounting::Reports => UseCounting::Reports,
        api::UseCounting::Remembers => UseCounting::Remembers,
        api::UseCounting::No => UseCounting::No,
    };
    let server = ResourceServer {
        id: wire.id.parse()?,
        audience: wire.audience.parse()?,
        resource_types,
        key_thumbprint,
        counts_uses,
    };
    let id = server.id.clone();
    let mut batch = Batch::new(app.clock.now());
    batch.require.push((Key::resource_server(&id), Require::Absent));
    batch.require.push((Key::key_owner(&server.key_thumbprint), Require::Absent));
    let owner = KeyOwner::ResourceServer(id.clone());
    batch.put_record(&KeyOwnerRecord { thumbprint: server.key_thumbprint.clone(), owner, registrar: None });
    for resource_type in &server.resource_types {
        batch.require.push((Key::resource_type(resource_type), Require::Absent));
        batch.put_record(&ResourceTypeRecord { resource_type: resource_type.clone(), resource_server: id.clone() });
    }
    let record = ResourceServerRecord { server, jwk, created_at: batch.now, revoked_at: None };
    let mut about = json!(shown(&record));
    // The thumbprint names the key.
    if let Some(members) = about.as_object_mut() {
        members.remove("jwk");
    }
    entry::act(&mut batch, operator, EntryType::ResourceServerRegistered, about)?;
    batch.put_record(&record);
    let taken = taken(&app, &record).await?;
    commit(&app, batch, || taken.unwrap_or_else(moved)).await?;
    Reply::created(&shown(&record))
}

/// What of it is taken, if anything is: the id, a type, or the key.
async fn taken(app: &App, record: &ResourceServerRecord) -> Result<Option<Failure>, Failure> {
    let id = &record.server.id;
    if app.store.get(&Key::resource_server(id)).await?.is_some() {
        let detail = format!("resource server `{id}` exists already; ids are never used again");
        return Ok(Some(Failure::of(ProblemCode::AlreadyExists, detail)));
    }
    for resource_type in &record.server.resource_types {
        if app.store.get(&Key::resource_type(resource_type)).await?.is_some() {
            let detail = format!("the resource type `{resource_type}` belongs to another resource server");
            return Ok(Some(Failure::of(ProblemCode::ResourceTypeTaken, detail)));
        }
    }
    let key_taken = app.store.get(&Key::key_owner(&record.server.key_thumbprint)).await?.is_some();
    Ok(key_taken
        .then(|| Failure::of(ProblemCode::KeyTaken, "the key is registered already, for this or another holder")))
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<ResourceServerId>("after")?.map(|id| Key::resource_server(&id));
    let (records, more) = page::<ResourceServerRecord>(&app, KeyKind::ResourceServer, after, call.limit()?).await?;
    let resource_servers: Vec<_> = records.iter().map(shown).collect();
    let next = more.then(|| resource_servers.last().map(|server| server.id.clone())).flatten();
    Reply::ok(&api::ResourceServerList { resource_servers, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(&find(&app, &call.path("id")?).await?.value))
}

/// Its types stay its own, so that no other server can take over what its credentials meant; requests
/// for them are denied.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: ResourceServerId = call.path("id")?;
    let Versioned { mut value, version, .. } = find(&app, &id).await?;
    if value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("resource server `{id}` is revoked already")));
    }
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "id": id.as_str(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::ResourceServerRevoked, about)?;
    batch.require.push((Key::resource_server(&id), Require::Version(version)));
    batch.put_record(&value);
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&value))
}

async fn find(app: &App, id: &ResourceServerId) -> Result<Versioned<ResourceServerRecord>, Failure> {
    app.store.record(&Key::resource_server(id)).await?.ok_or_else(|| Failure::not_found("resource server", id))
}

fn shown(record: &ResourceServerRecord) -> api::ResourceServer {
    let server = &record.server;
    api::ResourceServer {
        id: server.id.to_string(),
        audience: server.audience.to_string(),
        resource_types: server.resource_types.iter().map(ToString::to_string).collect(),
        jwk: keys::shown(&record.jwk),
        key_thumbprint: server.key_thumbprint.to_string(),
        counts_uses: match server.counts_uses {
            UseCounting::Reports => api::UseCounting::Reports,
            UseCounting::Remembers => api::UseCounting::Remembers,
            UseCounting::No => api::UseCounting::No,
        },
        created_at_ms: record.created_at.0,
        revoked_at_ms: record.revoked_at.map(|at| at.0),
    }
}
