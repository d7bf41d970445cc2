//! What can go wrong with asking a user at their provider: a stable code for each, and whether to try again.
//!
//! No text repeats anything that came from the provider.

use attorn_identity::issuer_token::IssuerTokenError;

use crate::providers::fetch::FetchError;

/// Why nothing came of asking a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// There was no connection, or it broke.
    #[error("the provider could not be reached, or the connection broke")]
    Unreachable,
    /// It took too long.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// It says that it cannot answer now.
    #[error("the provider answered with the status {0}")]
    Unavailable(u16),
    /// It sends us elsewhere.
    #[error("the provider redirects, which is never followed")]
    Redirected,
    /// Its answer is too long.
    #[error("an answer has more than 65536 bytes")]
    TooLarge,
    /// It is where nothing is sent to.
    #[error("an endpoint is no https URL, one of this machine, or where no provider may be")]
    Address,
    /// Its metadata cannot be had.
    #[error("its metadata cannot be had: {0}")]
    Metadata(FetchError),
    /// Its metadata does not say that it asks users in poll mode.
    #[error(
        "its metadata has no `backchannel_authentication_endpoint` and `token_endpoint`, or no delivery mode `poll`"
    )]
    NoBackchannel,
    /// Its metadata does not say where users sign in.
    #[error("its metadata has no `authorization_endpoint` and `token_endpoint`")]
    NoSignIn,
    /// A user may have another name there for each client, so nobody can say whether two are one.
    #[error("its metadata has no `public` among `subject_types_supported`, so the user could come as somebody else")]
    PairwiseSubjects,
    /// It does not know us.
    #[error("the provider refuses this server as a client")]
    ClientRefused,
    /// It does not know the user by the hint.
    #[error("the provider knows no user by the hint")]
    UnknownUser,
    /// Nothing is known of the user that the provider would know them by.
    #[error("nothing is known of the user that the provider would know them by: the claim of `login_hint` is missing")]
    NoHint,
    /// It does not take the code.
    #[error("the provider refuses the code as a binding message")]
    CodeRefused,
    /// It wants a secret of the user's, which nobody here has.
    #[error("the provider wants a user code, which this server does not have")]
    UserCode,
    /// It refuses the request for what it is.
    #[error("the provider refuses the request")]
    RequestRefused,
    /// It was asked as often as it may be, and nobody knows whether it asks the user.
    #[error("the provider was asked twice and did not say that it asks the user")]
    AskedInVain,
    /// It refuses to ask this user.
    #[error("the provider refuses to ask the user")]
    DeniedAtOnce,
    /// It does not know what it was asked, or not any more.
    #[error("the provider does not know the request any more")]
    RequestUnknown,
    /// What it answers has no meaning.
    #[error("the answer has no meaning: {0}")]
    Nonsense(&'static str),
    /// It says yes, and not who.
    #[error("the answer is a success without an ID token")]
    NoIdToken,
    /// The ID token is not right.
    #[error(transparent)]
    Token(#[from] IssuerTokenError),
    /// The provider's keys cannot be had now.
    #[error("the provider's keys cannot be had: {0}")]
    Keys(FetchError),
    /// Somebody else answered.
    #[error("the answer is another user's")]
    AnotherUser,
    /// It answers another question.
    #[error("the answer is to another request")]
    AnotherRequest,
    /// It was there before anybody asked.
    #[error("the answer was issued before the user was asked")]
    IssuedBefore,
    /// Somebody signed in, and not in this very sign-in.
    #[error("the answer is to another sign-in")]
    AnotherSignIn,
    /// Somebody signed in some time before.
    #[error("the provider does not say that the user signed in for this: `auth_time` is missing, or from before")]
    NotFresh,
    /// Nobody but the agent would have told the user what they say yes to.
    #[error(
        "the provider does not show its users what they approve (`attorn_approval`), and they are not asked by a code alone"
    )]
    CannotShow,
    /// The provider is not asked any more.
    #[error("the provider was revoked, or asks nobody any more")]
    ProviderGone,
    /// The user was erased.
    #[error("the user was erased")]
    UserGone,
}

impl Problem {
    /// A stable code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Unavailable(_) => "unavailable",
            Self::Redirected => "redirected",
            Self::TooLarge => "too_large",
            Self::Address => "address_refused",
            Self::Metadata(_) => "metadata_unavailable",
            Self::NoBackchannel => "no_backchannel",
            Self::NoSignIn => "no_sign_in",
            Self::PairwiseSubjects => "pairwise_subjects",
            Self::ClientRefused => "client_refused",
            Self::UnknownUser => "unknown_user",
            Self::NoHint => "no_hint",
            Self::CodeRefused => "code_refused",
            Self::UserCode => "user_code_wanted",
            Self::RequestRefused => "request_refused",
            Self::AskedInVain => "asked_in_vain",
            Self::DeniedAtOnce => "denied_at_once",
            Self::RequestUnknown => "request_unknown",
            Self::Nonsense(_) => "nonsense",
            Self::NoIdToken => "no_id_token",
            Self::Token(error) => error.code(),
            Self::Keys(_) => "keys_unavailable",
            Self::AnotherUser => "another_user",
            Self::AnotherRequest => "another_request",
            Self::IssuedBefore => "issued_before",
            Self::AnotherSignIn => "another_sign_in",
            Self::NotFresh => "not_fresh",
            Self::CannotShow => "cannot_show",
            Self::ProviderGone => "provider_gone",
            Self::UserGone => "user_gone",
        }
    }

    /// Whether it may be better after a while. All else ends the prompt.
    pub(crate) const fn is_temporary(self) -> bool {
        matches!(self, Self::Unreachable | Self::TimedOut | Self::Unavailable(_) | Self::Metadata(_) | Self::Keys(_))
    }
}
