//! What came of running cases, for people.

use std::fmt;

use serde::Serialize;

use super::coverage::Coverage;

/// What came of all cases, in the order of the files and of the cases in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each case; never empty.
    pub cases: Vec<CaseReport>,
    /// What the cases make the policy say, of what it could.
    pub coverage: Coverage,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file that it stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// What came, as a case would expect it; nothing if no case can expect it, such as settings that were taken.
    pub said: Option<String>,
    /// Where what came differs from what was expected; empty when the case passed.
    pub differences: Vec<Difference>,
    /// What the evaluation took; nothing if only the settings were tried.
    pub cost: Option<Cost>,
}

/// What an evaluation took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Units of fuel, the same on every machine; nothing if it could not be counted.
    pub fuel: Option<u64>,
    /// Bytes over all memories.
    pub memory_bytes: u64,
}

impl CaseReport {
    /// Whether all that was expected came.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Whether settings were refused where a verdict was expected, or the other way round.
    pub(super) fn is_about_settings_otherwise(&self) -> bool {
        let of_init = |one: &Difference| one.member == "init_error";
        // Where both are refusals, one stands in the place of the other.
        self.differences.iter().any(|one| of_init(one) && (one.expected.is_none() || one.got.is_none()))
    }
}

/// One member of an expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name: `verdict`, `reasons`, `uses_max`.
    pub member: String,
    /// What was expected, as JSON; nothing if it was not to be there.
    pub expected: Option<String>,
    /// What came, as JSON; nothing if it did not come.
    pub got: Option<String>,
}

impl Report {
    /// Whether every case passed.
    #[must_use]
    pub fn all_passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The cases that did not.
    pub fn failed(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| !case.differences.is_empty())
    }
}

impl fmt::Display for Report {
    /// The cases that failed, each with its differences, and a line of counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in self.failed() {
            writeln!(f, "{}: {}", case.file, case.name)?;
            for difference in &case.differences {
                writeln!(f, "    {difference}")?;
            }
        }
        write!(f, "{} cases, {} failed", self.cases.len(), self.failed().count())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An allow always has this; where the policy says nothing of it, the server's limit is the only one.
        let nothing = if self.member.starts_with("grant_ms_max") { "no limit of its own" } else { "nothing" };
        let or_nothing = |side: &Option<String>| side.clone().unwrap_or_else(|| nothing.to_owned());
        write!(f, "{}: expected {}, got {}", self.member, or_nothing(&self.expected), or_nothing(&self.got))
    }
}
