//! The high-water file: the newest checkpoint, kept outside of the data directory.
//!
//! A data directory that was put back to an earlier state looks whole from inside. The file tells: at start the
//! log has to reach at least as far as it says, with the same root, or the server does not serve. It is written as
//! the log grows, each second at most. Whoever can write both the file and the data directory is not found out by
//! it; for that there are checkpoints with others.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use attorn_log::{Checkpoint, CheckpointSigner, CheckpointVerifier, Epoch, Origin, SignedCheckpoint};
use attorn_store::records::EpochEnd;
use attorn_store::{FIRST_EPOCH, Seen, Store, create_beside};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::app::App;
use crate::epochs;
use crate::http::failure::Failure;
use crate::private_file;
use crate::published::gone;
use crate::run::ServeError;

/// What comes of a later epoch of which a backup knows nothing.
const WITHHELD: &str = "; so the old key names no other, and whoever verifies the log has to be given the new one";

/// How often it is looked whether the log has grown.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the high-water file says against the data directory.
#[derive(Debug, thiserror::Error)]
pub enum HighWaterError {
    /// It cannot be read.
    #[error("`{}` cannot be read: {why}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It holds no checkpoint that this log's key has signed.
    #[error("`{}` holds no checkpoint of this log: {why}", path.display())]
    Unverified {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The log is shorter than it was.
    #[error("the log `{found}` ends before entry {size}, and `{}` has seen `{seen}` with {seen_size} entries", path.display())]
    Behind {
        /// Which file.
        path: PathBuf,
        /// Which epoch the data directory has.
        found: Origin,
        /// How many entries that has.
        size: u64,
        /// Which epoch the file has seen.
        seen: Origin,
        /// With how many entries.
        seen_size: u64,
    },
    /// The log has gone on in an epoch of which the store knows nothing.
    #[error("the log `{found}` is the last that the store knows, and `{}` has a checkpoint of `{seen}`", path.display())]
    LaterEpoch {
        /// Which directory.
        path: PathBuf,
        /// Which epoch the data directory has.
        found: Origin,
        /// Of which the checkpoint is.
        seen: Origin,
    },
    /// The log has other entries than it had.
    #[error("the first {seen_size} entries of the log `{found}` are not those that `{}` has seen", path.display())]
    Forked {
        /// Which file.
        path: PathBuf,
        /// Which log.
        found: Origin,
        /// How many entries it has seen.
        seen_size: u64,
    },
}

impl HighWaterError {
    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Unverified { .. } => {
                "`high_water` in attorn.toml names it; if it is of another server, name another file; if it was \
                 damaged, move it away, and nothing tells any more whether the data directory is an older one"
            }
            Self::Forked { .. } => {
                "somebody rewrote entries that were signed, or two copies of this data directory went on apart; keep it \
                 and that file, they are evidence. Put the right data directory back, or move this one away and `attorn \
                 restore` a backup whose log has the entries that were signed: it compares them, and takes no backup of \
                 this directory. If there is none, this log has no way on, and `attorn init` begins another"
            }
            Self::LaterEpoch { .. } => {
                "the store is older than that: put the right data directory back; if there is none, `attorn backup` this one, \
                 move it away, and `attorn restore` the backup. If somebody made that directory up, move it away"
            }
            Self::Behind { .. } => {
                "put the right data directory back; if there is none, `attorn backup` this one, move it away, and \
                 `attorn restore` the backup, which ends all grants and sessions, all tokens of operators and the key \
                 that signs tokens, and begins a new epoch of the log"
            }
        }
    }
}

/// See whether the store's log is at least where the file says that it was. No file says nothing.
pub(crate) async fn check(path: &Path, store: &Store, signer: &CheckpointSigner) -> Result<(), ServeError> {
    let Some(note) = read(path)? else {
        // Before the first start there can be none.
        let is_first = store.log_head().map_err(Failure::from)?.epoch == FIRST_EPOCH;
        if !is_first || gone::has_served(store).map_err(Failure::from)? {
            tracing::warn!(path = %path.display(), "there is no high-water file: an older data directory would not be seen");
        }
        return Ok(());
    };
    let unverified = |why: &dyn fmt::Display| HighWaterError::Unverified { path: path.into(), why: why.to_string() };
    let origin = origin_of(&note).map_err(|why| unverified(&why))?;
    let head = store.log_head().map_err(Failure::from)?;
    let found = Origin::of(&head.log_id, head.epoch);
    if origin.log_id != head.log_id {
        return Err(unverified(&format_args!("it is of `{origin}`")).into());
    }
    if origin.epoch > head.epoch {
        // By a key that is not here, unless this is an older copy of the very directory.
        let (size, seen_size) = (head.size, size_said(&note).unwrap_or(0));
        return Err(HighWaterError::Behind { path: path.into(), found, size, seen: origin, seen_size }.into());
    }
    if origin.epoch < head.epoch {
        return earlier(path, store, (&note, origin)).await;
    }
    let seen = signer.verifier().verify(note.as_bytes()).map_err(|error| unverified(&error))?;
    let seen_size = seen.checkpoint().size;
    if seen_size > head.size {
        let size = head.size;
        return Err(HighWaterError::Behind { path: path.into(), found, size, seen: origin, seen_size }.into());
    }
    if store.root(seen_size).map_err(Failure::from)? != seen.checkpoint().root {
        return Err(HighWaterError::Forked { path: path.into(), found, seen_size }.into());
    }
    Ok(())
}

