//! How an epoch of the audit log ends, and the next begins: what `attorn restore` and `attorn key rotate-log` share.
//!
//! The entries of the epoch that ends are kept as an export, which is verified where it was written, and gets an index
//! (`index`), by which its entries are read one by one (`kept`). The next epoch
//! has a key of its own, whose seed no earlier copy of the data has: so two logs that go on from one backup are told
//! apart by anybody who has the key of either. Its first entry names where the old epoch ended, and bears a note by
//! which the old key names the new one ([`attorn_log::succession`]).
//!
//! Whether anything that was granted ends with the epoch is not decided here.

pub(crate) mod index;
pub(crate) mod kept;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_log::{
    CheckpointSigner, CheckpointVerifier, Epoch, Origin, SignedCheckpoint, VerifyError, export_header, verify_export,
};
use attorn_store::records::{EpochEnd, KeyMaterialRecord, LogEpochRecord, Record as _};
use attorn_store::{BadBlob, BadBundle, Batch, Key, KeyPrefix, KeyPurpose, PAGE_ITEMS_MAX, Store};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::high_water::HighWaterError;
use crate::http::failure::{Failure, causes};
use crate::keys;
use crate::run::ServeError;
use kept::KeptError;

/// Where the logs of earlier epochs are, within the data directory.
const EPOCHS: &str = "epochs";
/// What goes over to the next epoch as it is, within the data directory: large values, the logs of earlier epochs, the
/// checkpoints that were published, by epoch, with their cosignatures, and decision records that are in files.
pub(crate) const PLAIN: [&str; 4] = ["blobs", EPOCHS, "log", "records"];
/// How the name of a file ends that is being written.
const UNFINISHED: &str = "tmp";
/// How many entries are exported at a time.
const EXPORTED_AT_ONCE: usize = 256;

/// Why no epoch began.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// There is something where the data should go.
    #[error("`{0}` is there already; nothing was changed")]
    InTheWay(PathBuf),
    /// A restore was killed before it ended.
    #[error("`{0}` is what a restore left that was cut off; nothing was changed")]
    Unfinished(PathBuf),
    /// There is what a rotation has left that did not come to its end.
    #[error("`{0}` is left of a rotation that did not come to its end; nothing was changed")]
    LeftBehind(PathBuf),
    /// One is within the other.
    #[error("`{}` is within `{}`; nothing was changed", inner.display(), outer.display())]
    Within {
        /// What is within the other, or is it.
        inner: PathBuf,
        /// The other.
        outer: PathBuf,
    },
    /// There is no room for what has to be written.
    #[error("there is no room for {bytes} bytes in `{}`; nothing was changed: {source}", dir.display())]
    NoRoom {
        /// Where.
        dir: PathBuf,
        /// How many bytes were asked for.
        bytes: u64,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The backup lacks components or settings that records name, and nobody accepted that.
    #[error("{} bad in the backup, and nothing was restored: {}", blobs(.0.len()), listed(.0))]
    BadBlobs(Vec<BadBlob>),
    /// A file or directory cannot be used.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The backup cannot be used.
    #[error("the backup cannot be restored: {0}")]
    Backup(String),
    /// The log is not as it was.
    #[error("the log cannot go on in a new epoch: {0}")]
    Log(String),
    /// The configuration or what it names cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A test has cut it off.
    #[cfg(test)]
    #[error("cut off")]
    CutOff,
}

impl EpochError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unfinished(_) => Some("nothing is in it that the backup does not have: remove it, and restore again"),
            Self::InTheWay(_) => Some("what is there is never overwritten: move it away, or name another `--data-dir`"),
            Self::LeftBehind(_) => Some(
                "start the server once: if it starts, the data directory is whole, and what is left is the one of before \
                 or one that was never finished: remove it",
            ),
            Self::Serve(error) => error.help(),
            Self::Within { .. } => Some("name directories of which neither is within the other, also by links"),
            Self::NoRoom { .. } => Some(
                "a rotation writes the log's entries and all that the store holds once more beside the data directory: \
                 make room, and try again",
            ),
            Self::BadBlobs(_) => Some(
                "name another backup; or give `--with-bad-blobs`: then a policy in force that needs one of them denies \
                 whatever it is asked about, until `attorn policy push` has put the same component and settings again \
                 and the server was started anew, or another version is activated",
            ),
            Self::Io { .. } => {
                Some("see that it is there, who may use it, and how much room its disk has, and try again")
            }
            Self::Backup(_) => Some(
                "nothing was restored: name another backup, or make one (`attorn backup`) of a data directory that is \
                 whole",
            ),
            Self::Log(_) => Some(
                "no new epoch began: `attorn audit verify --config` looks at the log of a server that does not run, and \
                 says what is wrong with it",
            ),
            #[cfg(test)]
            Self::CutOff => None,
        }
    }

    /// Whether what was asked for means nothing.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Within { .. })
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

