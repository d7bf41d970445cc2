//! Whether the query index has what the log says. Nobody signs it, and lists leave out what it does not name; so whoever
//! writes to the disk could hide entries from them.
//!
//! It is compared where no server runs. One that cannot be relied on hides nothing, because it is made anew; that it
//! could not be is said, unless a power cut or another version of this program explains it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use attorn_store::{EntryIndex, StorageError, Store, copy_apart, far};

use super::follow::DIRECTORY;
use super::terms;
use crate::http::failure::{Failure, causes};

/// What an index lacks.
pub(crate) struct Lacking {
    /// What it hides.
    pub(crate) said: String,
    pub(crate) state: State,
}

/// What can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It can be made anew, of all entries.
    CanBeRemade,
    /// It cannot be, because entries cannot be read.
    CannotBeRemade,
    /// It could not be relied on, and is removed already.
    Removed,
}

/// What the index of this data directory lacks; none if it lacks nothing.
pub(crate) fn lacking(data_dir: &Path, store: &Store) -> Result<Option<Lacking>, Failure> {
    lacking_in(&directory(data_dir), store)
}

/// The same, by a copy that goes to `scratch`: opening an index changes it.
pub(crate) fn lacking_apart(data_dir: &Path, scratch: &Path, store: &Store) -> Result<Option<Lacking>, Failure> {
    let (from, to) = (directory(data_dir), directory(scratch));
    match std::fs::symlink_metadata(&from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.map_err(Failure::internal)?,
    };
    match copy_apart(&from, &to) {
        Ok(()) => lacking_in(&to, store),
        Err(error) if error.kind() == ErrorKind::Other => {
            let said = format!("the query index could not be relied on: {error}");
            Ok(Some(Lacking { said, state: State::Removed }))
        }
        Err(error) => Err(Failure::internal(format_args!("it cannot be copied: {error}"))),
    }
}

fn lacking_in(directory: &Path, store: &Store) -> Result<Option<Lacking>, Failure> {
    // A link that leads nowhere is there.
    match std::fs::symlink_metadata(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.map_err(Failure::internal)?,
    };
    let head = store.log_head()?;
    let damaged = |error: StorageError| {
        let said = format!("the query index could not be relied on: {}", causes(&error));
        Ok(Some(Lacking { said, state: State::CanBeRemade }))
    };
    let (index, anew) = match EntryIndex::open(directory, &head.log_id, head.epoch) {
        Ok(opened) => opened,
        Err(error) => return damaged(error),
    };
    let follows = index.follows(store).or_else(|error| error.damage().map(|_| true).ok_or(error))?;
    if let Some(anew) = anew {
        let said = format!("the query index could not be relied on: {}", anew.why);
        return Ok((!anew.expected).then_some(Lacking { said, state: State::Removed }));
    }
    if !follows {
        let said = "the query index was made from other entries than the log has".to_owned();
        return Ok(Some(Lacking { said, state: State::CanBeRemade }));
    }
    let (through, mut reader) = (index.through().min(head.size), store.entry_reader());
    let (mut first, mut count, mut entries, mut state) = (None, 0, Vec::new(), State::CanBeRemade);
    for at in 0..through {
        match reader.entry(at) {
            Ok(bytes) => entries.extend(bytes.map(|bytes| (at, terms::of_bytes(&bytes)))),
            // What cannot be read is named by others, and compared when its file is there again.
            Err(error) if error.damage().is_some() => state = State::CannotBeRemade,
            Err(error) => return Err(error.into()),
        }
        if (at + 1) % EntryIndex::COMPARED_ENTRIES == 0 || at + 1 == through {
            let lacking = match index.lacks(&entries) {
                Ok(lacking) => lacking,
                Err(error) => return damaged(error),
            };
            first = first.or_else(|| lacking.first().copied());
            count += lacking.len();
            entries.clear();
            far::say("entries compared with the index", at + 1, through);
        }
    }
    Ok(first.map(|first| {
        let entries = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        let said = format!(
            "the query index hides {entries} from lists that ask for them, the first of which is entry {first}"
        );
        Lacking { said, state }
    }))
}

/// Remove the index; the next start of the server makes it anew.
pub(crate) fn remove(data_dir: &Path) -> std::io::Result<()> {
    EntryIndex::remove(&directory(data_dir))
}

fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}
