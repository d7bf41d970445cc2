//! One vote, by whatever channel it comes. Who votes, the channel has found out; whether they may is said in `voter`, and
//! whether it is in time, and on what they were shown, is checked here.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_core::approval::{APPROVERS_MAX, MEMBERS_MAX};
use attorn_core::{
    ApprovalId, ApprovalRequest, ApprovalState, Approver, Digest, GroupName, ProviderId, Say, TimeMs, Vote,
};
use attorn_identity::UserKey;
use attorn_store::records::{ApprovalRecord, Record as _, UserRecord};
use attorn_store::{Batch, CommitError, Key, Require, Versioned};
use serde_json::{Value, json};

use super::voter::{self, Known, Voter, role};
use super::{asks_operators, content, groups_of, hold, operators_see, seek, state, waits};
use crate::app::App;
use crate::decisions::veil;
use crate::entry;
use crate::http::failure::Failure;
use crate::registry::moved;
use crate::users::kept;

/// How often a vote is cast anew because somebody else voted meanwhile.
const ATTEMPTS_MAX: usize = 8;

/// By which way a vote came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The API, as operators use it.
    Api,
    /// The user's device, which their provider asked.
    Device,
    /// The approval page.
    Page,
}

impl Channel {
    /// Its name in the log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Device => "device",
            Self::Page => "page",
        }
    }
}

/// A vote as it comes in.
pub(crate) struct Ballot<'a> {
    pub(crate) voter: Voter<'a>,
    pub(crate) channel: Channel,
    pub(crate) says: Say,
    /// The digest of what they were shown.
    pub(crate) saw: Digest,
    /// Why; an operator answers for their words, which stand in the log as they are.
    pub(crate) reason: Option<&'a str>,
    /// By what their channel knows that they said so; an operator is there themselves.
    pub(crate) evidence: Option<&'a Evidence>,
    /// What must still hold when the vote is recorded, besides what it is checked against here.
    pub(crate) rests_on: &'a [(Key, Require)],
}

/// The provider's word for what a user said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The provider.
    pub(crate) provider: ProviderId,
    /// The digest of the token that says so, and when it was issued; none where the provider's answer is no token.
    pub(crate) token: Option<(Digest, TimeMs)>,
}

impl Evidence {
    /// As the log has it: whoever has the token and the user's key can show that it is this one, and nobody else can.
    pub(crate) fn in_entry(&self, key: &UserKey) -> Value {
        let token = self.token.map(|(digest, _)| key.commitment("id_token", digest.as_bytes()).to_string());
        let issued_at_ms = self.token.map(|(_, issued_at)| issued_at.0);
        json!({ "provider": self.provider.as_str(), "token": token, "issued_at_ms": issued_at_ms })
    }
}

/// An approval that operators see; of others they find none.
pub(crate) async fn find(app: &App, id: &ApprovalId) -> Result<Versioned<ApprovalRecord>, Failure> {
    let found = app.store.record::<ApprovalRecord>(&Key::approval(id)).await?;
    found.filter(|found| operators_see(&found.value)).ok_or_else(|| {
        Failure::not_found("approval", id).with_help(
            "`attorn approval list --state all` shows those there are; what asks its user alone is shown to nobody else",
        )
    })
}

/// One that operators are asked for. What they see and are not asked for they have no say in.
pub(super) async fn find_asking_operators(app: &App, id: &ApprovalId) -> Result<Versioned<ApprovalRecord>, Failure> {
    let found = find(app, id).await?;
    if asks_operators(&found.value) {
        return Ok(found);
    }
    let detail = format!("approval `{id}` asks no operator, whose yes or no does not count");
    let help = "`attorn approval show` says who is asked: members of the group sign in on the page of the approval";
    Err(Failure::of(ProblemCode::InvalidState, detail).with_help(help))
}

