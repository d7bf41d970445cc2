//! Decision records that nobody has any more.
//!
//! They are looked for when somebody wants to accept that. Whether base copies and journal have them is for a repair to find
//! out, before.

use std::collections::BTreeMap;
use std::sync::Arc;

use attorn_core::{DecisionId, TimeMs};
use attorn_log::Epoch;

use crate::commit::Store;
use crate::error::{ReadError, StorageError};
use crate::filed::{Filed, file_of};
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::records::RecordError;

/// A file with decision records, and what is lost of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFile {
    /// The epoch of their entries.
    pub epoch: Epoch,
    /// Which bundle these are in.
    pub bundle: u64,
    /// Where the file belongs, below the data directory.
    pub file: String,
    /// The decision that each is of, and its digest.
    pub records: Vec<(DecisionId, [u8; 32])>,
}

impl Store {
    /// The records of decisions that are in files, and cannot be had from there: the file is gone, or is not what was
    /// written.
    ///
    /// # Errors
    ///
    /// As [`Store::get`]; when a file cannot be read for another reason, which says nothing of what is in it.
    pub async fn lost_records(&self) -> Result<Vec<LostFile>, ReadError> {
        let shared = Arc::clone(&self.shared);
        let look = move || -> Result<Vec<LostFile>, ReadError> {
            let (mut lost, mut after) = (BTreeMap::<(u64, u64), Vec<(DecisionId, [u8; 32])>>::new(), None);
            let prefix = KeyPrefix::kind(KeyKind::Decision);
            loop {
                let page = shared.trees.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
                after = page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more);
                for (key, stored) in page.items {
                    let Some(filed) = Filed::of(&key, &stored.value) else { continue };
                    let decision = key.named_decision().ok_or_else(|| RecordError::no_decision(&key))?;
                    match shared.records.read(&key, &filed) {
                        Ok(_) => {}
                        Err(error) if error.is_lost() => {
                            lost.entry(filed.file()).or_default().push((decision, filed.digest()));
                        }
                        Err(error) => return Err(StorageError::from(error).into()),
                    }
                }
                if after.is_none() {
                    let one = |((epoch, bundle), records)| {
                        let file = file_of(epoch, bundle);
                        LostFile { epoch: Epoch(epoch), bundle, file, records }
                    };
                    return Ok(lost.into_iter().map(one).collect());
                }
            }
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.unwrap_or_else(|error| Err(StorageError::new(&error).into()))
    }

    /// When it was accepted that the record of a decision is lost: at that time the last of its file was. None where it can
    /// be read, or nobody has accepted that it cannot.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn lost_accepted_at(&self, decision: &DecisionId) -> Result<Option<TimeMs>, ReadError> {
        let key = Key::decision(decision);
        let filed = self.shared.trees.value(&key)?.and_then(|stored| Filed::of(&key, &stored.value));
        let Some(filed) = filed else { return Ok(None) };
        let records = self.shared.records.clone();
        let read = tokio::task::spawn_blocking(move || records.read(&key, &filed)).await;
        match read.map_err(|error| StorageError::new(&error))? {
            Ok(_) => Ok(None),
            Err(error) => self.accepted_at(&error),
        }
    }
}
