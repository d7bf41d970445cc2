//! Allows what needs no credential but a token.

use attorn_policy::{ReasonDeclaration, Verdict};

const TOKENS_ONLY: ReasonDeclaration = ReasonDeclaration::public("tokens_only", "what is made can do more than this");

attorn_guests::guest! {
    reasons: [TOKENS_ONLY],
    evaluate: |ctx| Ok(match ctx.wanted_credential()? {
        None => Verdict::allow().into(),
        Some(_) => Verdict::deny(TOKENS_ONLY),
    }),
}
