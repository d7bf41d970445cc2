//! Requests that carry a proof: sent, tried once more with the server's nonce, answers bounded.
//!
//! What the bodies mean is not known here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use attorn_api::problem::PROBLEM_MEDIA_TYPE;
use attorn_api::{IDEMPOTENCY_HEADER, NONCE_HEADER, PROOF_HEADER, Problem, ProblemCode};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::key::AgentKey;
use crate::url::ServerUrl;

/// How long a request may take, if the caller does not say: longer than the server takes at most.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(35);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The longest nonce that is kept, in bytes.
const NONCE_BYTES_MAX: usize = 256;

/// A key, a server, and the newest nonce that it gave.
pub(crate) struct Transport {
    http: reqwest::Client,
    server: ServerUrl,
    key: AgentKey,
    nonce: Mutex<Option<String>>,
}

/// What one request carries, beside its proof.
struct Sent<'a> {
    method: Method,
    path: &'a str,
    body: Vec<u8>,
    idempotency_key: Option<&'a str>,
}

impl Transport {
    pub(crate) fn new(server: ServerUrl, key: AgentKey, timeout: Duration) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("attorn-agent/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout);
        if server.is_loopback() {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|source| Error::Connection { server: server.to_string(), source })?;
        Ok(Self { http, server, key, nonce: Mutex::new(None) })
    }

    pub(crate) const fn key(&self) -> &AgentKey {
        &self.key
    }

    /// Post a JSON body, or none, with a proof. If the server wants its nonce in the proof, try once more.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
        idempotency_key: Option<&str>,
    ) -> Result<T, Error> {
        self.send(&Sent { method: Method::POST, path, body, idempotency_key }).await
    }

    /// Get JSON with a proof, likewise.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(&Sent { method: Method::GET, path, body: Vec::new(), idempotency_key: None }).await
    }

    async fn send<T: DeserializeOwned>(&self, sent: &Sent<'_>) -> Result<T, Error> {
        match self.send_once(sent).await {
            Err(Error::Problem(problem)) if problem.code == ProblemCode::UseDpopNonce && self.nonce().is_some() => {
                self.send_once(sent).await
            }
            other => other,
        }
    }

    async fn send_once<T: DeserializeOwned>(&self, sent: &Sent<'_>) -> Result<T, Error> {
        let broken = |source: reqwest::Error| Error::Connection {
            server: self.server.to_string(),
            // The URL is known already.
            source: source.without_url(),
        };
        let mut response = self.request(sent)?.send().await.map_err(broken)?;
        self.remember_nonce(&response);
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
                let problem = format!("it has more than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::Answer { status: status.as_u16(), problem });
            }
            answer.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &answer));
        }
        serde_json::from_slice(&answer)
            .map_err(|error| Error::Answer { status: status.as_u16(), problem: error.to_string() })
    }

    /// The request with a new proof of it.
    fn request(&self, sent: &Sent<'_>) -> Result<RequestBuilder, Error> {
        let url = self.server.join(sent.path);
        let (method, nonce) = (sent.method.as_str(), self.nonce());
        let proof = self.key.prove(method, &url, &sent.body, nonce.as_deref(), SystemTime::now())?;
        let mut request = self
            .http
            .request(sent.method.clone(), url)
            .header(PROOF_HEADER, proof)
            .header(ACCEPT, format!("application/json, {PROBLEM_MEDIA_TYPE}"));
        if sent.method != Method::GET {
            request = request.header(CONTENT_TYPE, "application/json").body(sent.body.clone());
        }
        if let Some(key) = sent.idempotency_key {
            request = request.header(IDEMPOTENCY_HEADER, key);
        }
        Ok(request)
    }

    fn nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember_nonce(&self, response: &reqwest::Response) {
        let nonce = response.headers().get(NONCE_HEADER).and_then(|value| value.to_str().ok());
        if let Some(nonce) = nonce.filter(|nonce| (1..=NONCE_BYTES_MAX).contains(&nonce.len())) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
        }
    }
}

/// The problem that the server states; a proxy in between may state none.
fn refusal(status: u16, answer: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(answer) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::Answer { status, problem: "it is no problem that this version knows".into() },
    }
}
