//! Bodies of entries: what the audit log says, in its words.
//!
//! Every body has `type` and `time_ms`; what an operator did also has `operator`.

use attorn_api::audit::is_entry_type;
use attorn_core::TimeMs;
use attorn_log::EntryBody;
use attorn_store::{Batch, Key, Require};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::call::OperatorCaller;
use crate::http::failure::Failure;

/// Add the entry about something that an operator does, and the requirement that the operator is still
/// who they were when they were authenticated.
pub(crate) fn act(
    batch: &mut Batch,
    operator: &OperatorCaller,
    kind: &'static str,
    about: impl Serialize,
) -> Result<(), Failure> {
    if let Some(id) = &operator.id {
        batch.require.push((Key::operator(id), Require::Version(operator.version)));
    }
    batch.entries.push(body(batch.now, kind, json!({ "operator": operator.name(), "about": about }))?);
    Ok(())
}

/// An entry.
pub(crate) fn body(now: TimeMs, kind: &'static str, mut members: Value) -> Result<EntryBody, Failure> {
    // Nobody could look for it.
    debug_assert!(is_entry_type(kind), "`{kind}` stands not among the types of entries");
    members["type"] = kind.into();
    members["time_ms"] = now.0.into();
    EntryBody::of_value(&members).map_err(|error| Failure::caused(&error))
}
