//! A batch: everything that one commit asks for, as data.
//!
//! What a batch says is checked here as far as it can be without the state; whether it may happen is
//! decided by the writer, in one place and in one order.

use std::collections::BTreeSet;

use attorn_core::TimeMs;
use attorn_log::EntryBody;

use crate::key::{KEY_BYTES_MAX, Key, KeyKind};
use crate::records::Record;

/// The most bytes that one value has.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// The most requirements, adds, puts, deletes and entries that one batch has, together.
pub const BATCH_ITEMS_MAX: usize = 1_024;
/// The most bytes that one batch has over all its values and entries.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Changes that happen all together or not at all, if everything that they require holds.
///
/// Requirements are checked against the state before the batch. Then the adds are made, one after the
/// other; then values are put and deleted, and the entries are appended in their order.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The caller's time; requirements of expiry are checked against it.
    pub now: TimeMs,
    /// What must hold.
    pub require: Vec<(Key, Require)>,
    /// Counters to be changed.
    pub add: Vec<Add>,
    /// Values to be written.
    pub put: Vec<(Key, Vec<u8>)>,
    /// Keys to be removed; one that is not there is no error.
    pub delete: Vec<Key>,
    /// Lines to be appended to the audit log.
    pub entries: Vec<EntryBody>,
}

/// What must hold of a key for its batch to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    /// It has no value.
    Absent,
    /// It has the value that was written with this version.
    Version(u64),
    /// It has a value, and the batch's `now` is before this time.
    Unexpired {
        /// From when on the value does not count any more.
        expires_at: TimeMs,
    },
}

/// A change of a counter. A counter that was never changed stands at 0, and none goes below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// Which counter.
    pub key: Key,
    /// By how much.
    pub delta: i64,
    /// The counter must not stand above this afterwards.
    pub at_most: u64,
}

impl Batch {
    /// A batch that does nothing yet.
    #[must_use]
    pub const fn new(now: TimeMs) -> Self {
        Self { now, require: Vec::new(), add: Vec::new(), put: Vec::new(), delete: Vec::new(), entries: Vec::new() }
    }

    /// Write a record under its own key.
    pub fn put_record<R: Record>(&mut self, record: &R) {
        self.put.push((record.key(), record.encode()));
    }

    /// Whether it may end what hangs on something: a grant, and what was issued of it. A grant that comes with its
    /// decision is a new one.
    pub(crate) fn may_end_something(&self) -> bool {
        let written = || self.put.iter().map(|(key, _)| key).chain(&self.delete).map(Key::kind);
        let decides = written().any(|kind| kind == Some(KeyKind::Decision));
        written().any(|kind| match kind {
            Some(KeyKind::Grant) => !decides,
            Some(kind) => !kind.ends_nothing(),
            None => true,
        })
    }

    /// How many bytes its values and entries have.
    pub(crate) fn bytes(&self) -> usize {
        self.put.iter().map(|(_, value)| value.len()).sum::<usize>()
            + self.entries.iter().map(|body| body.as_str().len()).sum::<usize>()
    }

    /// Whether it could happen under any state.
    pub(crate) fn check(&self) -> Result<(), BatchError> {
        let items = self.require.len() + self.add.len() + self.put.len() + self.delete.len() + self.entries.len();
        if items > BATCH_ITEMS_MAX {
            return Err(BatchError::TooManyItems { items });
        }
        if items == self.require.len() {
            return Err(BatchError::Empty);
        }
        for (key, value) in &self.put {
            if value.len() > VALUE_BYTES_MAX {
                return Err(BatchError::ValueTooLarge { key: key.clone(), bytes: value.len() });
            }
        }
        let bytes = self.bytes();
        if bytes > BATCH_BYTES_MAX {
            return Err(BatchError::TooLarge { bytes });
        }
        self.check_keys()
    }

    fn check_keys(&self) -> Result<(), BatchError> {
        let is_counter = |key: &Key| key.kind().is_some_and(KeyKind::is_counter);
        let written = || self.put.iter().map(|(key, _)| key).chain(&self.delete);
        let mut seen = BTreeSet::new();
        for key in written() {
            if !seen.insert(key) {
                return Err(BatchError::KeyTwice { key: key.clone() });
            }
        }
        for add in &self.add {
            if !is_counter(&add.key) {
                return Err(BatchError::NotACounter { key: add.key.clone() });
            }
            if seen.contains(&add.key) {
                return Err(BatchError::KeyTwice { key: add.key.clone() });
            }
        }
        if let Some((key, _)) = self.put.iter().find(|(key, _)| is_counter(key)) {
            return Err(BatchError::IsACounter { key: key.clone() });
        }
        let all = written().chain(self.add.iter().map(|add| &add.key)).chain(self.require.iter().map(|(key, _)| key));
        for key in all {
            if key.as_bytes().len() > KEY_BYTES_MAX {
                return Err(BatchError::KeyTooLong { key: key.clone() });
            }
        }
        Ok(())
    }
}

