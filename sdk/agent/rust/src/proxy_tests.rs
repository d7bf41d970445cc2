use attorn_api::approvals::ApprovalStanding;
use attorn_api::{Problem, ProblemCode};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::fake_server::{FakeServer, answer, ok, problem};
use crate::key::{AgentKey, Algorithm};

fn client(url: &str) -> Client {
    Client::new(url, AgentKey::generate(Algorithm::EdDsa).unwrap()).unwrap()
}

fn get() -> ProxyRequest {
    ProxyRequest::new("crm", "GET", "/v2/contacts/42?fields=name", "support")
}

/// What a service says, passed on.
fn passed_on(status: u16, body: &str) -> Response {
    let headers = [("Attorn-Decision", "dec_1"), ("etag", "\"7\"")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_owned()).into_response()
}

/// That somebody has to approve.
fn waits(id: &str) -> Response {
    let approval = answer(attorn_api::decisions::DecisionKind::Challenge).approval.unwrap();
    let mut problem = Problem::new(ProblemCode::ApprovalNeeded, "this needs an approval");
    problem.approval = Some(ApprovalReference { id: id.into(), ..approval });
    problem.decision_id = Some("dec_2".into());
    (StatusCode::FORBIDDEN, serde_json::to_string(&problem).unwrap()).into_response()
}

