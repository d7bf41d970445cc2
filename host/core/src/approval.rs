//! Approvals: somebody's yes to one exact request under the exact policies that applied.
//!
//! A challenge asks for people in roles. Here it is said which of the votes that were given count for a request, and
//! whether that is enough: [`met`] is the only way to a [`Met`], and [`fn@crate::decide`] takes nothing else. Who votes by
//! which channel, where votes are kept, and when an approval is spent is not known here.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::{Approval, EvaluationContext};
use crate::duty::Duty;
use crate::id::{ApprovalId, Digest, OperatorId, Owner, ReasonCode, UserId};
use crate::time::TimeMs;
use crate::verdict::ApprovalRequirement;

/// The most people of one role whose approval can be asked for, and the most votes on one request.
pub const APPROVERS_MAX: u32 = 16;

/// A role in which somebody can approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApproverRole {
    /// An operator with the duty `approver`.
    Operator,
    /// The user on whose behalf the agent asks.
    User,
}

impl ApproverRole {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Operator, Self::User];

    /// Its name in the policy contract and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::User => "user",
        }
    }

    /// The role that a policy names; none if there is no such role here.
    #[must_use]
    pub fn named(role: &ReasonCode) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == role.as_str())
    }
}

/// Somebody who votes, as the channel by which they vote has identified them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Approver {
    /// An operator, by their token.
    Operator(OperatorId),
    /// A user, by their provider.
    User(UserId),
}

impl Approver {
    /// In which role they vote.
    #[must_use]
    pub const fn role(&self) -> ApproverRole {
        match self {
            Self::Operator(_) => ApproverRole::Operator,
            Self::User(_) => ApproverRole::User,
        }
    }

    /// Who they are.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Operator(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

/// What somebody says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Say {
    /// Yes, to this alone.
    Approve,
    /// No.
    Refuse,
}

impl Say {
    /// Its name on the wire and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Refuse => "refuse",
        }
    }
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Whose.
    pub approver: Approver,
    /// What they said.
    pub says: Say,
    /// When.
    pub at: TimeMs,
}

/// How far an approval has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApprovalState {
    /// It waits for votes.
    Pending,
    /// All who were asked for have said yes.
    Approved,
    /// Somebody has said no.
    Refused,
    /// Its time is over, or another has taken its place.
    Lapsed,
    /// An allow was made of it.
    Spent,
}

impl ApprovalState {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Pending, Self::Approved, Self::Refused, Self::Lapsed, Self::Spent];

    /// Its name on the wire and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Lapsed => "lapsed",
            Self::Spent => "spent",
        }
    }

    /// Whether it waits: a vote or a decision can still come to something.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

/// What people are asked to approve, and what they said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// Names it.
    pub id: ApprovalId,
    /// The digest of the request, whom it is for and the policies that apply: what a yes is a yes to.
    pub bound_to: Digest,
    /// The union of all that the challenge asks for.
    pub requirements: Vec<ApprovalRequirement>,
    /// What was said so far.
    pub votes: Vec<Vote>,
    /// From when on none of it counts.
    pub expires_at: TimeMs,
}

/// Who asks, as far as nobody approves what they ask for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asker {
    /// Who answers for the agents that it comes through: the one that asks, and those that delegated to it.
    pub owners: BTreeSet<Owner>,
    /// The operator by whose token it is asked, if it is.
    pub operator: Option<OperatorId>,
}

impl Asker {
    /// Whether this operator asks, or owns what does. Names that differ in case alone may be one person's.
    #[must_use]
    pub fn is(&self, operator: &OperatorId) -> bool {
        self.operator.as_ref() == Some(operator)
            || self.owners.iter().any(|owner| owner.as_str().eq_ignore_ascii_case(operator.as_str()))
    }
}

/// What votes are counted by: all of it as it is now, not as it was when somebody voted.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a> {
    /// What is asked for now.
    pub bound_to: Digest,
    /// Who asks.
    pub asker: &'a Asker,
    /// On whose behalf.
    pub user: Option<&'a UserId>,
    /// The operators who are active, with their duties. Who is not in it is none.
    pub operators: &'a BTreeMap<OperatorId, BTreeSet<Duty>>,
    /// When.
    pub now: TimeMs,
}

impl Count<'_> {
    fn entitles(&self, approver: &Approver) -> bool {
        match approver {
            Approver::Operator(id) => {
                let entitled = self.operators.get(id).is_some_and(|duties| duties.contains(&Duty::Approver));
                entitled && !self.asker.is(id)
            }
            Approver::User(id) => self.user == Some(id),
        }
    }
}

/// The approvals that count. Only [`met`] makes one of votes, so whoever holds it knows that they were counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Met(Vec<Approval>);

impl Met {
    /// Nobody approved anything.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// What was counted in a decision that is made again. No grant is made of what comes of it.
    pub(crate) fn again(context: &EvaluationContext) -> Self {
        Self(context.approvals.clone())
    }

    /// The approvals, each of somebody else.
    #[must_use]
    pub fn approvals(&self) -> &[Approval] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of these are met. Nothing meets a demand for nobody.
    #[must_use]
    pub fn covers(&self, requirements: &[ApprovalRequirement]) -> bool {
        let meets = |one: &ApprovalRequirement| {
            let needed = usize::try_from(one.count).unwrap_or(usize::MAX);
            let who = |role| {
                let approvers = self.0.iter().map(|approval| &approval.approver);
                approvers.filter(|approver| approver.role() == role).collect::<BTreeSet<_>>().len()
            };
            needed > 0 && ApproverRole::named(&one.role).is_some_and(|role| who(role) >= needed)
        };
        !requirements.is_empty() && requirements.iter().all(meets)
    }
}

/// The votes on a request that count now: those of distinct people who are entitled, none of whom asks, on what is asked
/// for now, in time. Where anybody says no, none of them does.
#[must_use]
pub fn met(request: &ApprovalRequest, count: Count<'_>) -> Met {
    let refused = request.votes.iter().any(|vote| vote.says == Say::Refuse);
    if refused || request.bound_to != count.bound_to || request.expires_at <= count.now {
        return Met::nothing();
    }
    let mut counted: BTreeMap<&Approver, TimeMs> = BTreeMap::new();
    for vote in request.votes.iter().filter(|vote| vote.at <= count.now && count.entitles(&vote.approver)) {
        counted.entry(&vote.approver).or_insert(vote.at);
    }
    let approval =
        |(approver, at): (&Approver, TimeMs)| Approval { id: request.id, approver: approver.clone(), approved_at: at };
    Met(counted.into_iter().map(approval).collect())
}

/// Whether there can be so many approvers of this role for a request with or without a user.
#[must_use]
pub fn can_be_met(requirement: &ApprovalRequirement, with_user: bool) -> bool {
    let most = match ApproverRole::named(&requirement.role) {
        Some(ApproverRole::Operator) => APPROVERS_MAX,
        Some(ApproverRole::User) => u32::from(with_user),
        None => 0,
    };
    (1..=most).contains(&requirement.count)
}

#[cfg(test)]
#[path = "approval_tests.rs"]
pub(crate) mod tests;
