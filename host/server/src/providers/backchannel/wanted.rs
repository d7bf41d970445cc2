//! What a prompt has to do with its approval: when one is asked for a prompt is recorded, as long as the approval waits
//! the prompt goes on, and what the user says becomes their vote.
//!
//! A prompt decides nothing. Whether the vote counts is seen to where votes are cast.

use attorn_api::ProblemCode;
use attorn_api::approvals::Asked;
use attorn_api::oauth::ATTORN_APPROVAL;
use attorn_core::reason::HostReason;
use attorn_core::{Digest, Say, TimeMs};
use attorn_store::records::{ApprovalRecord, BackchannelRecord, PromptRecord, Record as _, UserBody};
use attorn_store::{Key, Require, Versioned};
use serde_json::json;

use super::problem::Problem;
use super::prompts::{self, Side};
use super::steps::End;
use crate::app::App;
use crate::approvals::vote::{self, Ballot, Channel, Evidence};
use crate::approvals::voter::Voter;
use crate::approvals::{self, asks_user, content, has_user_vote};
use crate::http::failure::Failure;
use crate::metrics::PromptEvent;

/// What a prompt needs of its approval.
pub(super) struct Needs {
    /// The short code that the agent shows, too.
    pub(super) code: String,
    /// What is to be approved, one element of `authorization_details`.
    pub(super) detail: String,
    /// The digest of that, which a vote names.
    saw: Digest,
    /// What must still hold when anything is done about it.
    pub(super) rests_on: Vec<(Key, Require)>,
}

/// What its approval has left for a prompt to do.
pub(super) enum Left {
    /// It waits for this user.
    Waits(Needs),
    /// What the approval is for would be denied now, whatever the user says.
    Denied(HostReason),
    /// It does not wait for this user any more.
    Nothing,
}

/// The prompt for a new approval; none if it is not the user's to give, or the user's provider asks nobody.
pub(crate) async fn prompt(app: &App, approval: &ApprovalRecord, now: TimeMs) -> Result<Option<PromptRecord>, Failure> {
    let Some(user) = approval.user().filter(|_| asks_user(approval)) else { return Ok(None) };
    let Some(known) = crate::users::known(app, user).await? else { return Ok(None) };
    let UserBody { provider, .. } = known.body;
    if app.store.record::<BackchannelRecord>(&Key::backchannel(&provider)).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(PromptRecord {
        approval: approval.request.id,
        provider,
        user: user.clone(),
        agent: approval.agent.clone(),
        starts: 0,
        started: None,
        started_at: now,
        interval_ms: 0,
        failures: 0,
        due_at: now,
        expires_at: approval.request.expires_at,
    }))
}

/// What the prompt's approval waits for, as all stands now.
pub(super) async fn of(app: &App, prompt: &PromptRecord) -> Result<Left, Failure> {
    let found = app.store.record::<ApprovalRecord>(&Key::approval(&prompt.approval)).await?;
    let waits = |found: &Versioned<ApprovalRecord>| {
        approvals::waits(app, found, app.clock.now()) && !has_user_vote(&found.value)
    };
    let Some(found) = found.filter(waits) else { return Ok(Left::Nothing) };
    let Some((asked, saw)) = content::open(app, &found.value).await? else { return Ok(Left::Nothing) };
    let mut rests_on = Vec::new();
    if let Some(reason) = approvals::denied(app, &found.value, &mut rests_on).await? {
        return Ok(Left::Denied(reason));
    }
    let detail = detail(&found.value, content::shown(asked))?;
    Ok(Left::Waits(Needs { code: found.value.code, detail, saw, rests_on }))
}

/// What the provider shows, if it knows the type: what our own approvers are shown, without who the user is, which the
/// provider knows.
fn detail(approval: &ApprovalRecord, asked: Asked) -> Result<String, Failure> {
    let asked = Asked { user: None, session: None, ..asked };
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

/// The user's vote, and the end of the prompt. Should the server stop between, the vote stands and the prompt is found to
/// be of no use. An answer that comes to no vote is recorded as that.
pub(super) async fn vote(
    app: &App,
    (found, side): (&Versioned<PromptRecord>, &Side),
    (says, evidence): (Say, &Evidence),
) -> Result<(), Failure> {
    let prompt = &found.value;
    let in_vain = |end| prompts::ends(app, found, end, Some((says, evidence.in_entry(&side.key))));
    let wanted = match of(app, prompt).await? {
        Left::Waits(_) if !side.stands(app).await? => return in_vain(End::Failed(Problem::ProviderGone)).await,
        Left::Waits(wanted) => wanted,
        Left::Denied(reason) => return in_vain(End::Denied(reason)).await,
        Left::Nothing => return in_vain(End::InVain).await,
    };
    let mut rests_on = wanted.rests_on;
    rests_on.extend(side.rests_on.iter().cloned());
    rests_on.push((prompt.key(), Require::Version(found.version)));
    let (voter, channel, saw) = (Voter::User(&prompt.user), Channel::Device, wanted.saw);
    let ballot = Ballot { voter, channel, says, saw, reason: None, evidence: Some(evidence), rests_on: &rests_on };
    match vote::cast(app, &prompt.approval, &ballot).await {
        Ok(_) => app.metrics.prompt(match says {
            Say::Approve => PromptEvent::Approved,
            Say::Refuse => PromptEvent::Refused,
        }),
        // It lapsed, or was refused by another, in this very moment.
        Err(failure) if waits_no_more(&failure) => return in_vain(End::InVain).await,
        // Something that it rests on changed meanwhile: the next round sees what.
        Err(failure) if failure.problem.code == ProblemCode::Contention => return Ok(()),
        Err(failure) => return Err(failure),
    }
    prompts::close(app, found).await
}

const fn waits_no_more(failure: &Failure) -> bool {
    matches!(failure.problem.code, ProblemCode::InvalidState | ProblemCode::NotFound | ProblemCode::UserErased)
}
