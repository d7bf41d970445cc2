//! `attorn restore`: a data directory out of a backup, which never passes for what it was before.
//!
//! Since the backup was made, things were granted, used and revoked of which it knows nothing. So the log goes on
//! under a new epoch with a new key, whose first entry says where the old one ended in the backup; the entries of that
//! are kept as a file that anybody can verify; grants, sessions, operators' tokens and the key that signs tokens end;
//! and everything is denied until somebody has looked at what may have changed and thaws the server. Nothing here finds
//! out what happened since the backup: the high-water file tells how much it is at least.
//!
//! The old key signs where the log ended in the backup. So its entries are compared before with all that is known to be
//! signed of them: what the high-water file has seen, and the checkpoints in the backup (`crate::published::signed`).
//!
//! What is bad in the backup itself is named. Where a policy needs it, or it has entries of the log, it goes on without
//! only if somebody accepts that.

mod ending;
mod people;
mod reached;
mod strange;

use std::fs::{self, DirBuilder};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use attorn_api::audit::EntryType;
use attorn_identity::{OperatorToken, RootKey};
use attorn_log::{Checkpoint, CheckpointVerifier, Epoch, Origin};
use attorn_store::records::{ClockMarkRecord, EpochEnd, FreezeRecord};
use attorn_store::{
    BackupError, BadNamed, Batch, ImprintError, IntegrityError, Key, OpenError, Require, Store, Walked, is_within,
};
use serde_json::json;

use crate::config::Config;
use crate::epochs::{BadEntries, Ended, EpochError, NextKey, PLAIN, beside, export_path, sync_above, sync_dir};
use crate::high_water::{self, Looked};
use crate::http::failure::{Failure, causes};
use crate::published;
use crate::published::gone;
use crate::published::signed::Compared;
use crate::run::{ServeError, root_key};
use crate::{entry, keys};

pub use attorn_store::BackupEnd;
pub use reached::Reached;

/// Who says in the store that everything is denied.
pub(crate) const BY: &str = "restore";
const REASON: &str = "restored from a backup: look at what may have changed since, then thaw";

/// What was restored.
pub struct Restored {
    /// The log as it goes on.
    pub origin: Origin,
    /// The log as it ended in the backup.
    pub earlier: Origin,
    /// How many entries that had.
    pub entries: u64,
    /// Where the backup ended when it was made, and what came of it.
    pub reached: Reached,
    /// At least so many were lost, as far as the high-water file knows, checkpoints in the backup, or what
    /// the backup says of its end.
    pub lost: Option<u64>,
    /// How many first entries of the earlier log are those that were signed before, as far as the high-water file knows or
    /// checkpoints in the backup; none if nothing shows it of any.
    pub confirmed: Option<u64>,
    /// Why the high-water file says nothing of that, if it is there and does not.
    pub high_water_problem: Option<String>,
    /// Where the entries are that the log had as it ended.
    pub export: PathBuf,
    /// The token that makes the first admin. It is nowhere else.
    pub bootstrap_token: OperatorToken,
    /// What ended.
    pub ended: Counts,
    /// How many keys of users were put back, where there were any to put back.
    pub user_keys: Option<u64>,
    /// How many users there are whose keys are not there, or are none: nothing about them can be read.
    pub users_without_key: u64,
    /// Which files, of the copy and in their place, hold no key that the root key opens, and why.
    pub bad_user_keys: Vec<String>,
    /// Which files with entries of the earlier log or with decision records cannot be read, and why: these entries are
    /// not in its export. What the backup lacks of its end, and what lies in it that is of no epoch, is said there, too.
    pub bad_files: Vec<String>,
    /// Which entries those are.
    pub bad_entries: Vec<Range<u64>>,
    /// Which components, settings and exports of earlier epochs are not what records say, or not there.
    pub bad_named: BadNamed,
}

/// What to do with a backup that lacks components or settings which records name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBlobs {
    /// Restore nothing.
    Refused,
    /// Go on: policies that need them are not loaded, and deny.
    Accepted,
}

/// How many things ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Grants.
    pub grants: u64,
    /// Sessions.
    pub sessions: u64,
    /// Tokens of operators: all that there were.
    pub operator_tokens: u64,
    /// Users who were erased after the backup was made.
    pub users: u64,
}

