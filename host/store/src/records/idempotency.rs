//! What an agent was answered, so that it is answered the same when it asks again.

use attorn_core::{AgentId, DecisionId, Digest, GrantId, JsonText, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Kept, KeptWire, Record, RecordError, Text};
use crate::key::Key;

/// The answer that was given for an idempotency key. A token is never in it: it is signed anew from
/// the grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who asked.
    pub agent: AgentId,
    /// A keyed hash of what the agent calls its key.
    pub key_digest: Digest,
    /// A keyed hash of the request, which may name what is a user's; another request under the same key is a conflict.
    pub request_digest: Digest,
    /// What was decided.
    pub decision: DecisionId,
    /// What it yielded, if it was an allow.
    pub grant: Option<GrantId>,
    /// From when on the key is free again.
    pub expires_at: TimeMs,
    /// The answer without its token, one JSON text; sealed if it was asked on behalf of a user.
    pub answer: Kept<JsonText>,
}

impl Record for IdempotencyRecord {
    fn key(&self) -> Key {
        Key::idempotency(&self.agent, &self.key_digest)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&IdempotencyWire {
            agent: Text(self.agent.clone()),
            key_digest: Text(self.key_digest),
            request_digest: Text(self.request_digest),
            decision: Text(self.decision),
            grant: self.grant.map(Text),
            expires_at_ms: self.expires_at.0,
            answer: KeptWire::of(&self.answer, |answer| answer.as_str().to_owned()),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: IdempotencyWire| {
            Ok(Self {
                agent: wire.agent.0,
                key_digest: wire.key_digest.0,
                request_digest: wire.request_digest.0,
                decision: wire.decision.0,
                grant: wire.grant.map(|grant| grant.0),
                expires_at: TimeMs(wire.expires_at_ms),
                answer: wire.answer.kept(JsonText::from_canonical),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdempotencyWire {
    agent: Text<AgentId>,
    key_digest: Text<Digest>,
    request_digest: Text<Digest>,
    decision: Text<DecisionId>,
    grant: Option<Text<GrantId>>,
    expires_at_ms: u64,
    answer: KeptWire<String>,
}
