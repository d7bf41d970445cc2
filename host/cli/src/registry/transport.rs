//! Requests to a registry: who is asked, with what, and how much of the answer is read.

use std::sync::Arc;
use std::time::Duration;

use attorn_toolchain::oci::Reference;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::access::Access;
use super::auth::{Authorizer, Scope};
use super::shown;
use super::way::{Onward, Security, ToRegistry, Way};
use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may come, once all was sent.
const QUIET: Duration = Duration::from_secs(30);
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;
/// The longest answer that is read to see why something was refused.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// The registry of Docker is called by a name that nothing answers at.
const DOCKER_HUB: [&str; 2] = ["docker.io", "index.docker.io"];
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// What is asked.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    /// What is sent, and what it is.
    pub(super) body: Option<(&'static str, Vec<u8>)>,
}

/// The way to a registry, and onward from it.
pub(super) struct Transport {
    base: Url,
    near: Client,
    far: Client,
    way: Way,
    authorizer: Authorizer,
    authorization: Option<HeaderValue>,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, accept: None, body: None }
    }
}

impl Transport {
    pub(super) fn new(reference: &Reference, access: Access, scope: Scope) -> Result<Self, Failure> {
        let security = access.security(reference)?;
        let scheme = if security == Security::Tls { "https" } else { "http" };
        let host = if DOCKER_HUB.contains(&reference.host()) { DOCKER_HUB_HOST } else { reference.host() };
        let port = reference.port().map(|port| format!(":{port}")).unwrap_or_default();
        let base = Url::parse(&format!("{scheme}://{host}{port}/")).map_err(|error| Failure::of(&error))?;
        let way = Way::new(security, host, reference.address())?;
        let mut near = builder().dns_resolver(Arc::new(ToRegistry(way.clone())));
        let mut far = builder().dns_resolver(Arc::new(Onward(way.clone())));
        if reference.is_loopback() {
            near = near.no_proxy();
        }
        // What does not leave this machine is for no proxy, either.
        if security == Security::Machine {
            far = far.no_proxy();
        }
        let built = |client: ClientBuilder| client.build().map_err(|error| Failure::of(&error));
        let authorizer = Authorizer::new(reference, access.credentials, scope);
        Ok(Self { base, near: built(near)?, far: built(far)?, way, authorizer, authorization: None })
    }

    /// The URL of a path at the registry.
    pub(super) fn url(&self, path: &str) -> Result<Url, Failure> {
        self.base.join(path).map_err(|error| Failure::of(&error))
    }

    /// Ask, and once more with credentials if the registry wants some.
    pub(super) async fn send(&mut self, ask: &Ask) -> Result<Response, Failure> {
        let response = self.once(ask).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_near(response.url()) {
            return Ok(response);
        }
        self.authorization = Some(self.authorize(&response).await?);
        let again = self.once(ask).await?;
        match again.status() {
            StatusCode::UNAUTHORIZED => Err(self.authorizer.refused(&shown(&self.base))),
            _ => Ok(again),
        }
    }

