//! What an entry says of the record of its decision: the only thing that the store knows of what entries say.
//!
//! Entries are signed and records are not. So whoever can write to the disk could make another record of one, if nobody
//! compared them.

use attorn_core::DecisionId;
use attorn_log::Entry;
use serde::Deserialize;

use crate::key::Key;

/// A decision, and the digest of its record as it is stored.
pub(crate) struct Decided {
    pub(crate) id: DecisionId,
    digest: Box<str>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    decision_id: Option<Box<str>>,
    stored_digest: Option<Box<str>>,
}

impl Decided {
    /// What an entry says; none if it is of no decision, or of one from before records had such digests.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let Body { kind: "decision", decision_id, stored_digest } = serde_json::from_str(entry.body.as_str()).ok()?
        else {
            return None;
        };
        Some(Self { id: decision_id?.parse().ok()?, digest: stored_digest? })
    }

    pub(crate) fn key(&self) -> Key {
        Key::decision(&self.id)
    }

    /// Whether this is the record.
    pub(crate) fn is(&self, stored: &[u8]) -> bool {
        *self.digest == *digest_of(stored)
    }
}

/// The digest of a record as it is stored, as it stands in the entry: BLAKE3 in hexadecimal.
#[must_use]
pub fn digest_of(stored: &[u8]) -> String {
    blake3::hash(stored).to_hex().to_string()
}
