//! Reads. Each answers from durable state: what is visible and not yet on disk is waited for, which
//! takes as long as the sync that is under way. After a failure nothing can be read.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use attorn_core::{GrantId, TimeMs};
use attorn_log::tree::{self, Hash, NodeId};
use attorn_log::{EntryRef, Epoch, Link, LogId, TreeError};

use crate::bundled::{BUNDLE_ENTRIES, InOrder};
use crate::commit::Store;
use crate::error::{ReadError, StorageError};
use crate::filed::{Filed, FiledError};
use crate::head::EarlierEpoch;
use crate::key::{Key, KeyPrefix};
use crate::proved::Proved;
use crate::recorded::StoredGrant;
use crate::records::{GrantRecord, LostRecordsRecord, Record, RecordError, RecordProblem};
use crate::trees::Stored;

/// How many items one page has at most.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// After how many bytes a page takes no further item.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// How many reads of files with records there are at a time; more wait.
pub(crate) const FILE_READS_MAX: usize = 32;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<V = Vec<u8>> {
    /// The value.
    pub value: V,
    /// The version of the batch that wrote it.
    pub version: u64,
    /// The indexes of that batch's entries: see [`Store::entry_ref`].
    pub entries: Range<u64>,
}

/// Values in the order of their keys, as they stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The values.
    pub items: Vec<(Key, Versioned)>,
    /// Where to go on, if there is more: after this key.
    pub next: Option<Key>,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its index.
    pub index: u64,
    /// Its bytes, over which the tree stands.
    pub bytes: Vec<u8>,
}

/// How far the audit log is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Which log.
    pub log_id: LogId,
    /// Which of its epochs.
    pub epoch: Epoch,
    /// How many entries there are.
    pub size: u64,
    /// The link that the next entry will carry.
    pub last_link: Link,
}

impl From<Stored> for Versioned {
    fn from(stored: Stored) -> Self {
        Self { value: stored.value, version: stored.version, entries: stored.entries }
    }
}

impl Store {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the store has failed or cannot read.
    pub async fn get(&self, key: &Key) -> Result<Option<Versioned>, ReadError> {
        // Where the store has failed the engine may hang.
        self.shared.horizon.head()?;
        let found = self.shared.trees.value(key)?;
        let version = match &found {
            Some(stored) => stored.version,
            None => self.absent_since(key),
        };
        self.durable(key, version).await?;
        let Some(stored) = found else { return Ok(None) };
        if Filed::of(key, &stored.value).is_none() {
            return Ok(Some(stored.into()));
        }
        let mut whole = self.whole(vec![(key.clone(), stored)]).await?;
        Ok(whole.pop().map(|(_, stored)| stored))
    }

    /// What is stored, with the values wherever they are. Files are read on a thread where that may take its time, and few
    /// at a time: where their disk hangs it holds up nobody else.
    async fn whole(&self, items: Vec<(Key, Stored)>) -> Result<Vec<(Key, Versioned)>, ReadError> {
        if items.iter().all(|(key, stored)| Filed::of(key, &stored.value).is_none()) {
            return Ok(items.into_iter().map(|(key, stored)| (key, stored.into())).collect());
        }
        let turn = Arc::clone(&self.file_reads).acquire_owned().await.map_err(|error| StorageError::new(&error))?;
        let records = self.shared.records.clone();
        let read = tokio::task::spawn_blocking(move || {
            let whole = |(key, stored): (Key, Stored)| Ok((key.clone(), records.whole(&key, stored)?.into()));
            let items = items.into_iter().map(whole).collect::<Result<Vec<_>, FiledError>>();
            // Until it is read, also if nobody waits for it any more.
            drop(turn);
            items
        });
        let items = read.await.map_err(|error| StorageError::new(&error))?;
        match items {
            Err(error) if self.accepted_at(&error)?.is_some() => Err(StorageError::from(error.accepted()).into()),
            items => Ok(items.map_err(StorageError::from)?),
        }
    }

    /// When somebody accepted that this record is lost, the last of its file; none if nobody did.
    pub(crate) fn accepted_at(&self, error: &FiledError) -> Result<Option<TimeMs>, ReadError> {
        let (filed, digest) = (error.filed(), error.filed().digest());
        let key = Key::lost_records(Epoch(filed.epoch), filed.bundle);
        let Some(stored) = self.shared.trees.value(&key)?.filter(|_| error.is_lost()) else { return Ok(None) };
        let accepted = LostRecordsRecord::decode(&key, &stored.value)?;
        Ok(accepted.digests.contains(&digest).then_some(accepted.at))
    }

    /// Wait until a version that was seen under a key is durable.
    async fn durable(&self, key: &Key, version: u64) -> Result<(), ReadError> {
        if self.shared.horizon.head()?.version >= version {
            return Ok(());
        }
        // Nobody would ever be done waiting for a version that no batch has.
        if version > self.shared.applied().version {
            return Err(RecordError::new(key, RecordProblem::Header).into());
        }
        self.shared.horizon.reached(|head| head.version >= version).await?;
        Ok(())
    }

