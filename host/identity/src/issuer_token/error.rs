//! Why a provider's or a workload's token is refused.

/// Why a provider's or a workload's token is refused. No text repeats anything of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerTokenError {
    /// It is longer than what is read.
    #[error("a token of more than 8192 bytes is not read")]
    TooLarge,
    /// It is no compact JWS of two JSON objects.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// A member stands twice, so that two readers could read two things.
    #[error("a member of the token's header or claims stands twice")]
    DuplicateMember,
    /// The header has a member that would change how it is read or who is believed.
    #[error("the token's header has the member `{0}`, which is never followed")]
    HeaderMember(&'static str),
    /// It is not signed.
    #[error("the token is not signed: its `alg` is `none`")]
    Unsigned,
    /// It is signed with a shared secret.
    #[error("the token is signed with a shared secret, which proves nothing about its issuer")]
    Symmetric,
    /// Its algorithm is not among those of its issuer.
    #[error("the token's `alg` is none of the algorithms that are recorded for its issuer")]
    Algorithm,
    /// Its `typ` is another.
    #[error("the token's `typ` is not that of the tokens that are expected of its issuer")]
    WrongType,
    /// Its `typ` is another, and it has claims of ID tokens.
    #[error("the token's `typ` is not that of access tokens, and this looks like an ID token")]
    IdTokenType,
    /// The issuer has no such key, or not any more.
    #[error("the issuer has no key with the token's `kid`")]
    UnknownKey,
    /// It names no key, and there is not exactly one that fits; or several have its name.
    #[error("the token names no key, or several keys have its name, and more or less than one fits its `alg`")]
    AmbiguousKey,
    /// The key is for something else.
    #[error("`{0}` of the issuer's key does not agree with a key that verifies the token's `alg`")]
    KeyDisagrees(&'static str),
    /// The signature is not by that key over these bytes.
    #[error("the signature is not by the issuer's key over this token")]
    BadSignature,
    /// It is an ID token, a refresh token, or something else that is no access token.
    #[error("this is no access token: it has the claim `{0}` of another kind of token")]
    NotAnAccessToken(&'static str),
    /// It is one that somebody signed in for, or an event.
    #[error("this is no workload's token: it has the claim `{0}` of another kind of token")]
    NotAWorkloadToken(&'static str),
    /// It is no ID token.
    #[error("this is no ID token: it has the claim `{0}` of another kind of token")]
    NotAnIdToken(&'static str),
    /// It is no logout token.
    #[error("this is no logout token: {0}")]
    NotALogoutToken(&'static str),
    /// It is of another issuer.
    #[error("the token is of another issuer, compared byte by byte")]
    WrongIssuer,
    /// It is for others.
    #[error("the token is for another audience, or for others, too, where it may be for one alone")]
    WrongAudience,
    /// It expired.
    #[error("the token has expired")]
    Expired,
    /// It is of the future.
    #[error("the token is not valid yet: `{0}` is in the future")]
    NotYetValid(&'static str),
    /// It would live too long.
    #[error("the token lives longer than 24 hours")]
    LifetimeTooLong,
    /// A claim that it must have is not there.
    #[error("the token lacks the claim `{0}`")]
    ClaimMissing(&'static str),
    /// A claim is not of the form that it must have.
    #[error("the claim `{0}` does not have the form that it must have")]
    ClaimMalformed(&'static str),
}

impl IssuerTokenError {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "token_too_large",
            Self::Malformed(_) => "token_malformed",
            Self::DuplicateMember => "duplicate_member",
            Self::HeaderMember(_) => "forbidden_header",
            Self::Unsigned => "unsigned",
            Self::Symmetric => "symmetric_algorithm",
            Self::Algorithm => "algorithm_not_allowed",
            Self::WrongType | Self::IdTokenType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::KeyDisagrees(_) => "key_disagrees",
            Self::BadSignature => "bad_signature",
            Self::NotAnAccessToken(_) => "not_an_access_token",
            Self::NotAWorkloadToken(_) => "not_a_workload_token",
            Self::NotAnIdToken(_) => "not_an_id_token",
            Self::NotALogoutToken(_) => "not_a_logout_token",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid(_) => "not_yet_valid",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::ClaimMissing(_) => "claim_missing",
            Self::ClaimMalformed(_) => "claim_malformed",
        }
    }
}
