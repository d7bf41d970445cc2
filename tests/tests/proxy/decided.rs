//! What goes on is what was decided, and what was not allowed does not.

use attorn_api::FOR_HEADER;
use attorn_tests::replays::replays_identically;
use attorn_tests::world::{PURPOSE_WITH_USER, ask};
use attorn_tests::{Call, components};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::scene::{Scene, get, through};
use super::upstream::SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_goes_on_with_the_secret_and_is_recorded() {
    let scene = Scene::new().await;
    let call = through("GET", "/v2/articles/%34%32?q=a%20%62&page=1")
        .header("authorization", "Bearer the-agents-own")
        .header("cookie", "a=b")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-other", "1")
        .header("accept-encoding", "gzip")
        .header("connection", "x-other, keep-alive")
        .header("te", "trailers")
        .header("user-agent", "agent/1")
        .header("accept-language", "de");
    let answer = scene.send(call).await.expect(200);
    let seen = scene.upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "GET /v2/articles/42?page=1&q=a%20b HTTP/1.1");
    let names: Vec<&str> = seen[0].headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["accept-encoding", "accept-language", "authorization", "host", "user-agent"]);
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(format!("http://{}", seen[0].headers["host"]), scene.upstream.origin);
    assert_eq!((&*seen[0].headers["accept-encoding"], &*seen[0].headers["accept-language"]), ("identity", "de"));
    // The agent reads the answer, which is nobody's to keep, and the decision's id.
    assert_eq!((answer.header("content-type"), answer.header("x-version")), (Some("text/plain"), Some("r1")));
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-content-type-options")),
        (Some("no-store"), Some("nosniff"))
    );
    let decision = answer.header("attorn-decision").unwrap();
    let effect = scene.effect().await;
    let entries = scene.world.entries().await;
    let of = |kind: &str| entries.iter().find(|entry| entry["type"] == kind).unwrap();
    assert_eq!((&of("decision")["decision_id"], &of("decision")["decision"]), (&json!(decision), &json!("allow")));
    assert_eq!((&of("decision")["action"], &of("decision")["resource"]), (&json!("faq.read"), &json!("article/42")));
    assert_eq!((&of("grant_used")["target"], &of("grant_used")["use_number"]), (&json!("crm"), &json!(1)));
    assert_eq!((&effect["effect"], &effect["status"], &effect["cut"]), (&json!("done"), &json!(200), &Value::Null));
    assert_eq!(effect["response_bytes"], answer.body.len());
    assert_eq!(effect["grant"], of("grant_used")["grant"]);
    let record: Value =
        scene.world.staff.auditor.get(format!("/v1/audit/decisions/{decision}")).await.expect(200).json();
    let arguments = json!({ "method": "GET", "path": "/v2/articles/42", "query": { "q": "a b", "page": "1" },
        "headers": { "accept-language": "de" } });
    assert_eq!(record["request"]["arguments"], arguments);
    assert!(!json!([entries, record]).to_string().contains(SECRET));
    // The one use is spent: nobody reports another.
    let id = effect["grant"].as_str().unwrap();
    let body = json!({ "action": "faq.read", "resource": "article/42",
        "arguments_digest": record["request"]["arguments_digest"] });
    scene.world.faq.post(format!("/v1/grants/{id}/uses"), &body).await.refused(409, "grant_spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_recorded_and_goes_nowhere() {
    let scene = Scene::new().await;
    for (call, reason) in [
        (through("DELETE", "/v2/articles/42"), "action_not_listed"),
        (through("GET", "/v2/payments/42"), "outside_ceiling"),
        (through("GET", "/v2/articles"), "no_proxy_route"),
        (through("GET", "/v2/articles/42/comments"), "no_proxy_route"),
        (through("PATCH", "/v2/articles/42"), "no_proxy_route"),
        (through("GET", "/V2/articles/42"), "no_proxy_route"),
        (get("42").header(FOR_HEADER, "sales"), "purpose_not_registered"),
        (get("42").header(FOR_HEADER, PURPOSE_WITH_USER), "purpose_needs_user"),
    ] {
        let mut call = call;
        // Of two the last is meant.
        let last = call.headers.pop().unwrap();
        call.headers = vec![last];
        let size = scene.world.log_size().await;
        let problem = scene.send(call).await.refused(403, "denied");
        assert_eq!(problem.reasons.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), [reason]);
        let entries = scene.world.entries().await;
        assert_eq!(entries.len() as u64, size + 1, "{reason}");
        assert_eq!(entries.last().unwrap()["decision_id"], json!(problem.decision_id.unwrap()));
    }
    assert!(scene.upstream.seen().is_empty());
}

