//! What a decision does about an approval: asks for one, waits for the one that was asked for, spends it, or is denied
//! because somebody said no or too much waits. All of it stands in the batch of the decision.

use std::sync::Arc;

use attorn_api::decisions::ApprovalReference;
use attorn_core::context::Approval;
use attorn_core::reason::HostReason;
use attorn_core::verdict::ApprovalRequirement;
use attorn_core::{
    ApprovalId, ApprovalRequest, ApprovalState, Approver, ApproverRole, Challenged, Decision, DecisionId, Denied, Met,
};
use attorn_store::records::{ApprovalRecord, HoldReason};
use attorn_store::{Batch, Key, KeyKind, Versioned};
use serde_json::{Value, json};

use super::ask::{self, Asking, Unasked};
use super::seek::{self, Scene, Sought};
use super::{POLL_MS, page};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::decisions::behalf::Chain;
use crate::decisions::record::Made;
use crate::decisions::{known, veil};
use crate::http::failure::Failure;
use crate::random;

/// The part of approvals in a decision.
#[derive(Default)]
pub(crate) struct Part {
    /// None where no policy was asked, or nothing is to come of it.
    sought: Option<Sought>,
    step: Step,
    /// Where the user answers, if a challenge waits for them and there is a page.
    page: Option<String>,
}

/// What the decision does.
#[derive(Default)]
enum Step {
    #[default]
    Nothing,
    /// It asks for an approval.
    Ask(Box<Asking>),
    /// The approval was asked for before.
    Wait(Box<Versioned<ApprovalRecord>>),
    /// An allow spends it.
    Spend(Box<Versioned<ApprovalRecord>>),
    /// A deny: somebody has refused it, or the user has not answered.
    Held(HoldReason, ApprovalId),
    /// A deny: as many wait as may.
    TooMany,
    /// A deny: the agent has as many users asked at their provider as it may.
    TooManyPrompts,
    /// A deny: nobody can be shown what is asked.
    Unreadable,
    /// A deny: nobody asks the user, or those of a group, whose yes it takes, or the decision has no room for so many.
    Impossible,
}

impl Part {
    /// What was approved.
    pub(crate) fn met(&self) -> &Met {
        const NOTHING: &Met = &Met::nothing();
        self.sought.as_ref().map_or(NOTHING, |sought| &sought.met)
    }

    /// The decision became a deny for another reason.
    pub(crate) fn denied(&mut self) {
        self.step = Step::Nothing;
    }

    /// Put it into the batch of the decision.
    pub(crate) fn put(&self, batch: &mut Batch, decision: DecisionId) {
        let Some(sought) = &self.sought else { return };
        batch.require.extend(sought.require.iter().cloned());
        match &self.step {
            Step::Ask(asking) => {
                batch.require.push((Key::approval_request(&sought.bound_to), sought.place));
                asking.put(batch);
            }
            Step::Spend(found) => {
                let (state, spent_by) = (ApprovalState::Spent, Some(decision));
                found.value.becomes(&ApprovalRecord { state, spent_by, open: false, ..found.value.clone() }, batch);
            }
            Step::Nothing
            | Step::Wait(_)
            | Step::Held(..)
            | Step::TooMany
            | Step::TooManyPrompts
            | Step::Unreadable
            | Step::Impossible => {}
        }
    }

    /// What the decision's entry and record say of it.
    pub(crate) fn said(&self, chain: Option<&Chain>) -> Value {
        let Some(sought) = &self.sought else { return Value::Null };
        match &self.step {
            Step::Nothing => Value::Null,
            Step::Ask(asking) => {
                let ApprovalRequest { id, requirements, expires_at, .. } = &asking.record.request;
                let needed = requirements.iter().map(needed);
                let mut said = json!({ "id": id.to_string(), "is": "requested",
                    "approvers": needed.collect::<Vec<_>>(), "expires_at_ms": expires_at.0 });
                if let Some(replaced) = &asking.replaces {
                    said["replaces"] = replaced.to_string().into();
                }
                said
            }
            Step::Wait(found) => json!({ "id": found.value.request.id.to_string(), "is": "pending" }),
            Step::Spend(found) => {
                let approvers = self.met().approvals().iter().map(|approval| by(approval, sought, chain));
                json!({ "id": found.value.request.id.to_string(), "is": "spent",
                    "approved_by": approvers.collect::<Vec<_>>() })
            }
            Step::Held(because, id) => json!({ "id": id.to_string(), "is": held(*because) }),
            Step::TooMany => json!({ "id": null, "is": TOO_MANY }),
            Step::TooManyPrompts => json!({ "id": null, "is": TOO_MANY_PROMPTS }),
            Step::Unreadable => json!({ "id": null, "is": UNREADABLE }),
            Step::Impossible => json!({ "id": null, "is": IMPOSSIBLE }),
        }
    }

