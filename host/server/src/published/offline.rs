//! The log of a server that does not run, as files that can be verified.
//!
//! Its store is opened and nothing is added to it; while a server has it open, it is refused.

use std::io::{self, BufRead};
use std::path::PathBuf;

use attorn_api::audit::LogEpoch;
use attorn_log::segments::{SEGMENTS, parse_segment};
use attorn_log::tiles::hash_tile;
use attorn_log::{CheckpointVerifier, Hash, PublishedFiles, Tile, TileKind};
use attorn_store::Store;

use super::files::{self, Kept};
use super::segments::Segments;
use super::{directory, gone, routes};
use crate::audit::epochs;
use crate::config::Config;
use crate::http::failure::{Failure, causes};
use crate::keys;
use crate::queries::compare::{self, Lacking, State};
use crate::run::{self, ServeError};

/// The log of a server that does not run.
pub struct StoppedLog {
    store: Store,
    data_dir: PathBuf,
    dir: PathBuf,
    verifier: CheckpointVerifier,
    checkpoint: Vec<u8>,
    segments: Segments,
}

/// What was found in the store of a server that does not run.
#[derive(Debug)]
pub struct VerifiedStore {
    /// How many entries the log has.
    pub entries: u64,
    /// What is wrong with each file that is bad, and with the query index.
    pub bad: Vec<String>,
}

impl StoppedLog {
    /// Open the log of this configuration.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened, nothing of it was ever signed, or what was is gone.
    pub async fn open(config: &Config) -> Result<Self, ServeError> {
        let root = run::root_key(config)?;
        let store = Store::open(&config.data_dir, &keys::ours(&root, config))
            .map_err(|error| ServeError::of_store(error, config))?;
        let verifier = keys::log_signer(&root, &store).await?.verifier();
        let dir = directory(&config.data_dir, &verifier);
        let gone = gone::look(config, &verifier, &store).map_err(Failure::from)?;
        if let Some(gone) = gone {
            return Err(gone.error());
        }
        if !dir.try_exists().unwrap_or(true) {
            return Err(ServeError::NothingSigned(verifier.origin().clone()));
        }
        let shown = |why: String| ServeError::Start(format!("the checkpoints in `{}`: {why}", dir.display()));
        let kept = Kept::look(&dir, &verifier).map_err(shown)?;
        let size = |one: &Option<attorn_log::SignedCheckpoint>| one.as_ref().map(|one| one.checkpoint().size);
        // The same with cosignatures is worth more.
        let witnessed = size(&kept.witnessed) >= size(&kept.newest);
        let newest = if witnessed { kept.witnessed } else { kept.newest };
        let newest =
            newest.ok_or_else(|| ServeError::Start(format!("there is no checkpoint in `{}`", dir.display())))?;
        let checkpoint = newest.note().as_bytes().to_vec();
        let data_dir = config.data_dir.clone();
        Ok(Self { store, data_dir, dir, verifier, checkpoint, segments: kept.segments })
    }

    /// The log's key, as the store has it.
    #[must_use]
    pub const fn verifier(&self) -> &CheckpointVerifier {
        &self.verifier
    }

    /// What the store has recorded of the epochs that have ended.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn recorded_epochs(&self) -> Result<Vec<LogEpoch>, String> {
        epochs::recorded(&self.store).await.map_err(why)
    }

    /// Read everything in the store, beyond the newest checkpoint too, and see whether it fits together, and the query
    /// index with it.
    ///
    /// # Errors
    ///
    /// The first thing that does not, if it is none of those after which it goes on: files, and the index.
    pub async fn verify_store(&self) -> Result<VerifiedStore, String> {
        let walked = self.store.walk().await.map_err(|error| causes(&error))?;
        let mut bad = walked.bad_files();
        match compare::lacking(&self.data_dir, &self.store) {
            Ok(None) => {}
            Ok(Some(Lacking { said, state })) => {
                let removed = match state {
                    State::Removed => "it was removed",
                    State::CanBeRemade | State::CannotBeRemade => "`attorn repair` removes the index",
                };
                bad.push(format!("{said}; {removed}, and the next start of the server makes it anew"));
            }
            Err(failure) => bad.push(format!("the query index could not be compared with the log: {}", why(failure))),
        }
        Ok(VerifiedStore { entries: walked.integrity.entries, bad })
    }

    /// A segment of the history, without what a crash left half-written at its end.
    fn segment(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let number = name.strip_prefix(SEGMENTS).and_then(|name| name.strip_prefix('/')).and_then(parse_segment);
        let Some(readable) = number.and_then(|segment| self.segments.readable_bytes(segment)) else { return Ok(None) };
        let bytes = files::bytes(&self.dir, name, bytes_max)?;
        let readable = usize::try_from(readable).unwrap_or(usize::MAX);
        Ok(bytes.map(|bytes| bytes[..bytes.len().min(readable)].to_vec()))
    }

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, String> {
        let size = self.store.log_head().map_err(|error| causes(&error))?.size;
        if !tile.is_in(size) {
            return Ok(None);
        }
        if tile.kind() == TileKind::Entries {
            return routes::bundle(&self.store, tile).map(Some).map_err(why);
        }
        let hashes: Option<Vec<Hash>> =
            tile.nodes().map(|id| self.store.hash(id)).collect::<Result<_, _>>().map_err(|error| causes(&error))?;
        Ok(hashes.map(|hashes| hash_tile(&hashes)))
    }
}

fn damaged(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn why(failure: Failure) -> String {
    failure.internal.unwrap_or(failure.problem.detail)
}

impl PublishedFiles for StoppedLog {
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        match name {
            "key" => Ok(Some(format!("{}\n", self.verifier).into_bytes())),
            "checkpoint" => Ok(Some(self.checkpoint.clone())),
            name if name.starts_with(SEGMENTS) => self.segment(name, bytes_max),
            // What the store cannot give is missing or was changed.
            name => name.parse().map_or(Ok(None), |tile| self.tile(tile)).map_err(damaged),
        }
    }

    fn lines(&self) -> io::Result<Option<Box<dyn BufRead>>> {
        Ok(None)
    }

    fn names(&self) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}