/// The file is of an epoch before this one. Where that ended because its key was rotated, nothing was lost, and the
/// file has seen no more of it; where a backup was restored, whoever did it was told how much more.
async fn earlier(path: &Path, store: &Store, (note, origin): (&str, Origin)) -> Result<(), ServeError> {
    let unverified = |why: &dyn fmt::Display| HighWaterError::Unverified { path: path.into(), why: why.to_string() };
    let Some(known) = epochs::earlier(store, origin.epoch).await? else {
        // An epoch that this directory never had, and whose number it left out when it was restored.
        tracing::warn!(%origin, "the high-water file is of an epoch that was given up by a restore");
        return Ok(());
    };
    let seen = known.key.verify(note.as_bytes()).map_err(|error| unverified(&error))?;
    let ended = known.key.verify(known.checkpoint.as_bytes()).map_err(Failure::internal)?;
    let (seen_size, size) = (seen.checkpoint().size, ended.checkpoint().size);
    if known.ended != EpochEnd::Restored && seen_size > size {
        return Err(
            HighWaterError::Behind { path: path.into(), found: origin.clone(), size, seen: origin, seen_size }.into()
        );
    }
    Ok(())
}

/// What the file has seen of a log that is to be restored.
pub(crate) enum Looked {
    /// There is none.
    Nothing,
    /// It cannot be used, and why.
    Unusable(String),
    /// A checkpoint; what is signed, if it was by a key that the backup knows.
    Checkpoint { origin: Origin, size: u64, signed: Option<Checkpoint> },
}

/// Look at the file, for what it is worth to whoever restores a backup.
pub(crate) async fn look(path: &Path, store: &Store, verifier: &CheckpointVerifier) -> Result<Looked, Failure> {
    let note = match read(path) {
        Ok(Some(note)) => note,
        Ok(None) => return Ok(Looked::Nothing),
        Err(error) => return Ok(Looked::Unusable(error.to_string())),
    };
    let (origin, size) = match origin_of(&note).and_then(|origin| Ok((origin, size_said(&note)?))) {
        Ok(read) => read,
        Err(why) => return Ok(Looked::Unusable(why)),
    };
    if origin.log_id != verifier.origin().log_id {
        return Ok(Looked::Unusable(format!("it is of another log, `{origin}`")));
    }
    let key = if origin == *verifier.origin() {
        Some(verifier.clone())
    } else {
        epochs::earlier(store, origin.epoch).await?.map(|known| known.key)
    };
    match key.map(|key| key.verify(note.as_bytes())) {
        Some(Err(error)) => Ok(Looked::Unusable(error.to_string())),
        Some(Ok(signed)) => Ok(Looked::Checkpoint { origin, size, signed: Some(signed.checkpoint().clone()) }),
        None => Ok(Looked::Checkpoint { origin, size, signed: None }),
    }
}

impl Looked {
    /// What it has seen of this epoch, if the epoch's key signed it.
    pub(crate) fn signed_of(&self, origin: &Origin) -> Option<&Checkpoint> {
        match self {
            Self::Checkpoint { signed, .. } => signed.as_ref().filter(|signed| signed.origin == *origin),
            Self::Nothing | Self::Unusable(_) => None,
        }
    }