    /// What the decision asks to be approved, if nobody was asked before, and where its user answers.
    pub(crate) fn asked(&self) -> Option<(&ApprovalRecord, Option<&str>)> {
        match &self.step {
            Step::Ask(asking) => Some((&asking.record, self.page.as_deref())),
            _ => None,
        }
    }

    /// What a challenge waits for, as the agent reads it.
    pub(crate) fn reference(&self) -> Option<ApprovalReference> {
        let record = match &self.step {
            Step::Ask(asking) => &asking.record,
            Step::Wait(found) => &found.value,
            _ => return None,
        };
        Some(ApprovalReference {
            id: record.request.id.to_string(),
            code: record.code.clone(),
            expires_at_ms: record.request.expires_at.0,
            poll_ms: POLL_MS,
            page: self.page.clone(),
        })
    }
}

const REFUSED: &str = "refused";
const UNANSWERED: &str = "unanswered";
const DELEGATION_REVOKED: &str = "delegation_revoked";
const TOO_MANY: &str = "too_many";
const TOO_MANY_PROMPTS: &str = "too_many_prompts";
const UNREADABLE: &str = "unreadable";
const IMPOSSIBLE: &str = "impossible";

const fn held(because: HoldReason) -> &'static str {
    match because {
        HoldReason::Refused => REFUSED,
        HoldReason::Unanswered => UNANSWERED,
        HoldReason::DelegationRevoked => DELEGATION_REVOKED,
    }
}

/// Why a challenge was a deny, from what its record says of approvals; none if it was not.
pub(crate) fn denied_by(is: &str) -> Option<HostReason> {
    match is {
        REFUSED => Some(HostReason::ApprovalRefused),
        UNANSWERED => Some(HostReason::ApprovalUnanswered),
        DELEGATION_REVOKED => Some(HostReason::ApprovalDelegationRevoked),
        TOO_MANY => Some(HostReason::TooManyApprovals),
        TOO_MANY_PROMPTS => Some(HostReason::TooManyPrompts),
        UNREADABLE => Some(HostReason::ApprovalUnreadable),
        IMPOSSIBLE => Some(HostReason::ApprovalImpossible),
        _ => None,
    }
}

/// A requirement as the log names it.
fn needed(one: &ApprovalRequirement) -> Value {
    match one.role.group() {
        None => json!({ "role": one.role.kind(), "count": one.count }),
        Some(name) => json!({ "role": one.role.kind(), "group": name.as_str(), "count": one.count }),
    }
}

/// An approver as the log names them.
fn by(approval: &Approval, sought: &Sought, chain: Option<&Chain>) -> Value {
    match (&approval.approver, &approval.role) {
        (Approver::Operator(id), _) => json!({ "operator": id.as_str() }),
        (Approver::User(id), ApproverRole::Group(name)) => {
            json!({ "user": sought.pseudonyms.get(id), "group": name.as_str() })
        }
        (Approver::User(id), _) => json!({ "user": chain.map(|chain| veil::user(id, &chain.key)) }),
    }
}

