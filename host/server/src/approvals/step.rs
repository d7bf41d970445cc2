//! What a decision does about an approval: asks for one, waits for the one that was asked for, spends it, or is denied
//! because somebody said no or too much waits. All of it stands in the batch of the decision.

use attorn_api::decisions::ApprovalReference;
use attorn_core::reason::HostReason;
use attorn_core::{
    ApprovalId, ApprovalRequest, ApprovalState, Approver, Challenged, Decision, DecisionId, Denied, Met, TimeMs, Vote,
};
use attorn_store::records::{ApprovalRecord, HoldReason, PromptRecord, Record as _};
use attorn_store::{Add, Batch, Key, KeyPrefix, Require, Versioned};
use serde_json::{Value, json};

use super::hold::Holds;
use super::seek::{Scene, Sought};
use super::{ApprovalLimits, POLL_MS, content, is_over};
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
    /// A deny: somebody has refused it, or nobody has answered.
    Held(HoldReason, ApprovalId),
    /// A deny: as many wait as may.
    TooMany,
}

struct Asking {
    record: ApprovalRecord,
    /// Those that do not count any more, with what they become.
    over: Vec<(Versioned<ApprovalRecord>, ApprovalRecord)>,
    /// The one whose place it takes, because it asks for more than that one did.
    replaces: Option<ApprovalId>,
    /// What holds because nobody answered.
    holds: Holds,
    limits: ApprovalLimits,
    /// The user is asked at their provider.
    prompt: Option<PromptRecord>,
}

impl Asking {
    fn put(&self, batch: &mut Batch) {
        for (old, next) in &self.over {
            batch.require.push((old.value.key(), Require::Version(old.version)));
            old.value.becomes(next, batch);
        }
        self.holds.put(batch);
        self.record.open(batch, self.limits.open_max);
        let Some(prompt) = &self.prompt else { return };
        prompt.open(batch);
        // However many agents ask, somebody is asked so often and no more.
        let window_ms = self.limits.prompts_window_ms;
        let start = TimeMs(batch.now.0 - batch.now.0 % window_ms);
        let key = Key::user_prompts(&prompt.user, start);
        batch.put.push((Key::expiry(start.plus_ms(window_ms), &key), Vec::new()));
        batch.add.push(Add { key, delta: 1, at_most: self.limits.prompts_max.into() });
    }
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
            Step::Nothing | Step::Wait(_) | Step::Held(..) | Step::TooMany => {}
        }
    }

    /// What the decision's entry and record say of it.
    pub(crate) fn said(&self, chain: Option<&Chain>) -> Value {
        match &self.step {
            Step::Nothing => Value::Null,
            Step::Ask(asking) => {
                let ApprovalRequest { id, requirements, expires_at, .. } = &asking.record.request;
                let needed = requirements.iter().map(|one| json!({ "role": one.role.as_str(), "count": one.count }));
                let mut said = json!({ "id": id.to_string(), "is": "requested",
                    "approvers": needed.collect::<Vec<_>>(), "expires_at_ms": expires_at.0 });
                if let Some(replaced) = &asking.replaces {
                    said["replaces"] = replaced.to_string().into();
                }
                said
            }
            Step::Wait(found) => json!({ "id": found.value.request.id.to_string(), "is": "pending" }),
            Step::Spend(found) => {
                let approvers = self.met().approvals().iter().map(|approval| by(&approval.approver, chain));
                json!({ "id": found.value.request.id.to_string(), "is": "spent",
                    "approved_by": approvers.collect::<Vec<_>>() })
            }
            Step::Held(because, id) => json!({ "id": id.to_string(), "is": held(*because) }),
            Step::TooMany => json!({ "id": null, "is": TOO_MANY }),
        }
    }

    /// What the decision asks to be approved, if nobody was asked before.
    pub(crate) fn asked(&self) -> Option<&ApprovalRecord> {
        match &self.step {
            Step::Ask(asking) => Some(&asking.record),
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
        })
    }
}

const REFUSED: &str = "refused";
const UNANSWERED: &str = "unanswered";
const TOO_MANY: &str = "too_many";

const fn held(because: HoldReason) -> &'static str {
    match because {
        HoldReason::Refused => REFUSED,
        HoldReason::Unanswered => UNANSWERED,
    }
}

/// Why a challenge was a deny, from what its record says of approvals; none if it was not.
pub(crate) fn denied_by(is: &str) -> Option<HostReason> {
    match is {
        REFUSED => Some(HostReason::ApprovalRefused),
        UNANSWERED => Some(HostReason::ApprovalUnanswered),
        TOO_MANY => Some(HostReason::TooManyApprovals),
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
            Step::Held(HoldReason::Refused, found.value.request.id)
        }
        (Decision::Challenge(challenged), Some(found)) if is_in(&sought, found, challenged) => {
            Step::Wait(Box::new(found.clone()))
        }
        (Decision::Challenge(challenged), _) => ask(app, scene, (&sought, challenged), decision).await?,
        _ => Step::Nothing,
    };
    let reason = match &step {
        Step::Held(because, _) => denied_by(held(*because)),
        Step::TooMany => Some(HostReason::TooManyApprovals),
        _ => None,
    };
    if let Some(reason) = reason {
        made.decision = Decision::Deny(Denied::by_host(reason));
    }
    made.approval = Part { sought: Some(sought), step };
    Ok(())
}

