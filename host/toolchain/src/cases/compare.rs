//! Two components on the same cases: where what they say differs.
//!
//! What the cases expect is no part of it. Each side is given what it asks for of a case's facts and counters.

use std::path::Path;

use attorn_core::PolicyLimits;
use attorn_engine::Engine;
use serde::Serialize;

use super::report::Difference;
use super::said::Said;
use super::{Case, CasesError, Run, Start, file};

/// A component, and what it may use.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its bytes.
    pub component: &'a [u8],
    /// As in a decision, but for the wall time.
    pub limits: PolicyLimits,
}

/// What came of all cases on both sides, in the order of the files and of the cases in them; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// One for each case.
    pub cases: Vec<ComparedCase>,
}

impl Comparison {
    /// How many cases neither or only one of the two could be asked about.
    #[must_use]
    pub fn not_asked(&self) -> usize {
        let not_asked = |said: &SideSaid| matches!(said, SideSaid::NotAsked(_));
        self.cases.iter().filter(|case| case.said.iter().any(not_asked)).count()
    }

    /// The cases on which the two say different things.
    pub fn differing(&self) -> impl Iterator<Item = &ComparedCase> {
        self.cases.iter().filter(|case| case.differs())
    }
}

/// One case, asked of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedCase {
    /// The file that it stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// What each said.
    pub said: [SideSaid; 2],
    /// What the second says otherwise, member by member: `expected` is what the first said, `got` the second. Empty
    /// also where one of the two could not be asked.
    pub differences: Vec<Difference>,
}

impl ComparedCase {
    /// Whether the two do not say the same, or only one of them could be asked.
    #[must_use]
    pub fn differs(&self) -> bool {
        let asked = |said: &SideSaid| matches!(said, SideSaid::Said(_));
        !self.differences.is_empty() || asked(&self.said[0]) != asked(&self.said[1])
    }
}

/// What one side made of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SideSaid {
    /// What it said, as a case would expect it: one JSON object. Nothing if settings were to be refused and were taken.
    Said(Option<String>),
    /// It could not be asked, because the case gives what it does not ask for.
    NotAsked(String),
}

/// Ask both about every case of a directory.
///
/// # Errors
///
/// When there are no cases, a file is invalid, or a component does not load at all.
pub async fn compare(engine: &Engine, sides: [Side<'_>; 2], directory: &Path) -> Result<Comparison, CasesError> {
    let [mut a, mut b] = [Run::new(engine, sides[0])?, Run::new(engine, sides[1])?];
    let mut cases = Vec::new();
    for case in file::read_dir(directory)? {
        let sides = [ask(&mut a, &case).await?, ask(&mut b, &case).await?];
        let differences = match &sides {
            [Ok(a), Ok(b)] => a.differences_exactly(b),
            _ => Vec::new(),
        };
        let said = sides.map(|side| match side {
            Ok(said) => SideSaid::Said(said.in_full()),
            Err(problem) => SideSaid::NotAsked(problem),
        });
        cases.push(ComparedCase { file: case.file, name: case.name, said, differences });
    }
    Ok(Comparison { cases })
}

/// What it says about a case, or why it cannot be asked.
async fn ask(run: &mut Run<'_>, case: &Case) -> Result<Result<Said, String>, CasesError> {
    match run.case(case, Start::AsInForce).await {
        Ok(outcome) => Ok(Ok(outcome.map(|(said, _)| said).unwrap_or_default())),
        Err(CasesError::Unasked { problem, .. }) => Ok(Err(problem)),
        Err(error) => Err(error),
    }
}
