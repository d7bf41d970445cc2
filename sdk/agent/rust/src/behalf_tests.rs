use attorn_api::ProblemCode;
use attorn_api::decisions::DecisionKind;
use serde_json::{Value, json};

use super::*;
use crate::fake_server::{FakeServer, answer, ok, problem};
use crate::key::{AgentKey, Algorithm};
use crate::request::Request;

const READ: [(&str, &str); 1] = [("invoice.read", "invoice/*")];

fn made(changes: &[(&str, Value)]) -> Value {
    let mut delegation = json!({
        "id": "dlg_1", "user": "usr_1", "from_agent": null, "parent": null, "depth": 0, "to_agent": "bot",
        "purpose": "serve-customers", "session": "ses_1",
        "permissions": [{ "action": "invoice.read", "resource": "invoice/*" }],
        "created_at_ms": 1, "expires_at_ms": 2, "accepted_at_ms": 1, "revoked_at_ms": null, "standing": "active",
    });
    for (name, value) in changes {
        delegation[*name] = value.clone();
    }
    json!({ "delegation": delegation, "entry": answer(DecisionKind::Deny).entry })
}

fn client(server: &FakeServer) -> Client {
    Client::new(&server.url, AgentKey::generate(Algorithm::EdDsa).unwrap()).unwrap()
}

fn delegation() -> Delegation {
    recorded(serde_json::from_value(made(&[])).unwrap(), true).unwrap()
}

#[tokio::test]
async fn what_is_other_than_was_asked_for_is_not_acted_by() {
    let wider = json!([{ "action": "*", "resource": "*" }]);
    let offered = [("id", json!("dlg_2")), ("parent", json!("dlg_1")), ("to_agent", json!("reader"))];
    let offered = |name, value| made(&[&offered[..], &[(name, value)]].concat());
    let about_another = |error: Error| error.to_string().contains("it is about another delegation");
    for answer in [made(&[("purpose", json!("gossip"))]), made(&[("permissions", wider.clone())])] {
        let server = FakeServer::with([ok(&answer, None)]).await;
        let exchange = Exchange::new("token", "serve-customers").narrowed_to(READ);
        assert!(about_another(client(&server).exchange(&exchange).await.unwrap_err()), "{answer}");
    }
    for answer in [
        offered("to_agent", json!("courier")),
        offered("parent", json!("dlg_3")),
        offered("parent", Value::Null),
        offered("permissions", wider),
    ] {
        let server = FakeServer::with([ok(&answer, None)]).await;
        let refused = client(&server).offer(&delegation(), "reader", READ).await.unwrap_err();
        assert!(about_another(refused), "{answer}");
    }
    let other = made(&[("id", json!("dlg_2"))]);
    let server = FakeServer::with([ok(&other, None), ok(&other["delegation"], None)]).await;
    assert!(about_another(client(&server).accept("dlg_1").await.unwrap_err()));
    assert!(about_another(client(&server).give_back("dlg_1", None).await.unwrap_err()));
}

