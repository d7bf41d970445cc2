//! What policies ask the host to look up: facts by name, counters by subject and window.
//!
//! Nothing is decided here, and nothing is written. Facts come with the versions that a commit has to name,
//! theirs and those of the resource servers that set them; counters have none, because the add of a debit
//! checks them.

use std::collections::BTreeMap;
use std::sync::Arc;

use attorn_core::context::{Approval, Counter, Delegation, Fact, User};
use attorn_core::verdict::ApprovalRequirement;
use attorn_core::{ApproverRole, EvaluationContext, FactName, JsonText, Known, Met, Permission, ResourceServerId};
use attorn_engine::CounterDeclaration;
use attorn_store::records::{FactBody, FactRecord, FactSource, ResourceServerRecord};
use attorn_store::{Key, Require, Versioned};

use crate::active::ActivePolicy;
use crate::app::App;
use crate::facts;
use crate::http::failure::Failure;

/// The most facts of one decision, the most resource servers that set them, and the most counters. A batch
/// has to name every fact and every such server, to add to every counter, and to note when each counter's
/// window ends; with what a decision writes besides, all of that fits [`attorn_store::BATCH_ITEMS_MAX`].
pub(super) const FACTS_MAX: usize = 256;
pub(super) const SERVERS_MAX: usize = 128;
pub(super) const COUNTERS_MAX: usize = 128;
/// How many bytes of a decision's record are for all but user, chain, arguments, claims, policies, facts and counters.
const REST_BYTES: usize = 12 << 10;
/// The most bytes that a policy takes in the record, and a counter with what is charged to it.
const POLICY_BYTES: usize = 512;
pub(super) const COUNTER_BYTES: usize = 512;
/// What a fact takes beside its name and value, what it takes more if anybody set it, and each mention of it
/// by a policy.
const FACT_BYTES: usize = 96;
const SET_BYTES: usize = 128;
const MENTION_BYTES: usize = 8;
/// What a user takes beside names, groups and claims, a group beside its name, a delegation beside its permissions, and
/// a permission beside its patterns.
const USER_BYTES: usize = 512;
const GROUP_BYTES: usize = 56;
const DELEGATION_BYTES: usize = 640;
const PERMISSION_BYTES: usize = 32;
/// The most bytes that an approval takes, and what the decision does about it for each of them, beside the name of a
/// group, which stands in both.
const APPROVAL_BYTES: usize = 336;

/// What was looked up for all policies of one decision.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    /// One for each policy, in their order. INVARIANT: no policy gets what another one asked for.
    pub(crate) known: Vec<Known>,
    /// All facts that were asked for, each once, by name.
    pub(crate) facts: BTreeMap<FactName, FoundFact>,
    /// The resource servers that set some of them, each once, and whether their word counts.
    pub(crate) servers: BTreeMap<ResourceServerId, bool>,
    /// What must still hold when the decision is committed.
    pub(crate) require: Vec<(Key, Require)>,
    /// How many bytes the record has left beside all of this, and beside what the decision rests on already.
    pub(crate) bytes_left: usize,
}

/// What stands under the name of a fact.
#[derive(Debug)]
pub(crate) struct FoundFact {
    /// What was set, and the version of that; none if nobody set anything.
    pub(crate) set: Option<Versioned<FactRecord>>,
    /// What it says, opened.
    pub(crate) body: Option<FactBody>,
    /// Why the policies see no value, if they see none.
    pub(crate) missing: Option<Missing>,
}

/// Why a fact counts as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nobody set it.
    NotSet,
    /// It has expired.
    Expired,
    /// The resource server that set it has been revoked.
    SourceRevoked,
    /// It is about a user who was erased.
    UserErased,
}

impl FoundFact {
    /// The value as the policies see it.
    pub(crate) fn value(&self) -> Option<&JsonText> {
        self.body.as_ref().filter(|_| self.missing.is_none()).map(|body| &body.value)
    }

