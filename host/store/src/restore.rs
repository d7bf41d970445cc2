//! A store out of a backup, and the new epoch in which it goes on.
//!
//! [`Store::unpack`] gives a store that is what it was, which nobody may serve: since the backup things were
//! granted, used and revoked that it does not know, and its log would go on differently from the one that others
//! have seen. [`Store::begin_epoch`] makes the store that may: with the same state, at the same version, and an
//! empty log under a later epoch's name. What the old epoch's entries say has to be kept before that by whoever
//! calls, and what was granted has to be ended; neither is done here.

use std::path::Path;

use attorn_log::{Epoch, Link};

use crate::backup::{self, BackupError};
use crate::base;
use crate::commit::Store;
use crate::error::{OpenError, StorageError};
use crate::far;
use crate::head::{EarlierEpoch, Head, LogName};
use crate::imprint;
use crate::journal;
use crate::ours::Ours;
use crate::redo::Write;
use crate::setup::Setup;
use crate::trees::TreeName;

/// About how many bytes are taken over at a time.
const PAGE_BYTES: usize = 256 << 10;

impl Store {
    /// Make the store that a backup was made of, in a directory where there is none.
    pub fn unpack(backup: &Path, dir: &Path, ours: &Ours) -> Result<Self, BackupError> {
        let (base, journal) = backup::parts(backup)?;
        Self::create_at(dir, &ours.key, Setup::usual(), |places, trees| {
            let store = base::read(&base, |writes| trees.take_over(&writes).map_err(opened))?;
            let end = journal::replay(&journal, Some(store), base.version, |redo| {
                trees.take_over(&redo.writes).map_err(opened)
            })?;
            trees.forget_filed().map_err(opened)?;
            let (name, head) = trees.head().map_err(opened)?.ok_or_else(no_head)?;
            if name.id != ours.log {
                return Err(OpenError::OtherLog { expected: ours.log.clone(), found: name.id }.into());
            }
            if head.version != end.version {
                return Err(no_head());
            }
            imprint::check(&ours.key, trees, &name, &head).map_err(OpenError::from)?;
            // `create_at` has made it, and it is empty.
            std::fs::remove_dir(&places.blobs)
                .map_err(|source| BackupError::Io { path: places.blobs.clone(), source })?;
            backup::copy_plain(backup, &places.dir, name.epoch)?;
            Ok((name, head))
        })
    }

    /// Make a store with the same state and an empty log under the name of a later epoch, in a directory where there
    /// is none. Nothing may be committed to this one meanwhile.
    pub fn begin_epoch(&self, dir: &Path, next: Epoch) -> Result<Self, OpenError> {
        let durable = self.shared.horizon.head().map_err(|error| StorageError::new(&error))?;
        let old = &self.shared.log;
        if next <= old.epoch {
            return Err(OpenError::Inconsistent(format!("epoch {next} does not come after epoch {}", old.epoch)));
        }
        let mut earlier = old.earlier.clone();
        earlier.push(EarlierEpoch { epoch: old.epoch, version: durable.version, size: durable.size });
        let name = LogName { id: old.id.clone(), epoch: next, earlier };
        let head = Head { version: durable.version, size: 0, last_link: Link::NONE };
        Self::create_at(dir, &self.shared.key, Setup::usual(), |_, trees| {
            let (mut after, mut taken_over): (Option<Vec<u8>>, u64) = (None, 0);
            loop {
                let page = self.shared.trees.page(TreeName::State, after.as_deref(), PAGE_BYTES)?;
                let Some((last, _)) = page.last() else { return Ok((name, head)) };
                after = Some(last.clone());
                taken_over += page.len() as u64;
                far::say("values taken over", taken_over, 0);
                let write = |(key, value)| Write { tree: TreeName::State, key, value: Some(value) };
                trees.take_over(&page.into_iter().map(write).collect::<Vec<_>>())?;
            }
        })
    }
}

fn opened(error: StorageError) -> BackupError {
    OpenError::Storage(error).into()
}

fn no_head() -> BackupError {
    OpenError::Inconsistent("the backup has no head".to_owned()).into()
}
