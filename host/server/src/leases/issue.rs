//! Making the login of a recorded grant. It is shown only when it is recorded as made and its grant still stands.

use std::time::Duration;

use attorn_api::decisions::PostgresqlLogin;
use attorn_broker::CredentialKind as _;
use attorn_broker::postgresql::Order;
use attorn_core::Grant;
use attorn_store::Recorded;
use attorn_store::records::LeaseRecord;

use super::change::{self, Why};
use super::outside;
use super::place::{Place, unavailable};
use crate::app::App;
use crate::http::failure::Failure;
use crate::metrics::LeaseEvent;

/// Make the login that was intended with this grant.
pub(crate) async fn login(
    app: &App,
    grant: &Recorded<Grant>,
    (lease, place): (LeaseRecord, Place),
) -> Result<PostgresqlLogin, Failure> {
    let kind = place.live.kind(app, &place.target)?;
    let life = Duration::from_millis(lease.expires_at.ms_since(app.clock.now()));
    let order = Order { outside: outside(&lease), roles: lease.roles.clone(), life };
    let made = kind.issue(grant, &order).await;
    place.live.came(app, made.as_ref().err());
    let login = match made {
        Ok(login) => login,
        Err(error) => {
            app.metrics.lease(LeaseEvent::IssueFailed);
            tracing::warn!(lease = %lease.id, target = %lease.target, why = %error, "no login was made");
            // Whether anything of it is there, nobody knows.
            change::end(app, &lease.id, Why::IssueFailed, Some(&error)).await?;
            return Err(unavailable("the login could not be made; its grant is worth nothing"));
        }
    };
    if let Err(failure) = change::issued(app, grant, &lease).await {
        change::end(app, &lease.id, Why::NotRecorded, None).await?;
        return Err(failure);
    }
    app.metrics.lease(LeaseEvent::Issued);
    Ok(PostgresqlLogin {
        lease: lease.id.to_string(),
        host: login.host,
        port: login.port,
        database: login.database,
        user: login.user,
        password: login.password.to_string(),
        expires_at_ms: lease.expires_at.0,
    })
}
