//! Denies, and does not say why.

use attorn_policy::Verdict;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Ok(Verdict::Deny(Vec::new())),
}
