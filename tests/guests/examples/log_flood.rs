//! Allows, after 1,000 messages of 1 KiB.

use attorn_policy::{Verdict, log};

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| {
        let message = "x".repeat(1 << 10);
        for _ in 0..1_000 {
            log::info(&message);
        }
        Ok(Verdict::allow().into())
    },
}
