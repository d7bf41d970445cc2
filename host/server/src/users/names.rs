//! By what names users and sessions are found: keyed hashes, so that the store alone does not say who is in it.

use attorn_core::{Digest, Issuer, SessionId, UserId};
use attorn_store::records::{SessionNameRecord, UserNameRecord};
use attorn_store::{Key, Versioned};

use crate::app::App;
use crate::http::failure::Failure;

/// What stands for a user's name in the store.
pub(crate) fn user_name(app: &App, issuer: &Issuer, subject: &str) -> Digest {
    app.names.hash("user", issuer.as_str(), subject)
}

/// What stands for a session's name in the store.
pub(crate) fn session_name(app: &App, issuer: &Issuer, sid: &str) -> Digest {
    app.names.hash("session", issuer.as_str(), sid)
}

/// The user whom a provider calls so.
pub(crate) async fn find_user(app: &App, issuer: &Issuer, subject: &str) -> Result<Option<Versioned<UserId>>, Failure> {
    let name = user_name(app, issuer, subject);
    let found = app.store.record::<UserNameRecord>(&Key::user_name(&name)).await?;
    Ok(found.map(|found| Versioned { value: found.value.user, version: found.version, entries: found.entries }))
}

/// The session that a provider calls so.
pub(crate) async fn find_session(app: &App, issuer: &Issuer, sid: &str) -> Result<Option<SessionId>, Failure> {
    let name = session_name(app, issuer, sid);
    let found = app.store.record::<SessionNameRecord>(&Key::session_name(&name)).await?;
    Ok(found.map(|found| found.value.session))
}
