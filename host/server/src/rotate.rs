//! `attorn key rotate-log`: a new key signs the audit log, which goes on in a new epoch.
//!
//! It is done while no server runs: the lock of the store says so, and is held until the new directory has taken the
//! old one's place in one step. The old epoch's last entry names the new key, and the new epoch's first entry names
//! where the old one ended, with a note by the old key; so whoever has that can go on. Nothing that was granted ends,
//! and nothing is frozen: the state is the same. Wherever a rotation is cut off, one of both directories stands whole
//! in the place of the data, and the other beside it. Before the log says that its key ended it is tried whether there
//! is room for all that is written after that. Where a rotation ends there all the same, the log's last entry tells,
//! and whoever adds the next one says first that the key was kept. Of the directory of before nothing is deleted but what
//! is known (`before`).
//!
//! Where somebody else may have had the old key, it vouches for nothing any more: then no note is made, and whoever
//! verifies the log has to be given the new key. What was signed by the old one counts up to the checkpoint with which
//! its epoch ended.

mod before;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_api::audit::EntryType;
use attorn_core::TimeMs;
use attorn_identity::RootKey;
use attorn_log::{CheckpointVerifier, Entry, EntryBody, Epoch, Origin, SignedCheckpoint};
use attorn_store::records::EpochEnd;
use attorn_store::{Batch, Store, Walked, is_there};
use rustix::fs::{CWD, FallocateFlags, RenameFlags, fallocate, renameat_with, statvfs};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::config::Config;
use crate::epochs::index::ENTRY_BYTES_MAX;
use crate::epochs::{
    BadEntries, Ended, EpochError, NextKey, PLAIN, beside, export_path, link_all, sync_above, sync_dir, without_links,
};
use crate::http::failure::{Failure, causes};
use crate::published::signed::Compared;
use crate::published::{Published, gone};
use crate::registry::note;
use crate::run::{ServeError, root_key};
use crate::{data, entry, high_water, keys, most_seen};

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
    /// Why the high-water file does not know of it until the server starts, if it could not be written.
    pub high_water_problem: Option<String>,
    /// What stays of the directory of before, if anything does, and why.
    pub old_dir_problem: Option<String>,
    /// Which files with entries of the earlier log or with decision records cannot be read, and why: these entries are
    /// not in its export.
    pub bad_files: Vec<String>,
    /// Which entries those are.
    pub bad_entries: Vec<Range<u64>>,
}

/// What the last entry of an epoch says whose log's key is rotated.
const ENDED: EntryType = EntryType::LogKeyEnded;
/// How many bytes are written beside entries and state, about.
const ROOM_BESIDE: u64 = 32 << 20;

/// What a rotation does, in its order. Tests cut it off after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Linked,
    Ended,
    Kept,
    Begun,
    Exchanged,
    Raised,
}

/// A rotation, as somebody asked for it.
struct Rotation<'a> {
    config: &'a Config,
    because: Because,
    reason: Option<&'a str>,
    bad_entries: BadEntries,
    /// Sees whether there is room for so many bytes in a directory.
    room: &'a (dyn Fn(&Path, u64) -> io::Result<()> + Sync),
    /// Called after each stage.
    after: &'a (dyn Fn(Stage) -> Result<(), EpochError> + Sync),
}

/// Have a new key sign the log of this configuration, whose server does not run.
///
/// # Errors
///
/// When a server runs, the data directory is not the newest or not whole, entries or decision records are bad and that is
/// not accepted, or something cannot be written. Until the last step the log goes on in its old epoch, which may have an
/// entry then that says that it ended.
pub async fn rotate_log_key(
    config: &Config,
    because: Because,
    reason: Option<&str>,
    bad_entries: BadEntries,
) -> Result<Rotated, EpochError> {
    let config = &without_links(config)?;
    Rotation { config, because, reason, bad_entries, room: &room, after: &|_| Ok(()) }.run().await
}

