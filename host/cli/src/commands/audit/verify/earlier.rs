//! The epochs that a log had before the one that it is in: what is kept of them is verified, too.
//!
//! The first entry of an epoch, which was verified before, has the signed checkpoint with which the one before it ended.
//! So what is kept of that is re-hashed from its first entry to its last, and has to come to that very checkpoint; and
//! its own first entry leads on. Where nothing is kept of an epoch, that is said; what is kept of those before it is verified
//! then by what the store has recorded of them, or, where nobody can be asked, by its own key, to which nothing leads.
//!
//! Entries that were bad when their epoch ended may be lacking, if the next one's first entry says so, which is signed.

use std::fs;
use std::io::{BufReader, ErrorKind};
use std::iter;
use std::ops::Range;
use std::path::Path;

use attorn_api::audit::{EntryRange, LogEpoch};
use attorn_log::{Checks, Epoch, Origin, Verified, VerifyError, verify_export_with};

use super::lineage::{Began, EPOCHS_MAX, Exports, First, first_exported, verification};
use super::{SAID_EVERY, open_regular};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::output::Output;

/// An earlier epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) epoch: Epoch,
    /// How many entries it had when it ended.
    pub(super) entries: u64,
    /// Which of them were bad then, and are not kept.
    pub(super) bad: Vec<Range<u64>>,
    pub(super) seen: Seen,
}

/// Whether an earlier epoch was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// All entries that are kept of it are as they were signed.
    Whole,
    /// The same by what the store has recorded of it; but what leads there from the log is not kept.
    Recorded,
    /// The same by its own key alone, to which nothing leads.
    Alone,
    /// Nothing is kept of it.
    NotKept,
}

/// What does not verify of an earlier epoch.
pub(super) struct Wrong {
    /// The first entry of it that is not as it was signed.
    pub(super) entry: Option<u64>,
    pub(super) failure: Failure,
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        Self { entry: None, failure }
    }
}

/// Verify the epochs before the one that begins with this entry, the last first.
pub(super) async fn verify(
    output: &Output,
    first_entry: Option<&[u8]>,
    exports: &Exports<'_>,
) -> Result<Vec<Earlier>, Wrong> {
    let (mut all, mut began) = (Vec::new(), first_entry.and_then(Began::of));
    while let Some(step) = began.take().filter(|_| all.len() < EPOCHS_MAX) {
        let (epoch, entries) = (step.before.epoch, step.size);
        let Some(path) = exports.find(epoch).await? else {
            all.push(Earlier { epoch, entries, bad: Vec::new(), seen: Seen::NotKept });
            all.extend(alone(output, exports, &step.before).await?);
            break;
        };
        let found = re_hashed(output, &path, epoch, &step.bad)?;
        ends_as_said(&found, &step)?;
        all.push(Earlier { epoch, entries, bad: found.lacking, seen: Seen::Whole });
        match first_exported(&path)? {
            First::There(bytes) => began = Began::of(&bytes).filter(|next| next.origin == step.before),
            First::None => {}
            // What led on is not kept.
            First::Lacking => all.extend(alone(output, exports, &step.before).await?),
        }
    }
    Ok(all)
}

/// Verify what is kept of the epochs before one of which the first entry is not: each by what is recorded of it, or else
/// by its own key, and against the next one's first entry where that is kept.
async fn alone(output: &Output, exports: &Exports<'_>, gap: &Origin) -> Result<Vec<Earlier>, Wrong> {
    let (mut all, mut after) = (Vec::new(), None::<Began>);
    for (epoch, recorded) in exports.before(gap.epoch).await? {
        let step = after.take().filter(|step| step.before.epoch == epoch);
        let Some(path) = exports.find(epoch).await? else {
            let entries = recorded.map_or(0, |one| one.size);
            all.push(Earlier { epoch, entries, bad: Vec::new(), seen: Seen::NotKept });
            continue;
        };
        let may_lack = match (&step, &recorded) {
            (Some(step), _) => step.bad.clone(),
            (None, Some(recorded)) => ranges(&recorded.bad_entries),
            // It is believed of itself alone, and that is said.
            (None, None) => iter::once(0..u64::MAX).collect(),
        };
        let found = re_hashed(output, &path, epoch, &may_lack)?;
        if *found.key.origin() != Origin::of(&gap.log_id, epoch) {
            // Exports of several logs may stand side by side.
            if matches!(exports, Exports::Beside(_)) {
                continue;
            }
            let message = format!("what is kept of epoch {epoch} is of `{}`", found.key.origin());
            return Err(verification(message).into());
        }
        if let Some(step) = &step {
            ends_as_said(&found, step)?;
        }
        let seen = match &recorded {
            Some(recorded) => is_recorded(&found, recorded).map(|()| Seen::Recorded)?,
            None => Seen::Alone,
        };
        all.push(Earlier { epoch, entries: found.entries, bad: found.lacking, seen });
        after = first_exported(&path)?.bytes().as_deref().and_then(Began::of);
    }
    Ok(all)
}

