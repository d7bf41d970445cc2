//! Which connections have a place: so many in all, so many of one address, and who has to go when there is none.
//!
//! To connect costs nothing and proves nothing. Whoever is let in on a connection keeps its place there. Of the others
//! the one that has been there longest goes when somebody comes for whom there is no place, first of all among those of
//! the same address. So requests that were half sent, however many and from however many addresses, keep nobody out who
//! sends a whole one: they have their places only as long as nobody else wants them.
//!
//! How long a connection may take for what it sends is no matter of this, but of [`super::listen`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::http::strangers::{Remote, network};

/// The most connections at a time.
pub(crate) const CONNECTIONS_MAX: usize = 4_096;
/// How many files are left for all else: the store, components, providers, witnesses.
const OTHER_FILES: u64 = 512;

/// How many connections there may be: fewer where the system lets this process open few files, so that strangers never
/// take the store's. The soft limit, which is there for programs that count in bits, is raised as far as it may be.
pub(crate) fn places_max() -> usize {
    let (limit, wanted) = (getrlimit(Resource::Nofile), CONNECTIONS_MAX as u64 + OTHER_FILES);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // Where it cannot be raised, it is as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = files.saturating_sub(OTHER_FILES).max(files / 2);
    usize::try_from(places).map_or(CONNECTIONS_MAX, |places| places.min(CONNECTIONS_MAX))
}

/// Whether anybody proved on a connection who they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct LetIn(Arc<AtomicBool>);

impl LetIn {
    /// Somebody did.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// All connections.
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    places_max: usize,
    /// How many of them one address may have.
    of_address_max: usize,
    table: Mutex<Table>,
    ended_for_room: AtomicU64,
    turned_away: AtomicU64,
}

/// INVARIANT: an address stands in `addresses` as long as one of its connections stands in `here`. Who has been told to
/// go stands in neither.
#[derive(Default)]
struct Table {
    /// By the order in which they came.
    here: BTreeMap<u64, Here>,
    addresses: HashMap<IpAddr, Address>,
    /// Those on which nobody had been let in when somebody looked last.
    strangers: BTreeSet<u64>,
    next: u64,
}

#[derive(Default)]
struct Address {
    connections: usize,
    strangers: BTreeSet<u64>,
}

struct Here {
    address: IpAddr,
    let_in: LetIn,
    go: Arc<Notify>,
}

/// The place of one connection, until it is dropped.
pub(crate) struct Place {
    connections: Arc<Connections>,
    number: u64,
    let_in: LetIn,
    go: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// So many in all, and so many of one address.
    pub(crate) fn new(places_max: usize, of_address_max: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            of_address_max,
            table: Mutex::default(),
            ended_for_room: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        }
    }

    /// A place for somebody who came; none if their address has all that it may, and somebody was let in on each. While
    /// somebody was let in on each of all connections, this waits for one to end.
    pub(crate) async fn place(self: &Arc<Self>, from: Remote) -> Option<Place> {
        let address = network(from.0);
        if !self.has_room(address) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let places = || Arc::clone(&self.places);
        let permit = if let Ok(permit) = places().try_acquire_owned() {
            permit
        } else {
            self.end_oldest();
            places().acquire_owned().await.ok()?
        };
        let (let_in, go) = (LetIn::default(), Arc::new(Notify::new()));
        let number = self.lock().add(Here { address, let_in: let_in.clone(), go: Arc::clone(&go) });
        Some(Place { connections: Arc::clone(self), number, let_in, go, _permit: permit })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    /// How many were ended because others wanted their places, and how many found none for their address.
    pub(crate) fn refused(&self) -> [u64; 2] {
        [self.ended_for_room.load(Ordering::Relaxed), self.turned_away.load(Ordering::Relaxed)]
    }

    /// Whether there is room for one more of this address, now that its oldest stranger has gone if there was none.
    fn has_room(&self, address: IpAddr) -> bool {
        let mut table = self.lock();
        let is_full = |table: &Table| {
            table.addresses.get(&address).is_some_and(|address| address.connections >= self.of_address_max)
        };
        if !is_full(&table) {
            return true;
        }
        let Some(number) = table.oldest_stranger_of(address) else { return false };
        self.end(&mut table, number);
        true
    }

    fn end_oldest(&self) {
        let mut table = self.lock();
        if let Some(number) = table.oldest_stranger() {
            self.end(&mut table, number);
        }
    }

    fn end(&self, table: &mut Table, number: u64) {
        if let Some(here) = table.remove(number) {
            here.go.notify_one();
            self.ended_for_room.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, here: Here) -> u64 {
        let number = self.next;
        self.next += 1;
        let address = self.addresses.entry(here.address).or_default();
        address.connections += 1;
        address.strangers.insert(number);
        self.strangers.insert(number);
        self.here.insert(number, here);
        number
    }

    fn remove(&mut self, number: u64) -> Option<Here> {
        let here = self.here.remove(&number)?;
        self.strangers.remove(&number);
        if let Some(address) = self.addresses.get_mut(&here.address) {
            address.strangers.remove(&number);
            address.connections -= 1;
            if address.connections == 0 {
                self.addresses.remove(&here.address);
            }
        }
        Some(here)
    }

    fn oldest_stranger(&mut self) -> Option<u64> {
        while let Some(number) = self.strangers.first().copied() {
            if self.is_stranger(number) {
                return Some(number);
            }
        }
        None
    }

    fn oldest_stranger_of(&mut self, address: IpAddr) -> Option<u64> {
        while let Some(number) = self.addresses.get(&address)?.strangers.first().copied() {
            if self.is_stranger(number) {
                return Some(number);
            }
        }
        None
    }

    /// Whether nobody was let in on this connection yet. Where somebody was, it is no stranger's from now on.
    fn is_stranger(&mut self, number: u64) -> bool {
        let Some(here) = self.here.get(&number) else {
            self.strangers.remove(&number);
            return false;
        };
        if !here.let_in.was_noted() {
            return true;
        }
        self.strangers.remove(&number);
        if let Some(address) = self.addresses.get_mut(&here.address) {
            address.strangers.remove(&number);
        }
        false
    }
}

impl Place {
    /// Where is noted that somebody was let in.
    pub(crate) fn let_in(&self) -> &LetIn {
        &self.let_in
    }

    /// Wait until somebody else gets the place.
    pub(crate) async fn is_wanted(&self) {
        self.go.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(self.number);
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
