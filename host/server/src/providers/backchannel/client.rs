//! This server as a client at a provider: it says who it is, puts a question, and polls for what came of it; or brings the
//! code of somebody who signed in.
//!
//! What is sent and what answers come to is in `protocol`; here is the network, thin. Redirects are followed nowhere,
//! every address is looked at, and every answer has an end in time and in bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attorn_broker::{KindError, address};
use attorn_core::{ClientId, Issuer, TimeMs};
use attorn_identity::ClientSigner;
use attorn_identity::client_assertion::JWT_BEARER;
use data_encoding::BASE64;
use reqwest::{Client as HttpClient, Url, header};
use zeroize::Zeroizing;

use super::metadata::{self, Endpoints, SignInEndpoints};
use super::problem::Problem;
use super::protocol::{self, ANSWER_BYTES_MAX, Answer, Polled, Question, Started};
use crate::http::outbound;
use crate::providers::fetch::{self, FetchError};

/// The longest that a question may take.
const QUESTION: Duration = Duration::from_secs(5);
/// The longest that anything takes. A provider may hold a poll back for a while, until the user has answered.
const LONGEST: Duration = Duration::from_secs(20);
/// How long a client serves. The next one has read the machine's certificates anew.
const CLIENT_LIFE: Duration = Duration::from_mins(10);

/// What connects to providers.
pub(super) struct Network {
    own: SocketAddr,
    client: Mutex<Option<(Instant, HttpClient)>>,
}

/// How this server says who it is.
pub(super) enum Credential {
    /// It signs.
    Key(Arc<ClientSigner>),
    /// It shares a secret.
    Secret(Zeroizing<String>),
}

/// This server as a client.
pub(super) struct Client<'a> {
    pub(super) network: &'a Network,
    pub(super) issuer: &'a Issuer,
    pub(super) id: &'a ClientId,
    pub(super) credential: Credential,
}

impl Network {
    /// Nothing is sent to this address, which is the server's own.
    pub(super) const fn new(own: SocketAddr) -> Self {
        Self { own, client: Mutex::new(None) }
    }

    async fn client(&self) -> Result<HttpClient, Problem> {
        let held = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, client)) = held.filter(|(made, _)| made.elapsed() < CLIENT_LIFE) {
            return Ok(client);
        }
        let client = outbound::checked_client(LONGEST, self.own).await.map_err(|_| Problem::Unreachable)?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), client.clone()));
        Ok(client)
    }

    /// What a name leads to is looked at when it is resolved, but for the port; what is an address already, here.
    async fn check(&self, url: &Url) -> Result<(), Problem> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().unwrap_or_default();
        let Ok(ip) = host.parse::<IpAddr>() else { return self.check_name(host, port).await };
        address::check(SocketAddr::new(ip, port), self.own).map_err(|_| Problem::Address)
    }

    /// Whether a name with this server's own port leads to this server.
    async fn check_name(&self, host: &str, port: u16) -> Result<(), Problem> {
        if port != self.own.port() {
            return Ok(());
        }
        let name = host.parse().map_err(|_| Problem::Address)?;
        let addresses = address::resolve(&name, port, self.own).await;
        addresses.map(drop).map_err(|error| if error.is_temporary() { Problem::Unreachable } else { Problem::Address })
    }
}

impl Client<'_> {
    /// Where this provider asks its users.
    pub(super) async fn endpoints(&self) -> Result<Endpoints, Problem> {
        metadata::endpoints(self.issuer, &self.metadata().await?)
    }

    /// Where this provider's users sign in.
    pub(super) async fn sign_in_endpoints(&self) -> Result<SignInEndpoints, Problem> {
        metadata::sign_in_endpoints(self.issuer, &self.metadata().await?)
    }

    /// What this provider says of itself.
    pub(super) async fn metadata(&self) -> Result<Vec<u8>, Problem> {
        let url = Url::parse(self.issuer.as_str()).map_err(|_| Problem::Address)?;
        self.network.check(&url).await?;
        let client = self.network.client().await?;
        let document = tokio::time::timeout(QUESTION, fetch::configuration(&client, self.issuer)).await;
        document.unwrap_or(Err(FetchError::TimedOut)).map_err(Problem::Metadata)
    }

    /// Have the provider ask a user.
    pub(super) async fn ask(&self, endpoint: &Url, question: &Question<'_>, now: TimeMs) -> Result<Started, Problem> {
        let (status, body) = self.post(endpoint, protocol::question(question), (QUESTION, now)).await?;
        protocol::started(&Answer { status, body: &body })
    }

    /// What came of it so far.
    pub(super) async fn poll(&self, endpoint: &Url, request_id: &str, now: TimeMs) -> Polled {
        match self.post(endpoint, protocol::poll(request_id), (LONGEST, now)).await {
            Ok((status, body)) => protocol::polled(&Answer { status, body: &body }),
            Err(problem) => Polled::Failed(problem),
        }
    }

    /// The ID token of somebody who signed in, for the code that they came back with.
    pub(super) async fn redeem(
        &self,
        endpoint: &Url,
        parameters: Vec<(&'static str, String)>,
        now: TimeMs,
    ) -> Result<String, Problem> {
        let (status, body) = self.post(endpoint, parameters, (QUESTION, now)).await?;
        protocol::signed_in(&Answer { status, body: &body })
    }

    async fn post(
        &self,
        url: &Url,
        mut form: Vec<(&'static str, String)>,
        (timeout, now): (Duration, TimeMs),
    ) -> Result<(u16, Zeroizing<Vec<u8>>), Problem> {
        self.network.check(url).await?;
        let mut request = self.network.client().await?.post(url.clone()).timeout(timeout);
        match &self.credential {
            Credential::Key(signer) => {
                let assertion = signer.assertion(self.id.as_str(), self.issuer.as_str(), now);
                form.push(("client_id", self.id.to_string()));
                form.push(("client_assertion_type", JWT_BEARER.to_owned()));
                form.push(("client_assertion", assertion.map_err(|_| Problem::ClientRefused)?));
            }
            Credential::Secret(secret) => request = request.header(header::AUTHORIZATION, basic(self.id, secret)?),
        }
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(body);
        let response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        Ok((status, limited(response).await?))
    }
}

/// RFC 6749, section 2.3.1: both are encoded as in a form, and only then put together.
fn basic(id: &ClientId, secret: &str) -> Result<header::HeaderValue, Problem> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = Zeroizing::new(format!("{}:{}", encode(id.as_str()), encode(secret)));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(both.as_bytes())));
    let mut value = header::HeaderValue::from_str(&text).map_err(|_| Problem::ClientRefused)?;
    value.set_sensitive(true);
    Ok(value)
}

async fn limited(mut response: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Problem::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn failed(error: &reqwest::Error) -> Problem {
    if error.is_timeout() {
        return Problem::TimedOut;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.downcast_ref::<KindError>().is_some_and(|error| !error.is_temporary()) {
            return Problem::Address;
        }
        cause = one.source();
    }
    Problem::Unreachable
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
