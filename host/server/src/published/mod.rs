//! The audit log as it is published (C2SP): a checkpoint that is signed and on disk each second while there is
//! something new, its tiles, and the cosignatures of witnesses.
//!
//! Of two checkpoints the later counts more entries: one is signed only over what is durable, and shown only once it
//! is on disk itself. At start the newest must still be of the log as it is, or the server does not start.
//!
//! An entry is *checkpointed* when a checkpoint on disk counts it, and *witnessed* when one does that enough
//! witnesses have cosigned. Neither is waited for unless somebody asks: an answer is durable without.

mod aside;
pub(crate) mod damage;
pub(crate) mod earlier;
mod error;
mod files;
pub(crate) mod gone;
pub(crate) mod mend;
pub(crate) mod offline;
mod public_reads;
pub(crate) mod routes;
mod segments;
pub(crate) mod signed;
pub(crate) mod witnesses;

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_log::segments::{SEGMENTS, segment_name};
use attorn_log::{CheckpointVerifier, Epoch, Origin, SignedCheckpoint, WitnessPolicy};
use attorn_store::{Store, open_regular};
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::config::Config;
use crate::http::failure::{Failure, causes};
pub use error::PublishedError;
use files::Kept;
use gone::Gone;
use public_reads::PublicReads;
use segments::Segments;

/// How often a checkpoint is signed, if there is something new.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long an answer may wait to be checkpointed or witnessed.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Where the checkpoints are, within the data directory: one directory for each epoch.
fn directory(data_dir: &Path, verifier: &CheckpointVerifier) -> PathBuf {
    published_in(data_dir, verifier.origin().epoch)
}

/// The same of an epoch.
pub(crate) fn published_in(data_dir: &Path, epoch: Epoch) -> PathBuf {
    data_dir.join("log").join(epoch.to_string())
}

/// How many entries the checkpoints in the directory of this epoch count, if there are any. Nobody has verified them; of a
/// history alone, and of what cannot be read, it is known that there is one.
pub(crate) fn said_in(data_dir: &Path, epoch: Epoch) -> Option<u64> {
    let dir = published_in(data_dir, epoch);
    let said = |name: &str| {
        let bytes = match files::bytes(&dir, name, SignedCheckpoint::NOTE_BYTES_MAX) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => None,
            Err(_) => return Some(0),
            Ok(bytes) => bytes,
        }?;
        let mut lines = std::str::from_utf8(&bytes).ok()?.lines();
        let is_of_it = lines.next()?.parse::<Origin>().is_ok_and(|said| said.epoch == epoch);
        if is_of_it { lines.next()?.parse::<u64>().ok() } else { None }
    };
    let has_history = || match dir.join(SEGMENTS).read_dir() {
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        Ok(mut all) => all.next().is_some(),
    };
    said(files::NEWEST).max(said(files::WITNESSED)).or_else(|| has_history().then_some(0))
}

/// The epochs in `log/` of which something was signed, the newest first. Whoever may write there makes as many directories as
/// they like. Where there is no `log/` there are none; one that cannot be read may have any.
pub(crate) fn epochs_in(data_dir: &Path) -> io::Result<impl Iterator<Item = Epoch> + use<'_>> {
    let dir = data_dir.join("log");
    let unread = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", dir.display()));
    let mut epochs: Vec<Epoch> = Vec::new();
    match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        entries => {
            for entry in entries.map_err(unread)? {
                epochs.extend(entry.map_err(unread)?.file_name().to_str().and_then(|name| name.parse::<Epoch>().ok()));
            }
        }
    }
    epochs.sort_unstable();
    Ok(epochs.into_iter().rev().filter(move |epoch| said_in(data_dir, *epoch).is_some()))
}

/// The newest of them.
pub(crate) fn newest_epoch(data_dir: &Path) -> io::Result<Option<Epoch>> {
    Ok(epochs_in(data_dir)?.next())
}

