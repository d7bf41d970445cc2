//! The log of a server that does not run, as files that can be verified.
//!
//! Nothing in its directory is written: what opening would change is copied and opened there ([`Store::look`]). While a
//! server has it open, it is refused.

use std::io::{self, BufRead};
use std::path::PathBuf;

use attorn_api::audit::LogEpoch;
use attorn_log::segments::{SEGMENTS, Span, parse_segment};
use attorn_log::tiles::hash_tile;
use attorn_log::{CheckpointVerifier, Hash, PublishedFiles, SignedCheckpoint, Tile, TileKind};
use attorn_store::{BadBlob, Looked, Store, Uncompared};
use tempfile::TempDir;

use super::damage::{self, Found};
use super::{directory, earlier, gone, routes};
use crate::audit::epochs;
use crate::config::Config;
use crate::http::failure::{Failure, causes};
use crate::keys;
use crate::queries::compare::{self, Lacking};
use crate::run::{self, ServeError};
use crate::{high_water, most_seen};

/// The log of a server that does not run.
pub struct StoppedLog {
    store: Store,
    data_dir: PathBuf,
    dir: PathBuf,
    verifier: CheckpointVerifier,
    /// The newest that can be relied on, if any can.
    checkpoint: Option<SignedCheckpoint>,
    /// Whether that is another than the file of the newest has, because nobody can read that one.
    stands_in: bool,
    /// What is wrong with what was looked at so far.
    bad: Vec<String>,
    notes: Vec<String>,
    /// Which decision records base copy and journal have that are not what their entries name.
    bad_decisions: Vec<String>,
    /// Goes when the store has gone.
    scratch: TempDir,
}

/// What was found in the store of a server that does not run.
#[derive(Debug)]
pub struct VerifiedStore {
    /// How many entries the log has.
    pub entries: u64,
    /// What is wrong with each file that is bad, and with the query index.
    pub bad: Vec<String>,
    /// What is damaged and no damage: nobody needs it.
    pub notes: Vec<String>,
    /// How many decision records are lost of which somebody has accepted that.
    pub lost_records: u64,
}

impl StoppedLog {
    /// Open the log of this configuration. Files with checkpoints that are damaged, and what says that the log was longer,
    /// keep nobody from the rest: [`Self::bad`] names them.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened, nothing of it was ever signed, or what was is gone.
    pub async fn open(config: &Config) -> Result<Self, ServeError> {
        let root = run::root_key(config)?;
        let scratch =
            tempfile::tempdir().map_err(|error| ServeError::Start(format!("no temporary directory: {error}")))?;
        let (ours, seen) = (keys::ours(&root, config), most_seen::look(config).unwrap_or_default());
        let Looked { store, mut bad, notes, bad_decisions } =
            Store::look(&config.data_dir, &ours, seen, scratch.path())
                .map_err(|error| ServeError::of_look(error, config))?;
        let signer = keys::log_signer(&root, &store).await?;
        let verifier = signer.verifier();
        let dir = directory(&config.data_dir, &verifier);
        let gone = gone::look(config, &verifier, &store).map_err(Failure::from)?;
        if let Some(gone) = gone {
            return Err(gone.error());
        }
        if !dir.try_exists().unwrap_or(true) {
            return Err(ServeError::NothingSigned(verifier.origin().clone()));
        }
        if let Err(error) = most_seen::check(config, &store, &signer).await {
            bad.push(causes(&error));
        }
        let size = store.log_head().map_err(Failure::from)?.size;
        let found = damage::look(&dir, &verifier, Some(size));
        bad.extend(found.bad.iter().map(|bad| format!("{bad}; `attorn repair` says whether it can be made anew")));
        let checkpoint = newest(config, &verifier, &found, size);
        if checkpoint.is_none() && bad.is_empty() {
            return Err(ServeError::Start(format!("there is no checkpoint in `{}`", dir.display())));
        }
        let (data_dir, stands_in) = (config.data_dir.clone(), found.newest.is_none());
        Ok(Self { store, data_dir, dir, verifier, checkpoint, stands_in, bad, notes, bad_decisions, scratch })
    }

