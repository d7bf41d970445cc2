//! Allows, after a line at each level; one tries to drive the reader's terminal, one repeats what the agent
//! sent.

use attorn_policy::{Verdict, log};

attorn_guests::guest! {
    reasons: [],
    evaluate: |ctx| {
        log::debug(format!("arguments {}", ctx.request.arguments));
        log::info("\u{1b}[2Jgone\u{202e}\n2026-01-01 forged");
        log::warn("odd");
        log::error("wrong");
        Ok(Verdict::allow().into())
    },
}