    /// The most bytes that it takes in the record.
    pub(super) fn bytes(&self, name: &FactName) -> usize {
        let set = if self.set.is_some() { SET_BYTES } else { 0 };
        FACT_BYTES + set + name.as_str().len() + self.value().map_or(0, |value| value.as_str().len())
    }
}

impl Missing {
    /// How the record says it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotSet => "not_set",
            Self::Expired => "expired",
            Self::SourceRevoked => "source_revoked",
            Self::UserErased => "user_erased",
        }
    }
}

/// Facts and counters have no room in one decision. Nobody decides without all that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Look up what these policies ask for in this context.
pub(crate) async fn look_up(
    app: &App,
    policies: &[Arc<ActivePolicy>],
    context: &EvaluationContext,
    record_bytes_max: usize,
) -> Result<Result<LookedUp, TooMany>, Failure> {
    let Some(mut room) = Room::of(policies.len(), context, record_bytes_max) else { return Ok(Err(TooMany)) };
    let mut found = LookedUp::default();
    for policy in policies {
        let mut known = Known::default();
        let Some(requirements) = policy.loaded.as_ref().map(attorn_engine::LoadedPolicy::requirements) else {
            found.known.push(known);
            continue;
        };
        for template in &requirements.facts {
            let name = template.fill_in(context);
            let value = match &name {
                Some(name) => match fact(app, name, context, &mut found, &mut room).await? {
                    Ok(value) => value,
                    Err(too_many) => return Ok(Err(too_many)),
                },
                None => None,
            };
            known.facts.push(Fact { template: template.clone(), name, value });
        }
        for declared in &requirements.counters {
            if !room.counter() {
                return Ok(Err(TooMany));
            }
            known.counters.push(counter(app, policy, declared, context).await?);
        }
        if !room.bytes(known.facts.len() * MENTION_BYTES) {
            return Ok(Err(TooMany));
        }
        found.known.push(known);
    }
    found.bytes_left = room.bytes_left;
    Ok(Ok(found))
}

/// The value of a fact; it is read once for a decision, whoever asks for it.
async fn fact(
    app: &App,
    name: &FactName,
    context: &EvaluationContext,
    found: &mut LookedUp,
    room: &mut Room,
) -> Result<Result<Option<JsonText>, TooMany>, Failure> {
    if let Some(earlier) = found.facts.get(name) {
        return Ok(Ok(earlier.value().cloned()));
    }
    if found.facts.len() >= FACTS_MAX {
        return Ok(Err(TooMany));
    }
    let key = Key::fact(name);
    let set = app.store.record::<FactRecord>(&key).await?;
    let body = match &set {
        Some(set) => facts::body(app, &set.value).await?,
        None => None,
    };
    let missing = match &set {
        None => Some(Missing::NotSet),
        Some(_) if body.is_none() => Some(Missing::UserErased),
        Some(set) if !set.value.counts_at(context.time) => Some(Missing::Expired),
        // Nobody can say any more when it ends.
        Some(set) if set.value.expires_at.is_some() && app.clock.outlived(set.version) => Some(Missing::Expired),
        Some(set) => match word_counts(app, &set.value.set_by, found).await? {
            Ok(counts) => (!counts).then_some(Missing::SourceRevoked),
            Err(too_many) => return Ok(Err(too_many)),
        },
    };
    let fact = FoundFact { set, body, missing };
    if !room.bytes(fact.bytes(name)) {
        return Ok(Err(TooMany));
    }
    let version = fact.set.as_ref().map(|set| set.version);
    found.require.push((key, version.map_or(Require::Absent, Require::Version)));
    let value = fact.value().cloned();
    found.facts.insert(name.clone(), fact);
    Ok(Ok(value))
}

/// Whether what they say counts: a resource server's word does until it is revoked. Its record is read once
/// for a decision, and the commit names the version.
async fn word_counts(app: &App, source: &FactSource, found: &mut LookedUp) -> Result<Result<bool, TooMany>, Failure> {
    let FactSource::ResourceServer(server) = source else { return Ok(Ok(true)) };
    if let Some(counts) = found.servers.get(server) {
        return Ok(Ok(*counts));
    }
    if found.servers.len() >= SERVERS_MAX {
        return Ok(Err(TooMany));
    }
    let key = Key::resource_server(server);
    let record = app.store.record::<ResourceServerRecord>(&key).await?;
    let counts = record.as_ref().is_some_and(|record| record.value.revoked_at.is_none());
    found.require.push((key, record.map_or(Require::Absent, |record| Require::Version(record.version))));
    found.servers.insert(server.clone(), counts);
    Ok(Ok(counts))
}

