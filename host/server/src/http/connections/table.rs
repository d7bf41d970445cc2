//! Which connections there are, whose they are, and who goes first. Nobody is told anything here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use super::party::{Kind, Party};

/// INVARIANT: each connection in `here` stands in the sets of its address; besides, a party's stands in those of the
/// party and its kind, and nobody's in `strangers`. No set of an address or a party is empty. Who has been told to go
/// stands in none.
pub(super) struct Table {
    places_max: usize,
    of_address_max: usize,
    /// By the order in which they came.
    here: BTreeMap<u64, Here>,
    addresses: HashMap<IpAddr, Address>,
    strangers: BTreeSet<u64>,
    parties: HashMap<Party, BTreeSet<u64>>,
    kinds: [BTreeSet<u64>; Kind::ALL.len()],
    next: u64,
    uses: u64,
}

#[derive(Default)]
struct Address {
    strangers: BTreeSet<u64>,
    /// All parties' but operators'.
    let_in: BTreeSet<u64>,
    operators: BTreeSet<u64>,
}

struct Here {
    address: IpAddr,
    go: Arc<Notify>,
    /// Who was let in with the last request; none for strangers.
    party: Option<Party>,
    /// Whether a request is in flight, and whether somebody was let in with it.
    busy: bool,
    proved: bool,
    /// The larger, the later it was used.
    used: u64,
}

impl Address {
    fn count(&self) -> usize {
        self.strangers.len() + self.let_in.len() + self.operators.len()
    }

    fn of(&mut self, party: Option<&Party>) -> &mut BTreeSet<u64> {
        match party {
            None => &mut self.strangers,
            Some(Party::Operator(_)) => &mut self.operators,
            Some(_) => &mut self.let_in,
        }
    }
}

impl Table {
    pub(super) fn new(places_max: usize, of_address_max: usize) -> Self {
        Self {
            places_max,
            of_address_max,
            here: BTreeMap::new(),
            addresses: HashMap::new(),
            strangers: BTreeSet::new(),
            parties: HashMap::new(),
            kinds: Default::default(),
            next: 0,
            uses: 0,
        }
    }

    /// One more, a stranger's as yet.
    pub(super) fn add(&mut self, address: IpAddr, go: Arc<Notify>) -> u64 {
        let (number, used) = (self.next, self.use_now());
        self.next += 1;
        self.here.insert(number, Here { address, go, party: None, busy: false, proved: false, used });
        self.enter(number, address, None);
        number
    }

    /// Take one out: how it is told to go.
    pub(super) fn remove(&mut self, number: u64) -> Option<Arc<Notify>> {
        let Here { address, go, party, .. } = self.here.remove(&number)?;
        self.leave(number, address, party.as_ref());
        Some(go)
    }

    /// A request begins on it.
    pub(super) fn begin(&mut self, number: u64) {
        let used = self.use_now();
        if let Some(here) = self.here.get_mut(&number) {
            (here.busy, here.proved, here.used) = (true, false, used);
        }
    }

    /// The request has ended. If nobody was let in with it, the connection is a stranger's now, whoever had it before.
    pub(super) fn end(&mut self, number: u64) {
        let used = self.use_now();
        let Some(here) = self.here.get_mut(&number) else { return };
        (here.busy, here.used) = (false, used);
        if !here.proved {
            self.set(number, None);
        }
    }

    /// Somebody was let in with the request.
    pub(super) fn is_of(&mut self, number: u64, party: &Party) {
        if let Some(here) = self.here.get_mut(&number) {
            here.proved = true;
            self.set(number, Some(party));
        }
    }

