//! Prompts: a user is asked for an approval at their provider. There is one for each approval at most, and it is gone when
//! something came of it.
//!
//! Who the user is to the provider, and what the provider calls its request, is sealed under the user's key.

use std::fmt;

use attorn_core::{AgentId, ApprovalId, ProviderId, TimeMs, UserId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Sealed, Text};
use crate::batch::{Add, Batch};
use crate::key::Key;

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRecord {
    /// The approval that it is for.
    pub approval: ApprovalId,
    /// Where the user is asked.
    pub provider: ProviderId,
    /// Who is asked.
    pub user: UserId,
    /// The agent for which they are asked.
    pub agent: AgentId,
    /// How often the provider was asked to ask them. It counts before anything is sent.
    pub starts: u32,
    /// What the provider said, a [`PromptBody`], sealed; none until it did.
    pub started: Option<Sealed>,
    /// When it was asked last.
    pub started_at: TimeMs,
    /// How long to wait between two polls, in milliseconds.
    pub interval_ms: u64,
    /// How many polls in a row failed.
    pub failures: u32,
    /// When something is to be done about it.
    pub due_at: TimeMs,
    /// When an answer is of no use any more.
    pub expires_at: TimeMs,
}

/// What a provider said when it was asked to ask a user.
#[derive(Clone, PartialEq, Eq)]
pub struct PromptBody {
    /// What it calls its request: `auth_req_id`.
    pub request_id: String,
    /// Where it says what came of it.
    pub token_endpoint: String,
}

impl fmt::Debug for PromptBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PromptBody(…)")
    }
}

impl PromptBody {
    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&BodyWire { request_id: self.request_id.clone(), token_endpoint: self.token_endpoint.clone() })
    }

    /// Read bytes that were sealed for this key.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if they are something else, or of another format.
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, RecordError> {
        codec::decode_body(key, bytes, |wire: BodyWire| Self {
            request_id: wire.request_id,
            token_endpoint: wire.token_endpoint,
        })
    }
}

impl PromptRecord {
    fn due(&self) -> Key {
        Key::prompt_due(&self.provider, self.due_at, &self.approval)
    }

    /// What stands in the index, so that whoever chooses reads no record: its agent.
    fn whose(&self) -> Vec<u8> {
        self.agent.as_str().as_bytes().to_vec()
    }

    fn counter(&self) -> Key {
        Key::agent_prompts(&self.provider, &self.agent)
    }

    /// Record a new prompt with what finds it, at most so many of its agent's at its provider at once.
    pub fn open(&self, batch: &mut Batch, open_max: u32) {
        batch.add.push(Add { key: self.counter(), delta: 1, at_most: open_max.into() });
        batch.put_record(self);
        batch.put.push((self.due(), self.whose()));
    }

    /// Replace it by what it has become, with what finds it.
    pub fn becomes(&self, next: &Self, batch: &mut Batch) {
        batch.put_record(next);
        if self.due_at != next.due_at {
            batch.delete.push(self.due());
            batch.put.push((next.due(), next.whose()));
        }
    }

    /// Nothing more is to be done about it.
    pub fn close(&self, batch: &mut Batch) {
        batch.delete.extend([self.key(), self.due()]);
        batch.add.push(Add { key: self.counter(), delta: -1, at_most: u64::MAX >> 1 });
    }
}

impl Record for PromptRecord {
    fn key(&self) -> Key {
        Key::prompt(&self.approval)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&PromptWire {
            approval: Text(self.approval),
            provider: Text(self.provider.clone()),
            user: Text(self.user.clone()),
            agent: Text(self.agent.clone()),
            starts: self.starts,
            started: self.started.clone(),
            started_at_ms: self.started_at.0,
            interval_ms: self.interval_ms,
            failures: self.failures,
            due_at_ms: self.due_at.0,
            expires_at_ms: self.expires_at.0,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: PromptWire| {
            Ok(Self {
                approval: wire.approval.0,
                provider: wire.provider.0,
                user: wire.user.0,
                agent: wire.agent.0,
                starts: wire.starts,
                started: wire.started,
                started_at: TimeMs(wire.started_at_ms),
                interval_ms: wire.interval_ms,
                failures: wire.failures,
                due_at: TimeMs(wire.due_at_ms),
                expires_at: TimeMs(wire.expires_at_ms),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptWire {
    approval: Text<ApprovalId>,
    provider: Text<ProviderId>,
    user: Text<UserId>,
    agent: Text<AgentId>,
    starts: u32,
    started: Option<Sealed>,
    started_at_ms: u64,
    interval_ms: u64,
    failures: u32,
    due_at_ms: u64,
    expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyWire {
    request_id: String,
    token_endpoint: String,
}
