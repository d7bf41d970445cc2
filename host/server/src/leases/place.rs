//! Where the login of a decision is to be made: found before the decision is committed, and named by its commit. What it
//! gives is what the target's rules have for the grant's action and resource, and nothing that the agent said.
//!
//! A login does whatever its roles may, as often as it likes: more than the one action of its grant. So policies see that
//! one is wanted ([`wanted`]), the target's rules say of which grants one may come, and it takes all uses of its grant.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::decisions::CredentialKind;
use attorn_broker::KindError;
use attorn_broker::postgresql::{self, Ready};
use attorn_core::{Decision, Grant, LeaseState, SqlName, TargetId, TargetKind, TargetState, WantedCredential};
use attorn_store::records::{LeaseRecord, TargetRecord, TargetTypeRecord};
use attorn_store::{Add, Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::INTENDED_MS;
use crate::app::App;
use crate::decisions::ask::{Ask, Wanted};
use crate::decisions::record::Made;
use crate::http::failure::Failure;
use crate::targets::live::{Live, Probe, database_settings};
use crate::targets::unavailable;
use crate::{entry, random};

/// How long a request waits while as many logins are made there as are made at once.
const WAIT: Duration = Duration::from_secs(5);

/// A target that makes the login, and leave to ask it.
pub(crate) struct Place {
    pub(super) target: Versioned<TargetRecord>,
    pub(super) live: Arc<Live>,
    roles: Vec<SqlName>,
    require: Vec<(Key, Require)>,
    /// What the database is asked meanwhile. Nothing is made before the decision is recorded.
    ready: Early,
}

/// Something that goes on while the decision is recorded, and ends with it.
struct Early(JoinHandle<Result<Ready, KindError>>);

impl Drop for Early {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Leave to ask a target: so many ask one at once, and none that did not answer lately.
pub(crate) struct Turn {
    target: TargetId,
    _permit: OwnedSemaphorePermit,
    _probe: Option<Probe>,
}

/// Wait for leave to ask a target. Whoever keeps others from something meanwhile does not wait.
pub(super) async fn turn(app: &App, (target, live): (&TargetId, &Arc<Live>), waits: bool) -> Result<Turn, Failure> {
    let busy = || unavailable("the target is asked by so many that no more are let in; nothing was decided");
    let issues = Arc::clone(&live.issues);
    let permit = if waits {
        tokio::time::timeout(WAIT, issues.acquire_owned()).await.ok().and_then(Result::ok)
    } else {
        issues.try_acquire_owned().ok()
    };
    let permit = permit.ok_or_else(busy)?;
    Ok(Turn { target: target.clone(), _probe: live.ready(app, waits).await?, _permit: permit })
}

/// What is asked for, as policies see it; none where that is a token.
pub(crate) async fn wanted(
    app: &App,
    wanted: &Wanted,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<WantedCredential>, Failure> {
    // The commit names the version of this target already.
    if let Some(through) = &wanted.through {
        return Ok(Some(WantedCredential { kind: TargetKind::Proxy, target: Some(through.target.clone()) }));
    }
    let kind = match wanted.credential {
        CredentialKind::Token => return Ok(None),
        CredentialKind::Postgresql => TargetKind::Postgresql,
    };
    let key = Key::target_type(&wanted.request.resource.resource_type());
    let tied = app.store.record::<TargetTypeRecord>(&key).await?;
    require.push((key, tied.as_ref().map_or(Require::Absent, |tied| Require::Version(tied.version))));
    Ok(Some(WantedCredential { kind, target: tied.map(|tied| tied.value.target) }))
}

/// Where the login is to be made that was asked for, if one was and it is allowed. Leave to ask is kept in `turn`, from
/// one attempt at a decision to the next.
pub(crate) async fn of(
    app: &App,
    (ask, wanted): (&Ask, Option<&WantedCredential>),
    made: &Made,
    (turn, waits): (&mut Option<Turn>, bool),
) -> Result<Option<Place>, Failure> {
    let wanted = wanted.filter(|wanted| wanted.kind == TargetKind::Postgresql);
    let (Decision::Allow(_), Some(wanted)) = (&made.decision, wanted) else { return Ok(None) };
    let request = &ask.wanted.request;
    let none = |why: String, help: String| Failure::of(ProblemCode::NoTarget, why).with_help(help);
    let token = "a token can be had for it: `attorn decide` without `--login`, `credential` left out";
    let untied = || none(format!("`{}` is tied to no target", request.resource.resource_type()), token.into());
    let key = Key::target(wanted.target.as_ref().ok_or_else(untied)?);
    let target = app.store.record::<TargetRecord>(&key).await?;
    let target = target.ok_or_else(|| Failure::internal("the target of a resource type is gone"))?;
    let TargetRecord { id, settings, state, .. } = &target.value;
    if *state != TargetState::Active {
        let help = format!("no login is made there before an operator says so: `attorn target resume {id}`");
        return Err(none(format!("the target `{id}` is {}", state.as_str()), help));
    }
    let settings =
        settings.postgresql().ok_or_else(|| none(format!("the target `{id}` makes no logins"), token.into()))?;
    if ask.wanted.delegation.is_some() && settings.user_table.is_none() {
        let help = "it is registered without a table of users (`--user-table`): ask its operator";
        return Err(none(format!("the target `{id}` makes no login on behalf of a user"), help.into()));
    }
    let roles = settings.roles(&request.action, &request.resource).map(<[_]>::to_vec);
    let no_rule = || {
        let help =
            format!("its rules say of what a login may come: `attorn target show {id}` shows them to its operators");
        none(format!("the target `{id}` has no rule for `{}` on this resource", request.action), help)
    };
    let roles = roles.ok_or_else(no_rule)?;
    let live = app.targets.live(id);
    if turn.as_ref().is_none_or(|held| held.target != *id) {
        // Leave to ask another target is given back first.
        drop(turn.take());
        *turn = Some(self::turn(app, (id, &live), waits).await?);
    }
    let require = vec![(key, Require::Version(target.version))];
    let (database, for_user) = (live.database(app, &target)?, ask.wanted.delegation.is_some());
    let looked_for = roles.clone();
    let ready = Early(tokio::spawn(async move { database.ready(&looked_for, for_user).await }));
    Ok(Some(Place { target, live, roles, require, ready }))
}

impl Place {
    /// What was found out while the decision was recorded.
    pub(super) async fn ready(&mut self) -> Result<Ready, KindError> {
        (&mut self.ready.0).await.unwrap_or_else(|error| Err(KindError::interrupted(&error)))
    }

    /// Record that a login is to be made of this grant, in the batch that records the grant.
    pub(crate) fn intend(&self, grant: &Grant, batch: &mut Batch) -> Result<LeaseRecord, Failure> {
        let target = &self.target.value;
        let settings = database_settings(target)?;
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
            "expires_at_ms": lease.expires_at.0, "uses": grant.uses_max });
        batch.entries.push(entry::body(batch.now, EntryType::LeaseIntended, members)?);
        batch.require.extend(self.require.iter().cloned());
        // Whoever holds the login needs no token of the same grant, and gets nothing by one.
        let uses = u64::from(grant.uses_max);
        batch.add.push(Add { key: Key::grant_uses(&grant.id), delta: grant.uses_max.into(), at_most: uses });
        lease.open(batch, (settings.leases_max, settings.leases_per_agent_max));
        Ok(lease)
    }
}

/// What an agent reads of whom this counter has no room for another lease; none if it counts something else.
pub(crate) fn full(counter: &Key) -> Option<Failure> {
    let whose = match counter.kind()? {
        KeyKind::OpenLeases => "the target has",
        KeyKind::AgentLeases => "the agent has, at this target,",
        _ => return None,
    };
    Some(unavailable(format!("{whose} as many logins as it may have; nothing was decided")))
}
