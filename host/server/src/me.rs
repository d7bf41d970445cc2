//! `/v1/me`: users see what they have delegated, and revoke it. They come with an access token of a client that is
//! listed for this and is no agent's, for another audience than the exchange's: `http::access` saw to that.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::delegations::{DelegationList, Revoke};
use attorn_api::users::RevokeOfUser;
use attorn_core::DelegationId;
use attorn_store::{Key, KeyPrefix};

use crate::app::App;
use crate::delegations::revoke::{self, By};
use crate::delegations::{self, known_by};
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::note;

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let Some(user) = &call.user()?.id else {
        return Reply::ok(&DelegationList { delegations: Vec::new(), next: None });
    };
    let after = call.query::<DelegationId>("after")?.map(|id| Key::user_delegation(user, &id));
    delegations::page(&app, &KeyPrefix::user_delegations(user), after, call.limit()?).await
}

pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (user, why): (_, Revoke) = (call.user()?, call.json()?);
    note("reason", why.reason.as_deref())?;
    let id: DelegationId = call.path("id")?;
    // Another user's delegation looks like none.
    let known = known_by(&app, &id).await?.filter(|known| user.id.as_ref() == Some(&known.record.value.user));
    if known.is_none() {
        return Err(Failure::not_found("delegation", &id));
    }
    revoke::delegation(&app, &id, &By::User, why.reason.as_deref()).await?;
    Reply::ok(&delegations::shown_by(&app, &id).await?)
}

pub(crate) async fn revoke_all(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (user, wire): (_, RevokeOfUser) = (call.user()?, call.json()?);
    // There is nobody of whom it could be recorded, so that a token of before would still delegate.
    let user = user.id.as_ref().ok_or_else(|| {
        Failure::of(ProblemCode::NotFound, "nothing was ever delegated by this user")
            .with_help("there is nothing to revoke until an agent has brought this user's consent")
    })?;
    revoke::of_user(&app, user, wire, &By::User).await?;
    delegations::page(&app, &KeyPrefix::user_delegations(user), None, call.limit()?).await
}