/// See whether this is a finished backup at all, before anything of it is read.
///
/// # Errors
///
/// When it is none.
pub fn check_is_backup(backup: &Path) -> Result<(), EpochError> {
    Store::check_is_backup(backup).map_err(|error| unusable(&error, causes(&error)))
}

/// Restore a backup to where the configuration says that the data is, and the keys of users from their copy, if there
/// is one. What is half done when this fails is removed; what a restore that was killed has left is named.
///
/// # Errors
///
/// When something is there already, or the backup, the copy or the root key cannot be used.
pub async fn restore(
    config: &Config,
    backup: &Path,
    user_keys: Option<&Path>,
    (bad_blobs, bad_entries): (BadBlobs, BadEntries),
) -> Result<Restored, EpochError> {
    let root = root_key(config)?;
    let config = &crate::epochs::without_links(config)?;
    let target = &config.data_dir;
    let work = beside(target, ".restoring");
    free(target, &work)?;
    apart(target, backup)?;
    let bad_named = Store::check_backup(backup).map_err(|error| unusable(&error, causes(&error)))?;
    let needed: Vec<_> = bad_named.blobs.iter().filter(|bad| bad.is_needed()).cloned().collect();
    if bad_blobs == BadBlobs::Refused && !needed.is_empty() {
        return Err(EpochError::BadBlobs(needed));
    }
    DirBuilder::new().mode(0o700).create(&work).map_err(EpochError::io(&work))?;
    let restored = restore_beside(config, (&root, &work), (backup, bad_entries), user_keys).await;
    if restored.is_err() {
        // That it could not be removed is told by the next restore.
        let _ = fs::remove_dir_all(&work);
    }
    Ok(Restored { bad_named, ..restored? })
}

async fn restore_beside(
    config: &Config,
    (root, work): (&RootKey, &Path),
    (backup, bad_entries): (&Path, BadEntries),
    user_keys: Option<&Path>,
) -> Result<Restored, EpochError> {
    let (io, target, was) = (EpochError::io, &config.data_dir, work.join("was"));
    let (old, walked) = unpack(config, root, (backup, &was)).await?;
    let (unpacked, shown) = (was.display().to_string(), backup.display().to_string());
    bad_entries.allow(&walked.bad_bundles).map_err(|error| error.of_another_place(&unpacked, &shown))?;
    let reached = Reached::of(backup, (&old, &walked))?;
    let signer = keys::log_signer(root, &old).await?;
    let key = signer.verifier();
    let seen = high_water::look(&config.high_water, &old, &key).await?;
    let confirmed = as_signed(&old, (&was, &key), (&seen, &config.high_water))?;
    // What a later epoch left that the backup does not have keeps no name that this one needs.
    let later = published::newest_epoch(backup).map_err(io(backup))?;
    let later = later.filter(|later| *later > key.origin().epoch);
    let mut strange = strange::see_to(backup, (&was, work, target), key.origin().epoch)?;
    strange.extend(unpublished(backup, &was, &old)?);
    let ended = Ended::keep(&old, signer, &was, &walked.bad_bundles)?;
    let earlier = ended.checkpoint.checkpoint().clone();
    // What came after the backup may be that somebody else had the key.
    let ended = if seen.is_later_than(&earlier) || later.is_some() { ended.give_up_key() } else { ended };
    let lost = lost(&seen, &earlier, published::size_of_epoch(&was, &key));
    let origin = Origin::of(&earlier.origin.log_id, next_epoch((earlier.origin.epoch, later), &seen)?);
    // That it could not be written is no fault of the backup.
    let new = old.begin_epoch(work, origin.epoch);
    let new = new.map_err(|error| EpochError::Backup(named(&causes(&error), &was, backup)))?;
    drop(old);
    move_plain(&was, work)?;
    let next = NextKey::generate(origin.clone())?;
    begin(&new, root, (&ended, &next, &reached), (&seen, lost, confirmed)).await?;
    let (counts, bootstrap_token) = ending::end_all(&new, root).await?;
    let users = people::erase_known(&new, config, user_keys).await?;
    let mut bad_user_keys = Vec::new();
    let restored_keys = match user_keys {
        Some(copy) => Some(people::put_keys_back(&new, (config, root), copy, &mut bad_user_keys).await?),
        None => None,
    };
    let users_without_key = people::without_key(&new, (config, root), &mut bad_user_keys).await?;
    drop(new);
    fs::remove_dir_all(&was).map_err(io(&was))?;
    sync_dir(work)?;
    fs::rename(work, target).map_err(io(target))?;
    sync_above(target)?;
    let bad_files = walked.lost_files().into_iter().map(|bad| named(&bad, &was, target));
    Ok(Restored {
        lost: lost.max(reached.entries_lacking()),
        reached,
        confirmed,
        high_water_problem: seen.problem(&earlier),
        export: export_path(target, earlier.origin.epoch),
        entries: earlier.size,
        earlier: earlier.origin,
        ended: Counts { users, ..counts },
        user_keys: restored_keys,
        users_without_key,
        bad_user_keys,
        bad_entries: ended.bad,
        bad_files: bad_files.chain(reached.problem(backup)).chain(strange).collect(),
        bad_named: BadNamed::default(),
        bootstrap_token,
        origin,
    })
}

