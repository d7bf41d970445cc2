//! Allows, but a grant that may not be used even once.

use attorn_policy::Verdict;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Ok(Verdict::allow().uses(0).into()),
}
