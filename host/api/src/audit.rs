//! `/v1/audit`: entries, receipts and checkpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Names an entry: log id, epoch and index, always all three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryReference {
    /// Which log.
    pub log_id: String,
    /// Which of its epochs.
    pub epoch: u64,
    /// Which of the epoch's entries, from 0.
    pub index: u64,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which one.
    pub reference: EntryReference,
    /// What it says: `type`, `time_ms`, and what belongs to that type.
    #[schemars(with = "serde_json::Value")]
    pub body: Box<RawValue>,
    /// The entry's exact bytes, base64: what the log's tree is made of.
    pub bytes: String,
}

/// Entries by index.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryList {
    /// A page of them, oldest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins (`from`); none after the last.
    pub next: Option<u64>,
    /// How many entries the log has.
    pub size: u64,
}
