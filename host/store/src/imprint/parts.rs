//! The imprint of what base copy and journal come to, computed while they are read: no engine is made for it.
//!
//! Their checksums fit whatever somebody wrote. So whoever copies them, or relies on a copy, compares what they come to
//! with the imprint in them.
//!
//! A base copy is made while the store goes on, so it may have any value that a key had since it was begun; what the
//! journal says of a key after that is what counts. So the journal is read first, of which it is known by key what it
//! comes to, and then the base copy without that. It takes as much memory as the journal has keys.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use attorn_log::{Hash, NodeId, tree};

use super::{Imprint, ImprintError, ImprintKey, is_of_state};
use crate::base::{self, Base};
use crate::error::{PartsError, StorageError};
use crate::head;
use crate::journal::{self, JournalError};
use crate::redo::{Redo, Write};
use crate::trees::{HEAD_KEY, IMPRINT_KEY, TreeName, nodes_in};

/// What was read so far.
#[derive(Default)]
struct Found {
    /// What each key comes to that the journal has: what it adds to the sum, if it is not removed.
    later: HashMap<Vec<u8>, Imprint>,
    nodes: HashMap<u64, Vec<Hash>>,
    head: Option<Vec<u8>>,
    imprint: Option<Vec<u8>>,
}

/// Compute the imprint of what base copy and journal come to, and see whether it is the one that they have.
pub(crate) fn check_parts(
    key: &ImprintKey,
    (base, journal): (&Base, &Path),
    goes_on: &dyn Fn() -> bool,
) -> Result<(), PartsError> {
    let mut found = Found::default();
    journal::replay(journal, None, base.version, |redo: Redo| {
        if !goes_on() {
            return Err(JournalError::given_up(journal));
        }
        redo.writes.iter().for_each(|write| found.take_later(key, write));
        Ok(())
    })?;
    if found.head.is_none() {
        // Nothing came after the base copy.
        read_base(base, goes_on, |write| found.take_head(write))?;
    }
    let row = found.head.as_deref().ok_or(ImprintError::NotOfHere)?;
    let (log, head) = head::parse(row).map_err(ImprintError::from)?;
    let ends: HashSet<u64> = tree::edge(head.size).map(last_below).collect();
    let mut sum = Imprint::EMPTY;
    found.later.values().for_each(|value| sum.add(*value));
    let mut earlier = Found::default();
    read_base(base, goes_on, |write| {
        earlier.take_head(write);
        if let Some((index, hashes)) = nodes_in(write).filter(|(index, _)| ends.contains(index)) {
            earlier.nodes.insert(index, hashes);
        }
        if is_of_state(write)
            && !found.later.contains_key(&write.key)
            && let Some(value) = &write.value
        {
            sum.toggle(key, &write.key, value);
        }
    })?;
    let node = |id: NodeId| {
        let end = last_below(id);
        let hashes = found.nodes.get(&end).or_else(|| earlier.nodes.get(&end));
        Ok::<_, StorageError>(hashes.and_then(|hashes| hashes.get(usize::from(id.level)).copied()))
    };
    let root = tree::root(head.size, node).map_err(|_| ImprintError::NotOfHere)?;
    let row = found.imprint.or(earlier.imprint);
    Ok(Imprint::kept(key, row, (&log, &head), root)?.check_is(sum)?)
}

impl Found {
    fn take_later(&mut self, key: &ImprintKey, write: &Write) {
        self.take_head(write);
        if let Some((index, hashes)) = nodes_in(write) {
            self.nodes.insert(index, hashes);
        }
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

fn read_base(base: &Base, goes_on: &dyn Fn() -> bool, mut each: impl FnMut(&Write)) -> Result<(), PartsError> {
    base::read(base, |writes| {
        if !goes_on() {
            return Err(base.given_up());
        }
        writes.iter().for_each(&mut each);
        Ok(())
    })?;
    Ok(())
}

/// The last leaf below a node, with which it stands.
const fn last_below(id: NodeId) -> u64 {
    // It is one of a tree whose size is a u64.
    ((id.index + 1) << id.level) - 1
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
