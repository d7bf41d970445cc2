//! Whether all came of a backup that it had when it was made.
//!
//! A backup whose newest segments of the journal are gone is whole in all that is left, and restores to an older state than
//! whoever made it has seen. So what came of it is compared with where it says that it ended. Nothing is refused for
//! being less: it may be all that is left.

use std::path::Path;

use attorn_store::{BackupEnd, Reached as Came, Store, Walked};

use super::unusable;
use crate::epochs::EpochError;
use crate::http::failure::{Failure, causes};

/// Where a backup ended when it was made, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Where it ended.
    pub ended: BackupEnd,
    /// What came of it: no more than that.
    pub came: BackupEnd,
}

impl Reached {
    /// Compare a backup with what was unpacked of it.
    pub(super) fn of(backup: &Path, (old, walked): (&Store, &Walked)) -> Result<Self, EpochError> {
        let ended = Store::backup_end(backup).map_err(|error| unusable(&error, causes(&error)))?;
        let head = old.log_head().map_err(Failure::from)?;
        Self::compare(
            backup,
            ended,
            BackupEnd { version: walked.integrity.version, entries: head.size, epoch: head.epoch },
        )
    }

    fn compare(backup: &Path, ended: BackupEnd, came: BackupEnd) -> Result<Self, EpochError> {
        match ended.reached(&came) {
            Came::All | Came::Less => Ok(Self { ended, came }),
            Came::Other => Err(EpochError::BadBackup(format!(
                "`{}` says that it ended with {ended}, and base copy and journal in it come to {came}: they were not made together",
                backup.display()
            ))),
        }
    }

    /// How many entries it had that did not come of it, if there are any.
    pub(super) fn entries_lacking(&self) -> Option<u64> {
        self.ended.entries.checked_sub(self.came.entries).filter(|lacking| *lacking > 0)
    }

    /// What is said of it where it came to less.
    pub(super) fn problem(&self, backup: &Path) -> Option<String> {
        let Self { ended, came } = self;
        (ended != came).then(|| {
            format!(
                "`{}` ended with {ended} when it was made, and comes to {came} now: the end of its journal is gone. What was \
                 restored is an older state than it had; another copy of the same backup may have all of it",
                backup.display()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use attorn_log::Epoch;

    use super::*;

    #[test]
    fn less_is_said_and_counted_and_what_was_not_made_together_is_refused() {
        let backup = Path::new("monday");
        let ended = BackupEnd { version: 1_204, entries: 1_109, epoch: Epoch(2) };
        let whole = Reached::compare(backup, ended, ended).unwrap();
        assert_eq!((whole.problem(backup), whole.entries_lacking()), (None, None));
        let less = BackupEnd { version: 1_100, entries: 1_001, ..ended };
        let less = Reached::compare(backup, ended, less).unwrap();
        assert_eq!(less.entries_lacking(), Some(108));
        let said = less.problem(backup).unwrap();
        assert!(
            said.starts_with(
                "`monday` ended with 1109 entries of epoch 2, version 1204 when it was made, and comes to 1001 entries of \
                 epoch 2, version 1100 now: "
            ),
            "{said}"
        );
        for other in [BackupEnd { epoch: Epoch(1), ..ended }, BackupEnd { entries: 1_110, version: 1_205, ..ended }] {
            let refused = Reached::compare(backup, ended, other).unwrap_err();
            assert!(refused.is_altered() && refused.help().is_some());
            let said = refused.to_string();
            assert!(said.ends_with(&format!("come to {other}: they were not made together")), "{said}");
        }
    }
}