/// The newest checkpoint of an epoch that enough witnesses cosigned, if there is one.
pub(crate) fn witnessed_of(data_dir: &Path, verifier: &CheckpointVerifier) -> Result<Option<SignedCheckpoint>, String> {
    files::witnessed(&directory(data_dir, verifier), verifier)
}

/// How many entries an epoch had when it was last published, of those files that can be read.
pub(crate) fn size_of_epoch(data_dir: &Path, verifier: &CheckpointVerifier) -> u64 {
    let dir = directory(data_dir, verifier);
    let found = [files::newest(&dir, verifier), files::witnessed(&dir, verifier)];
    let of = |found: Result<Option<SignedCheckpoint>, String>| {
        let why = |why: &String| tracing::warn!(dir = %dir.display(), why, "a checkpoint cannot be used");
        found.inspect_err(why).ok().flatten().map_or(0, |one| one.checkpoint().size)
    };
    found.into_iter().map(of).max().unwrap_or(0)
}

/// What is published of the log.
pub(crate) struct Published {
    dir: PathBuf,
    segments: Arc<Lock<Segments>>,
    heads: watch::Sender<Heads>,
    /// Held while a checkpoint is signed and written.
    writing: Mutex<()>,
    /// None if there are no witnesses.
    policy: Option<WitnessPolicy>,
    /// How many of them are enough.
    quorum: usize,
    /// Who cosigned what was asked of them last.
    cosigned_last: Lock<Vec<String>>,
    public_reads: PublicReads,
    /// What was there before, and was not at this start.
    gone: Option<Gone>,
    /// Whether its history of earlier checkpoints was gone at this start.
    history_gone: bool,
}

/// The newest checkpoints.
#[derive(Debug, Clone, Default)]
struct Heads {
    newest: Option<Arc<SignedCheckpoint>>,
    witnessed: Option<Arc<SignedCheckpoint>>,
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A checkpoint on disk counts the entry.
    Checkpointed,
    /// One does that enough witnesses cosigned.
    Witnessed,
}

impl FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "checkpointed" => Ok(Self::Checkpointed),
            "witnessed" => Ok(Self::Witnessed),
            _ => Err("it is neither `checkpointed` nor `witnessed`"),
        }
    }
}

impl Heads {
    fn of(&self, wait: Wait) -> Option<&Arc<SignedCheckpoint>> {
        match wait {
            Wait::Checkpointed => self.newest.as_ref(),
            Wait::Witnessed => self.witnessed.as_ref(),
        }
    }
}

fn size_of(checkpoint: Option<&Arc<SignedCheckpoint>>) -> Option<u64> {
    checkpoint.map(|checkpoint| checkpoint.checkpoint().size)
}

impl Published {
    /// Read what was published before, and compare it with the log. Nothing is bundled before something is signed:
    /// whoever only looks has no thread of the store write among these files.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is of another log than this, or of one that was longer.
    pub(crate) fn open(config: &Config, verifier: &CheckpointVerifier, store: &Store) -> Result<Self, PublishedError> {
        let dir = directory(&config.data_dir, verifier);
        let unseen = |why: String| PublishedError::Unseen { dir: dir.clone(), why };
        let gone = gone::look(config, verifier, store).map_err(|error| unseen(causes(&error)))?;
        let gone = gone.map(|gone| gone.bring_back(store)).transpose();
        let gone = gone.map_err(|error| PublishedError::NotBroughtBack(causes(&error)))?;
        let kept = Kept::open(&dir, verifier).map_err(|why| PublishedError::Damaged { dir: dir.clone(), why })?;
        for checkpoint in kept.newest.iter().chain(&kept.witnessed) {
            let contradicts = |why| PublishedError::Contradicts { dir: dir.clone(), why };
            continued(checkpoint, store).map_err(contradicts)?;
        }
        if kept.history_gone {
            tracing::error!(dir = %dir.display(), "the history of earlier checkpoints is gone, and was begun anew");
        }
        let heads = Heads { newest: kept.newest.map(Arc::new), witnessed: kept.witnessed.map(Arc::new) };
        let policy = config.witnesses.policy();
        let (heads, segments) = (watch::Sender::new(heads), Arc::new(Lock::new(kept.segments)));
        Ok(Self {
            dir,
            segments,
            heads,
            writing: Mutex::default(),
            policy,
            quorum: config.witnesses.quorum,
            cosigned_last: Lock::default(),
            public_reads: PublicReads::new(),
            gone,
            history_gone: kept.history_gone,
        })
    }

