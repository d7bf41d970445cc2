//! Leases: credentials that exist outside and must be ended. One is recorded before there is anything outside.
//!
//! It names no user and holds no password: its grant says for whom it is, and the password is kept nowhere.

use attorn_core::{AgentId, GrantId, LeaseId, LeaseState, SqlName, TargetId, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::batch::{Add, Batch};
use crate::key::Key;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Its id.
    pub id: LeaseId,
    /// What it was issued from.
    pub grant: GrantId,
    /// Who holds it.
    pub agent: AgentId,
    /// Where it exists.
    pub target: TargetId,
    /// What it is called there.
    pub name: SqlName,
    /// The roles that it was given.
    pub roles: Vec<SqlName>,
    /// How far it has come.
    pub state: LeaseState,
    /// When it was intended.
    pub created_at: TimeMs,
    /// When it ends by itself.
    pub expires_at: TimeMs,
    /// When something is to be done about it: ended, or tried again.
    pub due_at: TimeMs,
    /// How often it was tried in vain to end it.
    pub attempts: u32,
    /// What went wrong last. It is the server's own text, with nothing of an agent's in it.
    pub last_error: Option<String>,
    /// When it ended.
    pub ended_at: Option<TimeMs>,
}

impl LeaseRecord {
    /// The most bytes of what went wrong.
    pub const ERROR_BYTES_MAX: usize = 512;

    /// Whether anything of it may exist outside.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, LeaseState::Ended)
    }

    /// Record a new lease with all that finds it: at most so many of its target's at once, and of those so many of its
    /// agent's.
    pub fn open(&self, batch: &mut Batch, (leases_max, per_agent_max): (u32, u32)) {
        batch.put_record(self);
        batch.put.push((Key::lease_due(&self.target, self.due_at, &self.id), Vec::new()));
        batch.put.push((Key::grant_lease(&self.grant, &self.id), Vec::new()));
        batch.put.push((Key::open_lease(&self.target, &self.id), Vec::new()));
        batch.add.push(Add { key: Key::open_leases(&self.target), delta: 1, at_most: leases_max.into() });
        let of_agent = Key::agent_leases(&self.target, &self.agent);
        batch.add.push(Add { key: of_agent, delta: 1, at_most: per_agent_max.into() });
    }

    /// Replace this lease by what it has become, with all that finds it.
    pub fn becomes(&self, next: &Self, batch: &mut Batch) {
        let due = |lease: &Self| Key::lease_due(&lease.target, lease.due_at, &lease.id);
        batch.put_record(next);
        if !self.is_open() {
            return;
        }
        if next.is_open() {
            if self.due_at != next.due_at {
                batch.delete.push(due(self));
                batch.put.push((due(next), Vec::new()));
            }
            return;
        }
        batch.delete.extend([due(self), Key::open_lease(&self.target, &self.id)]);
        for key in [Key::open_leases(&self.target), Key::agent_leases(&self.target, &self.agent)] {
            batch.add.push(Add { key, delta: -1, at_most: u64::MAX >> 1 });
        }
        batch.put.push((Key::expiry(next.ended_at.unwrap_or(next.due_at), &next.key()), Vec::new()));
    }
}

impl Record for LeaseRecord {
    fn key(&self) -> Key {
        Key::lease(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&LeaseWire {
            id: Text(self.id),
            grant: Text(self.grant),
            agent: Text(self.agent.clone()),
            target: Text(self.target.clone()),
            name: Text(self.name.clone()),
            roles: self.roles.iter().cloned().map(Text).collect(),
            state: self.state,
            created_at_ms: self.created_at.0,
            expires_at_ms: self.expires_at.0,
            due_at_ms: self.due_at.0,
            attempts: self.attempts,
            last_error: self.last_error.clone(),
            ended_at_ms: self.ended_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: LeaseWire| {
            if (wire.state == LeaseState::Ended) != wire.ended_at_ms.is_some() {
                return Err("a lease that has ended says when, and no other does".into());
            }
            Ok(Self {
                id: wire.id.0,
                grant: wire.grant.0,
                agent: wire.agent.0,
                target: wire.target.0,
                name: wire.name.0,
                roles: wire.roles.into_iter().map(|role| role.0).collect(),
                state: wire.state,
                created_at: TimeMs(wire.created_at_ms),
                expires_at: TimeMs(wire.expires_at_ms),
                due_at: TimeMs(wire.due_at_ms),
                attempts: wire.attempts,
                last_error: wire.last_error,
                ended_at: wire.ended_at_ms.map(TimeMs),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseWire {
    id: Text<LeaseId>,
    grant: Text<GrantId>,
    agent: Text<AgentId>,
    target: Text<TargetId>,
    name: Text<SqlName>,
    roles: Vec<Text<SqlName>>,
    #[serde(with = "StateWire")]
    state: LeaseState,
    created_at_ms: u64,
    expires_at_ms: u64,
    due_at_ms: u64,
    attempts: u32,
    last_error: Option<String>,
    ended_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LeaseState", rename_all = "snake_case")]
enum StateWire {
    Intended,
    Issued,
    Revoking,
    Ended,
    Irrevocable,
}