    async fn authorize(&mut self, response: &Response) -> Result<HeaderValue, Failure> {
        let challenge = Authorizer::challenge(response)?;
        let Some(url) = self.authorizer.token_url(&challenge)? else {
            return self.authorizer.basic(&shown(&self.base)).await;
        };
        let is_near = self.is_near(&url);
        if !is_near {
            self.way.check(&url)?;
        }
        self.way.check_realm(&url)?;
        let client = if is_near { &self.near } else { &self.far };
        let mut request = client.get(url.clone());
        // They are for the registry, which says itself who takes them for it.
        if let Some(basic) = self.authorizer.basic_if_any().await? {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = answer(&url, request.send()).await?;
        self.authorizer.token(response).await
    }

    /// Ask, and follow where it leads, if only something is read.
    async fn once(&self, ask: &Ask) -> Result<Response, Failure> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let is_near = self.is_near(&url);
            if !is_near {
                self.way.check(&url)?;
            }
            let client = if is_near { &self.near } else { &self.far };
            let mut request = client.request(ask.method.clone(), url.clone());
            if let Some(authorization) = self.authorization.as_ref().filter(|_| is_near) {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if let Some(accept) = ask.accept {
                request = request.header(ACCEPT, accept);
            }
            // How long sending takes is for the line to say; the whole has its own end.
            let response = match &ask.body {
                Some((kind, bytes)) => {
                    let sent = request.header(CONTENT_TYPE, *kind).body(bytes.clone()).send().await;
                    sent.map_err(|error| unreachable(&url, error))?
                }
                None => answer(&url, request.send()).await?,
            };
            if !response.status().is_redirection() {
                return Ok(response);
            }
            if ask.method != Method::GET && ask.method != Method::HEAD {
                return Err(Failure::new(format!("the registry redirects an upload ({})", response.status())));
            }
            url = location(&response)?;
        }
        Err(Failure::new(format!("the registry redirects more than {REDIRECTS_MAX} times")))
    }

    /// Whether it is the registry itself.
    pub(super) fn is_near(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("attorn/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
}

/// An answer that does not take too long to begin.
async fn answer(url: &Url, send: impl Future<Output = Result<Response, reqwest::Error>>) -> Result<Response, Failure> {
    let came = tokio::time::timeout(QUIET, send).await;
    came.map_err(|_| quiet(url))?.map_err(|error| unreachable(url, error))
}

/// A header that is text.
pub(super) fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Where an answer leads.
pub(super) fn location(response: &Response) -> Result<Url, Failure> {
    let leads = header(response, &LOCATION).and_then(|to| response.url().join(to).ok());
    leads.ok_or_else(|| {
        Failure::new(format!("the registry answers {}, and does not say where to go on", response.status()))
    })
}

/// The whole body, which has not more bytes than these.
pub(super) async fn body(what: &str, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let too_long = || Failure::new(format!("{what} that the registry sends has more than {bytes_max} bytes"));
    if response.content_length().is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_long());
    }
    let url = response.url().clone();
    let mut bytes = Vec::new();
    loop {
        let chunk = tokio::time::timeout(QUIET, response.chunk()).await.map_err(|_| quiet(&url))?;
        let Some(chunk) = chunk.map_err(|error| unreachable(&url, error))? else { return Ok(bytes) };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Why the registry did not do something. Of what it says only the code is shown: a text may repeat a password.
pub(super) async fn refusal(what: &str, response: Response) -> Failure {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<Coded>,
    }
    #[derive(Deserialize)]
    struct Coded {
        code: String,
    }

    let (status, url) = (response.status(), shown(response.url()));
    let text = body("the refusal", response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let is_code = |code: &str| {
        (1..=64).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let codes = serde_json::from_slice::<Refusal>(&text).map(|refusal| refusal.errors).unwrap_or_default();
    let code = codes.into_iter().map(|coded| coded.code).find(|code| is_code(code));
    let code = code.map(|code| format!(", {code}")).unwrap_or_default();
    let failure = Failure::new(format!("`{url}` refuses {what}: {status}{code}"));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            failure.with_help("do the credentials permit it? `docker login`, or `--username` with `--password-file`")
        }
        StatusCode::NOT_FOUND => failure.with_help("is this a registry, and is the repository there?"),
        StatusCode::TOO_MANY_REQUESTS => failure.with_help("try again later"),
        _ => failure,
    }
}

fn quiet(url: &Url) -> Failure {
    Failure::new(format!("nothing came from `{}` for {} s", shown(url), QUIET.as_secs()))
}

fn unreachable(url: &Url, error: reqwest::Error) -> Failure {
    let Failure { message, .. } = Failure::of(&error.without_url());
    let failure = Failure::new(format!("`{}` could not be reached, or the connection broke: {message}", shown(url)));
    let is_loopback = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" && is_loopback {
        return failure.with_help("a registry without TLS, on this machine, takes `--plain-http`");
    }
    failure
}
