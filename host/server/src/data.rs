//! What is done with a data directory without a server: `attorn backup` and `attorn repair`.

use std::path::{Path, PathBuf};

use attorn_core::TimeMs;
use attorn_log::EntryBody;
use attorn_store::{BackedUp, BackupError, OpenError, Part, Remade, RepairError, Repaired, Store};
use serde_json::json;

use crate::config::Config;
use crate::entry;
use crate::http::failure::Failure;

/// What a repair found and did.
#[derive(Debug)]
pub struct Repair {
    /// What was made anew: `store` or `journal`, or nothing.
    pub rebuilt: Option<&'static str>,
    /// What was wrong with it.
    pub problem: Option<String>,
    /// Where that is now.
    pub aside: Option<PathBuf>,
    /// Which files with entries of the log are not what its tree says, and why.
    pub bad_files: Vec<String>,
    /// How many batches there were.
    pub version: u64,
    /// How many entries the audit log has.
    pub entries: u64,
    /// Over all that the store holds, in hexadecimal.
    pub digest: String,
}

/// Copy what is needed to make the data directory anew.
///
/// # Errors
///
/// When there is no store, something is in the way, or something cannot be read or written.
pub fn back_up(config: &Config, to: &Path) -> Result<BackedUp, BackupError> {
    Store::back_up(&config.data_dir, to)
}

/// Walk the store and make its files anew if they cannot be relied on.
///
/// # Errors
///
/// When a server uses it, or what it could be made of cannot be relied on either.
pub fn repair(config: &Config) -> Result<Repair, RepairError> {
    let (integrity, rebuilt, problem, aside, bad_files) = match Store::repair(&config.data_dir, &config.log_id)? {
        Repaired::Whole(integrity) => (integrity, None, None, None, Vec::new()),
        Repaired::BadFiles { integrity, bad_files } => (integrity, None, None, None, bad_files),
        Repaired::Rebuilt { problem, integrity, aside, bad_files, .. } => {
            (integrity, Some("store"), Some(problem), aside, bad_files)
        }
        Repaired::NewJournal { problem, integrity, aside, bad_files } => {
            (integrity, Some("journal"), Some(problem), Some(aside), bad_files)
        }
    };
    let (version, entries, digest) = (integrity.version, integrity.entries, integrity.digest.to_string());
    Ok(Repair { rebuilt, problem, aside, bad_files, version, entries, digest })
}

/// What to do when there is no repair.
#[must_use]
pub const fn repair_help(error: &RepairError) -> Option<&'static str> {
    match error {
        RepairError::Open(OpenError::InUse { .. }) => Some("end the server that uses it first"),
        RepairError::Open(OpenError::NotRemade { .. }) => Some(
            "nothing was changed. What the database lost when the machine stopped, a revocation say, shows nowhere, so it \
             is not used: copy this directory, move it away, and `attorn restore` a backup",
        ),
        RepairError::Parts(_) | RepairError::OtherStore => Some(
            "nothing was changed, and there is nothing here to make it anew from: `attorn restore` takes a backup; copy \
             this directory first, it may hold more than the backup",
        ),
        _ => None,
    }
}

/// The entry that says what was made anew.
pub(crate) fn remade(now: TimeMs, remade: &Remade) -> Result<EntryBody, Failure> {
    let Remade { part, by_hand, problem, version, entries, digest } = remade;
    let part = match part {
        Part::Store => "store",
        Part::Journal => "journal",
    };
    let members = json!({ "part": part, "by_hand": by_hand, "problem": problem, "version": version,
        "entries": entries, "digest": digest.to_string() });
    entry::body(now, "store_remade", members)
}
