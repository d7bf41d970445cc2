//! Why a client assertion is not accepted.

/// Why a client assertion is not accepted. The codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It is not a compact JWS with the members that it needs, each once, and no others in its header.
    #[error("the client assertion is malformed: {0}")]
    Malformed(&'static str),
    /// Its `typ` is that of something else.
    #[error("the client assertion's `typ` is neither `JWT` nor `client-authentication+jwt`")]
    WrongType,
    /// Its `alg` is neither `ES256` nor `EdDSA`.
    #[error("the client assertion's `alg` is neither `ES256` nor `EdDSA`")]
    UnsupportedAlgorithm,
    /// It is about somebody else than its maker.
    #[error("the client assertion's `iss` and `sub` are not the same client")]
    SubjectMismatch,
    /// It is for somebody else, or for several.
    #[error("the client assertion's `aud` is neither this server's issuer nor this endpoint, alone")]
    WrongAudience,
    /// It lives longer than five minutes.
    #[error("the client assertion's `exp` is more than five minutes ahead")]
    LivesTooLong,
    /// It has ended.
    #[error("the client assertion has expired")]
    Expired,
    /// It was made in the future, or begins there.
    #[error("the client assertion's `iat` or `nbf` is later than the server's clock says it is")]
    NotYetValid,
    /// It was made so early that an earlier run of the server may have accepted it.
    #[error("the client assertion was made before this run of the server began, or just then; make another")]
    EarlierRun,
    /// The registered key did not sign it.
    #[error("the client assertion's signature does not verify")]
    BadSignature,
    /// It was accepted before.
    #[error("the client assertion was used before")]
    Replayed,
    /// So many were accepted lately that no more can be remembered. Nothing is wrong with this one.
    #[error("too many client assertions were made lately; try again in some minutes")]
    TooManyAssertions,
}

impl AssertionError {
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongType => "wrong_type",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::SubjectMismatch => "subject_mismatch",
            Self::WrongAudience => "wrong_audience",
            Self::LivesTooLong => "lives_too_long",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::EarlierRun => "earlier_run",
            Self::BadSignature => "bad_signature",
            Self::Replayed => "replayed",
            Self::TooManyAssertions => "too_many_assertions",
        }
    }
}
