//! Approvals: people say yes or no to exactly one request under exactly the policies that applied.
//!
//! A decision looks for what was approved of its request (`seek`), and its batch asks for an approval, or spends one
//! (`step`, `ask`): so nothing is asked for that was not recorded, and of many decisions that find the same approval one
//! spends it. What approvers are shown is made here out of what was recorded then (`content`, `readable`, `visible`,
//! `look_alikes`). Whoever votes comes through `vote`, by whatever channel: operators by their routes (`routes`), of which
//! webhooks tell them (`webhooks`); users on their device at the provider (`crate::providers::backchannel`), or on a page
//! (`page`), and on that also other users of the same provider, where one of their groups is asked. Whether they may vote
//! is said in `voter`.
//!
//! A yes is to the terms that were shown (`terms`). Whoever said no, or nothing, is left alone for a while, whatever the
//! agent says of its request (`hold`).
//!
//! Whose votes count is decided by [`attorn_core::approval::met`], with everything as it is when they are counted.
//! INVARIANT: a vote changes a record and nothing else. What an approval permits is found out by deciding again.

mod ask;
pub(crate) mod content;
pub(crate) mod forget;
pub(crate) mod hold;
mod look_alikes;
pub(crate) mod page;
mod readable;
pub(crate) mod routes;
pub(crate) mod seek;
pub(crate) mod step;
mod terms;
pub(crate) mod visible;
pub(crate) mod vote;
pub(crate) mod voter;
pub(crate) mod webhooks;

use std::collections::BTreeSet;

use attorn_core::reason::HostReason;
use attorn_core::{AgentState, ApprovalState, Approver, ApproverRole, GroupName, TimeMs};
use attorn_store::records::{AgentRecord, ApprovalRecord};
use attorn_store::{Key, Require, Versioned};

use crate::app::App;
use crate::decisions::{behalf, gather};
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::Another;

/// How long to wait between two looks at an approval, as agents are told.
pub(crate) const POLL_MS: u64 = 2_000;

/// How long approvals count, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalLimits {
    /// How long after it was asked for an approval lapses, in milliseconds.
    pub lapse_ms: u64,
    /// How long a first refusal holds, in milliseconds: what asks for the same is denied meanwhile. Each further one holds
    /// twice as long as the one before.
    pub refusal_ms: u64,
    /// The longest that one holds, in milliseconds.
    pub hold_ms_max: u64,
    /// How many requests of one agent for one user, or for none, may wait or have been refused a moment ago.
    pub open_max: u32,
    /// How many prompts of one agent may wait at one provider at once, whichever users they are for.
    pub prompts_open_max: u32,
    /// How often a user is asked at their provider within [`Self::prompts_window_ms`], whichever agents ask.
    pub prompts_max: u32,
    /// What that is counted over, in milliseconds, 1 or more.
    pub prompts_window_ms: u64,
}

impl ApprovalLimits {
    /// What they are if nothing else is said.
    pub const USUAL: Self = Self {
        lapse_ms: 5 * 60_000,
        refusal_ms: 5 * 60_000,
        hold_ms_max: 60 * 60_000,
        open_max: 8,
        prompts_open_max: 64,
        prompts_max: 30,
        prompts_window_ms: 60 * 60_000,
    };
}

impl Default for ApprovalLimits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How far it has come by now: whoever said yes and does not count any more has not.
pub(crate) async fn state(app: &App, found: &Versioned<ApprovalRecord>, now: TimeMs) -> Result<ApprovalState, Failure> {
    let (record, state) = (&found.value, found.value.state);
    if state.waits() && is_over(app, found, now) {
        return Ok(ApprovalState::Lapsed);
    }
    if state == ApprovalState::Approved {
        let counted = seek::counted(app, record, None, now).await?;
        let covers = counted.covers(&record.request.requirements);
        return Ok(if covers { ApprovalState::Approved } else { ApprovalState::Pending });
    }
    Ok(state)
}

/// Whether it waits: a vote can still come to something.
pub(crate) fn waits(app: &App, found: &Versioned<ApprovalRecord>, now: TimeMs) -> bool {
    found.value.state.waits() && !is_over(app, found, now)
}

/// Why what it asks for would be denied now, whatever anybody says to it; none if nothing is known to speak against it.
/// What that rests on is named in `require`.
pub(crate) async fn denied(
    app: &App,
    record: &ApprovalRecord,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<HostReason>, Failure> {
    if gather::frozen(app, require).await? {
        return Ok(Some(HostReason::Frozen));
    }
    let key = Key::agent(&record.agent);
    let agent = app.store.record::<AgentRecord>(&key).await?;
    let agent = agent.ok_or_else(|| Failure::internal(format_args!("agent {} is gone", record.agent)))?;
    require.push((key, Require::Version(agent.version)));
    match agent.value.agent().state {
        AgentState::Active => {}
        AgentState::Suspended => return Ok(Some(HostReason::AgentSuspended)),
        AgentState::Retired => return Ok(Some(HostReason::AgentRetired)),
    }
    let Some(delegation) = &record.delegation else { return Ok(None) };
    Ok(match behalf::standing(app, delegation, require).await? {
        Ok((_, chain)) => chain.behalf.standing(&record.agent, app.clock.now(), app.limits.hops_max).err(),
        Err(reason) => Some(reason),
    })
}

/// Whether neither a yes nor a no to it counts any more.
fn is_over(app: &App, found: &Versioned<ApprovalRecord>, now: TimeMs) -> bool {
    // Where time was set back nobody can say when it ends.
    !found.value.open || found.value.request.expires_at <= now || app.clock.outlived(found.version)
}

/// Whether it asks for operators.
pub(crate) fn asks_operators(record: &ApprovalRecord) -> bool {
    record.request.requirements.iter().any(|one| one.role == ApproverRole::Operator)
}

/// Whether operators see it: those who are asked, and who are told of a group that is, so that whoever calls them can be
/// answered. What asks its user alone is their business.
pub(crate) fn operators_see(record: &ApprovalRecord) -> bool {
    asks_operators(record) || !groups(record).is_empty()
}

/// Whether it asks for the user on whose behalf it is.
pub(crate) fn asks_user(record: &ApprovalRecord) -> bool {
    record.request.requirements.iter().any(|one| one.role == ApproverRole::User)
}

/// The groups that it asks for; all of the issuer that it names.
pub(crate) fn groups(record: &ApprovalRecord) -> BTreeSet<&GroupName> {
    record.request.requirements.iter().filter_map(|one| one.role.group()).collect()
}

/// Those of them that somebody is in.
pub(crate) fn groups_of<'a>(record: &'a ApprovalRecord, somebody: &Another) -> BTreeSet<&'a GroupName> {
    groups(record).into_iter().filter(|name| somebody.groups.contains(name.as_str())).collect()
}

/// Whether the user on whose behalf it is has voted.
pub(crate) fn has_user_vote(record: &ApprovalRecord) -> bool {
    let ours = |approver: &Approver| matches!(approver, Approver::User(user) if record.user() == Some(user));
    record.request.votes.iter().any(|vote| ours(&vote.approver))
}
