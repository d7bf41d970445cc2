//! Random ids and salts. The operating system draws them; if it cannot, nothing is decided.

use attorn_core::{ApprovalId, DecisionId, DelegationId, GrantId, LeaseId, ParseError, SessionId, UserId};
use attorn_store::records::FactSalt;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

use crate::http::failure::Failure;

fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Failure::internal)?;
    Ok(bytes)
}

/// The id of a new decision.
pub(crate) fn decision_id() -> Result<DecisionId, Failure> {
    bytes().map(DecisionId::from_random)
}

/// The id of a new grant.
pub(crate) fn grant_id() -> Result<GrantId, Failure> {
    bytes().map(GrantId::from_random)
}

/// The id of a new lease.
pub(crate) fn lease_id() -> Result<LeaseId, Failure> {
    bytes().map(LeaseId::from_random)
}

/// The id of a new approval.
pub(crate) fn approval_id() -> Result<ApprovalId, Failure> {
    bytes().map(ApprovalId::from_random)
}

/// A short code that two people compare: eight letters of those that RFC 8628 (section 6.1) proposes, which spell no
/// word and are not taken for each other.
pub(crate) fn approval_code() -> Result<String, Failure> {
    const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    let letters = bytes::<8>()?.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    let (head, tail) = letters.split_at(4);
    Ok(format!("{}-{}", String::from_iter(head), String::from_iter(tail)))
}

/// The name of an authentication request, which nobody guesses.
pub(crate) fn auth_request_name() -> Result<[u8; 32], Failure> {
    bytes()
}

/// A text that nobody guesses: 32 random bytes as base64url.
pub(crate) fn secret() -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(bytes::<32>()?);
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_slice())))
}

/// A number, for waits that differ. It guards nothing.
pub(crate) fn number() -> u64 {
    bytes::<8>().map_or(0, u64::from_be_bytes)
}

/// The id of a new user.
pub(crate) fn user_id() -> Result<UserId, Failure> {
    named("usr_")
}

/// The id of a new session.
pub(crate) fn session_id() -> Result<SessionId, Failure> {
    named("ses_")
}

/// The id of a new delegation.
pub(crate) fn delegation_id() -> Result<DelegationId, Failure> {
    named("dlg_")
}

/// A prefix and 32 hex digits.
fn named<T: std::str::FromStr<Err = ParseError>>(prefix: &str) -> Result<T, Failure> {
    let random = HEXLOWER.encode(&bytes::<16>()?);
    format!("{prefix}{random}").parse().map_err(Failure::internal)
}

/// The salt of a fact's value.
pub(crate) fn fact_salt() -> Result<FactSalt, Failure> {
    bytes().map(FactSalt::from_random)
}

/// The salt of a decision's record.
pub(crate) fn record_salt() -> Result<String, Failure> {
    bytes::<16>().map(|bytes| HEXLOWER.encode(&bytes))
}

/// A name for a request. It guards nothing, so it may be empty where there is no randomness.
pub(crate) fn request_id() -> String {
    bytes::<8>().map_or_else(|_| String::new(), |bytes| data_encoding::HEXLOWER.encode(&bytes))
}
