//! `/v1/replays`: a recorded decision is decided again from its record; and history under other policies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::{DamagedEntries, EntryReference};
use crate::decisions::DecisionKind;

/// Decide a recorded decision again: `POST /v1/replays`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Which: `dec_…`.
    pub decision_id: String,
}

/// What came of deciding again. Nothing was granted, charged or approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Which decision.
    pub decision_id: String,
    /// How the whole of it compares: the worst of its policies, or worse.
    pub comparison: Comparison,
    /// What was decided, as the log has it.
    pub recorded: Said,
    /// What is decided now from what was recorded; none where something of it is missing.
    pub replayed: Option<Said>,
    /// Each policy that was asked, in its order.
    pub policies: Vec<ReplayedPolicy>,
    /// What is not there, and what follows from that.
    pub missing: Vec<Missing>,
    /// Where the policies ran then and now.
    pub engine: Engines,
    /// The decision's own entry.
    pub decided: EntryReference,
    /// The entry that records that this was replayed.
    pub entry: EntryReference,
}

/// How what came out again compares with what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// All of it is the same, reasons and terms included.
    Identical,
    /// No policy was run when it was decided, and none is now: a bound denied, or too much was asked for. Of a policy:
    /// it was paused, or could not be run.
    NotRun,
    /// A policy ran out of time or memory once and not the other time: machines are not equally fast.
    DiffersByLimit,
    /// Something that has to be compared is not there any more, or never was recorded.
    Missing,
    /// Something else came out.
    Differs,
    /// The record is not the one whose digest the log has.
    Altered,
}

/// What a decision says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// What was decided.
    pub decision: DecisionKind,
    /// Why, also what the agent was not shown.
    pub reasons: Vec<ReasonCode>,
}

/// A reason without its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonCode {
    /// The stable code.
    pub code: String,
    /// The policy that gives it; none when the host does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// One policy, then and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayedPolicy {
    /// The policy's id.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// The version's BLAKE3 digest, as it was recorded.
    pub digest: String,
    /// How both compare.
    pub comparison: Comparison,
    /// What it said: `allow`, `challenge`, `deny`, `abstain`, or `failed:` and how.
    pub recorded: String,
    /// What it says now; none where it was not run.
    pub replayed: Option<String>,
    /// Why it was not run, or more about how it failed now.
    pub detail: Option<String>,
    /// CPU time now, in microseconds.
    pub cpu_us: u64,
}

/// Something that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// What: `record`, `context`, `bounds`, `outcome_digest`, `decision_digest`, `policy_version`, `component`,
    /// `settings`.
    pub what: String,
    /// Why, and what follows from that.
    pub detail: String,
}

/// The engines of then and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engines {
    /// The one that decided; none if no policy ran, or it was not recorded.
    pub recorded: Option<Engine>,
    /// This server's.
    pub now: Engine,
    /// Whether both are configured the same.
    pub same: bool,
}

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The version of wasmtime.
    pub wasmtime: String,
    /// A digest of all in its configuration that an outcome may depend on.
    pub configuration: String,
}

/// Decide history again under two sets of policies, and say where they part: `POST /v1/replays/history`. The query
/// says which decisions: the filters of `/v1/audit/entries`, and from which entry (`from`) to which (`to`, not
/// included), of which epoch of the log (`epoch`; of the one that it is in, if nothing is said). One call looks at so many and no more; the next goes on from `next`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryRequest {
    /// One set.
    pub a: WantedSet,
    /// The other.
    pub b: WantedSet,
}

/// A set of policies under which history is decided again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedSet {
    /// What to begin with.
    pub base: SetBase,
    /// As if this version of each stood in the set, or none (`null`); at most 16. It takes the duty `policy_admin` too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Option<u32>>,
}

/// What a set begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetBase {
    /// What was decided then, as it was recorded. Nothing can be changed about that.
    Recorded,
    /// The policies that are in force now.
    Active,
}

/// A part of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryPage {
    /// How many decisions were looked at.
    pub decisions: u64,
    /// How many come to the same under both sets, reasons and terms included, as far as those can be compared.
    pub same: u64,
    /// How many are the same decision for other reasons, or on other terms.
    pub same_otherwise: u64,
    /// How many of the same were denied before any policy, whatever policies there are.
    pub before_policies: u64,
    /// Those that are another decision.
    pub changed: Vec<ChangedDecision>,
    /// Those that nobody can decide again.
    pub undecidable: Vec<UndecidableDecision>,
    /// Of an epoch of the log that has ended: entries that cannot be read, so that nobody knows whether they are
    /// decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<DamagedEntries>,
    /// From which entry on the next call goes on (`from`); none at the end.
    pub next: Option<u64>,
    /// The digests of both sets; none for what was recorded.
    pub set_digests: [Option<String>; 2],
    /// The entry that records that this was tried.
    pub entry: EntryReference,
}

/// A decision that is another under the other set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedDecision {
    /// Which.
    pub decision_id: String,
    /// Who asked.
    pub agent: String,
    /// For what.
    pub action: String,
    /// What it is under the one set.
    pub a: Said,
    /// And under the other.
    pub b: Said,
}

/// A decision that cannot be decided again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndecidableDecision {
    /// Which.
    pub decision_id: String,
    /// Who asked.
    pub agent: String,
    /// For what.
    pub action: String,
    /// Why not.
    pub why: Undecidable,
    /// What of it: the name of a fact, a counter, what the record lacks.
    pub what: String,
}

/// Why a decision cannot be decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undecidable {
    /// A policy wants a fact that was not looked up for this decision.
    FactNotRecorded,
    /// A policy declares a counter that was not looked up for this decision.
    CounterNotRecorded,
    /// Nobody was asked because too much was asked for, so what they would have seen was not recorded.
    ContextNotRecorded,
    /// The record is from before such things were recorded.
    OldRecord,
    /// The user was erased, and the record with them.
    UserErased,
    /// The file that the record was in is missing.
    RecordMissing,
    /// The record is not the one whose digest the log has.
    Altered,
}

impl Undecidable {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FactNotRecorded => "fact_not_recorded",
            Self::CounterNotRecorded => "counter_not_recorded",
            Self::ContextNotRecorded => "context_not_recorded",
            Self::OldRecord => "old_record",
            Self::UserErased => "user_erased",
            Self::RecordMissing => "record_missing",
            Self::Altered => "altered",
        }
    }
}

impl Comparison {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::NotRun => "not_run",
            Self::DiffersByLimit => "differs_by_limit",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Altered => "altered",
        }
    }
}

#[cfg(test)]
mod tests {
    use Comparison::{Altered, Differs, DiffersByLimit, Identical, Missing, NotRun};
    use Undecidable as U;

    use super::*;

    #[test]
    fn names_are_those_on_the_wire() {
        for comparison in [Identical, NotRun, DiffersByLimit, Missing, Differs, Altered] {
            assert_eq!(serde_json::to_value(comparison).unwrap(), comparison.as_str());
        }
        for why in
            [U::FactNotRecorded, U::CounterNotRecorded, U::ContextNotRecorded, U::OldRecord, U::UserErased, U::Altered]
        {
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
        }
    }
}
