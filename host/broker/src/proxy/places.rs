//! Places among those who ask a service at once. One agent has half of them at most, so that whatever it does with its
//! own, others are answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use attorn_core::AgentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one service.
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// How many of them one agent has at most.
    share: usize,
    /// The shares of those who hold or await a place.
    shares: Mutex<HashMap<AgentId, Arc<Semaphore>>>,
}

/// A place. Whoever has it holds it until the answer has ended.
pub struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_share: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(most: u32) -> Self {
        let (all, share) = (Arc::new(Semaphore::new(most as usize)), most.div_ceil(2) as usize);
        Self { all, share, shares: Mutex::default() }
    }

    /// A place for this agent, as soon as there is one.
    pub(super) async fn take(&self, agent: &AgentId) -> Option<Place> {
        // The share first: whoever waits for that keeps no place from others.
        let of_share = self.share_of(agent).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _of_all: of_all, _of_share: of_share })
    }

    fn share_of(&self, agent: &AgentId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds a place or awaits one holds its share, too.
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        Arc::clone(shares.entry(agent.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn taken(places: &Places, agent: &AgentId) -> Option<Place> {
        let mut taking = pin!(places.take(agent));
        match taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => place,
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_agent_never_has_all_places_and_gives_back_what_it_has() {
        let (one, other): (AgentId, AgentId) = ("one".parse().unwrap(), "other".parse().unwrap());
        let places = Places::new(3);
        let first = taken(&places, &one).unwrap();
        let _second = taken(&places, &one).unwrap();
        assert!(taken(&places, &one).is_none(), "half of three is two");
        let third = taken(&places, &other).unwrap();
        drop(first);
        let again = taken(&places, &one);
        assert!(again.is_some());
        assert!(taken(&places, &other).is_none(), "no place is left");
        drop((again, third));
        assert!(taken(&places, &other).is_some());
        assert!(places.shares.lock().unwrap().len() <= 2);
    }

    #[test]
    fn shares_of_those_who_left_are_forgotten() {
        let places = Places::new(2);
        for at in 0..100 {
            assert!(taken(&places, &format!("agent-{at}").parse().unwrap()).is_some());
        }
        assert_eq!(places.shares.lock().unwrap().len(), 1);
    }

    #[test]
    fn where_there_is_one_place_it_is_anybodys() {
        let places = Places::new(1);
        assert!(taken(&places, &"one".parse().unwrap()).is_some());
    }
}