    /// The last epoch that it has seen. That nobody can verify it costs no more than a number.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Checkpoint { origin, .. } => Some(origin.epoch),
            Self::Nothing | Self::Unusable(_) => None,
        }
    }

    /// Whether it has seen a later epoch than the one that ends, and one of which the backup knows nothing.
    pub(crate) fn is_later_than(&self, ended: &Checkpoint) -> bool {
        matches!(self, Self::Checkpoint { origin, signed: None, .. } if origin.epoch > ended.origin.epoch)
    }

    /// How many entries the backup lacks at least.
    pub(crate) fn lost(&self, ended: &Checkpoint) -> Option<u64> {
        match self {
            Self::Checkpoint { origin, size, signed: Some(_) } if *origin == ended.origin => {
                Some(size.saturating_sub(ended.size))
            }
            Self::Checkpoint { signed: Some(_), .. } => Some(0),
            Self::Checkpoint { .. } | Self::Nothing | Self::Unusable(_) => None,
        }
    }

    /// Why it does not tell that.
    pub(crate) fn problem(&self, ended: &Checkpoint) -> Option<String> {
        match self {
            Self::Unusable(why) => Some(why.clone()),
            Self::Checkpoint { origin, size, signed: None } => Some(format!(
                "it has seen `{origin}` with {size} entries, under a key that this backup of `{}` does not have: the \
                 backup was restored before, or the log's key was rotated since, and what happened after that is not \
                 in it{}",
                ended.origin,
                if self.is_later_than(ended) { WITHHELD } else { "" },
            )),
            Self::Checkpoint { .. } | Self::Nothing => None,
        }
    }

    /// What the first entry says of it.
    pub(crate) fn in_entry(&self) -> Value {
        match self {
            Self::Nothing => json!("none"),
            Self::Unusable(_) => json!("unusable"),
            Self::Checkpoint { origin, size, signed } => {
                json!({ "origin": origin.to_string(), "size": size.to_string(), "verified": signed.is_some() })
            }
        }
    }
}

/// Whose checkpoint a note says that it is.
fn origin_of(note: &str) -> Result<Origin, String> {
    note.lines().next().unwrap_or_default().parse().map_err(|error: attorn_core::ParseError| error.to_string())
}

/// How many entries the checkpoint counts that it has seen of this very epoch, if it is by its key.
pub(crate) fn size_of(path: &Path, verifier: &CheckpointVerifier) -> Option<u64> {
    let note = read(path).ok()??;
    Some(verifier.verify(note.as_bytes()).ok()?.checkpoint().size)
}

/// How many entries it says that there are.
fn size_said(note: &str) -> Result<u64, String> {
    let size = note.lines().nth(1).and_then(|line| line.parse().ok());
    size.ok_or_else(|| "it does not say how many entries there are".to_owned())
}

/// The last checkpoint that was written there, unchecked.
pub(crate) fn read(path: &Path) -> Result<Option<String>, HighWaterError> {
    let fail = |why: String| HighWaterError::Read { path: path.into(), why };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|error| fail(error.to_string()))?,
    };
    let bytes = private_file::read_public(path, SignedCheckpoint::NOTE_BYTES_MAX as u64).map_err(fail)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| fail(error.to_string()))?;
    Ok(Some(text.to_owned()))
}

/// Write it before anything is served, so that it has seen the epoch of whatever somebody gets to see.
pub(crate) async fn begin(app: &App) {
    if let Err(why) = raise(app, 0).await {
        tracing::error!(why, "cannot write the high-water file");
    }
}

/// What it says, unchecked: the key that checks it is in the store. It is for what may only be refused because of it.
/// That it cannot be read says nothing, and not that nothing was seen.
pub(crate) fn seen(path: &Path) -> Result<Option<Seen>, HighWaterError> {
    let Some(note) = read(path)? else { return Ok(None) };
    let mut lines = note.lines();
    let mut said = || {
        let origin = lines.next()?.parse::<Origin>().ok()?;
        Some(Seen { epoch: origin.epoch, size: lines.next()?.parse().ok()? })
    };
    Ok(said())
}

/// Write it until the server stops, and then once more. Nobody else writes it.
pub(crate) async fn run(app: Arc<App>, mut stopped: oneshot::Receiver<()>) {
    let (mut written, mut stop) = (0, false);
    loop {
        match raise(&app, written).await {
            Ok(size) => written = size,
            Err(why) => tracing::error!(why, "cannot write the high-water file"),
        }
        if stop {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = &mut stopped => stop = true,
        }
    }
}

/// Write a checkpoint of all that is durable, if that is more than was written. How much was written comes back.
async fn raise(app: &App, written: u64) -> Result<u64, String> {
    let head = app.store.log_head().map_err(|error| error.to_string())?;
    if head.size == written {
        return Ok(written);
    }
    let root = app.store.root(head.size).map_err(|error| error.to_string())?;
    let note = app.log_signer.sign(head.size, root).note().to_owned();
    let path = app.config.high_water.clone();
    let done = tokio::task::spawn_blocking(move || write(&path, &note)).await;
    done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(head.size)
}

/// Replace the file. It is there before or after, and never in part.
pub(crate) fn write(path: &Path, note: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = create_beside(&new)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
