//! What is recorded of a decision: its entry in the audit log, its full record apart from it, its
//! grant, and what makes asking again the same. All of it is one batch.
// Long because: entry and record say the same things, and are read side by side.

use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_core::context::AuthenticationMethod;
use attorn_core::reason::HostReason;
use attorn_core::{
    Decision, DecisionId, DecisionReason, DelegationId, Denied, Digest, Evaluated, EvaluationContext, Grant, JsonText,
    Outcome, PolicyId, TimeMs, Verdict, WithinBounds,
};
use attorn_engine::Evaluation;
use attorn_store::records::{DecisionRecord, IdempotencyRecord, LeaseRecord, Record as _};
use attorn_store::{Add, Batch, Key, Require, digest_of};
use serde_json::{Value, json};

use super::answer;
use super::ask::{Ask, Through};
use super::charge::{self, Exceeded};
use super::digests;
use super::gather::Ground;
use super::in_record::{
    approval_in_record, bounds_in_record, charge_in_record, credential_in, delegation_in_record, engine_in_record,
    fact_in_record, known_in_record, limit_in_record, user_in_record,
};
use super::known::LookedUp;
use super::veil::{self, Veil};
use crate::active::ActivePolicy;
use crate::approvals::step::Part;
use crate::entry;
use crate::http::failure::Failure;
use crate::leases::place::Place;
use crate::random;
use crate::users::kept;

/// How long asking again with the same idempotency key is the same.
const IDEMPOTENCY_MS: u64 = 10 * 60 * 1000;
/// How many bytes of what policies wrote, log and failures, a decision record keeps over all of them.
const WRITTEN_BYTES_MAX: usize = 4 << 10;
/// The most bytes of a record with what policies wrote; without, it is always less.
pub(crate) const RECORD_BYTES_MAX: usize = 62 << 10;
/// What a line of a log takes beside its text.
const LINE_BYTES: usize = 32;
/// How many reasons an entry keeps.
pub(crate) const REASONS_MAX: usize = 64;

/// A decision, and how it came about.
pub(crate) struct Made {
    pub(crate) now: TimeMs,
    pub(crate) decision: Decision,
    /// The counter that had no room for what the policies allowed, if that is why it is a deny.
    pub(crate) limit: Option<Exceeded>,
    pub(crate) asked: Vec<AskedPolicy>,
    /// What the policies saw; none when a bound decided.
    pub(crate) context: Option<Arc<EvaluationContext>>,
    /// What was looked up for them, in the order of `asked`.
    pub(crate) looked_up: LookedUp,
    /// The configuration of the engine that ran them; none when a bound decided.
    pub(crate) engine: Option<Digest>,
    /// What was approved of it, and what it asks to be approved.
    pub(crate) approval: Part,
}

/// What is to be recorded of a decision.
pub(super) struct Recording {
    pub(super) batch: Batch,
    pub(super) grant: Option<Grant>,
    pub(super) lease: Option<LeaseRecord>,
}

/// One policy that was asked.
pub(crate) struct AskedPolicy {
    pub(crate) policy: Arc<ActivePolicy>,
    pub(crate) evaluated: Evaluated,
    /// None when it could not be run at all.
    pub(crate) evaluation: Option<Evaluation>,
}

impl Made {
    /// A decision before any policy.
    pub(crate) fn by_bounds(now: TimeMs, decision: Decision) -> Self {
        let (asked, looked_up) = (Vec::new(), LookedUp::default());
        let approval = Part::default();
        Self { now, decision, limit: None, asked, context: None, looked_up, engine: None, approval }
    }

    /// Deny, because this counter has no room for what the policies allowed.
    pub(super) fn deny_at(&mut self, limit: Exceeded) {
        self.decision = Decision::Deny(Denied::by_host(HostReason::LimitExceeded));
        self.limit = Some(limit);
        self.approval.denied();
    }
}

/// What the entry names the record by.
struct RecordDigests {
    /// Of its text.
    text: String,
    /// Of what is stored.
    stored: String,
}

