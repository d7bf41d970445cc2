//! Access tokens (RFC 9068, `at+jwt`), signed with ES256 and bound to the holder's key by `cnf.jkt`
//! (RFC 9449, section 6). What a token permits stands in `authorization_details` (RFC 9396).
//!
//! A token is made of a grant and of nothing else, so it cannot say more than what was recorded.
//! Whether the grant *was* recorded is the caller's business: it has a `Recorded<Grant>` in hand.
//! What reads tokens again is in [`crate::token_check`].

use attorn_core::{Grant, KeyBinding};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::jwk::Jwk;
use crate::key::PublicKey;

/// The `type` of our `authorization_details`.
pub const AUTHORIZATION_TYPE: &str = "attorn_action";

/// Why a token key cannot be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// The bytes are not the PKCS#8 form of a P-256 private key.
    #[error("the token key is not a P-256 private key in PKCS#8 form")]
    NotAKey,
    /// No key could be generated.
    #[error("no token key could be generated")]
    NotGenerated,
    /// The cryptographic library failed to sign.
    #[error("the token could not be signed")]
    NotSigned,
    /// The grant is held for a user and nobody says who that is, or the other way round.
    #[error("the token would lose its user")]
    UserMissing,
}

/// A user as their provider names them (RFC 9493, section 3.2.3).
#[derive(Debug, Clone, Copy)]
pub struct TokenSubject<'a> {
    /// The provider's issuer URL.
    pub issuer: &'a str,
    /// The user's name there.
    pub subject: &'a str,
}

/// What a token says.
#[derive(Debug, Serialize)]
pub struct TokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_id: Option<SubjectId<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actor<'a>>,
    client_id: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: String,
    cnf: Confirmation<'a>,
    purpose: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    authorization_details: [AuthorizationDetail<'a>; 1],
}

/// RFC 9493, `iss_sub`.
#[derive(Debug, Serialize)]
struct SubjectId<'a> {
    format: &'static str,
    iss: &'a str,
    sub: &'a str,
}

/// Who acts (RFC 8693, section 4.1): the outermost is the holder; within it stand those through whom the right
/// came to it, the user's own delegate last.
#[derive(Debug, Serialize)]
struct Actor<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Actor<'a>>>,
}

impl<'a> Actor<'a> {
    fn chain(agents: impl Iterator<Item = &'a str>) -> Option<Self> {
        agents.fold(None, |before, sub| Some(Self { sub, act: before.map(Box::new) }))
    }
}

#[derive(Debug, Serialize)]
enum Confirmation<'a> {
    #[serde(rename = "jkt")]
    Jkt(&'a str),
    #[serde(rename = "x5t#S256")]
    X5tS256(&'a str),
}

#[derive(Debug, Serialize)]
struct AuthorizationDetail<'a> {
    #[serde(rename = "type")]
    detail_type: &'static str,
    actions: [&'a str; 1],
    identifier: &'a str,
    arguments_digest: String,
    uses_max: u32,
}

impl<'a> TokenClaims<'a> {
    /// The claims of this grant's token. The same grant gives the same claims each time. `issuer` is
    /// the server's public URL; `user` is the one on whose behalf the grant is held.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::UserMissing`]: INVARIANT: no token loses the user or any agent of the chain. One that
    /// acts for itself is `sub`, one that acts for a user is `act`.
    pub fn of(grant: &'a Grant, user: Option<&TokenSubject<'a>>, issuer: &'a str) -> Result<Self, TokenKeyError> {
        let agent = grant.agent.as_str();
        let (sub, act) = match &grant.behalf {
            None => (agent, None),
            Some(behalf) => (behalf.user.as_str(), Actor::chain(behalf.hops.iter().map(|(_, agent)| agent.as_str()))),
        };
        let for_user = grant.behalf.is_some();
        let holder_acts = act.as_ref().is_none_or(|act| act.sub == agent);
        if for_user != user.is_some() || for_user != act.is_some() || !holder_acts {
            return Err(TokenKeyError::UserMissing);
        }
        Ok(Self {
            iss: issuer,
            sub,
            sub_id: user.map(|user| SubjectId { format: "iss_sub", iss: user.issuer, sub: user.subject }),
            act,
            client_id: agent,
            aud: grant.audience.as_str(),
            exp: grant.expires_at.0 / 1000,
            iat: grant.issued_at.0 / 1000,
            jti: grant.id.to_string(),
            cnf: match grant.key_binding {
                KeyBinding::Jkt => Confirmation::Jkt(grant.key_thumbprint.as_str()),
                KeyBinding::X5tS256 => Confirmation::X5tS256(grant.key_thumbprint.as_str()),
            },
            purpose: grant.purpose.as_str(),
            sid: grant.session.as_ref().map(attorn_core::SessionId::as_str),
            authorization_details: [AuthorizationDetail {
                detail_type: AUTHORIZATION_TYPE,
                actions: [grant.action.as_str()],
                identifier: grant.resource.as_str(),
                arguments_digest: grant.arguments_digest.to_string(),
                uses_max: grant.uses_max,
            }],
        })
    }
}

/// Signs tokens with one key.
pub struct TokenSigner {
    key: EcdsaKeyPair,
    public_key: PublicKey,
    /// The encoded header of every token, and the dot after it.
    prefix: String,
}

impl TokenSigner {
    /// A signer of this PKCS#8 private key. The key's id is its thumbprint.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::NotAKey`]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, TokenKeyError> {
        let not_a_key = TokenKeyError::NotAKey;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| not_a_key)?;
        let jwk = Jwk::from_sec1_point(key.public_key().as_ref()).ok_or(not_a_key)?;
        let public_key = PublicKey::new(&jwk).map_err(|_| not_a_key)?;
        let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"at+jwt"}}"#, public_key.thumbprint());
        let prefix = BASE64URL_NOPAD.encode(header.as_bytes()) + ".";
        Ok(Self { key, public_key, prefix })
    }

    /// The key that verifies the tokens.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The token, a compact JWS.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::NotSigned`]
    pub fn sign(&self, claims: &TokenClaims<'_>) -> Result<String, TokenKeyError> {
        let not_signed = TokenKeyError::NotSigned;
        let claims = serde_json::to_vec(claims).map_err(|_| not_signed)?;
        let mut token = self.prefix.clone();
        BASE64URL_NOPAD.encode_append(&claims, &mut token);
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| not_signed)?;
        token.push('.');
        BASE64URL_NOPAD.encode_append(signature.as_ref(), &mut token);
        Ok(token)
    }
}

/// A new private key for tokens, in PKCS#8 form. It is wrapped before it is stored.
///
/// # Errors
///
/// [`TokenKeyError::NotGenerated`]
pub fn generate_token_key() -> Result<Zeroizing<Vec<u8>>, TokenKeyError> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map_err(|_| TokenKeyError::NotGenerated)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

/// The JWK Set (RFC 7517, section 5) of the keys that verify tokens: the one that signs now first,
/// then those whose tokens may still be alive.
#[must_use]
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> String {
    let keys: Vec<_> = keys.into_iter().map(jwks_member).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn jwks_member(key: &PublicKey) -> String {
    let canonical = key.jwk().canonical_text();
    let required = canonical.trim_end_matches('}');
    let algorithm = key.algorithm().as_str();
    format!(r#"{required},"alg":"{algorithm}","kid":"{}","use":"sig"}}"#, key.thumbprint())
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
