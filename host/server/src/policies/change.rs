//! Changing what is in force: activate, deactivate, roll back, or several at once. Each is one commit
//! with an entry for every policy that changes, and is in force from that commit on: a decision that was
//! made under the old set cannot commit any more.
//!
//! Everything that can fail happens before the commit, and leaves the set as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::policies as api;
use attorn_core::{Duty, PolicyId};
use attorn_store::records::{PolicyRecord, PolicyRevocationRecord, PolicyVersionRecord, Record as _};
use attorn_store::{Batch, Key, Require};
use serde_json::json;

use super::{signatures, wire};
use crate::active::{ActivePolicy, ActiveSet, load_checked};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::loads::LoadAsk;
use crate::registry::{commit, count, moved, note};

/// The most policies in force.
const ACTIVE_MAX: usize = 4_096;
/// The most bytes of their machine code and memories. What is loaded takes about twice that.
const ACTIVE_BYTES_MAX: u64 = 1 << 30;
/// The most policies that one change is about.
const CHANGES_MAX: usize = 64;

/// What is to become of one policy.
enum Goal {
    /// This version is in force.
    Version(Arc<ActivePolicy>),
    /// No version is in force.
    Nothing,
}

/// Put a version in force.
pub(crate) async fn activate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (id, wire): (PolicyId, api::Activate) = (call.path("id")?, call.json()?);
    let wanted = Goal::Version(version(&app, &call, &id, wire.version).await?);
    change(&app, call.operator()?, BTreeMap::from([(id, wanted)]), false).await
}

/// Put a policy out of force.
pub(crate) async fn deactivate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    change(&app, call.operator()?, BTreeMap::from([(call.path("id")?, Goal::Nothing)]), false).await
}

/// Go back to a version that was in force before.
pub(crate) async fn roll_back(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (id, wire): (PolicyId, api::Rollback) = (call.path("id")?, call.json()?);
    let policy = app.store.record::<PolicyRecord>(&Key::policy(&id)).await?;
    let before = policy.ok_or_else(|| Failure::not_found("policy", &id))?.value.before;
    let to = match wire.to {
        None => before.last().copied(),
        Some(to) => before.contains(&to).then_some(to),
    };
    let to = to.ok_or_else(|| {
        let which = wire.to.map_or_else(|| "no version".into(), |to| format!("version {to}"));
        let detail = format!("{which} of policy `{id}` is known to have been in force before");
        Failure::of(ProblemCode::InvalidState, detail).with_help("put any version in force: `attorn policy activate`")
    })?;
    let wanted = Goal::Version(version(&app, &call, &id, to).await?);
    change(&app, call.operator()?, BTreeMap::from([(id, wanted)]), true).await
}

/// Change several policies at once.
pub(crate) async fn change_set(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::ChangeSet = call.json()?;
    count("policies in the change", wire.policies.len(), 1, CHANGES_MAX)?;
    let mut wanted = BTreeMap::new();
    for (id, number) in &wire.policies {
        let id: PolicyId = id.parse()?;
        let one = match number {
            Some(number) => Goal::Version(version(&app, &call, &id, *number).await?),
            None => Goal::Nothing,
        };
        wanted.insert(id, one);
    }
    change(&app, call.operator()?, wanted, false).await
}

pub(crate) async fn show(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Reply::ok(&wire::active_set(&app.active.snapshot().record))
}

/// A version, loaded. Compiling takes its time; nobody who has to take a policy out of force waits for it.
async fn version(app: &App, call: &Call, id: &PolicyId, version: u32) -> Result<Arc<ActivePolicy>, Failure> {
    let record = app.store.record::<PolicyVersionRecord>(&Key::policy_version(id, version)).await?;
    let record = record.ok_or_else(|| super::no_version(id, version))?.value;
    // Said before anything is compiled; what counts is what the commit names.
    let _ = signatures::may_come_into_force(&app.store, std::iter::once(&record)).await?;
    load_checked(app, record, &LoadAsk::of(call)?).await
}

