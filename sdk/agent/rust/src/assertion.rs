//! Client assertions (RFC 7523, `private_key_jwt`): how an agent with a key says at an OAuth endpoint who it is.
//!
//! One is accepted once, and lives for a minute. A proof of possession comes beside it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::key::{AgentKey, KeyError};
use crate::proof::unique;

/// How long an assertion is good for, in seconds.
const LIFE_S: u64 = 60;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

impl AgentKey {
    /// Say to the server at this URL that one is this agent.
    pub(crate) fn assertion(&self, agent: &str, audience: &str, now: SystemTime) -> Result<String, KeyError> {
        let (algorithm, kid) = (self.algorithm().as_str(), self.thumbprint());
        let header = format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"{kid}"}}"#);
        // A clock before 1970 gives an assertion that is too old, and the server says so.
        let iat = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = Claims { iss: agent, sub: agent, aud: audience, iat, exp: iat + LIFE_S, jti: unique()? };
        self.sign_jwt(&header, &claims)
    }
}