/// A counter as it stands. One that counts for nobody here stands at 0, and a debit of it denies.
async fn counter(
    app: &App,
    policy: &ActivePolicy,
    declared: &CounterDeclaration,
    context: &EvaluationContext,
) -> Result<Counter, Failure> {
    let span = declared.window.around(context.time);
    let used = match declared.scope.subject(context) {
        Some(subject) => {
            let key = Key::counter(&policy.record.policy, &declared.name, &subject, declared.window, span.start);
            app.store.counter(&key).await?
        }
        None => 0,
    };
    Ok(Counter { name: declared.name.clone(), used, window_start: span.start, window_end: span.end })
}

/// The most bytes that a user takes in the record.
pub(super) fn user_bytes(user: &User) -> usize {
    let groups = user.groups.iter().map(|group| GROUP_BYTES + in_json(&group.name));
    USER_BYTES + user.acr.as_deref().map_or(0, in_json) + groups.sum::<usize>() + user.claims.as_str().len()
}

/// The most bytes that a delegation takes in the record. Patterns hold nothing that JSON escapes.
pub(super) fn delegation_bytes(hop: &Delegation) -> usize {
    let permission =
        |one: &Permission| PERMISSION_BYTES + one.action.to_string().len() + one.resource.to_string().len();
    DELEGATION_BYTES + hop.permissions.iter().map(permission).sum::<usize>()
}

/// The most bytes that an approval takes in the record.
pub(super) fn approval_bytes(approval: &Approval) -> usize {
    role_bytes(&approval.role)
}

fn role_bytes(role: &ApproverRole) -> usize {
    APPROVAL_BYTES + role.group().map_or(0, |name| 2 * in_json(name.as_str()))
}

/// Whether the record that has so much left has room for all approvals that are asked for, in place of those that it has.
/// Nobody is asked for what could not be decided when they have said yes.
pub(crate) fn has_room(bytes_left: usize, asked: &[ApprovalRequirement], met: &Met) -> bool {
    let needed =
        asked.iter().map(|one| role_bytes(&one.role).saturating_mul(one.count.try_into().unwrap_or(usize::MAX)));
    let needed = needed.fold(0_usize, usize::saturating_add);
    needed <= bytes_left.saturating_add(met.approvals().iter().map(approval_bytes).sum())
}

/// How many bytes a text has in JSON, its quotes among them.
fn in_json(text: &str) -> usize {
    serde_json::Value::from(text).to_string().len()
}

/// How much more the record of a decision can hold.
struct Room {
    bytes_left: usize,
    counters_left: usize,
}

impl Room {
    /// None if there is no room for what the decision rests on already.
    fn of(policies: usize, context: &EvaluationContext, record_bytes_max: usize) -> Option<Self> {
        let request = &context.request;
        let taken = REST_BYTES
            + request.arguments.as_str().len()
            + request.claims.as_str().len()
            + policies.saturating_mul(POLICY_BYTES)
            + context.user.as_ref().map_or(0, user_bytes)
            + context.approvals.iter().map(approval_bytes).sum::<usize>()
            + context.delegations.iter().map(delegation_bytes).sum::<usize>();
        record_bytes_max.checked_sub(taken).map(|bytes_left| Self { bytes_left, counters_left: COUNTERS_MAX })
    }

    fn bytes(&mut self, bytes: usize) -> bool {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or(0);
        left.is_some()
    }

    fn counter(&mut self) -> bool {
        let left = self.counters_left.checked_sub(1);
        self.counters_left = left.unwrap_or(0);
        left.is_some() && self.bytes(COUNTER_BYTES)
    }
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
