//! Approvals: people say yes or no to exactly one request under exactly the policies that applied.
//!
//! A decision looks for what was approved of its request (`seek`), and its batch asks for an approval, or spends one
//! (`step`): so nothing is asked for that was not recorded, and of many decisions that find the same approval one
//! spends it. What approvers are shown is made here out of what was recorded then (`content`, `visible`). Whoever
//! votes comes through `vote`, by whatever channel: operators by their routes (`routes`), of which webhooks tell them
//! (`webhooks`); users on their device at the provider (`crate::providers::backchannel`), or on a page (`page`).
//!
//! Whose votes count is decided by [`attorn_core::approval::met`], with everything as it is when they are counted.
//! INVARIANT: a vote changes a record and nothing else. What an approval permits is found out by deciding again.

pub(crate) mod content;
pub(crate) mod forget;
pub(crate) mod page;
pub(crate) mod routes;
pub(crate) mod seek;
pub(crate) mod step;
pub(crate) mod visible;
pub(crate) mod vote;
pub(crate) mod webhooks;

use attorn_core::{ApprovalState, ApproverRole, TimeMs};
use attorn_store::Versioned;
use attorn_store::records::ApprovalRecord;

use crate::app::App;

/// How long to wait between two looks at an approval, as agents are told.
pub(crate) const POLL_MS: u64 = 2_000;

/// How long approvals count, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalLimits {
    /// How long after it was asked for an approval lapses, in milliseconds.
    pub lapse_ms: u64,
    /// How long a refusal holds, in milliseconds: the same request is denied meanwhile.
    pub refusal_ms: u64,
    /// How many requests of one agent for one user, or for none, may wait or have been refused a moment ago.
    pub open_max: u32,
}

impl Default for ApprovalLimits {
    fn default() -> Self {
        Self { lapse_ms: 5 * 60_000, refusal_ms: 5 * 60_000, open_max: 8 }
    }
}

/// How far it has come by now.
pub(crate) fn state(app: &App, found: &Versioned<ApprovalRecord>, now: TimeMs) -> ApprovalState {
    let state = found.value.state;
    if state.is_live() && is_over(app, found, now) { ApprovalState::Lapsed } else { state }
}

/// Whether neither a yes nor a no to it counts any more.
fn is_over(app: &App, found: &Versioned<ApprovalRecord>, now: TimeMs) -> bool {
    // Where time was set back nobody can say when it ends.
    !found.value.open || found.value.request.expires_at <= now || app.clock.outlived(found.version)
}

/// Whether it asks for somebody in this role.
pub(crate) fn asks_for(record: &ApprovalRecord, role: ApproverRole) -> bool {
    record.request.requirements.iter().any(|one| ApproverRole::named(&one.role) == Some(role))
}
