//! Client assertions: `private_key_jwt` (RFC 7523, section 3; RFC 7521, section 4.2).
//!
//! [`UnverifiedAssertion::parse`] needs no key and says which client and key are named;
//! [`UnverifiedAssertion::verify`] checks every claim and the signature with the *registered* key;
//! [`AssertionGuard::accept`] takes each assertion once. Nothing in an assertion proves that whoever
//! sends it holds a key now: a proof of possession comes beside it, whoever that is. An assertion that
//! somebody else made about the client is another thing, a workload's token, which [`is_about_another`]
//! tells apart.
//!
//! **Once, also after a restart.** The guard is in memory only. It remembers each assertion for longer
//! than one can live. What an earlier run accepted it cannot know; but whatever that accepted at a time
//! `t` has an `iat` of `t` and one skew at most, and `t` lies before this run. So everything whose `iat`
//! is not later than this run's start and one skew is refused: for that long nobody is accepted after a
//! restart. There is no such time in the first run of all.
//!
//! When time is set back, that is like a restart, and there is an *era* besides: times that the server went through
//! and that come again. Whatever was accepted in it has an `iat` of its end and one skew at most, and an `exp` that is
//! no more than a skew before its beginning; all such are refused, so that clients are shut out while those times pass
//! again, and at no other time.

use std::sync::{LazyLock, PoisonError, RwLock};

use attorn_core::{KeyThumbprint, TimeMs, TimeSpan};
use data_encoding::BASE64URL_NOPAD;

use crate::compact::Compact;
use crate::jwk::Algorithm;
use crate::key::PublicKey;
use crate::proof::CLOCK_SKEW_MS_MAX;
use crate::random::NoRandomness;
use crate::replay::{Memory, Refused, ReplayLimits};

mod error;
mod wire;

pub use error::AssertionError;

/// The `client_assertion_type` of these assertions.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest assertion that is read, in bytes.
pub const ASSERTION_BYTES_MAX: usize = 4096;

/// How far ahead an assertion's `exp` may be, in milliseconds.
pub const ASSERTION_MS_MAX: u64 = 300_000;

/// How long each accepted assertion is remembered at least, in milliseconds. At the moment when it is
/// accepted its `exp` is no further ahead than [`ASSERTION_MS_MAX`] and one skew, and it lives until its
/// `exp` and another skew; this is a second more.
const REMEMBERED_MS_MIN: u64 = ASSERTION_MS_MAX + 2 * CLOCK_SKEW_MS_MAX + 1000;

/// How old an assertion is at most that a client sends as soon as it has made it, in milliseconds; times in
/// assertions are whole seconds.
const MOMENT_MS: u64 = 2_000;

/// Whether what came as an assertion was made by somebody about somebody else: its `iss` and `sub` are two. A client's
/// own has the same in both (RFC 7523, section 3). It looks at these two claims and believes neither; what it is not
/// sure of is taken for a client's own, which is then refused as one.
#[must_use]
pub fn is_about_another(compact: &str) -> bool {
    if compact.len() > crate::issuer_token::TOKEN_BYTES_MAX {
        return false;
    }
    let claims = compact.split('.').nth(1).unwrap_or_default();
    let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap_or_default();
    wire::names(&claims).is_some_and(|[issuer, subject]| issuer != subject)
}

/// What an assertion has to say.
#[derive(Debug, Clone, Copy)]
pub struct AssertionExpectation<'a> {
    /// What we answer to: our issuer, and the URL of the endpoint that is called.
    pub audiences: [&'a str; 2],
    /// When.
    pub now: TimeMs,
}

/// An assertion of the right form. Nothing in it can be believed yet.
pub struct UnverifiedAssertion {
    compact: Compact,
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    claims: wire::Claims,
}

impl UnverifiedAssertion {
    /// Read a compact JWS.
    ///
    /// # Errors
    ///
    /// [`AssertionError::Malformed`], [`AssertionError::WrongType`],
    /// [`AssertionError::UnsupportedAlgorithm`] or [`AssertionError::SubjectMismatch`].
    pub fn parse(compact: &str) -> Result<Self, AssertionError> {
        let compact = Compact::parse(compact, ASSERTION_BYTES_MAX).map_err(AssertionError::Malformed)?;
        let header = wire::header(&compact.header)?;
        let claims = wire::claims(&compact.claims)?;
        Ok(Self { compact, algorithm: header.algorithm, kid: header.kid, claims })
    }