#[tokio::test]
async fn what_cannot_be_sent_as_it_is_is_not_sent() {
    let server = FakeServer::with([]).await;
    let client = client(&server.url);
    let new = ProxyRequest::new;
    for (request, what) in [
        (new("crm", "GET", "v2/contacts", "p"), "path"),
        (new("crm", "GET", "/v2/../v1", "p"), "path"),
        (new("crm", "GET", "/v2/%2e%2e/v1", "p"), "path"),
        (new("crm", "GET", "/v2#a", "p"), "path"),
        (new("crm", "GET", "/v2/a b", "p"), "path"),
        (new("crm", "GET", "/v2/\u{e9}", "p"), "path"),
        (new("crm", "GET", "/v2\r\nx: y", "p"), "path"),
        (new("crm/../other", "GET", "/v2", "p"), "target"),
        (new("", "GET", "/v2", "p"), "target"),
        (new("crm", "GET IT", "/v2", "p"), "method"),
        (new("crm", "GET", "/v2", ""), "purpose"),
        (new("crm", "GET", "/v2", "p; delegation=d"), "purpose"),
        (new("crm", "GET", "/v2", "p").on_behalf_by("d; session=s"), "delegation"),
        (new("crm", "GET", "/v2", "p").session("s\r\n"), "session"),
    ] {
        let error = client.call(&request).await.unwrap_err();
        assert!(matches!(error, Error::Unsendable { what: said, .. } if said == what), "{error}");
    }
    for (name, value) in
        [("dpop", "x"), ("Attorn-For", "x"), ("attorn-headers", "x"), ("host", "x"), ("a b", "x"), ("x-a", "a\nb")]
    {
        assert!(matches!(get().header(name, value), Err(Error::Unsendable { .. })), "{name}");
    }
    assert!(get().body("text/plain\r\n", "").is_err());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_is_no_service_s_answer_is_an_error() {
    for (response, expect) in [
        ("{}".into_response(), "(200) cannot be understood: it names no decision"),
        ((StatusCode::BAD_GATEWAY, "<html>").into_response(), "(502) cannot be understood"),
        (problem(ProblemCode::Denied, None), "it is so (denied)"),
        (problem(ProblemCode::UpstreamFailed, None), "it is so (upstream_failed)"),
        (waits("apr_1"), "this needs an approval (approval_needed): approval `apr_1`, code BCDF-GHJK"),
    ] {
        let server = FakeServer::with([response]).await;
        let error = client(&server.url).call(&get()).await.unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        assert_eq!(server.seen().len(), 1, "nothing is repeated: {error}");
    }
}

#[tokio::test]
async fn the_proof_is_of_the_query_and_of_whom_it_is_for() {
    let server = FakeServer::with([
        problem(ProblemCode::UseDpopNonce, Some("first")),
        passed_on(404, "not there"),
        passed_on(200, ""),
    ])
    .await;
    let client = client(&server.url);
    let mut said = client.call(&get().on_behalf_by("dlg_1").session("ses_1")).await.unwrap();
    assert_eq!((said.status(), said.decision_id(), said.header("etag")), (404, "dec_1", Some("\"7\"")));
    assert_eq!(said.bytes(9).await.unwrap(), b"not there");
    let post = ProxyRequest::new("crm", "POST", "/v2/contacts/42/notes", "support");
    let post = post.header("if-match", "\"7\"").unwrap().json(&serde_json::json!({ "a": 1 })).unwrap();
    client.call(&post).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[1].path.as_str(), seen[1].query.as_deref()), ("/proxy/crm/v2/contacts/42", Some("fields=name")));
    assert_eq!(seen[1].claims["htu"], format!("{}/proxy/crm/v2/contacts/42?fields=name", server.url));
    assert_eq!((&seen[1].claims["nonce"], &seen[1].claims["htm"]), (&"first".into(), &"GET".into()));
    let asked_for = "support; delegation=dlg_1; session=ses_1";
    assert_eq!(seen[1].claims["attorn_for"], asked_for);
    assert_eq!(seen[1].headers["attorn-for"], asked_for);
    assert_eq!(seen[2].headers["content-type"], "application/json");
    assert_eq!(seen[2].headers["if-match"], "\"7\"");
    // The server is told which were meant, and of no other.
    assert_eq!(seen[1].headers.get("attorn-headers"), None);
    assert_eq!(seen[2].headers["attorn-headers"], "if-match");
    assert_eq!((&seen[2].body[..], &seen[2].claims["attorn_for"]), (&br#"{"a":1}"#[..], &"support".into()));
}

#[tokio::test]
async fn a_head_learns_the_nonce_without_a_body() {
    let unauthorized = |nonce: &'static str| (StatusCode::UNAUTHORIZED, [("DPoP-Nonce", nonce)]).into_response();
    let head = ProxyRequest::new("crm", "HEAD", "/v2", "p");
    let server = FakeServer::with([unauthorized("n"), passed_on(200, "")]).await;
    assert_eq!(client(&server.url).call(&head).await.unwrap().status(), 200);
    // Once, and no more.
    let server = FakeServer::with([unauthorized("n"), unauthorized("m"), passed_on(200, "")]).await;
    assert!(client(&server.url).call(&head).await.is_err());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn what_is_longer_than_wanted_or_cut_off_is_no_whole_answer() {
    let server = FakeServer::with([passed_on(200, "four")]).await;
    let mut said = client(&server.url).call(&get()).await.unwrap();
    assert!(said.bytes(3).await.unwrap_err().to_string().contains("it has more than 3 bytes"));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 16 << 10];
        let mut read = 0;
        while !head[..read].ends_with(b"\r\n\r\n") {
            read += stream.read(&mut head[read..]).await.unwrap();
        }
        let half = "HTTP/1.1 200 OK\r\nattorn-decision: dec_1\r\ncontent-length: 100\r\n\r\nhalf";
        stream.write_all(half.as_bytes()).await.unwrap();
    });
    let mut said = client(&url).call(&get()).await.unwrap();
    assert_eq!(said.chunk().await.unwrap().as_deref(), Some(&b"half"[..]));
    assert!(matches!(said.chunk().await, Err(Error::CutOff { bytes: 4, .. })));
}

#[tokio::test]
async fn it_is_sent_again_when_somebody_has_approved_it_and_not_before() {
    let standing = |state: &str| {
        ok(&ApprovalStanding { id: "apr_1".into(), state: state.into(), expires_at_ms: 3, poll_ms: 1 }, None)
    };
    let server =
        FakeServer::with([waits("apr_1"), standing("pending"), standing("approved"), passed_on(200, "")]).await;
    let mut shown = Vec::new();
    let wait = Duration::from_secs(30);
    let said = client(&server.url).call_when_approved(&get(), wait, |approval| shown.push(approval.id.clone())).await;
    assert_eq!((said.unwrap().status(), shown), (200, vec!["apr_1".to_owned()]));
    let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    let (sent, state) = ("/proxy/crm/v2/contacts/42", "/v1/approvals/apr_1/state");
    assert_eq!(paths, [sent, state, state, sent]);

    let server = FakeServer::with([waits("apr_1")]).await;
    let error = client(&server.url).call_when_approved(&get(), Duration::ZERO, |_| {}).await.unwrap_err();
    assert_eq!(error.approval().map(|approval| approval.id.as_str()), Some("apr_1"));
    assert_eq!(error.problem().and_then(|problem| problem.decision_id.as_deref()), Some("dec_2"));
}
