//! `/v1/audit`: entries, receipts and checkpoints.

mod types;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
pub use types::{EntryType, NoEntryType};

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

/// Entries by index: from one on, or those that filters take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryList {
    /// A page of them, oldest first if nothing else is asked for. One that filters take may be short, or even empty,
    /// and not be the last.
    pub entries: Vec<Entry>,
    /// Where the next page begins (`from`); none after the last, and where filters or an order are asked for.
    pub next: Option<u64>,
    /// How the next page is asked for, beside the same filters and order (`cursor`); none after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Where filters or an order are asked for: how many entries, from the first on, the answer is about. It is less
    /// than `size` while the index of the log is far behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexed_through: Option<u64>,
    /// How many entries the log has.
    pub size: u64,
    /// Epochs of the log that have ended, whose entries are asked for by their number; none of them are among these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierEpoch>,
    /// Entries that were looked at for this page and cannot be shown, since their file is damaged or gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<DamagedEntries>,
}

/// Entries that cannot be shown, since what is kept of them is not there, or not what was signed. All others are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DamagedEntries {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: u64,
    /// What is wrong with that one.
    pub why: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl DamagedEntries {
    /// These and others of the same epoch.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        let first = if other.first < self.first { other } else { self };
        Self { count, ..first }
    }
}

/// Entries from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryRange {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// An epoch of the log that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlierEpoch {
    /// Which.
    pub epoch: u64,
    /// How many entries it has.
    pub size: u64,
}

/// An epoch of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogEpoch {
    /// Which.
    pub epoch: u64,
    /// How many entries it has.
    pub size: u64,
    /// The key that verifies its checkpoints.
    pub key: String,
    /// The signed checkpoint with which it ended.
    pub checkpoint: Option<String>,
    /// Why it ended; none if the log is in it.
    pub ended: Option<LogEpochEnd>,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// Entries that were bad when it ended, in files that were damaged or missing: what is kept of it may lack them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_entries: Vec<EntryRange>,
}

/// Why an epoch of the log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogEpochEnd {
    /// The data were restored from a backup.
    Restored,
    /// The log's key was rotated.
    KeyRotated,
    /// Somebody else may have had the log's key.
    KeyCompromised,
}

/// The epochs of the log, in their order; the last is the one that the log is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogEpochList {
    /// All of them.
    pub epochs: Vec<LogEpoch>,
}

/// Why a stream of entries ended: the data of its last event, `ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamEnded {
    /// Why.
    pub reason: StreamEnd,
    /// The last entry that was looked at, as `EPOCH/INDEX`: what to give as `Last-Event-ID` to go on.
    pub resume_after: Option<String>,
}

/// Why a stream of entries ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// What came was not read in time.
    Slow,
    /// The server stops.
    Stopped,
    /// Whoever read may not read any more.
    Revoked,
    /// The user whom it was about was erased.
    UserGone,
    /// A part of the log is damaged that would have come next: whoever asks for the entries after the last reads which.
    LogDamaged,
    /// The server failed; its log says why.
    Failed,
}
