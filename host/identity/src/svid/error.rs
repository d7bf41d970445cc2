//! Why an SVID is not accepted.

use attorn_core::ParseError;

/// Why an SVID is not accepted. The codes are stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// It is not of the right form.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// A certificate names nobody.
    #[error("the certificate has no URI name")]
    NoUriSan,
    /// A certificate names several.
    #[error("the certificate has more than one URI name")]
    ManyUriSans,
    /// It names somebody, and not by a SPIFFE ID.
    #[error("{0}")]
    BadSpiffeId(ParseError),
    /// It names somebody of another trust domain, or a signer in its chain is of another.
    #[error("it belongs to another trust domain")]
    ForeignTrustDomain,
    /// The certificate is one that signs others.
    #[error("the certificate is that of an authority")]
    CaCertificate,
    /// The certificate's key is for something else.
    #[error("the certificate's key usage is wrong: {0}")]
    KeyUsage(&'static str),
    /// The certificate is not for clients.
    #[error("the certificate's extended key usage does not name client authentication")]
    ExtendedKeyUsage,
    /// It begins later.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It has ended, or a signer in its chain has.
    #[error("it has expired")]
    Expired,
    /// No root of its trust domain stands behind it.
    #[error("no root of its trust domain stands behind it")]
    UntrustedChain,
    /// A token says in its header what no JWT-SVID says.
    #[error("its header has a member that no JWT-SVID has, or lacks one")]
    Header,
    /// A token is signed in another way.
    #[error("its `alg` is none that a JWT-SVID has")]
    UnsupportedAlgorithm,
    /// Its trust domain has no such key.
    #[error("its trust domain has no key of this `kid`")]
    UnknownKey,
    /// The key of its trust domain did not sign it.
    #[error("its signature does not verify")]
    BadSignature,
    /// A token is for somebody else, or not for us alone.
    #[error("its `aud` is not this server alone")]
    Audience,
    /// A token lives longer than an hour.
    #[error("it lives too long")]
    LivesTooLong,
}

impl SvidError {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NoUriSan => "no_uri_san",
            Self::ManyUriSans => "many_uri_sans",
            Self::BadSpiffeId(_) => "bad_spiffe_id",
            Self::ForeignTrustDomain => "foreign_trust_domain",
            Self::CaCertificate => "ca_certificate",
            Self::KeyUsage(_) => "key_usage",
            Self::ExtendedKeyUsage => "extended_key_usage",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::UntrustedChain => "untrusted_chain",
            Self::Header => "header",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Audience => "audience",
            Self::LivesTooLong => "lives_too_long",
        }
    }
}
