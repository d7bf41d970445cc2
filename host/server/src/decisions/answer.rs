//! What the agent reads. A credential is made here, and of nothing but a recorded grant.

use attorn_api::ProblemCode;
use attorn_api::audit::EntryReference;
use attorn_api::decisions::{
    ActiveSetReference, ApprovalRequirement, Credential, DecisionAnswer, DecisionKind, Grant as GrantAnswer,
    PostgresqlLogin, Reason,
};
use attorn_broker::CredentialKind as _;
use attorn_core::reason::HostReason;
use attorn_core::{Decision, DecisionId, DecisionReason, Grant, GrantId, Issuer, JsonText};
use attorn_identity::TokenSubject;
use attorn_store::records::{IdempotencyRecord, Kept, LeaseRecord, Record as _};
use attorn_store::{GrantStanding, Key, Recorded, Versioned};
use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::gather::Ground;
use super::record::{Made, reasons};
use crate::app::App;
use crate::audit::reference;
use crate::grants;
use crate::http::failure::Failure;
use crate::leases::{self, place::Place};
use crate::users::{self, kept};

/// How many reasons an answer has, and how many characters of each: an answer has to be kept.
const REASONS_MAX: usize = 16;
const REASON_CHARS_MAX: usize = 256;

/// A decision as the agent reads it, and as it is kept for asking again: all but its place in the log,
/// which is not known before the commit, and the credential, which is never kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    decision: DecisionKind,
    decision_id: String,
    reasons: Vec<Reason>,
    approvers: Vec<ApprovalRequirement>,
    grant: Option<GrantAnswer>,
    active_set: ActiveSetReference,
}

impl Decided {
    fn answer(self, entry: EntryReference, given: Option<Given>) -> DecisionAnswer {
        let Self { decision, decision_id, reasons, approvers, grant, active_set } = self;
        let (credential, login) = match given {
            Some(Given::Token(credential)) => (Some(credential), None),
            Some(Given::Login(login)) => (None, Some(login)),
            None => (None, None),
        };
        // A challenge is never kept, so what it waits for is put in by whoever makes one.
        let approval = None;
        DecisionAnswer {
            decision,
            decision_id,
            reasons,
            approvers,
            approval,
            grant,
            credential,
            login,
            entry,
            active_set,
        }
    }
}

/// What a grant's holder is given.
enum Given {
    Token(Credential),
    Login(PostgresqlLogin),
}

/// The answer to a decision that was just recorded.
pub(super) async fn first(
    app: &App,
    (ask, ground): (&Ask, &Ground),
    made: &Made,
    decision: DecisionId,
    (recorded, lease): (Recorded<Option<Grant>>, Option<(LeaseRecord, Place)>),
) -> Result<(DecisionAnswer, Option<Recorded<Grant>>), Failure> {
    let entry = recorded.entries().first().ok_or_else(|| Failure::internal("a decision was recorded without entry"))?;
    let (entry, decided) = (reference(entry), decided(ground, made, decision, recorded.get().as_ref()));
    let subject = ground.chain.as_ref().map(|chain| subject_of(&chain.behalf.user.issuer, &chain.subject));
    let recorded = recorded.transpose();
    let approval = made.approval.reference();
    if ask.wanted.through.is_some() {
        return Ok((DecisionAnswer { approval, ..decided.answer(entry, None) }, recorded));
    }
    let charges = made.decision.seen().charges;
    let given = match (recorded, lease) {
        (None, _) => None,
        (Some(grant), None) => Some(Given::Token(token(app, &grant, subject.as_ref()).await?)),
        (Some(grant), Some(lease)) => Some(Given::Login(leases::issue::login(app, &grant, lease, charges).await?)),
    };
    Ok((DecisionAnswer { approval, ..decided.answer(entry, given) }, None))
}

