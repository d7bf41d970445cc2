//! Making the login of a recorded grant. It is shown only when it is recorded as made and its grant still stands.

use std::time::{Duration, Instant};

use attorn_api::decisions::PostgresqlLogin;
use attorn_broker::postgresql::{ACT, Login, Order, Postgresql};
use attorn_broker::{CredentialKind as _, Ended, KindError};
use attorn_core::{Charge, Grant, GrantId, LeaseState};
use attorn_store::records::{LeaseRecord, TargetRecord};
use attorn_store::{Key, KeyPrefix, Recorded};
use serde_json::{Value, json};

use super::change::{self, Why};
use super::outside;
use super::place::Place;
use crate::app::App;
use crate::decisions::charge_in_record;
use crate::http::failure::Failure;
use crate::metrics::LeaseEvent;
use crate::targets::live::database_settings;
use crate::targets::{misconfigured, unavailable};

/// So long before the lease would be ended as one that nobody finished, nothing is made any more: what the database
/// began in time has come to its end by then.
const SURE: Duration = Duration::from_secs(5);

/// Make the login that was intended with this grant.
pub(crate) async fn login(
    app: &App,
    grant: &Recorded<Grant>,
    (lease, mut place): (LeaseRecord, Place),
    charges: &[Charge],
) -> Result<PostgresqlLogin, Failure> {
    let database = place.live.database(app, &place.target)?;
    let waited = Instant::now();
    let ready = place.ready().await;
    let now = app.clock.now();
    let left = |until: attorn_core::TimeMs| Duration::from_millis(until.ms_since(now));
    let order = Order {
        outside: outside(&lease),
        roles: lease.roles.clone(),
        life: left(lease.expires_at),
        // What was waited for until now counts as well.
        within: left(lease.due_at).saturating_sub(SURE).min(ACT.saturating_sub(waited.elapsed())),
    };
    let made = match ready {
        Ok(ready) => database.issue_ready(grant, &order, Some(ready)).await,
        Err(error) => Err(error),
    };
    place.live.came(app, made.as_ref().err());
    let login = match made {
        Ok(login) => login,
        Err(error) => {
            failed(app, &lease, (Why::IssueFailed, Some(&error)), charges).await?;
            return Err(not_made(&lease, &error).of_decision(&grant.get().decision));
        }
    };
    if let Err(failure) = change::issued(app, grant, &lease).await {
        failed(app, &lease, (Why::NotRecorded, None), charges).await?;
        end_what_ended(app, &database, &lease).await?;
        return Err(failure.of_decision(&grant.get().decision));
    }
    app.metrics.lease(LeaseEvent::Issued);
    Ok(shown(&lease, login))
}

/// What the agent reads. What the database said is not its business.
fn not_made(lease: &LeaseRecord, error: &KindError) -> Failure {
    if error.stays() {
        let detail = "the login could not be made, and cannot be before the target is mended; its grant is worth \
                      nothing, and what was debited stays";
        return misconfigured(&lease.target, detail);
    }
    unavailable("the login could not be made; its grant is worth nothing, and what was debited stays")
}

/// Say that nothing came of it, and have whatever is there ended. What the decision debited stays debited, since nobody
/// knows how far the target came, and an attempt at a target is not for nothing: the entry names it.
async fn failed(
    app: &App,
    lease: &LeaseRecord,
    (why, error): (Why, Option<&KindError>),
    charges: &[Charge],
) -> Result<(), Failure> {
    app.metrics.lease(LeaseEvent::IssueFailed);
    if let Some(error) = error {
        tracing::warn!(lease = %lease.id, target = %lease.target, why = %error, "no login was made");
    }
    let stand: Vec<Value> = charges.iter().map(charge_in_record).collect();
    change::end_saying(app, &lease.id, (why, error), json!({ "debits_stand": stand })).await
}

/// A login that came to be after its lease was ended, which its deadline should not let happen, has nobody who ends it:
/// end it here.
async fn end_what_ended(app: &App, database: &Postgresql, lease: &LeaseRecord) -> Result<(), Failure> {
    let now = change::find(app, &lease.id).await?;
    if now.is_some_and(|now| now.value.is_open()) {
        return Ok(());
    }
    match database.revoke(&outside(lease)).await {
        Ok(Ended::Now) => {
            tracing::error!(lease = %lease.id, name = %lease.name, "a login outlived its lease, and ended");
        }
        Ok(Ended::Before) => {}
        Err(error) => {
            tracing::error!(lease = %lease.id, name = %lease.name, why = %error, "a login outlives its lease");
        }
    }
    Ok(())
}

/// The login that was made of this grant, without its password: that was shown once. None if it does not stand.
pub(crate) async fn shown_before(app: &App, grant: &GrantId) -> Result<Option<PostgresqlLogin>, Failure> {
    let page = app.store.scan(&KeyPrefix::grant_leases(grant), None, 1).await?;
    let Some(id) = page.items.iter().find_map(|(key, _)| key.named_lease()) else { return Ok(None) };
    let Some(lease) = change::find(app, &id).await? else { return Ok(None) };
    if lease.value.state != LeaseState::Issued || lease.value.expires_at <= app.clock.now() {
        return Ok(None);
    }
    let target = app.store.record::<TargetRecord>(&Key::target(&lease.value.target)).await?;
    let Some(target) = target else { return Ok(None) };
    let settings = database_settings(&target.value)?;
    Ok(Some(PostgresqlLogin {
        lease: id.to_string(),
        host: settings.host.to_string(),
        port: settings.port,
        database: settings.database.to_string(),
        user: lease.value.name.to_string(),
        password: None,
        expires_at_ms: lease.value.expires_at.0,
    }))
}

fn shown(lease: &LeaseRecord, login: Login) -> PostgresqlLogin {
    PostgresqlLogin {
        lease: lease.id.to_string(),
        host: login.host,
        port: login.port,
        database: login.database,
        user: login.user,
        password: Some(login.password.to_string()),
        expires_at_ms: lease.expires_at.0,
    }
}
