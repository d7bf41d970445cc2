//! Whether what was published of the log was there and is gone: its directory `log/<epoch>`, or the checkpoint in it.
//!
//! A directory that was never there, or is empty, looks the same from inside. So it is asked of others: of the store,
//! which has entries that say that a server ran, and knows which entries it gave away to files; and of the high-water
//! file, which has seen a checkpoint. A server signs one before it says that it started.
//!
//! A checkpoint that lies aside is not gone, but damaged: a repair was cut off that had moved it away.
//!
//! What is gone is said, and nothing is refused because of it: no decision rests on it. The newest checkpoint and the
//! tiles of hashes are made anew from the store; entries that were in files alone are not, unless base copy or
//! journal still have them, nor are earlier checkpoints and the cosignatures under them.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use attorn_log::segments::SEGMENTS;
use attorn_log::{CheckpointVerifier, Entry, Epoch, Origin};
use attorn_store::{PAGE_ITEMS_MAX, ReadError, Store};
use serde_json::{Value, json};

use super::{directory, files, published_in};
use crate::config::Config;
use crate::high_water;
use crate::run::ServeError;

/// Which part of what was published is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// All of the epoch's directory.
    Directory,
    /// The newest checkpoint in it.
    Checkpoint,
    /// The history of earlier ones alone.
    History,
}

impl Missing {
    /// As the log's entry says it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Checkpoint => "checkpoint",
            Self::History => "history",
        }
    }
}

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    origin: Origin,
    dir: PathBuf,
    missing: Missing,
    /// How many entries the checkpoint counted that the high-water file has seen.
    seen: Option<u64>,
    /// The entries that were in its files, and that the store does not have.
    entries: Vec<Range<u64>>,
    /// How many base copy and journal still had; none if nobody has looked there.
    brought_back: Option<u64>,
}

/// See whether something is gone; none if not, or if there never was anything.
pub(crate) fn look(config: &Config, verifier: &CheckpointVerifier, store: &Store) -> Result<Option<Gone>, ReadError> {
    let dir = directory(&config.data_dir, verifier);
    if files::has_newest(&dir) {
        return Ok(None);
    }
    let (entries, served) = (store.lost_entries()?, first_start(store)?);
    let seen = high_water::size_of(&config.high_water, verifier);
    let was_seen = seen.is_some_and(|size| served.is_some_and(|index| size > index));
    // A checkpoint is on disk before a start is in the log.
    if entries.is_empty() && !was_seen && served.is_none() {
        return Ok(None);
    }
    let missing = if dir.try_exists().unwrap_or(true) { Missing::Checkpoint } else { Missing::Directory };
    Ok(Some(Gone {
        origin: verifier.origin().clone(),
        dir,
        missing,
        seen: seen.filter(|_| was_seen),
        entries,
        brought_back: None,
    }))
}

/// What is said where a server ran and the checkpoint is gone, and all that was published with it. A repair makes none of
/// that anew: no key is at hand that could sign, and nobody has the rest.
pub(crate) fn unpublished(config: &Config, store: &Store) -> Result<Option<String>, ReadError> {
    let Some(dir) = unpublished_in(&config.data_dir, store)? else { return Ok(None) };
    Ok(Some(format!(
        "`{}` has no checkpoint: what was published of the log is gone. The next start of the server (`attorn serve`) signs a \
         new one, and says so in the log; to have the earlier checkpoints and what witnesses cosigned, put the directory \
         back from a backup before that",
        dir.display()
    )))
}

/// Where in a data directory a checkpoint of this epoch is lacking, although a server ran.
pub(crate) fn unpublished_in(data_dir: &Path, store: &Store) -> Result<Option<PathBuf>, ReadError> {
    let dir = published_in(data_dir, store.log_head()?.epoch);
    Ok((!files::has_newest(&dir) && first_start(store)?.is_some()).then_some(dir))
}

/// Whether a server ran in this epoch.
pub(crate) fn has_served(store: &Store) -> Result<bool, ReadError> {
    Ok(first_start(store)?.is_some())
}

