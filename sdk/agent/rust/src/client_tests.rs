use attorn_api::ProblemCode;
use attorn_api::decisions::{DecisionKind, Grant};
use attorn_api::facts::{DeleteFacts, FactsDeleted, FactsSet, SetFact, SetFacts};
use attorn_api::grants::{GrantUse, UseGrant};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::*;
use crate::ResourceServerClient;
use crate::fake_server::{FakeServer, answer, claims_of, ok, problem};
use crate::key::{AgentKey, Algorithm};

fn key() -> AgentKey {
    AgentKey::generate(Algorithm::EdDsa).unwrap()
}

fn request() -> Request {
    Request::new("faq.read", "article/42", "answer-questions")
}

async fn refused(response: axum::response::Response) -> String {
    let server = FakeServer::with([response]).await;
    let error = Client::new(&server.url, key()).unwrap().decide(&request()).await.unwrap_err();
    assert_eq!(server.seen().len(), 1, "{error}");
    error.to_string()
}

#[tokio::test]
async fn what_is_no_decision_is_an_error() {
    let allow = answer(DecisionKind::Allow);
    let other = |change: fn(&mut Grant)| {
        let mut answer = allow.clone();
        answer.grant.as_mut().map(change).unwrap();
        answer
    };
    let mut unknown = serde_json::to_value(&allow).unwrap();
    unknown["surprise"] = true.into();
    for (response, expect) in [
        ((StatusCode::BAD_GATEWAY, "<html>").into_response(), "(502) cannot be understood: it is no problem"),
        ((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(), "(307)"),
        ("x".repeat(300 << 10).into_response(), "it has more than 262144 bytes"),
        ("{}".into_response(), "missing field"),
        (ok(&unknown, None), "unknown field `surprise`"),
        (ok(&other(|grant| grant.action = "faq.write".into()), None), "its grant is for another request"),
        (ok(&other(|grant| grant.resource = "article/43".into()), None), "its grant is for another request"),
        (ok(&other(|grant| grant.arguments_digest = "00".into()), None), "its grant is for another request"),
        (problem(ProblemCode::UnknownKey, None), "it is so (unknown_key)"),
        (problem(ProblemCode::UseDpopNonce, None), "it is so (use_dpop_nonce)"),
    ] {
        let error = refused(response).await;
        assert!(error.contains(expect), "{error}");
    }
}

#[tokio::test]
async fn a_problem_keeps_its_code_and_help() {
    let server = FakeServer::with([problem(ProblemCode::IdempotencyConflict, None)]).await;
    let error = Client::new(&server.url, key()).unwrap().decide(&request()).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!((problem.code, problem.help.as_deref()), (ProblemCode::IdempotencyConflict, Some("do this")));
}

#[tokio::test]
async fn nobody_there_and_too_slow_are_errors_of_the_connection() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    // It listens and never answers.
    let slow = Client::with_timeout(&url, key(), Duration::from_millis(50)).unwrap();
    assert!(matches!(slow.decide(&request()).await, Err(Error::Connection { .. })));
    drop(closed);
    let gone = Client::new(&url, key()).unwrap().decide(&request()).await.unwrap_err();
    assert_eq!(gone.to_string(), format!("the server `{url}` could not be reached, or the connection broke"));
}

