//! What is done with a data directory without a server: `attorn backup` and `attorn repair`.

mod backup;
mod help;

use std::path::{Path, PathBuf};

use attorn_api::audit::EntryType;
use attorn_core::TimeMs;
use attorn_log::EntryBody;
use attorn_store::{Integrity, Ours, Part, Remade, RepairError, Repaired, SaidBy, Store, Walked};
use serde_json::json;

pub use self::backup::{NoBackup, back_up};
pub(crate) use self::help::UNREAD_HELP;
pub use self::help::{backup_help, repair_help};
pub use attorn_store::{
    Accepted, BackupError, BadBlob, BadExport, BadNamed, FilesOf, ForeignState, ImprintError, LostEnd, NeededBy,
    PartsError, PolicyPart, is_within,
};

use crate::config::Config;
use crate::http::failure::{Failure, causes};
pub use crate::lost_records::LostRecords;
use crate::published::earlier;
use crate::published::gone;
pub use crate::published::mend::Refused;
use crate::published::mend::{Mended, mend};
use crate::queries::compare::{self, Lacking, State};
use crate::run::{ServeError, root_key};
use crate::users::key_files::{CopiedKeys, copy_user_keys};
use crate::{entry, keys, lost_records, most_seen};

/// What a repair found and did.
#[derive(Debug)]
pub struct Repair {
    /// What was made anew, if anything was.
    pub rebuilt: Option<Rebuilt>,
    /// What was wrong with it.
    pub problem: Option<String>,
    /// What was accepted: the problem is why it was refused before.
    pub accepted: Accepted,
    /// Where that is now.
    pub aside: Option<PathBuf>,
    /// Where the base copies are that go with a journal that was begun anew, if there were any.
    pub bases_aside: Option<PathBuf>,
    /// Which files with entries of the log are not what its tree says, and why; and that what was published is gone.
    pub bad_files: Vec<String>,
    /// Which files with checkpoints, and of earlier epochs with entries, were made anew, and what was wrong with them.
    pub checkpoints: Vec<String>,
    /// Why the server would not start with a log that fits together: it is shorter than it was, or another.
    pub refused: Option<Refused>,
    /// What was wrong with the file that says what was made anew, and where it is now, if it was moved aside.
    pub remade: Option<(String, PathBuf)>,
    /// How many decision records are lost.
    pub lost_records: LostCount,
    /// What was wrong with the query index, if it was; it is removed then.
    pub index: Option<String>,
    /// Which components, settings and exports of earlier epochs are not what records say, or not there; or why that
    /// could not be seen.
    pub bad_named: Result<BadNamed, String>,
    /// How many batches there were.
    pub version: u64,
    /// How many entries the audit log has.
    pub entries: u64,
    /// Over all that the store holds, in hexadecimal.
    pub digest: String,
}

/// Of how many decision records it was accepted that they are lost. Nothing is counted where nobody asked for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LostCount {
    /// By this repair.
    pub accepted: u64,
    /// By this one and those before.
    pub in_all: u64,
}

/// Why nothing was repaired.
#[derive(Debug, thiserror::Error)]
pub enum NoRepair {
    /// Without the root key nobody can tell whether the state is ours.
    #[error(transparent)]
    RootKey(#[from] ServeError),
    /// The store was not.
    #[error(transparent)]
    Store(#[from] RepairError),
}

impl NoRepair {
    /// Whether something on disk is not what was written, and could not be mended.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_altered())
    }
}

/// What makes the store of a configuration ours.
///
/// # Errors
///
/// When the root key cannot be read.
pub fn ours(config: &Config) -> Result<Ours, ServeError> {
    Ok(keys::ours(&root_key(config)?, config))
}

/// What a repair made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// The store, from its base copy and its journal.
    Store,
    /// The journal, with a base copy of what the store has.
    Journal,
    /// Files beside the store.
    Files(FilesOf),
}

