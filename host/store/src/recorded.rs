//! What is recorded, as a value. Whoever holds one knows that its record is on disk.

use attorn_core::{Grant, TimeMs};
use attorn_log::EntryRef;

use crate::records::{GrantRecord, Kept, Record as _, RecordError, RecordProblem};

/// A value whose batch is durable: state, entries and all. Only this crate makes one, after a commit
/// or from what it has read of durable state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<T> {
    value: T,
    version: u64,
    entries: Vec<EntryRef>,
}

impl<T> Recorded<T> {
    pub(crate) const fn new(value: T, version: u64, entries: Vec<EntryRef>) -> Self {
        Self { value, version, entries }
    }

    /// The value.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// The version of all that its batch wrote.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The entries of its batch, in their order.
    #[must_use]
    pub fn entries(&self) -> &[EntryRef] {
        &self.entries
    }
}

impl<T> Recorded<Option<T>> {
    /// What was recorded, if anything of it is a value.
    #[must_use]
    pub fn transpose(self) -> Option<Recorded<T>> {
        let Self { value, version, entries } = self;
        value.map(|value| Recorded { value, version, entries })
    }
}

/// A grant as it stands in durable state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGrant {
    /// The version of its record.
    pub version: u64,
    /// The entries of the batch that made it what it is.
    pub entries: Vec<EntryRef>,
    record: GrantRecord,
}

impl StoredGrant {
    pub(crate) const fn new(record: GrantRecord, version: u64, entries: Vec<EntryRef>) -> Self {
        Self { version, entries, record }
    }

    /// Its record: what is sealed in it, and whose key opens that.
    #[must_use]
    pub const fn record(&self) -> &GrantRecord {
        &self.record
    }

    /// Whether it still stands. What is sealed in it has been opened to these bytes; whoever calls vouches that nothing
    /// else made them than the user's key, which is not known here.
    pub fn standing(self, opened: Option<&[u8]>) -> Result<GrantStanding, RecordError> {
        let Self { version, entries, record } = self;
        let key = record.key();
        let grant = match (record.grant, opened) {
            (Kept::Plain(grant), _) => *grant,
            (Kept::Sealed { .. }, Some(opened)) => GrantRecord::decode_grant(&key, opened)?,
            (Kept::Sealed { .. }, None) => {
                return Err(RecordError::new(&key, RecordProblem::Meaning("it was not opened".to_owned())));
            }
        };
        Ok(match record.revoked_at {
            Some(revoked_at) => GrantStanding::Revoked { grant, revoked_at },
            None => GrantStanding::Granted(Recorded::new(grant, version, entries)),
        })
    }
}

/// Whether a grant still stands. Whether it has expired depends on the time, which the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantStanding {
    /// It does; credentials may be issued from it.
    Granted(Recorded<Grant>),
    /// It was revoked; nothing can be issued from it.
    Revoked {
        /// What it was.
        grant: Grant,
        /// When it was revoked.
        revoked_at: TimeMs,
    },
}
