//! What is done where engine, base copy and journal are not of the same: which of them has what the others lack.
//!
//! Nothing is relied on here that has not the imprint of its state, or that an entry of the log does not name.

use std::fs;

use attorn_log::Epoch;

use super::ahead::{engine_beyond, engine_of, is_behind_a_base, is_of_them};
use super::new_journal::{Begun, Engine};
use super::{Built, LostEnd, Repair, RepairError, Repaired, causes, could_be_made};
use crate::boot::LastUse;
use crate::caught::caught;
use crate::error::PartsError;
use crate::integrity::{Integrity, Walked};
use crate::journal::JournalError;
use crate::parts;
use crate::places::exists;

/// What every engine of ours is beyond.
const NOTHING: (Epoch, u64) = (Epoch(0), 0);

impl Repair<'_> {
    /// Where base copy and journal come to less than there was, the engine may have it: its imprint tells, which nobody makes
    /// who has no key. Then a new journal is begun with it. A group is in the journal before it is in the engine, so only one
    /// that was closed has all that the old journal had: where it was in use, somebody has to answer for what may be lost.
    pub(super) fn of_engine_ahead(&self, error: RepairError) -> Result<Repaired, RepairError> {
        let is_behind = matches!(
            &error,
            RepairError::Behind { .. }
                | RepairError::EngineAhead { .. }
                | RepairError::Parts(PartsError::Journal(JournalError::Behind { .. } | JournalError::Missing { .. }))
        );
        if !is_behind || !exists(&self.places.engine)? {
            return Err(error);
        }
        let Some(engine) = engine_of(self.places)? else { return Err(error) };
        // Of another one, as it was before a restore, nothing is gone on with. One that was found to be ahead is ours, and of no
        // earlier epoch, whatever id it has.
        if !matches!(error, RepairError::EngineAhead { .. }) && !is_of_them(self.places, engine.0)? {
            return Err(error);
        }
        if is_behind_a_base(self.places, engine)? {
            return Err(error);
        }
        let is_closed = self.boot.last_use(self.places)? == LastUse::Closed;
        let mut problem = causes(&error);
        if !is_closed {
            let Some(version) = engine_beyond(self.places, self.ours, NOTHING)? else { return Err(error) };
            problem = format!("what was acknowledged after batch {version} may be lost: {problem}");
            if self.accepted.lost_end == LostEnd::Refused {
                return Err(RepairError::EndLost { version, source: Box::new(error) });
            }
        }
        let begin = || self.replace_journal(&problem, Begun::With(Engine::AsItIs));
        match caught(begin) {
            Ok(Ok(Repaired::NewJournal { foreign, problem, integrity, aside, bases_aside, bad_files, .. })) => {
                let lost_end = if is_closed { LostEnd::Refused } else { LostEnd::Accepted };
                Ok(Repaired::NewJournal { foreign, lost_end, problem, integrity, aside, bases_aside, bad_files })
            }
            Ok(Ok(repaired)) => Ok(repaired),
            // Why it may not be gone on with is that the journal is behind.
            Ok(Err(why)) => {
                tracing::warn!(error = causes(&why), "the database is not what a new journal is begun with");
                Err(error)
            }
            Err(_) => Err(error),
        }
    }

    /// What is to be done where the engine can be walked to its end.
    pub(super) fn of_walked(&self, walked: &Walked) -> Result<Repaired, RepairError> {
        if !walked.bad_decisions.is_empty()
            && let Some(built) = self.better_records(walked)
        {
            let more = walked.bad_decisions.len() - 1;
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return self.put_in_place(&format!("{}{more}", walked.bad_decisions[0]), true, built);
        }
        let found = if walked.bad_files().is_empty() {
            Repaired::Whole(walked.integrity)
        } else {
            self.of_bad_files(walked, None).found(walked.integrity)
        };
        self.of_bad_parts(found, walked)
    }

    /// What base copy and journal come to, if that is the same but for decision records that are what their entries name.
    fn better_records(&self, walked: &Walked) -> Option<Built> {
        let built = self.build(true).ok()?;
        let place = |Integrity { version, entries, .. }: Integrity| (version, entries);
        let made = &built.made.walked;
        let is_same = place(made.integrity) == place(walked.integrity);
        let is_better = made.bad_decisions.len() < walked.bad_decisions.len()
            && made.bad_decisions.iter().all(|bad| walked.bad_decisions.contains(bad));
        if is_same && is_better {
            return Some(built);
        }
        // It is removed when something is built there again, too.
        let _ = fs::remove_dir_all(&built.dir);
        None
    }

    /// Where the engine is whole, and base copy and journal are not, there is no backup and nothing that it could be made
    /// anew of. It has all that they had.
    fn of_bad_parts(&self, found: Repaired, walked: &Walked) -> Result<Repaired, RepairError> {
        let looked = match parts::look(self.places, &self.ours.key, &|| true).unwrap_or(Ok(())) {
            // Whether the engine has the same records is seen below.
            Ok(()) | Err(PartsError::Records(_)) => Ok(()),
            Err(error) => Err(RepairError::from(error)),
        };
        // Their checks fit whatever somebody wrote: only what they come to tells whether it is ours.
        let make = || could_be_made(self.places, self.ours, &self.places.dir.join("store.new"), None);
        let built = looked.and_then(|()| make()).and_then(|built| {
            let worse = built.bad_decisions.into_iter().find(|bad| !walked.bad_decisions.contains(bad));
            worse.map_or(Ok(()), |bad| Err(PartsError::Records(bad).into()))
        });
        let Err(error) = built else { return Ok(found) };
        if error.is_of_the_disk() {
            return Err(error);
        }
        let (mended, still_bad) = match found {
            Repaired::Files { problem, bad_files, .. } => (Some(problem), bad_files),
            Repaired::BadFiles { bad_files, .. } => (None, bad_files),
            _ => (None, Vec::new()),
        };
        let problem = mended.into_iter().chain([causes(&error)]).collect::<Vec<_>>().join("; ");
        let replace = || self.replace_journal(&problem, Begun::With(Engine::AndJournal));
        let replaced = caught(replace).unwrap_or(Err(error))?;
        Ok(match replaced {
            Repaired::NewJournal { foreign, lost_end, problem, integrity, aside, bases_aside, .. } => {
                let bad_files = still_bad;
                Repaired::NewJournal { foreign, lost_end, problem, integrity, aside, bases_aside, bad_files }
            }
            other => other,
        })
    }
}
