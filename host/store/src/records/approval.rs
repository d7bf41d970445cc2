//! What people are asked to approve, what they said, and what came of it.
//!
//! What is asked about a user is sealed under that user's key; what it says is not known here. Who counts is
//! [`attorn_core::approval`]'s business.

use attorn_core::verdict::ApprovalRequirement;
use attorn_core::{
    AgentId, ApprovalId, ApprovalRequest, ApprovalState, Approver, ApproverRole, Asker, DecisionId, DelegationId,
    Digest, Issuer, JsonText, OperatorId, Owner, Say, TimeMs, UserId, Vote,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Kept, KeptWire, Record, RecordError, Text};
use crate::batch::{Add, Batch};
use crate::key::Key;

/// An approval that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRecord {
    /// What is asked for, and what was said.
    pub request: ApprovalRequest,
    /// How far it has come. That its time is over is seen from [`ApprovalRequest::expires_at`].
    pub state: ApprovalState,
    /// What is asked, whatever the request says of itself: what a refusal, or silence, is of. A keyed hash.
    pub asked_of: Digest,
    /// The agent that asks.
    pub agent: AgentId,
    /// Who answers for it, and for those that delegated to it.
    pub owners: Vec<Owner>,
    /// The operators who registered them, or the key or identity by which it asks.
    pub registrars: Vec<OperatorId>,
    /// The delegation that it acts by; none for what it does on its own authority.
    pub delegation: Option<DelegationId>,
    /// The short code that agent and approvers see.
    pub code: String,
    /// The challenge that asked for it first.
    pub decision: DecisionId,
    /// The allow that was made of it.
    pub spent_by: Option<DecisionId>,
    /// Whether it counts among those that its agent may have at once for its user.
    pub open: bool,
    /// Whether its user was asked at their provider.
    pub prompted: bool,
    /// Whose groups it asks for; none where it asks for none.
    pub groups_of: Option<Issuer>,
    /// When it was asked for.
    pub created_at: TimeMs,
    /// What approvers are shown, one JSON text; sealed if it is asked on behalf of a user.
    pub content: Kept<JsonText>,
}

impl ApprovalRecord {
    /// The user on whose behalf it is asked for.
    #[must_use]
    pub const fn user(&self) -> Option<&UserId> {
        match &self.content {
            Kept::Plain(_) => None,
            Kept::Sealed { user, .. } => Some(user),
        }
    }

    /// Who asks.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker { owners: self.owners.iter().cloned().collect(), registrars: self.registrars.iter().cloned().collect() }
    }

    /// Record a new one with all that finds it, at most so many of its agent's for its user at once.
    pub fn open(&self, batch: &mut Batch, open_max: u32) {
        let (id, key) = (self.request.id, self.key());
        batch.put.push((Key::open_approval(&self.agent, self.user(), &id), Vec::new()));
        batch.put.push((Key::expiry(self.request.expires_at, &key), Vec::new()));
        batch.put_record(&ApprovalRequestRecord { bound_to: self.request.bound_to, approval: id });
        let counter = Key::open_approvals(&self.agent, self.user());
        batch.add.push(Add { key: counter, delta: 1, at_most: open_max.into() });
        batch.put_record(self);
    }

    /// It counts no more among those of its agent.
    pub fn close(&self, batch: &mut Batch) {
        batch.delete.push(Key::open_approval(&self.agent, self.user(), &self.request.id));
        let counter = Key::open_approvals(&self.agent, self.user());
        batch.add.push(Add { key: counter, delta: -1, at_most: u64::MAX >> 1 });
    }

    /// Replace it by what it has become, with all that finds it. Whoever asks for this names its version.
    pub fn becomes(&self, next: &Self, batch: &mut Batch) {
        batch.put_record(next);
        if self.open && !next.open {
            self.close(batch);
        }
        if self.request.expires_at != next.request.expires_at {
            batch.put.push((Key::expiry(next.request.expires_at, &next.key()), Vec::new()));
        }
    }
}

impl Record for ApprovalRecord {
    fn key(&self) -> Key {
        Key::approval(&self.request.id)
    }

