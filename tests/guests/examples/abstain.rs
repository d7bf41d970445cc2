//! Has nothing to say.

use attorn_policy::Verdict;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Ok(Verdict::Abstain),
}
