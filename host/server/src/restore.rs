//! `attorn restore`: a data directory out of a backup, which never passes for what it was before.
//!
//! Since the backup was made, things were granted, used and revoked of which it knows nothing. So the log goes on
//! under a new epoch, whose first entry says where the old one ended in the backup; the entries of that are kept as
//! a file that anybody can verify; every grant and every session ends; and everything is denied until somebody has
//! looked at delegations and counters and thaws the server. Nothing here finds out what the backup lacks: the
//! high-water file tells how much it is at least.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_log::{CheckpointSigner, Origin, SignedCheckpoint, export_header, verify_export};
use attorn_store::records::{ClockMarkRecord, FreezeRecord, GrantRecord, Record, SessionRecord};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require, Store};
use serde_json::json;

use crate::config::Config;
use crate::http::failure::{Failure, causes};
use crate::run::{ServeError, root_key};
use crate::{entry, high_water, keys};

/// How many things are ended in one batch.
const ENDED_AT_ONCE: usize = 200;
/// How many entries are exported at a time.
const EXPORTED_AT_ONCE: usize = 256;
/// Where the logs of earlier epochs are, within the data directory.
const EPOCHS: &str = "epochs";
/// Where the checkpoints are that were published, by epoch. Those of earlier ones stay, with their cosignatures.
const PUBLISHED: &str = "log";
/// Who says in the store that everything is denied.
const BY: &str = "restore";
const REASON: &str = "restored from a backup: look at delegations, counters, agents and operators, then thaw";

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The log as it goes on.
    pub origin: Origin,
    /// The log as it ended in the backup.
    pub earlier: Origin,
    /// How many entries that had.
    pub entries: u64,
    /// At least so many were lost, as far as the high-water file knows.
    pub lost: Option<u64>,
    /// Where they are.
    pub export: PathBuf,
    /// How many grants were ended.
    pub grants: u64,
    /// How many sessions were ended.
    pub sessions: u64,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something where the data should go.
    #[error("`{0}` is there already; nothing was changed")]
    InTheWay(PathBuf),
    /// A file or directory cannot be used.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The backup cannot be used.
    #[error("the backup cannot be restored: {0}")]
    Backup(String),
    /// The configuration or what it names cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl RestoreError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::InTheWay(_) => Some("what is there is never overwritten: move it away, or name another `--data-dir`"),
            Self::Serve(error) => error.help(),
            Self::Io { .. } | Self::Backup(_) => None,
        }
    }
}

