//! Who has a place, and who goes.

use futures_util::FutureExt as _;

use super::party::Kind;
use super::*;

fn from(text: &str) -> Remote {
    Remote(text.parse().unwrap())
}

fn of_host(n: usize) -> Remote {
    from(&format!("192.0.2.{n}"))
}

fn agent(name: &str) -> Party {
    Party::Agent(name.parse().unwrap())
}

fn operator(name: &str) -> Party {
    Party::Operator(Some(name.parse().unwrap()))
}

/// A whole request with which this party is let in.
fn asks(place: &Place, party: &Party) {
    let in_flight = place.let_in().begin();
    place.let_in().keep(party);
    drop(in_flight);
}

/// A whole request with which nobody is let in.
fn is_refused(place: &Place) {
    drop(place.let_in().begin());
}

/// A place that nobody has to go for, or whoever has to has gone.
fn at_once(connections: &Arc<Connections>, from: Remote) -> Place {
    connections.place(from).now_or_never().expect("somebody has to go first").expect("turned away")
}

/// Whether a connection has been told to go.
fn is_told(place: &Place) -> bool {
    place.is_wanted().now_or_never().is_some()
}

/// Which of these connections have been told to go.
fn told(places: &[Place]) -> Vec<usize> {
    places.iter().enumerate().filter(|(_, place)| is_told(place)).map(|(n, _)| n).collect()
}

#[tokio::test]
async fn who_sends_nothing_goes_when_there_is_no_place_and_who_was_let_in_stays() {
    let connections = Arc::new(Connections::new(16, 16));
    let mut places: Vec<_> = (0..16).map(|n| at_once(&connections, of_host(n))).collect();
    assert_eq!(connections.count(), 16);
    asks(&places[0], &agent("one"));
    asks(&places[2], &operator("alice"));
    for (n, oldest) in [(16, 1), (17, 3)] {
        let coming = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.place(of_host(n)).await }
        });
        // It has the place as soon as the one that was there has gone.
        places[oldest].is_wanted().await;
        assert!(!coming.is_finished());
        let gone = std::mem::replace(&mut places[oldest], connections_of_nobody());
        drop(gone);
        let came = coming.await.unwrap().unwrap();
        assert_eq!(told(&places), [0_usize; 0]);
        places.push(came);
    }
    assert_eq!((connections.count(), connections.refused()), (16, [2, 0, 0]));
}

/// A place that has nothing to do with the others.
fn connections_of_nobody() -> Place {
    at_once(&Arc::new(Connections::new(1, 1)), of_host(99))
}

#[tokio::test]
async fn one_agent_has_its_part_and_keeps_nobody_out_from_however_many_addresses() {
    let connections = Arc::new(Connections::new(64, 8));
    let mut places: Vec<_> = (0..64).map(|n| at_once(&connections, of_host(n / 8))).collect();
    for place in &places {
        asks(place, &agent("flood"));
    }
    // The ones that were idle longest went.
    assert_eq!(told(&places), (0..60).collect::<Vec<_>>());
    assert_eq!(connections.refused(), [0, 0, 60]);
    places.drain(..60);
    let others: Vec<_> = (0..60).map(|n| at_once(&connections, of_host(8 + n / 8))).collect();
    assert!(told(&others).is_empty() && told(&places).is_empty());
}

#[tokio::test]
async fn of_a_kind_the_party_with_the_most_goes_first_and_of_it_who_is_idle_longest() {
    let connections = Arc::new(Connections::new(64, 64));
    let mut places = Vec::new();
    let mut come = |party: Party| {
        places.push(at_once(&connections, of_host(1)));
        asks(places.last().unwrap(), &party);
        told(&places)
    };
    // A half of all is for agents.
    let none = [0_usize; 0];
    for n in 0..30 {
        assert_eq!(come(agent(&format!("agent-{}", n / 4))), none);
    }
    assert_eq!(come(agent("quiet")), none);
    assert_eq!(come(agent("shy")), none);
    // Neither the two that have one each, nor the last, who has two.
    assert_eq!(come(agent("late")), [0]);
    let _answered = {
        let (second, third) = (&places[1], &places[2]);
        asks(third, &agent("agent-0"));
        second.let_in().begin()
    };
    let mut come = |party: Party| {
        places.push(at_once(&connections, of_host(1)));
        asks(places.last().unwrap(), &party);
        told(&places)
    };
    // The first agent has three now, and six others have four.
    for n in [4, 8, 12, 16, 20, 24] {
        assert_eq!(come(agent(&format!("latest-{n}"))), [n]);
    }
    // All have three, and a request is in flight on the first agent's second; its third was used lately.
    assert_eq!(come(agent("last")), [3]);
    assert_eq!(come(agent("very-last")), [5]);
    // None of this is anything to resource servers and operators.
    assert_eq!(come(Party::ResourceServer("news".parse().unwrap())), none);
    assert_eq!(come(operator("alice")), none);
}