impl From<Failure> for EpochError {
    fn from(failure: Failure) -> Self {
        Self::Serve(failure.into())
    }
}

impl From<KeptError> for EpochError {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Io { path, source } => Self::Io { path, source },
            error => Self::Log(causes(&error)),
        }
    }
}

impl From<HighWaterError> for EpochError {
    fn from(error: HighWaterError) -> Self {
        Self::Serve(error.into())
    }
}

fn blobs(count: usize) -> String {
    if count == 1 { "a component or settings is".to_owned() } else { format!("{count} components and settings are") }
}

fn listed(bad: &[BadBlob]) -> String {
    bad.iter().map(BadBlob::to_string).collect::<Vec<_>>().join("; ")
}

/// An epoch that has ended.
pub(crate) struct Ended {
    signer: CheckpointSigner,
    word: Word,
    pub(crate) checkpoint: SignedCheckpoint,
}

/// Whether the old key names the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Given,
    Withheld,
}

/// The key of the next one.
pub(crate) struct NextKey {
    seed: Zeroizing<[u8; 32]>,
    verifier: CheckpointVerifier,
}

impl NextKey {
    /// A new key for this origin.
    pub(crate) fn generate(origin: Origin) -> Result<Self, Failure> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(Failure::internal)?;
        let verifier = CheckpointSigner::new(origin, &seed).verifier();
        Ok(Self { seed, verifier })
    }

    pub(crate) const fn verifier(&self) -> &CheckpointVerifier {
        &self.verifier
    }

    /// Sign all that the log has which this key is for.
    pub(crate) fn sign(&self, store: &Store) -> Result<SignedCheckpoint, Failure> {
        let size = store.log_head()?.size;
        Ok(CheckpointSigner::new(self.verifier.origin().clone(), &self.seed).sign(size, store.root(size)?))
    }
}

/// The file that holds the log of an earlier epoch, within this data directory.
pub(crate) fn export_path(data_dir: &Path, epoch: Epoch) -> PathBuf {
    data_dir.join(EPOCHS).join(format!("{epoch}.export"))
}

