//! What is sent to a token endpoint, and what of its answers is taken.

use attorn_api::oauth::{GrantedDetail, OAuthCode, OAuthError};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::fake_server::{FakeServer, claims_of, ok};
use crate::key::{AgentKey, Algorithm};

fn request() -> Request {
    Request::new("faq.read", "article/42", "answer-questions")
}

fn answer() -> TokenAnswer {
    TokenAnswer {
        access_token: "token".into(),
        issued_token_type: None,
        token_type: "DPoP".into(),
        expires_in: 60,
        authorization_details: vec![GrantedDetail {
            detail_type: "attorn_action".into(),
            actions: vec!["faq.read".into()],
            identifier: "article/42".into(),
            locations: vec!["https://faq.example".into()],
            arguments_digest: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".into(),
            uses_max: 1,
        }],
        grant_id: "grt_1".into(),
        decision_id: "dec_1".into(),
    }
}

fn refusal(code: OAuthCode, nonce: Option<&'static str>) -> Response {
    let status = StatusCode::from_u16(code.status()).unwrap();
    let mut response = (status, serde_json::to_string(&OAuthError::new(code, "it is so")).unwrap()).into_response();
    if let Some(nonce) = nonce {
        response.headers_mut().insert("DPoP-Nonce", nonce.parse().unwrap());
    }
    response
}

async fn asked(answers: impl IntoIterator<Item = Response>) -> (FakeServer, Result<TokenAnswer, Error>) {
    let server = FakeServer::with(answers).await;
    let client = Client::new(&server.url, AgentKey::generate(Algorithm::Es256).unwrap()).unwrap();
    let answer = client.token("bot", &request().session("s1")).await;
    (server, answer)
}

#[tokio::test]
async fn a_key_asks_with_an_assertion_and_a_proof_with_the_servers_nonce() {
    let (server, token) = asked([refusal(OAuthCode::UseDpopNonce, Some("n1")), ok(&answer(), None)]).await;
    assert_eq!(token.unwrap(), answer());
    let seen = server.seen();
    assert_eq!((seen.len(), seen[1].path.as_str(), &seen[1].claims["nonce"]), (2, PATH, &json!("n1")));
    let form = |name: &str| {
        let found = form_urlencoded::parse(&seen[1].body).find(|(other, _)| other == name);
        found.map(|(_, value)| value.into_owned()).unwrap()
    };
    let details: Value = serde_json::from_str(&form("authorization_details")).unwrap();
    let detail = json!({ "type": "attorn_action", "actions": ["faq.read"], "identifier": "article/42",
        "purpose": "answer-questions", "session": "s1" });
    assert_eq!(details, json!([detail]));
    assert_eq!((form("grant_type"), form("client_id")), (CLIENT_CREDENTIALS.into(), "bot".into()));
    assert_eq!(form("client_assertion_type"), JWT_BEARER);
    let claims = claims_of(&form("client_assertion"));
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("bot"), &json!("bot"), &json!(server.url)));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16));
}

#[tokio::test]
async fn what_is_no_token_for_the_request_is_an_error() {
    let (_, denied) = asked([refusal(OAuthCode::AccessDenied, None)]).await;
    let error = denied.unwrap_err();
    assert!(matches!(&error, Error::OAuth(error) if error.error == OAuthCode::AccessDenied), "{error}");
    assert_eq!(error.to_string(), "it is so (access_denied)");
    for change in [
        (|detail| detail.actions = vec!["faq.write".into()]) as fn(&mut GrantedDetail),
        |detail| detail.actions.push("faq.write".into()),
        |detail| detail.identifier = "article/43".into(),
        |detail| detail.arguments_digest = "00".into(),
    ] {
        let mut other = answer();
        change(&mut other.authorization_details[0]);
        let error = asked([ok(&other, None)]).await.1.unwrap_err().to_string();
        assert!(error.contains("its token is for another request"), "{error}");
    }
    let none = TokenAnswer { authorization_details: vec![], ..answer() };
    assert!(asked([ok(&none, None)]).await.1.is_err());
}