async fn change(
    app: &App,
    operator: &OperatorCaller,
    wanted: BTreeMap<PolicyId, Goal>,
    rollback: bool,
) -> Result<Reply, Failure> {
    let change = app.active.change(&app.store, &app.engine).await?;
    let current = app.active.snapshot();
    let mut policies: Vec<_> =
        current.policies().iter().filter(|policy| !wanted.contains_key(&policy.record.policy)).cloned().collect();
    policies.extend(wanted.values().filter_map(|wanted| match wanted {
        Goal::Version(policy) => Some(Arc::clone(policy)),
        Goal::Nothing => None,
    }));
    if policies.len() > ACTIVE_MAX {
        return Err(Failure::of(ProblemCode::InvalidState, format!("{ACTIVE_MAX} policies in force are the most")));
    }
    let bytes: u64 = policies.iter().map(|policy| policy.bytes()).sum();
    // Whatever makes less of too much is let through.
    let bytes_now: u64 = current.policies().iter().map(|policy| policy.bytes()).sum();
    if bytes > ACTIVE_BYTES_MAX && bytes > bytes_now {
        let detail = format!(
            "the policies in force would have {bytes} bytes of machine code and memories, and {ACTIVE_BYTES_MAX} are the most"
        );
        return Err(Failure::of(ProblemCode::InvalidState, detail).with_help(
            "`attorn policy show` says how many a version has; take one out of force, or make one smaller",
        ));
    }
    let mut set = ActiveSet::new(current.record.revision + 1, policies)?;
    let mut batch = Batch::new(app.clock.now());
    let mut changes = Vec::new();
    for (id, wanted) in &wanted {
        changes.push(one(app, operator, &mut batch, (id, wanted), current.policy(id), (&set, rollback)).await?);
    }
    let come = wanted.values().filter_map(|wanted| match wanted {
        Goal::Version(policy) => Some(&policy.record),
        Goal::Nothing => None,
    });
    batch.require.extend(signatures::may_come_into_force(&app.store, come).await?);
    let require = if current.store_version == 0 { Require::Absent } else { Require::Version(current.store_version) };
    batch.require.push((Key::active_set(), require));
    batch.put_record(&set.record);
    let reply = Reply::ok(&api::SetChanged { active_set: wire::active_set(&set.record), changes })?;
    // INVARIANT: nothing that may fail stands between the commit and the swap.
    set.store_version = commit(app, batch, moved).await?.version;
    app.active.put(set, &change);
    Ok(reply)
}