    /// The version from which on a key that was not found is absent: 0 unless its deletion may not
    /// be durable yet.
    fn absent_since(&self, key: &Key) -> u64 {
        let applied = self.shared.applied();
        if applied.deleted.contains(key) { applied.version } else { 0 }
    }

    /// The record under a key.
    ///
    /// # Errors
    ///
    /// As [`Self::get`]; [`ReadError::Invalid`] if what stands there is no such record.
    pub async fn record<R: Record>(&self, key: &Key) -> Result<Option<Versioned<R>>, ReadError> {
        let Some(Versioned { value, version, entries }) = self.get(key).await? else {
            return Ok(None);
        };
        Ok(Some(Versioned { value: R::decode(key, &value)?, version, entries }))
    }

    /// A grant; [`StoredGrant::standing`] says whether credentials may still be issued from it.
    ///
    /// # Errors
    ///
    /// As [`Self::record`].
    pub async fn grant(&self, id: &GrantId) -> Result<Option<StoredGrant>, ReadError> {
        let Some(found) = self.record::<GrantRecord>(&Key::grant(id)).await? else {
            return Ok(None);
        };
        let entries = found.entries.map(|index| self.entry_ref(found.version, index)).collect();
        Ok(Some(StoredGrant::new(found.value, found.version, entries)))
    }

    /// Where a counter stands; one that was never changed stands at 0.
    ///
    /// # Errors
    ///
    /// As [`Self::get`]; [`ReadError::Invalid`] if what stands there is no counter.
    pub async fn counter(&self, key: &Key) -> Result<u64, ReadError> {
        let Some(Versioned { value, version, entries }) = self.get(key).await? else {
            return Ok(0);
        };
        Ok(Stored { version, entries, value }.count(key)?)
    }

