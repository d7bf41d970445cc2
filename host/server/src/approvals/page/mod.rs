//! The approval page: a user signs in at their provider, reads what is asked in their name, and says yes or no.
//!
//! It is for providers that ask their users and cannot show them for what. The link opens nothing by itself: whoever
//! follows it signs in, anew for each approval ([`crate::providers::backchannel::sign_in`]), and anybody but the very user
//! on whose behalf it is asked sees what is shown of approvals that there are not. Who is signing in, and who has, is in
//! memory, within limits (`visits`); cookies and forms hold names of it that nobody guesses. Pages have no script, and
//! are made of text alone (`html`).
//!
//! The page decides nothing: what comes of it is a vote. It is off where the provider is not set up for it.

mod html;
mod reply;
pub(crate) mod routes;
mod visits;

use attorn_core::ApproverRole;
use attorn_store::records::ApprovalRecord;

use super::asks_for;
use crate::app::App;
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in;

pub(crate) use reply::problem;
pub(crate) use visits::Visits;

/// Where the user of an approval answers; none if they are not asked, or there is no page for them.
pub(crate) async fn link(app: &App, approval: &ApprovalRecord) -> Result<Option<String>, Failure> {
    let Some(user) = approval.user().filter(|_| asks_for(approval, ApproverRole::User)) else { return Ok(None) };
    let is_open = sign_in::place(app, user).await?.is_some();
    Ok(is_open.then(|| format!("{}/approve/{}", app.config.public_url, approval.request.id)))
}
