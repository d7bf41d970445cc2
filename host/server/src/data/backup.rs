//! `attorn backup`: the copy, what is wrong with it, and whether it reaches as far as the log was seen.

use std::path::Path;

use attorn_log::Origin;
use attorn_store::{BackedUp, BackupError, KnownLog, Seen, Store, Whose};

use super::ours;
use crate::config::Config;
use crate::http::failure::causes;
use crate::keys;
use crate::most_seen::{self, SeenBy};
use crate::published::gone::says_started;
use crate::published::{damage, published_in};
use crate::run::{ServeError, root_key};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum NoBackup {
    /// The root key is another one than that of the store.
    #[error(transparent)]
    RootKey(ServeError),
    /// Something could not be copied.
    #[error(transparent)]
    Copy(#[from] BackupError),
}

/// Copy what is needed to make the data directory anew. Why the checkpoints in it could not be looked at comes beside.
///
/// # Errors
///
/// When the root key is another one, there is no store, something is in the way, or something cannot be read or written.
/// Nothing is left of a copy then.
pub fn back_up(config: &Config, to: &Path) -> Result<(BackedUp, Option<String>), NoBackup> {
    let known = Store::known_log(&config.data_dir);
    check_root_key(config, known.as_ref())?;
    // Without the root key nobody can tell whether the state is ours; that it cannot be read is told below.
    let ours = ours(config).ok();
    let key = ours.as_ref().map(|ours| &ours.key);
    // Before anything is read of a store that may go on meanwhile: whatever was signed by now is in its journal.
    let seen = most_seen::beside(config, known.as_ref())
        .map_err(|source| BackupError::Io { path: config.data_dir.clone(), source })?;
    let mut made = Store::back_up_served(&config.data_dir, to, Whose { key, says_served: says_started })?;
    made.bad_files.extend(seen.and_then(|seen| lacking(seen, &made)));
    let unseen = match bad_checkpoints(config, to, &made) {
        Ok(bad) => {
            made.bad_files.extend(bad);
            None
        }
        Err(why) => Some(why),
    };
    Ok((made, unseen))
}

/// See whether the root key is that of the store, before all of it is copied in vain. Where it cannot be read, or the store
/// has nothing that tells, the copy is made all the same.
fn check_root_key(config: &Config, known: Option<&KnownLog>) -> Result<(), NoBackup> {
    let Some(known) = known.filter(|known| !known.keys.is_empty()) else { return Ok(()) };
    let Ok(root) = root_key(config) else { return Ok(()) };
    if known.keys.iter().any(|record| keys::opens(&root, record)) {
        return Ok(());
    }
    let (path, dir) = (config.root_key.clone(), config.data_dir.clone());
    Err(NoBackup::RootKey(ServeError::WrongRootKey { path, dir }))
}

/// What is said of a backup whose log is shorter than it was.
fn lacking(SeenBy { seen, by }: SeenBy, made: &BackedUp) -> Option<String> {
    let has = Seen { epoch: made.epoch, size: made.entries };
    (seen > has).then(|| {
        format!(
            "base copy and journal come to {} entries of epoch {}, and `{by}` has seen {} of epoch {}: the backup lacks what \
             came after; `attorn repair` begins them anew while no server runs, if the database has it, and then make the \
             backup again; else this is of an older data directory",
            made.entries, made.epoch, seen.size, seen.epoch
        )
    })
}

/// What is wrong with the checkpoints in a backup. The key that signed them is wrapped with the root key.
fn bad_checkpoints(config: &Config, to: &Path, made: &BackedUp) -> Result<Vec<String>, String> {
    let Some(record) = &made.log_key else { return Err("there is no key of the log in it".to_owned()) };
    let root = root_key(config).map_err(|error| causes(&error))?;
    let verifier = keys::log_verifier(&root, record, Origin::of(&config.log_id, made.epoch));
    let verifier = verifier.map_err(|failure| failure.internal.unwrap_or(failure.problem.detail))?;
    let found = damage::look(&published_in(to, made.epoch), &verifier, None);
    Ok(found.bad.iter().map(ToString::to_string).collect())
}
