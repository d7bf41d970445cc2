//! Denies for a reason that the agent must not read.

use attorn_policy::{ReasonDeclaration, Verdict};

const WATCHED: ReasonDeclaration = ReasonDeclaration::private("watched", "the agent is being watched");

attorn_guests::guest! {
    reasons: [WATCHED],
    evaluate: |_ctx| Ok(Verdict::deny(WATCHED)),
}
