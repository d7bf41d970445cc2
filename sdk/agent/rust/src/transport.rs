//! Requests that carry a proof, or go over a connection that is one: sent, tried once more with the server's nonce,
//! answers bounded.
//!
//! What the bodies mean is not known here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use attorn_api::oauth::OAuthError;
use attorn_api::problem::PROBLEM_MEDIA_TYPE;
use attorn_api::{
    DECISION_HEADER, FOR_HEADER, HEADERS_HEADER, IDEMPOTENCY_HEADER, NONCE_HEADER, PROOF_HEADER, Problem,
};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::authentication::Authentication;
use crate::error::{ApprovalNeeded, Error};
use crate::url::ServerUrl;

/// How long a request may take, if the caller does not say: longer than the server takes at most.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(35);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer that is read bit by bit may pause: longer than the server lets a service pause.
const PAUSE: Duration = Duration::from_secs(65);

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The longest nonce that is kept, in bytes.
const NONCE_BYTES_MAX: usize = 256;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// By what one says who one is, a server, and the newest nonce that it gave.
pub(crate) struct Transport {
    http: reqwest::Client,
    server: ServerUrl,
    authentication: Authentication,
    nonce: Mutex<Option<String>>,
}

/// What one request carries, beside its proof.
struct Sent<'a> {
    method: Method,
    path: &'a str,
    media_type: &'static str,
    body: Vec<u8>,
    idempotency_key: Option<&'a str>,
}

/// A request that goes on to a service. Its proof is of its query and of whom it is for, too.
pub(crate) struct Onward<'a> {
    pub(crate) method: Method,
    /// Path and query, which no URL library writes in another way.
    pub(crate) path: String,
    /// For whom and why: the header as it is.
    pub(crate) asked_for: String,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// How long all of it may take.
    pub(crate) within: Duration,
}

impl Transport {
    pub(crate) fn new(server: ServerUrl, authentication: Authentication, timeout: Duration) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("attorn-agent/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(timeout.max(PAUSE))
            .timeout(timeout);
        if server.is_loopback() {
            http = http.no_proxy();
        }
        if let Authentication::Certificate(certificate) = &authentication {
            if !server.is_https() {
                let problem = "a certificate is shown over https only".into();
                return Err(Error::Url { url: server.to_string(), problem });
            }
            http = certificate.shown_by(http);
        }
        let http = http.build().map_err(|source| Error::Connection { server: server.to_string(), source })?;
        Ok(Self { http, server, authentication, nonce: Mutex::new(None) })
    }

