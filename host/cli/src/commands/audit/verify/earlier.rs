//! The epochs that a log had before the one that it is in: what is kept of them is verified, too.
//!
//! The first entry of an epoch, which was verified before, has the signed checkpoint with which the one before it ended.
//! So what is kept of that is re-hashed from its first entry to its last, and has to come to that very checkpoint; and
//! its own first entry leads on. Where nothing is kept of an epoch, that is said; what is kept of those before it is verified
//! by its own key then, to which nothing leads.

use std::fs;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use attorn_log::{Checks, Epoch, Origin, Verified, VerifyError, verify_export_with};

use super::lineage::{Began, EPOCHS_MAX, Exports, first_exported, verification};
use super::{SAID_EVERY, Said, open_regular};
use crate::failure::Failure;
use crate::output::Output;

/// An earlier epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) epoch: Epoch,
    /// How many entries it had when it ended.
    pub(super) entries: u64,
    pub(super) seen: Seen,
}

/// Whether an earlier epoch was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// All its entries are as they were signed.
    Whole,
    /// The same by its own key; but an epoch between it and the log is not kept, so nothing leads to that key.
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
            all.push(Earlier { epoch, entries, seen: Seen::NotKept });
            all.extend(alone(output, exports, &step).await?);
            break;
        };
        one(output, &path, &step)?;
        all.push(Earlier { epoch, entries, seen: Seen::Whole });
        began = first_exported(&path)?.as_deref().and_then(Began::of).filter(|next| next.origin == step.before);
    }
    Ok(all)
}

/// Verify what is kept of the epochs before one that is not: each by its own key, and against the next one's first entry
/// where that is kept.
async fn alone(output: &Output, exports: &Exports<'_>, gap: &Began) -> Result<Vec<Earlier>, Wrong> {
    let (mut all, mut after) = (Vec::new(), None::<Began>);
    for epoch in exports.before(gap.before.epoch).await? {
        let Some(path) = exports.find(epoch).await? else { continue };
        let found = re_hashed(output, &path, epoch)?;
        if *found.key.origin() != Origin::of(&gap.before.log_id, epoch) {
            // Exports of several logs may stand side by side.
            if matches!(exports, Exports::Beside(_)) {
                continue;
            }
            let message = format!("what is kept of epoch {epoch} is of `{}`", found.key.origin());
            return Err(verification(message).into());
        }
        if let Some(step) = after.take().filter(|step| step.before.epoch == epoch) {
            ends_as_said(&found, &step)?;
        }
        all.push(Earlier { epoch, entries: found.entries, seen: Seen::Alone });
        after = first_exported(&path)?.as_deref().and_then(Began::of);
    }
    Ok(all)
}

/// Verify an export of an earlier epoch by its own key, as it was written here.
pub(super) fn exported(output: &Output, path: &Path, epoch: Epoch) -> Result<(), Failure> {
    re_hashed(output, path, epoch).map(drop).map_err(|wrong| wrong.failure)
}

/// Verify the export of the epoch that this one came after.
fn one(output: &Output, path: &Path, step: &Began) -> Result<(), Wrong> {
    ends_as_said(&re_hashed(output, path, step.before.epoch)?, step)
}

fn re_hashed(output: &Output, path: &Path, epoch: Epoch) -> Result<Verified, Wrong> {
    let file = open_regular(path).map_err(|error| Failure::file("read", path, &error))?;
    let said = Said::new(output, &format!("of epoch {epoch} verified"));
    let done = verify_export_with(BufReader::new(file), &Checks::default(), SAID_EVERY, |progress| said.step(progress));
    said.end();
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