/// Why a batch can never happen. Nothing that a client sends should lead here: it is a mistake of the
/// caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It changes nothing.
    #[error("the batch changes nothing")]
    Empty,
    /// Something is to count as recorded, and nothing is recorded.
    #[error("the batch has no entry, so nothing would be recorded")]
    NoEntry,
    /// It asks for too much at once.
    #[error("the batch has {items} items, and {BATCH_ITEMS_MAX} is the most")]
    TooManyItems {
        /// How much.
        items: usize,
    },
    /// It writes too much at once.
    #[error("the batch has {bytes} bytes, and {BATCH_BYTES_MAX} is the most")]
    TooLarge {
        /// How much.
        bytes: usize,
    },
    /// A value has too many bytes.
    #[error("the value of `{key}` has {bytes} bytes, and {VALUE_BYTES_MAX} is the most")]
    ValueTooLarge {
        /// Whose value.
        key: Key,
        /// How many it has.
        bytes: usize,
    },
    /// A key has too many bytes.
    #[error("`{key}` has more than {KEY_BYTES_MAX} bytes")]
    KeyTooLong {
        /// The key.
        key: Key,
    },
    /// Which of two changes is meant cannot be known.
    #[error("`{key}` is changed in two ways")]
    KeyTwice {
        /// The key.
        key: Key,
    },
    /// An add to something else than a counter.
    #[error("`{key}` is no counter")]
    NotACounter {
        /// The key.
        key: Key,
    },
    /// A put to a counter.
    #[error("`{key}` is a counter, which only adds change")]
    IsACounter {
        /// The key.
        key: Key,
    },
}

#[cfg(test)]
mod tests {
    use attorn_core::GrantId;

    use super::*;

    fn meta(name: &str) -> Key {
        Key::meta(&name.parse().unwrap())
    }

    fn uses() -> Key {
        Key::grant_uses(&GrantId::from_random([0; 16]))
    }

    fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
        let mut batch = Batch::new(TimeMs(0));
        fill(&mut batch);
        batch
    }

    #[track_caller]
    fn refused(fill: impl FnOnce(&mut Batch), message: &str) {
        assert_eq!(batch(fill).check().unwrap_err().to_string(), message);
    }

    #[test]
    fn batches_that_mean_nothing_or_too_much_are_refused() {
        let add = |key: Key| Add { key, delta: 1, at_most: 1 };
        refused(|_| {}, "the batch changes nothing");
        refused(|batch| batch.require.push((meta("a"), Require::Absent)), "the batch changes nothing");
        refused(
            |batch| batch.delete = vec![meta("a"); BATCH_ITEMS_MAX + 1],
            "the batch has 1025 items, and 1024 is the most",
        );
        refused(
            |batch| batch.put.push((meta("a"), vec![0; VALUE_BYTES_MAX + 1])),
            "the value of `meta/a` has 65537 bytes, and 65536 is the most",
        );
        refused(
            |batch| batch.put = (0..17).map(|n| (meta(&format!("a{n}")), vec![0; VALUE_BYTES_MAX])).collect(),
            "the batch has 1114112 bytes, and 1048576 is the most",
        );
        refused(|batch| batch.delete = vec![meta("a"), meta("a")], "`meta/a` is changed in two ways");
        refused(
            |batch| {
                batch.put.push((meta("a"), Vec::new()));
                batch.delete.push(meta("a"));
            },
            "`meta/a` is changed in two ways",
        );
        let uses_text = uses().to_string();
        refused(
            |batch| {
                batch.add.push(add(uses()));
                batch.delete.push(uses());
            },
            &format!("`{uses_text}` is changed in two ways"),
        );
        refused(|batch| batch.add.push(add(meta("a"))), "`meta/a` is no counter");
        refused(
            |batch| batch.put.push((uses(), Vec::new())),
            &format!("`{uses_text}` is a counter, which only adds change"),
        );
        let mut long = meta("a");
        for _ in 0..60 {
            long = Key::expiry(TimeMs(0), &long);
        }
        refused(|batch| batch.delete.push(long.clone()), &format!("`{long}` has more than 1024 bytes"));
    }

    #[test]
    fn what_may_end_something_is_told_from_what_never_does() {
        let grant = Key::grant(&GrantId::from_random([0; 16]));
        let decision = Key::decision(&attorn_core::DecisionId::from_random([0; 16]));
        let put = |keys: &[&Key]| {
            let put = keys.iter().map(|key| ((*key).clone(), Vec::new())).collect();
            batch(|batch| batch.put = put).may_end_something()
        };
        assert!(!put(&[&decision]) && !put(&[&decision, &grant]));
        assert!(put(&[&grant]) && put(&[&meta("a")]) && put(&[&decision, &Key::freeze()]));
        assert!(batch(|batch| batch.delete.push(Key::freeze())).may_end_something());
        assert!(put(&[&Key::from_stored(b"unknown")]));
        assert!(!batch(|batch| batch.add.push(Add { key: uses(), delta: 1, at_most: 1 })).may_end_something());
    }

    #[test]
    fn a_batch_at_its_limits_is_taken() {
        let full = batch(|batch| {
            batch.put = (0..16).map(|n| (meta(&format!("a{n}")), vec![0; VALUE_BYTES_MAX])).collect();
            batch.add = vec![Add { key: uses(), delta: 1, at_most: 2 }; 2];
            batch.require = vec![(meta("b"), Require::Absent); BATCH_ITEMS_MAX - 18];
        });
        assert_eq!(full.check(), Ok(()));
    }
}