    /// Who is said to have made it: `iss` and `sub`.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.claims.client
    }

    /// Which key is said to have signed it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Check what needs no key. Whoever looks the client up only then answers the same, whether there is one or not.
    ///
    /// # Errors
    ///
    /// What does not hold, the first of: audience, times.
    pub fn check(&self, expectation: &AssertionExpectation<'_>) -> Result<(), AssertionError> {
        if !expectation.audiences.contains(&&*self.claims.audience) {
            return Err(AssertionError::WrongAudience);
        }
        self.claims.times.check(expectation.now)
    }

    /// Check the assertion, and its signature with the key that is registered for [`Self::client`]. The
    /// signature comes last, because it costs most. Where no key is registered, or one of another algorithm, that of
    /// nobody stands in for it: a refusal takes as long, and tells nothing of which keys there are.
    ///
    /// # Errors
    ///
    /// What does not hold, the first of: audience, times, signature.
    pub fn verify(
        self,
        registered: Option<&PublicKey>,
        expectation: &AssertionExpectation<'_>,
    ) -> Result<VerifiedAssertion, AssertionError> {
        self.check(expectation)?;
        let registered = registered.filter(|key| key.algorithm() == self.algorithm);
        let key = registered.or_else(|| nobody(self.algorithm));
        let verifies = key.is_some_and(|key| key.verifies(self.compact.signed(), &self.compact.signature));
        let registered = registered.filter(|_| verifies).ok_or(AssertionError::BadSignature)?;
        let wire::Claims { client, jti, times, .. } = self.claims;
        Ok(VerifiedAssertion { key: registered.thumbprint().clone(), client, jti, times })
    }
}

/// Keys that are nobody's: those of the examples of RFC 7515 (appendix A.3) and RFC 8037 (appendix A.2), whose private
/// halves everybody knows.
fn nobody(algorithm: Algorithm) -> Option<&'static PublicKey> {
    static KEYS: LazyLock<[Option<PublicKey>; 2]> =
        LazyLock::new(|| [NOBODY_ES256, NOBODY_ED25519].map(|jwk| jwk.parse().ok()));
    let [es256, ed25519] = &*KEYS;
    match algorithm {
        Algorithm::Es256 => es256.as_ref(),
        Algorithm::EdDsa => ed25519.as_ref(),
    }
}

const NOBODY_ES256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const NOBODY_ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// From when until when an assertion may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    issued_at: TimeMs,
    not_before: Option<TimeMs>,
    expires_at: TimeMs,
}

impl Times {
    fn check(self, now: TimeMs) -> Result<(), AssertionError> {
        let latest = now.plus_ms(CLOCK_SKEW_MS_MAX);
        if self.issued_at > latest || self.not_before.is_some_and(|not_before| not_before > latest) {
            return Err(AssertionError::NotYetValid);
        }
        if now >= self.expires_at.plus_ms(CLOCK_SKEW_MS_MAX) {
            return Err(AssertionError::Expired);
        }
        if self.expires_at > now.plus_ms(ASSERTION_MS_MAX + CLOCK_SKEW_MS_MAX) {
            return Err(AssertionError::LivesTooLong);
        }
        Ok(())
    }
}

/// An assertion that a registered key signed for us. It may have come before: it is worth nothing until
/// [`AssertionGuard::accept`] took it. Only [`UnverifiedAssertion::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedAssertion {
    key: KeyThumbprint,
    client: Box<str>,
    jti: Box<str>,
    times: Times,
}

impl VerifiedAssertion {
    /// The key that signed it.
    #[must_use]
    pub const fn key(&self) -> &KeyThumbprint {
        &self.key
    }
}

/// An assertion that nobody brought before. Only [`AssertionGuard::accept`] makes one.
#[derive(Debug)]
pub struct AcceptedAssertion(VerifiedAssertion);