    pub(crate) const fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    pub(crate) const fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Post a JSON body, or none, with a proof. If the server wants its nonce in the proof, try once more.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
        idempotency_key: Option<&str>,
    ) -> Result<T, Error> {
        self.send(&Sent { method: Method::POST, path, media_type: JSON, body, idempotency_key }).await
    }

    /// Post a form, likewise.
    pub(crate) async fn post_form<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
        idempotency_key: Option<&str>,
    ) -> Result<T, Error> {
        self.send(&Sent { method: Method::POST, path, media_type: FORM, body, idempotency_key }).await
    }

    /// Get JSON with a proof, likewise.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let sent = Sent { method: Method::GET, path, media_type: JSON, body: Vec::new(), idempotency_key: None };
        self.send(&sent).await
    }

    /// Send what goes on to a service. The answer is the service's; its body was not read. What the server says itself
    /// is an error.
    pub(crate) async fn onward(&self, sent: &Onward<'_>) -> Result<Response, Error> {
        let had = self.nonce();
        match self.onward_once(sent).await {
            // To a HEAD the server cannot say what it wants, but for the nonce itself.
            Err(Error::Answer { status, .. }) if status == StatusCode::UNAUTHORIZED.as_u16() && self.nonce() != had => {
                self.onward_once(sent).await
            }
            Err(error) if error.wants_nonce() && self.nonce().is_some() => self.onward_once(sent).await,
            other => other,
        }
    }

    async fn onward_once(&self, sent: &Onward<'_>) -> Result<Response, Error> {
        let url = self.server.join(&sent.path);
        let mut request = self.http.request(sent.method.clone(), url.as_str()).timeout(sent.within);
        if let Authentication::Key(key) = &self.authentication {
            let (method, nonce) = (sent.method.as_str(), self.nonce());
            let (asked_for, nonce) = (sent.asked_for.as_str(), nonce.as_deref());
            let proof = key.prove_onward(method, &url, sent.body, asked_for, nonce, SystemTime::now())?;
            request = request.header(PROOF_HEADER, proof);
        }
        request = request.headers(sent.headers.clone()).header(FOR_HEADER, &sent.asked_for);
        // The server says so of one that would not go on.
        let named = sent.headers.keys().filter(|name| **name != CONTENT_TYPE).map(HeaderName::as_str);
        let named = named.collect::<Vec<_>>().join(", ");
        if !named.is_empty() {
            request = request.header(HEADERS_HEADER, named);
        }
        if !sent.body.is_empty() {
            request = request.body(sent.body.to_vec());
        }
        let response = request.send().await.map_err(|source| self.broken(source))?;
        self.remember_nonce(&response);
        // The server writes this header, and lets no service write it.
        if response.headers().contains_key(DECISION_HEADER) {
            return Ok(response);
        }
        let status = response.status();
        let answer = self.whole(response).await?;
        if status.is_success() {
            let problem = "it names no decision".into();
            return Err(Error::Answer { status: status.as_u16(), problem });
        }
        Err(refusal(status.as_u16(), &answer))
    }

    async fn send<T: DeserializeOwned>(&self, sent: &Sent<'_>) -> Result<T, Error> {
        match self.send_once(sent).await {
            Err(error) if error.wants_nonce() && self.nonce().is_some() => self.send_once(sent).await,
            other => other,
        }
    }

    async fn send_once<T: DeserializeOwned>(&self, sent: &Sent<'_>) -> Result<T, Error> {
        let response = self.request(sent)?.send().await.map_err(|source| self.broken(source))?;
        self.remember_nonce(&response);
        let status = response.status();
        let answer = self.whole(response).await?;
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &answer));
        }
        serde_json::from_slice(&answer)
            .map_err(|error| Error::Answer { status: status.as_u16(), problem: error.to_string() })
    }

    /// All of an answer, if it is not too long.
    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.broken(source))? {
            if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
                let problem = format!("it has more than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::Answer { status: response.status().as_u16(), problem });
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn broken(&self, source: reqwest::Error) -> Error {
        // The URL is known already.
        Error::Connection { server: self.server.to_string(), source: source.without_url() }
    }

    /// The request, with a new proof of it where a key makes one.
    fn request(&self, sent: &Sent<'_>) -> Result<RequestBuilder, Error> {
        let url = self.server.join(sent.path);
        let proof = match &self.authentication {
            Authentication::Key(key) => {
                let (method, nonce) = (sent.method.as_str(), self.nonce());
                Some(key.prove(method, &url, &sent.body, nonce.as_deref(), SystemTime::now())?)
            }
            Authentication::Certificate(_) => None,
        };
        let mut request = self
            .http
            .request(sent.method.clone(), url)
            .header(ACCEPT, format!("application/json, {PROBLEM_MEDIA_TYPE}"));
        if let Some(proof) = proof {
            request = request.header(PROOF_HEADER, proof);
        }
        if sent.method != Method::GET {
            request = request.header(CONTENT_TYPE, sent.media_type).body(sent.body.clone());
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

/// The problem that the server states, or the error that its token endpoint does; a proxy in between may state none.
fn refusal(status: u16, answer: &[u8]) -> Error {
    if let Ok(problem) = serde_json::from_slice::<Problem>(answer) {
        return match problem.approval.clone() {
            Some(approval) => Error::ApprovalNeeded(Box::new(ApprovalNeeded { approval, problem })),
            None => Error::Problem(Box::new(problem)),
        };
    }
    match serde_json::from_slice::<OAuthError>(answer) {
        Ok(error) => Error::OAuth(Box::new(error)),
        Err(_) => Error::Answer { status, problem: "it is no problem that this version knows".into() },
    }
}
