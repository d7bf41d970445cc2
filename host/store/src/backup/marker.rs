//! `backup.format`: in which format a backup is, and where it ended.
//!
//! ```text
//! attorn-backup 2
//! version 1204
//! entries 1109
//! epoch 1
//! ```
//!
//! It is written last, so a backup without it was never finished. Whoever restores compares what came of the backup with
//! it: base copy and journal are whole also where the newest segments are gone, and come to an older state then. Nobody
//! signs it, so it tells of a loss, and of nobody's hand: what was signed of the log is compared elsewhere.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use attorn_log::Epoch;

use super::{BackupError, at};
use crate::files::{create_beside, read_regular_text, sync_dir};

pub(super) const MARKER: &str = "backup.format";
const MAGIC: &str = "attorn-backup ";
/// The one that is written, and the only one that is read.
pub(super) const FORMAT: u32 = 2;
/// More bytes than it has: three of its four lines end in a number of 20 digits at most.
const BYTES_MAX: usize = 128;
/// No log comes to more batches or entries: beyond it a number in JSON is not exact any more.
const COUNT_MAX: u64 = (1 << 53) - 1;
const NOT_OURS: &str = "it is not what `attorn backup` writes";

/// Where a backup ended when it was made, or what came of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupEnd {
    /// The version of the last batch.
    pub version: u64,
    /// How many entries the log has.
    pub entries: u64,
    /// The epoch that it is in.
    pub epoch: Epoch,
}

/// How far a backup came that was restored, against where it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// To its end.
    All,
    /// Less far: its end is gone.
    Less,
    /// Farther, or elsewhere: what is in it was not made together.
    Other,
}

impl BackupEnd {
    /// How far a backup that ended here came, by what came of it.
    #[must_use]
    pub fn reached(&self, came: &Self) -> Reached {
        if came == self {
            Reached::All
        } else if came.epoch == self.epoch && came.version <= self.version && came.entries <= self.entries {
            Reached::Less
        } else {
            Reached::Other
        }
    }

    fn to_text(self) -> String {
        let Self { version, entries, epoch } = self;
        format!("{MAGIC}{FORMAT}\nversion {version}\nentries {entries}\nepoch {epoch}\n")
    }
}

impl fmt::Display for BackupEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries of epoch {}, version {}", self.entries, self.epoch, self.version)
    }
}

/// Why a text is not what is written.
#[derive(Debug, PartialEq, Eq)]
enum Unfit {
    OtherFormat(u32),
    NoEnd(&'static str),
}

/// Say that a backup is whole, and where it ended. All else of it is on disk before.
pub(super) fn write(backup: &Path, end: BackupEnd) -> Result<(), BackupError> {
    let (path, new) = (backup.join(MARKER), backup.join("backup.format.tmp"));
    let write = || -> io::Result<()> {
        sync_dir(backup)?;
        let mut file = create_beside(&new)?;
        file.write_all(end.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        sync_dir(backup)
    };
    write().map_err(at(&path))
}

/// Where a finished backup ended.
pub(super) fn read(backup: &Path) -> Result<BackupEnd, BackupError> {
    let path = backup.join(MARKER);
    let text = match read_regular_text(&path, BYTES_MAX as u64 + 1) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(BackupError::NotABackup { dir: backup.to_owned() });
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(BackupError::NoEnd { path, why: NOT_OURS });
        }
        text => text.map_err(at(&path))?,
    };
    parse(&text).map_err(|unfit| match unfit {
        Unfit::OtherFormat(found) => BackupError::OtherFormat { path, found },
        Unfit::NoEnd(why) => BackupError::NoEnd { path, why },
    })
}