impl AcceptedAssertion {
    /// Who made it.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.0.client
    }

    /// The key that signed it.
    #[must_use]
    pub const fn key(&self) -> &KeyThumbprint {
        &self.0.key
    }
}

/// Remembers the assertions that were accepted.
pub struct AssertionGuard {
    memory: Memory,
    past: RwLock<Past>,
}

/// What the memory does not know.
#[derive(Clone)]
struct Past {
    /// What was issued until then may have been accepted before.
    restarted: Option<TimeMs>,
    /// Times that were before, and come again.
    eras: Vec<TimeSpan>,
}

impl Past {
    /// Whether it may have accepted an assertion with these times.
    fn may_have_accepted(&self, times: Times) -> bool {
        let in_era = |era: &TimeSpan| {
            times.issued_at <= era.until.plus_ms(CLOCK_SKEW_MS_MAX)
                && era.from < times.expires_at.plus_ms(CLOCK_SKEW_MS_MAX)
        };
        self.restarted.is_some_and(|at| times.issued_at <= at.plus_ms(CLOCK_SKEW_MS_MAX))
            || self.eras.iter().any(in_era)
    }
}

impl AssertionGuard {
    /// A guard that remembers nothing yet. `started_at` is when this run of the server started; none if
    /// there was no run before it. `eras` are times that were before and come again, because time was set back.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn new(limits: ReplayLimits, started_at: Option<TimeMs>, eras: Vec<TimeSpan>) -> Result<Self, NoRandomness> {
        let past = RwLock::new(Past { restarted: started_at, eras });
        Ok(Self { memory: Memory::new(limits, REMEMBERED_MS_MIN)?, past })
    }

    /// Whether an assertion that was made a moment ago is accepted. For some seconds after a restart none
    /// is, and nothing is wrong with the client that sends one.
    #[must_use]
    pub fn is_open(&self, now: TimeMs) -> bool {
        !self.closed().iter().any(|span| span.contains(now))
    }

    /// When assertions are refused that were made a moment ago, however long they live.
    #[must_use]
    pub fn closed(&self) -> Vec<TimeSpan> {
        let Past { restarted, eras } = self.past();
        let after = |at: TimeMs| at.plus_ms(CLOCK_SKEW_MS_MAX + MOMENT_MS);
        let restart = restarted.map(|at| TimeSpan { from: at, until: after(at) });
        let again = |era: TimeSpan| TimeSpan {
            from: TimeMs(era.from.0.saturating_sub(ASSERTION_MS_MAX + 2 * CLOCK_SKEW_MS_MAX)),
            until: after(era.until),
        };
        restart.into_iter().chain(eras.into_iter().map(again)).collect()
    }

    /// Time goes on at `now`, which is earlier than it was: begin anew as a restart does. `eras` are the times that
    /// come again.
    pub fn set_back(&self, now: TimeMs, eras: Vec<TimeSpan>) {
        *self.past.write().unwrap_or_else(PoisonError::into_inner) = Past { restarted: Some(now), eras };
        self.memory.forget_all();
    }

    /// Accept an assertion, unless it was accepted before or may have been.
    ///
    /// # Errors
    ///
    /// [`AssertionError::EarlierRun`]; [`AssertionError::Replayed`]; [`AssertionError::Expired`] if it got
    /// too old since it was verified; [`AssertionError::TooManyAssertions`] if it cannot be remembered.
    pub fn accept(&self, assertion: VerifiedAssertion, now: TimeMs) -> Result<AcceptedAssertion, AssertionError> {
        if self.past().may_have_accepted(assertion.times) {
            return Err(AssertionError::EarlierRun);
        }
        let fresh = |now| assertion.times.check(now);
        match self.memory.accept(&assertion.key, &assertion.jti, now, fresh) {
            Ok(()) => Ok(AcceptedAssertion(assertion)),
            Err(Refused::NotFresh(error)) => Err(error),
            Err(Refused::Seen) => Err(AssertionError::Replayed),
            Err(Refused::Full) => Err(AssertionError::TooManyAssertions),
        }
    }

    fn past(&self) -> Past {
        self.past.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
#[path = "client_assertion_tests.rs"]
mod tests;