impl Ended {
    /// Sign all that this store's log has, and write it to a file of its own within the data directory `to`, where it
    /// is verified. Entries in files that are bad are not in it: it verifies up to them, and then says which is
    /// missing.
    pub(crate) fn keep(
        store: &Store,
        signer: CheckpointSigner,
        to: &Path,
        bad: &[BadBundle],
    ) -> Result<Self, EpochError> {
        let size = store.log_head().map_err(Failure::from)?.size;
        let checkpoint = signer.sign(size, store.root(size).map_err(Failure::from)?);
        let (dir, path) = (to.join(EPOCHS), export_path(to, checkpoint.checkpoint().origin.epoch));
        let io = EpochError::io;
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io(&dir))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io(&path))?;
        let mut file = BufWriter::new(file);
        let key = signer.verifier();
        file.write_all(export_header(&key, &checkpoint).as_bytes()).map_err(io(&path))?;
        let mut from = 0;
        while from < size {
            if let Some(gap) = bad.iter().find(|gap| gap.entries.contains(&from)) {
                from = gap.entries.end;
                continue;
            }
            let end = bad.iter().map(|gap| gap.entries.start).filter(|start| *start > from).min().unwrap_or(size);
            let limit = usize::try_from(end - from).unwrap_or(usize::MAX).min(EXPORTED_AT_ONCE);
            let entries = store.entries(from, limit).map_err(Failure::from)?;
            for entry in &entries {
                file.write_all(&entry.bytes).map_err(io(&path))?;
            }
            from += entries.len() as u64;
        }
        let file = file.into_inner().map_err(|error| io(&path)(error.into_error()))?;
        file.sync_all().map_err(io(&path))?;
        sync_dir(&dir)?;
        sync_dir(to)?;
        let Some(first) = bad.first() else {
            // It reads and verifies all that was written.
            match index::make(to, &key, &checkpoint) {
                // Without its index an export is as good: it is made when somebody asks for an entry.
                Err(KeptError::Io { path: at, source }) if at != path => {
                    tracing::warn!(path = %at.display(), error = %source, "the index of the epoch that ends cannot be written");
                    verify_export(read(&path)?, Some(&key)).map_err(|error| EpochError::Log(causes(&error)))?;
                }
                made => made?,
            }
            return Ok(Self { signer, word: Word::Given, checkpoint });
        };
        match verify_export(read(&path)?, Some(&key)) {
            Err(VerifyError::Missing { index, .. }) if index == first.entries.start => {}
            Err(error) => return Err(EpochError::Log(causes(&error))),
            Ok(_) => return Err(EpochError::Log(format!("its export passes for whole, and {}", first.why))),
        }
        Ok(Self { signer, word: Word::Given, checkpoint })
    }

    /// Have the old key name no other.
    pub(crate) fn give_up_key(self) -> Self {
        Self { word: Word::Withheld, ..self }
    }

    /// Begin the next epoch in its store: the new key takes the place of the old one, whose private half is gone, and
    /// what has to be known of the old epoch is recorded. What the first entry has to say comes back.
    pub(crate) async fn begin_next(
        &self,
        store: &Store,
        (root, next): (&attorn_identity::RootKey, &NextKey),
        why: EpochEnd,
        batch: &mut Batch,
    ) -> Result<Value, Failure> {
        let mut version = 0;
        let held = store.scan(&KeyPrefix::key_material(KeyPurpose::Log), None, PAGE_ITEMS_MAX).await?;
        for (key, stored) in held.items {
            let record = KeyMaterialRecord::decode(&key, &stored.value).map_err(Failure::internal)?;
            version = version.max(record.version);
            batch.delete.push(key);
        }
        keys::put_material(root, batch, (KeyPurpose::Log, version + 1), next.seed.as_ref())?;
        let (key, checkpoint) = (self.signer.verifier(), self.checkpoint.note().to_owned());
        let record = LogEpochRecord { key, checkpoint, ended: why, at: batch.now };
        batch.require.push((record.key(), attorn_store::Require::Absent));
        batch.put_record(&record);
        // By a key that somebody else may have, anybody could name the next one.
        let trusted = self.word == Word::Given && why != EpochEnd::KeyCompromised;
        let succession = trusted.then(|| self.signer.succession(&self.checkpoint, &next.verifier));
        Ok(json!({
            "checkpoint": self.checkpoint.note(),
            "key": next.verifier.to_string(),
            "succession": succession,
        }))
    }
}

fn read(path: &Path) -> Result<BufReader<File>, EpochError> {
    File::open(path).map(BufReader::new).map_err(EpochError::io(path))
}

/// What is known of an earlier epoch.
pub(crate) async fn earlier(store: &Store, epoch: Epoch) -> Result<Option<LogEpochRecord>, Failure> {
    Ok(store.record::<LogEpochRecord>(&Key::log_epoch(epoch)).await?.map(|found| found.value))
}

/// Where half-done work stands, beside the data directory.
pub(crate) fn beside(data_dir: &Path, ending: &str) -> PathBuf {
    let mut name = data_dir.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Have the names in a directory on disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), EpochError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(EpochError::io(dir))
}

/// The same for the directory that this one stands in.
pub(crate) fn sync_above(dir: &Path) -> Result<(), EpochError> {
    sync_dir(dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Give every file of a directory a second name in another one, which is made if it is not there. What somebody did not
/// come to the end of writing stays behind.
pub(crate) fn link_all(from: &Path, to: &Path) -> Result<(), EpochError> {
    let io = EpochError::io;
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(io(to))?;
    for entry in fs::read_dir(from).map_err(io(from))? {
        let entry = entry.map_err(io(from))?;
        let target = to.join(entry.file_name());
        if target.extension().is_some_and(|ending| ending == UNFINISHED) {
            continue;
        }
        if entry.file_type().map_err(io(from))?.is_dir() {
            link_all(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), &target).map_err(io(&target))?;
        }
    }
    sync_dir(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_comes_with_a_way_out() {
        let path = Path::new("data");
        for error in [
            EpochError::InTheWay(path.into()),
            EpochError::LeftBehind(path.into()),
            EpochError::Within { inner: path.into(), outer: path.into() },
            EpochError::NoRoom { dir: path.into(), bytes: 1, source: std::io::Error::other("full") },
            EpochError::BadBlobs(Vec::new()),
            EpochError::Unfinished(path.into()),
            EpochError::io(path)(std::io::Error::other("full")),
            EpochError::Backup("it is cut".into()),
            EpochError::Log("it is cut".into()),
        ] {
            assert!(error.help().is_some_and(|help| !help.is_empty()), "{error}");
        }
    }
}
