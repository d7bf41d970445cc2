//! The approval page: a user signs in at their provider, reads what is asked in their name, or of a group that they are in,
//! and says yes or no.
//!
//! It is for providers that ask their users and cannot show them for what, and for groups, whose members nobody asks on
//! their devices. The link opens nothing by itself: whoever follows it signs in, anew for each approval
//! ([`crate::providers::backchannel::sign_in`]), and anybody but the very user on whose behalf it is asked, and those whom
//! the provider says at that moment to be in a group that is asked, sees what is shown of approvals that there are not.
//! Who is signing in is kept by their browser, sealed (`sign_ins`), and who has signed in is in memory, within limits
//! (`visits`); cookies and forms hold names of it that nobody guesses. Pages have no script, and are made of text alone (`html`).
//!
//! The page decides nothing: what comes of it is a vote. It is off where the provider is not set up for it.

mod ended;
mod html;
mod reply;
pub(crate) mod routes;
mod sign_ins;
mod visits;

use attorn_store::records::ApprovalRecord;

use super::{asks_user, groups};
use crate::app::App;
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::{self, Place};

pub(crate) use reply::problem;
pub(crate) use visits::Visits;

/// Where the user of an approval, and the members of groups, answer; none if they are not asked, or there is no page for
/// them.
pub(crate) async fn link(app: &App, approval: &ApprovalRecord) -> Result<Option<String>, Failure> {
    let place = place(app, approval).await?;
    Ok(place.map(|_| format!("{}/approve/{}", app.config.public_url, approval.request.id)))
}

/// Whether those of a group can answer: there is a page for them, and their provider says in which groups they are.
pub(super) async fn admits_groups(app: &App, approval: &ApprovalRecord) -> Result<bool, Failure> {
    Ok(place(app, approval).await?.is_some_and(|place| place.knows_groups()))
}

/// Where those sign in who are asked.
async fn place(app: &App, approval: &ApprovalRecord) -> Result<Option<Place>, Failure> {
    let asks = asks_user(approval) || !groups(approval).is_empty();
    match approval.user().filter(|_| asks) {
        Some(user) => sign_in::place(app, user).await,
        None => Ok(None),
    }
}
