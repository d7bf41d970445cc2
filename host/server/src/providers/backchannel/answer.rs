//! Whether an ID token is the user's yes to this very question.
//!
//! It is verified with the provider's keys as users' tokens are (`attorn_identity::issuer_token`): issuer, audience,
//! signature, times. Here is what this question asks of it besides. A yes that is not surely the user's is none.

use attorn_core::{ClientId, TimeMs};
use attorn_identity::issuer_token::{
    CLOCK_SKEW_MS, Claims, IssuerTokenError, TokenExpectation, TokenKind, UnverifiedToken,
};
use attorn_store::records::ProviderRecord;
use serde_json::Value;

use super::problem::Problem;
use crate::app::App;

/// The claim that names the question (CIBA Core 1.0, section 10.3.1). Where tokens are pushed it has to be there; where
/// they are polled for it need not, and may not be another's.
const REQUEST_ID: &str = "urn:openid:params:jwt:claim:auth_req_id";

/// Whose answer to what an ID token has to be.
pub(super) struct Expected<'a> {
    /// What we are called at the provider.
    pub(super) client: &'a ClientId,
    /// Who was asked, as the provider names them.
    pub(super) subject: &'a str,
    /// What it calls its request.
    pub(super) request_id: &'a str,
    /// When it was asked to.
    pub(super) at: TimeMs,
}

/// Verify the ID token that came. It says when it was issued.
pub(super) async fn verify(
    app: &App,
    provider: &ProviderRecord,
    token: &str,
    asked: &Expected<'_>,
) -> Result<TimeMs, Problem> {
    let claims = id_token(app, provider, asked.client, token).await?;
    let issued_at = claims.time("iat")?.ok_or(IssuerTokenError::ClaimMissing("iat"))?;
    answers(|name| claims.get(name), issued_at, asked)?;
    Ok(issued_at)
}

/// What an ID token claims that the provider issued to us as this client.
pub(super) async fn id_token(
    app: &App,
    provider: &ProviderRecord,
    client: &ClientId,
    token: &str,
) -> Result<Claims, Problem> {
    let unverified = UnverifiedToken::parse(token)?;
    let audiences = [client.as_str()];
    let expect = |now| TokenExpectation {
        issuer: provider.issuer.as_str(),
        kind: TokenKind::Id,
        algorithms: &provider.algorithms,
        audiences: &audiences,
        now,
    };
    let now = app.clock.now();
    // Nothing is fetched for a token that cannot be right.
    unverified.check_header(&expect(now))?;
    if unverified.issuer() != provider.issuer.as_str() {
        return Err(IssuerTokenError::WrongIssuer.into());
    }
    let keys = app.providers.keys(provider, unverified.key_id(), now).await.map_err(Problem::Keys)?;
    Ok(unverified.verify(&keys, &expect(app.clock.now()))?)
}

/// Whether these claims, which are the provider's, answer the question.
fn answers<'c>(
    claim: impl Fn(&str) -> Option<&'c Value>,
    issued_at: TimeMs,
    asked: &Expected<'_>,
) -> Result<(), Problem> {
    let subject = claim("sub").ok_or(IssuerTokenError::ClaimMissing("sub"))?;
    if subject.as_str() != Some(asked.subject) {
        return Err(Problem::AnotherUser);
    }
    if claim(REQUEST_ID).is_some_and(|id| id.as_str() != Some(asked.request_id)) {
        return Err(Problem::AnotherRequest);
    }
    // Times in tokens are whole seconds.
    if issued_at.plus_ms(CLOCK_SKEW_MS + 1_000) < asked.at {
        return Err(Problem::IssuedBefore);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_user_who_was_asked_answers_and_only_this_question() {
        let client: ClientId = "attorn".parse().unwrap();
        let asked = Expected { client: &client, subject: "alice", request_id: "r-1", at: TimeMs(1_000_000) };
        let check = |claims: Value, issued_at| answers(|name| claims.get(name), TimeMs(issued_at), &asked);
        for (claims, issued_at, expect) in [
            (json!({ "sub": "alice" }), 1_003_000, Ok(())),
            (json!({ "sub": "alice", REQUEST_ID: "r-1" }), 1_003_000, Ok(())),
            (json!({ "sub": "bob" }), 1_003_000, Err(Problem::AnotherUser)),
            (json!({ "sub": "Alice" }), 1_003_000, Err(Problem::AnotherUser)),
            (json!({ "sub": ["alice"] }), 1_003_000, Err(Problem::AnotherUser)),
            (json!({}), 1_003_000, Err(Problem::Token(IssuerTokenError::ClaimMissing("sub")))),
            (json!({ "sub": "alice", REQUEST_ID: "r-2" }), 1_003_000, Err(Problem::AnotherRequest)),
            (json!({ "sub": "alice", REQUEST_ID: null }), 1_003_000, Err(Problem::AnotherRequest)),
            // As early as clocks may differ, and earlier.
            (json!({ "sub": "alice" }), 994_000, Ok(())),
            (json!({ "sub": "alice" }), 993_000, Err(Problem::IssuedBefore)),
        ] {
            assert_eq!(check(claims.clone(), issued_at), expect, "{claims} {issued_at}");
        }
    }
}
