//! When keys are fetched, with a clock that the test sets.

use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use super::*;

fn set(names: &[&str]) -> IssuerKeys {
    // Any 32 bytes will do: nothing is verified here.
    let key = |name: &&str| format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{name}","x":"{}"}}"#, "A".repeat(43));
    let keys: Vec<String> = names.iter().map(key).collect();
    IssuerKeys::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
}

#[derive(Default)]
struct Scene {
    slot: Arc<Slot>,
    fetches: AtomicUsize,
}

impl Scene {
    /// Ask at a time, while the provider would answer so; whether the key is among those that came.
    async fn ask(&self, key_id: &str, at_ms: u64, answer: Result<&[&str], FetchError>) -> Result<bool, FetchError> {
        let fetch = || {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            ready(answer.map(set))
        };
        let keys = self.slot.keys(Some(key_id), TimeMs(1_000_000 + at_ms), fetch).await?;
        Ok(keys.has(Some(key_id)))
    }
}

const DOWN: Result<&[&str], FetchError> = Err(FetchError::TimedOut);

#[tokio::test]
async fn unknown_keys_have_them_fetched_once_in_half_a_minute() {
    let scene = Scene::default();
    assert_eq!(scene.ask("a", 0, Ok(&["a"])).await, Ok(true));
    for n in 0..100 {
        assert_eq!(scene.ask(&format!("made-up-{n}"), 1_000 + n, Ok(&["a"])).await, Ok(false));
    }
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 2);
    assert_eq!(scene.ask("b", 30_999, Ok(&["a", "b"])).await, Ok(false));
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 2);
    assert_eq!(scene.ask("b", 31_000, Ok(&["b"])).await, Ok(true));
    // The key that was rotated out is not known any more.
    assert_eq!(scene.ask("a", 31_001, Ok(&["b"])).await, Ok(false));
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn known_keys_have_them_fetched_when_they_are_ten_minutes_old() {
    let scene = Scene::default();
    assert_eq!(scene.ask("a", 0, Ok(&["a"])).await, Ok(true));
    assert_eq!(scene.ask("a", FRESH_MS - 1, Ok(&["b"])).await, Ok(true));
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 1);
    assert_eq!(scene.ask("a", FRESH_MS, Ok(&["b"])).await, Ok(false));
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_twice_a_minute_and_its_keys_serve_for_an_hour() {
    let scene = Scene::default();
    assert_eq!(scene.ask("a", 0, DOWN).await, Err(FetchError::TimedOut));
    for at_ms in [1, 15_000, PAUSE_MS - 1] {
        assert_eq!(scene.ask("a", at_ms, Ok(&["a"])).await, Err(FetchError::TimedOut));
    }
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 1);
    assert_eq!(scene.ask("a", PAUSE_MS, Ok(&["a"])).await, Ok(true));
    let from = PAUSE_MS;
    for at_ms in (FRESH_MS..USABLE_MS).step_by(10_000) {
        assert_eq!(scene.ask("a", from + at_ms, DOWN).await, Ok(true), "{at_ms}");
    }
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 2 + 100);
    assert_eq!(scene.ask("a", from + USABLE_MS, DOWN).await, Err(FetchError::TimedOut));
    assert_eq!(scene.ask("a", from + USABLE_MS + PAUSE_MS, Ok(&["a"])).await, Ok(true));
}

#[tokio::test]
async fn an_unknown_key_does_not_help_against_the_pause_after_a_failure() {
    let scene = Scene::default();
    assert_eq!(scene.ask("a", 0, Ok(&["a"])).await, Ok(true));
    assert_eq!(scene.ask("x", 1_000, DOWN).await, Ok(false));
    assert_eq!(scene.ask("y", 2_000, Ok(&["y"])).await, Ok(false));
    assert_eq!(scene.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn one_fetches_and_others_wait_for_it() {
    let slot = Arc::new(Slot::default());
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let first = slot.keys(Some("a"), TimeMs(5_000), || async move {
        wait.await.unwrap();
        Ok(set(&["a"]))
    });
    let others = (0..32).map(|_| slot.keys(Some("a"), TimeMs(4_000), || async { panic!("a second fetch") }));
    let others = futures_util::future::join_all(others);
    let go = async {
        tokio::task::yield_now().await;
        go.send(()).unwrap();
    };
    let (first, others, ()) = tokio::join!(first, others, go);
    assert!(first.is_ok() && others.iter().all(Result::is_ok));
}

/// Else somebody who asks and hangs up would have us fetch without end.
#[tokio::test]
async fn a_fetch_that_began_ends_whoever_hangs_up() {
    let slot = Arc::new(Slot::default());
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    {
        let asked = pin!(slot.keys(Some("a"), TimeMs(5_000), || async move {
            wait.await.unwrap();
            Ok(set(&["a"]))
        }));
        assert!(asked.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let mut second = pin!(slot.keys(Some("a"), TimeMs(5_001), || async { panic!("a second fetch") }));
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    go.send(()).unwrap();
    assert!(second.await.is_ok());
}
