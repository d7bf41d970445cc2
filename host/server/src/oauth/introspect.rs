//! `POST /oauth/introspect` (RFC 7662): a resource server asks whether a token for it is good now.
//!
//! All that the grant hangs on is looked at as it stands now. Nothing is used up by asking. Whatever is not
//! a good token for the one who asks looks the same: `{"active": false}`.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::oauth::Introspection;
use attorn_core::Grant;
use attorn_identity::{TokenClaims, TokenSubject};
use attorn_store::Key;
use serde_json::{Map, Value};

use super::granted;
use crate::app::App;
use crate::grants::{self, Known};
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::users;

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let server = call.resource_server()?;
    let stored = granted::grant(&app, call.form()?.needed("token")?).await?;
    let claims = match stored.filter(|stored| stored.grant.resource_server == *server) {
        Some(stored) => claims(&app, &stored).await?,
        None => None,
    };
    Reply::ok(&Introspection { active: claims.is_some(), claims: claims.unwrap_or_default() })
}

/// What is said of a token whose grant is good; none if it is not.
async fn claims(app: &App, known: &Known) -> Result<Option<Map<String, Value>>, Failure> {
    let grant = &known.grant;
    match grants::active(app, grant, known.record.value.revoked_at).await {
        Ok(_) => {}
        Err(failure) if failure.problem.code == ProblemCode::GrantInactive => return Ok(None),
        Err(failure) => return Err(failure),
    }
    let left = uses_left(app, grant).await?;
    if left == 0 {
        return Ok(None);
    }
    // The token was made of the grant, so what it says is made of it again.
    let user = match &grant.behalf {
        None => None,
        Some(behalf) => match users::known(app, &behalf.user).await? {
            Some(user) => Some(user),
            None => return Ok(None),
        },
    };
    let subject =
        user.as_ref().map(|user| TokenSubject { issuer: user.body.issuer.as_str(), subject: &user.body.subject });
    let claims = TokenClaims::of(grant, subject.as_ref(), &app.config.public_url).map_err(Failure::internal)?;
    let claims = serde_json::to_value(claims).map_err(Failure::internal)?;
    let Value::Object(mut claims) = claims else { return Err(Failure::internal("a token's claims are no object")) };
    claims.insert("token_type".into(), grant.key_binding.token_type().into());
    claims.insert("uses_left".into(), left.into());
    claims.insert("decision_id".into(), grant.decision.to_string().into());
    Ok(Some(claims))
}

async fn uses_left(app: &App, grant: &Grant) -> Result<u64, Failure> {
    let used = app.store.counter(&Key::grant_uses(&grant.id)).await?;
    let released = app.store.counter(&Key::grant_releases(&grant.id)).await?;
    Ok((u64::from(grant.uses_max) + released).saturating_sub(used))
}
