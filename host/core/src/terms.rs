//! The terms of an allow, and how the terms of many policies become one: the strictest.

use crate::counter::{CounterScope, CounterWindow};
use crate::id::{PolicyId, ReasonCode};
use crate::request::JsonText;

/// Under what conditions an allow holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How long the grant may live, in milliseconds, 1 or more.
    pub grant_ms_max: u64,
    /// How often it may be used, 1 or more.
    pub uses_max: u32,
    /// What is charged when it takes effect.
    pub debits: Vec<Debit>,
    /// What the enforcement point must do.
    pub obligations: Vec<Obligation>,
}

impl Terms {
    /// Terms that add nothing to the host's own.
    #[must_use]
    pub const fn new(grant_ms_max: u64, uses_max: u32) -> Self {
        Self { grant_ms_max, uses_max, debits: Vec::new(), obligations: Vec::new() }
    }

    /// The terms under which both hold. The order of the two makes no difference.
    #[must_use]
    pub fn strictest(&self, other: &Self) -> Self {
        let mut debits = [&self.debits[..], &other.debits].concat();
        debits.sort();
        let mut obligations = [&self.obligations[..], &other.obligations].concat();
        obligations.sort();
        obligations.dedup();
        Self {
            grant_ms_max: self.grant_ms_max.min(other.grant_ms_max),
            uses_max: self.uses_max.min(other.uses_max),
            debits,
            obligations,
        }
    }
}

/// What an allow charges to a counter. Two equal debits charge twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Debit {
    /// Whose counter it is. All versions of a policy share theirs.
    pub policy: PolicyId,
    /// The counter's name within the policy.
    pub counter: ReasonCode,
    /// Whom it counts for.
    pub scope: CounterScope,
    /// Over what time it counts.
    pub window: CounterWindow,
    /// How much, 1 or more.
    pub amount: u64,
    /// The counter must not pass this.
    pub at_most: u64,
}

/// Something that an enforcement point must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// What kind.
    pub kind: ReasonCode,
    /// Its parameters, one object.
    pub parameters: JsonText,
}

impl PartialOrd for Obligation {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Obligation {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.kind, self.parameters.as_str()).cmp(&(&other.kind, other.parameters.as_str()))
    }
}
