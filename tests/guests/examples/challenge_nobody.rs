//! Challenges, but asks for nobody's approval: what could never be told from an allow.

use attorn_policy::{ReasonDeclaration, Verdict};

const NOBODY: ReasonDeclaration = ReasonDeclaration::public("nobody", "nobody has to approve");

attorn_guests::guest! {
    reasons: [NOBODY],
    evaluate: |_ctx| Ok(Verdict::challenge(NOBODY).into()),
}
