//! `/v1/approvals`: what operators are asked, their yes and no, and how far it is for the agent that waits.
//!
//! Operators see what asks for one of them or for members of groups; in what asks no operator they have no say. What asks
//! for its user alone is that user's business.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::approvals as api;
use attorn_core::{AgentId, ApprovalId, ApprovalState, Digest, Say, Vote};
use attorn_store::records::ApprovalRecord;
use attorn_store::{Key, KeyKind, KeyPrefix, Versioned};

use super::vote::{self, Ballot, Channel};
use super::voter::{self, Voter};
use super::{POLL_MS, content, operators_see, state};
use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::note;
use crate::users::kept;

/// Which of them are listed.
enum Listed {
    All,
    Only(ApprovalState),
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (listed, agent) = (listed(&call)?, call.query::<AgentId>("agent")?);
    let after = call.query::<ApprovalId>("after")?;
    let (prefix, after) = match (&listed, after) {
        (Listed::Only(ApprovalState::Pending), Some(id)) => {
            let last = app.store.record::<ApprovalRecord>(&Key::approval(&id)).await?;
            let gone = || Failure::of(ProblemCode::InvalidQuery, format!("`after`: there is no approval `{id}`"));
            let ApprovalRecord { agent, .. } = &last.as_ref().ok_or_else(gone)?.value;
            let user = last.as_ref().and_then(|last| last.value.user());
            (KeyPrefix::kind(KeyKind::OpenApproval), Some(Key::open_approval(agent, user, &id)))
        }
        (Listed::Only(ApprovalState::Pending), None) => (KeyPrefix::kind(KeyKind::OpenApproval), None),
        (_, after) => (KeyPrefix::kind(KeyKind::Approval), after.map(|id| Key::approval(&id))),
    };
    let page = app.store.scan(&prefix, after.as_ref(), call.limit()?).await?;
    let (mut approvals, now) = (Vec::new(), app.clock.now());
    for id in page.items.iter().filter_map(|(key, _)| key.named_approval()) {
        let Some(found) = app.store.record::<ApprovalRecord>(&Key::approval(&id)).await? else { continue };
        let is = match listed {
            Listed::All => true,
            Listed::Only(only) => state(&app, &found, now).await? == only,
        };
        let of_agent = agent.as_ref().is_none_or(|agent| found.value.agent == *agent);
        if is && of_agent && operators_see(&found.value) {
            approvals.extend(shown(&app, &found).await?);
        }
    }
    let next = page.next.as_ref().and_then(Key::named_approval).map(|id| id.to_string());
    Reply::ok(&api::ApprovalList { approvals, next })
}

/// Those that wait, if nothing is said.
fn listed(call: &Call) -> Result<Listed, Failure> {
    match call.query::<String>("state")?.as_deref() {
        None => Ok(Listed::Only(ApprovalState::Pending)),
        Some("all") => Ok(Listed::All),
        Some(name) => {
            let found = ApprovalState::ALL.iter().find(|state| state.as_str() == name);
            let help = "`pending`, `approved`, `refused`, `lapsed`, `spent` or `all`";
            let unknown = || Failure::of(ProblemCode::InvalidQuery, "`state` is none that there is").with_help(help);
            found.map(|state| Listed::Only(*state)).ok_or_else(unknown)
        }
    }
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    reply(&app, &call.path("id")?).await
}

/// All of the arguments, which are cut where the rest is shown.
pub(crate) async fn arguments(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let found = vote::find(&app, &call.path("id")?).await?;
    let (opened, whole) = (content::open(&app, &found.value).await?, content::arguments(&app, &found.value).await?);
    let ((asked, digest), arguments) = opened.zip(whole).ok_or_else(erased)?;
    Reply::ok(&api::ApprovalArguments {
        id: found.value.request.id.to_string(),
        digest: digest.to_string(),
        arguments,
        arguments_digest: asked.arguments_digest,
    })
}

pub(crate) async fn approve(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    cast(&app, &call, Say::Approve).await
}

pub(crate) async fn refuse(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    cast(&app, &call, Say::Refuse).await
}

async fn cast(app: &App, call: &Call, says: Say) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::CastBallot) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    let (id, saw): (ApprovalId, Digest) = (call.path("id")?, wire.digest.parse()?);
    let (voter, reason) = (Voter::Operator(operator), wire.reason.as_deref());
    let channel = Channel::Api;
    let ballot = Ballot { voter, channel, says, saw, reason, evidence: None, rests_on: &[] };
    vote::cast(app, &id, &ballot).await?;
    reply(app, &id).await
}

async fn reply(app: &App, id: &ApprovalId) -> Result<Reply, Failure> {
    let found = vote::find(app, id).await?;
    let shown = shown(app, &found).await?;
    Reply::ok(&shown.ok_or_else(erased)?)
}

fn erased() -> Failure {
    kept::erased("the user on whose behalf this was asked was erased")
}

/// How far it is, for the agent that asked.
pub(crate) async fn standing(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: ApprovalId = call.path("id")?;
    let found = app.store.record::<ApprovalRecord>(&Key::approval(&id)).await?;
    let agent = &call.agent()?.agent.value.agent().id;
    let found = found.filter(|found| found.value.agent == *agent).ok_or_else(|| Failure::not_found("approval", id))?;
    Reply::ok(&api::ApprovalStanding {
        id: id.to_string(),
        state: state(&app, &found, app.clock.now()).await?.as_str().into(),
        expires_at_ms: found.value.request.expires_at.0,
        poll_ms: POLL_MS,
    })
}

/// As approvers see it; none if it is about a user who was erased.
pub(crate) async fn shown(app: &App, found: &Versioned<ApprovalRecord>) -> Result<Option<api::Approval>, Failure> {
    let record = &found.value;
    let Some((asked, digest)) = content::open(app, record).await? else { return Ok(None) };
    let vote = |vote: &Vote| api::CastVote {
        role: voter::role(record, &vote.approver).into(),
        approver: vote.approver.id().into(),
        says: vote.says.as_str().into(),
        at_ms: vote.at.0,
    };
    Ok(Some(api::Approval {
        id: record.request.id.to_string(),
        code: record.code.clone(),
        state: state(app, found, app.clock.now()).await?.as_str().into(),
        digest: digest.to_string(),
        agent: record.agent.to_string(),
        asks: content::shown(asked),
        approvers: content::wanted(record),
        votes: record.request.votes.iter().map(vote).collect(),
        decision_id: record.decision.to_string(),
        spent_by: record.spent_by.map(|decision| decision.to_string()),
        policies_changed: record.state.waits() && content::policies_changed(app, record).await?,
        created_at_ms: record.created_at.0,
        expires_at_ms: record.request.expires_at.0,
    }))
}
