//! Which connections have a place: so many in all, so many of one address and of each party, and who has to go.
//!
//! To connect costs nothing and proves nothing. A connection is a *party's* while somebody was let in with its last
//! request, and a *stranger's* otherwise: whoever is refused, is suspended or asks for what anybody may is a stranger
//! from then on. If there is no place for somebody who comes, the stranger goes that has been there longest, first of
//! all among those of the same address. So requests that were half sent, however many and from however many addresses,
//! keep nobody out who sends a whole one: they have their places only as long as nobody else wants them.
//!
//! Whoever is let in keeps the place from strangers, and can do nothing else with it: each party has so many at most,
//! each kind of party has its share ([`party`]), and an address keeps a place for strangers as well. Beyond that the
//! party's with the most goes that is idle longest. Shares leave places over, so there is always a stranger who can go
//! for whoever comes: nobody waits for a place that nobody gives up, and an operator's request is always read.
//!
//! How long a connection may take for what it sends is no matter of this, but of [`super::listen`].

mod party;
mod table;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub(crate) use party::Party;
use table::{Full, Table};

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

/// All connections.
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    places_max: usize,
    table: Mutex<Table>,
    ended_for_room: AtomicU64,
    turned_away: AtomicU64,
    ended_beyond_share: AtomicU64,
}

/// The place of one connection, until it is dropped.
pub(crate) struct Place {
    let_in: LetIn,
    go: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

/// Where is noted who was let in on a connection.
#[derive(Clone)]
pub(crate) struct LetIn {
    connections: Arc<Connections>,
    number: u64,
    /// Whether anybody ever was.
    anybody: Arc<AtomicBool>,
}

/// A request on a connection, until it is answered to the end.
pub(crate) struct InFlight(LetIn);

impl Connections {
    /// So many in all, and so many of one address.
    pub(crate) fn new(places_max: usize, of_address_max: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            table: Mutex::new(Table::new(places_max, of_address_max)),
            ended_for_room: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            ended_beyond_share: AtomicU64::new(0),
        }
    }

    /// A place for somebody who came, as soon as whoever has to go for it has gone; none if all that their address may
    /// have are operators'.
    pub(crate) async fn place(self: &Arc<Self>, from: Remote) -> Option<Place> {
        let address = network(from.0);
        let Ok(made_room) = self.room_of(address) else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let places = || Arc::clone(&self.places);
        let permit = if let Ok(permit) = places().try_acquire_owned() {
            permit
        } else {
            if !made_room {
                let mut table = self.lock();
                let first = table.first();
                end(&mut table, first, &self.ended_for_room);
            }
            places().acquire_owned().await.ok()?
        };
        let go = Arc::new(Notify::new());
        let number = self.lock().add(address, Arc::clone(&go));
        let let_in = LetIn { connections: Arc::clone(self), number, anybody: Arc::default() };
        Some(Place { let_in, go, _permit: permit })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    /// How many were ended because others wanted their places, how many found none for their address, and how many were
    /// ended because their party, its kind or its address had more than its share.
    pub(crate) fn refused(&self) -> [u64; 3] {
        [&self.ended_for_room, &self.turned_away, &self.ended_beyond_share].map(|count| count.load(Ordering::Relaxed))
    }

    /// Have room for one more of this address: whether somebody had to go for it.
    fn room_of(&self, address: IpAddr) -> Result<bool, Full> {
        let mut table = self.lock();
        let in_the_way = table.in_the_way(address)?;
        end(&mut table, in_the_way, &self.ended_for_room);
        Ok(in_the_way.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tell a connection to go.
fn end(table: &mut Table, number: Option<u64>, count: &AtomicU64) {
    if let Some(go) = number.and_then(|number| table.remove(number)) {
        go.notify_one();
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Place {
    /// Where is noted that somebody was let in.
    pub(crate) const fn let_in(&self) -> &LetIn {
        &self.let_in
    }

    /// Wait until somebody else gets the place.
    pub(crate) async fn is_wanted(&self) {
        self.go.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let LetIn { connections, number, .. } = &self.let_in;
        connections.lock().remove(*number);
    }
}

impl LetIn {
    /// A request begins.
    pub(crate) fn begin(&self) -> InFlight {
        self.connections.lock().begin(self.number);
        InFlight(self.clone())
    }

    /// Somebody proved who they are.
    pub(crate) fn note(&self) {
        self.anybody.store(true, Ordering::Relaxed);
    }

    /// The connection is theirs, as long as each of its requests is let in.
    pub(crate) fn keep(&self, party: &Party) {
        let connections = &self.connections;
        let mut table = connections.lock();
        table.is_of(self.number, party);
        while let Some(number) = table.beyond(self.number) {
            end(&mut table, Some(number), &connections.ended_beyond_share);
        }
    }

    /// Whether anybody ever did.
    pub(super) fn was_noted(&self) -> bool {
        self.anybody.load(Ordering::Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let LetIn { connections, number, .. } = &self.0;
        connections.lock().end(*number);
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
