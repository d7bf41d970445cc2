//! This server as a client of a provider in this process, which answers what the test says.

use std::collections::VecDeque;

use attorn_identity::{AssertionExpectation, UnverifiedAssertion, generate_token_key};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::*;
use crate::oauth::form::Form;

/// Never asked: the port of nobody.
const OWN: &str = "192.0.2.1:7700";
const NOW: TimeMs = TimeMs(1_767_323_045_678);

type Requests = Arc<Mutex<Vec<(HeaderMap, String)>>>;
type Answers = Arc<Mutex<VecDeque<(u16, String)>>>;

struct Fake {
    issuer: Issuer,
    requests: Requests,
    answers: Answers,
    network: Network,
    signer: Arc<ClientSigner>,
}

async fn answered(
    State((requests, answers)): State<(Requests, Answers)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    requests.lock().unwrap().push((headers, body));
    let next = answers.lock().unwrap().pop_front();
    match next {
        Some((status, body)) => {
            (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], body).into_response()
        }
        // Never.
        None => std::future::pending().await,
    }
}

impl Fake {
    async fn start(metadata: Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let mut document = json!({
            "issuer": issuer, "token_endpoint": format!("{issuer}/token"),
            "backchannel_authentication_endpoint": format!("{issuer}/ask"),
            "backchannel_token_delivery_modes_supported": ["poll"],
        });
        document.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let (requests, answers) = (Requests::default(), Answers::default());
        let document = document.to_string();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || std::future::ready(document.clone())))
            .route("/ask", post(answered))
            .route("/token", post(answered))
            .with_state((Arc::clone(&requests), Arc::clone(&answers)));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let signer = ClientSigner::from_pkcs8(&generate_token_key().unwrap()).unwrap();
        Self {
            issuer: issuer.parse().unwrap(),
            requests,
            answers,
            network: Network::new(OWN.parse().unwrap()),
            signer: Arc::new(signer),
        }
    }

    fn answers(&self, status: u16, body: &str) {
        self.answers.lock().unwrap().push_back((status, body.into()));
    }

    fn client<'a>(&'a self, id: &'a ClientId, credential: Credential) -> Client<'a> {
        Client { network: &self.network, issuer: &self.issuer, id, credential }
    }

    fn last(&self) -> (HeaderMap, Form) {
        let (headers, body) = self.requests.lock().unwrap().pop().unwrap();
        (headers, Form::parse(body.as_bytes()).ok().unwrap())
    }
}

const QUESTION_OF_ALICE: Question<'static> =
    Question { login_hint: "alice", code: "K7QM-2WXD", expires_in_s: 290, detail: None };

