//! Client assertions that this server makes: `private_key_jwt` (RFC 7523, section 3) where it is itself a client, at a
//! provider.
//!
//! An assertion is for the provider's issuer and nobody else, so that none can be brought to another. Which provider
//! that is, and what is asked of it, is not known here.

use attorn_core::TimeMs;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;

use crate::jwk::Jwk;
use crate::key::PublicKey;
use crate::random::random;
use crate::token::TokenKeyError;

/// How long an assertion may be used, in seconds.
const LIFETIME_S: u64 = 60;

/// What an assertion says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

/// Makes assertions with one key.
pub struct ClientSigner {
    key: EcdsaKeyPair,
    public_key: PublicKey,
}

impl ClientSigner {
    /// A signer with this PKCS#8 private key: see [`crate::generate_token_key`]. The key's id is its thumbprint.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::NotAKey`]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, TokenKeyError> {
        let not_a_key = TokenKeyError::NotAKey;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| not_a_key)?;
        let jwk = Jwk::from_sec1_point(key.public_key().as_ref()).ok_or(not_a_key)?;
        let public_key = PublicKey::new(&jwk).map_err(|_| not_a_key)?;
        Ok(Self { key, public_key })
    }

    /// The key that verifies the assertions.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// An assertion that we are this client, for this issuer, from now on.
    ///
    /// # Errors
    ///
    /// [`TokenKeyError::NotSigned`]
    pub fn assertion(&self, client: &str, issuer: &str, now: TimeMs) -> Result<String, TokenKeyError> {
        let not_signed = TokenKeyError::NotSigned;
        let once = random::<16>().map_err(|_| not_signed)?;
        let (jti, iat) = (HEXLOWER.encode(once.as_slice()), now.0 / 1_000);
        let claims = Claims { iss: client, sub: client, aud: issuer, jti, iat, exp: iat + LIFETIME_S };
        let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#, self.public_key.thumbprint());
        let claims = serde_json::to_vec(&claims).map_err(|_| not_signed)?;
        let signed = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| not_signed)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AssertionExpectation, UnverifiedAssertion, generate_token_key};

    #[test]
    fn an_assertion_of_ours_is_one_that_this_server_would_take() {
        let signer = ClientSigner::from_pkcs8(&generate_token_key().unwrap()).unwrap();
        let now = TimeMs(1_767_323_045_678);
        let expect = |audience, now| AssertionExpectation { audiences: [audience, audience], now };
        let parse = || {
            let assertion = signer.assertion("attorn", "https://sso.example", now).unwrap();
            UnverifiedAssertion::parse(&assertion).unwrap()
        };
        assert_eq!(parse().client(), "attorn");
        assert_eq!(parse().kid(), Some(signer.public_key().thumbprint().as_str()));
        let good = expect("https://sso.example", now.plus_ms(59_000));
        assert!(parse().verify(Some(signer.public_key()), &good).is_ok());
        assert!(parse().verify(Some(signer.public_key()), &expect("https://other.example", now)).is_err());
        let late = expect("https://sso.example", now.plus_ms(66_000));
        assert!(parse().verify(Some(signer.public_key()), &late).is_err());
        let other = ClientSigner::from_pkcs8(&generate_token_key().unwrap()).unwrap();
        assert!(parse().verify(Some(other.public_key()), &good).is_err());
    }

    #[test]
    fn no_two_assertions_are_the_same() {
        let signer = ClientSigner::from_pkcs8(&generate_token_key().unwrap()).unwrap();
        let make = || signer.assertion("attorn", "https://sso.example", TimeMs(1_000)).unwrap();
        let claims = |assertion: String| assertion.split('.').nth(1).unwrap().to_owned();
        assert_ne!(claims(make()), claims(make()));
        assert!(ClientSigner::from_pkcs8(b"no key").is_err());
    }
}
