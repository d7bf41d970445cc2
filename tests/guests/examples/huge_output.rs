//! Denies at length: 4 MiB of text.

use attorn_policy::{ReasonDeclaration, Verdict};

const LONG: ReasonDeclaration = ReasonDeclaration::public("long", "it is a long story");

attorn_guests::guest! {
    reasons: [LONG],
    evaluate: |_ctx| Ok(Verdict::deny(LONG.with_text("x".repeat(4 << 20)))),
}