impl From<Failure> for RestoreError {
    fn from(failure: Failure) -> Self {
        Self::Serve(failure.into())
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RestoreError {
    let path = path.to_owned();
    |source| RestoreError::Io { path, source }
}

/// Restore a backup to where the configuration says that the data is. What is half done stays beside it, under a
/// name that says so.
///
/// # Errors
///
/// When something is there already, or the backup or the root key cannot be used.
pub async fn restore(config: &Config, backup: &Path) -> Result<Restored, RestoreError> {
    let root = root_key(config)?;
    let target = &config.data_dir;
    let mut name = target.as_os_str().to_owned();
    name.push(".restoring");
    let work = PathBuf::from(name);
    let empty = fs::read_dir(target).is_ok_and(|mut files| files.next().is_none());
    for path in [target, &work] {
        if path.try_exists().map_err(io(path))? && !(empty && path == target) {
            return Err(RestoreError::InTheWay(path.clone()));
        }
    }
    DirBuilder::new().mode(0o700).create(&work).map_err(io(&work))?;
    let was = work.join("was");
    let old = Store::unpack(backup, &was, &config.log_id).map_err(|error| RestoreError::Backup(causes(&error)))?;
    old.verify_integrity().await.map_err(|error| RestoreError::Backup(causes(&error)))?;
    if !keys::opened_by(&root, &old).await? {
        let (path, dir) = (config.root_key.clone(), backup.to_owned());
        return Err(ServeError::WrongRootKey { path, dir }.into());
    }
    let signer = keys::log_signer(&root, &old).await?;
    let ended = checkpoint(&old, &signer)?;
    let export = keep_epoch(&old, &signer, &ended, &was.join(EPOCHS))?;
    let new = old.begin_epoch(&work).map_err(|error| RestoreError::Backup(causes(&error)))?;
    drop(old);
    // `begin_epoch` has made a directory for files, and it is empty.
    fs::remove_dir(work.join("blobs")).map_err(io(&work))?;
    for part in ["blobs", EPOCHS, PUBLISHED] {
        if was.join(part).try_exists().map_err(io(&was))? {
            fs::rename(was.join(part), work.join(part)).map_err(io(&was.join(part)))?;
        }
    }
    let lost = lost(config, &signer, &ended);
    let (grants, sessions) = end_all(&new, &ended, lost).await?;
    let head = new.log_head().map_err(Failure::from)?;
    drop(new);
    fs::remove_dir_all(&was).map_err(io(&was))?;
    fs::rename(&work, target).map_err(io(target))?;
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(io(parent))?;
    Ok(Restored {
        origin: Origin::of(&head.log_id, head.epoch),
        earlier: ended.checkpoint().origin.clone(),
        entries: ended.checkpoint().size,
        lost,
        export: target.join(EPOCHS).join(export),
        grants,
        sessions,
    })
}

fn checkpoint(store: &Store, signer: &CheckpointSigner) -> Result<SignedCheckpoint, Failure> {
    let size = store.log_head()?.size;
    Ok(signer.sign(size, store.root(size)?))
}

/// Write the log of an epoch that ends to a file of its own, and verify it there. Its name comes back.
fn keep_epoch(
    store: &Store,
    signer: &CheckpointSigner,
    ended: &SignedCheckpoint,
    dir: &Path,
) -> Result<String, RestoreError> {
    let name = format!("{}.export", ended.checkpoint().origin.epoch);
    let path = dir.join(&name);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io(&path))?;
    let mut file = BufWriter::new(file);
    let key = signer.verifier();
    file.write_all(export_header(&key, ended).as_bytes()).map_err(io(&path))?;
    let mut from = 0;
    while from < ended.checkpoint().size {
        let entries = store.entries(from, EXPORTED_AT_ONCE).map_err(Failure::from)?;
        for entry in &entries {
            file.write_all(&entry.bytes).map_err(io(&path))?;
        }
        from += entries.len() as u64;
    }
    let file = file.into_inner().map_err(|error| io(&path)(error.into_error()))?;
    file.sync_all().map_err(io(&path))?;
    let written = BufReader::new(File::open(&path).map_err(io(&path))?);
    verify_export(written, Some(&key)).map_err(|error| RestoreError::Backup(causes(&error)))?;
    Ok(name)
}

/// How many entries the high-water file has seen more than the backup has. A file that cannot be relied on is
/// found when the server starts.
fn lost(config: &Config, signer: &CheckpointSigner, ended: &SignedCheckpoint) -> Option<u64> {
    let note = high_water::read(&config.high_water).ok()??;
    let seen = signer.verifier().verify(note.as_bytes()).ok()?;
    Some(seen.checkpoint().size.saturating_sub(ended.checkpoint().size))
}

/// Say what happened in the first entry, deny everything, and end all grants and sessions.
async fn end_all(store: &Store, ended: &SignedCheckpoint, lost: Option<u64>) -> Result<(u64, u64), Failure> {
    let mut batch = Batch::new(keys::wall_now());
    let members = json!({ "checkpoint": ended.note(), "lost_at_least": lost, "version": env!("CARGO_PKG_VERSION") });
    batch.entries.push(entry::body(batch.now, "restored", members)?);
    if store.get(&Key::freeze()).await?.is_none() {
        let freeze = FreezeRecord { by: BY.parse()?, at: batch.now, reason: Some(REASON.to_owned()) };
        let about = json!({ "operator": BY, "about": { "reason": REASON } });
        batch.entries.push(entry::body(batch.now, "frozen", about)?);
        batch.require.push((Key::freeze(), Require::Absent));
        batch.put_record(&freeze);
    }
    // Who logged out or revoked since the backup is not known here: users sign in again.
    if let Some(mut mark) = store.record::<ClockMarkRecord>(&Key::clock_mark()).await? {
        mark.value.tokens_after = mark.value.tokens_after.max(mark.value.at).max(batch.now);
        batch.require.push((Key::clock_mark(), Require::Version(mark.version)));
        batch.put_record(&mark.value);
    }
    store.commit(batch).await?;
    let grants = end_each(store, KeyKind::Grant, "grants_ended", |grant: &mut GrantRecord, now| {
        let stood = grant.revoked_at.is_none();
        grant.revoked_at.get_or_insert(now);
        stood
    });
    let sessions = end_each(store, KeyKind::Session, "sessions_ended", |session: &mut SessionRecord, now| {
        let stood = session.ended_at.is_none();
        session.ended_at.get_or_insert(now);
        stood
    });
    Ok((grants.await?, sessions.await?))
}

/// End all records of a kind. `end` says whether one had not ended yet.
async fn end_each<R: Record>(
    store: &Store,
    kind: KeyKind,
    said: &'static str,
    end: impl Fn(&mut R, attorn_core::TimeMs) -> bool,
) -> Result<u64, Failure> {
    let (mut after, mut ended) = (None, 0);
    loop {
        let page = store.scan(&KeyPrefix::kind(kind), after.as_ref(), ENDED_AT_ONCE).await?;
        let mut batch = Batch::new(keys::wall_now());
        for (key, found) in &page.items {
            let mut record = R::decode(key, &found.value).map_err(attorn_store::ReadError::from)?;
            if end(&mut record, batch.now) {
                batch.put_record(&record);
            }
        }
        let count = batch.put.len() as u64;
        if count > 0 {
            let members = json!({ "because": "restored", "count": count });
            batch.entries.push(entry::body(batch.now, said, members)?);
            store.commit(batch).await?;
        }
        (after, ended) = (page.next, ended + count);
        if after.is_none() {
            return Ok(ended);
        }
    }
}
