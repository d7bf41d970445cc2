//! Approvals: somebody's yes to one exact request under the exact policies that applied.
//!
//! A challenge asks for people in roles. Here it is said which of the votes that were given count for a request, and
//! whether that is enough: [`met`] is the only way to a [`Met`], and [`fn@crate::decide`] takes nothing else. Who votes by
//! which channel, where votes are kept, and when an approval is spent is not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::context::{Approval, EvaluationContext};
use crate::duty::Duty;
use crate::group::{self, GroupName};
use crate::id::{ApprovalId, Digest, Issuer, OperatorId, Owner, ParseError, UserId};
use crate::time::TimeMs;
use crate::verdict::ApprovalRequirement;

/// The most people of one role whose approval can be asked for, and the most votes of operators on one request.
pub const APPROVERS_MAX: u32 = 16;

/// The most members of groups whose approval can be asked for, and the most of their votes on one request.
pub const MEMBERS_MAX: u32 = 48;

/// The most bytes of the names of all groups whose approval is asked for.
pub const GROUPS_BYTES_MAX: usize = 1 << 10;

/// A role in which somebody can approve.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApproverRole {
    /// An operator with the duty `approver`.
    Operator,
    /// The user on whose behalf the agent asks.
    User,
    /// Another user of the same provider, who is in this group there. Without a user there is no provider, and so there
    /// is nobody in the group.
    Group(GroupName),
}

impl ApproverRole {
    /// Its name in the policy contract: `operator`, `user`, or the group's. No group goes by one of the two.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::User => "user",
            Self::Group(name) => name.as_str(),
        }
    }

    /// What kind of role it is, on the wire and in the log.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::User => "user",
            Self::Group(_) => "group",
        }
    }

    /// The group; none of the other roles.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Group(name) => Some(name),
            Self::Operator | Self::User => None,
        }
    }
}

impl FromStr for ApproverRole {
    type Err = ParseError;

    fn from_str(role: &str) -> Result<Self, ParseError> {
        match role {
            "operator" => Ok(Self::Operator),
            "user" => Ok(Self::User),
            name => name.parse().map(Self::Group),
        }
    }
}

impl fmt::Display for ApproverRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    /// Who they are.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Operator(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

/// What is known of a user who votes in the name of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their provider's issuer. A group of the same name at another is another.
    pub issuer: Issuer,
    /// By what names they go, as far as those can be told from an owner's.
    pub names: BTreeSet<String>,
    /// Their groups, each with when the provider asserted it.
    pub groups: BTreeMap<String, TimeMs>,
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
    /// The operators who registered those agents, or the key or identity by which it is asked: whoever did can ask as
    /// them, whatever owner they wrote there.
    pub registrars: BTreeSet<OperatorId>,
}

impl Asker {
    /// Whether this operator owns what asks, or registered it.
    #[must_use]
    pub fn is(&self, operator: &OperatorId) -> bool {
        self.registrars.contains(operator) || self.is_owner(operator.as_str())
    }

    /// Whether whoever goes by this name owns what asks. Names that differ in case alone may be one person's.
    #[must_use]
    pub fn is_owner(&self, name: &str) -> bool {
        self.owners.iter().any(|owner| owner.as_str().eq_ignore_ascii_case(name))
    }
}

/// What votes are counted by: all of it as it is now, not as it was when somebody voted.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a> {
    /// What is asked for now.
    pub bound_to: Digest,
    /// Who asks.
    pub asker: &'a Asker,
    /// On whose behalf, and who their provider is.
    pub user: Option<(&'a UserId, &'a Issuer)>,
    /// The operators who are active, with their duties. Who is not in it is none.
    pub operators: &'a BTreeMap<OperatorId, BTreeSet<Duty>>,
    /// The other users who voted, as they are known now. Who is not in it is nobody.
    pub members: &'a BTreeMap<UserId, Member>,
    /// When.
    pub now: TimeMs,
}