/// One batch of all that is recorded, the grant that it records, and the lease that is to come of that.
pub(super) fn batch(
    ask: &Ask,
    (ground, veil): (&Ground, Veil<'_>),
    within: Option<&WithinBounds<'_>>,
    made: &Made,
    decision: DecisionId,
    place: Option<&Place>,
) -> Result<Recording, Failure> {
    let grant = match (&made.decision, within) {
        (Decision::Allow(allowed), Some(within)) => {
            let ids = (random::grant_id()?, decision);
            Some(Grant::of(allowed, within, ids, allowed_by(made), ground.signed_by.clone()))
        }
        _ => None,
    };
    let full = full_record(ask, (ground, veil), within, made)?;
    // The record holds a salt: whoever has it can show that it is this one, and nobody guesses it from here.
    let digest = blake3::hash(full.as_str().as_bytes()).to_hex().to_string();
    let whose = ground.chain.as_ref().map(|chain| (&chain.behalf.user.id, &*chain.key));
    let record = DecisionRecord { id: decision, text: kept::text(whose, &Key::decision(&decision), full)? };
    // Where it is sealed, everybody can still see that it is this one, also when its user was erased.
    let digests = RecordDigests { text: digest, stored: digest_of(&record.encode()) };
    let mut batch = Batch::new(made.now);
    batch.require.clone_from(&ground.require);
    batch.require.extend(made.looked_up.require.iter().cloned());
    if let Decision::Allow(allowed) = &made.decision {
        charge::add(&mut batch, allowed.charges());
    }
    batch.entries.push(entry_body(ask, (ground, veil), made, decision, grant.as_ref(), &digests)?);
    batch.put_record(&record);
    if let Some(grant) = &grant {
        let record = kept::grant(whose, grant)?;
        batch.put.push((Key::expiry(grant.expires_at, &Key::grant(&grant.id)), Vec::new()));
        batch.put_record(&record);
    }
    made.approval.put(&mut batch, decision);
    let lease = match (&grant, place) {
        (Some(grant), Some(place)) => Some(place.intend(grant, &mut batch)?),
        _ => None,
    };
    if let Some(through) = &ask.wanted.through {
        go_on(through, grant.as_ref(), &mut batch)?;
    }
    let challenged = matches!(made.decision, Decision::Challenge(_));
    if let (Some(idempotency), false) = (&ask.idempotency, challenged) {
        let expires_at = made.now.plus_ms(IDEMPOTENCY_MS);
        let place = Key::idempotency(&ask.agent, &idempotency.key_digest);
        let record = IdempotencyRecord {
            agent: ask.agent.clone(),
            key_digest: idempotency.key_digest,
            request_digest: idempotency.request_digest,
            decision,
            grant: grant.as_ref().map(|grant| grant.id),
            expires_at,
            answer: kept::text(whose, &place, answer::kept(ground, made, decision, grant.as_ref())?)?,
        };
        batch.put.push((Key::expiry(expires_at, &record.key()), Vec::new()));
        batch.put_record(&record);
    }
    Ok(Recording { batch, grant, lease })
}

/// The target as it was read, and the one use that is made of the grant: it is recorded before anything is sent.
fn go_on(through: &Through, grant: Option<&Grant>, batch: &mut Batch) -> Result<(), Failure> {
    batch.require.push((Key::target(&through.target), Require::Version(through.version)));
    let Some(grant) = grant else { return Ok(()) };
    let members = json!({ "grant": grant.id.to_string(), "decision_id": grant.decision.to_string(),
        "agent": grant.agent.as_str(), "resource_server": grant.resource_server.as_str(), "use_number": 1,
        "target": through.target.as_str(), "target_version": through.version });
    batch.entries.push(entry::body(batch.now, EntryType::GrantUsed, members)?);
    // It goes on once, however many uses the policies' terms have: nobody counts another of them.
    let uses = u64::from(grant.uses_max);
    batch.add.push(Add { key: Key::grant_uses(&grant.id), delta: grant.uses_max.into(), at_most: uses });
    Ok(())
}

/// The versions of policies that allowed.
fn allowed_by(made: &Made) -> Vec<(PolicyId, u32)> {
    let allows = |asked: &&AskedPolicy| matches!(asked.evaluated.outcome, Outcome::Verdict(Verdict::Allow { .. }));
    let version = |asked: &AskedPolicy| (asked.policy.record.policy.clone(), asked.policy.record.version);
    made.asked.iter().filter(allows).map(version).collect()
}

fn entry_body(
    ask: &Ask,
    (ground, veil): (&Ground, Veil<'_>),
    made: &Made,
    decision: DecisionId,
    grant: Option<&Grant>,
    digests: &RecordDigests,
) -> Result<attorn_log::EntryBody, Failure> {
    let (agent, request) = (ground.agent(), &ground.request);
    let instance = ground.holder.as_ref().map(|holder| holder.instance.as_str());
    let policies: Vec<Value> = made.asked.iter().map(policy_in_entry).collect();
    let grant = grant.map(|grant| {
        json!({
            "id": grant.id.to_string(),
            "resource_server": grant.resource_server.as_str(),
            "audience": grant.audience.as_str(),
            "expires_at_ms": grant.expires_at.0,
            "uses_max": grant.uses_max,
        })
    });
    let mut members = json!({
        "decision_id": decision.to_string(),
        "decision": kind(&made.decision),
        "reasons": reasons(&made.decision).iter().take(REASONS_MAX).map(reason_in_entry).collect::<Vec<_>>(),
        "agent": {
            "id": agent.id.as_str(),
            "owner": agent.owner.as_str(),
            "instance": instance,
            "key_thumbprint": ask.thumbprint.as_str(),
        },
        "on_behalf": ground.chain.as_ref().map(|chain| veil::behalf(&chain.behalf, &chain.key)),
        "delegation": ask.wanted.delegation.as_ref().map(DelegationId::as_str),
        "action": request.action.as_str(),
        "resource": veil.resource(&request.resource),
        "arguments_digest": veil.arguments_digest(request.arguments_digest),
        "purpose": request.purpose.as_str(),
        "session": request.session.as_ref().map(|session| veil.session(session)),
        "policies": policies,
        "active_set": {
            "revision": ground.active.record.revision,
            "digest": ground.active.digest,
        },
        "grant": grant,
        "approval": made.approval.said(ground.chain.as_ref()),
        "record_digest": digests.text,
        "stored_digest": digests.stored,
    });
    if let Some(credential) = &ground.credential {
        members["credential"] = credential_in(credential);
    }
    entry::body(made.now, EntryType::Decision, members)
}

pub(crate) fn policy_in_entry(asked: &AskedPolicy) -> Value {
    let record = &asked.policy.record;
    json!({
        "policy": record.policy.as_str(),
        "version": record.version,
        "digest": asked.policy.digest,
        "outcome": outcome(&asked.evaluated.outcome),
    })
}

pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Verdict(Verdict::Allow { .. }) => "allow".into(),
        Outcome::Verdict(Verdict::Challenge { .. }) => "challenge".into(),
        Outcome::Verdict(Verdict::Deny { .. }) => "deny".into(),
        Outcome::Verdict(Verdict::Abstain) => "abstain".into(),
        Outcome::Failed(failure) => format!("failed:{}", failure.as_str()),
    }
}

