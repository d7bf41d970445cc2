//! From which epochs a log comes: for whoever kept a key or a checkpoint of an earlier one.
//!
//! The first entry of an epoch names where the one before it ended, and bears the note by which the old key named the
//! new one. From the log as it is this goes back, epoch by epoch, over the exports that were kept; and then forward
//! again, from the key that is trusted to the one that signs now. What was seen of an earlier epoch has to be the begin
//! of what is kept of it: otherwise entries are gone that somebody has seen.
//!
//! Anybody can go on from a copy of a log under a key of their own, and no checkpoint tells. So a key that was given up,
//! and names no other, leads nowhere.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};

use attorn_api::ProblemCode;
use attorn_api::audit::{LogEpoch, LogEpochList};
use attorn_log::tiles::Bundle;
use attorn_log::{
    CheckpointVerifier, Checks, Entry, Epoch, ExportReader, Origin, PublishedFiles, Succession, Tile, TileKind,
    verify_export_with,
};
use data_encoding::BASE64;
use serde_json::Value;

use super::super::ceiling::Ceiling;
use super::open_export;
use super::remembered::Anchor;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// How many epochs are gone back over.
pub(super) const EPOCHS_MAX: usize = 1_000;

/// What to do where no key that is known leads to the one that signs now.
const KEY_HELP: &str = "ask whoever runs the server for the new key, by another way than this connection, and give it \
                        with `--key`";

/// Where exports of earlier epochs are.
pub(super) enum Exports<'a> {
    /// The server has them; they are downloaded into this directory.
    Server(&'a OperatorClient, &'a Path),
    /// A directory that was exported has them.
    Directory(PathBuf),
    /// A data directory has them, and its store has recorded which there were.
    Store(PathBuf, Vec<LogEpoch>),
    /// They stand beside an export in this directory.
    Beside(PathBuf),
}

impl Exports<'_> {
    async fn of(&self, epoch: Epoch) -> Result<PathBuf, Failure> {
        match self {
            Self::Directory(data) | Self::Store(data, _) => Ok(data.join("epochs").join(format!("{epoch}.export"))),
            Self::Beside(directory) => Ok(directory.join(format!("{epoch}.export"))),
            Self::Server(client, home) => {
                let path = home.join(format!("{epoch}.export"));
                if !path.exists() {
                    let mut file = File::create_new(&path).map_err(|error| Failure::new_file(&path, &error))?;
                    client.download(&format!("/v1/audit/epochs/{epoch}/export"), &mut Ceiling::over(&mut file)).await?;
                }
                Ok(path)
            }
        }
    }

    /// The export of an epoch; none if it is not kept.
    pub(super) async fn find(&self, epoch: Epoch) -> Result<Option<PathBuf>, Failure> {
        match self.of(epoch).await {
            Err(failure) if failure.code == Some(ProblemCode::NotFound) => {
                // What was begun of it is nothing.
                if let Self::Server(_, home) = self {
                    let _ = fs::remove_file(home.join(format!("{epoch}.export")));
                }
                Ok(None)
            }
            path => {
                let path = path?;
                // A link that leads nowhere is there, too, and is no export.
                match fs::symlink_metadata(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    found => found.map(|_| Some(path.clone())).map_err(|error| Failure::file("read", &path, &error)),
                }
            }
        }
    }

    /// The epochs before this one that may be kept, the last first, each with what is recorded of it, if anything is.
    pub(super) async fn before(&self, epoch: Epoch) -> Result<Vec<(Epoch, Option<LogEpoch>)>, Failure> {
        let of_record = |list: Vec<LogEpoch>| {
            let ended = list.into_iter().filter(|one| one.ended.is_some());
            ended.map(|one| (one.epoch, Some(one))).collect::<Vec<_>>()
        };
        let of_names = |names: Vec<u64>| names.into_iter().map(|epoch| (epoch, None)).collect();
        let mut found = match self {
            Self::Server(client, _) => of_record(client.get::<LogEpochList>("/v1/audit/epochs").await?.epochs),
            Self::Store(_, recorded) => of_record(recorded.clone()),
            Self::Directory(data) => of_names(named(&data.join("epochs"))?),
            Self::Beside(directory) => of_names(named(directory)?),
        };
        found.retain(|(one, _)| *one < epoch.0);
        found.sort_unstable_by_key(|(one, _)| std::cmp::Reverse(*one));
        Ok(found.into_iter().take(EPOCHS_MAX).map(|(epoch, known)| (Epoch(epoch), known)).collect())
    }

    /// The first entry of an epoch, without the others where a server has them.
    async fn first(&self, epoch: Epoch) -> Result<Option<Vec<u8>>, Failure> {
        let Self::Server(client, _) = self else {
            return match first_exported(&self.find(epoch).await?.ok_or_else(|| missing(epoch))?)? {
                First::There(bytes) => Ok(Some(bytes)),
                First::None => Ok(None),
                First::Lacking => Err(lacking(epoch)),
            };
        };
        let entry = client.get::<attorn_api::audit::Entry>(&format!("/v1/audit/epochs/{epoch}/entries/0")).await;
        let entry = match entry {
            Err(failure) if failure.code == Some(ProblemCode::NotFound) => return Err(missing(epoch)),
            entry => entry?,
        };
        let bytes = BASE64.decode(entry.bytes.as_bytes());
        bytes.map(Some).map_err(|error| Failure::new(format!("the first entry of epoch {epoch} is no base64: {error}")))
    }
}