    /// Who goes because somebody was let in on this connection, and now there are more than may be: of this party, of
    /// its kind, or of its address.
    pub(super) fn beyond(&self, number: u64) -> Option<u64> {
        let here = self.here.get(&number)?;
        let party = here.party.as_ref()?;
        let (share, none) = (party.kind().share(self.places_max), BTreeSet::new());
        let theirs = self.parties.get(party).unwrap_or(&none);
        if theirs.len() > share.of_one_max {
            return self.first_of(theirs);
        }
        let of_kind = &self.kinds[party.kind() as usize];
        if of_kind.len() > share.of_all_max {
            return self.first_of(of_kind);
        }
        // A place is left there for whoever comes next.
        let let_in_max = (self.of_address_max - (self.of_address_max / 16).max(1)).max(1);
        let there = self.addresses.get(&here.address)?;
        let is_beyond = there.let_in.len() + there.operators.len() > let_in_max;
        if is_beyond { self.first_of(&there.let_in) } else { None }
    }

    /// Who goes so that one more of this address has room; an error if nobody does, and none if there is room.
    pub(super) fn in_the_way(&self, address: IpAddr) -> Result<Option<u64>, Full> {
        let Some(address) = self.addresses.get(&address).filter(|there| there.count() >= self.of_address_max) else {
            return Ok(None);
        };
        let stranger = address.strangers.first().copied();
        stranger.or_else(|| self.first_of(&address.let_in)).map(Some).ok_or(Full)
    }

    /// Who goes if there is no place at all; none if all were told to go already.
    pub(super) fn first(&self) -> Option<u64> {
        // Shares leave places to strangers, so there is one. If there were none, nobody should wait for ever.
        self.strangers.first().copied().or_else(|| self.here.keys().next().copied())
    }

    /// Who goes first of these: of the party that has the most of them, one on which no request is in flight, and of
    /// those the one that was used least lately.
    fn first_of(&self, these: &BTreeSet<u64>) -> Option<u64> {
        let here = || these.iter().filter_map(|number| Some((*number, self.here.get(number)?)));
        let mut counts: HashMap<Option<&Party>, usize> = HashMap::new();
        for (_, here) in here() {
            *counts.entry(here.party.as_ref()).or_default() += 1;
        }
        let of_party = |here: &Here| counts.get(&here.party.as_ref()).copied();
        here().max_by_key(|(_, here)| (of_party(here), !here.busy, Reverse(here.used))).map(|(number, _)| number)
    }

    fn set(&mut self, number: u64, party: Option<&Party>) {
        let Some(here) = self.here.get_mut(&number).filter(|here| here.party.as_ref() != party) else { return };
        let (address, before) = (here.address, std::mem::replace(&mut here.party, party.cloned()));
        self.leave(number, address, before.as_ref());
        self.enter(number, address, party);
    }

    fn enter(&mut self, number: u64, address: IpAddr, party: Option<&Party>) {
        self.addresses.entry(address).or_default().of(party).insert(number);
        let Some(party) = party else {
            self.strangers.insert(number);
            return;
        };
        self.kinds[party.kind() as usize].insert(number);
        self.parties.entry(party.clone()).or_default().insert(number);
    }

    fn leave(&mut self, number: u64, address: IpAddr, party: Option<&Party>) {
        if let Some(there) = self.addresses.get_mut(&address) {
            there.of(party).remove(&number);
            if there.count() == 0 {
                self.addresses.remove(&address);
            }
        }
        let Some(party) = party else {
            self.strangers.remove(&number);
            return;
        };
        self.kinds[party.kind() as usize].remove(&number);
        if let Some(theirs) = self.parties.get_mut(party) {
            theirs.remove(&number);
            if theirs.is_empty() {
                self.parties.remove(party);
            }
        }
    }

    const fn use_now(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let Self { here, addresses, strangers, parties, kinds, .. } = self;
        here.is_empty()
            && addresses.is_empty()
            && strangers.is_empty()
            && parties.is_empty()
            && kinds.iter().all(BTreeSet::is_empty)
    }
}

/// All connections of an address are operators', who go for nobody there.
#[derive(Debug)]
pub(super) struct Full;
