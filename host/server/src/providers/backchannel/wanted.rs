//! What a prompt has to do with its approval: when one is asked for a prompt is recorded, as long as the approval waits
//! the prompt goes on, and what the user says becomes their vote.
//!
//! A prompt decides nothing. Whether the vote counts is seen to where votes are cast.

use attorn_api::ProblemCode;
use attorn_api::approvals::Asked;
use attorn_api::oauth::ATTORN_APPROVAL;
use attorn_core::{Approver, ApproverRole, Digest, Say, TimeMs};
use attorn_store::records::{ApprovalRecord, BackchannelRecord, PromptRecord, UserBody};
use attorn_store::{Key, Versioned};
use serde_json::json;

use super::prompts;
use crate::app::App;
use crate::approvals::vote::{self, Ballot, Voter};
use crate::approvals::{asks_for, content, state};
use crate::http::failure::Failure;
use crate::metrics::PromptEvent;

/// The most bytes of arguments that a provider is told.
const ARGUMENTS_BYTES_MAX: usize = 2 << 10;
/// And of what the agent claims.
const CLAIMS_BYTES_MAX: usize = 1 << 10;

/// What a prompt needs of its approval.
pub(super) struct Wanted {
    /// The short code that the agent shows, too.
    pub(super) code: String,
    /// What is to be approved, one element of `authorization_details`.
    pub(super) detail: String,
    /// The digest of that, which a vote names.
    saw: Digest,
}

/// The prompt for a new approval; none if it is not the user's to give, or the user's provider asks nobody.
pub(crate) async fn prompt(app: &App, approval: &ApprovalRecord, now: TimeMs) -> Result<Option<PromptRecord>, Failure> {
    let Some(user) = approval.user().filter(|_| asks_for(approval, ApproverRole::User)) else { return Ok(None) };
    let Some(known) = crate::users::known(app, user).await? else { return Ok(None) };
    let UserBody { provider, .. } = known.body;
    if app.store.record::<BackchannelRecord>(&Key::backchannel(&provider)).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(PromptRecord {
        approval: approval.request.id,
        provider,
        user: user.clone(),
        starts: 0,
        started: None,
        started_at: now,
        interval_ms: 0,
        failures: 0,
        due_at: now,
        expires_at: approval.request.expires_at,
    }))
}

/// What the prompt's approval waits for; none if it does not wait for this user any more.
pub(super) async fn of(app: &App, prompt: &PromptRecord) -> Result<Option<Wanted>, Failure> {
    let found = app.store.record::<ApprovalRecord>(&Key::approval(&prompt.approval)).await?;
    let waits = |found: &Versioned<ApprovalRecord>| {
        let voted = found.value.request.votes.iter().any(|vote| matches!(vote.approver, Approver::User(_)));
        state(app, found, app.clock.now()).is_live() && !voted
    };
    let Some(found) = found.filter(waits) else { return Ok(None) };
    let Some((asked, saw)) = content::open(app, &found.value).await? else { return Ok(None) };
    let detail = detail(&found.value, content::shown(asked))?;
    Ok(Some(Wanted { code: found.value.code, detail, saw }))
}

/// What the provider shows, if it knows the type: what our own approvers are shown, without who the user is, which the
/// provider knows.
fn detail(approval: &ApprovalRecord, asked: Asked) -> Result<String, Failure> {
    let asked = shortened(Asked { user: None, session: None, ..asked });
    let mut detail = serde_json::to_value(&asked).map_err(Failure::internal)?;
    for name in ["user", "session"] {
        detail.as_object_mut().map(|members| members.remove(name));
    }
    detail["type"] = json!(ATTORN_APPROVAL);
    detail["approval"] = json!(approval.request.id.to_string());
    detail["code"] = json!(approval.code);
    detail["agent"] = json!(approval.agent.as_str());
    Ok(detail.to_string())
}

/// A device is small, and a form has an end. What is cut is said.
fn shortened(mut asked: Asked) -> Asked {
    asked.arguments_cut_chars += cut(&mut asked.arguments, ARGUMENTS_BYTES_MAX);
    asked.claims_cut_chars += cut(&mut asked.claims, CLAIMS_BYTES_MAX);
    asked
}

/// Cut a text. Says how many characters that took.
fn cut(text: &mut String, bytes_max: usize) -> u64 {
    if text.len() <= bytes_max {
        return 0;
    }
    let rest = text.split_off(text.floor_char_boundary(bytes_max));
    text.push_str(" \u{2026} (cut)");
    rest.chars().count() as u64
}

/// The user's vote, and the end of the prompt. Should the server stop between, the vote stands and the prompt is found to
/// be of no use.
pub(super) async fn vote(app: &App, found: &Versioned<PromptRecord>, says: Say) -> Result<(), Failure> {
    let prompt = &found.value;
    let Some(wanted) = of(app, prompt).await? else { return prompts::close(app, found).await };
    let ballot = Ballot { voter: Voter::User(&prompt.user), says, saw: wanted.saw, reason: None };
    match vote::cast(app, &prompt.approval, &ballot).await {
        Ok(_) => app.metrics.prompt(match says {
            Say::Approve => PromptEvent::Approved,
            Say::Refuse => PromptEvent::Refused,
        }),
        // It lapsed, or was refused by another, in this very moment.
        Err(failure) if is_over(&failure) => app.metrics.prompt(PromptEvent::Expired),
        Err(failure) => return Err(failure),
    }
    prompts::close(app, found).await
}

const fn is_over(failure: &Failure) -> bool {
    matches!(failure.problem.code, ProblemCode::InvalidState | ProblemCode::NotFound | ProblemCode::UserErased)
}
