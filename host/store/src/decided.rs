//! What an entry says of the record of its decision: the only thing that the store knows of what entries say.
//!
//! Entries are signed and records are not. So whoever can write to the disk could make another record of one, if nobody
//! compared them ([`crate::named_records`]).

use attorn_core::DecisionId;
use attorn_log::Entry;
use serde::Deserialize;

/// A decision, and the digest of its record as it is stored.
pub(crate) struct Decided {
    pub(crate) id: DecisionId,
    /// None where the entry names the decision and no record: as one from before records had such digests does, or one of
    /// something that came of it.
    pub(crate) digest: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<Box<str>>,
    decision_id: Option<Box<str>>,
    stored_digest: Option<Box<str>>,
}

impl Decided {
    /// What an entry says; none if it names no decision.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let Body { kind, decision_id, stored_digest } = serde_json::from_str(entry.body.as_str()).ok()?;
        let digest = stored_digest.filter(|_| kind.as_deref() == Some("decision"));
        Some(Self { id: decision_id?.parse().ok()?, digest })
    }
}

/// The digest of a record as it is stored, as it stands in the entry: BLAKE3 in hexadecimal.
#[must_use]
pub fn digest_of(stored: &[u8]) -> String {
    blake3::hash(stored).to_hex().to_string()
}
