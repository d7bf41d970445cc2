//! Mending files with entries of the log and with decision records: base copies and journals may still have what was in them.

use super::{Repair, RepairError, Repaired, causes};
use crate::caught::caught;
use crate::doubled::{self, Doubled};
use crate::error::StorageError;
use crate::held;
use crate::integrity::{Integrity, Walked};
use crate::open::said;
use crate::record_walk::BadRecords;
use crate::refiled::{self, Refiled};
use crate::trees::Trees;

/// What is in files that a repair wrote anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesOf {
    /// Entries of the log.
    Entries,
    /// Decision records.
    Records,
    /// Some have entries, and some have records.
    Both,
}

impl Repair<'_> {
    /// Base copies and journals may still have what is in a bad file: then it is written anew. All else stays as it is.
    /// The engine is opened for it unless it is open.
    pub(super) fn of_bad_files(&self, walked: &Walked, trees: Option<&Trees>) -> Mended {
        let mut mended = Mended::default();
        let brought = held::bring_back(self.places, &walked.bad_bundles).unwrap_or_else(|error| {
            tracing::warn!(error = causes(&error), "entries are not brought back from base copy and journal");
            Vec::new()
        });
        for bad in &walked.bad_bundles {
            if brought.contains(&bad.number()) {
                mended.entries.push(bad.what.clone());
            } else {
                mended.still_bad.push(nowhere(&bad.what));
            }
        }
        match self.refile(&walked.bad_records, trees) {
            Ok(refiled) => {
                mended.records.extend(refiled.problems);
                mended.still_bad.extend(refiled.still_bad);
            }
            Err(error) => {
                tracing::warn!(error = causes(&error), "records are not brought back from base copy and journal");
                mended.still_bad.extend(walked.bad_records.iter().map(|bad| nowhere(&bad.what)));
            }
        }
        // Whose record is another one has no copy that is known to be right.
        mended.still_bad.extend(walked.bad_decisions.iter().cloned());
        mended
    }

    /// Files of which the engine has all that should be in them are read by nobody, and are written anew from it.
    pub(super) fn of_doubled_files(&self, repaired: Repaired) -> Repaired {
        let mend = || doubled::mend(self.places, &Trees::open(&self.places.engine)?);
        match caught(mend).unwrap_or_else(|panic| Err(StorageError::new(&said(&*panic)).into())) {
            Ok(mended) if mended.is_nothing() => repaired,
            Ok(Doubled { entries, records }) => repaired.and(Mended { entries, records, still_bad: Vec::new() }),
            Err(error) => {
                let still_bad = vec![format!(
                    "whether the files are whole of which the database has all could not be seen: {}",
                    causes(&error)
                )];
                repaired.and(Mended { still_bad, ..Mended::default() })
            }
        }
    }

    fn refile(&self, bad: &[BadRecords], trees: Option<&Trees>) -> Result<Refiled, RepairError> {
        if bad.is_empty() {
            return Ok(Refiled::default());
        }
        let refile = || match trees {
            Some(trees) => refiled::bring_back(self.places, trees, bad),
            None => refiled::bring_back(self.places, &Trees::open(&self.places.engine)?, bad),
        };
        caught(refile).unwrap_or_else(|panic| Err(StorageError::new(&said(&*panic)).into()))
    }
}

/// What is said of a file that a repair has looked for in vain: that one helps is not said once more.
pub(crate) fn nowhere(what: &str) -> String {
    format!(
        "{what}; neither base copy nor journal has what is missing, as far as they can be read: put this file back from a \
         backup or a copy, where it has the same name"
    )
}

/// What came of files with entries or with records that were bad.
#[derive(Default)]
pub(super) struct Mended {
    /// What was wrong with each file with entries that was written anew.
    entries: Vec<String>,
    /// And with each with records.
    records: Vec<String>,
    /// What is wrong with each that is still bad, and what to do.
    pub(super) still_bad: Vec<String>,
}

impl Mended {
    pub(super) const fn is_nothing(&self) -> bool {
        self.entries.is_empty() && self.records.is_empty()
    }

    /// What is in the files that were written anew, if any were.
    const fn of(&self) -> Option<FilesOf> {
        match (self.entries.is_empty(), self.records.is_empty()) {
            (true, true) => None,
            (false, true) => Some(FilesOf::Entries),
            (true, false) => Some(FilesOf::Records),
            (false, false) => Some(FilesOf::Both),
        }
    }

    /// What was mended beside this.
    pub(super) fn and(&self, problem: &str) -> String {
        let mended = self.entries.iter().chain(&self.records).map(String::as_str);
        std::iter::once(problem).chain(mended).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn found(self, integrity: Integrity) -> Repaired {
        let of = self.of();
        let Self { mut entries, records, still_bad: bad_files } = self;
        let Some(of) = of else { return Repaired::BadFiles { integrity, bad_files } };
        entries.extend(records);
        Repaired::Files { of, problem: entries.join("; "), integrity, bad_files }
    }
}

impl Repaired {
    /// The same, where files were mended as well.
    fn and(mut self, mended: Mended) -> Self {
        match &mut self {
            Self::Whole(integrity) => return mended.found(*integrity),
            Self::BadFiles { integrity, bad_files } => {
                let still_bad = bad_files.drain(..).chain(mended.still_bad).collect();
                return Mended { still_bad, ..mended }.found(*integrity);
            }
            Self::Files { of, problem, bad_files, .. } => {
                *of = mended.of().map_or(*of, |also| if also == *of { also } else { FilesOf::Both });
                *problem = mended.and(problem);
                bad_files.extend(mended.still_bad);
            }
            Self::Rebuilt { problem, bad_files, .. } | Self::NewJournal { problem, bad_files, .. } => {
                *problem = mended.and(problem);
                bad_files.extend(mended.still_bad);
            }
        }
        self
    }
}