    /// Take checkpoints that somebody kept elsewhere, where the file of the newest cannot be relied on: a log that reaches
    /// as far as one of them was not cut because its own file does not say so. One of another epoch or key says nothing.
    ///
    /// # Errors
    ///
    /// When the store does not say how many entries it has.
    pub fn also_kept<'a>(&mut self, notes: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        if !self.stands_in {
            return Ok(());
        }
        let size = self.store.log_head().map_err(|error| causes(&error))?.size;
        for kept in notes.into_iter().filter_map(|note| self.verifier.verify(note.as_bytes()).ok()) {
            let counts = kept.checkpoint().size;
            if counts <= size {
                self.checkpoint = later(self.checkpoint.take(), Some(kept));
            } else if self.checkpoint.is_none() {
                self.bad.push(format!(
                    "the log has {size} entries, and a checkpoint that was kept counts {counts}: it was cut since, or is \
                     an older copy"
                ));
            }
        }
        Ok(())
    }

    /// The log's key, as the store has it.
    #[must_use]
    pub const fn verifier(&self) -> &CheckpointVerifier {
        &self.verifier
    }

    /// What is wrong with what was looked at when it was opened.
    #[must_use]
    pub fn bad(&self) -> &[String] {
        &self.bad
    }

    /// What a server leaves that was killed, and its next start mends.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether there is a checkpoint that entries can be compared with.
    #[must_use]
    pub const fn has_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// What the store has recorded of the epochs that have ended.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn recorded_epochs(&self) -> Result<Vec<LogEpoch>, String> {
        epochs::recorded(&self.store).await.map_err(why)
    }

    /// Read everything in the store, beyond the newest checkpoint too, and see whether it fits together, and with it the
    /// query index, and the components and settings that its records name.
    ///
    /// # Errors
    ///
    /// The first thing that does not, if it is none of those after which it goes on: files, and the index.
    pub async fn verify_store(&self) -> Result<VerifiedStore, String> {
        let walked = self.store.walk().await.map_err(|error| causes(&error))?;
        let (mut bad, mut notes) = (walked.bad_files(), Vec::new());
        for Uncompared { why, is_missing, .. } in &walked.uncompared {
            // That nothing is kept of an epoch is said, and no proof of anything.
            if *is_missing { &mut notes } else { &mut bad }.push(why.clone());
        }
        bad.extend(Looked::bad_in_parts(&self.bad_decisions, &walked));
        match self.store.doubled_files().await {
            Ok(doubled) => bad.extend(doubled.into_iter().map(|what| {
                format!("{what}; the database has all that should be in it, and `attorn repair` writes it anew")
            })),
            Err(error) => {
                bad.push(format!("files of which the database has all could not be looked at: {}", causes(&error)));
            }
        }
        match self.store.bad_blobs().await {
            Ok(blobs) => {
                let (needed, spare): (Vec<_>, Vec<_>) = blobs.iter().partition(|blob| blob.is_needed());
                bad.extend(needed.into_iter().map(ToString::to_string));
                notes.extend(spare.iter().map(ToString::to_string));
                notes.extend((!spare.is_empty()).then(|| BadBlob::SPARE.to_owned()));
            }
            Err(error) => bad.push(format!("components and settings could not be looked at: {}", causes(&error))),
        }
        match earlier::look(&self.data_dir, &self.store).await {
            Ok(of_earlier) => bad.extend(of_earlier),
            Err(failure) => {
                bad.push(format!("what was published of earlier epochs could not be looked at: {}", why(failure)));
            }
        }
        match compare::lacking_apart(&self.data_dir, self.scratch.path(), &self.store) {
            Ok(None) => {}
            Ok(Some(Lacking { said, .. })) => bad.push(format!(
                "{said}; `attorn repair` removes the index, and the next start of the server makes it anew"
            )),
            Err(failure) => bad.push(format!("the query index could not be compared with the log: {}", why(failure))),
        }
        Ok(VerifiedStore { entries: walked.integrity.entries, bad, notes, lost_records: walked.lost_records })
    }

    /// A segment of the history: of one that is damaged what can be relied on.
    fn segment(&self, name: &str) -> Option<Vec<u8>> {
        let number = name.strip_prefix(SEGMENTS)?.strip_prefix('/').and_then(parse_segment)?;
        let last = Span::USUAL.segment_of(self.checkpoint.as_ref()?.checkpoint().size);
        (number <= last).then(|| damage::whole_of(&self.dir, number, &self.verifier).into_bytes())
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

/// The newest checkpoint that can be relied on. Where the file of the newest has none, the high-water file may have a later
/// one than the others beside the log, of no more entries than there are: that it has seen more is said already.
fn newest(config: &Config, verifier: &CheckpointVerifier, found: &Found, size: u64) -> Option<SignedCheckpoint> {
    let head = found.head().cloned();
    if found.newest.is_some() {
        return head;
    }
    let outside = || {
        let note = high_water::read(&config.high_water).ok().flatten()?;
        verifier.verify(note.as_bytes()).ok().filter(|one| one.checkpoint().size <= size)
    };
    later(head, outside())
}

/// The one that counts more entries; of two that count as many, the first.
fn later(one: Option<SignedCheckpoint>, other: Option<SignedCheckpoint>) -> Option<SignedCheckpoint> {
    let size = |checkpoint: &Option<SignedCheckpoint>| checkpoint.as_ref().map(|one| one.checkpoint().size);
    if size(&other) > size(&one) { other } else { one }
}

fn damaged(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn why(failure: Failure) -> String {
    failure.internal.unwrap_or(failure.problem.detail)
}

impl PublishedFiles for StoppedLog {
    fn read(&self, name: &str, _: usize) -> io::Result<Option<Vec<u8>>> {
        match name {
            "key" => Ok(Some(format!("{}\n", self.verifier).into_bytes())),
            "checkpoint" => Ok(self.checkpoint.as_ref().map(|one| one.note().as_bytes().to_vec())),
            name if name.starts_with(SEGMENTS) => Ok(self.segment(name)),
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
