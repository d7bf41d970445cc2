//! A service and a server that counts uses, at the time of the vectors: first all that can go wrong.

use attorn_agent::key::Algorithm;
use attorn_api::{Problem, ProblemCode};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::*;
use crate::fake_server::{FakeServer, ok};

struct Vectors(Value);

impl Vectors {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("../../../../tests/vectors/credentials.json")).unwrap())
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    fn good(&self, name: &str) -> &str {
        self.0["good"][name].as_str().unwrap()
    }

    fn now(&self) -> TimeMs {
        TimeMs(self.0["now_s"].as_u64().unwrap() * 1_000)
    }

    /// A service that has the issuer's keys.
    fn service(&self, counting: Counting) -> ResourceServer {
        ResourceServer {
            audience: self.text("audience").to_owned(),
            public_url: self.text("audience").parse().unwrap(),
            keys: Keys::known(self.text("issuer"), &self.0["jwks"].to_string()),
            proofs: ReplayGuard::new(ReplayLimits::default()).unwrap(),
            counting,
        }
    }

    fn remembering(&self) -> ResourceServer {
        self.service(Counting::Here(Spent::new(10)))
    }

    fn counted_by(&self, server: &FakeServer) -> ResourceServer {
        let key = AgentKey::generate(Algorithm::EdDsa).unwrap();
        self.service(Counting::ByServer(ResourceServerClient::new(&server.url, key).unwrap()))
    }

    /// The request of the vectors with these headers.
    fn request<'a>(&'a self, headers: &'a HeaderMap) -> ServiceRequest<'a> {
        ServiceRequest {
            method: self.text("method"),
            path: self.text("path"),
            headers,
            body: self.text("body").as_bytes(),
            action: self.text("action"),
            resource: self.text("resource"),
            arguments: self.0["arguments"].as_object().unwrap(),
        }
    }

    /// The same, with this token and this proof, at this time.
    async fn accept_shown(
        &self,
        service: &ResourceServer,
        (token, proof): (&str, &str),
        now: TimeMs,
    ) -> Result<Accepted, Refused> {
        let headers = headers(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)]);
        service.accept_at(&self.request(&headers), now).await
    }

    /// The good token and proof.
    async fn accept(&self, service: &ResourceServer) -> Result<Accepted, Refusal> {
        let shown = (self.good("access_token"), self.good("proof"));
        self.accept_shown(service, shown, self.now()).await.map_err(|refused| refused.code)
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn problem(code: ProblemCode) -> Response {
    let problem = Problem::new(code, "it is so");
    (StatusCode::from_u16(problem.status).unwrap(), serde_json::to_string(&problem).unwrap()).into_response()
}

fn entry(index: u64) -> Value {
    json!({ "log_id": "audit", "epoch": 1, "index": index })
}

#[tokio::test]
async fn what_does_not_hold_is_refused_with_its_code_and_nothing_of_it_is_remembered() {
    let vectors = Vectors::read();
    for refused in vectors.0["refused"].as_array().unwrap() {
        let shown = (refused["access_token"].as_str().unwrap(), refused["proof"].as_str().unwrap());
        let service = vectors.remembering();
        let error = vectors.accept_shown(&service, shown, vectors.now()).await.unwrap_err();
        assert_eq!(error.code.as_str(), refused["code"], "{}", refused["name"]);
        assert!(!error.to_string().contains(shown.0) || shown.0.is_empty());
        assert!(vectors.accept(&service).await.is_ok(), "{}", refused["name"]);
    }
}

#[tokio::test]
async fn another_request_than_was_granted_is_refused() {
    let vectors = Vectors::read();
    let (token, proof) = (&format!("DPoP {}", vectors.good("access_token")), vectors.good("proof"));
    let headers_with = headers(&[("authorization", token), ("dpop", proof)]);
    let good = vectors.request(&headers_with);
    let arguments = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    let [none, more, list] = ["{}", r#"{"section":"billing","more":1}"#, r#"{"section":["billing"]}"#].map(arguments);
    let bearer = &token.replace("DPoP", "Bearer");
    let headers = [
        headers(&[]),
        headers(&[("authorization", token)]),
        headers(&[("dpop", proof)]),
        headers(&[("authorization", bearer), ("dpop", proof)]),
        headers(&[("authorization", "DPoP"), ("dpop", proof)]),
        headers(&[("authorization", token), ("dpop", proof), ("dpop", proof)]),
        headers(&[("authorization", token), ("authorization", token), ("dpop", proof)]),
    ];
    let cases = [
        (ServiceRequest { method: "PUT", ..good }, Refusal::BadProof),
        (ServiceRequest { path: "/article/43", ..good }, Refusal::BadProof),
        (ServiceRequest { path: "/article/42/", ..good }, Refusal::BadProof),
        (ServiceRequest { path: "/x/../article/42", ..good }, Refusal::BadProof),
        (ServiceRequest { path: "/article/%34%32", ..good }, Refusal::BadProof),
        (ServiceRequest { path: "", ..good }, Refusal::BadProof),
        (ServiceRequest { path: ".evil.example/article/42", ..good }, Refusal::BadProof),
        (ServiceRequest { body: b"texts", ..good }, Refusal::BadProof),
        (ServiceRequest { body: b"", ..good }, Refusal::BadProof),
        (ServiceRequest { action: "faq.read", ..good }, Refusal::OtherAction),
        (ServiceRequest { resource: "article/43", ..good }, Refusal::OtherResource),
        (ServiceRequest { arguments: &none, ..good }, Refusal::OtherArguments),
        (ServiceRequest { arguments: &more, ..good }, Refusal::OtherArguments),
        (ServiceRequest { arguments: &list, ..good }, Refusal::OtherArguments),
    ];
    let shown = headers.iter().map(|headers| (ServiceRequest { headers, ..good }, Refusal::NoCredential));
    for (request, expect) in cases.into_iter().chain(shown) {
        let error = vectors.remembering().accept_at(&request, vectors.now()).await.unwrap_err();
        assert_eq!(error.code, expect, "{request:?}");
        assert_eq!(error.code.www_authenticate().is_some(), error.code.status() == StatusCode::UNAUTHORIZED);
    }
    assert!(vectors.remembering().accept_at(&good, vectors.now()).await.is_ok());
}

#[tokio::test]
async fn another_time_is_refused_and_its_edges_are_taken() {
    let vectors = Vectors::read();
    let shown = (vectors.good("access_token"), vectors.good("proof"));
    let now_ms = vectors.now().0;
    for (at_ms, taken) in [
        (0, false),
        (now_ms - 5_001, false),
        (now_ms - 5_000, true),
        (now_ms, true),
        (now_ms + 59_999, true),
        (now_ms + 60_000, false),
        (u64::MAX, false),
    ] {
        let outcome = vectors.accept_shown(&vectors.remembering(), shown, TimeMs(at_ms)).await;
        assert_eq!(
            outcome.map(drop).map_err(|refused| refused.code),
            if taken { Ok(()) } else { Err(Refusal::BadToken) }
        );
    }
}

#[tokio::test]
async fn a_proof_is_taken_once_and_a_grant_is_used_once() {
    let vectors = Vectors::read();
    let service = vectors.remembering();
    let accepted = vectors.accept(&service).await.unwrap();
    assert_eq!((accepted.grant.as_str(), accepted.agent()), (vectors.good("grant"), "reader"));
    assert_eq!(json!(accepted.agents), vectors.0["good"]["agents"]);
    assert_eq!(accepted.user.as_deref(), Some(vectors.good("user")));
    let at_provider = UserAtProvider { issuer: "https://provider.example".into(), subject: "alice".into() };
    assert_eq!(accepted.user_at_provider, Some(at_provider));
    assert_eq!((accepted.use_number, accepted.uses_left), (1, 0));
    assert_eq!(vectors.accept(&service).await, Err(Refusal::ProofReplayed));
    // Another good proof of the same token, whose URL is spelled otherwise.
    let other = vectors.0["good"]["same_targets"][0].as_str().unwrap();
    let shown = (vectors.good("access_token"), other);
    let again = vectors.accept_shown(&service, shown, vectors.now()).await;
    assert_eq!(again.unwrap_err().code, Refusal::GrantSpent);
    assert!(vectors.accept_shown(&vectors.remembering(), shown, vectors.now()).await.is_ok());
    let error = service.report(&accepted, Effect::Done, None).await.unwrap_err();
    assert!(matches!(error, ServiceError::NothingCounted), "{error}");
}

#[tokio::test]
async fn a_use_that_was_not_counted_is_not_accepted() {
    let vectors = Vectors::read();
    let good = json!({ "grant": vectors.good("grant"), "use_number": 1, "uses_left": 0, "entry": entry(9) });
    let with = |member: &str, value: Value| {
        let mut answer = good.clone();
        answer[member] = value;
        ok(&answer)
    };
    for (answer, expect) in [
        (StatusCode::BAD_GATEWAY.into_response(), Refusal::Unavailable),
        ("<html>".into_response(), Refusal::Unavailable),
        (problem(ProblemCode::Busy), Refusal::Unavailable),
        (problem(ProblemCode::UnknownKey), Refusal::Unavailable),
        (problem(ProblemCode::GrantSpent), Refusal::GrantSpent),
        (problem(ProblemCode::GrantInactive), Refusal::GrantInactive),
        (problem(ProblemCode::GrantMismatch), Refusal::GrantMismatch),
        (problem(ProblemCode::NotFound), Refusal::NotFound),
        (with("grant", "grt_2".into()), Refusal::Unavailable),
        (with("use_number", 0.into()), Refusal::Unavailable),
        (with("more", 1.into()), Refusal::Unavailable),
        (ok(&json!({})), Refusal::Unavailable),
    ] {
        let about = format!("{answer:?}");
        let server = FakeServer::with([answer]).await;
        assert_eq!(vectors.accept(&vectors.counted_by(&server)).await, Err(expect), "{about}");
        assert_eq!(server.seen().len(), 1, "{about}");
    }
}

#[tokio::test]
async fn a_use_is_counted_before_anything_is_done_and_its_effect_is_told() {
    let vectors = Vectors::read();
    let grant = vectors.good("grant");
    let used = json!({ "grant": grant, "use_number": 2, "uses_left": 3, "entry": entry(9) });
    let effect = json!({ "grant": grant, "use_number": 2, "effect": "failed", "entry": entry(10) });
    let server = FakeServer::with([ok(&used), ok(&effect)]).await;
    let service = vectors.counted_by(&server);
    let accepted = vectors.accept(&service).await.unwrap();
    assert_eq!((accepted.use_number, accepted.uses_left), (2, 3));
    assert_eq!(service.report(&accepted, Effect::Failed, Some("in words")).await.unwrap().index, 10);
    let [(uses_path, asked), (effect_path, told)] = &server.seen()[..] else { panic!("{:?}", server.seen()) };
    assert_eq!(*uses_path, format!("/v1/grants/{grant}/uses"));
    assert_eq!((&asked["action"], &asked["resource"]), (&vectors.0["action"], &vectors.0["resource"]));
    assert_eq!(*effect_path, format!("/v1/grants/{grant}/effect"));
    assert_eq!(*told, json!({ "use_number": 2, "effect": "failed", "note": "in words" }));
}

#[tokio::test]
async fn an_effect_that_was_not_recorded_is_an_error() {
    let vectors = Vectors::read();
    let grant = vectors.good("grant");
    let used = json!({ "grant": grant, "use_number": 1, "uses_left": 0, "entry": entry(9) });
    let effect = json!({ "grant": grant, "use_number": 1, "effect": "done", "entry": entry(10) });
    let with = |member: &str, value: Value| {
        let mut answer = effect.clone();
        answer[member] = value;
        ok(&answer)
    };
    for (answer, expect) in [
        (problem(ProblemCode::InvalidState), "it is so"),
        (with("grant", "grt_2".into()), "it is about another use"),
        (with("use_number", 2.into()), "it is about another use"),
        (with("effect", "failed".into()), "it is about another use"),
    ] {
        let server = FakeServer::with([ok(&used), answer]).await;
        let service = vectors.counted_by(&server);
        let accepted = vectors.accept(&service).await.unwrap();
        let error = service.report(&accepted, Effect::Done, None).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
}

#[test]
fn a_service_that_could_not_be_called_is_not_made() {
    let make = |url, audience, public_url| {
        ResourceServer::called_at(url, audience, public_url, Uses::Remembered).map_err(|error| error.to_string())
    };
    let (issuer, audience) = ("https://attorn.example", "https://faq.example");
    for (url, public_url) in [("http://attorn.example", audience), (issuer, "urn:faq"), (issuer, "http://faq.example")]
    {
        assert!(make(url, audience, public_url).unwrap_err().contains("cannot be the server's URL"));
    }
    assert!(make(issuer, "urn:faq", audience).is_ok());
    let debug = format!("{:?}", make(issuer, audience, audience).unwrap());
    assert_eq!(debug, r#"ResourceServer { audience: "https://faq.example", .. }"#);
}