/// The answer to what was asked before: the recorded decision, with a token signed anew from the same
/// grant while that is active.
pub(super) async fn again(
    app: &App,
    ask: &Ask,
    earlier: Versioned<IdempotencyRecord>,
) -> Result<DecisionAnswer, Failure> {
    let place = earlier.value.key();
    let answer = kept::read_text(app, &place, earlier.value.answer).await?;
    let answer = answer.ok_or_else(|| kept::erased("the user on whose behalf this was asked before was erased"))?;
    let decided: Decided = serde_json::from_str(answer.as_str()).map_err(Failure::internal)?;
    let inactive = |id: &GrantId| {
        let detail = format!("the grant `{id}` of the decision that was made before is not active any more");
        Failure::of(ProblemCode::GrantInactive, detail).with_help("ask with a new idempotency key")
    };
    let mut given = None;
    let entry = reference(&app.store.entry_ref(earlier.version, earlier.entries.start));
    if let (Some(id), false) = (&earlier.value.grant, ask.wanted.credential.is_token()) {
        let login = leases::issue::shown_before(app, id).await?;
        given = Some(Given::Login(login.ok_or_else(|| inactive(id))?));
    }
    if let (Some(id), true) = (&earlier.value.grant, ask.wanted.credential.is_token()) {
        let inactive = || inactive(id);
        let stored = app.store.grant(id).await?.ok_or_else(inactive)?;
        let opened = match &stored.record().grant {
            Kept::Plain(_) => None,
            Kept::Sealed { user, sealed } => {
                Some(kept::read(app, &Key::grant(id), (user, sealed)).await?.ok_or_else(inactive)?)
            }
        };
        let standing = stored.standing(opened.as_ref().map(|opened| opened.as_slice())).map_err(Failure::internal)?;
        let GrantStanding::Granted(grant) = standing else { return Err(inactive()) };
        if grant.get().key_thumbprint != ask.thumbprint {
            return Err(inactive());
        }
        grants::active(app, grant.get(), None).await.map_err(|_| inactive())?;
        // The private half of a key that does not sign any more is gone after a restart.
        let key = app.token_keys.named(&grant.get().signed_by).ok_or_else(inactive)?;
        key.signer().ok_or_else(inactive)?;
        let user = match &grant.get().behalf {
            Some(behalf) => Some(users::known(app, &behalf.user).await?.ok_or_else(inactive)?),
            None => None,
        };
        let subject = user.as_ref().map(|user| subject_of(&user.body.issuer, &user.body.subject));
        given = Some(Given::Token(token(app, &grant, subject.as_ref()).await?));
    }
    Ok(decided.answer(entry, given))
}

/// The answer as it is kept for asking again: without credential, and without a place in the log yet.
pub(super) fn kept(
    ground: &Ground,
    made: &Made,
    decision: DecisionId,
    grant: Option<&Grant>,
) -> Result<JsonText, Failure> {
    let decided = decided(ground, made, decision, grant);
    serde_json_canonicalizer::to_string(&decided).map(JsonText::from_canonical).map_err(Failure::internal)
}

fn subject_of<'a>(issuer: &'a Issuer, subject: &'a str) -> TokenSubject<'a> {
    TokenSubject { issuer: issuer.as_str(), subject }
}

/// Issue the token of a recorded grant. One that is held for a user names that user.
async fn token(app: &App, grant: &Recorded<Grant>, user: Option<&TokenSubject<'_>>) -> Result<Credential, Failure> {
    let user = user.map(|user| (user.issuer.to_owned(), user.subject.to_owned()));
    leases::token::Tokens::of(app).issue(grant, &user).await.map_err(leases::token::failure)
}

fn decided(ground: &Ground, made: &Made, decision: DecisionId, grant: Option<&Grant>) -> Decided {
    let kind = match made.decision {
        Decision::Allow(_) => DecisionKind::Allow,
        Decision::Challenge(_) => DecisionKind::Challenge,
        Decision::Deny(_) => DecisionKind::Deny,
    };
    let approvers = match &made.decision {
        Decision::Challenge(challenged) => challenged.approvers.as_slice(),
        _ => &[],
    };
    Decided {
        decision: kind,
        decision_id: decision.to_string(),
        reasons: shown_reasons(&made.decision),
        approvers: approvers
            .iter()
            .map(|one| ApprovalRequirement { role: one.role.to_string(), count: one.count })
            .collect(),
        grant: grant.map(shown_grant),
        active_set: ActiveSetReference {
            revision: ground.active.record.revision,
            digest: ground.active.digest.clone(),
        },
    }
}

fn shown_grant(grant: &Grant) -> GrantAnswer {
    GrantAnswer {
        id: grant.id.to_string(),
        audience: grant.audience.to_string(),
        action: grant.action.to_string(),
        resource: grant.resource.to_string(),
        arguments_digest: grant.arguments_digest.to_string(),
        issued_at_ms: grant.issued_at.0,
        expires_at_ms: grant.expires_at.0,
        uses_max: grant.uses_max,
    }
}

/// The reasons that an agent may read. A policy's reason that is not public is told by a code of the
/// host, so that nothing can be learnt about the policy by asking.
fn shown_reasons(decision: &Decision) -> Vec<Reason> {
    let host = |reason: HostReason| Reason { code: reason.code().into(), text: reason.text().into(), policy: None };
    let hidden = match decision {
        Decision::Challenge(_) => Some(HostReason::ApprovalRequired),
        Decision::Deny(_) => Some(HostReason::DeniedByPolicy),
        Decision::Allow(_) => None,
    };
    let mut shown: Vec<Reason> = reasons(decision)
        .iter()
        .filter_map(|reason| match reason {
            DecisionReason::Host(reason) => Some(host(*reason)),
            DecisionReason::Failed { .. } => Some(host(HostReason::PolicyFailed)),
            DecisionReason::Policy { policy, reason } if reason.public => Some(Reason {
                code: reason.code.to_string(),
                text: reason.text.chars().take(REASON_CHARS_MAX).collect(),
                policy: Some(policy.to_string()),
            }),
            DecisionReason::Policy { .. } => hidden.map(host),
        })
        .collect();
    shown.dedup();
    shown.truncate(REASONS_MAX);
    shown
}
