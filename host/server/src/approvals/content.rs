//! What approvers are shown, made of what was decided and kept with the approval: the agent has no say in how it looks,
//! and nobody is shown anything else later.
//!
//! It is kept as it was written. What of it cannot be seen is made visible when it is shown.

use std::sync::Arc;

use attorn_api::approvals::{Asked, AskedCredential, AskedDebit, AskedUser, Follows, Group, Wanted};
use attorn_api::decisions::Reason;
use attorn_core::verdict::ApprovalRequirement;
use attorn_core::{Challenged, Debit, DecisionReason, Digest, JsonText, Request, SessionId, TargetKind};
use attorn_store::Key;
use attorn_store::records::{ApprovalRecord, Record as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::look_alikes;
use super::readable::{Unreadable, readable};
use super::seek::Scene;
use super::terms::KeptTerms;
use super::visible::visible;
use crate::app::App;
use crate::audit;
use crate::http::failure::Failure;
use crate::users::kept;

/// The most characters of a reason, and of a name at the provider: what is asked has to fit its place, whatever is escaped
/// in it, and somebody has to read it.
const REASON_CHARS_MAX: usize = 128;
const SUBJECT_CHARS_MAX: usize = 256;
/// How many reasons and debits are shown.
const REASONS_MAX: usize = 8;
const DEBITS_MAX: usize = 16;

/// What is kept: what is shown, and the terms on which it is asked, whole.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptContent {
    asked: Asked,
    terms: KeptTerms,
    /// The revision of the set of policies that it was asked under; none of one from before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// What is asked, as it is kept, if it can be shown; under the set of policies of this revision.
pub(super) fn of(
    scene: Scene<'_>,
    challenged: &Challenged,
    revision: u64,
) -> Result<Result<JsonText, Unreadable>, Failure> {
    let Scene { within, chain, credential } = scene;
    let (request, terms) = (within.request(), &challenged.terms);
    let goes_on = credential.is_some_and(|credential| credential.kind == TargetKind::Proxy);
    let Ok((arguments, arguments_cut_chars)) = readable(&request.arguments) else { return Ok(Err(Unreadable)) };
    let Ok((claims, claims_cut_chars)) = readable(&request.claims) else { return Ok(Err(Unreadable)) };
    let hops = within.behalf().map_or(&[][..], |behalf| &behalf.hops);
    let through = hops.split_last().map_or(&[][..], |(_, before)| before);
    let debits: Vec<AskedDebit> = terms.debits.iter().take(DEBITS_MAX).map(debit).collect();
    let asked = Asked {
        owner: within.agent().owner.to_string(),
        through: through.iter().map(|hop| hop.agent.id.to_string()).collect(),
        user: chain.map(|chain| AskedUser {
            id: chain.behalf.user.id.to_string(),
            issuer: chain.behalf.user.issuer.to_string(),
            subject: chain.subject.chars().take(SUBJECT_CHARS_MAX).collect(),
        }),
        purpose: request.purpose.to_string(),
        action: request.action.to_string(),
        resource: request.resource.to_string(),
        session: request.session.as_ref().map(SessionId::to_string),
        arguments,
        arguments_cut_chars,
        arguments_digest: request.arguments_digest.to_string(),
        claims,
        claims_cut_chars,
        credential: credential.map_or(AskedCredential::Token, |credential| match credential.kind {
            TargetKind::Postgresql => AskedCredential::Postgresql,
            TargetKind::Proxy => AskedCredential::Proxy,
        }),
        target: credential.and_then(|credential| credential.target.as_ref()).map(ToString::to_string),
        accepted_by: within.resource_server().audience.to_string(),
        reasons: challenged.reasons.iter().filter_map(reason).take(REASONS_MAX).collect(),
        follows: Follows {
            grant_ms_max: terms.grant_ms_max,
            // What goes on goes on once, whatever the terms say.
            uses_max: if goes_on { 1 } else { terms.uses_max },
            debits_more: u32::try_from(terms.debits.len() - debits.len()).unwrap_or(u32::MAX),
            debits,
        },
        // They are looked for when it is shown.
        look_alikes: Vec::new(),
        look_alikes_more: 0,
    };
    let kept = KeptContent { asked, terms: KeptTerms::of(terms), revision: Some(revision) };
    let text = serde_json_canonicalizer::to_string(&kept).map_err(Failure::internal)?;
    Ok(Ok(JsonText::from_canonical(text)))
}

/// Whether somebody can be shown what is asked.
pub(crate) fn can_be_shown(request: &Request) -> bool {
    readable(&request.arguments).is_ok() && readable(&request.claims).is_ok()
}

/// Why a policy asks. Approvers read also what agents do not.
fn reason(reason: &DecisionReason) -> Option<Reason> {
    let DecisionReason::Policy { policy, reason } = reason else { return None };
    Some(Reason {
        code: reason.code.to_string(),
        text: reason.text.chars().take(REASON_CHARS_MAX).collect(),
        policy: Some(policy.to_string()),
    })
}

fn debit(debit: &Debit) -> AskedDebit {
    AskedDebit {
        policy: debit.policy.to_string(),
        counter: debit.counter.to_string(),
        window: debit.window.as_str().to_owned(),
        amount: debit.amount.to_string(),
        at_most: debit.at_most.to_string(),
    }
}

/// What is asked, and the digest that a vote names: over all that is shown of it and all that it is bound to. None if
/// its user was erased.
pub(crate) async fn open(app: &App, record: &ApprovalRecord) -> Result<Option<(Asked, Digest)>, Failure> {
    let Some(text) = text(app, record).await? else { return Ok(None) };
    let mut hasher = blake3::Hasher::new_derive_key("attorn approval shown v1");
    hasher.update(record.request.bound_to.as_bytes()).update(record.code.as_bytes()).update(text.as_str().as_bytes());
    let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
    Ok(Some((read(&text)?.asked, digest)))
}

/// The terms on which it is asked. None if its user was erased.
pub(super) async fn terms(app: &App, record: &ApprovalRecord) -> Result<Option<KeptTerms>, Failure> {
    text(app, record).await?.map(|text| read(&text).map(|kept| kept.terms)).transpose()
}

/// Whether other policies are in force than when it was asked. Where those that apply to it changed, nobody can spend a yes
/// to it any more.
pub(super) async fn policies_changed(app: &App, record: &ApprovalRecord) -> Result<bool, Failure> {
    let Some(text) = text(app, record).await? else { return Ok(false) };
    let revision = read(&text)?.revision;
    Ok(revision.is_some_and(|revision| revision != app.active.snapshot().record.revision))
}

async fn text(app: &App, record: &ApprovalRecord) -> Result<Option<JsonText>, Failure> {
    let place: Key = record.key();
    kept::read_text(app, &place, record.content.clone()).await
}

fn read(text: &JsonText) -> Result<KeptContent, Failure> {
    serde_json::from_str(text.as_str()).map_err(Failure::internal)
}

/// The same, with everything visible that an agent, a policy or a provider wrote.
pub(crate) fn shown(asked: Asked) -> Asked {
    let (look_alikes, look_alikes_more) = look_alikes::of(&asked);
    let reason = |reason: Reason| Reason { text: visible(&reason.text), ..reason };
    Asked {
        look_alikes,
        look_alikes_more,
        arguments: visible(&asked.arguments),
        claims: visible(&asked.claims),
        resource: visible(&asked.resource),
        session: asked.session.as_deref().map(visible),
        user: asked.user.map(|user| AskedUser { subject: visible(&user.subject), ..user }),
        reasons: asked.reasons.into_iter().map(reason).collect(),
        ..asked
    }
}

/// Who has to approve, with the names of groups made visible.
pub(crate) fn wanted(record: &ApprovalRecord) -> Vec<Wanted> {
    let wanted = |one: &ApprovalRequirement| Wanted {
        role: one.role.kind().to_owned(),
        group: one.role.group().and_then(|name| group(record, &visible(name.as_str()))),
        count: one.count,
    };
    record.request.requirements.iter().map(wanted).collect()
}

/// The groups that are asked, each once, by their names as they are: machines read them.
pub(super) fn groups(record: &ApprovalRecord) -> Vec<Group> {
    super::groups(record).into_iter().filter_map(|name| group(record, name.as_str())).collect()
}

fn group(record: &ApprovalRecord, name: &str) -> Option<Group> {
    let issuer = record.groups_of.as_ref()?.to_string();
    Some(Group { issuer, name: name.to_owned() })
}

/// All of the arguments, with everything made visible; none if their user was erased. They stand in the record of the
/// challenge, where nothing was cut.
pub(crate) async fn arguments(app: &Arc<App>, record: &ApprovalRecord) -> Result<Option<String>, Failure> {
    let place = Key::decision(&record.decision);
    let found = audit::record::right(app, record.decision).await?;
    let found = found.ok_or_else(|| Failure::internal(format_args!("decision {} is gone", record.decision)))?;
    let Some(text) = kept::read_text(app, &place, found.text).await? else { return Ok(None) };
    let mut decided: Value = serde_json::from_str(text.as_str()).map_err(Failure::internal)?;
    let arguments = decided["request"]["arguments"].take();
    let text = serde_json_canonicalizer::to_string(&arguments).map_err(Failure::internal)?;
    Ok(Some(visible(&text)))
}
