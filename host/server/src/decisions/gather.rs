//! What a decision rests on, read once, each with the version that the commit names.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::Resource;
use attorn_store::records::{AgentRecord, IdempotencyRecord, ResourceServerRecord, ResourceTypeRecord};
use attorn_store::{Key, Require, Versioned};

use super::ask::Ask;
use crate::active::ActiveSet;
use crate::app::App;
use crate::http::failure::Failure;

/// What was found.
pub(super) enum Gathered {
    /// The same was asked before, and its decision stands.
    Earlier(Box<Versioned<IdempotencyRecord>>),
    /// It is to be decided now.
    Now(Box<Ground>),
}

/// What a decision rests on.
pub(super) struct Ground {
    pub(super) agent: Versioned<AgentRecord>,
    pub(super) resource_server: Option<Versioned<ResourceServerRecord>>,
    pub(super) active: Arc<ActiveSet>,
    /// What must still hold when the decision is committed.
    pub(super) require: Vec<(Key, Require)>,
}

/// Read it. The agent is read again although authentication has read it: if it changed since, or
/// changes until the commit, the decision is made anew.
pub(super) async fn gather(app: &App, ask: &Ask) -> Result<Gathered, Failure> {
    let mut require = Vec::new();
    if let Some(idempotency) = &ask.idempotency {
        let key = Key::idempotency(&ask.agent, &idempotency.key_digest);
        match app.store.record::<IdempotencyRecord>(&key).await? {
            Some(earlier) if app.clock.now() < earlier.value.expires_at => {
                if earlier.value.request_digest != idempotency.request_digest {
                    let detail = "the idempotency key was used for another request of this agent";
                    return Err(Failure::of(ProblemCode::IdempotencyConflict, detail).with_help("take a new key"));
                }
                return Ok(Gathered::Earlier(Box::new(earlier)));
            }
            Some(expired) => require.push((key, Require::Version(expired.version))),
            None => require.push((key, Require::Absent)),
        }
    }
    let agent = app.store.record::<AgentRecord>(&Key::agent(&ask.agent)).await?;
    let agent = agent.ok_or_else(|| Failure::internal(format_args!("agent {} is gone", ask.agent)))?;
    require.push((Key::agent(&ask.agent), Require::Version(agent.version)));
    let active = app.active.snapshot();
    let version = active.store_version;
    require.push((Key::active_set(), if version == 0 { Require::Absent } else { Require::Version(version) }));
    let resource_server = resource_server(app, &ask.request.resource, &mut require).await?;
    Ok(Gathered::Now(Box::new(Ground { agent, resource_server, active, require })))
}

/// Who accepts credentials for this resource, if anybody does.
pub(crate) async fn resource_server(
    app: &App,
    resource: &Resource,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<Versioned<ResourceServerRecord>>, Failure> {
    let type_key = Key::resource_type(&resource.resource_type());
    let Some(owner) = app.store.record::<ResourceTypeRecord>(&type_key).await? else {
        require.push((type_key, Require::Absent));
        return Ok(None);
    };
    require.push((type_key, Require::Version(owner.version)));
    let key = Key::resource_server(&owner.value.resource_server);
    let Some(server) = app.store.record::<ResourceServerRecord>(&key).await? else {
        require.push((key, Require::Absent));
        return Ok(None);
    };
    require.push((key, Require::Version(server.version)));
    Ok(server.value.revoked_at.is_none().then_some(server))
}
