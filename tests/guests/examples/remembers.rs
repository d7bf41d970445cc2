//! Allows the first request that it sees, and fails at every later one. Nothing survives an
//! evaluation, so there is no later one.

use std::cell::Cell;

use attorn_policy::{Error, Verdict};

thread_local! {
    static SEEN: Cell<u32> = const { Cell::new(0) };
}

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| match SEEN.replace(SEEN.get() + 1) {
        0 => Ok(Verdict::allow().into()),
        seen => Err(Error::new(format!("{seen} requests were seen before"))),
    },
}
