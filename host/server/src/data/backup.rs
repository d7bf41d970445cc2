//! `attorn backup`: the copy, what is wrong with it, and whether it reaches as far as the log was seen.

use std::fs;
use std::path::Path;

use attorn_log::{Epoch, Origin};
use attorn_store::{BackedUp, BackupError, Seen, Store, Whose};

use super::ours;
use crate::config::Config;
use crate::http::failure::causes;
use crate::published::gone::says_started;
use crate::published::{damage, published_in};
use crate::run::{ServeError, root_key};
use crate::{high_water, keys};

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
    check_root_key(config)?;
    // Without the root key nobody can tell whether the state is ours; that it cannot be read is told below.
    let ours = ours(config).ok();
    let key = ours.as_ref().map(|ours| &ours.key);
    // Before anything is read of a store that may go on meanwhile: whatever was signed by now is in its journal.
    let seen = most_seen(config);
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
fn check_root_key(config: &Config) -> Result<(), NoBackup> {
    let (Ok(root), Some(record)) = (root_key(config), Store::log_key_of(&config.data_dir)) else { return Ok(()) };
    if keys::opens(&root, &record) {
        return Ok(());
    }
    let (path, dir) = (config.root_key.clone(), config.data_dir.clone());
    Err(NoBackup::RootKey(ServeError::WrongRootKey { path, dir }))
}

/// How long the log was, and who says so: what the high-water file says, or the newest checkpoint beside it that the log's key
/// signed.
fn most_seen(config: &Config) -> Option<(Seen, String)> {
    let outside = high_water::seen(&config.high_water).map(|seen| (seen, config.high_water.display().to_string()));
    let published = || {
        let (root, record) = (root_key(config).ok()?, Store::log_key_of(&config.data_dir)?);
        let entries = fs::read_dir(config.data_dir.join("log")).ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Epoch));
        let mut epochs: Vec<Epoch> = names.collect();
        epochs.sort_unstable();
        // Whatever somebody put there that no key of ours signed says nothing.
        epochs.into_iter().rev().take(EPOCHS_LOOKED_AT).find_map(|epoch| {
            let verifier = keys::log_verifier(&root, &record, Origin::of(&config.log_id, epoch)).ok()?;
            let dir = published_in(&config.data_dir, epoch);
            let size = damage::look(&dir, &verifier, None).head()?.checkpoint().size;
            Some((Seen { epoch, size }, dir.display().to_string()))
        })
    };
    outside.into_iter().chain(published()).max_by_key(|(seen, _)| (seen.epoch, seen.size))
}

/// In how many directories of epochs the newest checkpoint is looked for.
const EPOCHS_LOOKED_AT: usize = 4_096;

/// What is said of a backup whose log is shorter than it was.
fn lacking((seen, by): (Seen, String), made: &BackedUp) -> Option<String> {
    let is_behind = seen.epoch > made.epoch || (seen.epoch == made.epoch && seen.size > made.entries);
    is_behind.then(|| {
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
