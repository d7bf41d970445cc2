//! Traces of decisions: there for whoever asks for them, free for whoever does not, and without anything
//! that agents sent or policies wrote.
//!
//! Each test has a runtime of one thread, so that what it listens to is its own server's.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attorn_tests::provider::{KeyKind, Mood};
use attorn_tests::world::ask_with;
use attorn_tests::{Provider, World, components};
use serde_json::{Value, json};
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;

/// What was written, as lines of JSON.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Listen from this level on, also to spans that begin.
    fn from(level: Level) -> (Self, DefaultGuard) {
        let captured = Self::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt().json().with_max_level(level).with_span_events(FmtSpan::NEW);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        (captured, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The events with this message.
    fn events(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["fields"]["message"] == message).collect()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A world where a policy and a shadow policy say and write something, and a decision of it.
async fn decided() -> (World, String) {
    let world = World::new().await;
    world.activate("talks", components::bytes("logs"), json!({})).await;
    world.activate_with("whispers", components::bytes("logs"), json!({}), json!({ "mode": "shadow" })).await;
    let private = json!({ "arguments": { "section": "argument-of-agent" }, "claims": { "mood": "claim-of-agent" } });
    let decided = world.bot.decide(&ask_with(private)).await;
    // When these are there, the shadow policy has been asked.
    for _ in 0..400 {
        let logs: Value = world.staff.auditor.get("/v1/policy-logs?policy=whispers").await.json();
        if logs["lines"].as_array().is_some_and(|lines| !lines.is_empty()) {
            return (world, decided.decision_id);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the shadow policy was never asked");
}

#[tokio::test]
async fn a_decision_can_be_followed_to_each_policy() {
    let (captured, _guard) = Captured::from(Level::DEBUG);
    let (_world, decision_id) = decided().await;

    let evaluated = captured.events("evaluated");
    let expect = [("decision", "read-only"), ("decision", "talks"), ("shadow", "whispers")];
    assert_eq!(evaluated.len(), expect.len(), "{evaluated:?}");
    for (event, (span, policy)) in evaluated.iter().zip(expect) {
        assert_eq!(event["level"], "DEBUG");
        assert_eq!((&event["span"]["name"], &event["span"]["decision_id"]), (&json!(span), &json!(decision_id)));
        let fields = &event["fields"];
        assert_eq!(
            (&fields["policy"], &fields["version"], &fields["outcome"]),
            (&json!(policy), &json!(1), &json!("allow"))
        );
        assert!(fields["cpu_us"].is_u64(), "{event}");
    }
    let decided = captured.events("decided");
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert_eq!(
        (&decided[0]["span"]["agent"], &decided[0]["fields"]["decision"]),
        (&json!("support-bot"), &json!("allow"))
    );
    assert_eq!(decided[0]["span"]["decision_id"], decision_id.as_str());

    let text = captured.text();
    for private in ["argument-of-agent", "claim-of-agent", "billing", "forged"] {
        assert!(!text.contains(private), "`{private}` is in a trace");
    }
}

/// Whoever finds a token in a log can use it. What fails is logged by the provider's id and a code.
#[tokio::test]
async fn a_provider_s_token_is_in_no_trace() {
    let (captured, _guard) = Captured::from(Level::DEBUG);
    let world = World::without_policy().await;
    let provider = Provider::start(KeyKind::Es256).await;
    world.staff.registrar.post("/v1/providers", &provider.configuration("main", json!({}))).await.expect(201);
    let good = provider.user_token(json!({ "sub": "subject-of-token" }));
    let mood = Mood::Jwks("{}".into());
    for (mood, token) in [(mood, &good[1..]), (Mood::Down, &good), (Mood::Good, &good)] {
        provider.be(mood);
        let body = json!({ "token": token, "token_use": "user" });
        world.staff.registrar.post("/v1/providers/main/check", &body).await.expect(200);
    }
    let failed = captured.events("a provider's keys were not fetched");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((&failed[0]["fields"]["provider"], &failed[0]["fields"]["why"]), (&json!("main"), &json!("status")));
    let (text, entries) = (captured.text(), json!(world.entries().await).to_string());
    let parts = good.split('.').chain(["subject-of-token"]);
    for part in parts {
        assert!(!text.contains(part) && !entries.contains(part), "`{part}` is in a trace or an entry");
    }
}

#[tokio::test]
async fn nothing_is_made_of_it_at_the_level_that_servers_run_at() {
    let (captured, _guard) = Captured::from(Level::INFO);
    tracing::info!("heard");
    decided().await;
    assert_eq!(captured.events("heard").len(), 1);
    // A span would be written down as it begins.
    let text = captured.text();
    for traced in ["\"evaluated\"", "\"decided\"", "\"decision\"", "\"shadow\"", "dec_"] {
        assert!(!text.contains(traced), "{text}");
    }
}
