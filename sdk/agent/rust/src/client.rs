//! An agent's connection to the server.

use std::fmt;
use std::time::{Duration, SystemTime};

use attorn_api::decisions::DecisionAnswer;

use crate::authentication::Authentication;
use crate::decision::Decision;
use crate::error::Error;
use crate::request::Request;
use crate::transport::{TIMEOUT, Transport};

/// An agent's connection to the server. One is enough for a process; it may be used by many tasks.
pub struct Client {
    transport: Transport,
}

impl Client {
    /// Ask the server at this URL with this key, an [`crate::AgentKey`], or this certificate, an
    /// [`crate::AgentCertificate`].
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if it is no URL, plain HTTP beyond loopback, or plain HTTP with a certificate.
    pub fn new(url: &str, authentication: impl Into<Authentication>) -> Result<Self, Error> {
        Self::with_timeout(url, authentication, TIMEOUT)
    }

    /// As [`Self::new`], with the longest that a request may take.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn with_timeout(
        url: &str,
        authentication: impl Into<Authentication>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(url.parse()?, authentication.into(), timeout)? })
    }

    /// Ask for a decision.
    ///
    /// # Errors
    ///
    /// Whatever is not a decision for this very request. A deny is none of them.
    pub async fn decide(&self, request: &Request) -> Result<Decision, Error> {
        self.answer(request).await?.try_into()
    }

    /// Ask for a decision, and give it as it came over the wire.
    ///
    /// # Errors
    ///
    /// As [`Self::decide`]; that the answer agrees with itself is not checked.
    pub async fn answer(&self, request: &Request) -> Result<DecisionAnswer, Error> {
        let (body, idempotency_key) = (request.to_body()?, request.sent_idempotency_key());
        let answer: DecisionAnswer = self.transport.post("/v1/decisions", body, idempotency_key).await?;
        match &answer.grant {
            Some(grant) if !request.is_of(grant)? => {
                Err(Error::Answer { status: 200, problem: "its grant is for another request".into() })
            }
            _ => Ok(answer),
        }
    }

    /// The `DPoP` header to show a credential to a resource server, together with
    /// `Authorization: DPoP <access token>`. It is good for one request.
    ///
    /// # Errors
    ///
    /// [`Error::Key`]; [`Error::NoKey`] if the client has a certificate. Then the credential is shown over a connection
    /// with that certificate, with `Authorization: Bearer <access token>` alone.
    pub fn proof_for(&self, method: &str, url: &str, body: &[u8], access_token: &str) -> Result<String, Error> {
        match self.transport.authentication() {
            Authentication::Key(key) => {
                Ok(key.prove_with_token(method, url, body, None, access_token, SystemTime::now())?)
            }
            Authentication::Certificate(_) => Err(Error::NoKey),
        }
    }

    pub(crate) const fn transport(&self) -> &Transport {
        &self.transport
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("authentication", self.transport.authentication()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
