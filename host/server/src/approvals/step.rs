//! What a decision does about an approval: asks for one, waits for the one that was asked for, spends it, or is denied
//! because somebody said no or too much waits. All of it stands in the batch of the decision.

use attorn_api::decisions::ApprovalReference;
use attorn_core::reason::HostReason;
use attorn_core::{
    ApprovalId, ApprovalRequest, ApprovalState, Approver, ApproverRole, Challenged, Decision, DecisionId, Denied, Met,
};
use attorn_store::records::{ApprovalRecord, PromptRecord, Record as _};
use attorn_store::{Batch, Key, KeyPrefix, Require, Versioned};
use serde_json::{Value, json};

use super::seek::{Scene, Sought};
use super::{POLL_MS, asks_for, content, is_over, page};
use crate::app::App;
use crate::decisions::behalf::Chain;
use crate::decisions::record::Made;
use crate::decisions::veil;
use crate::http::failure::Failure;
use crate::providers::backchannel;
use crate::random;
use crate::users::kept;

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
    /// A deny: somebody has refused it.
    Refused(ApprovalId),
    /// A deny: as many wait as may.
    TooMany,
    /// A deny: nobody can be shown what is asked.
    Unreadable,
    /// A deny: nobody asks the user, whose yes it takes.
    Impossible,
}

