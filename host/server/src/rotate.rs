//! `attorn key rotate-log`: a new key signs the audit log, which goes on in a new epoch.
//!
//! It is done while no server runs: the lock of the store says so, and is held until the new directory has taken the
//! old one's place in one step. The old epoch's last entry names the new key, and the new epoch's first entry names
//! where the old one ended, with a note by the old key; so whoever has that can go on. Nothing that was granted ends,
//! and nothing is frozen: the state is the same.
//!
//! Where somebody else may have had the old key, it vouches for nothing any more: then no note is made, and whoever
//! verifies the log has to be given the new key. What was signed by the old one counts up to the checkpoint with which
//! its epoch ended.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use attorn_log::{CheckpointVerifier, Epoch, Origin};
use attorn_store::records::EpochEnd;
use attorn_store::{Batch, Store};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::config::Config;
use crate::epochs::{Ended, EpochError, NextKey, PLAIN, beside, export_path, link_all, sync_above, sync_dir};
use crate::http::failure::{Failure, causes};
use crate::published::Published;
use crate::registry::note;
use crate::run::{CACHE_DIRECTORY, ServeError, root_key};
use crate::{entry, high_water, keys};

/// Why the log's key is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It was time.
    Routine,
    /// Somebody else may have it.
    Compromised,
}

/// What came of it.
#[derive(Debug)]
pub struct Rotated {
    /// The log as it goes on.
    pub origin: Origin,
    /// Its key.
    pub key: CheckpointVerifier,
    /// The log as it ended.
    pub earlier: Origin,
    /// How many entries that has.
    pub entries: u64,
    /// Where they are.
    pub export: PathBuf,
}

/// Have a new key sign the log of this configuration, whose server does not run.
///
/// # Errors
///
/// When a server runs, the data directory is not the newest or not whole, or something cannot be written. Until the
/// last step the log goes on in its old epoch, which may have an entry then that says that it ended.
pub async fn rotate_log_key(config: &Config, because: Because, reason: Option<&str>) -> Result<Rotated, EpochError> {
    note("reason", reason)?;
    let io = EpochError::io;
    let root = root_key(config)?;
    let target = &config.data_dir;
    let work = beside(target, ".rotating");
    if work.try_exists().map_err(io(&work))? {
        return Err(EpochError::LeftBehind(work));
    }
    let old = open(config, &root).await?;
    let signer = keys::log_signer(&root, &old).await?;
    high_water::check(&config.high_water, &old, &signer).await?;
    // What was published and is not of this log, or of more of it, is an error.
    Published::open(config, &signer.verifier(), &old).map_err(EpochError::Log)?;
    let head = old.log_head().map_err(Failure::from)?;
    let later = head.epoch.0.checked_add(1).ok_or_else(|| EpochError::Log("there is no later epoch".to_owned()))?;
    let next = NextKey::generate(Origin::of(&head.log_id, Epoch(later)))?;
    end(&old, &next, because, reason).await?;
    DirBuilder::new().mode(0o700).create(&work).map_err(io(&work))?;
    let ended = Ended::keep(&old, signer, &work)?;
    let new = old.begin_epoch(&work, Epoch(later)).map_err(|error| EpochError::Log(causes(&error)))?;
    begin(&new, (&root, &ended, &next), because, reason).await?;
    new.verify_integrity().await.map_err(|error| EpochError::Log(causes(&error)))?;
    drop(new);
    for part in PLAIN {
        if target.join(part).try_exists().map_err(io(target))? {
            link_all(&target.join(part), &work.join(part))?;
        }
    }
    sync_dir(&work)?;
    // Nobody opens the old directory from here on, nor the new one before it has its place.
    let closed = old.close().map_err(ServeError::from)?;
    exchange(&work, target)?;
    tidy_up(&work, target);
    drop(closed);
    let checkpoint = ended.checkpoint.checkpoint();
    Ok(Rotated {
        origin: next.verifier().origin().clone(),
        key: next.verifier().clone(),
        earlier: checkpoint.origin.clone(),
        entries: checkpoint.size,
        export: export_path(target, checkpoint.origin.epoch),
    })
}

async fn open(config: &Config, root: &attorn_identity::RootKey) -> Result<Store, EpochError> {
    let store = Store::open(&config.data_dir, &config.log_id).map_err(ServeError::from)?;
    if !keys::opened_by(root, &store).await? {
        let (path, dir) = (config.root_key.clone(), config.data_dir.clone());
        return Err(ServeError::WrongRootKey { path, dir }.into());
    }
    store.verify_integrity().await.map_err(|error| EpochError::Log(causes(&error)))?;
    Ok(store)
}

/// The last entry of the old epoch.
async fn end(store: &Store, next: &NextKey, because: Because, reason: Option<&str>) -> Result<(), Failure> {
    let mut batch = Batch::new(keys::wall_now());
    let key = (because == Because::Routine).then(|| next.verifier().to_string());
    let members = json!({
        "next_epoch": next.verifier().origin().epoch.to_string(),
        "next_key": key,
        "compromised": because == Because::Compromised,
        "reason": reason,
    });
    batch.entries.push(entry::body(batch.now, "log_key_ended", members)?);
    store.commit(batch).await?;
    Ok(())
}

/// The first entry of the new one.
async fn begin(
    store: &Store,
    (root, ended, next): (&attorn_identity::RootKey, &Ended, &NextKey),
    because: Because,
    reason: Option<&str>,
) -> Result<(), Failure> {
    let mut batch = Batch::new(keys::wall_now());
    let why = match because {
        Because::Routine => EpochEnd::KeyRotated,
        Because::Compromised => EpochEnd::KeyCompromised,
    };
    let mut members = ended.begin_next(store, (root, next), why, &mut batch).await?;
    members["compromised"] = (because == Because::Compromised).into();
    members["reason"] = json!(reason);
    members["version"] = env!("CARGO_PKG_VERSION").into();
    batch.entries.push(entry::body(batch.now, "log_key_rotated", members)?);
    store.commit(batch).await?;
    Ok(())
}

/// Have both directories take each other's place, in one step.
fn exchange(work: &Path, target: &Path) -> Result<(), EpochError> {
    let exchanged = renameat_with(CWD, work, CWD, target, RenameFlags::EXCHANGE);
    exchanged.map_err(|error| EpochError::io(target)(error.into()))?;
    sync_above(target)
}

/// Remove the old directory, with the old key's private half. What was compiled goes over: it is made anew if it does
/// not. That the old directory stays is said, and no reason to say that nothing was done.
fn tidy_up(old: &Path, new: &Path) {
    let _ = fs::rename(old.join(CACHE_DIRECTORY), new.join(CACHE_DIRECTORY));
    if let Err(error) = fs::remove_dir_all(old) {
        tracing::error!(path = %old.display(), %error, "the directory of before cannot be removed: remove it by hand");
    }
}