/// The entry of this epoch that says first that a server started; none if none did. What cannot be read was given away to
/// files, which a server does.
fn first_start(store: &Store) -> Result<Option<u64>, ReadError> {
    let mut from = 0;
    loop {
        let page = match store.entries(from, PAGE_ITEMS_MAX) {
            Err(error) if error.damage().is_some() => return Ok(Some(from)),
            page => page?,
        };
        let started = page.iter().find(|stored| says_started(&stored.bytes));
        match (started, page.last()) {
            (Some(stored), _) => return Ok(Some(stored.index)),
            (None, Some(last)) => from = last.index + 1,
            (None, None) => return Ok(None),
        }
    }
}

/// Whether an entry says that a server started.
pub(crate) fn says_started(bytes: &[u8]) -> bool {
    let body = Entry::parse(bytes).ok().and_then(|entry| serde_json::from_str::<Value>(entry.body.as_str()).ok());
    body.is_some_and(|body| body["type"] == crate::clock::start::STARTED.as_str())
}

impl Gone {
    /// The same as an error, for whoever does not go on without it.
    pub(crate) fn error(&self) -> ServeError {
        if self.entries.is_empty() {
            ServeError::PublishedGone(self.to_string())
        } else {
            ServeError::EntriesGone(self.to_string())
        }
    }

    /// Write files anew of the entries that base copy and journal still have. What nobody has is what is left. Whoever
    /// says in the log that entries are lost does this first: base copy and journal have them for a while, and what the
    /// log says it says for ever.
    pub(crate) fn bring_back(self, store: &Store) -> Result<Self, ReadError> {
        let brought_back = if self.entries.is_empty() { 0 } else { store.bring_back()? };
        Ok(Self { entries: store.lost_entries()?, brought_back: Some(brought_back), ..self })
    }

    /// What the log's entry says.
    pub(crate) fn members(&self) -> Value {
        let lost = |range: &Range<u64>| json!({ "from": range.start.to_string(), "to": (range.end - 1).to_string() });
        json!({
            "directory": format!("log/{}", self.origin.epoch),
            "missing": self.missing.as_str(),
            "high_water_size": self.seen.map(|size| size.to_string()),
            "entries_lost": self.entries.iter().take(RANGES_SAID_MAX).map(lost).collect::<Vec<_>>(),
            "entries_lost_count": self.count().to_string(),
            "entries_brought_back_count": self.brought_back.map(|count| count.to_string()),
        })
    }

    fn count(&self) -> u64 {
        self.entries.iter().map(|range| range.end - range.start).sum()
    }
}

/// What the log's entry says where the history of earlier checkpoints alone is gone, with which no entry is.
pub(crate) fn history_members(epoch: Epoch) -> Value {
    json!({
        "directory": format!("log/{epoch}/{SEGMENTS}"),
        "missing": Missing::History.as_str(),
        "high_water_size": null,
        "entries_lost": [],
        "entries_lost_count": "0",
        "entries_brought_back_count": null,
    })
}

/// How many ranges of entries are named. One is usual: all of them were in one directory.
const RANGES_SAID_MAX: usize = 16;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_so = if self.missing == Missing::Directory { "is not there" } else { "has no checkpoint" };
        write!(f, "what was published of `{}` is gone: `{}` {is_so}, and ", self.origin, self.dir.display())?;
        match self.seen {
            Some(size) => write!(f, "the high-water file has seen one of {size} entries")?,
            None => f.write_str("the store says that a server ran")?,
        }
        f.write_str("; ")?;
        if self.entries.is_empty() {
            f.write_str("no entry is gone with it")?;
        } else {
            f.write_str(match self.brought_back {
                Some(_) => "gone with it, because they are nowhere else, are the entries ",
                None => "missing with it, unless base copy or journal still have them, are the entries ",
            })?;
            for (at, range) in self.entries.iter().take(RANGES_SAID_MAX).enumerate() {
                write!(f, "{}{} to {}", if at > 0 { ", " } else { "" }, range.start, range.end - 1)?;
            }
        }
        f.write_str(
            "; a start of the server signs a new checkpoint, and computes the tiles of hashes anew; nothing brings back the \
             earlier checkpoints, and what witnesses cosigned",
        )
    }
}
