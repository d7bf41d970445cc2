//! Reading many entries, and going on after those that cannot be read.

use crate::bundled::BUNDLE_ENTRIES;
use crate::commit::Store;
use crate::error::ReadError;
use crate::proved::Proved;

/// Reads entries one by one, and a file of theirs that is bad once.
pub struct EntryReader<'a> {
    store: &'a Store,
    /// The last bundle whose file was bad, and why.
    bad: Option<(u64, ReadError)>,
    proved: Proved,
}

impl EntryReader<'_> {
    /// As [`Store::entry`].
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let bundle = index / BUNDLE_ENTRIES;
        if let Some((bad, error)) = &self.bad
            && *bad == bundle
            && self.store.shared.trees.entry(index)?.is_none()
        {
            return Err(error.clone());
        }
        if index >= self.store.log_head()?.size {
            return Ok(None);
        }
        let read = self.store.proved_entry(&mut self.proved, index);
        if let Err(error) = &read
            && error.damage().is_some()
        {
            self.bad = Some((bundle, error.clone()));
        }
        read
    }
}

impl Store {
    /// For whoever reads many entries, and goes on after those that cannot be read.
    #[must_use]
    pub fn entry_reader(&self) -> EntryReader<'_> {
        EntryReader { store: self, bad: None, proved: Proved::default() }
    }
}