/// A policy sees that a request goes on and where to, may say no, and is asked the same again in a replay.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_sees_that_a_request_goes_on() {
    let scene = Scene::new().await;
    let world = &scene.world;
    scene.get("42").await.expect(200);
    scene.effect().await;
    world.activate("tokens", components::bytes("no_logins"), json!({})).await;
    assert!(world.bot.decide(&ask()).await.credential.is_some());
    let last = async || world.entries().await.into_iter().rfind(|entry| entry["type"] == "decision").unwrap();
    assert_eq!(last().await.get("credential"), None);
    let problem = scene.get("42").await.refused(403, "denied");
    assert_eq!(problem.reasons.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["tokens_only"]);
    let goes_on = json!({ "kind": "proxy", "target": "crm" });
    assert_eq!(last().await["credential"], goes_on);
    let record = format!("/v1/audit/decisions/{}", problem.decision_id.unwrap());
    let record: Value = world.staff.auditor.get(record).await.expect(200).json();
    assert_eq!(record["credential"], goes_on);
    // Also where there is no row, and no policy is asked.
    scene.send(through("GET", "/v2/articles")).await.refused(403, "denied");
    assert_eq!(last().await["credential"], goes_on);
    assert_eq!(scene.upstream.seen().len(), 1);
    let same = replays_identically(world).await;
    assert_eq!((same.asked(), same.not_run), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_goes_nowhere_either() {
    let scene = Scene::new().await;
    scene.world.activate("challenge", components::bytes("challenge"), json!({})).await;
    let problem = scene.get("42").await.refused(403, "approval_needed");
    assert_eq!(problem.reasons[0].code, "four_eyes");
    assert!(problem.approval.is_some());
    assert!(problem.decision_id.is_some() && scene.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_as_it_was_decided() {
    let scene = Scene::new().await;
    let json_body = |body: &str| through("POST", "/v2/articles/42").json(body.to_owned());
    let answer = scene.send(json_body(r#"{ "b": 1.0, "a": "\u0061" }"#)).await.expect(200);
    let seen = scene.upstream.seen();
    assert_eq!(seen[0].body, r#"{"a":"a","b":1}"#);
    assert_eq!((&*seen[0].headers["content-type"], &*seen[0].headers["content-length"]), ("application/json", "15"));
    let decision = answer.header("attorn-decision").unwrap();
    let record: Value =
        scene.world.staff.auditor.get(format!("/v1/audit/decisions/{decision}")).await.expect(200).json();
    assert_eq!(record["request"]["arguments"]["body"], json!({ "a": "a", "b": 1 }));
    let put = |media_type: &str, body: &str| through("PUT", "/v2/articles/42").body(media_type, body.to_owned());
    let answer = scene.send(put("text/plain", "as it is")).await.expect(200);
    assert_eq!(scene.upstream.seen()[1].body, "as it is");
    let decision = answer.header("attorn-decision").unwrap();
    let record: Value =
        scene.world.staff.auditor.get(format!("/v1/audit/decisions/{decision}")).await.expect(200).json();
    let digest = HEXLOWER.encode(&Sha256::digest("as it is"));
    assert_eq!(record["request"]["arguments"]["body_sha256"], digest);
    scene.effect().await;
    let size = scene.world.log_size().await;
    for (call, status, code) in [
        (json_body(r#"{"a":1,"a":2}"#), 400, "invalid_body"),
        (json_body(r#"{"a":9007199254740993}"#), 400, "invalid_body"),
        (json_body("{"), 400, "invalid_body"),
        (json_body(""), 400, "invalid_body"),
        (json_body(&format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000))), 413, "body_too_large"),
        (json_body(&"x".repeat(40_000)), 413, "body_too_large"),
        (json_body("{}").header("content-encoding", "gzip"), 415, "unsupported_media_type"),
        (through("POST", "/v2/articles/42").body("text/json", "{}"), 415, "unsupported_media_type"),
        (
            through("POST", "/v2/articles/42").body("application/json; charset=utf-7", "{}"),
            415,
            "unsupported_media_type",
        ),
        (put("text/html", "x"), 415, "unsupported_media_type"),
        (put("text/plain; charset=utf-16", "x"), 415, "unsupported_media_type"),
        (get("42").body("text/plain", "x"), 400, "invalid_body"),
    ] {
        scene.send(call).await.refused(status, code);
    }
    assert_eq!((scene.world.log_size().await, scene.upstream.seen().len()), (size, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_its_own_row_and_a_token_is_still_had_for_the_type() {
    let scene = Scene::new().await;
    // A 401 to a HEAD has no body that says why, so it is sent with a nonce at once.
    let head = scene.world.bot.signed(through("HEAD", "/v2/articles/42")).await;
    let answer = scene.world.reach.send(head).await.expect(200);
    assert!(answer.body.is_empty() && answer.header("attorn-decision").is_some());
    assert_eq!(scene.upstream.seen()[0].line, "HEAD /v2/articles/42 HTTP/1.1");
    assert!(scene.world.bot.decide(&ask()).await.credential.is_some());
    let mut login = ask();
    login["credential"] = "postgresql".into();
    login["arguments"] = json!({});
    scene.world.bot.send(Call::post("/v1/decisions", &login)).await.refused(422, "no_target");
    let mut proxied = ask();
    proxied["credential"] = "proxy".into();
    scene.world.bot.send(Call::post("/v1/decisions", &proxied)).await.refused(400, "invalid_body");
}
