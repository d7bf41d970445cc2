//! Who is asking: keys, proofs of possession, tokens.
//!
//! The way of a proof through this crate: [`UnverifiedProof::parse`] checks its form and says whose
//! key it names; the caller looks that key up; [`UnverifiedProof::verify`] checks every claim and the
//! signature with the *registered* key; [`ReplayGuard::accept`] takes each proof once. What comes out,
//! an [`AcceptedProof`], cannot be made in any other way.
//!
//! At the OAuth endpoints an assertion goes the same way beside it: [`UnverifiedAssertion::parse`],
//! [`UnverifiedAssertion::verify`], [`AssertionGuard::accept`].
//!
//! The way of an identity that a trust domain vouches for: [`svid`].
//!
//! The way of a token: a [`TokenClaims`] is made of a grant, and a [`TokenSigner`] signs it;
//! [`UnverifiedToken`] reads it again and gives the grant's id, or to the service that it is for a [`ServiceToken`].
//!
//! The way of a provider's token: [`issuer_token::UnverifiedToken::parse`] checks its form and says which
//! issuer it claims; the caller finds what is recorded about that issuer, and its keys; and
//! [`issuer_token::UnverifiedToken::verify`] checks the rest. A workload's token goes the same way.
//!
//! Nothing here does I/O, is `async` or reads a clock: callers bring the time. Randomness comes from
//! the operating system. Nothing here knows which agents are registered, or what they may do. Hot
//! paths use `aws-lc-rs` with keys that were parsed once; a JWT library would parse them again for
//! each signature, which is what happens to providers' tokens: they come once for each delegation.

pub mod client_assertion;
pub mod client_signer;
pub mod issuer_token;
pub mod jwk;
pub mod key;
pub mod nonce;
pub mod proof;
pub mod replay;
pub mod seal;
pub mod secret;
pub mod signer;
pub mod svid;
pub mod token;
pub mod token_check;
pub mod user_key;
pub mod webhook;
pub mod wrap;

mod compact;
mod random;
mod target;

pub use client_assertion::{AssertionError, AssertionExpectation, AssertionGuard, UnverifiedAssertion};
pub use client_signer::ClientSigner;
pub use jwk::{Algorithm, Jwk, JwkError};
pub use key::PublicKey;
pub use nonce::Nonces;
pub use proof::{BodyDigest, Passage, ProofError, ProofExpectation, UnverifiedProof, VerifiedProof};
pub use random::NoRandomness;
pub use replay::{AcceptedProof, ReplayGuard, ReplayLimits};
pub use seal::{SealError, SealKey};
pub use secret::{OperatorToken, OperatorTokenKind};
pub use signer::{ComponentSignature, KeyId, SignatureError, SignerKey, SignerKeyError};
pub use token::{TokenClaims, TokenKeyError, TokenSigner, TokenSubject, generate_token_key, jwks};
pub use token_check::{NotOurToken, ServiceToken, UnverifiedToken};
pub use user_key::{NamesKey, PseudonymKind, UserKey};
pub use webhook::WebhookSecret;
pub use wrap::{KeyLabel, RootKey, WrapError};

#[cfg(test)]
mod agent_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod vector_tests;