    /// At most `limit` values, but at least one, whose keys begin with a prefix, in the order of their
    /// keys, after a key.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub async fn scan(&self, prefix: &KeyPrefix, after: Option<&Key>, limit: usize) -> Result<Page, ReadError> {
        self.shared.horizon.head()?;
        let (scanned, version) = {
            // While this is held, no group is applied.
            let applied = self.shared.applied();
            let limit = limit.clamp(1, PAGE_ITEMS_MAX);
            (self.shared.trees.scan(prefix, after, limit, PAGE_BYTES_MAX)?, applied.version)
        };
        self.shared.horizon.reached(|head| head.version >= version).await?;
        let items = self.whole(scanned.items).await?;
        let next = items.last().map(|(key, _)| key.clone()).filter(|_| scanned.more);
        Ok(Page { items, next })
    }

    /// How far the audit log is durable.
    ///
    /// # Errors
    ///
    /// [`ReadError::Failed`]
    pub fn log_head(&self) -> Result<LogHead, ReadError> {
        let head = self.shared.horizon.head()?;
        Ok(self.log_head_of(head.size, head.last_link))
    }

    /// The same, as soon as there are at least this many entries.
    ///
    /// # Errors
    ///
    /// [`ReadError::Failed`], also while it waits.
    pub async fn log_reaches(&self, size: u64) -> Result<LogHead, ReadError> {
        let head = self.shared.horizon.reached(|head| head.size >= size).await?;
        Ok(self.log_head_of(head.size, head.last_link))
    }

    /// How many full bundles of entries are not in plain files yet, or the records of whose decisions are not. The last
    /// entry's bundle does not count, which stays where it is.
    ///
    /// # Errors
    ///
    /// [`ReadError::Failed`]
    pub fn unfiled_bundles(&self) -> Result<u64, ReadError> {
        let size = self.shared.horizon.head()?.size;
        let full = size.saturating_sub(1) / BUNDLE_ENTRIES;
        Ok(full.saturating_sub(self.shared.filed.load(Ordering::Relaxed)))
    }

    fn log_head_of(&self, size: u64, last_link: Link) -> LogHead {
        LogHead { log_id: self.shared.log.id.clone(), epoch: self.shared.log.epoch, size, last_link }
    }

    /// The whole name of an entry of the batch with this version. Those from before the log had to begin anew are in
    /// an earlier epoch.
    #[must_use]
    pub fn entry_ref(&self, version: u64, index: u64) -> EntryRef {
        let log = &self.shared.log;
        let epoch = log.earlier_of(version).map_or(log.epoch, |earlier| earlier.epoch);
        EntryRef { log_id: log.id.clone(), epoch, index }
    }

    /// The epochs of the log that have ended, in their order.
    #[must_use]
    pub fn earlier_epochs(&self) -> &[EarlierEpoch] {
        &self.shared.log.earlier
    }

    /// The bytes of an entry, if the log is that long.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, ReadError> {
        if index >= self.shared.horizon.head()?.size {
            return Ok(None);
        }
        self.proved_entry(&mut Proved::default(), index)
    }

    /// An entry that the log is long enough for, if it is what the tree has there.
    pub(crate) fn proved_entry(&self, proved: &mut Proved, index: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(bytes) = self.shared.bundled.entry(&self.shared.trees, index)? else { return Ok(None) };
        proved.entry(&self.shared, index, &bytes)?;
        Ok(Some(bytes))
    }

    /// At most `limit` entries from an index on; fewer when the log ends or they have many bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<StoredEntry>, ReadError> {
        let size = self.shared.horizon.head()?.size;
        let (mut entries, mut bytes_sum) = (Vec::new(), 0);
        let (mut stored, mut proved) = (InOrder::of(&self.shared.trees, &self.shared.bundled), Proved::default());
        for index in (from..size).take(limit.min(PAGE_ITEMS_MAX)) {
            let Some(bytes) = stored.entry(index)? else {
                let missing = StorageError::new(&format_args!("entry {index} of {size} is missing"));
                return Err(ReadError::Storage(missing));
            };
            proved.entry(&self.shared, index, &bytes)?;
            bytes_sum += bytes.len();
            entries.push(StoredEntry { index, bytes });
            if bytes_sum > PAGE_BYTES_MAX {
                break;
            }
        }
        Ok(entries)
    }

    /// The bytes of a full bundle of entries as C2SP tlog-tiles has them, if they are in a file. As long as they are
    /// not, [`Self::entries`] gives them one by one.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn bundle_file(&self, bundle: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let size = self.shared.horizon.head()?.size;
        if bundle >= size / BUNDLE_ENTRIES {
            return Ok(None);
        }
        let Some(whole) = self.shared.bundled.whole(&self.shared.trees, bundle)? else { return Ok(None) };
        Proved::default().bundle(&self.shared, bundle, whole.root())?;
        Ok(Some(whole.bytes))
    }

    /// The entries that were given away to files which are not there any more, in ranges. It looks at each bundle.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn lost_entries(&self) -> Result<Vec<Range<u64>>, ReadError> {
        let size = self.shared.horizon.head()?.size;
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for bundle in 0..size / BUNDLE_ENTRIES {
            if !self.shared.bundled.is_lost(&self.shared.trees, bundle)? {
                continue;
            }
            let (begin, end) = (bundle * BUNDLE_ENTRIES, (bundle + 1) * BUNDLE_ENTRIES);
            match ranges.last_mut().filter(|before| before.end == begin) {
                Some(before) => before.end = end,
                None => ranges.push(begin..end),
            }
        }
        Ok(ranges)
    }

    /// The hash of a perfect subtree; none if the log is not that long.
    pub fn hash(&self, id: NodeId) -> Result<Option<Hash>, ReadError> {
        let size = self.shared.horizon.head()?.size;
        let width = 1_u64.checked_shl(id.level.into());
        let end = width.and_then(|width| id.index.checked_add(1)?.checked_mul(width));
        if end.is_none_or(|end| end > size) {
            return Ok(None);
        }
        Ok(self.shared.bundled.node(&self.shared.trees, id)?)
    }

    /// The root of the tree over the first `size` entries.
    ///
    /// # Errors
    ///
    /// As [`Self::get`]; [`ReadError::BeyondEnd`] if the log is not that long.
    pub fn root(&self, size: u64) -> Result<Hash, ReadError> {
        let found = self.shared.horizon.head()?.size;
        if size > found {
            return Err(ReadError::BeyondEnd { asked: size, size: found });
        }
        Proved::default().root(&self.shared, size)
    }

    /// The proof that an entry is in the tree over the first `size` entries.
    ///
    /// # Errors
    ///
    /// As [`Self::root`]; [`ReadError::Tree`] if the entry is not within `size`.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, ReadError> {
        self.of_tree(size, |node| tree::inclusion_proof(index, size, node))
    }

    /// The proof that the tree over the first `new` entries begins with that over the first `old`.
    ///
    /// # Errors
    ///
    /// As [`Self::root`]; [`ReadError::Tree`] if `old` is more than `new`.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError> {
        self.of_tree(new, |node| tree::consistency_proof(old, new, node))
    }

    fn of_tree<T>(
        &self,
        asked: u64,
        compute: impl FnOnce(&dyn Fn(NodeId) -> Result<Option<Hash>, StorageError>) -> Result<T, TreeError<StorageError>>,
    ) -> Result<T, ReadError> {
        let size = self.shared.horizon.head()?.size;
        if asked > size {
            return Err(ReadError::BeyondEnd { asked, size });
        }
        compute(&|id| self.shared.bundled.node(&self.shared.trees, id))
            .map_err(|error| ReadError::Tree(Arc::new(error)))
    }
}
