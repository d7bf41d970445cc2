//! A hostile service: whatever it answers, the agent reads a problem or an honest part, the log says what came of it, and
//! the next request finds nothing changed.

use attorn_tests::Metrics;
use serde_json::{Value, json};

use super::scene::{Scene, end, get};
use super::upstream::SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_a_problem_that_names_the_decision() {
    let scene = Scene::new().await;
    for (part, status, code) in [
        ("close", 502, "upstream_failed"),
        ("garbage", 502, "upstream_failed"),
        ("huge-head", 502, "upstream_failed"),
        ("many-headers", 502, "upstream_failed"),
        ("two-lengths", 502, "upstream_failed"),
        ("switch", 502, "upstream_failed"),
        ("too-long", 502, "upstream_failed"),
        ("hang", 504, "upstream_timeout"),
    ] {
        let problem = scene.get(part).await.refused(status, code);
        let effect = scene.effect().await;
        assert_eq!((&effect["effect"], &effect["status"]), (&json!("unknown"), &Value::Null), "{part}");
        assert_eq!(effect["decision_id"], json!(problem.decision_id), "{part}");
        assert!(problem.help.unwrap().contains("not known"), "{part}");
        // In between it answers, so that it is asked on.
        scene.get("42").await.expect(200);
        scene.effect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_whole_is_cut_off_and_not_ended() {
    let scene = Scene::new().await;
    for (part, cut) in [
        ("short", "broken"),
        ("bad-chunk", "broken"),
        ("endless", "too_long"),
        ("pause", "idle"),
        ("secret-in-body", "secret"),
    ] {
        let answer = scene.raw(get(part), end).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{part}: {answer}");
        assert!(!answer.contains(SECRET) && !answer.contains(&SECRET[..6]), "{part}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{part}: it looks whole");
        let effect = scene.effect().await;
        assert_eq!((&effect["effect"], &effect["cut"]), (&json!("done"), &json!(cut)), "{part}");
        assert!(effect["response_bytes"].as_u64().unwrap() <= 100_000, "{part}");
        assert_eq!(effect["agent"], "support-bot", "whoever looks for what an agent did finds it");
        scene.get("42").await.expect(200);
        scene.effect().await;
    }
    // That a service gives its secret away is told from whatever else cuts an answer off.
    let metrics = Metrics::of(&scene.world.staff.auditor).await;
    for (outcome, count) in [("cut", 4), ("cut_secret", 1), ("answered", 5)] {
        let labels = [("target", "crm"), ("outcome", outcome)];
        assert_eq!(metrics.count("attorn_proxy_requests_total", &labels), Some(count), "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_headers_only_those_that_are_named_come_through() {
    let scene = Scene::new().await;
    let answer = scene.get("cookies").await.expect(200);
    let mut names: Vec<&str> = answer.headers.keys().map(reqwest::header::HeaderName::as_str).collect();
    names.sort_unstable();
    let ours =
        ["attorn-decision", "cache-control", "content-length", "content-security-policy", "content-type", "date"];
    let ours = [&ours[..], &["dpop-nonce", "x-content-type-options", "x-request-id", "x-version"]].concat();
    assert_eq!(names, ours);
    assert_ne!(answer.header("dpop-nonce"), Some("theirs"));
    assert_eq!((answer.header("cache-control"), answer.text().as_str()), (Some("no-store"), "body"));
    // Of a header that came twice nobody can say which is meant.
    assert_eq!(scene.get("twice").await.expect(200).header("etag"), None);
    // The secret does not come back, and that it was tried is recorded.
    let answer = scene.get("secret-in-head").await.expect(200);
    assert_eq!((answer.header("etag"), answer.text().as_str()), (None, "body"));
    assert!(!format!("{:?}", answer.headers).contains(SECRET));
    assert_eq!(scene.effect().await["secret_in_header"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_by_nobody_and_lead_nowhere_else() {
    let scene = Scene::new().await;
    // The client of these tests would follow.
    let out = scene.raw(get("out"), end).await;
    assert!(out.starts_with("HTTP/1.1 302 ") && !out.contains("evil.example"), "{out}");
    let within = scene.raw(get("in"), end).await;
    let location = format!("location: {}/proxy/crm/v2/articles/41?q=1\r\n", scene.world.reach.url);
    assert!(within.starts_with("HTTP/1.1 302 ") && within.contains(&location), "{within}");
    assert_eq!(scene.upstream.seen().len(), 2);
    // What has no body is whole.
    assert_eq!(scene.effect().await["cut"], json!(null));
    let error = scene.get("error").await;
    assert_eq!((error.status, error.text().as_str()), (500, "sad."));
    assert_eq!(scene.effect().await["status"], 500);
    assert_eq!(scene.get("early").await.expect(200).text(), "body");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_is_nobodys() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        assert_eq!(scene.get("two-answers").await.expect(200).text(), "body");
        assert_eq!(scene.effect().await["cut"], json!(null));
        let next = scene.get("42").await.expect(200);
        assert!(next.text().starts_with("GET /v2/articles/42 "), "{}", next.text());
    }
}
