//! The epochs that a log had before the one that it is in: what is kept of them is verified, too.
//!
//! The first entry of an epoch, which was verified before, has the signed checkpoint with which the one before it ended.
//! So what is kept of that is re-hashed from its first entry to its last, and has to come to that very checkpoint; and
//! its own first entry leads on. Where nothing is kept of an epoch, that is said, and the way back is broken there. What is
//! kept of those before it is proved then by a key that is remembered of one of them, or by the records of a store that
//! was read whole. By nothing else: anybody can make an export with a key of their own, and what a server says of it is
//! as good as the server. Such an epoch is *unproven*, and the log does not verify with it.
//!
//! Entries that were bad when their epoch ended may be lacking, if the next one's first entry says so, which is signed, or
//! such a record.

mod report;

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use attorn_api::audit::{EntryRange, LogEpoch};
use attorn_log::{Checks, Epoch, Origin, Verified, VerifyError, verify_export_with};

use super::lineage::{Began, EPOCHS_MAX, Exports, First, first_exported, origin_exported};
use super::remembered::{Anchor, Memory};
use super::{SAID_EVERY, open_export};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::output::Output;

pub(super) use report::{in_json, lines, notes, unproven, were_bad};

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

impl Earlier {
    pub(super) const fn is_unproven(&self) -> bool {
        matches!(self.seen, Seen::Unproven(_))
    }
}

/// Whether an earlier epoch was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// All entries that are kept of it are as they were signed.
    Whole,
    /// The same by what the store has recorded of it; but what leads there from the log is not kept.
    Recorded,
    /// The same by the key that is remembered of it, or of one after it; but what leads there from the log is not kept.
    Remembered,
    /// They are as the key in its own file signed them, and nothing leads to that.
    Unproven(Broken),
    /// Nothing is kept of it.
    NotKept,
}

/// Where the way back from the log is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Nothing is kept of this epoch.
    Missing(Epoch),
    /// The first entries of this one were bad when it ended.
    Lacking(Epoch),
}

impl Broken {
    /// What it is, in a message.
    pub(super) fn why(self) -> String {
        match self {
            Self::Missing(epoch) => {
                format!("`{epoch}.export` is missing, and with it what was signed of the epochs before")
            }
            Self::Lacking(epoch) => {
                format!("`{epoch}.export` lacks its first entry, and with it what was signed of the epochs before")
            }
        }
    }

    /// What to do about it.
    pub(super) fn help(self) -> String {
        let (Self::Missing(epoch) | Self::Lacking(epoch)) = self;
        let (what, file) = match self {
            Self::Missing(_) => ("put", "`epochs/` of the data directory had it"),
            Self::Lacking(_) => ("put one with all entries", "one from before they were bad"),
        };
        format!(
            "{what} `{epoch}.export` back from a backup or a copy ({file}), and verify anew; a file of an epoch before, by \
             whose key that was kept, verifies alone: `attorn audit verify --file FILE --key KEY`"
        )
    }
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
    memory: Option<&Memory>,
) -> Result<Vec<Earlier>, Wrong> {
    let (mut all, mut began) = (Vec::new(), first_entry.and_then(Began::of));
    while let Some(step) = began.take().filter(|_| all.len() < EPOCHS_MAX) {
        let (epoch, entries) = (step.before.epoch, step.size);
        let Some(path) = exports.find(epoch).await? else {
            all.push(Earlier { epoch, entries, bad: Vec::new(), seen: Seen::NotKept });
            all.extend(beyond(output, (exports, memory), (&step.before, Broken::Missing(epoch))).await?);
            break;
        };
        let found = re_hashed(output, &path, epoch, &may_lack(&step.bad))?;
        ends_as_said(&found, &step)?;
        all.push(Earlier { epoch, entries, bad: found.lacking, seen: Seen::Whole });
        match first_exported(&path)? {
            First::There(bytes) => began = Began::of(&bytes).filter(|next| next.origin == step.before),
            First::None => {}
            // What led on is not kept.
            First::Lacking => {
                all.extend(beyond(output, (exports, memory), (&step.before, Broken::Lacking(epoch))).await?);
            }
        }
    }
    Ok(all)
}

