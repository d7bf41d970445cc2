//! Denies for a reason that it did not declare.

use attorn_policy::{ReasonDeclaration, Verdict};

const SURPRISE: ReasonDeclaration = ReasonDeclaration::public("surprise", "nobody was told of this");

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Ok(Verdict::deny(SURPRISE)),
}
