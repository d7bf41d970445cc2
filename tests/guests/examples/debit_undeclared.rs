//! Allows, and charges a counter that it did not declare.

use attorn_policy::Verdict;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Ok(Verdict::allow().debit("requests", 1, 10).into()),
}
