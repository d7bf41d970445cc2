//! What several tests of this crate need.

use std::str::FromStr;

use attorn_core::{CounterSubject, CounterWindow, TimeMs};
use attorn_log::{EntryBody, LogId};
use tempfile::TempDir;

use crate::batch::{Add, Batch};
use crate::commit::Store;
use crate::key::Key;

pub(crate) fn id<T: FromStr<Err = attorn_core::ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn log() -> LogId {
    id("test")
}

/// A new directory with an empty store in it.
pub(crate) fn new_store() -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), log()).unwrap();
    (dir, store)
}

pub(crate) fn meta(n: u64) -> Key {
    Key::meta(&id(&format!("value-{n}")))
}

pub(crate) fn counter(n: u64) -> Key {
    Key::counter(&id("policy"), &id("requests"), &CounterSubject::Agent(id("bot")), CounterWindow::Total, TimeMs(n))
}

pub(crate) fn body(n: u64) -> EntryBody {
    EntryBody::parse(&format!("{{\"n\":{n}}}")).unwrap()
}

pub(crate) fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new(TimeMs(1_000));
    fill(&mut batch);
    batch
}

pub(crate) fn put(n: u64, value: &str) -> Batch {
    batch(|batch| batch.put.push((meta(n), value.into())))
}

pub(crate) fn add(n: u64, delta: i64, at_most: u64) -> Add {
    Add { key: counter(n), delta, at_most }
}