    fn encode(&self) -> Vec<u8> {
        let ApprovalRequest { id, bound_to, requirements, votes, expires_at } = &self.request;
        codec::encode(&ApprovalWire {
            id: Text(*id),
            bound_to: Text(*bound_to),
            requirements: requirements.iter().map(|one| (Text(one.role.clone()), one.count)).collect(),
            votes: votes.iter().map(VoteWire::of).collect(),
            state: self.state,
            asked_of: Text(self.asked_of),
            agent: Text(self.agent.clone()),
            owners: self.owners.iter().cloned().map(Text).collect(),
            registrars: self.registrars.iter().cloned().map(Text).collect(),
            delegation: self.delegation.clone().map(Text),
            code: self.code.clone(),
            decision: Text(self.decision),
            spent_by: self.spent_by.map(Text),
            open: self.open,
            prompted: self.prompted,
            groups_of: self.groups_of.clone().map(Text),
            created_at_ms: self.created_at.0,
            expires_at_ms: expires_at.0,
            content: KeptWire::of(&self.content, |content| content.as_str().to_owned()),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ApprovalWire| {
            if (wire.state == ApprovalState::Spent) != wire.spent_by.is_some() {
                return Err("an approval that is spent says by what, and no other does".into());
            }
            if wire.groups_of.is_none() && wire.requirements.iter().any(|(role, _)| role.0.group().is_some()) {
                return Err("an approval that asks for a group says whose".into());
            }
            let requirement = |(role, count): (Text<ApproverRole>, u32)| ApprovalRequirement { role: role.0, count };
            Ok(Self {
                request: ApprovalRequest {
                    id: wire.id.0,
                    bound_to: wire.bound_to.0,
                    requirements: wire.requirements.into_iter().map(requirement).collect(),
                    votes: wire.votes.into_iter().map(VoteWire::vote).collect(),
                    expires_at: TimeMs(wire.expires_at_ms),
                },
                state: wire.state,
                asked_of: wire.asked_of.0,
                agent: wire.agent.0,
                owners: wire.owners.into_iter().map(|owner| owner.0).collect(),
                registrars: wire.registrars.into_iter().map(|registrar| registrar.0).collect(),
                delegation: wire.delegation.map(|delegation| delegation.0),
                code: wire.code,
                decision: wire.decision.0,
                spent_by: wire.spent_by.map(|decision| decision.0),
                open: wire.open,
                prompted: wire.prompted,
                groups_of: wire.groups_of.map(|issuer| issuer.0),
                created_at: TimeMs(wire.created_at_ms),
                content: wire.content.kept(JsonText::from_canonical),
            })
        })
    }
}

/// Which approval was asked for last for a request. It may be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequestRecord {
    /// The request, as [`ApprovalRequest::bound_to`].
    pub bound_to: Digest,
    /// The approval.
    pub approval: ApprovalId,
}

impl Record for ApprovalRequestRecord {
    fn key(&self) -> Key {
        Key::approval_request(&self.bound_to)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&RequestWire { bound_to: Text(self.bound_to), approval: Text(self.approval) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: RequestWire| {
            Ok(Self { bound_to: wire.bound_to.0, approval: wire.approval.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestWire {
    bound_to: Text<Digest>,
    approval: Text<ApprovalId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalWire {
    id: Text<ApprovalId>,
    bound_to: Text<Digest>,
    requirements: Vec<(Text<ApproverRole>, u32)>,
    votes: Vec<VoteWire>,
    #[serde(with = "StateWire")]
    state: ApprovalState,
    asked_of: Text<Digest>,
    agent: Text<AgentId>,
    owners: Vec<Text<Owner>>,
    /// Not there in records from before they counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    registrars: Vec<Text<OperatorId>>,
    delegation: Option<Text<DelegationId>>,
    code: String,
    decision: Text<DecisionId>,
    spent_by: Option<Text<DecisionId>>,
    open: bool,
    prompted: bool,
    /// Not there in records from before groups were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups_of: Option<Text<Issuer>>,
    created_at_ms: u64,
    expires_at_ms: u64,
    content: KeptWire<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteWire {
    by: ApproverWire,
    #[serde(with = "SayWire")]
    says: Say,
    at_ms: u64,
}

impl VoteWire {
    fn of(vote: &Vote) -> Self {
        let by = match &vote.approver {
            Approver::Operator(id) => ApproverWire::Operator(Text(id.clone())),
            Approver::User(id) => ApproverWire::User(Text(id.clone())),
        };
        Self { by, says: vote.says, at_ms: vote.at.0 }
    }

    fn vote(self) -> Vote {
        let approver = match self.by {
            ApproverWire::Operator(id) => Approver::Operator(id.0),
            ApproverWire::User(id) => Approver::User(id.0),
        };
        Vote { approver, says: self.says, at: TimeMs(self.at_ms) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ApproverWire {
    Operator(Text<OperatorId>),
    User(Text<UserId>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Say", rename_all = "snake_case")]
enum SayWire {
    Approve,
    Refuse,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ApprovalState", rename_all = "snake_case")]
enum StateWire {
    Pending,
    Approved,
    Refused,
    Lapsed,
    Spent,
}
