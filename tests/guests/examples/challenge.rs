//! Wants two operators' yes to everything.

use attorn_policy::{ReasonDeclaration, Verdict};

const FOUR_EYES: ReasonDeclaration = ReasonDeclaration::public("four_eyes", "two operators have to approve");

attorn_guests::guest! {
    reasons: [FOUR_EYES],
    evaluate: |_ctx| Ok(Verdict::challenge(FOUR_EYES).approved_by("operator", 2).into()),
}
