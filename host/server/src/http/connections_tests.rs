//! Who has a place, and who goes.

use super::*;

fn from(text: &str) -> Remote {
    Remote(text.parse().unwrap())
}

fn of_host(n: usize) -> Remote {
    from(&format!("192.0.2.{n}"))
}

/// Whether a connection has been told to go.
fn is_told(place: &Place) -> bool {
    let told = std::pin::pin!(place.is_wanted());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    told.poll(&mut context).is_ready()
}

/// Which of these connections have been told to go.
fn told(places: &[Place]) -> Vec<usize> {
    places.iter().enumerate().filter(|(_, place)| is_told(place)).map(|(n, _)| n).collect()
}

#[tokio::test]
async fn who_sends_nothing_goes_when_there_is_no_place_and_who_was_let_in_stays() {
    let connections = Arc::new(Connections::new(4, 4));
    let mut places = Vec::new();
    for n in 0..4 {
        places.push(connections.place(of_host(n)).await.unwrap());
    }
    assert_eq!(connections.count(), 4);
    places[0].let_in().note();
    places[2].let_in().note();
    for (n, oldest) in [(4, 1), (5, 3)] {
        let coming = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.place(of_host(n)).await }
        });
        // It has the place as soon as the one that was there has gone.
        places[oldest].is_wanted().await;
        assert!(!coming.is_finished());
        let gone = std::mem::replace(&mut places[oldest], connections_of_nobody().await);
        drop(gone);
        let came = coming.await.unwrap().unwrap();
        came.let_in().note();
        assert_eq!(told(&places), [0_usize; 0]);
        places.push(came);
    }
    assert_eq!((connections.count(), connections.refused()), (4, [2, 0]));
    // Now all were let in, and whoever comes waits.
    let mut coming = std::pin::pin!(connections.place(of_host(6)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(coming.as_mut().poll(&mut context).is_pending());
    assert_eq!(told(&places), [0_usize; 0]);
    places.pop();
    assert!(coming.await.is_some());
}

/// A place that has nothing to do with the others.
async fn connections_of_nobody() -> Place {
    Arc::new(Connections::new(1, 1)).place(of_host(99)).await.unwrap()
}

#[tokio::test]
async fn an_address_has_its_share_and_its_own_oldest_stranger_goes_first() {
    let connections = Arc::new(Connections::new(16, 3));
    let (greedy, other) = (from("192.0.2.1"), from("192.0.2.2"));
    let first = connections.place(other).await.unwrap();
    let mut places = Vec::new();
    for _ in 0..5 {
        places.push(connections.place(greedy).await.unwrap());
    }
    assert_eq!(told(&places), [0, 1]);
    assert!(!is_told(&first), "one of another address went");
    // Where somebody was let in on each, one more of that address is turned away, and nobody else is.
    places.drain(..2);
    for place in &places {
        place.let_in().note();
    }
    assert!(connections.place(greedy).await.is_none());
    let more = connections.place(other).await.unwrap();
    assert_eq!(connections.refused(), [2, 1]);
    drop((first, more));
    places.pop();
    assert!(connections.place(greedy).await.is_some());
}

#[tokio::test]
async fn a_network_of_version_6_has_one_share_and_nothing_is_kept_of_who_has_gone() {
    let connections = Arc::new(Connections::new(16, 2));
    let mut places = Vec::new();
    for host in 1..=3 {
        places.push(connections.place(from(&format!("2001:db8::{host}"))).await.unwrap());
    }
    assert_eq!(told(&places), [0]);
    drop(places);
    let table = connections.lock();
    assert!(table.here.is_empty() && table.addresses.is_empty() && table.strangers.is_empty());
    assert_eq!(connections.count(), 0);
}
