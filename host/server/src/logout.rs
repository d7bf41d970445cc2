//! `POST /v1/backchannel-logout`: a provider says that a user logged out (OpenID Connect Back-Channel Logout 1.0).
//!
//! With a session, that session ends; without, all that the user delegated does, and only a later login makes
//! anything new. A logout that says nothing new is answered like one that does: whoever asks learns nothing.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::oauth::OAuthCode;
use attorn_core::TimeMs;
use attorn_store::records::{LogoutRecord, SessionNameRecord, SessionRecord, UserBody};
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
use crate::registry::moved;
use crate::users::{self, KnownUser, names};

/// How long a session that nobody knows is remembered as ended: no token lives longer.
pub(crate) const REMEMBERED_MS: u64 = attorn_identity::issuer_token::LIFETIME_MS_MAX;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let token = providers::logout_token(&app, call.form()?.needed("logout_token")?, Some(call.from)).await;
    let token = token.map_err(|why| invalid(refused(why)))?;
    // A provider tells it once, so whoever is busy with what it ends does not make it be lost.
    for _ in 0..revoke::ATTEMPTS_MAX {
        if told(&app, &token).await? {
            return Reply::ok(&json!({}));
        }
    }
    Err(moved())
}

/// A token that is not taken is a bad request (section 2.8): nobody brought a grant here.
fn invalid(failure: Failure) -> Failure {
    match failure.problem.code {
        ProblemCode::SubjectTokenRefused => Failure { oauth: Some(OAuthCode::InvalidRequest), ..failure },
        _ => failure,
    }
}

/// What is not done yet of what a token tells; false if something moved meanwhile.
async fn told(app: &App, token: &LogoutToken) -> Result<bool, Failure> {
    let Some(sid) = &token.session else { return of_user(app, token, Extent::All).await };
    let issuer = &token.provider.value.issuer;
    let Some(id) = names::find_session(app, issuer, sid).await? else {
        // Nobody has delegated in it, or whoever did had tokens that do not name it: those sessions are ours.
        return Ok(of_user(app, token, Extent::Unnamed).await? && remember_session(app, token, sid).await?);
    };
    if let Some(subject) = &token.subject {
        let found = app.store.record::<SessionRecord>(&Key::session(&id)).await?;
        let user = names::find_user(app, issuer, subject).await?;
        // A session of somebody else's is not theirs to end.
        if found.is_some_and(|found| user.is_none_or(|user| user.value != found.value.user)) {
            return Ok(true);
        }
    }
    revoke::session(app, &id, &By::Provider(token.provider.value.id.as_str()), None).await?;
    Ok(true)
}

/// Remember a session as ended, by its keyed hash alone and for as long as a token of it can live: what would be
/// delegated in it later must not stand.
async fn remember_session(app: &App, token: &LogoutToken, sid: &str) -> Result<bool, Failure> {
    let provider = &token.provider.value;
    let name = names::session_name(app, &provider.issuer, sid);
    let mut batch = Batch::new(app.clock.now());
    let about = json!({ "session": null, "user": null, "reason": "logged out before anything was delegated in it" });
    By::Provider(provider.id.as_str()).act(&mut batch, EntryType::SessionEnded, about)?;
    batch.require.push((Key::session_name(&name), Require::Absent));
    let until = batch.now.plus_ms(REMEMBERED_MS);
    batch.put.push((Key::expiry(until, &Key::session_name(&name)), Vec::new()));
    batch.put_record(&SessionNameRecord { name, session: random::session_id()? });
    revoke::happened(app, batch).await
}

/// How much of a user's ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All that they delegated.
    All,
    /// What was delegated in sessions that the host opened, because the tokens named none.
    Unnamed,
}

/// Whether all that a logout ends was ended by one that is remembered. One that is remembered for a time that has not
/// come yet was before the server's time was set back, and says nothing of what began since.
fn says_nothing_new(issued_at: TimeMs, remembered: TimeMs, now: TimeMs) -> bool {
    issued_at <= remembered && remembered <= now
}

/// End what is a user's, unless a logout as late as this one did already: a token that somebody sends again ends
/// nothing that began since.
async fn of_user(app: &App, token: &LogoutToken, extent: Extent) -> Result<bool, Failure> {
    let provider = &token.provider.value;
    let Some(subject) = &token.subject else { return Ok(true) };
    let Some(found) = names::find_user(app, &provider.issuer, subject).await? else {
        return remember_user(app, token, subject).await;
    };
    let Some(user) = users::known(app, &found.value).await? else { return Ok(true) };
    let since = match extent {
        Extent::All => user.body.logged_out_at,
        Extent::Unnamed => user.body.unnamed_logged_out_at.max(user.body.logged_out_at),
    };
    let mut batch = Batch::new(app.clock.now());
    if since.is_some_and(|since| says_nothing_new(token.issued_at, since, batch.now)) {
        return Ok(true);
    }
    let mut about = json!({ "user": veil::user(&found.value, &user.key), "agent": null, "reason": "logged out" });
    let by = By::Provider(provider.id.as_str());
    match extent {
        Extent::All => {
            let mut body = user.body.clone();
            body.logged_out_at = Some(batch.now);
            revoke::revoke_all(&mut batch, &KnownUser { body, ..user }, None)?;
            by.act(&mut batch, EntryType::UserDelegationsRevoked, about)?;
        }
        Extent::Unnamed => {
            let body = UserBody {
                unnamed_login_after: Some(batch.now),
                unnamed_logged_out_at: Some(batch.now),
                unnamed_revocations: user.body.unnamed_revocations + 1,
                ..user.body.clone()
            };
            revoke::put_user(&mut batch, &user, &body, user.record.value.revocations)?;
            about["session"] = "those that the server opened".into();
            by.act(&mut batch, EntryType::SessionEnded, about)?;
        }
    }
    revoke::happened(app, batch).await
}

/// Somebody logged out who is nobody here yet: their first token has to be of a later login.
async fn remember_user(app: &App, token: &LogoutToken, subject: &str) -> Result<bool, Failure> {
    let provider = &token.provider.value;
    let name = names::user_name(app, &provider.issuer, subject);
    let key = Key::logout(&name);
    let found = app.store.record::<LogoutRecord>(&key).await?;
    let mut batch = Batch::new(app.clock.now());
    if found.as_ref().is_some_and(|found| says_nothing_new(token.issued_at, found.value.at, batch.now)) {
        return Ok(true);
    }
    let about = json!({ "user": null, "agent": null, "reason": "logged out before anything was delegated" });
    By::Provider(provider.id.as_str()).act(&mut batch, EntryType::UserDelegationsRevoked, about)?;
    batch.require.push((Key::user_name(&name), Require::Absent));
    batch.require.push((key.clone(), found.map_or(Require::Absent, |found| Require::Version(found.version))));
    batch.put.push((Key::expiry(batch.now.plus_ms(REMEMBERED_MS), &key), Vec::new()));
    batch.put_record(&LogoutRecord { name, at: batch.now });
    revoke::happened(app, batch).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logout_says_nothing_new_if_one_as_late_is_remembered_that_has_been() {
        let (at, hour_ms) = (TimeMs(10_000_000), 3_600_000);
        for (remembered, now, expect) in [
            (at, at, true),
            (TimeMs(at.0 - 1), at, false),
            (at.plus_ms(hour_ms), at.plus_ms(hour_ms), true),
            // The clock was wrong when that one came.
            (at.plus_ms(hour_ms), at, false),
        ] {
            assert_eq!(says_nothing_new(at, remembered, now), expect, "{remembered} {now}");
        }
    }
}