/// Verify what is kept of the epochs before a place where the way back is broken: each by the next one's first entry where
/// that is kept, by what is known of it, or else by its own key, which proves nothing.
async fn beyond(
    output: &Output,
    (exports, memory): (&Exports<'_>, Option<&Memory>),
    (gap, mut broken): (&Origin, Broken),
) -> Result<Vec<Earlier>, Wrong> {
    let (mut all, mut after) = (Vec::new(), None::<(Began, Seen)>);
    for (epoch, said) in exports.before(gap.epoch).await? {
        let step = after.take().filter(|(step, _)| step.before.epoch == epoch);
        let Some(path) = exports.find(epoch).await? else {
            let entries = said.map_or(0, |one| one.size);
            all.push(Earlier { epoch, entries, bad: Vec::new(), seen: Seen::NotKept });
            broken = Broken::Missing(epoch);
            continue;
        };
        let origin = Origin::of(&gap.log_id, epoch);
        // Exports of several logs may stand side by side.
        if matches!(exports, Exports::Beside(_)) && origin_exported(&path)? != origin {
            continue;
        }
        let recorded = said.as_ref().filter(|_| matches!(exports, Exports::Store(..)));
        let bad = match (&step, recorded) {
            (Some((step, _)), _) => step.bad.clone(),
            (None, Some(recorded)) => ranges(&recorded.bad_entries),
            (None, None) => Vec::new(),
        };
        let remembered = memory.map(|memory| memory.recall(&origin)).transpose()?.flatten();
        let by_key = remembered.as_ref().filter(|seen| seen.key.is_some());
        let found =
            re_hashed(output, &path, epoch, &known(by_key, &bad)).map_err(|wrong| helped(wrong, by_key, broken))?;
        if *found.key.origin() != origin {
            let message = format!("what is kept of epoch {epoch} is of `{}`", found.key.origin());
            return Err(Failure::unverified(message).into());
        }
        if let Some((step, _)) = &step {
            ends_as_said(&found, step)?;
        }
        if let Some(said) = &said {
            is_recorded(&found, said)?;
        }
        let seen = match step {
            Some((_, seen @ (Seen::Remembered | Seen::Recorded))) => seen,
            _ if by_key.is_some() => Seen::Remembered,
            _ if recorded.is_some() => Seen::Recorded,
            _ => Seen::Unproven(broken),
        };
        all.push(Earlier { epoch, entries: found.entries, bad: found.lacking, seen });
        let first = first_exported(&path)?;
        if matches!(first, First::Lacking) {
            broken = Broken::Lacking(epoch);
        }
        after = first.bytes().as_deref().and_then(Began::of).map(|began| (began, seen));
    }
    Ok(all)
}

/// By what is remembered of an epoch.
fn known<'a>(seen: Option<&'a Anchor>, bad: &'a [Range<u64>]) -> Checks<'a> {
    let since = seen.map_or(&[][..], |seen| std::slice::from_ref(&seen.note));
    Checks { trusted: seen.and_then(|seen| seen.key.as_ref()), since, ..may_lack(bad) }
}

fn may_lack(bad: &[Range<u64>]) -> Checks<'_> {
    Checks { bad, ..Checks::default() }
}

/// What does not verify beyond a broken place, and what to do about it.
fn helped(wrong: Wrong, seen: Option<&Anchor>, broken: Broken) -> Wrong {
    let Wrong { entry, failure } = wrong;
    let remembered = seen.and_then(|seen| seen.path.as_ref());
    let help = match remembered {
        Some(path) => format!(
            "what was seen of it is remembered in `{}`. Keep that file and the export: they are evidence; {}",
            path.display(),
            broken.help()
        ),
        None => broken.help(),
    };
    Wrong { entry, failure: failure.with_help(help) }
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
    Err(Failure::unverified(message).into())
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
    re_hashed(output, path, epoch, &may_lack(bad)).map(|found| found.lacking).map_err(|wrong| wrong.failure)
}

fn re_hashed(output: &Output, path: &Path, epoch: Epoch, checks: &Checks<'_>) -> Result<Verified, Wrong> {
    let file = open_export(path)?;
    let bar = Bar::new(output);
    let done = verify_export_with(file, checks, SAID_EVERY, |progress| {
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
        return Err(Failure::unverified(message).into());
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
            return Err(Failure::unverified(format!("`epochs/{name}` is of no epoch that this log comes from")));
        }
    }
    Ok(())
}