    /// What the log says of a history that was gone when this was opened.
    pub(crate) fn history_gone(&self, epoch: Epoch) -> Option<Value> {
        self.history_gone.then(|| gone::history_members(epoch))
    }

    /// What was there before, and was gone when this was opened.
    pub(crate) const fn gone(&self) -> Option<&Gone> {
        self.gone.as_ref()
    }

    /// The newest checkpoint; with the cosignatures of witnesses, if they have come.
    pub(crate) fn newest(&self) -> Option<Arc<SignedCheckpoint>> {
        let heads = self.heads.borrow();
        let witnessed =
            size_of(heads.witnessed.as_ref()).is_some_and(|size| Some(size) == size_of(heads.newest.as_ref()));
        if witnessed { heads.witnessed.clone() } else { heads.newest.clone() }
    }

    /// What the world is shown: with witnesses, the newest that enough of them cosigned.
    pub(crate) fn shown(&self) -> Option<Arc<SignedCheckpoint>> {
        let wait = if self.policy.is_some() { Wait::Witnessed } else { Wait::Checkpointed };
        self.heads.borrow().of(wait).cloned()
    }

    /// How many entries are checkpointed.
    pub(crate) fn size(&self) -> u64 {
        size_of(self.heads.borrow().newest.as_ref()).unwrap_or(0)
    }

    /// How many entries are witnessed; none if there are no witnesses.
    pub(crate) fn witnessed_size(&self) -> Option<u64> {
        self.policy.as_ref().map(|_| size_of(self.heads.borrow().witnessed.as_ref()).unwrap_or(0))
    }

    /// Whether this can be waited for.
    pub(crate) fn check(&self, wait: Option<Wait>) -> Result<Option<Wait>, Failure> {
        if wait == Some(Wait::Witnessed) && self.policy.is_none() {
            return Err(Failure::of(ProblemCode::InvalidQuery, "`wait`: no witnesses are configured")
                .with_help("name some in attorn.toml (`[[witness]]`), or wait for `checkpointed`"));
        }
        Ok(wait)
    }

    /// Wait until so many entries are checkpointed or witnessed, and give the checkpoint that says so.
    pub(crate) async fn reached(&self, size: u64, wait: Wait) -> Result<Arc<SignedCheckpoint>, Failure> {
        let mut heads = self.heads.subscribe();
        let there = heads.wait_for(|heads| size_of(heads.of(wait)).is_some_and(|reached| reached >= size));
        match tokio::time::timeout(WAIT_MAX, there).await {
            Ok(Ok(heads)) => heads.of(wait).cloned().ok_or_else(|| Failure::internal("a head that was there is gone")),
            // The sender lives as long as this does.
            Ok(Err(error)) => Err(Failure::internal(error)),
            Err(_) => Err(self.not_reached(wait)),
        }
    }

    /// What is said when nothing came in time. What was asked for is recorded all the same.
    fn not_reached(&self, wait: Wait) -> Failure {
        let within = WAIT_MAX.as_secs();
        let (detail, help) = match wait {
            Wait::Checkpointed => (
                format!("it was not checkpointed within {within} s"),
                "ask again; if it stays so, the server's log says why no checkpoint can be written",
            ),
            Wait::Witnessed => (
                format!("it was not witnessed within {within} s: {}", self.cosigned()),
                "ask again, or wait for `checkpointed`; if it stays so, the server's log says why each witness did not \
                 cosign",
            ),
        };
        Failure::of(ProblemCode::Timeout, detail).with_help(help)
    }

