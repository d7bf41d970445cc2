//! Reading access tokens, strictly: what [`crate::TokenSigner`] signs, and nothing else.
//!
//! A token that verifies names a grant. Where it is ours, whether that still stands is for the caller to look
//! up, and nothing goes by what the token says about times or rights. A service that it is for has nothing else
//! to go by: [`UnverifiedToken::verify_for`] gives what it says.

use attorn_core::{GrantId, KeyThumbprint, TimeMs};
use serde::Deserialize;

use crate::compact::{Compact, object};
use crate::jwk::Algorithm;
use crate::key::PublicKey;
use crate::proof::CLOCK_SKEW_MS_MAX;
use crate::token::AUTHORIZATION_TYPE;

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// A text that is no token of ours. Why not is nobody's business: all such texts look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no access token of this server")]
pub struct NotOurToken;

/// A token of the right form. Nothing in it can be believed yet.
pub struct UnverifiedToken {
    compact: Compact,
    key: KeyThumbprint,
    claims: Claims,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    jti: String,
}

/// What a token says to the service that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceToken {
    /// The grant that it was issued from.
    pub grant: GrantId,
    /// Every agent of the chain: the holder first, the user's own delegate last.
    pub agents: Vec<String>,
    /// The user on whose behalf they act, by the server's id; none where the agent acts for itself.
    pub user: Option<String>,
    /// The same user as their provider names them: its issuer URL, and the subject there.
    pub user_at_provider: Option<(String, String)>,
    /// Why it was granted.
    pub purpose: String,
    /// The session that it belongs to.
    pub session: Option<String>,
    /// The one action that may be done.
    pub action: String,
    /// To which resource.
    pub resource: String,
    /// SHA-256 of the canonical arguments, in hexadecimal.
    pub arguments_digest: String,
    /// From when on it is not good any more.
    pub expires_at: TimeMs,
    /// Whose proof has to come with it.
    pub holder: KeyThumbprint,
}

#[derive(Deserialize)]
struct ServiceClaims {
    aud: String,
    sub: String,
    sub_id: Option<SubjectId>,
    act: Option<Actor>,
    exp: u64,
    iat: u64,
    cnf: Confirmation,
    purpose: String,
    sid: Option<String>,
    authorization_details: [AuthorizationDetail; 1],
}

#[derive(Deserialize)]
struct SubjectId {
    iss: String,
    sub: String,
}

#[derive(Deserialize)]
struct Actor {
    sub: String,
    act: Option<Box<Self>>,
}

/// Bound to a key, and to nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jkt: String,
}

#[derive(Deserialize)]
struct AuthorizationDetail {
    #[serde(rename = "type")]
    detail_type: String,
    actions: [String; 1],
    identifier: String,
    arguments_digest: String,
}

impl UnverifiedToken {
    /// Read a compact JWS.
    ///
    /// # Errors
    ///
    /// If it is not of the form that our tokens have.
    pub fn parse(text: &str) -> Result<Self, NotOurToken> {
        let compact = Compact::parse(text, TOKEN_BYTES_MAX).map_err(|_| NotOurToken)?;
        let header: Header = object(&compact.header).ok_or(NotOurToken)?;
        if header.typ != "at+jwt" || header.alg != Algorithm::Es256.as_str() {
            return Err(NotOurToken);
        }
        let key = header.kid.parse().map_err(|_| NotOurToken)?;
        let claims = object(&compact.claims).ok_or(NotOurToken)?;
        Ok(Self { compact, key, claims })
    }

    /// Which of our keys is said to have signed it.
    #[must_use]
    pub const fn key(&self) -> &KeyThumbprint {
        &self.key
    }

    /// Check the token for the service that is called `audience`, with the issuer's key of that name.
    ///
    /// # Errors
    ///
    /// If another key signed it, it is of another issuer or for others, it has expired or is not valid yet, it is
    /// bound to anything but one key, or it is for more than one action.
    pub fn verify_for(
        self,
        audience: &str,
        key: &PublicKey,
        issuer: &str,
        now: TimeMs,
    ) -> Result<ServiceToken, NotOurToken> {
        let claims: ServiceClaims = object(&self.compact.claims).ok_or(NotOurToken)?;
        let grant = self.verify(key, issuer)?;
        let ms = |seconds: u64| seconds.checked_mul(1_000).map(TimeMs).ok_or(NotOurToken);
        let (expires_at, issued_at) = (ms(claims.exp)?, ms(claims.iat)?);
        let alive = now < expires_at && issued_at <= now.plus_ms(CLOCK_SKEW_MS_MAX);
        let [AuthorizationDetail { detail_type, actions: [action], identifier, arguments_digest }] =
            claims.authorization_details;
        if claims.aud != audience || !alive || detail_type != AUTHORIZATION_TYPE {
            return Err(NotOurToken);
        }
        let (agents, user) = match claims.act {
            None => (vec![claims.sub], None),
            Some(actor) => (agents_of(actor), Some(claims.sub)),
        };
        Ok(ServiceToken {
            grant,
            agents,
            user,
            user_at_provider: claims.sub_id.map(|SubjectId { iss, sub }| (iss, sub)),
            purpose: claims.purpose,
            session: claims.sid,
            action,
            resource: identifier,
            arguments_digest,
            expires_at,
            holder: claims.cnf.jkt.parse().map_err(|_| NotOurToken)?,
        })
    }

    /// Check the signature with our key of that name, and give the grant that the token was issued from.
    ///
    /// # Errors
    ///
    /// If another key signed it, or it is of another issuer.
    pub fn verify(self, key: &PublicKey, issuer: &str) -> Result<GrantId, NotOurToken> {
        let ours = *key.thumbprint() == self.key && key.algorithm() == Algorithm::Es256 && self.claims.iss == issuer;
        if !ours || !key.verifies(self.compact.signed(), &self.compact.signature) {
            return Err(NotOurToken);
        }
        self.claims.jti.parse().map_err(|_| NotOurToken)
    }
}

/// All of a chain, the holder first. Nobody drops out.
fn agents_of(actor: Actor) -> Vec<String> {
    let mut agents = Vec::new();
    let mut next = Some(actor);
    while let Some(Actor { sub, act }) = next {
        agents.push(sub);
        next = act.map(|act| *act);
    }
    agents
}

#[cfg(test)]
#[path = "token_check_tests.rs"]
mod tests;
