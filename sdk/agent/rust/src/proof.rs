//! Proofs of possession of an agent's key: RFC 9449 (DPoP) with the digest of the request's body
//! (`content_digest`, in the form of RFC 9530) and the server's nonce.
//!
//! A proof is of one request: this method, this URL, these bytes, now. It is sent in the header
//! `DPoP` and accepted once. Nothing here sends anything, or asks for a nonce.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::key::{AgentKey, KeyError};

const JTI_BYTES: usize = 16;

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    content_digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attorn_for: Option<&'a str>,
}

impl AgentKey {
    /// The proof of one request. `nonce` is the last that the server gave in a `DPoP-Nonce` header;
    /// without one the server answers `use_dpop_nonce` and gives one.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`], [`KeyError::NotSigned`]
    pub fn prove(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        nonce: Option<&str>,
        now: SystemTime,
    ) -> Result<String, KeyError> {
        self.prove_claims(&claims(method, url, body, nonce, None, now)?)
    }

    /// The proof of one request that an access token comes with: the proof is of that token, too
    /// (`ath`).
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`], [`KeyError::NotSigned`]
    pub fn prove_with_token(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        nonce: Option<&str>,
        access_token: &str,
        now: SystemTime,
    ) -> Result<String, KeyError> {
        self.prove_claims(&claims(method, url, body, nonce, Some(access_token), now)?)
    }

    /// The proof of one request that goes on to a service behind the server (`/proxy/...`): of its query, too, and of
    /// `asked_for`, which is sent as it is in the header `Attorn-For`.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`], [`KeyError::NotSigned`]
    pub fn prove_onward(
        &self,
        method: &str,
        url: &str,
        body: &[u8],
        asked_for: &str,
        nonce: Option<&str>,
        now: SystemTime,
    ) -> Result<String, KeyError> {
        let claims = claims(method, url, body, nonce, None, now)?;
        let htu = url.split('#').next().unwrap_or(url);
        self.prove_claims(&Claims { htu, attorn_for: Some(asked_for), ..claims })
    }

    fn prove_claims(&self, claims: &Claims<'_>) -> Result<String, KeyError> {
        let algorithm = self.algorithm().as_str();
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{algorithm}","jwk":{}}}"#, self.public_jwk());
        self.sign_jwt(&header, claims)
    }

    /// A signed JWT (RFC 7515, section 3.1).
    pub(crate) fn sign_jwt(&self, header: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let claims = serde_json::to_vec(claims).map_err(|_| KeyError::NotSigned)?;
        let mut jwt = BASE64URL_NOPAD.encode(header.as_bytes());
        jwt.push('.');
        BASE64URL_NOPAD.encode_append(&claims, &mut jwt);
        let signature = self.sign(jwt.as_bytes())?;
        jwt.push('.');
        BASE64URL_NOPAD.encode_append(&signature, &mut jwt);
        Ok(jwt)
    }
}

/// What nobody else says, and nobody can guess.
pub(crate) fn unique() -> Result<String, KeyError> {
    let mut jti = [0; JTI_BYTES];
    getrandom::fill(&mut jti).map_err(|_| KeyError::NoRandomness)?;
    Ok(BASE64URL_NOPAD.encode(&jti))
}

fn claims<'a>(
    method: &'a str,
    url: &'a str,
    body: &[u8],
    nonce: Option<&'a str>,
    access_token: Option<&str>,
    now: SystemTime,
) -> Result<Claims<'a>, KeyError> {
    Ok(Claims {
        jti: unique()?,
        htm: method,
        // RFC 9449, section 4.2: without query and fragment.
        htu: url.split(['?', '#']).next().unwrap_or(url),
        // A clock before 1970 gives a proof that is too old, and the server says so.
        iat: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        nonce,
        content_digest: format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(body))),
        attorn_for: None,
        ath: access_token.map(|token| BASE64URL_NOPAD.encode(&Sha256::digest(token))),
    })
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