/// Copy the keys of users into a directory that is not there yet, and open each copy with the root key. If that cannot
/// be read, they are copied unopened, and why comes beside.
///
/// # Errors
///
/// When something is in the way, or cannot be read or written.
pub fn copy_keys(config: &Config, to: &Path) -> std::io::Result<(CopiedKeys, Option<String>)> {
    let root = root_key(config);
    let copied = copy_user_keys(&config.user_keys, to, root.as_ref().ok())?;
    Ok((copied, root.err().map(|error| causes(&error))))
}

/// Walk the store and make its files anew if they cannot be relied on.
///
/// # Errors
///
/// When the root key cannot be read, a server uses it, or what it could be made of cannot be relied on either.
pub async fn repair(config: &Config, accepted: Accepted, lost: LostRecords) -> Result<Repair, NoRepair> {
    let root = root_key(config)?;
    let ours = keys::ours(&root, config);
    let (mut aside, mut bases_aside, mut made) = (None, None, Accepted::NOTHING);
    // Whatever is made anew is noted in that file.
    let remade = Store::set_remade_aside(&config.data_dir).map_err(RepairError::from)?;
    let (seen, opens) = (most_seen::look(config)?, |key: &_| keys::opens(&root, key));
    let repaired = Store::repair_with(&config.data_dir, &ours, seen, (accepted, &opens))?;
    let (mut integrity, rebuilt, problem, mut bad_files) = match repaired {
        Repaired::Whole(integrity) => (integrity, None, None, Vec::new()),
        Repaired::BadFiles { integrity, bad_files } => (integrity, None, None, bad_files),
        Repaired::Files { of, problem, integrity, bad_files } => {
            (integrity, Some(Rebuilt::Files(of)), Some(problem), bad_files)
        }
        Repaired::Rebuilt { problem, integrity, aside: old, bad_files, .. } => {
            aside = old;
            (integrity, Some(Rebuilt::Store), Some(problem), bad_files)
        }
        Repaired::NewJournal {
            foreign,
            lost_end,
            problem,
            integrity,
            aside: old,
            bases_aside: old_bases,
            bad_files,
        } => {
            (aside, bases_aside, made) = (Some(old), old_bases, Accepted { foreign, lost_end });
            (integrity, Some(Rebuilt::Journal), Some(problem), bad_files)
        }
    };
    let (bad_named, mut index) = (Store::check_named(&config.data_dir).map_err(|error| causes(&error)), None);
    let (mut checkpoints, mut refused, mut lost_records) = (Vec::new(), None, LostCount::default());
    if lost == LostRecords::Accepted {
        match accept_lost(config, &ours).await {
            Ok((accepted, walked)) => {
                lost_records = LostCount { accepted, in_all: walked.lost_records };
                bad_files = walked.lost_files();
                integrity = walked.integrity;
            }
            Err(why) => {
                bad_files.push(format!("which records are lost could not be seen, and nothing was accepted: {why}"));
            }
        }
    }
    match beside(config, (&ours, &integrity), remade.as_ref()).await {
        Ok(found) => {
            bad_files.extend(found.bad);
            (index, checkpoints, refused) = (found.index, found.checkpoints, found.refused);
        }
        // What else is bad is named all the same.
        Err(why) => bad_files.push(format!("what is made of the log beside the store cannot be looked at: {why}")),
    }
    let (version, entries, digest) = (integrity.version, integrity.entries, integrity.digest.to_string());
    Ok(Repair {
        rebuilt,
        problem,
        accepted: made,
        aside,
        bases_aside,
        bad_files,
        checkpoints,
        refused,
        remade,
        lost_records,
        index,
        bad_named,
        version,
        entries,
        digest,
    })
}

/// What is beside the store, and made of it.
struct Beside {
    bad: Vec<String>,
    /// Which files with checkpoints were made anew.
    checkpoints: Vec<String>,
    refused: Option<Refused>,
    /// What was wrong with the query index that was removed.
    index: Option<String>,
}