impl Count<'_> {
    /// In which roles somebody counts. Of groups those alone that are asked for: nobody need know the others.
    fn roles(&self, approver: &Approver, asked: &[ApprovalRequirement]) -> BTreeSet<ApproverRole> {
        match approver {
            Approver::Operator(id) => {
                let entitled = self.operators.get(id).is_some_and(|duties| duties.contains(&Duty::Approver));
                (entitled && !self.asker.is(id)).then_some(ApproverRole::Operator).into_iter().collect()
            }
            Approver::User(id) if self.user.is_some_and(|(user, _)| user == id) => BTreeSet::from([ApproverRole::User]),
            Approver::User(id) => {
                let is_of = |role: &&ApproverRole| role.group().is_some_and(|name| self.is_member(id, name));
                asked.iter().map(|one| &one.role).filter(is_of).cloned().collect()
            }
        }
    }

    /// Whether a user may approve as one of a group. Never is it the one on whose behalf it is asked, or who owns what asks.
    fn is_member(&self, id: &UserId, name: &GroupName) -> bool {
        let Some((user, issuer)) = self.user else { return false };
        let Some(member) = self.members.get(id) else { return false };
        id != user
            && member.issuer == *issuer
            && member.groups.get(name.as_str()).is_some_and(|at| group::counts(*at, self.now))
            && !member.names.iter().any(|name| self.asker.is_owner(name))
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

    /// The approvals: one for each who approved and each role in which that counts.
    #[must_use]
    pub fn approvals(&self) -> &[Approval] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Of these no more than are asked for, of each role those who approved first: a decision rests on them and records
    /// them, and has no room for everybody who also said yes.
    #[must_use]
    pub fn needed(self, requirements: &[ApprovalRequirement]) -> Self {
        let mut left: BTreeMap<&ApproverRole, u32> = BTreeMap::new();
        for one in requirements {
            let most = left.entry(&one.role).or_default();
            *most = one.count.max(*most);
        }
        let mut first: Vec<usize> = (0..self.0.len()).collect();
        first.sort_by_key(|at| self.0[*at].approved_at);
        let mut takes = |at: &usize| match left.get_mut(&self.0[*at].role) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        };
        let needed: BTreeSet<usize> = first.into_iter().filter(|at| takes(at)).collect();
        let all = self.0.into_iter().enumerate();
        Self(all.filter(|(at, _)| needed.contains(at)).map(|(_, approval)| approval).collect())
    }

    /// Whether all of these are met. Nothing meets a demand for nobody.
    #[must_use]
    pub fn covers(&self, requirements: &[ApprovalRequirement]) -> bool {
        let meets = |one: &ApprovalRequirement| {
            let needed = usize::try_from(one.count).unwrap_or(usize::MAX);
            let of_role = self.0.iter().filter(|approval| approval.role == one.role);
            needed > 0 && of_role.map(|approval| &approval.approver).collect::<BTreeSet<_>>().len() >= needed
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
    for vote in request.votes.iter().filter(|vote| vote.at <= count.now) {
        counted.entry(&vote.approver).or_insert(vote.at);
    }
    let approvals = |(approver, approved_at): (&Approver, TimeMs)| {
        let roles = count.roles(approver, &request.requirements);
        let (id, approver) = (request.id, approver.clone());
        roles.into_iter().map(move |role| Approval { id, approver: approver.clone(), role, approved_at })
    };
    Met(counted.into_iter().flat_map(approvals).collect())
}

/// Whether all of these can be met for a request with or without a user. Where more groups, or more of their members, are
/// asked than anybody wants to read, and records have room for, they cannot.
#[must_use]
pub fn can_all_be_met(requirements: &[ApprovalRequirement], with_user: bool) -> bool {
    let mut groups: BTreeMap<&GroupName, u32> = BTreeMap::new();
    for (name, count) in requirements.iter().filter_map(|one| Some((one.role.group()?, one.count))) {
        let most = groups.entry(name).or_default();
        *most = count.max(*most);
    }
    groups.keys().map(|name| name.as_str().len()).sum::<usize>() <= GROUPS_BYTES_MAX
        && groups.values().fold(0_u32, |all, count| all.saturating_add(*count)) <= MEMBERS_MAX
        && requirements.iter().all(|one| can_be_met(one, with_user))
}

/// Whether there can be so many approvers of this role for a request with or without a user.
#[must_use]
pub fn can_be_met(requirement: &ApprovalRequirement, with_user: bool) -> bool {
    let most = match &requirement.role {
        ApproverRole::User => u32::from(with_user),
        // Whose provider would say who is in it?
        ApproverRole::Group(_) if !with_user => 0,
        ApproverRole::Operator | ApproverRole::Group(_) => APPROVERS_MAX,
    };
    (1..=most).contains(&requirement.count)
}

#[cfg(test)]
#[path = "approval_tests.rs"]
pub(crate) mod tests;
