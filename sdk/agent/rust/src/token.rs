//! The token endpoint (RFC 6749): one token for one action, asked for as OAuth clients do.
//!
//! What is decided and recorded is the same as with [`Client::decide`], which says more of it. This is for agents that
//! have a token endpoint's answer to hand on. A token exchange is [`Client::delegate`], and then a decision.

use std::time::SystemTime;

use attorn_api::oauth::{CLIENT_CREDENTIALS, TokenAnswer};

use crate::authentication::Authentication;
use crate::client::Client;
use crate::error::Error;
use crate::request::Request;

const PATH: &str = "/oauth/token";

/// The `client_assertion_type` of RFC 7523, section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Client {
    /// Ask for a token (`client_credentials`) as the agent of this id. It is bound to the key or the certificate that
    /// the client has: `DPoP` or `Bearer` is its type.
    ///
    /// # Errors
    ///
    /// [`Error::OAuth`] with `access_denied` if it was decided and the answer is no, and with `invalid_client` if the
    /// server does not know the agent by what it showed. Whatever is not a token for this very request.
    pub async fn token(&self, agent: &str, request: &Request) -> Result<TokenAnswer, Error> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", CLIENT_CREDENTIALS);
        form.append_pair("authorization_details", &request.to_details()?);
        form.append_pair("client_id", agent);
        if let Authentication::Key(key) = self.transport().authentication() {
            let audience = self.transport().server().to_string();
            form.append_pair("client_assertion_type", JWT_BEARER);
            form.append_pair("client_assertion", &key.assertion(agent, &audience, SystemTime::now())?);
        }
        let (form, idempotency_key) = (form.finish().into_bytes(), request.sent_idempotency_key());
        let answer: TokenAnswer = self.transport().post_form(PATH, form, idempotency_key).await?;
        match &answer.authorization_details[..] {
            [granted] if request.is_granted(granted)? => Ok(answer),
            _ => Err(Error::Answer { status: 200, problem: "its token is for another request".into() }),
        }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
