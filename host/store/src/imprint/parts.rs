//! The imprint of what base copy and journal come to, computed while they are read: no engine is made for it.
//!
//! Their checksums fit whatever somebody wrote. So whoever copies them, or relies on a copy, compares what they come to
//! with the imprint in them: the state, and the log with the root of its tree ([`crate::parts::LogOfParts`]).
//!
//! A base copy is made while the store goes on, so it may have any value that a key had since it was begun; what the
//! journal says of a key after that is what counts. So the journal is read first, of which it is known by key what it
//! comes to, and then the base copy without that. It takes as much memory as the journal has keys.

use std::collections::HashMap;
use std::path::Path;

use super::{Imprint, ImprintError, ImprintKey, is_of_state};
use crate::base::Base;
use crate::bundled::Bundled;
use crate::error::PartsError;
use crate::head;
use crate::parts::{self, LogOfParts};
use crate::redo::Write;
use crate::trees::{HEAD_KEY, IMPRINT_KEY, TreeName};

/// What was read so far.
#[derive(Default)]
struct Found {
    /// What each key comes to that the journal has: what it adds to the sum, if it is not removed.
    later: HashMap<Vec<u8>, Imprint>,
    head: Option<Vec<u8>>,
    imprint: Option<Vec<u8>>,
}

/// Compute the imprint of what base copy and journal come to, and see whether it is the one that they have.
pub(crate) fn check_parts(
    key: &ImprintKey,
    (base, journal): (&Base, &Path),
    bundled: &Bundled,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), PartsError> {
    let (mut found, mut entries) = (Found::default(), LogOfParts::new(bundled));
    parts::replay(base, journal, goes_on, |write| {
        found.take_later(key, write);
        Ok(entries.take_later(write)?)
    })?;
    let mut sum = Imprint::EMPTY;
    found.later.values().for_each(|value| sum.add(*value));
    let mut earlier = Found::default();
    parts::read_base(base, goes_on, |write| {
        earlier.take_head(write);
        entries.take_earlier(write)?;
        if is_of_state(write)
            && !found.later.contains_key(&write.key)
            && let Some(value) = &write.value
        {
            sum.toggle(key, &write.key, value);
        }
        Ok(())
    })?;
    let row = found.head.or(earlier.head).ok_or(ImprintError::NotOfHere)?;
    let (log, head) = head::parse(&row).map_err(ImprintError::from)?;
    let root = entries.root(head.size)?;
    let row = found.imprint.or(earlier.imprint);
    Ok(Imprint::kept(key, row, (&log, &head), root)?.check_is(sum)?)
}

impl Found {
    fn take_later(&mut self, key: &ImprintKey, write: &Write) {
        self.take_head(write);
        if is_of_state(write) {
            let mut adds = Imprint::EMPTY;
            if let Some(value) = &write.value {
                adds.toggle(key, &write.key, value);
            }
            self.later.insert(write.key.clone(), adds);
        }
    }

    fn take_head(&mut self, Write { tree, key, value }: &Write) {
        match key.as_slice() {
            HEAD_KEY if *tree == TreeName::Head => self.head.clone_from(value),
            IMPRINT_KEY if *tree == TreeName::Head => self.imprint.clone_from(value),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