/// Whether what is asked for now was asked for already: nobody else, and nothing more.
fn is_in(sought: &Sought, found: &Versioned<ApprovalRecord>, challenged: &Challenged) -> bool {
    let asked = &found.value.request.requirements;
    challenged.approvers.iter().all(|one| asked.contains(one))
        && sought.shown.as_ref().is_some_and(|shown| shown.cover(&challenged.terms))
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
    let (now, limits) = (scene.within.now(), app.approvals);
    let Waiting { mut over, count } = waiting(app, scene, sought).await?;
    let lapsed: Vec<&ApprovalRecord> = over.iter().map(|(old, _)| &old.value).collect();
    let holds = Holds::of(app, sought.asked_of, &lapsed).await?;
    if let Some((because, approval)) = holds.on(app, &sought.asked_of, now) {
        return Ok(Step::Held(because, approval));
    }
    if count >= usize::try_from(limits.open_max).unwrap_or(usize::MAX) {
        return Ok(Step::TooMany);
    }
    let replaces = sought.found.as_ref().map(|found| {
        let next = ApprovalRecord { state: ApprovalState::Lapsed, open: false, ..found.value.clone() };
        over.push((found.clone(), next));
        found.value.request.id
    });
    let record = new(app, scene, (sought, challenged), decision)?;
    // Whoever has said yes is not asked again.
    let answered = record.request.votes.iter().any(|vote| matches!(vote.approver, Approver::User(_)));
    let prompt = if answered { None } else { backchannel::prompt(app, &record, now).await? };
    Ok(Step::Ask(Box::new(Asking { record, over, replaces, holds, limits, prompt })))
}

/// What the agent has asked for its user, beside what was found.
struct Waiting {
    /// What has lapsed, and what it becomes.
    over: Vec<(Versioned<ApprovalRecord>, ApprovalRecord)>,
    /// How many have not.
    count: usize,
}

async fn waiting(app: &App, scene: Scene<'_>, sought: &Sought) -> Result<Waiting, Failure> {
    let (within, user) = (scene.within, scene.chain.map(|chain| &chain.behalf.user.id));
    let most = usize::try_from(app.approvals.open_max).unwrap_or(usize::MAX).saturating_add(1);
    let page = app.store.scan(&KeyPrefix::open_approvals(&within.agent().id, user), None, most).await?;
    let mut waiting = Waiting { over: Vec::new(), count: 0 };
    for id in page.items.iter().filter_map(|(key, _)| key.named_approval()) {
        if sought.found.as_ref().is_some_and(|found| found.value.request.id == id) {
            continue;
        }
        match app.store.record::<ApprovalRecord>(&Key::approval(&id)).await? {
            Some(found) if found.value.open && is_over(app, &found, within.now()) => {
                let next = ApprovalRecord { open: false, ..found.value.clone() };
                waiting.over.push((found, next));
            }
            _ => waiting.count += 1,
        }
    }
    Ok(waiting)
}

/// What is recorded of it. Where more people are asked than before, and for nothing more, those who have said yes have
/// said it; how long that counts does not change.
fn new(
    app: &App,
    scene: Scene<'_>,
    (sought, challenged): (&Sought, &Challenged),
    decision: DecisionId,
) -> Result<ApprovalRecord, Failure> {
    let (now, id) = (scene.within.now(), random::approval_id()?);
    let whose = scene.chain.map(|chain| (&chain.behalf.user.id, &*chain.key));
    let content = kept::text(whose, &Key::approval(&id), content::of(scene, challenged)?)?;
    let before = sought.found.as_ref().filter(|_| {
        !sought.met.is_nothing() && sought.shown.as_ref().is_some_and(|shown| shown.cover(&challenged.terms))
    });
    let counts = |vote: &&Vote| sought.met.approvals().iter().any(|one| one.approver == vote.approver);
    let votes =
        before.map_or_else(Vec::new, |found| found.value.request.votes.iter().filter(counts).cloned().collect());
    let lapses = now.plus_ms(app.approvals.lapse_ms);
    Ok(ApprovalRecord {
        request: ApprovalRequest {
            id,
            bound_to: sought.bound_to,
            requirements: challenged.approvers.clone(),
            votes,
            expires_at: before.map_or(lapses, |found| found.value.request.expires_at),
        },
        state: ApprovalState::Pending,
        asked_of: sought.asked_of,
        agent: scene.within.agent().id.clone(),
        owners: scene.asker().owners.into_iter().collect(),
        code: random::approval_code()?,
        decision,
        spent_by: None,
        open: true,
        prompted: false,
        created_at: now,
        content,
    })
}