/// See whether what was published is gone or damaged, and whether the query index hides something: then it is removed.
async fn beside(
    config: &Config,
    (ours, integrity): (&Ours, &Integrity),
    remade: Option<&(String, PathBuf)>,
) -> Result<Beside, String> {
    let store = Store::open_alone(&config.data_dir, ours).map_err(|error| causes(&error))?;
    if let Some((problem, aside)) = remade {
        let problem = format!("{problem}; it was moved to `{}`", aside.display());
        store.note_unknown(&problem, integrity).map_err(|error| causes(&error))?;
    }
    let why = |failure: Failure| failure.internal.unwrap_or(failure.problem.detail);
    let unpublished = gone::unpublished(config, &store).map_err(|error| causes(&error))?;
    let mut bad: Vec<String> = unpublished.into_iter().collect();
    let (mut checkpoints, mut refused) = (Vec::new(), None);
    match mend_published(config, &store, integrity).await {
        Ok(mended) => {
            bad.extend(mended.still_bad);
            (checkpoints, refused) = (mended.anew, mended.refused);
        }
        Err(why) => bad.push(format!("whether the files with checkpoints are whole could not be seen: {why}")),
    }
    match earlier::mend(&config.data_dir, (&store, integrity)).await {
        Ok(mended) => {
            checkpoints.extend(mended.anew);
            bad.extend(mended.still_bad);
        }
        Err(why) => {
            bad.push(format!("what was published of earlier epochs could not all be looked at or made anew: {why}"));
        }
    }
    let index = match compare::lacking(&config.data_dir, &store).map_err(why)? {
        None => None,
        // Lists would end where the first of those is that cannot be read.
        Some(Lacking { said, state: State::CannotBeRemade }) => {
            bad.push(format!(
                "{said}; it is not removed as long as entries cannot be read, of which it could not be made anew: put their \
                 files back first"
            ));
            None
        }
        Some(Lacking { said, state: State::CanBeRemade | State::Removed }) => {
            compare::remove(&config.data_dir).map_err(|error| format!("the query index cannot be removed: {error}"))?;
            Some(said)
        }
    };
    Ok(Beside { bad, checkpoints, refused, index })
}

/// Accept that records are lost, and look at all of the store once more.
async fn accept_lost(config: &Config, ours: &Ours) -> Result<(u64, Walked), String> {
    let store = Store::open_alone(&config.data_dir, ours).map_err(|error| causes(&error))?;
    let accepted = lost_records::accept(&store).await;
    let accepted = accepted.map_err(|failure| failure.internal.unwrap_or(failure.problem.detail))?;
    Ok((accepted, store.walk().await.map_err(|error| causes(&error))?))
}

/// The key that signs them is wrapped with the root key.
async fn mend_published(config: &Config, store: &Store, integrity: &Integrity) -> Result<Mended, String> {
    let root = root_key(config).map_err(|error| causes(&error))?;
    let signer = keys::log_signer(&root, store).await;
    let signer = signer.map_err(|failure| failure.internal.unwrap_or(failure.problem.detail))?;
    mend(config, (store, integrity), &signer).await
}

/// The entry that says what was made anew.
pub(crate) fn remade(store: &Store, now: TimeMs, remade: &Remade) -> Result<EntryBody, Failure> {
    let Remade { part, by_hand, problem, version, entries, digest, said_by } = remade;
    let part = match part {
        Part::Store => "store",
        Part::Journal => "journal",
        Part::Published => "published",
        Part::Unknown => "unknown",
    };
    // Nothing vouches for the file that says so, and whoever reads this has to know it.
    let said_by = match said_by {
        SaidBy::File => "store.remade",
        SaidBy::State => "state",
    };
    let beyond_store = store.is_beyond(remade)?;
    let members = json!({ "part": part, "by_hand": by_hand, "problem": problem, "version": version,
        "entries": entries, "digest": digest.to_string(), "said_by": said_by, "beyond_store": beyond_store });
    entry::body(now, EntryType::StoreRemade, members)
}