    /// How many cosignatures are needed, and how many came.
    fn cosigned(&self) -> String {
        let by = self.cosigned_last.lock().unwrap_or_else(PoisonError::into_inner);
        let (needed, came) = (self.quorum, by.len());
        let of = if needed == 1 { "1 cosignature is".to_owned() } else { format!("{needed} cosignatures are") };
        let names = if by.is_empty() { String::new() } else { format!(", by `{}`", by.join("`, `")) };
        format!("{of} needed (`witness_quorum`), and the last time {came} came{names}")
    }

    /// Have a checkpoint on disk before the log says that a server started: where there is none then, it is gone. What is
    /// gone already is said first.
    pub(crate) async fn begin(&self, app: &App) -> Result<(), Failure> {
        if self.newest().is_none() && self.gone.is_none() {
            self.advance(app).await?;
        }
        Ok(())
    }

    /// Sign and keep a checkpoint of all that is durable now, if the newest is not that already.
    pub(crate) async fn advance(&self, app: &App) -> Result<Arc<SignedCheckpoint>, Failure> {
        let _writing = self.writing.lock().await;
        let size = app.store.log_head()?.size;
        if let Some(newest) = self.newest().filter(|newest| newest.checkpoint().size >= size) {
            return Ok(newest);
        }
        let checkpoint = Arc::new(app.log_signer.sign(size, app.store.root(size)?));
        let (dir, segments) = (self.dir.clone(), Arc::clone(&self.segments));
        let (due, before) = (Arc::clone(&checkpoint), self.size());
        blocking(move || files::put_newest(&dir, &mut held(&segments), &due, before)).await?;
        self.heads.send_modify(|heads| heads.newest = Some(Arc::clone(&checkpoint)));
        app.store.bundle_through(size);
        Ok(checkpoint)
    }

    /// Keep and show a checkpoint that enough witnesses cosigned.
    async fn witnessed(&self, checkpoint: SignedCheckpoint) -> Result<(), Failure> {
        let checkpoint = Arc::new(checkpoint);
        let (dir, segments, due) = (self.dir.clone(), Arc::clone(&self.segments), Arc::clone(&checkpoint));
        blocking(move || files::put_witnessed(&dir, &mut held(&segments), &due)).await?;
        self.heads.send_modify(|heads| heads.witnessed = Some(checkpoint));
        Ok(())
    }

    /// What may be read of a segment of the history; none if there is no such segment. It waits while the history is
    /// written.
    fn segment(&self, segment: u64) -> io::Result<Option<io::Take<File>>> {
        let Some(bytes) = held(&self.segments).readable_bytes(segment) else { return Ok(None) };
        Ok(Some(open_regular(&self.dir.join(segment_name(segment)))?.take(bytes)))
    }
}

fn held(segments: &Lock<Segments>) -> MutexGuard<'_, Segments> {
    // It says where the file ends also if a write of it panicked.
    segments.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<(), Failure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Failure::internal)?;
    done.map_err(|error| Failure::internal(format_args!("a checkpoint cannot be written: {error}")))
}

/// Whether the log is still the one that a checkpoint was signed over.
fn continued(checkpoint: &SignedCheckpoint, store: &Store) -> Result<(), String> {
    let (signed, failed) = (checkpoint.checkpoint(), |error: attorn_store::ReadError| error.to_string());
    let size = store.log_head().map_err(failed)?.size;
    if signed.size > size {
        return Err(format!(
            "one counts {} entries, and the log has {size}: entries are lost, or the store is an older copy",
            signed.size
        ));
    }
    if store.root(signed.size).map_err(failed)? != signed.root {
        return Err(format!("one signs other {} first entries than the log has: the log was changed", signed.size));
    }
    Ok(())
}

/// Sign a checkpoint each second while there is something new. What cannot be written is tried again.
pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(failure) = app.published.advance(&app).await {
            tracing::error!(why = failure.internal, "cannot publish a checkpoint");
        }
    }
}
