//! Why a proof is not accepted.

/// Why a proof is not accepted. The codes are stable: clients match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is not a compact JWS with exactly the members of this profile.
    #[error("the proof is malformed: {0}")]
    Malformed(&'static str),
    /// Its `typ` is another.
    #[error("the proof's `typ` is not `dpop+jwt`")]
    WrongType,
    /// Its `alg` is neither `ES256` nor `EdDSA`, or not that of its key.
    #[error("the proof's `alg` is neither `ES256` nor `EdDSA`, or not that of its key")]
    UnsupportedAlgorithm,
    /// The registered key did not sign it.
    #[error("the proof's signature does not verify")]
    BadSignature,
    /// It is of a request with another method.
    #[error("the proof's `htm` is not the request's method")]
    MethodMismatch,
    /// It is of a request to somewhere else.
    #[error("the proof's `htu` is not the request's URL under the server's public URL")]
    UrlMismatch,
    /// It is of a request with another query, or for another purpose, delegation or session.
    #[error("the proof's `htu` has not the request's query, or its `attorn_for` is not what the request's header says")]
    PassageMismatch,
    /// It is of a request with another body.
    #[error("the proof's `content_digest` is not that of the request's body")]
    BodyMismatch,
    /// It is of a request with another access token, or with none, or with one where none came.
    #[error("the proof's `ath` is not that of the access token that came with the request")]
    AccessTokenMismatch,
    /// It is too old.
    #[error("the proof was made more than a minute ago")]
    Expired,
    /// It was made in the future.
    #[error("the proof was made later than the server's clock says it is")]
    NotYetValid,
    /// It has no nonce. The client is to try again with the one that the server gives it.
    #[error("the proof has no `nonce`")]
    NonceMissing,
    /// Its nonce is not one of this run of the server's, or too old. The client is to try again with
    /// the one that the server gives it.
    #[error("the proof's `nonce` is not one that this server gave out lately")]
    NonceUnknown,
    /// It was accepted before.
    #[error("the proof was used before")]
    Replayed,
    /// So many proofs were accepted lately that no more can be remembered. Nothing is wrong with this
    /// one.
    #[error("too many proofs were made lately; try again in a minute")]
    TooManyProofs,
}

impl ProofError {
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongType => "wrong_type",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::BadSignature => "bad_signature",
            Self::MethodMismatch => "method_mismatch",
            Self::UrlMismatch => "url_mismatch",
            Self::PassageMismatch => "passage_mismatch",
            Self::BodyMismatch => "body_mismatch",
            Self::AccessTokenMismatch => "access_token_mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NonceMissing => "nonce_missing",
            Self::NonceUnknown => "nonce_unknown",
            Self::Replayed => "replayed",
            Self::TooManyProofs => "too_many_proofs",
        }
    }

    /// Whether the answer is `use_dpop_nonce` with a fresh nonce (RFC 9449, section 8).
    #[must_use]
    pub const fn wants_nonce(self) -> bool {
        matches!(self, Self::NonceMissing | Self::NonceUnknown)
    }
}