/// Cast a vote; the approval as it is then. Whoever calls this does not hold `App::era`.
pub(crate) async fn cast(app: &App, id: &ApprovalId, ballot: &Ballot<'_>) -> Result<ApprovalRecord, Failure> {
    // Were time set back between check and commit, the vote would make what ended then look new.
    let _era = app.era.read().await;
    for _ in 0..ATTEMPTS_MAX {
        let mut batch = Batch::new(app.clock.now());
        let voter = Known::of(app, (id, ballot), &mut batch).await?;
        let approver = voter.approver();
        let found = voter::find(app, id, (&ballot.voter, &approver)).await?;
        check(app, &found, (ballot, &approver), batch.now).await?;
        let next = voted(app, &found.value, (ballot, &voter), batch.now).await?;
        say(app, &next, (ballot, &voter), &mut batch).await?;
        match next.state {
            ApprovalState::Refused => hold::refused(app, &next, &mut batch).await?,
            ApprovalState::Approved => hold::approved(app, &next, &mut batch).await?,
            _ => {}
        }
        batch.require.push((found.value.key(), Require::Version(found.version)));
        batch.require.extend(ballot.rests_on.iter().cloned());
        found.value.becomes(&next, &mut batch);
        let committed = match &voter {
            // The key of somebody new is on disk before what is sealed under it.
            Known::Member(user) => user.commit(app, batch).await?.is_some(),
            Known::Operator(_) | Known::User(_) => match app.store.commit(batch).await {
                Ok(_) => true,
                Err(CommitError::Conflict(_)) => false,
                Err(other) => return Err(other.into()),
            },
        };
        if committed {
            return Ok(next);
        }
    }
    Err(moved())
}