impl Rotation<'_> {
    async fn run(&self) -> Result<Rotated, EpochError> {
        note("reason", self.reason)?;
        let (config, after) = (self.config, self.after);
        let root = root_key(config)?;
        let target = &config.data_dir;
        let work = beside(target, ".rotating");
        if work.try_exists().map_err(EpochError::io(&work))? {
            return Err(EpochError::LeftBehind(work));
        }
        let (old, walked) = open(config, &root).await?;
        let signer = keys::log_signer(&root, &old).await?;
        most_seen::check(config, &old, &signer).await?;
        // What was published and is not of this log, or of more of it, is an error.
        let gone = gone::look(config, &signer.verifier(), &old).map_err(Failure::from)?;
        if let Some(gone) = gone {
            return Err(gone.error().into());
        }
        Published::open(config, &signer.verifier(), &old).map_err(ServeError::from)?;
        self.as_signed(&old, &signer.verifier())?;
        self.bad_entries.allow_without_copies(&walked)?;
        let head = old.log_head().map_err(Failure::from)?;
        let later = head.epoch.0.checked_add(1).ok_or_else(|| EpochError::Log("there is no later epoch".to_owned()))?;
        let kept = export_path(target, head.epoch);
        if is_there(&kept).map_err(EpochError::io(&kept))? {
            return Err(EpochError::InTheWay(kept));
        }
        let next = NextKey::generate(Origin::of(&head.log_id, Epoch(later)))?;
        self.link_plain(&work, &walked, head.size)?;
        after(Stage::Linked)?;
        self.end(&old, &next).await?;
        after(Stage::Ended)?;
        let ended = Ended::keep(&old, signer, &work, &walked.bad_bundles)?;
        after(Stage::Kept)?;
        let newest = self.begin(&old, &work, (&root, &ended, &next)).await?;
        after(Stage::Begun)?;
        // Nobody opens the old directory from here on, nor the new one before it has its place.
        let closed = old.close().map_err(ServeError::from)?;
        exchange(&work, target)?;
        after(Stage::Exchanged)?;
        // From here on the old directory is an older one. Before, the server would not have started with it.
        let raised = high_water::write(&config.high_water, newest.note());
        let high_water_problem = raised.err().map(|error| format!("`{}`: {error}", config.high_water.display()));
        after(Stage::Raised)?;
        let old_dir_problem = before::clear(&work, target);
        drop(closed);
        let checkpoint = ended.checkpoint.checkpoint();
        Ok(Rotated {
            origin: next.verifier().origin().clone(),
            key: next.verifier().clone(),
            earlier: checkpoint.origin.clone(),
            entries: checkpoint.size,
            export: export_path(target, checkpoint.origin.epoch),
            high_water_problem,
            old_dir_problem,
            bad_entries: ended.bad,
            bad_files: walked.lost_files(),
        })
    }

    /// See whether the log continues each checkpoint that is kept of it: what comes of it is signed once more.
    fn as_signed(&self, store: &Store, key: &CheckpointVerifier) -> Result<(), EpochError> {
        let mut compared = Compared::default();
        compared.with_all(&self.config.data_dir, key, store).map_err(Failure::from)?;
        if compared.contradicting.is_empty() {
            return Ok(());
        }
        Err(EpochError::NotAsSigned { what: "the log", contradicting: compared.contradicting })
    }

    /// Give what goes over as it is a second name where the new directory is made, and see that there is room for the
    /// rest. It is done before the log says that its key ended: where it cannot be, such as over the border of a file
    /// system, nothing was changed.
    fn link_plain(&self, work: &Path, walked: &Walked, size: u64) -> Result<(), EpochError> {
        let (io, target) = (EpochError::io, &self.config.data_dir);
        DirBuilder::new().mode(0o700).create(work).map_err(io(work))?;
        let link = |part: &str| {
            let from = target.join(part);
            if from.try_exists().map_err(io(&from))? { link_all(&from, &work.join(part)) } else { Ok(()) }
        };
        // The entries are in the export, whose index has something for each; the state is in the new engine, which takes
        // some room more for it, and in its first base copy.
        let index_bytes = size.saturating_mul(ENTRY_BYTES_MAX);
        let bytes = walked.entry_bytes + index_bytes + 4 * walked.state_bytes + ROOM_BESIDE;
        let no_room = |source| EpochError::NoRoom { dir: work.to_owned(), bytes, source };
        let made = PLAIN.into_iter().try_for_each(link).and_then(|()| (self.room)(work, bytes).map_err(no_room));
        made.inspect_err(|_| {
            // Nothing else is in it. The error is what matters.
            let _ = fs::remove_dir_all(work);
        })
    }

    /// The last entry of the old epoch. What was made anew and is not in the log yet comes before it: nothing but the
    /// old directory tells of it.
    async fn end(&self, store: &Store, next: &NextKey) -> Result<(), EpochError> {
        let because = self.because;
        let mut batch = Batch::new(keys::wall_now());
        batch.entries.extend(kept(store, batch.now)?);
        for remade in store.remade().map_err(ServeError::from)? {
            batch.entries.push(data::remade(store, batch.now, &remade)?);
        }
        store.say_remade(&mut batch).map_err(ServeError::from)?;
        let key = (because == Because::Routine).then(|| next.verifier().to_string());
        let members = json!({
            "next_epoch": next.verifier().origin().epoch.to_string(),
            "next_key": key,
            "compromised": because == Because::Compromised,
            "reason": self.reason,
        });
        batch.entries.push(entry::body(batch.now, ENDED, members)?);
        store.commit(batch).await.map_err(Failure::from)?;
        store.remade_is_said().map_err(ServeError::from)?;
        Ok(())
    }

    /// Make the store in which the log goes on, with its first entry, beside the old one. What its key signed comes
    /// back.
    async fn begin(
        &self,
        old: &Store,
        work: &Path,
        (root, ended, next): (&RootKey, &Ended, &NextKey),
    ) -> Result<SignedCheckpoint, EpochError> {
        let store = old.begin_epoch(work, next.verifier().origin().epoch);
        let store = store.map_err(|error| EpochError::Log(causes(&error)))?;
        let mut batch = Batch::new(keys::wall_now());
        let why = match self.because {
            Because::Routine => EpochEnd::KeyRotated,
            Because::Compromised => EpochEnd::KeyCompromised,
        };
        let mut members = ended.begin_next(&store, (root, next), why, &mut batch).await?;
        members["compromised"] = (self.because == Because::Compromised).into();
        members["reason"] = json!(self.reason);
        members["version"] = env!("CARGO_PKG_VERSION").into();
        batch.entries.push(entry::body(batch.now, EntryType::LogKeyRotated, members)?);
        store.commit(batch).await.map_err(Failure::from)?;
        store.walk().await.map_err(|error| EpochError::Log(causes(&error)))?;
        let newest = next.sign(&store)?;
        drop(store);
        before::carry_over(&self.config.data_dir, work);
        sync_dir(work)?;
        Ok(newest)
    }
}

