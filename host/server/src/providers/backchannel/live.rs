//! What is known of providers that users are asked at while the server runs: how each behaves, who is at work, and what
//! connects to them. None of it is durable.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use attorn_broker::breaker::{Breaker, Leave};
use attorn_core::{AgentId, ApprovalId, ProviderId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::client::Network;
use crate::random;

/// How many prompts of one provider are worked on at once.
const AT_ONCE: usize = 16;
/// How many of those are one agent's: a provider may hold each back for as long as anybody waits, and then the users of
/// other agents still have places.
const AT_ONCE_PER_AGENT: usize = 4;

/// All of it.
pub(crate) struct Backchannels {
    pub(super) network: Network,
    providers: Mutex<HashMap<ProviderId, Arc<Live>>>,
    working: Arc<Mutex<Working>>,
    /// Some place has come free.
    pub(super) wake: Notify,
}

/// Which prompts are worked on, and for which agent at which provider.
type Working = HashMap<ApprovalId, (ProviderId, AgentId)>;

/// A provider.
pub(super) struct Live {
    at_once: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    since: Instant,
}

/// Leave to work on one prompt. Whoever drops it works no more.
pub(super) struct Place {
    working: Arc<Mutex<Working>>,
    approval: ApprovalId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.working.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.approval);
    }
}

impl Backchannels {
    /// Nothing is known yet; the address is the server's own.
    pub(crate) fn new(own: SocketAddr) -> Self {
        let (providers, working) = (Mutex::default(), Arc::default());
        Self { network: Network::new(own), providers, working, wake: Notify::new() }
    }

    /// There are no more of these than registered providers.
    pub(super) fn live(&self, id: &ProviderId) -> Arc<Live> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(providers.entry(id.clone()).or_insert_with(|| {
            let at_once = Arc::new(Semaphore::new(AT_ONCE));
            Arc::new(Live { at_once, breaker: Mutex::default(), since: Instant::now() })
        }))
    }

    /// Of these prompts of a provider, the earliest first, those that are to be worked on, as agents take turns: none on
    /// which somebody works, and no more of one agent than it has places.
    pub(super) fn turns(&self, provider: &ProviderId, due: Vec<(AgentId, ApprovalId)>) -> Vec<(AgentId, ApprovalId)> {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places: BTreeMap<AgentId, usize> = BTreeMap::new();
        for (_, agent) in working.values().filter(|(at, _)| at == provider) {
            *places.entry(agent.clone()).or_default() += 1;
        }
        take_turns(places, due.into_iter().filter(|(_, approval)| !working.contains_key(approval)).collect())
    }

    /// Leave to work on a prompt; none if somebody does.
    pub(super) fn begin(&self, provider: &ProviderId, (agent, approval): (AgentId, ApprovalId)) -> Option<Place> {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        if working.contains_key(&approval) {
            return None;
        }
        working.insert(approval, (provider.clone(), agent));
        Some(Place { working: Arc::clone(&self.working), approval })
    }
}

/// The turn of each is how many of its agent's come before it.
fn take_turns(mut places: BTreeMap<AgentId, usize>, due: Vec<(AgentId, ApprovalId)>) -> Vec<(AgentId, ApprovalId)> {
    let turn = |(agent, approval): (AgentId, ApprovalId)| {
        let taken = places.entry(agent.clone()).or_default();
        *taken += 1;
        (*taken, (agent, approval))
    };
    let mut turns: Vec<_> = due.into_iter().map(turn).filter(|(turn, _)| *turn <= AT_ONCE_PER_AGENT).collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, prompt)| prompt).collect()
}

impl Live {
    /// A place among those who work on this provider's prompts; none if all are taken, or it is left alone for now.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.at_once).try_acquire_owned().ok()?;
        match self.breaker().ask(self.now_ms()) {
            Leave::Ask | Leave::Probe => Some(place),
            Leave::Wait(_) => None,
        }
    }

    /// What came of it: whether it answered, if it was asked anything.
    pub(super) fn came(&self, answered: Option<bool>) {
        let now_ms = self.now_ms();
        let mut breaker = self.breaker();
        match answered {
            None => breaker.not_asked(now_ms),
            Some(true) => drop(breaker.good()),
            Some(false) => breaker.bad(now_ms, random::number()),
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_take_turns_and_none_has_all_places() {
        let prompt = |agent: &str, n: u8| (agent.parse::<AgentId>().unwrap(), ApprovalId::from_random([n; 16]));
        let eager = (0..160).map(|n| prompt("eager", n));
        let due: Vec<_> = eager.chain([prompt("other", 200), prompt("other", 201), prompt("third", 210)]).collect();
        let names = |turns: Vec<(AgentId, ApprovalId)>| -> Vec<String> {
            turns.iter().map(|(agent, _)| agent.to_string()).collect()
        };
        let at_first = names(take_turns(BTreeMap::new(), due.clone()));
        assert_eq!(at_first, ["eager", "other", "third", "eager", "other", "eager", "eager"]);
        // Whoever has places waits for those who have none.
        let places = BTreeMap::from([("eager".parse().unwrap(), 3), ("other".parse().unwrap(), 1)]);
        assert_eq!(names(take_turns(places, due)), ["third", "other", "other", "eager"]);
    }

    #[test]
    fn one_that_is_worked_on_is_not_begun_again() {
        let backchannels = Backchannels::new("127.0.0.1:1".parse().unwrap());
        let (provider, other): (ProviderId, ProviderId) = ("main".parse().unwrap(), "other".parse().unwrap());
        let prompt = |n: u8| ("bot".parse::<AgentId>().unwrap(), ApprovalId::from_random([n; 16]));
        let due: Vec<_> = (0..9).map(prompt).collect();
        let place = backchannels.begin(&provider, prompt(0)).unwrap();
        assert!(backchannels.begin(&provider, prompt(0)).is_none());
        assert_eq!(backchannels.turns(&provider, due.clone()), [prompt(1), prompt(2), prompt(3)]);
        assert_eq!(backchannels.turns(&other, due.clone()).len(), 4);
        drop(place);
        assert_eq!(backchannels.turns(&provider, due)[0], prompt(0));
    }
}