#[tokio::test]
async fn a_connection_is_a_strangers_again_when_nobody_is_let_in_with_a_request() {
    let connections = Arc::new(Connections::new(16, 4));
    let mut places: Vec<_> = (0..3).map(|_| at_once(&connections, of_host(1))).collect();
    for (place, party) in places.iter().zip([agent("one"), agent("two"), operator("alice")]) {
        asks(place, &party);
    }
    places.push(at_once(&connections, of_host(1)));
    // Whoever is refused, a suspended agent and a revoked operator among them.
    is_refused(&places[1]);
    is_refused(&places[2]);
    for oldest in [1, 2, 3] {
        places.push(at_once(&connections, of_host(1)));
        assert_eq!(told(&places), [oldest]);
    }
    // As long as the request is not answered the place is kept.
    let in_flight = places[0].let_in().begin();
    places.push(at_once(&connections, of_host(1)));
    assert_eq!(told(&places), [4]);
    drop(in_flight);
    places.push(at_once(&connections, of_host(1)));
    assert_eq!(told(&places), [0]);
}

#[tokio::test]
async fn an_address_has_its_share_and_its_own_oldest_stranger_goes_first() {
    let connections = Arc::new(Connections::new(64, 3));
    let (greedy, other) = (from("192.0.2.1"), from("192.0.2.2"));
    let first = at_once(&connections, other);
    let mut places: Vec<_> = (0..5).map(|_| at_once(&connections, greedy)).collect();
    assert_eq!(told(&places), [0, 1]);
    assert!(!is_told(&first), "one of another address went");
    places.drain(..2);
    // Where somebody was let in on each, one place is left for whoever comes next.
    asks(&places[0], &agent("one"));
    asks(&places[1], &agent("two"));
    asks(&places[2], &agent("two"));
    assert_eq!(told(&places), [1]);
    places.remove(1);
    places.push(at_once(&connections, greedy));
    assert_eq!(told(&places), [0_usize; 0]);
    // An operator is read, and stays; an agent goes for them.
    asks(&places[2], &operator("alice"));
    assert_eq!(told(&places), [0]);
    places.remove(0);
    assert_eq!(connections.refused(), [2, 0, 2]);
}

#[tokio::test]
async fn operators_go_for_nobody_but_themselves() {
    let connections = Arc::new(Connections::new(256, 2));
    let mut places: Vec<_> = (0..2).map(|_| at_once(&connections, of_host(1))).collect();
    for place in &places {
        asks(place, &operator("alice"));
    }
    assert!(connections.place(of_host(1)).await.is_none(), "an operator went for a stranger");
    assert_eq!((told(&places), connections.refused()), (vec![], [0, 1, 0]));
    // One operator has a part, too: four of these.
    for n in 2..5 {
        places.push(at_once(&connections, of_host(n)));
        asks(&places[n], &operator("alice"));
    }
    assert_eq!(told(&places), [0]);
}

#[test]
fn the_shares_of_all_kinds_leave_places_to_whoever_comes() {
    for places_max in [16, 100, 512, CONNECTIONS_MAX] {
        let shares = Kind::ALL.map(|kind| kind.share(places_max));
        assert!(shares.iter().all(|share| share.of_one_max <= share.of_all_max), "{shares:?}");
        let of_all: usize = shares.iter().map(|share| share.of_all_max).sum();
        assert!(of_all <= places_max - places_max / 16, "{shares:?}");
    }
}

#[tokio::test]
async fn a_network_of_version_6_has_one_share_and_nothing_is_kept_of_who_has_gone() {
    let connections = Arc::new(Connections::new(16, 2));
    let mut places = Vec::new();
    for host in 1..=3 {
        places.push(at_once(&connections, from(&format!("2001:db8::{host}"))));
    }
    assert_eq!(told(&places), [0]);
    asks(&places[1], &Party::User(attorn_core::Digest::from_bytes([7; 32])));
    let late = places[1].let_in().begin();
    drop(places);
    drop(late);
    assert!(connections.lock().is_empty());
    assert_eq!(connections.count(), 0);
}
