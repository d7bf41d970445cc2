//! What is recorded, as a value. Whoever holds one knows that its record is on disk.

use attorn_core::{Grant, TimeMs};
use attorn_log::EntryRef;

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
    /// Whether it still stands.
    pub standing: GrantStanding,
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
