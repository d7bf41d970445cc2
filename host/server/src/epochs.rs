//! How an epoch of the audit log ends, and the next begins: what `attorn restore` and `attorn key rotate-log` share.
//!
//! The entries of the epoch that ends are kept as an export, which is verified where it was written, and gets an index
//! (`index`), by which its entries are read one by one (`kept`). The next epoch
//! has a key of its own, whose seed no earlier copy of the data has: so two logs that go on from one backup are told
//! apart by anybody who has the key of either. Its first entry names where the old epoch ended, and bears a note by
//! which the old key names the new one ([`attorn_log::succession`]).
//!
//! Entries whose files are damaged or missing when an epoch ends are lost to its export for good. So it does not end
//! before somebody accepts that ([`BadEntries`]); then the next epoch's first entry says which they are, and the export
//! has the roots over them, so that every other entry can still be proved.
//!
//! Whether anything that was granted ends with the epoch is not decided here.

mod bad;
mod error;
pub(crate) mod index;
pub(crate) mod kept;
mod place;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write as _};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_log::{
    CheckpointSigner, CheckpointVerifier, Checks, Epoch, Gap, Origin, SignedCheckpoint, export_header_without,
    verify_export_with,
};
use attorn_store::records::{EpochEnd, KeyMaterialRecord, LogEpochRecord, Record as _};
use attorn_store::{BadBundle, Batch, Key, KeyPrefix, KeyPurpose, PAGE_ITEMS_MAX, Store, far, open_regular};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::http::failure::{Failure, causes};
use crate::keys;
use kept::KeptError;

pub use bad::BadEntries;
use bad::in_entry;
pub(crate) use bad::ranges;
pub use error::EpochError;
pub(crate) use place::without_links;

/// Where the logs of earlier epochs are, within the data directory.
pub(crate) const EPOCHS: &str = "epochs";
/// What goes over to the next epoch as it is, within the data directory: large values, the logs of earlier epochs, the
/// checkpoints that were published, by epoch, with their cosignatures, and decision records that are in files.
pub(crate) const PLAIN: [&str; 4] = ["blobs", EPOCHS, "log", "records"];
/// How the name of a file ends that is being written.
pub(crate) const UNFINISHED: &str = "tmp";
/// How many entries are exported at a time.
const EXPORTED_AT_ONCE: usize = 256;
/// An epoch that has ended.
pub(crate) struct Ended {
    signer: CheckpointSigner,
    word: Word,
    pub(crate) checkpoint: SignedCheckpoint,
    /// Which entries are not in what is kept of it.
    pub(crate) bad: Vec<Range<u64>>,
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
    /// is verified. Of entries in files that are bad, in their order, it has the root alone.
    pub(crate) fn keep(
        store: &Store,
        signer: CheckpointSigner,
        to: &Path,
        bad: &[BadBundle],
    ) -> Result<Self, EpochError> {
        let size = store.log_head().map_err(Failure::from)?.size;
        let checkpoint = signer.sign(size, store.root(size).map_err(Failure::from)?);
        let (dir, path) = (to.join(EPOCHS), export_path(to, checkpoint.checkpoint().origin.epoch));
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(EpochError::io(&dir))?;
        let key = signer.verifier();
        write_export(store, &path, (&key, &checkpoint), bad)?;
        sync_dir(&dir)?;
        sync_dir(to)?;
        let bad = ranges(bad);
        // It reads and verifies all that was written.
        match index::make(to, &key, &checkpoint, &bad) {
            // Without its index an export is as good: it is made when somebody asks for an entry.
            Err(KeptError::Io { path: at, source }) if at != path => {
                tracing::warn!(path = %at.display(), error = %source, "the index of the epoch that ends cannot be written");
                let checks = Checks { trusted: Some(&key), bad: &bad, ..Checks::default() };
                let verified = verify_export_with(read(&path)?, &checks, NonZeroU64::MAX, |_| {});
                verified.map_err(|error| EpochError::Log(causes(&error)))?;
            }
            made => made?,
        }
        Ok(Self { signer, word: Word::Given, checkpoint, bad })
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
        let record = LogEpochRecord { key, checkpoint, ended: why, at: batch.now, bad: self.bad.clone() };
        batch.require.push((record.key(), attorn_store::Require::Absent));
        batch.put_record(&record);
        // By a key that somebody else may have, anybody could name the next one.
        let trusted = self.word == Word::Given && why != EpochEnd::KeyCompromised;
        let succession = trusted.then(|| self.signer.succession(&self.checkpoint, &next.verifier));
        Ok(json!({
            "checkpoint": self.checkpoint.note(),
            "key": next.verifier.to_string(),
            "succession": succession,
            "bad_entries": in_entry(&self.bad),
        }))
    }
}

/// Write the export of a store's log but for the entries in these files; it is on disk afterwards, and its name is when
/// its directory is synced.
fn write_export(
    store: &Store,
    path: &Path,
    (key, checkpoint): (&CheckpointVerifier, &SignedCheckpoint),
    bad: &[BadBundle],
) -> Result<(), EpochError> {
    let (size, io) = (checkpoint.checkpoint().size, EpochError::io);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))?;
    let mut file = BufWriter::new(file);
    let gaps: Vec<Gap> = bad.iter().map(BadBundle::gap).collect();
    file.write_all(export_header_without(key, checkpoint, &gaps).as_bytes()).map_err(io(path))?;
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
            file.write_all(&entry.bytes).map_err(io(path))?;
        }
        from += entries.len() as u64;
        far::say("entries exported", from, size);
    }
    let file = file.into_inner().map_err(|error| io(path)(error.into_error()))?;
    file.sync_all().map_err(io(path))
}

fn read(path: &Path) -> Result<BufReader<File>, EpochError> {
    open_regular(path).map(BufReader::new).map_err(EpochError::io(path))
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
