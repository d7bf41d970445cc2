//! Wants an operator's yes, for a reason that the agent must not read.

use attorn_policy::{ReasonDeclaration, Verdict};

const UNUSUAL: ReasonDeclaration = ReasonDeclaration::private("unusual", "the agent does something unusual");

attorn_guests::guest! {
    reasons: [UNUSUAL],
    evaluate: |_ctx| Ok(Verdict::challenge(UNUSUAL).approved_by("operator", 1).into()),
}