pub(crate) fn kind(decision: &Decision) -> &'static str {
    decision.seen().kind.as_str()
}

pub(crate) fn reasons(decision: &Decision) -> &[DecisionReason] {
    decision.seen().reasons
}

/// The reason as the log keeps it: its code, also where the agent is not shown it.
pub(crate) fn reason_in_entry(reason: &DecisionReason) -> Value {
    match reason {
        DecisionReason::Host(host) => json!({ "code": host.code() }),
        DecisionReason::Policy { policy, reason } => {
            json!({ "code": reason.code.as_str(), "policy": policy.as_str() })
        }
        DecisionReason::Failed { policy, failure } => {
            json!({ "code": "policy_failed", "policy": policy.as_str(), "failure": failure.as_str() })
        }
    }
}

/// All that the decision depended on and all that came of it, for whoever asks why. Bodies are
/// bounded, so it always fits its place.
fn full_record(
    ask: &Ask,
    (ground, veil): (&Ground, Veil<'_>),
    within: Option<&WithinBounds<'_>>,
    made: &Made,
) -> Result<JsonText, Failure> {
    let mut record = record_of(ask, (ground, veil), within, (made, WRITTEN_BYTES_MAX));
    record["salt"] = random::record_salt()?.into();
    let canonical = |record: &Value| serde_json_canonicalizer::to_string(record).map_err(Failure::internal);
    let mut text = canonical(&record)?;
    if text.len() > RECORD_BYTES_MAX {
        let salt = record["salt"].take();
        record = record_of(ask, (ground, veil), within, (made, 0));
        record["salt"] = salt;
        text = canonical(&record)?;
    }
    Ok(JsonText::from_canonical(text))
}

fn record_of(
    ask: &Ask,
    (ground, veil): (&Ground, Veil<'_>),
    within: Option<&WithinBounds<'_>>,
    (made, mut bytes_left): (&Made, usize),
) -> Value {
    let (agent, request, veil) = (ground.agent(), &ground.request, veil.in_record());
    let facts: Vec<Value> = made.looked_up.facts.iter().map(fact_in_record).collect();
    let policies = made.asked.iter().zip(&made.looked_up.known).map(|(asked, known)| {
        let mut policy = policy_in_record(asked, &mut bytes_left);
        let declared = asked.policy.loaded.as_ref().map_or(&[][..], |loaded| &loaded.requirements().counters);
        (policy["facts"], policy["counters"]) = known_in_record(known, declared, &made.looked_up);
        policy
    });
    let policies: Vec<Value> = policies.collect();
    let saw = made.context.as_ref().map(|context| digests::context(context, &made.looked_up.known).to_string());
    let labels: serde_json::Map<String, Value> =
        agent.labels.iter().map(|(name, value)| (name.to_string(), value.clone().into())).collect();
    // What no policy saw decided nothing, and whoever is denied before them cannot fill the disk with it.
    let shown = made.context.is_some();
    json!({
        "contract": attorn_engine::CONTRACT,
        "engine": made.engine.map(engine_in_record),
        "phase": "decide",
        "time_ms": made.now.0,
        "caller": {
            "method": method(ask.method),
            "key_thumbprint": ask.thumbprint.as_str(),
            "identity": ask.identity.as_ref().map(|identity| identity.subject.to_string()),
            "vouched_by_version": ask.identity.as_ref().map(|identity| identity.vouched_by.1),
        },
        "agent": {
            "id": agent.id.as_str(),
            "owner": agent.owner.as_str(),
            "instance": ground.holder.as_ref().map(|holder| holder.instance.as_str()),
            "labels": labels,
            "version": ground.agent.version,
        },
        "user": ground.chain.as_ref().map(|chain| user_in_record(&chain.behalf.user)),
        "delegations": ground.chain.iter().flat_map(|chain| chain.behalf.delegations()).map(delegation_in_record)
            .collect::<Vec<_>>(),
        "request": {
            "action": request.action.as_str(),
            "resource": veil.resource(&request.resource),
            "purpose": request.purpose.as_str(),
            "session": request.session.as_ref().map(|session| veil.session(session)),
            "arguments": shown.then(|| embedded(&request.arguments)),
            "arguments_digest": veil.arguments_digest(request.arguments_digest),
            "claims": shown.then(|| embedded(&request.claims)),
        },
        "credential": ground.credential.as_ref().map(credential_in),
        "approvals": made.context.iter().flat_map(|context| &context.approvals).map(approval_in_record)
            .collect::<Vec<_>>(),
        "approval": made.approval.said(ground.chain.as_ref()),
        "bounds": within.map(bounds_in_record),
        "policies_asked": shown,
        "context_digest": saw,
        "facts": facts,
        "policies": policies,
        "decision": kind(&made.decision),
        "decision_digest": digests::decision(made.decision.seen()).to_string(),
        "charges": made.decision.seen().charges.iter().map(charge_in_record).collect::<Vec<_>>(),
        "limit": made.limit.as_ref().map(limit_in_record),
    })
}

pub(crate) const fn method(method: AuthenticationMethod) -> &'static str {
    match method {
        AuthenticationMethod::Dpop => "dpop",
        AuthenticationMethod::Mtls => "mtls",
        AuthenticationMethod::PrivateKeyJwt => "private_key_jwt",
        AuthenticationMethod::EnforcementPoint => "enforcement_point",
    }
}

/// A canonical text as a part of another: it comes out as the same bytes.
pub(super) fn embedded(text: &JsonText) -> Value {
    serde_json::from_str(text.as_str()).unwrap_or(Value::Null)
}

fn policy_in_record(asked: &AskedPolicy, bytes_left: &mut usize) -> Value {
    let mut record = policy_in_entry(asked);
    record["outcome_digest"] = digests::outcome(&asked.evaluated.outcome).to_string().into();
    let Some(evaluation) = &asked.evaluation else { return record };
    let mut cut = evaluation.usage.log_dropped;
    // What counts is what stands in the record, where a control character takes six bytes.
    let mut fits = |text: &str| {
        let bytes = Value::from(text).to_string().len() + LINE_BYTES;
        let left = bytes_left.checked_sub(bytes);
        *bytes_left = left.unwrap_or(*bytes_left);
        cut |= left.is_none();
        left.is_some()
    };
    let detail = evaluation.failure_detail.as_deref().filter(|detail| fits(detail));
    let lines = evaluation.log.iter().filter(|line| fits(&line.message));
    record["log"] = lines.map(|line| json!({ "level": line.level.as_str(), "message": line.message })).collect();
    record["failure_detail"] = detail.into();
    record["log_cut"] = cut.into();
    record["cpu_us"] = evaluation.usage.cpu_us.into();
    record["wall_us"] = evaluation.usage.wall_us.into();
    record["memory_bytes"] = evaluation.usage.memory_bytes.into();
    record
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
