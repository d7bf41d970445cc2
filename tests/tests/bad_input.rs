//! What bad requests get: a problem with a stable code, the request's id, and nothing changed.

use attorn_api::decisions::DecisionAnswer;
use attorn_tests::refusal::{TRICKS, Who, refused};
use attorn_tests::world::{ask, ask_with, blake3_hex};
use attorn_tests::{Call, World};
use serde_json::{Value, json};

fn raw(body: impl Into<Vec<u8>>) -> Call {
    Call::new("POST", "/v1/decisions").json(body)
}

fn with_arguments(arguments: &str) -> String {
    format!(r#"{{"action":"faq.read","resource":"article/42","purpose":"answer-questions","arguments":{arguments}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_request() {
    let world = World::new().await;
    let good = ask().to_string();
    let twice = good.replacen('{', r#"{"action":"faq.write","#, 1);
    let twice_escaped = good.replacen('{', r#"{"\u0061ction":"faq.write","#, 1);
    let deep = with_arguments(&format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40)));
    let very_deep = with_arguments(&format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)));
    let malformed: Vec<Vec<u8>> = vec![
        b"".into(),
        b"{".into(),
        b"[]".into(),
        b"null".into(),
        b"\"x\"".into(),
        b"{'action':'faq.read'}".into(),
        b"{}".into(),
        format!("{good}x").into(),
        format!("{good}{good}").into(),
        format!("\u{feff}{good}").into(),
        good.replace("faq.read", "faq.read\u{0}").replace("\\u0000", "\u{0}").into(),
        [good.as_bytes(), &[0xff]].concat(),
        good.replace("billing", "\\ud800").into(),
        twice.into(),
        twice_escaped.into(),
        deep.into(),
        very_deep.into(),
        with_arguments(r#"{"a":1,"a":2}"#).into(),
        with_arguments(r#"{"a":1,"\u0061":2}"#).into(),
        with_arguments(r#"{"b":[{"a":1,"a":1}]}"#).into(),
        with_arguments("[1]").into(),
        with_arguments("7").into(),
        with_arguments("\"{}\"").into(),
        with_arguments(r#"{"a":NaN}"#).into(),
        with_arguments(r#"{"a":01}"#).into(),
        with_arguments(r#"{"a":1,}"#).into(),
        ask_with(json!({ "admin": true })).to_string().into(),
        ask_with(json!({ "Action": "faq.write" })).to_string().into(),
        ask_with(json!({ "action": 7 })).to_string().into(),
        ask_with(json!({ "action": ["faq.read"] })).to_string().into(),
        ask_with(json!({ "resource": null })).to_string().into(),
        ask_with(json!({ "session": 7 })).to_string().into(),
        ask_with(json!({ "claims": [] })).to_string().into(),
        ask_with(json!({ "user": {} })).to_string().into(),
    ];
    for body in malformed {
        refused(&world, Who::Bot, raw(body), 400, "invalid_body").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_do_not_survive() {
    let world = World::new().await;
    for number in [
        "9007199254740993",
        "18446744073709551615",
        "-9007199254740993",
        "1e400",
        "0.1000000000000000055",
        "1e-400",
        "123456789012345678901234567890",
        "-0",
    ] {
        let body = with_arguments(&format!(r#"{{"amount":{number}}}"#));
        let problem = refused(&world, Who::Bot, raw(body), 400, "invalid_body").await;
        assert!(problem.detail.contains("arguments"), "{problem}");
    }
    for number in ["9007199254740992", "0.1", "1e21", "-1", "100.50"] {
        let body = with_arguments(&format!(r#"{{"amount":{number}}}"#));
        world.bot.send(raw(body)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_the_wrong_size_or_kind() {
    let world = World::new().await;
    let padded = |bytes: usize| {
        let body = with_arguments(r#"{"a":"PAD"}"#);
        let pad = bytes - body.len() + 3;
        body.replace("PAD", &"x".repeat(pad))
    };
    world.bot.send(raw(padded(32 << 10))).await.expect(200);
    refused(&world, Who::Bot, raw(padded((32 << 10) + 1)), 413, "body_too_large").await;
    refused(&world, Who::Bot, raw(padded(1 << 20)), 413, "body_too_large").await;
    refused(&world, Who::Nobody, raw(padded(1 << 20)), 413, "body_too_large").await;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json5", "json", ""] {
        let call = Call::new("POST", "/v1/decisions").body(media_type, ask().to_string());
        refused(&world, Who::Bot, call, 415, "unsupported_media_type").await;
    }
    let mut bare = Call::post("/v1/decisions", &ask());
    bare.headers.clear();
    refused(&world, Who::Bot, bare, 415, "unsupported_media_type").await;
    let with_charset = Call::new("POST", "/v1/decisions").body("application/json; charset=utf-8", ask().to_string());
    world.bot.send(with_charset).await.expect(200);
    let component = b"x".to_vec();
    let put = Call::new("PUT", format!("/v1/components/{}", blake3_hex(&component))).json(component);
    refused(&world, Who::PolicyAdmin, put, 415, "unsupported_media_type").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_a_delegation_is_refused() {
    let world = World::new().await;
    for user in ["alice", "", "usr_1"] {
        let call = Call::post("/v1/decisions", &ask_with(json!({ "user": user })));
        let problem = refused(&world, Who::Bot, call, 422, "invalid_field").await;
        assert!(problem.help.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_in_the_ids_of_a_request() {
    let world = World::new().await;
    for trick in TRICKS {
        for member in ["action", "resource", "purpose", "session"] {
            let call = Call::post("/v1/decisions", &ask_with(json!({ member: trick })));
            let problem = refused(&world, Who::Bot, call, 422, "invalid_field").await;
            assert!(problem.help.is_some(), "{member} {trick:?}");
            assert!(
                problem.detail.is_ascii() || !problem.detail.contains(['\u{0}', '\u{202e}', '\u{200d}']),
                "{problem}"
            );
        }
    }
    for resource in
        ["article", "article/", "/42", "article//42", "article/.", "article/../7", "article/*", "*", "Article/42"]
    {
        let call = Call::post("/v1/decisions", &ask_with(json!({ "resource": resource })));
        refused(&world, Who::Bot, call, 422, "invalid_field").await;
    }
    for action in ["faq.*", "faq.", ".faq", "faq..read", &"a".repeat(1_000)] {
        let call = Call::post("/v1/decisions", &ask_with(json!({ "action": action })));
        refused(&world, Who::Bot, call, 422, "invalid_field").await;
    }
}

/// Percent-encoded, because clients normalise everything else away before they send it.
const PATH_TRICKS: [&str; 8] = ["%2a", "..%2f..", "a%00b", "%D0%B0", "a%20b", "A", "%ff", "a%2fb"];

#[tokio::test(flavor = "multi_thread")]
async fn tricks_in_paths_and_queries() {
    let world = World::new().await;
    for trick in PATH_TRICKS {
        for (who, method, path, body) in [
            (Who::Registrar, "GET", "/v1/agents/ID", None),
            (Who::Registrar, "POST", "/v1/agents/ID/suspend", Some(json!({}))),
            (Who::Registrar, "POST", "/v1/agents/support-bot/keys/ID/revoke", None),
            (Who::Registrar, "GET", "/v1/resource-servers/ID", None),
            (Who::Registrar, "GET", "/v1/grants/ID", None),
            (Who::Admin, "POST", "/v1/operators/ID/revoke", None),
            (Who::PolicyAdmin, "GET", "/v1/policies/ID", None),
            (Who::PolicyAdmin, "POST", "/v1/policies/ID/activate", Some(json!({ "version": 1 }))),
            (Who::Auditor, "GET", "/v1/audit/entries/ID", None),
            (Who::Auditor, "GET", "/v1/audit/decisions/ID", None),
            (Who::Faq, "POST", "/v1/grants/ID/effect", Some(json!({ "use_number": 1, "effect": "done" }))),
        ] {
            let call = Call::new(method, path.replace("ID", trick));
            let call = match body {
                Some(body) => call.json(body.to_string()),
                None => call,
            };
            refused(&world, who, call, 422, "invalid_field").await;
        }
    }
    for query in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=1&limit=2", "limit=", "after=..", "after=%2a"] {
        refused(&world, Who::Registrar, Call::get(format!("/v1/agents?{query}")), 400, "invalid_query").await;
    }
    for query in ["from=-1", "from=x", "limit=1000"] {
        refused(&world, Who::Auditor, Call::get(format!("/v1/audit/entries?{query}")), 400, "invalid_query").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there() {
    let world = World::new().await;
    for path in ["/", "/v1", "/v1/decision", "/v1/decisions/", "/v2/decisions", "/admin"] {
        refused(&world, Who::Nobody, Call::get(path), 404, "no_such_route").await;
    }
    for (method, path) in [("GET", "/v1/decisions"), ("DELETE", "/v1/agents/support-bot"), ("POST", "/healthz")] {
        refused(&world, Who::Nobody, Call::new(method, path), 405, "method_not_allowed").await;
    }
    let zeros = "0".repeat(32);
    for (who, path) in [
        (Who::Registrar, "/v1/agents/nobody".to_owned()),
        (Who::Registrar, "/v1/resource-servers/nobody".to_owned()),
        (Who::Registrar, format!("/v1/grants/grt_{zeros}")),
        (Who::PolicyAdmin, "/v1/policies/nothing".to_owned()),
        (Who::Auditor, "/v1/audit/entries/99999".to_owned()),
        (Who::Auditor, "/v1/audit/entries/99999/receipt".to_owned()),
        (Who::Auditor, format!("/v1/audit/decisions/dec_{zeros}")),
    ] {
        refused(&world, who, Call::get(path), 404, "not_found").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_for_one_request() {
    let world = World::new().await;
    let first = world.bot.ask_once("key-1", &ask()).await.expect(200).json::<DecisionAnswer>();
    let size = world.log_size().await;
    for change in [
        json!({ "action": "faq.list" }),
        json!({ "resource": "article/43" }),
        json!({ "purpose": "serve-customers" }),
        json!({ "arguments": {} }),
        json!({ "session": "s-1" }),
        json!({ "claims": { "urgent": true } }),
    ] {
        let call = Call::post("/v1/decisions", &ask_with(change)).header("Idempotency-Key", "key-1");
        assert!(refused(&world, Who::Bot, call, 409, "idempotency_conflict").await.help.is_some());
    }
    let again = world.bot.ask_once("key-1", &ask()).await.expect(200).json::<DecisionAnswer>();
    assert_eq!(world.log_size().await, size, "asking again was recorded");
    assert_eq!((&again.decision_id, &again.grant, &again.entry), (&first.decision_id, &first.grant, &first.entry));
    let jti = |answer: &DecisionAnswer| {
        let token = &answer.credential.as_ref().unwrap().access_token;
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims;
        (claims["jti"].clone(), claims["exp"].clone())
    };
    assert_eq!(jti(&again), jti(&first));
    for key in ["", " ", "a b", "\u{e9}", &"k".repeat(129)] {
        let call = Call::post("/v1/decisions", &ask()).header("Idempotency-Key", key);
        refused(&world, Who::Bot, call, 422, "invalid_field").await;
    }
    let call = Call::post("/v1/decisions", &ask()).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    refused(&world, Who::Bot, call, 422, "invalid_field").await;
}
