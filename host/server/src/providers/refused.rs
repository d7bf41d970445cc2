//! Why a token of a provider is refused: a stable code, the check that it failed, and a text that repeats nothing
//! secret of it.

use attorn_core::provider::shown;
use attorn_identity::issuer_token::IssuerTokenError;
use attorn_store::ReadError;

use super::fetch::FetchError;
use super::help;
use crate::http::failure::Failure;

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The token itself is not right.
    #[error(transparent)]
    Token(#[from] IssuerTokenError),
    /// Nobody registered this issuer. The comparison is byte by byte.
    #[error("no provider is registered with the issuer `{0}`")]
    UnknownIssuer(String),
    /// The token is of another provider than the one that was asked about.
    #[error("the token is of the provider `{0}`")]
    AnotherProvider(String),
    /// The provider was revoked.
    #[error("the provider `{0}` is revoked")]
    ProviderRevoked(String),
    /// The provider's keys cannot be had now.
    #[error("the keys of the provider `{provider}` cannot be had: {error}")]
    KeysUnavailable {
        /// Whose.
        provider: String,
        /// Why.
        error: FetchError,
    },
    /// The token is for both faces, so that what it is good for would be the bearer's choice.
    #[error("the token is for the audience of delegations and for that of users at once")]
    AudienceMixed,
    /// `act` or `may_act` is there and no object with a `sub`.
    #[error("`{0}` is no object with a text `sub`")]
    ActorMalformed(&'static str),
    /// Somebody acts already through somebody else, and would be lost.
    #[error("`act` names another actor within it, whom nothing here would remember")]
    ActorChain,
    /// The claim that names the agent is not there.
    #[error("the token lacks the claim `{0}`, by which this provider names agents")]
    AgentNotNamed(&'static str),
    /// The claim names nobody who is registered as an agent's client.
    #[error("`{claim}` of the token names `{value}`, which is no registered agent's client at this provider")]
    NoRegisteredAgent {
        /// Which claim.
        claim: &'static str,
        /// What it says.
        value: String,
    },
    /// Two claims name two parties.
    #[error("`{0}` of the token names another party than the claim by which this provider names agents")]
    AnotherActor(&'static str),
    /// `act` or `may_act` is in a token that only its user may use.
    #[error("the token has the claim `{0}`: somebody else may use it, so it is not the user's own")]
    NotTheUser(&'static str),
    /// Users do nothing here with tokens of this provider.
    #[error("the provider `{0}` has no `user_audience`, so users cannot use its tokens here")]
    NoUserFace(String),
    /// The client is not one that users may use.
    #[error("the token was issued to no client of `user_clients`")]
    NotAUserClient,
    /// A claim that is configured by name has the wrong form.
    #[error("the claim `{claim}` {problem}")]
    Claim {
        /// Which.
        claim: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The claims that policies would be shown are too large or not canonical.
    #[error("the claims that policies are shown {0}")]
    ClaimsUnusable(String),
    /// `cnf` binds the token in a way that is not understood, and so cannot be checked.
    #[error(
        "`cnf` is no object with one of `jkt` and `x5t#S256`: whether the token is bound to a key cannot be checked"
    )]
    ConfirmationUnknown,
    /// More was consented to than a delegation could hold.
    #[error(
        "what the token's scopes and details come to is more than 64 purposes, or 256 permissions or 24 KiB for one"
    )]
    ConsentTooLarge,
    /// The store cannot be read.
    #[error("the server failed")]
    Failed(Box<Failure>),
}

/// The checks, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// Three parts, two objects, no header that brings keys along.
    Form,
    /// A provider that is registered and not revoked.
    Issuer,
    /// `alg` and `typ` as recorded.
    Header,
    /// The provider's keys, and the one that the token names.
    Key,
    /// The signature.
    Signature,
    /// An access token and nothing else.
    Kind,
    /// For us.
    Audience,
    /// Neither too early nor too late.
    Time,
    /// Who the user is, and what was said about how they authenticated.
    User,
    /// Which agent it names, or which client it is for.
    Agent,
    /// Session, groups, and claims that policies are shown.
    Context,
    /// What key it is bound to.
    Confirmation,
    /// What was consented to.
    Consent,
}

