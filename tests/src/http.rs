//! Requests and answers as bytes. Nothing is added to a request that its test does not name, beside
//! what HTTP needs.

use attorn_api::problem::PROBLEM_MEDIA_TYPE;
use attorn_api::{Problem, REQUEST_ID_HEADER};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::svids::Certified;

/// From how many bytes on a body is large.
const LARGE_BYTES: usize = 32 << 10;
/// How often a large body is sent.
const LARGE_TRIES: usize = 20;

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Its public URL, without a final slash.
    pub url: String,
    http: reqwest::Client,
    root_pem: Option<String>,
}

impl Reach {
    /// The server at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url: url.into(), http, root_pem: None }
    }

    /// The server at this URL, whose certificate this authority signed.
    pub fn trusting(url: impl Into<String>, root_pem: &str) -> Self {
        Self::over_tls(url.into(), root_pem.to_owned(), |http| http)
    }

    /// The same server, with a client certificate.
    pub fn showing(&self, certified: &Certified) -> Self {
        let identity = format!("{}{}", certified.pem, certified.key_pem);
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
        self.tuned(|http| http.identity(identity))
    }

    /// The same server, over TLS of this version and no other.
    pub fn speaking(&self, version: reqwest::tls::Version) -> Self {
        self.tuned(|http| http.tls_version_min(version).tls_version_max(version))
    }

    /// The same server, by whoever goes nowhere by themselves: a redirect is an answer.
    pub fn still(&self) -> Self {
        assert!(self.root_pem.is_none(), "`{}` is reached over TLS", self.url);
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, ..self.clone() }
    }

    fn tuned(&self, tune: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        let root_pem = self.root_pem.clone().unwrap_or_else(|| panic!("`{}` is not reached over TLS", self.url));
        Self::over_tls(self.url.clone(), root_pem, tune)
    }

    fn over_tls(
        url: String,
        root_pem: String,
        tune: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Self {
        let root = reqwest::Certificate::from_pem(root_pem.as_bytes()).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
        Self { url, http: tune(http).build().unwrap(), root_pem: Some(root_pem) }
    }

    /// Send a request. Who sends more than is read may find the connection closed before the answer came
    /// through; then it is sent again.
    pub async fn send(&self, call: Call) -> Answer {
        for _ in 0..LARGE_TRIES {
            if call.body.len() < LARGE_BYTES {
                break;
            }
            if let Ok(answer) = self.try_send(call.clone()).await {
                return answer;
            }
        }
        self.try_send(call).await.unwrap_or_else(|error| panic!("the server gave no answer: {error:?}"))
    }

    /// Open what does not end by itself, with an operator's token, after what was had already.
    pub async fn open(&self, path: &str, token: &str, last_event_id: Option<String>) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.url)).bearer_auth(token);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        request.send().await.unwrap_or_else(|error| panic!("the server gave no answer: {error:?}"))
    }

    /// Send a request; the connection may break.
    pub async fn try_send(&self, call: Call) -> Result<Answer, reqwest::Error> {
        let method: reqwest::Method = call.method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{}", self.url, call.path)).body(call.body);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers beside those that HTTP needs.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    /// A request without body.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A POST of JSON.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).json(body.to_string())
    }

    /// The same with a JSON body, which may be malformed.
    #[must_use]
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    /// The same with a body of this media type.
    #[must_use]
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.headers.retain(|(name, _)| name != CONTENT_TYPE.as_str());
        self.header(CONTENT_TYPE.as_str(), media_type)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with an operator's token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The body of a success, read as this type.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The problem, after all that every problem has was checked.
    #[track_caller]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some(PROBLEM_MEDIA_TYPE), "{} {}", self.status, self.text());
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!((problem.status, problem.code.status()), (self.status, self.status), "{problem:?}");
        assert_eq!(problem.title, problem.code.title());
        assert_eq!(problem.request_id.as_deref(), self.header(REQUEST_ID_HEADER), "{problem:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        problem
    }

    /// The problem, which has this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Problem {
        let problem = self.problem();
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
        problem
    }
}