fn parse(text: &str) -> Result<BackupEnd, Unfit> {
    let format: Option<u32> = text.strip_prefix(MAGIC).and_then(|rest| rest.lines().next()?.parse().ok());
    match format {
        Some(FORMAT) => {}
        Some(found) => return Err(Unfit::OtherFormat(found)),
        None => return Err(Unfit::NoEnd(NOT_OURS)),
    }
    if text.len() > BYTES_MAX {
        return Err(Unfit::NoEnd("it is longer than `attorn backup` writes it"));
    }
    // There is one way to write it: no other number of digits, signs or lines comes back the same.
    let end = numbers(text).filter(|end| end.to_text() == text).ok_or(Unfit::NoEnd(NOT_OURS))?;
    if end.version > COUNT_MAX || end.entries > COUNT_MAX {
        return Err(Unfit::NoEnd("no log has so many entries or batches"));
    }
    Ok(end)
}

fn numbers(text: &str) -> Option<BackupEnd> {
    let mut lines = text.lines().skip(1);
    let mut number = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
    Some(BackupEnd { version: number("version")?, entries: number("entries")?, epoch: Epoch(number("epoch")?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: BackupEnd = BackupEnd { version: 1_204, entries: 1_109, epoch: Epoch(2) };

    #[test]
    fn what_is_written_never_changes_its_form_and_comes_back() {
        assert_eq!(END.to_text(), "attorn-backup 2\nversion 1204\nentries 1109\nepoch 2\n");
        let largest = BackupEnd { version: COUNT_MAX, entries: COUNT_MAX, epoch: Epoch(u64::MAX) };
        let none = BackupEnd { version: 0, entries: 0, epoch: Epoch(1) };
        for end in [END, largest, none] {
            assert_eq!(parse(&end.to_text()), Ok(end));
        }
    }

    #[test]
    fn what_nobody_wrote_says_of_nothing_where_it_ended() {
        let text = END.to_text();
        let many = (COUNT_MAX + 1).to_string();
        for (bad, why) in [
            (String::new(), NOT_OURS),
            ("attorn-backup".to_owned(), NOT_OURS),
            ("attorn-backup x\n".to_owned(), NOT_OURS),
            ("attorn-backup 2\n".to_owned(), NOT_OURS),
            (text.trim_end().to_owned(), NOT_OURS),
            (format!("{text}\n"), NOT_OURS),
            (format!("{text}epoch 2\n"), NOT_OURS),
            (text.replace(' ', "  "), NOT_OURS),
            (text.replace('\n', "\r\n"), NOT_OURS),
            (text.replace("backup 2", "backup 02"), NOT_OURS),
            (text.replace("1109", "01109"), NOT_OURS),
            (text.replace("1109", "+1109"), NOT_OURS),
            (text.replace("1109", "-1"), NOT_OURS),
            (text.replace("1109", "18446744073709551616"), NOT_OURS),
            (text.replace("entries", "epoch"), NOT_OURS),
            (text.replace("1109", &many), "no log has so many entries or batches"),
            (text.replace("1204", &many), "no log has so many entries or batches"),
            (format!("{text}{}", "\n".repeat(BYTES_MAX)), "it is longer than `attorn backup` writes it"),
        ] {
            assert_eq!(parse(&bad), Err(Unfit::NoEnd(why)), "{bad:?}");
        }
        for (other, found) in [("attorn-backup 1\n", 1), ("attorn-backup 3\nmore\n", 3)] {
            assert_eq!(parse(other), Err(Unfit::OtherFormat(found)));
        }
    }

    #[test]
    fn less_is_told_from_what_was_not_made_together() {
        for (came, reached) in [
            (END, Reached::All),
            (BackupEnd { version: 1_000, entries: 1_001, ..END }, Reached::Less),
            // Not every batch has an entry.
            (BackupEnd { version: 1_203, ..END }, Reached::Less),
            (BackupEnd { version: 1_205, ..END }, Reached::Other),
            (BackupEnd { version: 1_000, entries: 1_110, ..END }, Reached::Other),
            (BackupEnd { epoch: Epoch(1), ..END }, Reached::Other),
            (BackupEnd { epoch: Epoch(3), ..END }, Reached::Other),
        ] {
            assert_eq!(END.reached(&came), reached, "{came}");
        }
    }
}