/// What changes about one policy: its record, its entry, and the duty that it takes. Replacing a version
/// or taking it out of force can widen what agents may do, whatever else it does.
async fn one(
    app: &App,
    operator: &OperatorCaller,
    batch: &mut Batch,
    (id, wanted): (&PolicyId, &Goal),
    replaced: Option<&Arc<ActivePolicy>>,
    (set, rollback): (&ActiveSet, bool),
) -> Result<api::PolicyChanged, Failure> {
    let stored = app.store.record::<PolicyRecord>(&Key::policy(id)).await?;
    let stored = stored.ok_or_else(|| Failure::not_found("policy", id))?;
    let was = replaced.map(|policy| policy.record.version);
    let becomes = match wanted {
        Goal::Version(policy) => Some(policy),
        Goal::Nothing => None,
    };
    let version = becomes.map(|policy| policy.record.version);
    if let Some(version) = version {
        let key = Key::policy_revocation(id, version);
        if app.store.get(&key).await?.is_some() {
            let detail = format!("version {version} of policy `{id}` is revoked, and is never in force again");
            return Err(Failure::of(ProblemCode::InvalidState, detail).with_help("push a new version"));
        }
        batch.require.push((key, Require::Absent));
    }
    // One that could not be loaded at start may be put in force again.
    if was == version && replaced.is_none_or(|policy| policy.loaded.is_some()) {
        let detail = match version {
            Some(version) => format!("version {version} of policy `{id}` is in force already"),
            None => format!("no version of policy `{id}` is in force"),
        };
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    if let Some(was) = was
        && !operator.duties.contains(&Duty::PolicyWeakener)
    {
        let detail = format!("version {was} of policy `{id}` is in force, and to replace it can widen");
        return Err(Failure::of(ProblemCode::MissingDuty, detail).with_help("it needs the duty `policy_weakener` too"));
    }
    let kind = match (was, version) {
        (_, None) => EntryType::PolicyDeactivated,
        _ if rollback => EntryType::PolicyRolledBack,
        (None, Some(_)) => EntryType::PolicyActivated,
        (Some(_), Some(_)) => EntryType::PolicyReplaced,
    };
    let changed = match (replaced, becomes) {
        (Some(from), Some(to)) => differences(&from.record, &to.record),
        _ => Vec::new(),
    };
    let about = json!({
        "policy": id.as_str(),
        "version": version.or(was),
        "digest": becomes.or(replaced).map(|policy| policy.digest.as_str()),
        "replaced": version.and(was),
        "changed": changed,
        "signer": becomes.and_then(|policy| policy.record.signature.as_ref()).map(|signature| signature.signer.as_str()),
        "active_set": { "revision": set.record.revision, "digest": set.digest },
    });
    entry::act(batch, operator, kind, about)?;
    batch.require.push((Key::policy(id), Require::Version(stored.version)));
    let before = before(stored.value.before, was, version, rollback);
    batch.put_record(&PolicyRecord { in_force: version, before, ..stored.value });
    let digest = becomes.map(|policy| policy.digest.clone());
    Ok(api::PolicyChanged { policy: id.to_string(), version, digest, replaced: was })
}

/// The versions that were in force before. A rollback forgets the way that it goes back, so that rolling
/// back twice leads further and never to what was rolled back from.
fn before(mut before: Vec<u32>, was: Option<u32>, version: Option<u32>, rollback: bool) -> Vec<u32> {
    if rollback {
        let at = before.iter().rposition(|other| Some(*other) == version);
        before.truncate(at.unwrap_or(before.len()));
    } else if was != version {
        before.extend(was);
        before.dedup();
        let over = before.len().saturating_sub(PolicyRecord::BEFORE_MAX);
        before.drain(..over);
    }
    before
}

/// What of a policy differs between two versions.
fn differences(from: &PolicyVersionRecord, to: &PolicyVersionRecord) -> Vec<&'static str> {
    let differ = [
        ("component", from.component != to.component),
        ("settings", from.settings != to.settings),
        ("selector", from.selector != to.selector),
        ("mode", from.mode != to.mode),
        ("required", from.required != to.required),
        ("limits", from.limits != to.limits),
        ("class", from.class != to.class),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Revoke a version that is not in force: it never is again, and what it allowed ends now.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, attorn_api::delegations::Revoke) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    let id: PolicyId = call.path("id")?;
    let text = call.path_text("version");
    let version: u32 = text.parse().map_err(|_| {
        Failure::of(ProblemCode::InvalidField, format!("`{}` is no version of a policy", text.escape_default()))
    })?;
    let found = app.store.get(&Key::policy_version(&id, version)).await?;
    found.ok_or_else(|| Failure::not_found("policy version", format!("{id}/{version}")))?;
    let current = app.active.snapshot();
    if current.policy(&id).is_some_and(|policy| policy.record.version == version) {
        let detail = format!("version {version} of policy `{id}` is in force");
        return Err(Failure::of(ProblemCode::InvalidState, detail)
            .with_help("put another in force, or none; then revoke this one"));
    }
    let mut batch = Batch::new(app.clock.now());
    let about = json!({ "policy": id.as_str(), "version": version, "reason": wire.reason });
    entry::act(&mut batch, operator, EntryType::PolicyVersionRevoked, about)?;
    let require = if current.store_version == 0 { Require::Absent } else { Require::Version(current.store_version) };
    batch.require.push((Key::active_set(), require));
    let record = PolicyRevocationRecord { policy: id.clone(), version, at: batch.now };
    batch.require.push((record.key(), Require::Absent));
    batch.put_record(&record);
    let revoked = || {
        let detail = format!("version {version} of policy `{id}` is revoked already, or the set in force changed");
        Failure::of(ProblemCode::InvalidState, detail)
    };
    commit(&app, batch, revoked).await?;
    Reply::ok(&api::VersionRevoked { policy: id.to_string(), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_leads_back_and_never_to_what_was_rolled_back_from() {
        let mut now = None;
        let mut stack = Vec::new();
        let mut go = |version: Option<u32>, rollback: bool, expect: &[u32]| {
            stack = before(std::mem::take(&mut stack), now, version, rollback);
            now = version;
            assert_eq!(stack, expect, "{version:?} {rollback}");
        };
        go(Some(1), false, &[]);
        go(Some(2), false, &[1]);
        go(Some(3), false, &[1, 2]);
        go(Some(2), true, &[1]);
        go(Some(1), true, &[]);
        go(None, false, &[1]);
        go(Some(1), true, &[]);
        go(Some(4), false, &[1]);
        go(None, false, &[1, 4]);
        go(Some(5), false, &[1, 4]);
        for version in 6..40 {
            stack = before(std::mem::take(&mut stack), Some(version), Some(version + 1), false);
        }
        assert_eq!((stack.len(), stack.last()), (PolicyRecord::BEFORE_MAX, Some(&39)));
    }
}
