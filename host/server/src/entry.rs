//! Bodies of entries: what the audit log says, in its words.
//!
//! Every body has `type` and `time_ms`; what an operator did also has `operator`.

use attorn_core::TimeMs;
use attorn_log::EntryBody;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::call::OperatorCaller;
use crate::http::failure::Failure;

/// An entry about something that an operator did.
pub(crate) fn act(
    operator: &OperatorCaller,
    now: TimeMs,
    kind: &'static str,
    about: impl Serialize,
) -> Result<EntryBody, Failure> {
    body(now, kind, json!({ "operator": operator.name(), "about": about }))
}

/// An entry.
pub(crate) fn body(now: TimeMs, kind: &'static str, mut members: Value) -> Result<EntryBody, Failure> {
    members["type"] = kind.into();
    members["time_ms"] = now.0.into();
    EntryBody::of(&members).map_err(Failure::internal)
}
