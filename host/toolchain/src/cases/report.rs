//! What came of running cases, for people.

use std::fmt;

/// What came of all cases, in the order of the files and of the cases in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each case; never empty.
    pub cases: Vec<CaseReport>,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file that it stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Where what came differs from what was expected; empty when the case passed.
    pub differences: Vec<Difference>,
}

/// One member of an expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let or_nothing = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: expected {}, got {}", self.member, or_nothing(&self.expected), or_nothing(&self.got))
    }
}
