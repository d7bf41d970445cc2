//! `GET /metrics` says of each target what requests to it came to, once each.

use attorn_tests::components;
use attorn_tests::{Call, Metrics, Operator};
use serde_json::json;

use super::scene::{Scene, get, target, through};

const OUTCOMES: [&str; 8] =
    ["answered", "cut", "not_sent", "unknown", "denied", "challenged", "unavailable", "refused"];

/// What is counted for a target, in the order of [`OUTCOMES`]; none if it has no series.
async fn counted(auditor: &Operator, target: &str) -> (Metrics, Option<Vec<usize>>) {
    let metrics = Metrics::of(auditor).await;
    let of =
        |outcome: &&str| metrics.count("attorn_proxy_requests_total", &[("target", target), ("outcome", *outcome)]);
    let counts = OUTCOMES.iter().map(of).collect();
    (metrics, counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_counts_once_where_it_belongs() {
    let scene = Scene::new().await;
    let auditor = &scene.world.staff.auditor;
    assert_eq!(counted(auditor, "crm").await.1, None, "nobody has called it yet");
    let body = r#"{"a":1}"#;
    scene.send(through("POST", "/v2/articles/42").json(body)).await.expect(200);
    let answered = scene.get("error").await.expect(500).body.len();
    scene.send(through("DELETE", "/v2/articles/42")).await.refused(403, "denied");
    scene.send(through("GET", "/v2/nothing")).await.refused(403, "denied");
    scene.send(get("42?other=1")).await.refused(400, "invalid_query");
    scene.get("close").await.refused(502, "upstream_failed");
    // It is cut off in the middle, so there is no answer that a client takes for whole.
    assert!(scene.raw(get("short"), super::scene::end).await.starts_with("HTTP/1.1 200 "));
    scene.effect().await;
    let (metrics, counts) = counted(auditor, "crm").await;
    assert_eq!(counts, Some(vec![2, 1, 0, 1, 2, 0, 0, 1]));
    let seconds = metrics.count("attorn_proxy_duration_seconds_count", &[("target", "crm")]);
    assert_eq!(seconds, Some(3), "answers that began");
    let bytes =
        |direction| metrics.count("attorn_proxy_bytes_total", &[("target", "crm"), ("direction", direction)]).unwrap();
    assert_eq!(bytes("request"), body.len());
    assert!(bytes("response") > answered + "half".len(), "{}", bytes("response"));

    scene.world.activate("challenge", components::bytes("challenge"), json!({})).await;
    scene.get("42").await.refused(403, "approval_needed");
    assert_eq!(counted(auditor, "crm").await.1, Some(vec![2, 1, 0, 1, 2, 1, 0, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_counts_apart_from_others() {
    let scene = Scene::new().await;
    let world = &scene.world;
    scene.get("42").await.expect(200);
    world.staff.registrar.post("/v1/targets/crm/retire", &json!({})).await.expect(200);
    world.staff.registrar.post("/v1/targets", &target("away", "http://127.0.0.1:1")).await.expect(201);
    let call = || Call::get("/proxy/away/v2/articles/42").header(attorn_api::FOR_HEADER, attorn_tests::world::PURPOSE);
    let mut asked = 0;
    for _ in 0..10 {
        let problem = world.bot.send(call()).await.refused(503, "target_unavailable");
        asked += usize::from(problem.decision_id.is_some());
    }
    // Three in a row, and then it is asked no more for a while.
    assert!((3..10).contains(&asked), "{asked}");
    assert_eq!(counted(&world.staff.auditor, "away").await.1, Some(vec![0, 0, asked, 0, 0, 0, 10 - asked, 0]));
    assert_eq!(counted(&world.staff.auditor, "crm").await.1, Some(vec![1, 0, 0, 0, 0, 0, 0, 0]));
    // What is none of ours counts for nobody.
    world.bot.send(Call::get("/proxy/none/a").header(attorn_api::FOR_HEADER, "x")).await.refused(404, "not_found");
    assert_eq!(counted(&world.staff.auditor, "none").await.1, None);
}
