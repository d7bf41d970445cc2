//! `grant_type=urn:openid:params:grant-type:ciba` at `/oauth/token`: what came of an authentication request (CIBA Core
//! 1.0, sections 10.1 and 11).
//!
//! The first poll decides, and that asks for an approval where a policy wants one. As long as that waits, polls look at it
//! and nothing is decided; when it was given, the next decides again and spends it.

use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};
use attorn_api::oauth::OAuthCode;
use attorn_core::{ApprovalId, ApprovalState};
use attorn_store::Key;
use attorn_store::records::ApprovalRecord;

use super::{Found, authorize};
use crate::app::App;
use crate::approvals::{POLL_MS, page, state};
use crate::decisions;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::oauth::details;
use crate::oauth::form::Form;

/// What a poll is answered with.
pub(in crate::oauth) enum PollReply {
    /// It was decided, and is no challenge.
    Decided(Box<DecisionAnswer>),
    /// It waits for an approval.
    Pending(ApprovalReference),
    /// It comes to nothing, for a reason of CIBA's.
    Over(OAuthCode, &'static str),
}

/// See what came of it.
pub(in crate::oauth) async fn poll(app: &App, call: &Call, form: &Form) -> Result<PollReply, Failure> {
    let (agent, now) = (&call.agent()?.agent.value.agent().id, app.clock.now());
    let name = authorize::digest(form.needed("auth_req_id")?);
    let (element, approval) = match app.auth_requests.turn(&name, agent, now) {
        Found::Turn { element, approval } => (element, approval),
        Found::SlowDown => {
            return Ok(PollReply::Over(OAuthCode::SlowDown, "wait five seconds longer between two polls"));
        }
        Found::Expired => {
            return Ok(PollReply::Over(OAuthCode::ExpiredToken, "the authentication request has expired"));
        }
        Found::Unknown => {
            let detail = "`auth_req_id` names no authentication request of this client's, or one that is over";
            return Ok(PollReply::Over(OAuthCode::InvalidGrant, detail));
        }
    };
    let came = Box::pin(turn(app, call, &element, approval)).await;
    match &came {
        Ok((PollReply::Pending(_), waits)) => app.auth_requests.waits(&name, *waits),
        Ok(_) => app.auth_requests.done(&name),
        // It was not decided, so that the next poll can.
        Err(_) => app.auth_requests.waits(&name, approval),
    }
    came.map(|(came, _)| came)
}

async fn turn(
    app: &App,
    call: &Call,
    element: &str,
    approval: Option<ApprovalId>,
) -> Result<(PollReply, Option<ApprovalId>), Failure> {
    if let Some(id) = approval
        && let Some(came) = looked_at(app, &id).await?
    {
        return Ok((came, approval));
    }
    let answer = decisions::made(app, call, details::of_element(element)?).await?;
    let waits = match (&answer.decision, &answer.approval) {
        (DecisionKind::Challenge, Some(approval)) => approval.clone(),
        _ => return Ok((PollReply::Decided(Box::new(answer)), None)),
    };
    let id = waits.id.parse().map_err(Failure::internal)?;
    Ok((PollReply::Pending(waits), Some(id)))
}

/// What the approval says; none if it was given, so that it is to be decided again.
async fn looked_at(app: &App, id: &ApprovalId) -> Result<Option<PollReply>, Failure> {
    let found = app.store.record::<ApprovalRecord>(&Key::approval(id)).await?;
    let Some(found) = found else {
        return Ok(Some(PollReply::Over(OAuthCode::ExpiredToken, "the approval that this waited for has lapsed")));
    };
    Ok(match state(app, &found, app.clock.now()).await? {
        ApprovalState::Approved => None,
        ApprovalState::Pending => Some(PollReply::Pending(ApprovalReference {
            id: id.to_string(),
            code: found.value.code.clone(),
            expires_at_ms: found.value.request.expires_at.0,
            poll_ms: POLL_MS,
            page: page::link(app, &found.value).await?,
        })),
        ApprovalState::Refused => Some(PollReply::Over(OAuthCode::AccessDenied, "somebody has refused this")),
        ApprovalState::Lapsed => {
            Some(PollReply::Over(OAuthCode::ExpiredToken, "the approval that this waited for has lapsed"))
        }
        ApprovalState::Spent => {
            Some(PollReply::Over(OAuthCode::InvalidGrant, "the approval that this waited for was spent already"))
        }
    })
}