/// The entry that says that the log's key was kept, where the last one says that it ended: the rotation did not come to
/// its end, or there would be nothing after that in this epoch.
pub(crate) fn kept(store: &Store, now: TimeMs) -> Result<Option<EntryBody>, Failure> {
    let Some(last) = store.log_head()?.size.checked_sub(1) else { return Ok(None) };
    let bytes = store.entry(last)?.ok_or_else(|| Failure::internal(format_args!("the log has no entry {last}")))?;
    let entry = Entry::parse(&bytes).map_err(Failure::internal)?;
    let said: Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
    if said["type"] != ENDED.as_str() {
        return Ok(None);
    }
    tracing::warn!(entry = last, "a rotation of the log's key did not come to its end: the log goes on by the old key");
    let members = json!({ "ended_in_entry": last, "next_epoch": said["next_epoch"], "next_key": said["next_key"] });
    entry::body(now, EntryType::LogKeyKept, members).map(Some)
}

/// See whether so many bytes can be written in a directory. Somebody else may write them a moment later.
fn room(dir: &Path, bytes: u64) -> io::Result<()> {
    let path = dir.join("room");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let got = match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        // Not every file system can.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let free = statvfs(dir)?;
            if free.f_bavail.saturating_mul(free.f_frsize) < bytes { Err(Errno::NOSPC) } else { Ok(()) }
        }
        got => got,
    };
    drop(file);
    fs::remove_file(&path)?;
    Ok(got?)
}

async fn open(config: &Config, root: &RootKey) -> Result<(Store, Walked), EpochError> {
    // Alone: no older base copy goes, which may be all that has what somebody will want to bring back.
    let store = Store::open_alone(&config.data_dir, &keys::ours(root, config))
        .map_err(|error| ServeError::of_store(error, config))?;
    if !keys::opened_by(root, &store).await? {
        let (path, dir) = (config.root_key.clone(), config.data_dir.clone());
        return Err(ServeError::WrongRootKey { path, dir }.into());
    }
    let walked = store.walk().await.map_err(|error| EpochError::Log(causes(&error)))?;
    Ok((store, walked))
}

/// Have both directories take each other's place, in one step.
fn exchange(work: &Path, target: &Path) -> Result<(), EpochError> {
    let exchanged = renameat_with(CWD, work, CWD, target, RenameFlags::EXCHANGE);
    exchanged.map_err(|error| EpochError::io(target)(error.into()))?;
    sync_above(target)
}

#[cfg(test)]
#[path = "rotate_tests.rs"]
mod tests;
