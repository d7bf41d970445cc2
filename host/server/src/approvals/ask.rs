//! Asking for an approval: what is written with it, or why nobody is asked.
//!
//! Whether one is to be asked for is found out in [`super::step`].

use attorn_core::{ApprovalId, ApprovalRequest, ApprovalState, Asker, Challenged, DecisionId, JsonText, TimeMs, Vote};
use attorn_store::records::{ApprovalRecord, HoldReason, PromptRecord, Record as _};
use attorn_store::{Add, Batch, Key, KeyPrefix, Require, Versioned};

use super::hold::Holds;
use super::seek::{Scene, Sought};
use super::{ApprovalLimits, asks_user, content, groups, has_user_vote, is_over, page};
use crate::app::App;
use crate::http::failure::Failure;
use crate::providers::backchannel;
use crate::random;
use crate::users::kept;

/// Why nobody is asked.
pub(super) enum Unasked {
    /// Somebody has refused it, or nobody has answered.
    Held(HoldReason, ApprovalId),
    /// As many wait as may.
    TooMany,
    /// Nobody can be shown what is asked.
    Unreadable,
    /// Nobody asks the user, or those of a group, whose yes it takes.
    Impossible,
}

/// An approval that is asked for, and what else is written with it.
pub(super) struct Asking {
    pub(super) record: ApprovalRecord,
    /// Those that do not count any more, with what they become.
    over: Vec<(Versioned<ApprovalRecord>, ApprovalRecord)>,
    /// The one whose place it takes, because it asks for more than that one did.
    pub(super) replaces: Option<ApprovalId>,
    /// What holds because nobody answered.
    holds: Holds,
    limits: ApprovalLimits,
    /// The user is asked at their provider.
    prompt: Option<PromptRecord>,
}

impl Asking {
    /// Put all of it into the batch of the decision.
    pub(super) fn put(&self, batch: &mut Batch) {
        for (old, next) in &self.over {
            batch.require.push((old.value.key(), Require::Version(old.version)));
            old.value.becomes(next, batch);
        }
        self.holds.put(batch);
        self.record.open(batch, self.limits.open_max);
        let Some(prompt) = &self.prompt else { return };
        prompt.open(batch, self.limits.prompts_open_max);
        // However many agents ask, somebody is asked so often and no more.
        let window_ms = self.limits.prompts_window_ms;
        let start = TimeMs(batch.now.0 - batch.now.0 % window_ms);
        let key = Key::user_prompts(&prompt.user, start);
        batch.put.push((Key::expiry(start.plus_ms(window_ms), &key), Vec::new()));
        batch.add.push(Add { key, delta: 1, at_most: self.limits.prompts_max.into() });
    }
}

/// Ask for an approval. What another demand takes the place of has lapsed with that, and what lapsed before makes room.
pub(super) async fn ask(
    app: &App,
    scene: Scene<'_>,
    (sought, challenged): (&Sought, &Challenged),
    decision: DecisionId,
) -> Result<Result<Box<Asking>, Unasked>, Failure> {
    let (now, limits) = (scene.within.now(), app.approvals);
    let Ok(content) = content::of(scene, challenged, app.active.snapshot().record.revision)? else {
        return Ok(Err(Unasked::Unreadable));
    };
    let Waiting { mut over, count } = waiting(app, scene, sought).await?;
    let lapsed: Vec<&ApprovalRecord> = over.iter().map(|(old, _)| &old.value).collect();
    let holds = Holds::of(app, sought.asked_of, &lapsed).await?;
    if let Some((because, approval)) = holds.on(app, &sought.asked_of, now) {
        return Ok(Err(Unasked::Held(because, approval)));
    }
    if count >= usize::try_from(limits.open_max).unwrap_or(usize::MAX) {
        return Ok(Err(Unasked::TooMany));
    }
    let replaces = sought.found.as_ref().map(|found| {
        let next = ApprovalRecord { state: ApprovalState::Lapsed, open: false, ..found.value.clone() };
        over.push((found.clone(), next));
        found.value.request.id
    });
    let asker = scene.asker(app).await?;
    let record = new(app, (scene, asker), (sought, challenged), (decision, content))?;
    // Whoever has said yes is not asked again.
    let answered = has_user_vote(&record);
    let prompt = if answered { None } else { backchannel::prompt(app, &record, now).await? };
    if prompt.is_none() && !answered && asks_user(&record) {
        return Ok(Err(Unasked::Impossible));
    }
    // A member answers on the page alone, and only where their provider says whose member they are.
    if !groups(&record).is_empty() && !page::admits_groups(app, &record).await? {
        return Ok(Err(Unasked::Impossible));
    }
    Ok(Ok(Box::new(Asking { record, over, replaces, holds, limits, prompt })))
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
    (scene, asker): (Scene<'_>, Asker),
    (sought, challenged): (&Sought, &Challenged),
    (decision, content): (DecisionId, JsonText),
) -> Result<ApprovalRecord, Failure> {
    let (now, id) = (scene.within.now(), random::approval_id()?);
    let whose = scene.chain.map(|chain| (&chain.behalf.user.id, &*chain.key));
    let content = kept::text(whose, &Key::approval(&id), content)?;
    let before = sought.found.as_ref().filter(|_| {
        !sought.met.is_nothing() && sought.shown.as_ref().is_some_and(|shown| shown.cover(&challenged.terms))
    });
    let counts = |vote: &&Vote| sought.met.approvals().iter().any(|one| one.approver == vote.approver);
    let votes =
        before.map_or_else(Vec::new, |found| found.value.request.votes.iter().filter(counts).cloned().collect());
    let lapses = now.plus_ms(app.approvals.lapse_ms);
    let asks_group = challenged.approvers.iter().any(|one| one.role.group().is_some());
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
        owners: asker.owners.into_iter().collect(),
        registrars: asker.registrars.into_iter().collect(),
        delegation: scene.within.behalf().and_then(|behalf| behalf.delegations().last()).map(|last| last.id.clone()),
        code: random::approval_code()?,
        decision,
        spent_by: None,
        open: true,
        prompted: false,
        groups_of: scene.chain.filter(|_| asks_group).map(|chain| chain.behalf.user.issuer.clone()),
        created_at: now,
        content,
    })
}