struct Asking {
    record: ApprovalRecord,
    /// Those that do not count any more, with what they become.
    over: Vec<(Versioned<ApprovalRecord>, ApprovalRecord)>,
    open_max: u32,
    /// The user is asked at their provider.
    prompt: Option<PromptRecord>,
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
                for (old, next) in &asking.over {
                    batch.require.push((old.value.key(), Require::Version(old.version)));
                    old.value.becomes(next, batch);
                }
                asking.record.open(batch, asking.open_max);
                if let Some(prompt) = &asking.prompt {
                    prompt.open(batch);
                }
            }
            Step::Spend(found) => {
                let (state, spent_by) = (ApprovalState::Spent, Some(decision));
                found.value.becomes(&ApprovalRecord { state, spent_by, open: false, ..found.value.clone() }, batch);
            }
            Step::Nothing | Step::Wait(_) | Step::Refused(_) | Step::TooMany | Step::Unreadable | Step::Impossible => {}
        }
    }

    /// What the decision's entry and record say of it.
    pub(crate) fn said(&self, chain: Option<&Chain>) -> Value {
        match &self.step {
            Step::Nothing => Value::Null,
            Step::Ask(asking) => {
                let ApprovalRequest { id, requirements, expires_at, .. } = &asking.record.request;
                let needed = requirements.iter().map(|one| json!({ "role": one.role.as_str(), "count": one.count }));
                json!({ "id": id.to_string(), "is": "requested", "approvers": needed.collect::<Vec<_>>(),
                    "expires_at_ms": expires_at.0 })
            }
            Step::Wait(found) => json!({ "id": found.value.request.id.to_string(), "is": "pending" }),
            Step::Spend(found) => {
                let approvers = self.met().approvals().iter().map(|approval| by(&approval.approver, chain));
                json!({ "id": found.value.request.id.to_string(), "is": "spent",
                    "approved_by": approvers.collect::<Vec<_>>() })
            }
            Step::Refused(id) => json!({ "id": id.to_string(), "is": REFUSED }),
            Step::TooMany => json!({ "id": null, "is": TOO_MANY }),
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
const TOO_MANY: &str = "too_many";
const UNREADABLE: &str = "unreadable";
const IMPOSSIBLE: &str = "impossible";

/// Why a challenge was a deny, from what its record says of approvals; none if it was not.
pub(crate) fn denied_by(is: &str) -> Option<HostReason> {
    match is {
        REFUSED => Some(HostReason::ApprovalRefused),
        TOO_MANY => Some(HostReason::TooManyApprovals),
        UNREADABLE => Some(HostReason::ApprovalUnreadable),
        IMPOSSIBLE => Some(HostReason::ApprovalImpossible),
        _ => None,
    }
}

/// An approver as the log names them.
fn by(approver: &Approver, chain: Option<&Chain>) -> Value {
    match approver {
        Approver::Operator(id) => json!({ "operator": id.as_str() }),
        Approver::User(id) => json!({ "user": chain.map(|chain| veil::user(id, &chain.key)) }),
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
            Step::Refused(found.value.request.id)
        }
        (Decision::Challenge(challenged), Some(found)) if found.value.request.requirements == challenged.approvers => {
            Step::Wait(Box::new(found.clone()))
        }
        (Decision::Challenge(challenged), _) => ask(app, scene, (&sought, challenged), decision).await?,
        _ => Step::Nothing,
    };
    let reason = match &step {
        Step::Refused(_) => Some(HostReason::ApprovalRefused),
        Step::TooMany => Some(HostReason::TooManyApprovals),
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

/// As many wait as may, as the commit has found.
pub(crate) fn too_many(made: &mut Made) {
    made.decision = Decision::Deny(Denied::by_host(HostReason::TooManyApprovals));
    made.approval.step = Step::TooMany;
}

/// Ask for an approval. What another demand takes the place of has lapsed with that, and what lapsed before makes room.
async fn ask(
    app: &App,
    scene: Scene<'_>,
    (sought, challenged): (&Sought, &Challenged),
    decision: DecisionId,
) -> Result<Step, Failure> {
    let Scene { within, chain, .. } = scene;
    let (now, limits) = (within.now(), app.approvals);
    let Ok(content) = content::of(scene, challenged)? else { return Ok(Step::Unreadable) };
    let whose = chain.map(|chain| (&chain.behalf.user.id, &*chain.key));
    let (agent, user) = (&within.agent().id, whose.map(|(user, _)| user));
    let mut over = Vec::new();
    if let Some(found) = &sought.found {
        let next = ApprovalRecord { state: ApprovalState::Lapsed, open: false, ..found.value.clone() };
        over.push((found.clone(), next));
    }
    let open_max = usize::try_from(limits.open_max).unwrap_or(usize::MAX);
    let page = app.store.scan(&KeyPrefix::open_approvals(agent, user), None, open_max.saturating_add(1)).await?;
    let mut waiting = 0;
    for id in page.items.iter().filter_map(|(key, _)| key.named_approval()) {
        if sought.found.as_ref().is_some_and(|found| found.value.request.id == id) {
            continue;
        }
        match app.store.record::<ApprovalRecord>(&Key::approval(&id)).await? {
            Some(found) if found.value.open && is_over(app, &found, now) => {
                let next = ApprovalRecord { open: false, ..found.value.clone() };
                over.push((found, next));
            }
            _ => waiting += 1,
        }
    }
    if waiting >= open_max {
        return Ok(Step::TooMany);
    }
    let id = random::approval_id()?;
    let content = kept::text(whose, &Key::approval(&id), content)?;
    let record = ApprovalRecord {
        request: ApprovalRequest {
            id,
            bound_to: sought.bound_to,
            requirements: challenged.approvers.clone(),
            votes: Vec::new(),
            expires_at: now.plus_ms(limits.lapse_ms),
        },
        state: ApprovalState::Pending,
        agent: agent.clone(),
        owners: scene.asker().owners.into_iter().collect(),
        delegation: within.behalf().and_then(|behalf| behalf.delegations().last()).map(|last| last.id.clone()),
        code: random::approval_code()?,
        decision,
        spent_by: None,
        open: true,
        created_at: now,
        content,
    };
    let prompt = backchannel::prompt(app, &record, now).await?;
    if prompt.is_none() && asks_for(&record, ApproverRole::User) {
        return Ok(Step::Impossible);
    }
    Ok(Step::Ask(Box::new(Asking { record, over, open_max: limits.open_max, prompt })))
}
