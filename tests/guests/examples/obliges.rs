//! Allows, if the enforcement point blackens what it gives out.

use attorn_policy::Verdict;
use serde_json::json;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Ok(Verdict::allow().oblige("redact", &json!({ "fields": ["email"] })).into()),
}