#[tokio::test]
async fn ids_that_lead_elsewhere_are_not_sent() {
    let page = json!({ "delegations": [], "next": "dlg_1&limit=200" });
    let server = FakeServer::with([ok(&page, None)]).await;
    let client = client(&server);
    for id in ["", "..", "dlg_1/../../agents", "dlg_1?x", "dlg_1%2f", "dlg\u{e9}"] {
        for refused in [
            client.accept(id).await,
            client.give_back(id, None).await,
            client.offer_part(&Part::of(id, READ), "reader").await,
        ] {
            assert!(matches!(refused, Err(Error::Unsendable { what: "delegation id", .. })), "{id}: {refused:?}");
        }
    }
    assert!(server.seen().is_empty());
    assert!(matches!(client.own_delegations().await, Err(Error::Unsendable { .. })));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_shows_no_token() {
    let server = FakeServer::with([problem(ProblemCode::LoginNeeded, None)]).await;
    let error = client(&server).delegate("secret.token", "serve-customers").await.unwrap_err();
    assert_eq!(error.problem().unwrap().code, ProblemCode::LoginNeeded);
    let shown = format!("{error} {error:?} {:?}", Exchange::new("secret.token", "serve-customers"));
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn consent_is_brought_narrowed_given_on_accepted_and_given_back() {
    let offered = made(&[("id", json!("dlg_2")), ("parent", json!("dlg_1")), ("to_agent", json!("reader"))]);
    let accepted = made(&[("id", json!("dlg_2"))]);
    let answers = [
        problem(ProblemCode::UseDpopNonce, Some("n")),
        ok(&made(&[]), None),
        ok(&made(&[]), None),
        ok(&offered, None),
        ok(&accepted, None),
        ok(&accepted["delegation"], None),
    ];
    let server = FakeServer::with(answers).await;
    let client = client(&server);
    let root = client.delegate("token", "serve-customers").await.unwrap();
    assert_eq!((root.id(), root.user(), root.purpose(), root.is_active()), ("dlg_1", "usr_1", "serve-customers", true));
    assert!(root.entry().is_some());
    let less = Exchange::new("token", "serve-customers").narrowed_to(READ).for_at_most(Duration::from_mins(1));
    client.exchange(&less).await.unwrap();
    let part = root.narrowed_to(READ).for_at_most(Duration::from_secs(5));
    let child = client.offer_part(&part, "reader").await.unwrap();
    client.accept(child.id()).await.unwrap();
    assert_eq!(client.give_back("dlg_2", Some("done")).await.unwrap().entry(), None);
    let seen = server.seen();
    let sent = |at: usize| serde_json::from_slice::<Value>(&seen[at].body).unwrap_or(Value::Null);
    let read = json!([{ "action": "invoice.read", "resource": "invoice/*" }]);
    for (at, path, body) in [
        (1, "/v1/delegations", json!({ "subject_token": "token", "purpose": "serve-customers" })),
        (
            2,
            "/v1/delegations",
            json!({ "subject_token": "token", "purpose": "serve-customers", "permissions": read, "expires_in_ms": 60_000 }),
        ),
        (
            3,
            "/v1/delegations/dlg_1/offer",
            json!({ "to_agent": "reader", "permissions": read, "expires_in_ms": 5_000 }),
        ),
        (4, "/v1/delegations/dlg_2/accept", Value::Null),
        (5, "/v1/own-delegations/dlg_2/revoke", json!({ "reason": "done" })),
    ] {
        assert_eq!((seen[at].path.as_str(), sent(at)), (path, body));
        assert_eq!(seen[at].claims["htm"], "POST");
    }
}

#[tokio::test]
async fn own_delegations_are_read_page_by_page_and_not_for_ever() {
    let page = |id: &str, next: Option<&str>| {
        ok(&json!({ "delegations": [made(&[("id", json!(id))])["delegation"]], "next": next }), None)
    };
    let answers = [problem(ProblemCode::UseDpopNonce, Some("n")), page("dlg_1", Some("dlg_1")), page("dlg_2", None)];
    let server = FakeServer::with(answers).await;
    let own = client(&server).own_delegations().await.unwrap();
    assert_eq!(own.iter().map(Delegation::id).collect::<Vec<_>>(), ["dlg_1", "dlg_2"]);
    let seen = server.seen();
    assert_eq!(seen[2].query.as_deref(), Some("limit=25&after=dlg_1"));
    assert_eq!((&seen[2].claims["htm"], &seen[2].claims["nonce"]), (&json!("GET"), &json!("n")));
    assert_eq!(seen[2].claims["htu"], format!("{}/v1/own-delegations", server.url));
    let server = FakeServer::with((0..50).map(|_| page("dlg_1", Some("dlg_1")))).await;
    assert_eq!(client(&server).own_delegations().await.unwrap().len(), PAGES_MAX);
}

#[test]
fn a_request_takes_a_delegation_or_its_id() {
    let request = || Request::new("invoice.read", "invoice/17", "serve-customers");
    let (by_id, by) = (request().on_behalf_by("dlg_1"), request().on_behalf_by(&delegation()));
    assert_eq!(by_id.to_body().unwrap(), by.to_body().unwrap());
}
