//! Returns an error.

use attorn_policy::Error;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Err(Error::new("this policy always fails")),
}