impl Check {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::Form,
        Self::Issuer,
        Self::Header,
        Self::Key,
        Self::Signature,
        Self::Kind,
        Self::Audience,
        Self::Time,
        Self::User,
        Self::Agent,
        Self::Context,
        Self::Confirmation,
        Self::Consent,
    ];

    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Issuer => "issuer",
            Self::Header => "header",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Kind => "kind",
            Self::Audience => "audience",
            Self::Time => "time",
            Self::User => "user",
            Self::Agent => "agent",
            Self::Context => "context",
            Self::Confirmation => "confirmation",
            Self::Consent => "consent",
        }
    }
}

impl Refused {
    /// No provider has this issuer.
    pub(super) fn unknown_issuer(issuer: &str) -> Self {
        Self::UnknownIssuer(shown(issuer))
    }

    /// A stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Token(error) => error.code(),
            Self::UnknownIssuer(_) => "unknown_issuer",
            Self::AnotherProvider(_) => "another_provider",
            Self::ProviderRevoked(_) => "provider_revoked",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::AudienceMixed => "audience_mixed",
            Self::ActorMalformed(_) => "actor_malformed",
            Self::ActorChain => "actor_chain",
            Self::AgentNotNamed(_) => "agent_not_named",
            Self::NoRegisteredAgent { .. } => "no_registered_agent",
            Self::AnotherActor(_) => "another_actor",
            Self::NotTheUser(_) => "not_the_user",
            Self::NoUserFace(_) => "no_user_face",
            Self::NotAUserClient => "not_a_user_client",
            Self::Claim { .. } => "claim_malformed",
            Self::ClaimsUnusable(_) => "claims_unusable",
            Self::ConfirmationUnknown => "confirmation_unknown",
            Self::ConsentTooLarge => "consent_too_large",
            Self::Failed(_) => "internal",
        }
    }

    /// Which check it failed.
    pub(crate) fn check(&self) -> Check {
        match self {
            Self::Token(error) => check_of(*error),
            Self::UnknownIssuer(_) | Self::AnotherProvider(_) | Self::ProviderRevoked(_) | Self::NoUserFace(_) => {
                Check::Issuer
            }
            Self::KeysUnavailable { .. } => Check::Key,
            Self::AudienceMixed => Check::Audience,
            Self::ActorMalformed(_)
            | Self::ActorChain
            | Self::AgentNotNamed(_)
            | Self::NoRegisteredAgent { .. }
            | Self::AnotherActor(_)
            | Self::NotTheUser(_)
            | Self::NotAUserClient => Check::Agent,
            Self::Claim { claim, .. } if ["scope", "scp", "authorization_details"].contains(&claim.as_str()) => {
                Check::Consent
            }
            Self::Claim { .. } | Self::ClaimsUnusable(_) => Check::Context,
            Self::ConfirmationUnknown => Check::Confirmation,
            Self::ConsentTooLarge => Check::Consent,
            Self::Failed(_) => Check::Form,
        }
    }

    /// What an operator does about it.
    pub(crate) const fn help(&self) -> Option<&'static str> {
        help::for_operators(self)
    }

    /// What an agent does about it.
    pub(crate) const fn help_for_agents(&self) -> Option<&'static str> {
        help::for_agents(self)
    }
}

fn check_of(error: IssuerTokenError) -> Check {
    use IssuerTokenError as E;
    match error {
        E::TooLarge | E::Malformed(_) | E::DuplicateMember | E::HeaderMember(_) => Check::Form,
        E::ClaimMissing("iss") | E::ClaimMalformed("iss") | E::WrongIssuer => Check::Issuer,
        E::Unsigned | E::Symmetric | E::Algorithm | E::WrongType | E::IdTokenType => Check::Header,
        E::UnknownKey | E::AmbiguousKey | E::KeyDisagrees(_) => Check::Key,
        E::BadSignature => Check::Signature,
        E::NotAnAccessToken(_) | E::NotALogoutToken(_) | E::NotAWorkloadToken(_) | E::NotAnIdToken(_) => Check::Kind,
        E::WrongAudience | E::ClaimMissing("aud") | E::ClaimMalformed("aud") => Check::Audience,
        E::Expired
        | E::NotYetValid(_)
        | E::LifetimeTooLong
        | E::ClaimMissing("exp" | "iat")
        | E::ClaimMalformed("exp" | "iat" | "nbf" | "auth_time") => Check::Time,
        E::ClaimMissing("client_id" | "azp") | E::ClaimMalformed("client_id" | "azp") => Check::Agent,
        E::ClaimMissing(_) | E::ClaimMalformed(_) => Check::User,
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}
