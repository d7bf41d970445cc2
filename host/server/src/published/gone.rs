//! Whether what was published of the log was there and is gone: its directory `log/<epoch>`, or the checkpoint in it.
//!
//! A directory that was never there looks the same from inside. So it is asked of others: of the store, which has
//! entries that say that a server ran, and knows which entries it gave away to files; and of the high-water file, which
//! has seen a checkpoint. A server signs one before it serves anything.
//!
//! What is gone is said, and nothing is refused because of it: no decision rests on it. The newest checkpoint and the
//! tiles of hashes are made anew from the store; entries that were in files alone are not, nor are earlier checkpoints
//! and the cosignatures under them.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use attorn_log::{CheckpointVerifier, Entry, Origin};
use attorn_store::{PAGE_ITEMS_MAX, ReadError, Store};
use serde_json::{Value, json};

use super::{directory, files};
use crate::config::Config;
use crate::high_water;

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    origin: Origin,
    dir: PathBuf,
    /// How many entries the checkpoint counted that the high-water file has seen.
    seen: Option<u64>,
    /// The entries that were in its files alone.
    entries: Vec<Range<u64>>,
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
    // The directory is made before a start is in the log, and the checkpoint after it.
    let was_there = served.is_some() && !is_there(&dir);
    if entries.is_empty() && !was_seen && !was_there {
        return Ok(None);
    }
    Ok(Some(Gone { origin: verifier.origin().clone(), dir, seen: seen.filter(|_| was_seen), entries }))
}

fn is_there(dir: &Path) -> bool {
    dir.try_exists().unwrap_or(true)
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

fn says_started(bytes: &[u8]) -> bool {
    let body = Entry::parse(bytes).ok().and_then(|entry| serde_json::from_str::<Value>(entry.body.as_str()).ok());
    body.is_some_and(|body| body["type"] == crate::clock::start::STARTED)
}

impl Gone {
    /// What the log's entry says.
    pub(crate) fn members(&self) -> Value {
        let lost = |range: &Range<u64>| json!({ "from": range.start.to_string(), "to": (range.end - 1).to_string() });
        json!({
            "directory": format!("log/{}", self.origin.epoch),
            "high_water_size": self.seen.map(|size| size.to_string()),
            "entries_lost": self.entries.iter().take(RANGES_SAID_MAX).map(lost).collect::<Vec<_>>(),
            "entries_lost_count": self.count().to_string(),
        })
    }

    fn count(&self) -> u64 {
        self.entries.iter().map(|range| range.end - range.start).sum()
    }
}

/// How many ranges of entries are named. One is usual: all of them were in one directory.
const RANGES_SAID_MAX: usize = 16;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was published of `{}` is gone: `{}` has no checkpoint, and ", self.origin, self.dir.display())?;
        match self.seen {
            Some(size) => write!(f, "the high-water file has seen one of {size} entries")?,
            None => f.write_str("the store says that a server ran")?,
        }
        f.write_str("; ")?;
        if self.entries.is_empty() {
            f.write_str("no entry is gone with it")?;
        } else {
            f.write_str("gone with it, because they were in its files alone, are the entries ")?;
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