/// What the first entry of an epoch says of the one before it.
pub(super) struct Began {
    /// The epoch that it began.
    pub(super) origin: Origin,
    /// The checkpoint with which the one before it ended.
    pub(super) ended: String,
    /// Which that was, and how many entries it counts.
    pub(super) before: Origin,
    pub(super) size: u64,
    /// Which entries of that were bad when it ended.
    pub(super) bad: Vec<Range<u64>>,
    /// What the key of before says of this one's. None if that was given up.
    succession: Option<String>,
}

impl Began {
    /// None if this is not how an epoch begins after another.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let entry = Entry::parse(bytes).ok()?;
        let body: Value = serde_json::from_str(entry.body.as_str()).ok()?;
        let kind = body["type"].as_str()?;
        if !matches!(kind, "restored" | "log_key_rotated") {
            return None;
        }
        let ended = body["checkpoint"].as_str()?.to_owned();
        let mut lines = ended.lines();
        let (before, size) = (lines.next()?.parse::<Origin>().ok()?, lines.next()?.parse().ok()?);
        if entry.at.index != 0 || before.log_id != entry.at.log_id || before.epoch >= entry.at.epoch {
            return None;
        }
        // What cannot be read says nothing, so an export that lacks them is refused.
        let bad = body["bad_entries"].as_array().into_iter().flatten().filter_map(range).collect();
        let succession = body["succession"].as_str().map(str::to_owned);
        Some(Self { origin: entry.at.origin(), ended, before, size, bad, succession })
    }
}

/// The epochs from the one that the log is in back to one that somebody knows.
pub(super) struct Lineage {
    /// How each began, the last first.
    steps: Vec<Began>,
}

/// What was found of a checkpoint of an earlier epoch.
pub(super) struct Continues {
    pub(super) epoch: Epoch,
    pub(super) entries: u64,
    /// The key that signed it.
    pub(super) key: CheckpointVerifier,
}

impl Lineage {
    /// Go back from the log in these files to an epoch, or to the last one before it.
    pub(super) async fn back(
        files: &dyn PublishedFiles,
        size: u64,
        exports: &Exports<'_>,
        epoch: Epoch,
    ) -> Result<Self, Failure> {
        Self::after(first_published(files, size)?.as_deref(), exports, epoch).await
    }

    /// Go back from the epoch that begins with this entry.
    pub(super) async fn after(first: Option<&[u8]>, exports: &Exports<'_>, epoch: Epoch) -> Result<Self, Failure> {
        let mut steps: Vec<Began> = Vec::new();
        let mut began = first.and_then(Began::of);
        while let Some(step) = began.take() {
            let before = step.before.clone();
            steps.push(step);
            if before.epoch <= epoch || steps.len() >= EPOCHS_MAX {
                break;
            }
            let first = exports.first(before.epoch).await?;
            began = first.as_deref().and_then(Began::of).filter(|step| step.origin == before);
        }
        Ok(Self { steps })
    }

