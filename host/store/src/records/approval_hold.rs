//! For how long nobody is asked again: somebody said no, or the user said nothing.
//!
//! It is kept for what was asked, whatever the request said of itself. How long a hold lasts is not known here.

use attorn_core::{ApprovalId, Digest, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::batch::Batch;
use crate::key::Key;

/// Nobody is asked for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalHoldRecord {
    /// For what, as [`super::ApprovalRecord::asked_of`].
    pub asked_of: Digest,
    /// Why.
    pub because: HoldReason,
    /// Because of what came of which approval.
    pub approval: ApprovalId,
    /// The how manieth in a row it is.
    pub times: u32,
    /// Until when.
    pub until: TimeMs,
    /// The digest of whose yes to what ends it before a day has passed; none where no yes does.
    pub ends_by: Option<Digest>,
}

/// Why nobody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Somebody said no.
    Refused,
    /// The user said nothing.
    Unanswered,
    /// The user said nothing, and what they had delegated was revoked.
    DelegationRevoked,
}

impl ApprovalHoldRecord {
    /// Record it, with what finds it when it is over.
    pub fn put(&self, batch: &mut Batch) {
        batch.put.push((Key::expiry(self.until, &self.key()), Vec::new()));
        batch.put_record(self);
    }
}

impl Record for ApprovalHoldRecord {
    fn key(&self) -> Key {
        Key::approval_hold(&self.asked_of)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&HoldWire {
            asked_of: Text(self.asked_of),
            because: self.because,
            approval: Text(self.approval),
            times: self.times,
            until_ms: self.until.0,
            ends_by: self.ends_by.map(Text),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: HoldWire| {
            Ok(Self {
                asked_of: wire.asked_of.0,
                because: wire.because,
                approval: wire.approval.0,
                times: wire.times,
                until: TimeMs(wire.until_ms),
                ends_by: wire.ends_by.map(|digest| digest.0),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldWire {
    asked_of: Text<Digest>,
    because: HoldReason,
    approval: Text<ApprovalId>,
    times: u32,
    until_ms: u64,
    /// Not there in records from before a yes had to be to what was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_by: Option<Text<Digest>>,
}
