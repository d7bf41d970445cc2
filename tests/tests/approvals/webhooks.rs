//! Who is told of what is to be approved, and who holds up nobody.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use attorn_api::approvals::{RegisteredWebhook, WebhookMessage};
use attorn_api::delegations::DelegationMade;
use attorn_identity::WebhookSecret;
use attorn_tests::Metrics;
use attorn_tests::behalf::exchange;
use attorn_tests::world::PURPOSE_WITH_USER;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use data_encoding::BASE64;

use super::*;

/// A receiver that answers with this status, and keeps what it was sent.
#[derive(Default)]
struct Receiver {
    status: AtomicU16,
    seen: Mutex<Vec<(HeaderMap, Bytes)>>,
    /// The approvals of which it took a message.
    taken: Mutex<BTreeSet<String>>,
}

impl Receiver {
    async fn start() -> (Arc<Self>, String) {
        let receiver = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(take).with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    async fn got(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        attorn_tests::found("so many messages", async || {
            let seen = self.seen.lock().unwrap().clone();
            (seen.len() >= count).then_some(seen)
        })
        .await
    }
}

impl Receiver {
    /// Of which approvals it was told, when these are so many.
    async fn told(&self, count: usize) -> BTreeSet<String> {
        let id = |(headers, _): &(HeaderMap, Bytes)| headers["webhook-id"].to_str().unwrap().to_owned();
        attorn_tests::found("messages about so many approvals", async || {
            let told: BTreeSet<String> = self.seen.lock().unwrap().iter().map(id).collect();
            (told.len() >= count).then_some(told)
        })
        .await
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = StatusCode::from_u16(receiver.status.load(Ordering::SeqCst)).unwrap_or(StatusCode::OK);
    if status.is_success() {
        receiver.taken.lock().unwrap().insert(headers["webhook-id"].to_str().unwrap().to_owned());
    }
    receiver.seen.lock().unwrap().push((headers, body));
    status
}

async fn register(scene: &Scene, id: &str, url: &str) -> RegisteredWebhook {
    let body = json!({ "id": id, "url": url, "loopback": true });
    scene.world.staff.registrar.post("/v1/approval-webhooks", &body).await.expect(201).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_signed_and_of_nobody() {
    let scene = Scene::new(ONE).await;
    let (receiver, url) = Receiver::start().await;
    let registered = register(&scene, "chat", &url).await;
    let asked = scene.challenged(&ask()).await;
    scene.challenged(&ask()).await;
    let (headers, body) = receiver.got(1).await.remove(0);
    let message: WebhookMessage = serde_json::from_slice(&body).unwrap();
    assert_eq!((&message.approval, &message.code, message.agent.as_str()), (&asked.id, &asked.code, "support-bot"));
    assert_eq!((&message.asks[..], &message.user), (&["operator".to_owned()][..], &None));
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(!text.contains("article") && !text.contains("billing"), "{text}");
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let bytes = BASE64.decode(registered.secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let secret = WebhookSecret::of_bytes(&bytes).unwrap();
    let at: u64 = header("webhook-timestamp").parse().unwrap();
    assert_eq!(header("webhook-signature"), secret.sign(&asked.id, at, &body));
    assert_eq!(header("webhook-id"), asked.id);
    // Neither the log nor a list has the secret.
    let list = scene.world.staff.registrar.get("/v1/approval-webhooks").await.expect(200).text();
    let log = format!("{:?}", scene.world.entries().await);
    assert!(!list.contains("whsec_") && !log.contains(&registered.secret) && !log.contains(&url), "{list}");
    // The second challenge asked nobody, and one who is revoked is told nothing.
    let path = "/v1/approval-webhooks/chat/revoke";
    scene.world.staff.registrar.post(path, &json!({})).await.expect(200);
    scene.challenged(&ask_with(json!({ "resource": "article/43" }))).await;
    let (other, url) = Receiver::start().await;
    register(&scene, "pager", &url).await;
    scene.challenged(&ask_with(json!({ "resource": "article/44" }))).await;
    other.got(1).await;
    assert_eq!(receiver.seen.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_down_holds_up_nobody_and_is_told_later() {
    let scene = Scene::new(ONE).await;
    let (failing, url) = Receiver::start().await;
    failing.status.store(503, Ordering::SeqCst);
    register(&scene, "failing", &url).await;
    register(&scene, "dead", "http://127.0.0.1:1/hook").await;
    let (good, url) = Receiver::start().await;
    register(&scene, "good", &url).await;
    let asked = scene.challenged(&ask()).await;
    good.got(1).await;
    failing.got(2).await;
    failing.status.store(200, Ordering::SeqCst);
    let sent = failing.got(3).await;
    approve(&scene.ada, &asked.id).await;
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
    assert!(sent.iter().all(|(headers, body)| headers["webhook-id"] == asked.id.as_str() && *body == sent[0].1));
    until(&scene, |count| count("delivered") >= 2 && count("attempt_failed") >= 2).await;
}

/// More than are under way to one webhook at once, some of which found no room before.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_all_that_still_wait_are_told_again() {
    let limits = ApprovalLimits { open_max: 32, ..ApprovalLimits::default() };
    let mut scene = Scene::limited(ONE, limits).await;
    let (receiver, url) = Receiver::start().await;
    receiver.status.store(503, Ordering::SeqCst);
    register(&scene, "chat", &url).await;
    register(&scene, "dead", "http://127.0.0.1:1/hook").await;
    let mut waits = BTreeSet::new();
    for n in 0..20 {
        waits.insert(scene.challenged(&ask_with(json!({ "resource": format!("article/{n}") }))).await.id);
    }
    let answered = waits.pop_first().unwrap();
    approve(&scene.ada, &answered).await;
    scene.world.server.pause().await;
    receiver.seen.lock().unwrap().clear();
    receiver.status.store(200, Ordering::SeqCst);
    scene.world.server.go_on(false).await;
    // The one that was answered is not told again, and the dead one holds up nobody.
    assert_eq!(receiver.told(waits.len()).await, waits);
    // Who has taken it is told again, too: nobody remembers who has.
    scene.world.server.pause().await;
    receiver.seen.lock().unwrap().clear();
    scene.world.server.go_on(false).await;
    assert_eq!(receiver.told(waits.len()).await, waits);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_away_is_told_all_that_still_waits() {
    let scene = Scene::limited(ONE, ApprovalLimits { open_max: 64, ..ApprovalLimits::default() }).await;
    let (receiver, url) = Receiver::start().await;
    receiver.status.store(503, Ordering::SeqCst);
    register(&scene, "away", &url).await;
    let mut asked = Vec::new();
    for n in 0..40 {
        asked.push(scene.challenged(&ask_with(json!({ "resource": format!("article/{n}") }))).await.id);
    }
    // One of those that are being sent, and one of those for which there was no place.
    let (first, last) = (asked.remove(0), asked.pop().unwrap());
    for id in [&first, &last] {
        vote(&scene.ada, id, "refuse").await.expect(200);
    }
    until(&scene, |count| count("settled") >= 1 && count("deferred") >= 24).await;
    receiver.status.store(200, Ordering::SeqCst);
    until(&scene, |count| count("delivered") >= 38).await;
    let expect: BTreeSet<String> = asked.into_iter().collect();
    assert_eq!(*receiver.taken.lock().unwrap(), expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_nowhere_else() {
    let scene = Scene::new(ONE).await;
    let (elsewhere, url) = Receiver::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let turning = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move || async move { axum::response::Redirect::temporary(&url) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    register(&scene, "turning", &turning).await;
    scene.challenged(&ask()).await;
    until(&scene, |count| count("attempt_failed") >= 2).await;
    assert!(elsewhere.seen.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_once_more_after_a_start() {
    let mut scene = Scene::new(ONE).await;
    let (receiver, url) = Receiver::start().await;
    register(&scene, "chat", &url).await;
    let refused = scene.challenged(&ask_with(json!({ "resource": "article/43" }))).await;
    receiver.got(1).await;
    vote(&scene.ada, &refused.id, "refuse").await.expect(200);
    let asked = scene.challenged(&ask()).await;
    receiver.got(2).await;
    scene.world.server.restart(false).await;
    let sent = receiver.got(3).await;
    assert_eq!(sent[2].0["webhook-id"], asked.id.as_str());
    until(&scene, |count| count("delivered") >= 1).await;
    assert_eq!(receiver.seen.lock().unwrap().len(), 3, "one that is decided was told again");
}

/// Wait until the server has counted so.
async fn until(scene: &Scene, is: impl Fn(&dyn Fn(&str) -> usize) -> bool) {
    attorn_tests::until("what the server counts of webhooks", async || {
        let metrics = Metrics::of(&scene.world.staff.auditor).await;
        is(&|event| metrics.count("attorn_webhook_events_total", &[("event", event)]).unwrap_or(0))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_sent_is_refused() {
    let scene = Scene::new(ONE).await;
    let registrar = &scene.world.staff.registrar;
    let own = format!("{}/hook", scene.world.reach.url);
    for (url, loopback) in [
        ("https://127.0.0.1/hook", false),
        (own.as_str(), true),
        ("https://169.254.169.254/hook", true),
        ("http://chat.example/hook", false),
        ("https://user:secret@192.0.2.1/hook", false),
        ("no url", false),
    ] {
        let body = json!({ "id": "chat", "url": url, "loopback": loopback });
        registrar.post("/v1/approval-webhooks", &body).await.refused(422, "invalid_field");
    }
    for n in 0..8 {
        register(&scene, &format!("hook-{n}"), "http://127.0.0.1:1/hook").await;
    }
    let body = json!({ "id": "one-more", "url": "http://127.0.0.1:1/hook", "loopback": true });
    registrar.post("/v1/approval-webhooks", &body).await.refused(409, "invalid_state");
    registrar.post("/v1/approval-webhooks/hook-0/revoke", &json!({})).await.expect(200);
    registrar.post("/v1/approval-webhooks/hook-0/revoke", &json!({})).await.refused(409, "invalid_state");
    registrar
        .post("/v1/approval-webhooks", &json!({ "id": "hook-0", "url": "http://127.0.0.1:1/", "loopback": true }))
        .await
        .refused(409, "already_exists");
    registrar.post("/v1/approval-webhooks", &body).await.expect(201);
}

/// What waits for its user alone is told, too, and names them by nothing but the id that they have here.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_of_what_waits_for_a_user_alone() {
    let behalf = Behalf::new().await;
    let registrar = &behalf.staff.registrar;
    let backchannel = json!({ "client_id": "attorn", "client_authentication": "private_key_jwt", "code_only": true });
    registrar.post("/v1/providers/main/backchannel", &backchannel).await.expect(200);
    let settings = json!({
        "amount_argument": "amount", "currency_argument": "currency", "currency": "EUR", "scope": "user_agent",
        "window": "day", "allow_max": 100, "challenge": { "max": 100_000, "role": "user", "count": 1 },
    });
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
    behalf.activate_with("spend-limit", components::bytes("spend-limit"), settings, extra).await;
    let (receiver, url) = Receiver::start().await;
    let body = json!({ "id": "chat", "url": url, "loopback": true });
    registrar.post("/v1/approval-webhooks", &body).await.expect(201);
    let token = behalf.token(json!({ "client_id": "helper-client" }));
    let made: DelegationMade = exchange(&behalf.helper, &token).await.expect(201).json();
    let user = made.delegation.user;
    let payment = json!({
        "action": "account.pay", "resource": format!("account/{user}/giro"), "purpose": PURPOSE_WITH_USER,
        "delegation": made.delegation.id, "arguments": { "amount": 5_000, "currency": "EUR" },
    });
    let answer = behalf.helper.decide(&payment).await;
    let asked = answer.approval.unwrap_or_else(|| panic!("{:?}", answer.reasons));
    let (_, body) = receiver.got(1).await.remove(0);
    let message: WebhookMessage = serde_json::from_slice(&body).unwrap();
    assert_eq!((&message.approval, &message.asks[..]), (&asked.id, &["user".to_owned()][..]));
    assert_eq!(message.user.as_ref(), Some(&user));
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(!text.contains("alice") && !text.contains("giro") && !text.contains("5000"), "{text}");
}