#[tokio::test]
async fn a_question_is_put_and_polled_for_with_a_signature_that_is_for_this_provider() {
    let fake = Fake::start(json!({})).await;
    let id: ClientId = "attorn".parse().unwrap();
    let client = fake.client(&id, Credential::Key(Arc::clone(&fake.signer)));
    let endpoints = client.endpoints().await.unwrap();
    fake.answers(200, r#"{"auth_req_id":"r-1","expires_in":120,"interval":2}"#);
    let started = client.ask(&endpoints.authentication, &QUESTION_OF_ALICE, NOW).await.unwrap();
    assert_eq!((started.request_id.as_str(), started.interval_s), ("r-1", 2));
    let (headers, form) = fake.last();
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert!(!headers.contains_key("authorization"));
    assert_eq!((form.get("login_hint"), form.get("binding_message")), (Some("alice"), Some("K7QM-2WXD")));
    assert_eq!((form.get("client_id"), form.get("client_assertion_type")), (Some("attorn"), Some(JWT_BEARER)));
    let assertion = UnverifiedAssertion::parse(form.get("client_assertion").unwrap()).unwrap();
    let expect = AssertionExpectation { audiences: [fake.issuer.as_str(), ""], now: NOW };
    assert!(assertion.verify(Some(fake.signer.public_key()), &expect).is_ok());
    fake.answers(400, r#"{"error":"authorization_pending"}"#);
    assert_eq!(client.poll(&endpoints.token, "r-1", NOW).await, Polled::Pending);
    let (_, form) = fake.last();
    assert_eq!(form.get("grant_type"), Some("urn:openid:params:grant-type:ciba"));
    assert_eq!(form.get("auth_req_id"), Some("r-1"));
}

#[tokio::test]
async fn a_secret_is_encoded_as_the_standard_says_and_stands_in_no_form() {
    let fake = Fake::start(json!({})).await;
    let id: ClientId = "attorn:x".parse().unwrap();
    let client = fake.client(&id, Credential::Secret(Zeroizing::new("p%: \u{e9}".into())));
    let endpoints = client.endpoints().await.unwrap();
    fake.answers(401, r#"{"error":"invalid_client"}"#);
    let refused = client.ask(&endpoints.authentication, &QUESTION_OF_ALICE, NOW).await;
    assert_eq!(refused, Err(Problem::ClientRefused));
    let (headers, form) = fake.last();
    let expect = BASE64.encode(b"attorn%3Ax:p%25%3A+%C3%A9");
    assert_eq!(headers["authorization"], format!("Basic {expect}"));
    assert!(form.get("client_secret").is_none() && form.get("client_assertion").is_none());
}

#[tokio::test]
async fn answers_that_are_no_answers_are_problems_of_their_own() {
    let fake = Fake::start(json!({})).await;
    let id: ClientId = "attorn".parse().unwrap();
    let client = fake.client(&id, Credential::Key(Arc::clone(&fake.signer)));
    let token = client.endpoints().await.unwrap().token;
    let poll = async |status: u16, body: &str| {
        fake.answers(status, body);
        client.poll(&token, "r-1", NOW).await
    };
    assert_eq!(poll(302, "").await, Polled::Failed(Problem::Redirected));
    assert_eq!(fake.requests.lock().unwrap().len(), 1, "nobody went elsewhere");
    assert_eq!(poll(200, &"x".repeat(ANSWER_BYTES_MAX + 1)).await, Polled::Failed(Problem::TooLarge));
    assert_eq!(poll(503, "").await, Polled::Failed(Problem::Unavailable(503)));
    assert_eq!(poll(400, r#"{"error":"slow_down"}"#).await, Polled::SlowDown);
    let nobody = Url::parse("http://127.0.0.1:1/token").unwrap();
    assert_eq!(client.poll(&nobody, "r-1", NOW).await, Polled::Failed(Problem::Unreachable));
}

#[tokio::test]
async fn nothing_is_sent_to_this_server_or_to_a_metadata_service() {
    let fake = Fake::start(json!({})).await;
    let own = fake.issuer.as_str().strip_prefix("http://").unwrap().parse().unwrap();
    let id: ClientId = "attorn".parse().unwrap();
    let at = |network| Client {
        network,
        issuer: &fake.issuer,
        id: &id,
        credential: Credential::Key(Arc::clone(&fake.signer)),
    };
    let network = Network::new(own);
    assert_eq!(at(&network).endpoints().await, Err(Problem::Address));
    let by_name = fake.issuer.as_str().replace("127.0.0.1", "localhost");
    let polled = at(&network).poll(&Url::parse(&by_name).unwrap(), "r-1", NOW).await;
    assert_eq!(polled, Polled::Failed(Problem::Address), "a name for this server");
    for url in ["http://169.254.169.254/token", "http://[fd00:ec2::254]/token", "http://0.0.0.0/token"] {
        let polled = at(&fake.network).poll(&Url::parse(url).unwrap(), "r-1", NOW).await;
        assert_eq!(polled, Polled::Failed(Problem::Address), "{url}");
    }
    assert!(fake.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn metadata_that_does_not_serve_is_no_reason_to_ask_anyway() {
    let fake = Fake::start(json!({ "backchannel_token_delivery_modes_supported": ["ping"] })).await;
    let id: ClientId = "attorn".parse().unwrap();
    let client = fake.client(&id, Credential::Key(Arc::clone(&fake.signer)));
    assert_eq!(client.endpoints().await, Err(Problem::NoBackchannel));
}
