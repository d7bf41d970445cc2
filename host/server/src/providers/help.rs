//! The way out of each refusal: for operators, who mend records and providers, and for agents, who can only bring
//! another token or ask somebody.
//!
//! Nothing here repeats anything of a token.

use attorn_identity::issuer_token::IssuerTokenError as Token;

use super::Refused;

/// What an operator does about it.
pub(super) const fn for_operators(refused: &Refused) -> Option<&'static str> {
    Some(match refused {
        Refused::UnknownIssuer(_) | Refused::AnotherProvider(_) => {
            "issuers are compared byte by byte, a final `/` included: `attorn provider list`"
        }
        Refused::ProviderRevoked(_) => {
            "a revoked provider stays revoked, and its issuer stays taken: users sign in at another"
        }
        Refused::NoRegisteredAgent { .. } => "add it to `clients` of the provider: `attorn provider update`",
        Refused::AnotherActor(_) => {
            "all that the token says of actors and clients has to be the same agent: `clients` and `names_agent_by` of \
             the provider say whom each names"
        }
        Refused::KeysUnavailable { .. } => {
            "the server fetches `/.well-known/openid-configuration` below the issuer, and from there `jwks_uri`: \
             https, no redirects, 5 s, 256 KiB"
        }
        Refused::NotAUserClient | Refused::NoUserFace(_) => {
            "`user_audience` and `user_clients` of the provider say which tokens users may use"
        }
        Refused::Token(error) => return of_token(*error),
        _ => return None,
    })
}

const fn of_token(error: Token) -> Option<&'static str> {
    Some(match error {
        Token::Malformed(_) => {
            "it may be opaque: have the provider issue access tokens that are JWTs; and bring it without `Bearer `"
        }
        Token::Unsigned => "have the provider sign its access tokens, with one of the recorded `algorithms`",
        Token::IdTokenType | Token::NotAnAccessToken(_) => "bring the access token, never the ID token",
        Token::WrongType => {
            "bring the access token; if it is one, `token_type` of the provider is `at+jwt`, or `jwt` for providers \
             that do not set it"
        }
        Token::UnknownKey => "keys are fetched at most once in 30 s: try again then",
        Token::BadSignature => {
            "keys are fetched at most once in 30 s: try again then; or the provider changed its key and kept the \
             `kid`, which is seen within 10 minutes"
        }
        Token::WrongAudience => "have the provider put the recorded `audience` into the token's `aud`",
        Token::Expired => "get a new token: the time of this one is over",
        _ => return None,
    })
}

/// What an agent does about it: it reads no advice that only an operator could follow.
pub(super) const fn for_agents(refused: &Refused) -> Option<&'static str> {
    Some(match refused {
        Refused::UnknownIssuer(_) | Refused::AnotherProvider(_) => {
            "a registrar has to register the provider, with its issuer byte by byte"
        }
        Refused::NoRegisteredAgent { .. } => {
            "a registrar has to say whose client this is, in `clients` of the provider"
        }
        Refused::Token(Token::Malformed(_)) => "bring the provider's access token, a JWT, without `Bearer `",
        Refused::Token(Token::WrongType | Token::IdTokenType | Token::NotAnAccessToken(_)) => {
            "bring the access token, never the ID token"
        }
        Refused::Token(Token::WrongAudience) => {
            "bring a token that the provider issued for this server; a registrar knows the `audience`"
        }
        Refused::Token(Token::Expired) => "get a new token",
        Refused::Token(Token::UnknownKey | Token::BadSignature) => {
            "keys are fetched at most once in 30 s: try again then"
        }
        _ => return None,
    })
}