#[tokio::test]
async fn the_server_s_nonce_is_tried_once_and_no_more() {
    let again = || problem(ProblemCode::UseDpopNonce, Some("n"));
    let server = FakeServer::with([again(), again(), again()]).await;
    let error = Client::new(&server.url, key()).unwrap().decide(&request()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().code, ProblemCode::UseDpopNonce);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_newest_nonce_is_used_and_every_proof_is_new() {
    let allow = answer(DecisionKind::Allow);
    let answers = [
        problem(ProblemCode::UseDpopNonce, Some("first")),
        ok(&allow, Some("second")),
        problem(ProblemCode::Busy, Some("third")),
        ok(&allow, None),
    ];
    let server = FakeServer::with(answers).await;
    let client = Client::new(&server.url, key()).unwrap();
    let request = request().idempotency_key("once").unwrap();
    assert!(matches!(client.decide(&request).await.unwrap(), Decision::Allow { .. }));
    assert_eq!(client.decide(&request).await.unwrap_err().problem().unwrap().code, ProblemCode::Busy);
    assert!(client.decide(&request).await.is_ok());
    let seen = server.seen();
    let nonces: Vec<_> = seen.iter().map(|seen| seen.claims["nonce"].as_str()).collect();
    assert_eq!(nonces, [None, Some("first"), Some("second"), Some("third")]);
    for (at, one) in seen.iter().enumerate() {
        assert_eq!((one.path.as_str(), one.idempotency_key.as_deref()), ("/v1/decisions", Some("once")));
        assert_eq!(one.claims["htu"], format!("{}/v1/decisions", server.url));
        assert_eq!(one.body, seen[0].body);
        assert!(seen[..at].iter().all(|earlier| earlier.claims["jti"] != one.claims["jti"]));
    }
}

#[test]
fn a_proof_to_show_a_credential_is_of_that_credential() {
    let client = Client::new("http://127.0.0.1:1", key()).unwrap();
    let proof = client.proof_for("GET", "https://faq.example/article/42?a=b", b"", "token").unwrap();
    let claims = claims_of(&proof);
    // echo -n token | openssl dgst -sha256 -binary | basenc --base64url
    assert_eq!(claims["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");
    assert_eq!((&claims["htm"], &claims["htu"]), (&"GET".into(), &"https://faq.example/article/42".into()));
    assert_eq!(claims.get("nonce"), None);
}

#[tokio::test]
async fn a_resource_server_reports_by_the_grant_s_id_and_nothing_else() {
    let counted =
        GrantUse { grant: "grt_1".into(), use_number: 1, uses_left: 0, entry: answer(DecisionKind::Deny).entry };
    let server = FakeServer::with([problem(ProblemCode::UseDpopNonce, Some("n")), ok(&counted, None)]).await;
    let client = ResourceServerClient::new(&server.url, key()).unwrap();
    let intended = UseGrant { action: "faq.read".into(), resource: "article/42".into(), arguments_digest: "00".into() };
    for id in ["", "..", "grt_1/../../agents", "grt_1?x", "grt_1%2f", "grt\u{e9}"] {
        let error = client.use_grant(id, &intended).await.unwrap_err();
        assert!(matches!(error, Error::Unsendable { what: "grant id", .. }), "{error}");
    }
    assert_eq!(client.use_grant("grt_1", &intended).await.unwrap(), counted);
    assert_eq!(server.seen()[1].path, "/v1/grants/grt_1/uses");
}

#[tokio::test]
async fn a_resource_server_says_what_is_so_and_reads_why_it_may_not() {
    let owner = SetFact { name: "resource/article/42/owner".into(), value: "alice".into(), expires_at_ms: None };
    let answers = [
        problem(ProblemCode::UseDpopNonce, Some("n")),
        ok(&FactsSet { set: 1 }, None),
        problem(ProblemCode::InvalidState, None),
        ok(&FactsDeleted { deleted: 1, not_there: Vec::new() }, None),
    ];
    let server = FakeServer::with(answers).await;
    let client = ResourceServerClient::new(&server.url, key()).unwrap();
    let facts = SetFacts { facts: vec![owner] };
    assert_eq!(client.set_facts(&facts).await.unwrap(), FactsSet { set: 1 });
    let names = DeleteFacts { names: vec!["resource/article/42/owner".into()] };
    let refused = client.delete_facts(&names).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().code, ProblemCode::InvalidState);
    assert_eq!(client.delete_facts(&names).await.unwrap(), FactsDeleted { deleted: 1, not_there: Vec::new() });
    let seen = server.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let (set, delete) = ("/v1/resource-facts", "/v1/resource-facts/delete");
    assert_eq!(paths, [set, set, delete, delete]);
    assert_eq!(serde_json::from_slice::<SetFacts>(&seen[1].body).unwrap(), facts);
    assert_eq!(serde_json::from_slice::<DeleteFacts>(&seen[3].body).unwrap(), names);
}