/// Unpack a backup, and see that all of it is ours.
async fn unpack(config: &Config, root: &RootKey, (backup, was): (&Path, &Path)) -> Result<(Store, Walked), EpochError> {
    // What is unpacked is gone when somebody reads of it.
    let bad = |why: String| EpochError::BadBackup(named(&why, was, backup));
    let old = Store::unpack(backup, was, &keys::ours(root, config)).map_err(|error| match error {
        BackupError::Open(OpenError::Imprint(ImprintError::OtherKey)) => wrong_root_key(config, backup),
        BackupError::Open(OpenError::Imprint(error)) => EpochError::ForeignState(error),
        error => unusable(&error, named(&causes(&error), was, backup)),
    })?;
    let walked = old.walk().await.map_err(|error| match error {
        IntegrityError::Imprint(error) => EpochError::ForeignState(error),
        error => bad(causes(&error)),
    })?;
    if !keys::opened_by(root, &old).await? {
        return Err(wrong_root_key(config, backup));
    }
    Ok((old, walked))
}

fn unusable(error: &BackupError, why: String) -> EpochError {
    if error.is_altered() { EpochError::BadBackup(why) } else { EpochError::Backup(why) }
}

fn wrong_root_key(config: &Config, backup: &Path) -> EpochError {
    ServeError::WrongRootKey { path: config.root_key.clone(), dir: backup.to_owned() }.into()
}

/// What is said of files in one directory, which are in another one now.
fn named(text: &str, was: &Path, now: &Path) -> String {
    text.replace(&*was.to_string_lossy(), &now.to_string_lossy())
}

/// See whether the backup's log is the one that was signed, as far as that is known here: what comes of it is signed
/// once more, and nobody could tell afterwards. How many first entries are comes back; none if nothing is known.
fn as_signed(
    old: &Store,
    (was, key): (&Path, &CheckpointVerifier),
    (seen, high_water): (&Looked, &Path),
) -> Result<Option<u64>, EpochError> {
    let mut compared = Compared::default();
    if let Some(signed) = seen.signed_of(key.origin()) {
        let by = format!("`{}`", high_water.display());
        compared.with(&by, signed, old).map_err(Failure::from)?;
    }
    compared.with_all(was, key, old).map_err(Failure::from)?;
    if compared.contradicting.is_empty() {
        return Ok(compared.confirmed);
    }
    let contradicting = compared.contradicting;
    Err(EpochError::NotAsSigned { what: "the backup's log", contradicting })
}

/// The backup and what is made of it are not one within the other.
fn apart(target: &Path, backup: &Path) -> Result<(), EpochError> {
    for (inner, outer) in [(target, backup), (backup, target)] {
        if is_within(inner, outer).map_err(EpochError::io(inner))? {
            return Err(EpochError::Within { inner: inner.to_owned(), outer: outer.to_owned() });
        }
    }
    Ok(())
}