/// What is to be done about what was decided.
pub(crate) async fn take(
    app: &App,
    scene: Scene<'_>,
    made: &mut Made,
    (sought, decision): (Sought, DecisionId),
) -> Result<(), Failure> {
    let step = match (&made.decision, &sought.found) {
        (Decision::Allow(_), Some(found)) if !sought.met.is_nothing() => Step::Spend(Box::new(found.clone())),
        (Decision::Challenge(_), Some(found)) if found.value.state == ApprovalState::Refused => {
            Step::Held(HoldReason::Refused, found.value.request.id)
        }
        (Decision::Challenge(challenged), Some(found)) if is_in(&sought, found, challenged) => {
            Step::Wait(Box::new(found.clone()))
        }
        (Decision::Challenge(challenged), _)
            if !known::has_room(made.looked_up.bytes_left, &challenged.approvers, &sought.met) =>
        {
            Step::Impossible
        }
        (Decision::Challenge(challenged), _) => match ask::ask(app, scene, (&sought, challenged), decision).await? {
            Ok(asking) => Step::Ask(asking),
            Err(Unasked::Held(because, approval)) => Step::Held(because, approval),
            Err(Unasked::TooMany) => Step::TooMany,
            Err(Unasked::Unreadable) => Step::Unreadable,
            Err(Unasked::Impossible) => Step::Impossible,
        },
        _ => Step::Nothing,
    };
    let reason = match &step {
        Step::Held(because, _) => denied_by(held(*because)),
        Step::TooMany => Some(HostReason::TooManyApprovals),
        Step::TooManyPrompts => Some(HostReason::TooManyPrompts),
        Step::Unreadable => Some(HostReason::ApprovalUnreadable),
        Step::Impossible => Some(HostReason::ApprovalImpossible),
        _ => None,
    };
    if let Some(reason) = reason {
        made.decision = Decision::Deny(Denied::by_host(reason));
    }
    let page = match &step {
        Step::Ask(asking) => page::link(app, &asking.record).await?,
        Step::Wait(found) => page::link(app, &found.value).await?,
        _ => None,
    };
    made.approval = Part { sought: Some(sought), step, page };
    Ok(())
}

/// Whether what is asked for now was asked for already: nobody else, and nothing more.
fn is_in(sought: &Sought, found: &Versioned<ApprovalRecord>, challenged: &Challenged) -> bool {
    let asked = &found.value.request.requirements;
    challenged.approvers.iter().all(|one| asked.contains(one))
        && sought.shown.as_ref().is_some_and(|shown| shown.cover(&challenged.terms))
}

/// As many wait as may, as the commit has found by this counter; false if it counts something else.
pub(crate) fn too_many(made: &mut Made, counter: &Key) -> bool {
    let (step, reason) = match counter.kind() {
        Some(KeyKind::OpenApprovals | KeyKind::UserPrompts) => (Step::TooMany, HostReason::TooManyApprovals),
        Some(KeyKind::AgentPrompts) => (Step::TooManyPrompts, HostReason::TooManyPrompts),
        _ => return false,
    };
    made.decision = Decision::Deny(Denied::by_host(reason));
    made.approval.step = step;
    true
}

/// Why a challenge would be denied if it were decided now; none if somebody would be asked, or is asked already. What
/// only a commit finds out, such as whether too many wait, is not seen.
pub(crate) async fn foreseen(
    app: &App,
    scene: Scene<'_>,
    policies: &[Arc<ActivePolicy>],
    (challenged, bytes_left): (&Challenged, usize),
) -> Result<Option<HostReason>, Failure> {
    let sought = seek::seek(app, scene, policies).await?;
    if let Some(found) = &sought.found {
        let refused = found.value.state == ApprovalState::Refused;
        return Ok(refused.then_some(HostReason::ApprovalRefused));
    }
    if !known::has_room(bytes_left, &challenged.approvers, &sought.met) {
        return Ok(Some(HostReason::ApprovalImpossible));
    }
    // Nothing of it is written.
    let asking = ask::ask(app, scene, (&sought, challenged), random::decision_id()?).await?;
    Ok(asking.err().map(|unasked| match unasked {
        Unasked::Held(HoldReason::Refused, _) => HostReason::ApprovalRefused,
        Unasked::Held(HoldReason::Unanswered, _) => HostReason::ApprovalUnanswered,
        Unasked::Held(HoldReason::DelegationRevoked, _) => HostReason::ApprovalDelegationRevoked,
        Unasked::TooMany => HostReason::TooManyApprovals,
        Unasked::Unreadable => HostReason::ApprovalUnreadable,
        Unasked::Impossible => HostReason::ApprovalImpossible,
    }))
}
