//! Denies for a reason that the agent may read.

use attorn_policy::{ReasonDeclaration, Verdict};

const CLOSED: ReasonDeclaration = ReasonDeclaration::public("closed", "nothing is allowed today");

attorn_guests::guest! {
    reasons: [CLOSED],
    evaluate: |_ctx| Ok(Verdict::deny(CLOSED)),
}
