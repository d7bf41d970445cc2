//! The high-water file: the newest checkpoint, kept outside of the data directory.
//!
//! A data directory that was put back to an earlier state looks whole from inside. The file tells: at start the
//! log has to reach at least as far as it says, with the same root, or the server does not serve. It is written as
//! the log grows, each second at most. Whoever can write both the file and the data directory is not found out by
//! it; for that there are checkpoints with others.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use attorn_log::{CheckpointSigner, Origin, SignedCheckpoint};
use attorn_store::{Seen, Store};
use tokio::sync::oneshot;

use crate::app::App;
use crate::http::failure::Failure;
use crate::private_file;
use crate::run::ServeError;

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
            Self::Behind { .. } | Self::Forked { .. } => {
                "put the right data directory back; if there is none, `attorn backup` this one, move it away, and \
                 `attorn restore` the backup, which ends all grants and sessions and begins a new epoch of the log"
            }
        }
    }
}

/// See whether the store's log is at least where the file says that it was. No file says nothing.
pub(crate) fn check(path: &Path, store: &Store, signer: &CheckpointSigner) -> Result<(), ServeError> {
    let Some(note) = read(path)? else {
        tracing::warn!(path = %path.display(), "there is no high-water file: an older data directory would not be seen");
        return Ok(());
    };
    let unverified =
        |why: &dyn std::fmt::Display| HighWaterError::Unverified { path: path.into(), why: why.to_string() };
    let origin = note.lines().next().unwrap_or_default().parse::<Origin>().map_err(|error| unverified(&error))?;
    let head = store.log_head().map_err(Failure::from)?;
    let found = Origin::of(&head.log_id, head.epoch);
    if origin.log_id != head.log_id {
        return Err(unverified(&format_args!("it is of `{origin}`")).into());
    }
    let seen = signer.verifier_of(origin.epoch).verify(note.as_bytes()).map_err(|error| unverified(&error))?;
    let seen_size = seen.checkpoint().size;
    if origin.epoch < head.epoch {
        // The log has begun anew since, and who let it do so knew of this.
        return Ok(());
    }
    if origin.epoch > head.epoch || seen_size > head.size {
        let size = head.size;
        return Err(HighWaterError::Behind { path: path.into(), found, size, seen: origin, seen_size }.into());
    }
    if store.root(seen_size).map_err(Failure::from)? != seen.checkpoint().root {
        return Err(HighWaterError::Forked { path: path.into(), found, seen_size }.into());
    }
    Ok(())
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

/// What it says, unchecked: the key that checks it is in the store. It is for what may only be refused because of it.
pub(crate) fn seen(path: &Path) -> Option<Seen> {
    let note = read(path).ok()??;
    let mut lines = note.lines();
    let origin = lines.next()?.parse::<Origin>().ok()?;
    Some(Seen { epoch: origin.epoch, size: lines.next()?.parse().ok()? })
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
fn write(path: &Path, note: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
