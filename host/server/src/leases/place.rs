//! Where the login of a decision is to be made: found before the decision is committed, and named by its commit. What it
//! gives is what the target's rules have for the grant's action, and nothing that the agent said.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_broker::postgresql;
use attorn_core::{Decision, Grant, LeaseState, SqlName, TargetState};
use attorn_store::records::{LeaseRecord, TargetRecord, TargetTypeRecord};
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::INTENDED_MS;
use crate::app::App;
use crate::decisions::ask::Ask;
use crate::decisions::record::Made;
use crate::http::failure::Failure;
use crate::targets::live::{Live, databases};
use crate::{entry, random};

/// How long a request waits while as many logins are made there as are made at once.
const WAIT: Duration = Duration::from_secs(5);

/// A target that makes the login, and leave to ask it.
pub(crate) struct Place {
    pub(super) target: Versioned<TargetRecord>,
    pub(super) live: Arc<Live>,
    roles: Vec<SqlName>,
    require: Vec<(Key, Require)>,
    /// Held until the login is made: so many are made in one target at once.
    _permit: OwnedSemaphorePermit,
}

/// Where the login is to be made that was asked for, if one was and it is allowed.
pub(crate) async fn of(app: &App, ask: &Ask, made: &Made) -> Result<Option<Place>, Failure> {
    if ask.wanted.credential.is_token() || !matches!(made.decision, Decision::Allow(_)) {
        return Ok(None);
    }
    let request = &ask.wanted.request;
    let none =
        |why: String| Failure::of(ProblemCode::NoTarget, why).with_help("ask for a token: leave `credential` out");
    let type_key = Key::target_type(&request.resource.resource_type());
    let tied = app.store.record::<TargetTypeRecord>(&type_key).await?;
    let tied = tied.ok_or_else(|| none(format!("`{}` is tied to no target", request.resource.resource_type())))?;
    let key = Key::target(&tied.value.target);
    let target = app.store.record::<TargetRecord>(&key).await?;
    let target = target.ok_or_else(|| Failure::internal(format_args!("target {} is gone", tied.value.target)))?;
    let TargetRecord { id, settings, state, .. } = &target.value;
    if *state != TargetState::Active {
        return Err(none(format!("the target `{id}` is {}", state.as_str())));
    }
    let settings = settings.postgresql().ok_or_else(|| none(format!("the target `{id}` makes no logins")))?;
    if ask.wanted.delegation.is_some() && settings.user_table.is_none() {
        return Err(none(format!("the target `{id}` makes no login on behalf of a user")));
    }
    let roles = settings.roles(&request.action).map(<[_]>::to_vec);
    let roles = roles.ok_or_else(|| none(format!("the target `{id}` gives no role for `{}`", request.action)))?;
    let live = app.targets.live(id);
    let permit = tokio::time::timeout(WAIT, Arc::clone(&live.issues).acquire_owned()).await;
    let busy = || unavailable("so many logins are being made there that no more are begun; nothing was decided");
    let permit = permit.ok().and_then(Result::ok).ok_or_else(busy)?;
    live.ready(app).await?;
    let require = vec![(type_key, Require::Version(tied.version)), (key, Require::Version(target.version))];
    Ok(Some(Place { target, live, roles, require, _permit: permit }))
}

impl Place {
    /// Record that a login is to be made of this grant, in the batch that records the grant.
    pub(crate) fn intend(&self, grant: &Grant, batch: &mut Batch) -> Result<LeaseRecord, Failure> {
        let target = &self.target.value;
        let settings = databases(target)?;
        let name = postgresql::login_name().map_err(Failure::internal)?;
        let lease = LeaseRecord {
            id: random::lease_id()?,
            grant: grant.id,
            agent: grant.agent.clone(),
            target: target.id.clone(),
            name,
            roles: self.roles.clone(),
            state: LeaseState::Intended,
            created_at: batch.now,
            expires_at: grant.expires_at.min(batch.now.plus_ms(settings.lease_ms_max)),
            due_at: batch.now.plus_ms(INTENDED_MS),
            attempts: 0,
            last_error: None,
            ended_at: None,
        };
        let roles: Vec<&str> = lease.roles.iter().map(SqlName::as_str).collect();
        let members = json!({ "lease": lease.id.to_string(), "grant": lease.grant.to_string(),
            "agent": lease.agent.as_str(), "target": lease.target.as_str(), "target_version": self.target.version,
            "kind": "postgresql", "name": lease.name.as_str(), "roles": roles,
            "expires_at_ms": lease.expires_at.0 });
        batch.entries.push(entry::body(batch.now, "lease_intended", members)?);
        batch.require.extend(self.require.iter().cloned());
        lease.open(batch, settings.leases_max);
        Ok(lease)
    }
}

/// The target cannot be asked now. Why, its operators see.
pub(crate) fn unavailable(detail: impl Into<String>) -> Failure {
    Failure::of(ProblemCode::TargetUnavailable, detail).with_help("ask again later, with another idempotency key")
}

/// The target has as many leases as it may have.
pub(crate) fn full() -> Failure {
    unavailable("the target has as many logins as it may have; nothing was decided")
}
