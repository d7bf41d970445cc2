//! Who waits, and for whom.

use std::sync::Arc;

use attorn_api::ProblemCode;

use super::*;

fn from(text: &str) -> Remote {
    Remote(text.parse().unwrap())
}

fn named(name: &str) -> impl FnOnce() -> Option<String> {
    let name = name.to_owned();
    || Some(name)
}

fn noisy(strangers: &Strangers, remote: Remote) {
    (0..500).for_each(|_| strangers.refused(remote, None));
}

fn is_noisy(strangers: &Strangers, remote: Remote) -> bool {
    strangers.noise.is_of(network(remote.0), Instant::now())
}

#[test]
fn a_network_of_version_6_is_one_address() {
    let strangers = Strangers::new().unwrap();
    for host in 0..500 {
        strangers.refused(from(&format!("2001:db8:1:2::{host:x}")), None);
    }
    assert!(is_noisy(&strangers, from("2001:db8:1:2:ffff::1")));
    assert!(!is_noisy(&strangers, from("2001:db8:1:3::1")));
    noisy(&strangers, from("::ffff:192.0.2.1"));
    assert!(is_noisy(&strangers, from("192.0.2.1")));
}

/// Whether this would wait. It is asked once, and then it does not.
async fn waits<T>(entering: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        _ = entering => false,
        () = std::future::ready(()) => true,
    }
}

#[tokio::test]
async fn the_noisy_wait_for_each_other_and_nobody_waits_for_them() {
    let strangers = Strangers::new().unwrap();
    let (loud, louder, quiet) = (from("192.0.2.1"), from("192.0.2.3"), from("192.0.2.2"));
    noisy(&strangers, loud);
    noisy(&strangers, louder);
    let permits = strangers.agents.permits();
    let all = u32::try_from(permits.available_permits()).unwrap();
    let taken = permits.acquire_many(all).await.unwrap();
    assert!(strangers.enter(quiet, named("a")).await.unwrap().is_none());
    assert!(strangers.enter_as_user(loud).await.unwrap().is_some());
    let mut waiting: Vec<_> = (0..lane::WAITING_MAX).map(|_| Box::pin(strangers.enter(loud, || None))).collect();
    for entering in &mut waiting {
        assert!(waits(entering).await);
    }
    let refused = strangers.enter(loud, || None).await.unwrap_err();
    assert_eq!(refused.problem.code, ProblemCode::Busy);
    // However many wait of one address, there is room for others, and for users of the same.
    assert!(waits(strangers.enter(louder, || None)).await);
    assert!(strangers.enter_as_user(loud).await.unwrap().is_some());
    drop(taken);
    assert!(waiting.remove(0).await.unwrap().is_some());
    drop(waiting);
    assert!(strangers.enter(loud, || None).await.unwrap().is_some());
    assert!(strangers.agents.nobody_waits() && strangers.users.nobody_waits());
}

#[tokio::test]
async fn whoever_was_let_in_from_a_noisy_address_does_not_wait_for_strangers() {
    let strangers = Strangers::new().unwrap();
    let proxy = from("192.0.2.1");
    strangers.let_in(proxy, "bot".into());
    noisy(&strangers, proxy);
    let permits = strangers.agents.permits();
    let all = u32::try_from(permits.available_permits()).unwrap();
    let _taken = permits.acquire_many(all).await.unwrap();
    assert!(strangers.enter(proxy, named("bot")).await.unwrap().is_none());
    assert!(waits(strangers.enter(proxy, named("stranger"))).await);
    assert!(waits(strangers.enter(proxy, || None)).await);
    noisy(&strangers, from("192.0.2.9"));
    assert!(waits(strangers.enter(from("192.0.2.9"), named("bot"))).await, "it was let in elsewhere");
}

/// Anybody may know the thumbprint of an agent's key.
#[tokio::test]
async fn what_is_refused_under_an_agents_name_does_not_put_it_among_the_strangers() {
    let strangers = Strangers::new().unwrap();
    let proxy = from("192.0.2.1");
    for name in ["bot", "other", "quiet"] {
        strangers.let_in(proxy, name.into());
    }
    for name in ["bot", "other", "nobody"] {
        (0..500).for_each(|_| strangers.refused(proxy, Some(name.into())));
    }
    // The strangers' lane is full, and longer than anybody waits.
    let permits = strangers.agents.permits();
    let all = u32::try_from(permits.available_permits()).unwrap();
    let _taken = permits.acquire_many(all).await.unwrap();
    let turn = strangers.enter(proxy, named("bot")).await.unwrap();
    assert!(turn.is_some(), "who uses its name is authenticated at no bounded rate");
    // Whoever comes by the same name waits for it; by one that nobody disputes, for nothing; by none, for strangers.
    assert!(waits(strangers.enter(proxy, named("bot"))).await);
    assert!(strangers.enter(proxy, named("quiet")).await.unwrap().is_none());
    assert!(waits(strangers.enter(proxy, named("nobody"))).await);
    drop(turn);
    // However many wait under one name, they have one turn at a time, and the other name has the next.
    let first = strangers.enter(proxy, named("bot")).await.unwrap();
    let mut flood: Vec<_> = (0..100).map(|_| Box::pin(strangers.enter(proxy, named("bot")))).collect();
    for entering in &mut flood {
        assert!(waits(entering).await);
    }
    drop(first);
    let second = flood.remove(0).await.unwrap();
    let mut other = Box::pin(strangers.enter(proxy, named("other")));
    let waited = waits(&mut other).await;
    drop(second);
    if waited {
        assert!(other.await.unwrap().is_some(), "it had to wait for more than one of another name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_of_noisy_addresses_are_done_by_threads_of_their_own() {
    let strangers = Arc::new(Strangers::new().unwrap());
    let (loud, quiet) = (from("192.0.2.1"), from("192.0.2.2"));
    noisy(&strangers, loud);
    let thread = || async { std::thread::current().name().map(str::to_owned) };
    assert_eq!(strangers.handshake(loud, thread()).await.flatten().as_deref(), Some("handshakes"));
    assert_ne!(strangers.handshake(quiet, thread()).await.flatten().as_deref(), Some("handshakes"));
    // Whoever waits for its client holds no thread.
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let strangers = Arc::clone(&strangers);
            tokio::spawn(async move { strangers.handshake(loud, std::future::pending::<()>()).await })
        })
        .collect();
    assert!(strangers.handshake(loud, thread()).await.is_some());
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}