async fn check(
    app: &App,
    found: &Versioned<ApprovalRecord>,
    (ballot, approver): (&Ballot<'_>, &Approver),
    now: TimeMs,
) -> Result<(), Failure> {
    let (record, id) = (&found.value, &found.value.request.id);
    voter::may_vote(record, (ballot, approver), now)?;
    if let (Voter::Member(somebody, _), Say::Approve) = (&ballot.voter, ballot.says)
        && voter::is_its_user(app, record, somebody).await?
    {
        let detail = "you go by a name of the user on whose behalf this is asked";
        return Err(Failure::of(ProblemCode::OwnRequest, detail).with_help("another member of the group can"));
    }
    if !waits(app, found, now) {
        let state = state(app, found, now).await?;
        let detail = format!("approval `{id}` is {}", state.as_str());
        let help = match (state, record.spent_by) {
            (ApprovalState::Refused, _) => "the agent can ask again, though for a while the same is denied".to_owned(),
            (ApprovalState::Spent, Some(decision)) => format!(
                "it was used; what came of it ends with its grant: `attorn audit show {decision}` names that, and \
                 `attorn grant revoke` ends it"
            ),
            _ => "the agent can ask again".to_owned(),
        };
        return Err(Failure::of(ProblemCode::InvalidState, detail).with_help(help));
    }
    let (_, digest) = content::open(app, record).await?.ok_or_else(erased)?;
    if digest != ballot.saw {
        let detail = format!("the digest is not that of what approval `{id}` asks");
        return Err(
            Failure::of(ProblemCode::ApprovalMismatch, detail).with_help("look at it again: `attorn approval show`")
        );
    }
    let votes = &record.request.votes;
    let said_before = votes.iter().any(|vote| vote.approver == *approver && vote.says == ballot.says);
    // A yes for a group counts for minutes after the provider said who is in it, and may then be said again.
    let said_before = said_before
        && match &ballot.voter {
            Voter::Member(..) if ballot.says == Say::Approve => {
                let counted = seek::counted(app, record, None, now).await?;
                counted.approvals().iter().any(|one| one.approver == *approver)
            }
            _ => true,
        };
    if said_before || (ballot.says == Say::Approve && !has_room(record, (&ballot.voter, approver))) {
        let why = if said_before { "has your vote already" } else { "has as many votes as it may have" };
        let failure = Failure::of(ProblemCode::InvalidState, format!("approval `{id}` {why}"));
        let is_whole = state(app, found, now).await? == ApprovalState::Approved;
        let waits = if is_whole { "it waits for nobody, and the agent can go on" } else { "it waits for others" };
        return Err(failure.with_help(format!("{waits}; until it is spent, you can still refuse it")));
    }
    Ok(())
}

/// Whether a yes of this voter has room beside those of others. Those of one role take no place from another, and whoever
/// votes anew keeps their own.
fn has_room(record: &ApprovalRecord, (voter, approver): (&Voter<'_>, &Approver)) -> bool {
    let others = record.request.votes.iter().filter(|vote| vote.approver != *approver);
    let of_role = others.filter(|vote| role(record, &vote.approver) == role(record, approver)).count();
    let most = if matches!(voter, Voter::Member(..)) { MEMBERS_MAX } else { APPROVERS_MAX };
    of_role < most as usize
}

/// What the approval becomes with this vote. Whoever said yes may still say no.
async fn voted(
    app: &App,
    record: &ApprovalRecord,
    (ballot, voter): (&Ballot<'_>, &Known),
    now: TimeMs,
) -> Result<ApprovalRecord, Failure> {
    let (mut all, approver) = (record.request.votes.clone(), voter.approver());
    all.retain(|vote| vote.approver != approver);
    all.push(Vote { approver, says: ballot.says, at: now });
    let expires_at = match ballot.says {
        Say::Approve => record.request.expires_at,
        Say::Refuse => now.plus_ms(app.approvals.refusal_ms),
    };
    let request = ApprovalRequest { votes: all, expires_at, ..record.request.clone() };
    let mut next = ApprovalRecord { request, ..record.clone() };
    next.state = match ballot.says {
        Say::Refuse => ApprovalState::Refused,
        Say::Approve => {
            let counted = seek::counted(app, &next, voter.member(), now).await?;
            let covers = counted.covers(&next.request.requirements);
            if covers { ApprovalState::Approved } else { ApprovalState::Pending }
        }
    };
    Ok(next)
}

/// The entry about it. What was voted on is named by the digest that was shown, or by a commitment to it where it is
/// about a user.
async fn say(
    app: &App,
    next: &ApprovalRecord,
    (ballot, voter): (&Ballot<'_>, &Known),
    batch: &mut Batch,
) -> Result<(), Failure> {
    let key = match next.user() {
        None => None,
        Some(user) => {
            let record = app.store.record::<UserRecord>(&Key::user(user)).await?.ok_or_else(erased)?;
            batch.require.push((Key::user(user), Require::Version(record.version)));
            Some(kept::key(app, user).await?.ok_or_else(erased)?)
        }
    };
    let saw = match &key {
        None => ballot.saw.to_string(),
        Some(key) => key.commitment("approval", ballot.saw.as_bytes()).to_string(),
    };
    let mut about = json!({
        "approval": next.request.id.to_string(),
        "decision_id": next.decision.to_string(),
        "agent": next.agent.as_str(),
        "role": role(next, &voter.approver()),
        "channel": ballot.channel.as_str(),
        "says": ballot.says.as_str(),
        "state": next.state.as_str(),
        "saw": saw,
        "reason": ballot.reason,
    });
    let (user, key) = match (&ballot.voter, voter) {
        (Voter::Operator(operator), _) => return entry::act(batch, operator, EntryType::ApprovalVoted, about),
        (Voter::Member(somebody, _), Known::Member(user)) => {
            let groups = groups_of(next, somebody);
            about["groups"] = groups.into_iter().map(GroupName::as_str).collect::<Vec<_>>().into();
            about["groups_asserted_at_ms"] = somebody.asserted_at.0.into();
            (&user.record.value.id, Some(Arc::clone(&user.key)))
        }
        (Voter::User(user), _) => (*user, key),
        (Voter::Member(..), _) => return Err(Failure::internal("somebody votes for a group as nobody")),
    };
    about["by"] = json!({ "user": key.as_ref().map(|key| veil::user(user, key)) });
    about["evidence"] = ballot.evidence.zip(key.as_ref()).map(|(word, key)| word.in_entry(key)).into();
    batch.entries.push(entry::body(batch.now, EntryType::ApprovalVoted, json!({ "about": about }))?);
    Ok(())
}

fn erased() -> Failure {
    kept::erased("the user on whose behalf this was asked was erased")
}

#[cfg(test)]
#[path = "vote_tests.rs"]
mod tests;