/// See whether an export is of the epoch that is recorded.
fn is_recorded(found: &Verified, recorded: &LogEpoch) -> Result<(), Wrong> {
    let ended = recorded.checkpoint.as_deref().unwrap_or_default();
    let ended = found.key.verify(ended.as_bytes()).ok().filter(|_| found.key.to_string() == recorded.key);
    if ended.is_some_and(|ended| ended.checkpoint() == found.checkpoint.checkpoint()) {
        return Ok(());
    }
    let message =
        format!("what is kept of epoch {} is not of the key and the end that are recorded of it", recorded.epoch);
    Err(verification(message).into())
}

/// Ranges of entries as the API says them.
pub(super) fn ranges(bad: &[EntryRange]) -> Vec<Range<u64>> {
    bad.iter().map(|range| range.from..range.to.saturating_add(1)).collect()
}

/// Verify an export of an earlier epoch by its own key, as it was written here. It may lack these entries; which it does
/// is what comes back.
pub(super) fn exported(
    output: &Output,
    path: &Path,
    epoch: Epoch,
    bad: &[Range<u64>],
) -> Result<Vec<Range<u64>>, Failure> {
    re_hashed(output, path, epoch, bad).map(|found| found.lacking).map_err(|wrong| wrong.failure)
}

fn re_hashed(output: &Output, path: &Path, epoch: Epoch, bad: &[Range<u64>]) -> Result<Verified, Wrong> {
    let file = open_regular(path).map_err(|error| Failure::file("read", path, &error))?;
    let (bar, checks) = (Bar::new(output), Checks { bad, ..Checks::default() });
    let done = verify_export_with(BufReader::new(file), &checks, SAID_EVERY, |progress| {
        bar.step(progress.entries, progress.of, format_args!("entries of epoch {epoch} verified"));
    });
    done.map_err(|error| wrong(epoch, &error))
}

fn ends_as_said(verified: &Verified, step: &Began) -> Result<(), Wrong> {
    let epoch = step.before.epoch;
    let ended = verified.key.verify(step.ended.as_bytes()).map_err(|error| {
        let failure = Failure::verification(&error);
        let message = format!("epoch {epoch}: what is kept of it is by another key: {}", failure.message);
        Failure { message, ..failure }
    })?;
    if ended.checkpoint() != verified.checkpoint.checkpoint() {
        let message = format!("what is kept of epoch {epoch} does not end where the log says that it ended");
        return Err(verification(message).into());
    }
    Ok(())
}

fn wrong(epoch: Epoch, error: &VerifyError) -> Wrong {
    let is_unread = matches!(error, VerifyError::Read(error) if error.kind() != ErrorKind::InvalidData);
    let failure = if is_unread { Failure::of(error) } else { Failure::verification(error) };
    Wrong {
        entry: error.index(),
        failure: Failure { message: format!("epoch {epoch}: {}", failure.message), ..failure },
    }
}

/// Whether an exported directory has exports of epochs that it does not come from.
pub(super) fn nothing_else(directory: &Path, earlier: &[Earlier]) -> Result<(), Failure> {
    let directory = directory.join("epochs");
    let all = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        all => all.map_err(|error| Failure::file("read", &directory, &error))?,
    };
    let due: Vec<String> = earlier.iter().map(|one| format!("{}.export", one.epoch)).collect();
    for entry in all {
        let name = entry.map_err(|error| Failure::file("read", &directory, &error))?.file_name();
        let name = name.to_string_lossy();
        if !due.iter().any(|due| *due == name) {
            return Err(verification(format!("`epochs/{name}` is of no epoch that this log comes from")));
        }
    }
    Ok(())
}
