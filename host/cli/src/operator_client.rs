//! A thin client of the HTTP API, as operators see it.
//!
//! Paths are made of ids that were parsed, so nothing in them has to be escaped.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use attorn_agent::ServerUrl;
use attorn_api::problem::PROBLEM_MEDIA_TYPE;
use attorn_api::{Problem, REQUEST_ID_HEADER};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Token;
use crate::failure::{Failure, unreachable_help};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may come: longer than the server takes at most.
const READ_TIMEOUT: Duration = Duration::from_secs(35);
/// The same for what may compile a policy. How long that takes at most the server's configuration says: beyond this there is
/// somebody who looks after it.
const LOADING_READ_TIMEOUT: Duration = Duration::from_hours(1);

/// The longest answer that is kept in memory: a page of 200 of the longest entries, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What to do where more comes than was signed.
const NOT_SIGNED_HELP: &str = "nothing that came can be relied on: is this the URL of the server (`--server`, ATTORN_URL)? \
                               If so, ask whoever runs it, by another way than this connection";

/// A client of the API.
pub(crate) struct OperatorClient {
    http: reqwest::Client,
    server: ServerUrl,
    token: Option<Token>,
}

impl OperatorClient {
    pub(crate) fn new(server: ServerUrl, token: Option<Token>) -> Result<Self, Failure> {
        let http = http(&server, READ_TIMEOUT)?;
        Ok(Self { http, server, token })
    }

    /// One that waits for as long as it may take to make a policy ready.
    pub(crate) fn patient(&self) -> Result<Self, Failure> {
        let http = http(&self.server, LOADING_READ_TIMEOUT)?;
        Ok(Self { http, server: self.server.clone(), token: self.token.clone() })
    }

    /// Get JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(self.request(Method::GET, path)).await
    }

    /// Post JSON and get JSON.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::of(&error))?;
        self.json(self.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body)).await
    }

    /// The same, under this request id.
    pub(crate) async fn post_as<T: DeserializeOwned>(
        &self,
        id: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::of(&error))?;
        let request = self.request(Method::POST, path).header(REQUEST_ID_HEADER, id);
        self.json(request.header(CONTENT_TYPE, "application/json").body(body)).await
    }

    /// Put a component.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, component: Vec<u8>) -> Result<T, Failure> {
        self.json(self.request(Method::PUT, path).header(CONTENT_TYPE, "application/wasm").body(component)).await
    }

    /// Get text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Failure> {
        String::from_utf8(self.bytes(path).await?).map_err(|error| Failure::of(&error))
    }

    /// Get bytes.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.read(self.request(Method::GET, path), |chunk| append(&mut bytes, chunk)).await?;
        Ok(bytes)
    }

    /// Get something long, and write it bit by bit. That a server which goes on for ever does not fill the disk is for
    /// what it is written to: that knows how much there may be, and refuses more as data that are invalid.
    pub(crate) async fn download(&self, path: &str, to: &mut impl Write) -> Result<(), Failure> {
        let write = |chunk: &[u8]| {
            to.write_all(chunk).map_err(|error| match error.kind() {
                ErrorKind::InvalidData => Failure::verification(&error).with_help(NOT_SIGNED_HELP),
                _ => Failure::of(&error),
            })
        };
        self.read(self.request(Method::GET, path), write).await
    }

    /// Get something that does not end by itself, after what was had already, and take it as it comes.
    pub(crate) async fn follow(
        &self,
        path: &str,
        last_event_id: Option<&str>,
        take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut request = self.request(Method::GET, path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.read(request, take).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let accept = format!("application/json, text/plain, {PROBLEM_MEDIA_TYPE}");
        let request = self.http.request(method, self.server.join(path)).header(ACCEPT, accept);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let mut text = Vec::new();
        self.read(request, |chunk| append(&mut text, chunk)).await?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::new(format!("the server's answer cannot be understood: {error}"))
                .with_help("is the server of another version than this command (`attorn --version`)?")
        })
    }

    async fn read(
        &self,
        request: RequestBuilder,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let broken = |error: reqwest::Error| {
            let Failure { message, .. } = Failure::of(&error.without_url());
            Failure::new(format!(
                "the server `{}` could not be reached, or the connection broke: {message}",
                self.server
            ))
            .with_help(unreachable_help(&self.server.to_string()))
        };
        let mut response = request.send().await.map_err(broken)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| cut_off(error, &self.server))? {
            take(&chunk)?;
        }
        Ok(())
    }
}

fn http(server: &ServerUrl, read_timeout: Duration) -> Result<reqwest::Client, Failure> {
    let mut http = reqwest::Client::builder()
        .user_agent(concat!("attorn/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(read_timeout);
    if server.is_loopback() {
        http = http.no_proxy();
    }
    http.build().map_err(|error| Failure::of(&error))
}

/// An answer that began and did not end: the server ends one early where it cannot read on.
fn cut_off(error: reqwest::Error, server: &ServerUrl) -> Failure {
    let Failure { message, .. } = Failure::of(&error.without_url());
    Failure::new(format!("the answer of the server `{server}` ended early, or the connection broke: {message}")).with_help(
        "the server's log says why, if it ended it; where a file of the audit log is damaged, `attorn audit verify` names it",
    )
}

fn append(text: &mut Vec<u8>, chunk: &[u8]) -> Result<(), Failure> {
    if text.len() + chunk.len() > ANSWER_BYTES_MAX {
        return Err(Failure::new(format!("the server's answer has more than {ANSWER_BYTES_MAX} bytes")));
    }
    text.extend_from_slice(chunk);
    Ok(())
}

/// The problem that the server states; a proxy in between may state none.
async fn refusal(mut response: Response) -> Failure {
    let status = response.status();
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if append(&mut text, &chunk).is_err() {
            break;
        }
    }
    match serde_json::from_slice::<Problem>(&text) {
        Ok(problem) => problem.into(),
        Err(_) => Failure::new(format!("the server answered {status}, and not as Attorn does"))
            .with_help("is this the URL of an Attorn server? `--server` or ATTORN_URL"),
    }
}
