//! Delegations on the wire.

use attorn_api::ProblemCode;
use attorn_api::agents::Permission as PermissionWire;
use attorn_api::delegations as api;
use attorn_core::reason::HostReason;
use attorn_core::{AgentId, DelegationId, Permission};
use attorn_store::records::{DelegationBody, DelegationRecord, Evidence};

use crate::http::failure::Failure;
use crate::providers::Refused;

/// The longest that anybody may ask for: 30 days.
const EXPIRES_IN_MS_MAX: u64 = 30 * 24 * 3_600_000;

pub(super) fn permissions(wires: &[PermissionWire]) -> Result<Vec<Permission>, Failure> {
    let permission =
        |wire: &PermissionWire| Ok(Permission { action: wire.action.parse()?, resource: wire.resource.parse()? });
    wires.iter().map(permission).collect()
}

pub(super) fn expires_in(ms: Option<u64>) -> Result<Option<u64>, Failure> {
    match ms {
        Some(ms) if !(1_000..=EXPIRES_IN_MS_MAX).contains(&ms) => {
            let detail = format!("`expires_in_ms` is {ms}, and may be 1000 to {EXPIRES_IN_MS_MAX}");
            Err(Failure::of(ProblemCode::InvalidField, detail))
        }
        ms => Ok(ms),
    }
}

/// Why a token was refused, for whoever brought it.
pub(crate) fn refused(refused: Refused) -> Failure {
    match refused {
        Refused::Failed(failure) => *failure,
        Refused::KeysUnavailable { .. } => Failure::of(ProblemCode::Busy, refused.to_string()),
        refused => {
            let failure = Failure::of(ProblemCode::SubjectTokenRefused, format!("{} ({})", refused, refused.code()));
            match refused.help_for_agents() {
                Some(help) => failure.with_help(help),
                None => failure,
            }
        }
    }
}

pub(super) fn shown(record: &DelegationRecord, body: &DelegationBody, standing: Option<HostReason>) -> api::Delegation {
    api::Delegation {
        id: record.id.to_string(),
        user: record.user.to_string(),
        from_agent: record.from_agent.as_ref().map(AgentId::to_string),
        parent: record.parent.as_ref().map(DelegationId::to_string),
        depth: record.depth,
        to_agent: record.to_agent.to_string(),
        purpose: record.purpose.to_string(),
        session: record.session.to_string(),
        permissions: body.permissions.iter().map(shown_permission).collect(),
        created_at_ms: record.created_at.0,
        expires_at_ms: record.expires_at.0,
        accepted_at_ms: record.accepted_at.map(|at| at.0),
        revoked_at_ms: record.revoked_at.map(|at| at.0),
        standing: standing.map_or("active", HostReason::code).into(),
    }
}

pub(crate) fn shown_permission(permission: &Permission) -> PermissionWire {
    PermissionWire { action: permission.action.to_string(), resource: permission.resource.to_string() }
}

pub(super) fn evidence(evidence: &Evidence) -> api::Evidence {
    api::Evidence {
        provider: evidence.provider.to_string(),
        token_id: evidence.token_id.clone(),
        token_digest: evidence.token_digest.to_string(),
        issued_at_ms: evidence.issued_at.0,
        auth_time_ms: evidence.auth_time.map(|at| at.0),
        acr: evidence.acr.clone(),
        consented: evidence.consented.iter().map(shown_permission).collect(),
    }
}