    /// The key that signs now, by the word of each key before it, from this one on.
    pub(super) fn follow(&self, trusted: &CheckpointVerifier) -> Result<CheckpointVerifier, Failure> {
        let mut key = trusted.clone();
        if self.steps.last().is_none_or(|step| step.before != *trusted.origin()) {
            return Err(Failure::unverified(format!(
                "the log does not come from `{}`, whose key is trusted",
                trusted.origin()
            )));
        }
        for step in self.steps.iter().rev() {
            let Some(note) = &step.succession else {
                let message = format!("the key of `{}` was given up, and names no other after it", step.before);
                return Err(Failure::unverified(message).with_help(KEY_HELP));
            };
            let said = Succession::verify(note.as_bytes(), &key);
            let said = said.map_err(|error| Failure::verification(&error).with_help(KEY_HELP))?;
            let ended = key.verify(step.ended.as_bytes()).map_err(|error| Failure::verification(&error))?;
            if said.ended != *ended.checkpoint() || *said.key.origin() != step.origin {
                let message = format!("the note by the key of `{}` is of another end of its epoch", step.before);
                return Err(Failure::unverified(message).with_help(KEY_HELP));
            }
            key = said.key;
        }
        Ok(key)
    }

    /// See whether the key of what was seen of an earlier epoch leads to the one that signs now.
    pub(super) fn vouched(&self, seen: &CheckpointVerifier, now: &CheckpointVerifier) -> Result<(), Failure> {
        if self.follow(seen)? == *now {
            return Ok(());
        }
        let message = format!("the key of `{}` named another one than the one that signs now", seen.origin());
        Err(Failure::unverified(message).with_help(KEY_HELP))
    }

    /// See whether what was seen of an earlier epoch is the begin of what is kept of it.
    pub(super) async fn compare(&self, seen: &Anchor, exports: &Exports<'_>) -> Result<Continues, Failure> {
        let gone = |entries: u64, what: &str| {
            let message = format!("rollback: {entries} entries that you have seen are gone: {what}");
            let forget = seen.path.as_ref().map(|path| {
                format!("if you know why, such as a restore: remove `{}`, and verify anew", path.display())
            });
            let failure = Failure::unverified(message);
            Err(match forget {
                Some(help) => failure.with_help(help),
                None => failure,
            })
        };
        let (epoch, entries) = (seen.origin.epoch, size_of(&seen.note)?);
        let Some(step) = self.steps.iter().find(|step| step.before == seen.origin) else {
            return gone(entries, &format!("the log does not come from epoch {epoch}"));
        };
        if entries > step.size {
            return gone(entries - step.size, &format!("epoch {epoch} ended with {}", step.size));
        }
        let path = exports.find(epoch).await?.ok_or_else(|| missing(epoch))?;
        let file = open_export(&path)?;
        let since = std::slice::from_ref(&seen.note);
        let checks = Checks { trusted: seen.key.as_ref(), since, witnesses: None, bad: &step.bad };
        let verified = verify_export_with(file, &checks, NonZeroU64::MAX, |_| {});
        let verified = verified.map_err(|error| {
            let failure = Failure::verification(&error);
            Failure { message: format!("epoch {epoch}: {}", failure.message), ..failure }
        })?;
        let ended = verified.key.verify(step.ended.as_bytes()).map_err(|error| Failure::verification(&error))?;
        if ended.checkpoint() != verified.checkpoint.checkpoint() {
            let message = format!("what is kept of epoch {epoch} does not end where the log says that it ended");
            return Err(Failure::unverified(message));
        }
        Ok(Continues { epoch, entries, key: verified.key })
    }
}

/// A range of entries, as an entry of the log says it.
fn range(said: &Value) -> Option<Range<u64>> {
    let number = |name: &str| said[name].as_str()?.parse::<u64>().ok();
    Some(number("from")?..number("to")?.checked_add(1)?)
}

/// The epochs whose exports have their names in a directory.
fn named(directory: &Path) -> Result<Vec<u64>, Failure> {
    let fail = |error: std::io::Error| Failure::file("read", directory, &error);
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let all = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        all => all.map_err(fail)?,
    };
    let mut found = Vec::new();
    for entry in all {
        let name = entry.map_err(fail)?.file_name();
        let epoch = name.to_str().and_then(|name| name.strip_suffix(".export")).and_then(|name| name.parse().ok());
        // The name has to be the one that the epoch's export has.
        found.extend(epoch.filter(|epoch: &u64| name.to_str() == Some(&format!("{epoch}.export"))));
    }
    Ok(found)
}

