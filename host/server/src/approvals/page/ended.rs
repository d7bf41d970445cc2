//! Whether somebody who signed in for an approval is still there: whoever logged out since, of that session or of all, or
//! was made to, says neither yes nor no any more.

use attorn_core::{Issuer, UserId};
use attorn_store::records::{SessionNameRecord, SessionRecord};
use attorn_store::{Key, Require};

use crate::app::App;
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::{Arrival, SignedIn};
use crate::users::{self, names};

/// Whether they are gone. What that they are not rests on is named in `require`.
pub(super) async fn is_gone(
    app: &App,
    (issuer, user): (&Issuer, &UserId),
    arrival: &Arrival,
    require: &mut Vec<(Key, Require)>,
) -> Result<bool, Failure> {
    if let Some(sid) = &arrival.session
        && has_ended(app, (issuer, sid), require).await?
    {
        return Ok(true);
    }
    let user = match &arrival.who {
        SignedIn::User => Some(user.clone()),
        SignedIn::Another(somebody) => names::find_user(app, issuer, &somebody.subject).await?.map(|found| found.value),
    };
    // Of somebody new it is found out when they become a user by their vote.
    let Some(user) = user else { return Ok(false) };
    let Some(known) = users::known(app, &user).await? else { return Ok(false) };
    require.push((Key::user(&user), Require::Version(known.record.version)));
    // A logout of a session that has no name here is of whatever has none.
    let unnamed = known.body.unnamed_login_after.filter(|_| arrival.session.is_none());
    let ended = [known.body.login_after, unnamed].into_iter().flatten().map(|at| app.clock.remembered(at)).max();
    Ok(ended.is_some_and(|ended| arrival.begun_at <= ended))
}

/// Whether the provider's session of this name has ended, as far as that is known here. Of one that ended before anything
/// was delegated in it the name alone is left.
async fn has_ended(
    app: &App,
    (issuer, sid): (&Issuer, &str),
    require: &mut Vec<(Key, Require)>,
) -> Result<bool, Failure> {
    let key = Key::session_name(&names::session_name(app, issuer, sid));
    let Some(name) = app.store.record::<SessionNameRecord>(&key).await? else {
        require.push((key, Require::Absent));
        return Ok(false);
    };
    require.push((key, Require::Version(name.version)));
    let key = Key::session(&name.value.session);
    let Some(session) = app.store.record::<SessionRecord>(&key).await? else { return Ok(true) };
    require.push((key, Require::Version(session.version)));
    Ok(session.value.ended_at.is_some())
}