/// Nothing is there that would be written over.
fn free(target: &Path, work: &Path) -> Result<(), EpochError> {
    let empty = fs::read_dir(target).is_ok_and(|mut files| files.next().is_none());
    for path in [target, work] {
        if path.try_exists().map_err(EpochError::io(path))? && !(empty && path == target) {
            let path = path.to_owned();
            return Err(if path == work { EpochError::Unfinished(path) } else { EpochError::InTheWay(path) });
        }
    }
    Ok(())
}

/// What is said where a server ran and the backup has no checkpoint of it.
fn unpublished(backup: &Path, was: &Path, old: &Store) -> Result<Option<String>, EpochError> {
    let dir = gone::unpublished_in(was, old).map_err(Failure::from)?;
    Ok(dir.map(|dir| {
        let dir = backup.join(dir.strip_prefix(was).unwrap_or(&dir));
        format!(
            "`{}` has no checkpoint: what was published of the log, earlier checkpoints and what witnesses cosigned, is not in the \
             backup; another copy of the same backup may have it",
            dir.display()
        )
    }))
}

/// By how many epochs a directory that nobody has signed may be later than the backup's own.
const LATER_EPOCHS_MAX: u64 = 1 << 16;

/// The next number that no epoch has had which anybody here knows of. The same backup may have been restored before. What the
/// backup has in `log/` of a later one nobody has verified: such a number takes no other away for good.
fn next_epoch((ended, later): (Epoch, Option<Epoch>), seen: &Looked) -> Result<Epoch, EpochError> {
    let last = seen.epoch().map_or(ended, |seen| seen.max(ended));
    if let Some(later) = later.filter(|later| later.0.saturating_sub(last.0) > LATER_EPOCHS_MAX) {
        return Err(EpochError::BadBackup(format!(
            "`log/{later}` in it says that there was an epoch {later}, and the last that is known is {last}: whoever could \
             write there made it up; remove it from the backup, and restore that"
        )));
    }
    let last = later.map_or(last, |later| later.max(last));
    let next = last.0.checked_add(1).map(Epoch);
    next.ok_or_else(|| EpochError::Log(format!("the high-water file has seen epoch {last}, after which there is none")))
}

/// How many entries the backup lacks at least. What was published while it was made may count more entries than its
/// journal has, which was copied before.
fn lost(seen: &Looked, ended: &Checkpoint, published: u64) -> Option<u64> {
    let beyond = published.checked_sub(ended.size).filter(|beyond| *beyond > 0);
    seen.lost(ended).max(beyond)
}

/// Take over the files that stay as they are.
fn move_plain(was: &Path, work: &Path) -> Result<(), EpochError> {
    let io = EpochError::io;
    // `begin_epoch` has made a directory for files, and it is empty.
    let blobs = work.join("blobs");
    fs::remove_dir(&blobs).map_err(io(&blobs))?;
    for part in PLAIN {
        if was.join(part).try_exists().map_err(io(was))? {
            fs::rename(was.join(part), work.join(part)).map_err(io(&was.join(part)))?;
        }
    }
    sync_dir(was)?;
    sync_dir(work)
}

/// Say what happened in the first entry, and deny everything.
async fn begin(
    store: &Store,
    root: &RootKey,
    (ended, next, reached): (&Ended, &NextKey, &Reached),
    (seen, lost, confirmed): (&Looked, Option<u64>, Option<u64>),
) -> Result<(), Failure> {
    let mut batch = Batch::new(keys::wall_now());
    let mut members = ended.begin_next(store, (root, next), EpochEnd::Restored, &mut batch).await?;
    members["lost_at_least"] = json!(lost);
    // Nobody has signed that, so it is apart from what is known to be lost.
    members["backup_size"] = reached.ended.entries.to_string().into();
    members["confirmed_size"] = json!(confirmed.map(|size| size.to_string()));
    members["high_water"] = seen.in_entry();
    members["version"] = env!("CARGO_PKG_VERSION").into();
    batch.entries.push(entry::body(batch.now, EntryType::Restored, members)?);
    if store.get(&Key::freeze()).await?.is_none() {
        let freeze = FreezeRecord { by: BY.parse()?, at: batch.now, reason: Some(REASON.to_owned()) };
        let about = json!({ "operator": BY, "about": { "reason": REASON } });
        batch.entries.push(entry::body(batch.now, EntryType::Frozen, about)?);
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
    Ok(())
}