/// That the way from what is known to the log as it is leads over an epoch that nobody kept.
fn missing(epoch: Epoch) -> Failure {
    let message = format!(
        "the way from what is known of the log to the key that signs now is broken: the export of epoch {epoch} is not kept \
         (`{epoch}.export`), and with it the note by which its key was named"
    );
    Failure::unverified(message).with_help(
        "put that file back from a backup or a copy (`epochs/` of the data directory had it); or ask whoever runs the \
         server for the key that signs now, by another way than this connection, and give it with `--key`",
    )
}

/// The same where the export is kept, and its first entry is not in it.
fn lacking(epoch: Epoch) -> Failure {
    let message = format!(
        "the way from what is known of the log to the key that signs now is broken: the first entries of epoch {epoch} were \
         bad when it ended, and with them the note by which its key was named is lost"
    );
    Failure::unverified(message).with_help(KEY_HELP)
}

/// That the log is in an earlier epoch than one that was seen.
pub(super) fn rolled_back(seen: &Anchor, now: &Origin) -> Failure {
    let (entries, origin) = (size_of(&seen.note).unwrap_or(0), &seen.origin);
    let Some(path) = &seen.path else {
        // No key is at hand that could tell whether it was ever signed.
        return Failure::unverified(format!(
            "the checkpoint that was kept says that it is of `{origin}`, and the log is `{now}`: if the log's key signed it, \
             the log was put back, and {entries} entries that it counts are gone"
        ));
    };
    let gone = format!("rollback: {entries} entries that you have seen are gone");
    let failure = Failure::unverified(format!("{gone}: the log is `{now}`, and you have seen `{origin}`"));
    failure.with_help(format!("if you know why: remove `{}`, and verify anew", path.display()))
}

/// The origin that a checkpoint says it is of.
pub(super) fn origin_of(note: &str) -> Result<Origin, Failure> {
    note.lines()
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|error: attorn_core::ParseError| Failure::verification(&error))
}

fn size_of(note: &str) -> Result<u64, Failure> {
    let size = note.lines().nth(1).and_then(|line| line.parse().ok());
    size.ok_or_else(|| Failure::unverified("the checkpoint that was kept does not say how many entries it counts"))
}

/// The first entry of a log that is published as files; none if it has none. The verifier has hashed it, or will.
pub(super) fn first_published(files: &dyn PublishedFiles, size: u64) -> Result<Option<Vec<u8>>, Failure> {
    let Some(tile) = Tile::of_kind(TileKind::Entries, size).next() else { return Ok(None) };
    let bytes = files.read(&tile.to_string(), Tile::BYTES_MAX).map_err(|error| Failure::of(&error))?;
    Ok(bytes.and_then(|bytes| Bundle::new(&bytes).next_entry().map(<[u8]>::to_vec).ok()))
}

/// The first entry of an export.
pub(super) enum First {
    There(Vec<u8>),
    /// The epoch has none.
    None,
    /// The export lacks it.
    Lacking,
}

impl First {
    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::There(bytes) => Some(bytes),
            Self::None | Self::Lacking => None,
        }
    }
}

/// Which log, and which epoch, an export says it is of.
pub(super) fn origin_exported(path: &Path) -> Result<Origin, Failure> {
    let export = ExportReader::open(open_export(path)?).map_err(|error| Failure::verification(&error))?;
    origin_of(export.note())
}

pub(super) fn first_exported(path: &Path) -> Result<First, Failure> {
    first_in(open_export(path)?, path)
}

/// The same of one that was opened.
pub(super) fn first_in(file: BufReader<File>, path: &Path) -> Result<First, Failure> {
    let mut export = ExportReader::open(file).map_err(|error| Failure::verification(&error))?;
    let mut bytes = Vec::new();
    if export.gaps().first().is_some_and(|gap| gap.bundle == 0) {
        return Ok(First::Lacking);
    }
    let there = export.next_entry(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    Ok(if there { First::There(bytes) } else { First::None })
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
