//! A service that is away or slow, and agents that hang up.

use attorn_api::FOR_HEADER;
use attorn_api::targets::{TargetCheck, TargetFault};
use attorn_tests::server::free_address;
use attorn_tests::svids::Authority;
use attorn_tests::world::{PURPOSE, ask};
use attorn_tests::{Answer, Call, Server, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::scene::{Scene, begin, end, get, target};
use super::upstream::Upstream;

async fn register(world: &World, id: &str, body: &Value) {
    // Only one target has the type.
    let mut body = body.clone();
    body["id"] = id.into();
    world.staff.registrar.post("/v1/targets", &body).await.expect(201);
}

async fn get_from(world: &World, id: &str, path: &str) -> Answer {
    let call = Call::new("GET", format!("/proxy/{id}{path}")).header(FOR_HEADER, PURPOSE);
    world.bot.send(call).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_service_is_not_asked_for_ever_and_hurts_nobody() {
    let world = World::new().await;
    register(&world, "crm", &target("crm", &format!("http://{}", free_address()))).await;
    for _ in 0..3 {
        let problem = get_from(&world, "crm", "/v2/articles/42").await.refused(503, "target_unavailable");
        assert!(problem.decision_id.is_some() && problem.detail.contains("nothing was sent"), "{problem}");
        let entries = world.entries().await;
        assert_eq!(entries.last().unwrap()["effect"], "not_sent");
    }
    // Now nobody asks, but for one now and then who finds out; for all others nothing is decided.
    let (size, began) = (world.log_size().await, std::time::Instant::now());
    let mut decided = 0;
    for _ in 0..100 {
        let problem = get_from(&world, "crm", "/v2/articles/42").await.refused(503, "target_unavailable");
        decided += u128::from(problem.decision_id.is_some());
    }
    assert!(decided <= began.elapsed().as_millis() / 500, "{decided}");
    // Decision, use and effect.
    assert_eq!(u128::from(world.log_size().await - size), 3 * decided);
    assert!(world.bot.decide(&ask()).await.credential.is_some());
    // What goes nowhere is denied as ever.
    let call = Call::new("GET", "/proxy/crm/v2/other").header(FOR_HEADER, PURPOSE);
    world.bot.send(call).await.refused(403, "denied");
    let check: TargetCheck = world.staff.registrar.post("/v1/targets/crm/check", &json!({})).await.expect(200).json();
    assert!(!check.reachable && check.problems.len() == 1, "{check:?}");
    assert_eq!(check.fault, Some(TargetFault::Unreachable));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_where_nobody_should_ask_are_not_asked() {
    let world = World::new().await;
    let own = world.reach.url.clone();
    // An address is looked at when it is registered.
    for origin in
        [own.as_str(), "http://169.254.169.254", "https://169.254.169.254", "http://0.0.0.0:80", "http://192.0.2.1"]
    {
        let refused = world.staff.registrar.post("/v1/targets", &target("crm", origin)).await;
        let problem = refused.refused(422, "invalid_field");
        assert!(problem.detail.contains("`origin` is"), "{origin}: {problem}");
    }
    // What a name leads to is looked at whenever it is used.
    let origin = own.replace("127.0.0.1", "localhost");
    register(&world, "crm", &target("crm", &origin)).await;
    let problem = get_from(&world, "crm", "/v2/articles/42").await.refused(503, "target_misconfigured");
    assert!(problem.detail.contains("nothing was sent"), "{origin}: {problem}");
    assert!(problem.decision_id.is_some(), "{problem}");
    // Why, its operators see.
    assert!(!problem.detail.contains("127.0.0.1") && !problem.detail.contains("::1"), "{problem}");
    let check = world.staff.registrar.post("/v1/targets/crm/check", &json!({})).await.expect(200);
    let check: TargetCheck = check.json();
    assert!(!check.reachable && !check.problems[0].is_empty(), "{check:?}");
    assert_eq!(check.fault, Some(TargetFault::Settings), "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_service_is_who_it_says() {
    let (authority, other) = (Authority::new("services"), Authority::new("others"));
    // Any server will do: another one of ours.
    let service = Server::start_in(attorn_tests::server::Fresh::make_with_tls(&authority).await).await;
    let world = World::new().await;
    let mut body = target("crm", &service.reach.url);
    body["proxy"]["routes"] =
        json!([{ "method": "GET", "path": "/{id}", "action": "faq.read", "resource": "article/{id}" }]);
    body["proxy"]["tls_roots_pem"] = authority.pem.clone().into();
    register(&world, "crm", &body).await;
    assert_eq!(get_from(&world, "crm", "/healthz").await.expect(200).text().trim(), "ok");
    world.staff.registrar.post("/v1/targets/crm/retire", &json!({})).await.expect(200);
    body["proxy"]["tls_roots_pem"] = other.pem.clone().into();
    register(&world, "crm-2", &body).await;
    get_from(&world, "crm-2", "/healthz").await.refused(503, "target_misconfigured");
    let check: TargetCheck = world.staff.registrar.post("/v1/targets/crm-2/check", &json!({})).await.expect(200).json();
    assert_eq!((check.reachable, check.fault), (false, Some(TargetFault::Tls)), "{check:?}");
    world.staff.registrar.post("/v1/targets/crm-2/retire", &json!({})).await.expect(200);
    if let Some(proxy) = body["proxy"].as_object_mut() {
        proxy.remove("tls_roots_pem");
    }
    register(&world, "crm-3", &body).await;
    get_from(&world, "crm-3", "/healthz").await.refused(503, "target_misconfigured");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_are_asked_at_once_as_may_be() {
    let (world, upstream) = (World::new().await, Upstream::start().await);
    let mut body = target("crm", &upstream.origin);
    (body["proxy"]["requests_max"], body["proxy"]["head_ms_max"]) = (json!(1), json!(8_000));
    register(&world, "crm", &body).await;
    let first = get_from(&world, "crm", "/v2/articles/hang");
    let second = async {
        attorn_tests::until("the first is there", async || !upstream.seen().is_empty()).await;
        get_from(&world, "crm", "/v2/articles/42").await
    };
    let (first, second) = tokio::join!(first, second);
    first.refused(504, "upstream_timeout");
    let problem = second.refused(503, "target_unavailable");
    assert!(problem.decision_id.is_none(), "{problem}");
    get_from(&world, "crm", "/v2/articles/42").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_ends_what_was_asked() {
    let scene = Scene::new().await;
    let address = scene.world.reach.url.strip_prefix("http://").unwrap().to_owned();
    for (at, part) in ["drip", "hang"].into_iter().enumerate() {
        let signed = scene.world.bot.signed(get(part)).await;
        let text = begin(&signed, &address);
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(end(text).as_bytes()).await.unwrap();
        scene.until(|upstream| upstream.seen().len() > at).await;
        if part == "drip" {
            assert!(stream.read(&mut [0; 1_000]).await.unwrap() > 0);
        }
        drop(stream);
        scene.until(|upstream| upstream.hung_up() > at).await;
        let effect = scene.effect().await;
        if part == "drip" {
            assert_eq!((&effect["effect"], &effect["cut"]), (&json!("done"), &json!("hung_up")));
        } else {
            assert_eq!((&effect["effect"], &effect["status"]), (&json!("unknown"), &Value::Null));
        }
    }
}

/// One whose head is read, and nothing after it.
async fn begun(scene: &Scene, part: &str) -> TcpStream {
    let address = scene.world.reach.url.strip_prefix("http://").unwrap().to_owned();
    let signed = scene.world.bot.signed(get(part)).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(end(begin(&signed, &address)).as_bytes()).await.unwrap();
    assert!(stream.read(&mut [0; 100]).await.unwrap() > 0);
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_read_on_keeps_no_place() {
    for (idle_ms_max, total_ms_max, cut) in [(1_000, 20_000, "unread"), (5_000, 1_000, "late")] {
        let (world, upstream) = (World::new().await, Upstream::start().await);
        let mut body = target("crm", &upstream.origin);
        body["proxy"]["idle_ms_max"] = json!(idle_ms_max);
        body["proxy"]["total_ms_max"] = json!(total_ms_max);
        body["proxy"]["requests_max"] = json!(1);
        body["proxy"]["response_bytes_max"] = json!(1 << 30);
        register(&world, "crm", &body).await;
        let scene = Scene { world, upstream };
        let stream = begun(&scene, "endless").await;
        let effect = scene.effect().await;
        assert_eq!((&effect["effect"], &effect["cut"]), (&json!("done"), &json!(cut)));
        scene.get("42").await.expect(200);
        drop(stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_with_what_allowed_it() {
    let reason = json!({ "reason": "a test" });
    for revoke in ["/v1/targets/crm/suspend", "/v1/targets/crm/retire", "/v1/agents/support-bot/suspend"] {
        let scene = Scene::new().await;
        let stream = begun(&scene, "drip").await;
        scene.world.staff.registrar.post(revoke, &reason).await.expect(200);
        scene.until(|upstream| upstream.hung_up() > 0).await;
        let effect = scene.effect().await;
        assert_eq!((&effect["effect"], &effect["cut"]), (&json!("done"), &json!("revoked")), "{revoke}");
        drop(stream);
    }
    // By its grant alone. What has nothing to do with it ends nothing.
    let scene = Scene::new().await;
    let stream = begun(&scene, "drip").await;
    let other = scene.world.bot.decide(&ask()).await.grant.unwrap();
    scene.world.staff.registrar.post(format!("/v1/grants/{}/revoke", other.id), &json!({})).await.expect(200);
    let used = scene.world.entries().await.into_iter().rfind(|entry| entry["type"] == "grant_used").unwrap();
    let grant = used["grant"].as_str().unwrap();
    scene.world.staff.registrar.post(format!("/v1/grants/{grant}/revoke"), &json!({})).await.expect(200);
    assert_eq!(scene.effect().await["cut"], "revoked");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_before_its_answer_begins_is_waited_for_no_longer() {
    let (world, upstream) = (World::new().await, Upstream::start().await);
    let mut body = target("crm", &upstream.origin);
    body["proxy"]["head_ms_max"] = json!(20_000);
    register(&world, "crm", &body).await;
    let scene = Scene { world, upstream };
    let hanging = scene.get("hang");
    let revoking = async {
        scene.until(|upstream| !upstream.seen().is_empty()).await;
        scene.world.staff.registrar.post("/v1/targets/crm/suspend", &json!({ "reason": "a test" })).await.expect(200);
    };
    let (answer, ()) = tokio::join!(hanging, revoking);
    // It was sent, and whether it took effect is not known.
    answer.refused(502, "upstream_failed");
    assert_eq!(scene.effect().await["effect"], "unknown");
    let size = scene.upstream.seen().len();
    scene.get("42").await.refused(422, "no_target");
    assert_eq!(scene.upstream.seen().len(), size);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_slow_for_one_agent_keeps_no_other_from_asking() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        scene.get("hang").await.refused(504, "upstream_timeout");
    }
    scene.get("42").await.expect(200);
}
