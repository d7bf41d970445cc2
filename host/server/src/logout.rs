//! `POST /v1/backchannel-logout`: a provider says that a user logged out (OpenID Connect Back-Channel Logout 1.0).
//!
//! With a session, that session ends; without, all that the user delegated does, and only a later login makes
//! anything new. A logout that says nothing new is answered like one that does: whoever asks learns nothing.

use std::sync::Arc;

use attorn_store::records::{SessionNameRecord, SessionRecord};
use attorn_store::{Batch, Key, Require};
use serde_json::json;

use crate::app::App;
use crate::decisions::veil;
use crate::delegations::refused;
use crate::delegations::revoke::{self, By};
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::providers::{self, LogoutToken};
use crate::random;
use crate::registry::{commit, moved};
use crate::users::{self, names};

/// How long a session that nobody knows is remembered as ended: no token lives longer.
const REMEMBERED_MS: u64 = 24 * 3_600_000;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let token = providers::logout_token(&app, call.form()?.needed("logout_token")?).await.map_err(refused)?;
    match &token.session {
        Some(sid) => end_session(&app, &token, sid).await?,
        None => end_all(&app, &token).await?,
    }
    Reply::ok(&json!({}))
}

/// End a session. One that nobody has delegated in yet is remembered as ended, by its keyed hash alone and for as
/// long as a token of it can live: what would be delegated in it later must not stand.
async fn end_session(app: &App, token: &LogoutToken, sid: &str) -> Result<(), Failure> {
    let provider = &token.provider.value;
    let issuer = &provider.issuer;
    let Some(id) = names::find_session(app, issuer, sid).await? else {
        let name = names::session_name(app, issuer, sid);
        let mut batch = Batch::new(app.clock.now());
        let about = json!({ "session": null, "user": null, "reason": "logged out before anything was delegated" });
        By::Provider(provider.id.as_str()).act(&mut batch, "session_ended", about)?;
        batch.require.push((Key::session_name(&name), Require::Absent));
        let until = batch.now.plus_ms(REMEMBERED_MS);
        batch.put.push((Key::expiry(until, &Key::session_name(&name)), Vec::new()));
        batch.put_record(&SessionNameRecord { name, session: random::session_id()? });
        return commit(app, batch, moved).await.map(drop);
    };
    let found = app.store.record::<SessionRecord>(&Key::session(&id)).await?;
    let Some(found) = found.filter(|found| found.value.ended_at.is_none()) else { return Ok(()) };
    if let Some(subject) = &token.subject {
        // A session of somebody else's is not theirs to end.
        let user = names::find_user(app, issuer, subject).await?;
        if user.is_none_or(|user| user.value != found.value.user) {
            return Ok(());
        }
    }
    revoke::session(app, found, &By::Provider(token.provider.value.id.as_str()), None).await.map(drop)
}

async fn end_all(app: &App, token: &LogoutToken) -> Result<(), Failure> {
    let provider = &token.provider.value;
    let Some(subject) = &token.subject else { return Ok(()) };
    let Some(found) = names::find_user(app, &provider.issuer, subject).await? else { return Ok(()) };
    let Some(user) = users::known(app, &found.value).await? else { return Ok(()) };
    let mut batch = Batch::new(app.clock.now());
    revoke::revoke_all(&mut batch, &user, None)?;
    let about = json!({ "user": veil::user(&found.value, &user.key), "agent": null, "reason": "logged out" });
    By::Provider(provider.id.as_str()).act(&mut batch, "user_delegations_revoked", about)?;
    commit(app, batch, moved).await.map(drop)
}
