//! A server for tests that answers what it is told to, and keeps what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use attorn_api::audit::EntryReference;
use attorn_api::decisions::{
    ActiveSetReference, ApprovalReference, ApprovalRequirement, Credential, DecisionAnswer, DecisionKind, Grant, Reason,
};
use attorn_api::{Problem, ProblemCode};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

/// What one request carried.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) claims: Value,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) body: Bytes,
}

type Script = Arc<Mutex<(VecDeque<Response>, Vec<Seen>)>>;

pub(crate) struct FakeServer {
    pub(crate) url: String,
    script: Script,
}

impl FakeServer {
    /// Give these answers, one after another, and then 500 for ever.
    pub(crate) async fn with(answers: impl IntoIterator<Item = Response>) -> Self {
        let script: Script = Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(play).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().1.clone()
    }
}

async fn play(State(script): State<Script>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (path, query) = (uri.path().to_owned(), uri.query().map(str::to_owned));
    let idempotency_key = text("idempotency-key");
    let claims = claims_of(&text("dpop").unwrap());
    let mut script = script.lock().unwrap();
    script.1.push(Seen { path, query, headers, claims, idempotency_key, body });
    script.0.pop_front().unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What a proof says. Whether it is signed is tested where proofs are made.
pub(crate) fn claims_of(proof: &str) -> Value {
    let claims = proof.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap()
}

/// A problem, with a nonce if one is given.
pub(crate) fn problem(code: ProblemCode, nonce: Option<&'static str>) -> Response {
    let problem = Problem::new(code, "it is so").with_help("do this");
    let status = StatusCode::from_u16(problem.status).unwrap();
    with_nonce((status, serde_json::to_string(&problem).unwrap()).into_response(), nonce)
}

/// 200 with a JSON body, and with a nonce if one is given.
pub(crate) fn ok(body: &impl serde::Serialize, nonce: Option<&'static str>) -> Response {
    with_nonce(serde_json::to_string(body).unwrap().into_response(), nonce)
}

fn with_nonce(mut response: Response, nonce: Option<&'static str>) -> Response {
    if let Some(nonce) = nonce {
        response.headers_mut().insert("DPoP-Nonce", nonce.parse().unwrap());
    }
    response
}

/// A decision about reading `article/42` without arguments.
pub(crate) fn answer(decision: DecisionKind) -> DecisionAnswer {
    let allowed = decision == DecisionKind::Allow;
    DecisionAnswer {
        decision,
        decision_id: "dec_1".into(),
        reasons: if allowed {
            vec![]
        } else {
            vec![Reason { code: "outside_ceiling".into(), text: "it is so".into(), policy: None }]
        },
        approvers: match decision {
            DecisionKind::Challenge => vec![ApprovalRequirement { role: "lead".into(), count: 1 }],
            _ => vec![],
        },
        approval: (decision == DecisionKind::Challenge).then(|| ApprovalReference {
            id: "apr_1".into(),
            code: "BCDF-GHJK".into(),
            expires_at_ms: 3,
            poll_ms: 1,
            page: None,
        }),
        grant: allowed.then(|| Grant {
            id: "grt_1".into(),
            audience: "https://faq.example".into(),
            action: "faq.read".into(),
            resource: "article/42".into(),
            arguments_digest: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".into(),
            issued_at_ms: 1,
            expires_at_ms: 2,
            uses_max: 1,
        }),
        credential: allowed.then(|| Credential {
            token_type: "DPoP".into(),
            access_token: "token".into(),
            expires_in: 60,
        }),
        login: None,
        entry: EntryReference { log_id: "audit".into(), epoch: 1, index: 7 },
        active_set: ActiveSetReference { revision: 3, digest: "00".into() },
    }
}
