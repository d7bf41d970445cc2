//! What a replay says, on the wire.

use attorn_api::decisions::DecisionKind as Kind;
use attorn_api::replays::{Engine, ReasonCode, Said};
use attorn_core::{DecisionKind, DecisionReason, Seen};

use crate::app::App;

pub(crate) const fn kind(kind: DecisionKind) -> Kind {
    match kind {
        DecisionKind::Allow => Kind::Allow,
        DecisionKind::Challenge => Kind::Challenge,
        DecisionKind::Deny => Kind::Deny,
    }
}

/// A decision as it is compared by people: codes, as the log has them.
pub(super) fn said(seen: Seen<'_>) -> Said {
    Said { decision: kind(seen.kind), reasons: seen.reasons.iter().map(reason).collect() }
}

fn reason(reason: &DecisionReason) -> ReasonCode {
    match reason {
        DecisionReason::Host(host) => ReasonCode { code: host.code().to_owned(), policy: None },
        DecisionReason::Policy { policy, reason } => {
            ReasonCode { code: reason.code.to_string(), policy: Some(policy.to_string()) }
        }
        DecisionReason::Failed { policy, .. } => {
            ReasonCode { code: "policy_failed".to_owned(), policy: Some(policy.to_string()) }
        }
    }
}

/// The engine of this server.
pub(super) fn engine_now(app: &App) -> Engine {
    let configuration = app.engine.configuration().to_string();
    Engine { wasmtime: attorn_engine::WASMTIME_VERSION.to_owned(), configuration }
}
