//! The policies in force, loaded: what the store says is in force, and what runs it.
//!
//! A decision takes one snapshot of them and names its version in the commit. If the set in the store
//! has moved by then, the commit fails and the decision is evaluated again, so nothing older than an
//! acknowledged change is ever committed.

mod load;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attorn_core::{Agent, EvaluationContext, PolicyId, PolicyMode, Request, SelectorIndex, UserPresence, WithinBounds};
use attorn_engine::{Engine, LoadedPolicy};
use attorn_store::records::{ActiveMember, ActiveSetRecord, PolicyRecord, PolicyVersionRecord, Record as _};
use attorn_store::{Key, KeyKind, KeyPrefix, Store};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

use crate::http::failure::Failure;
use crate::metrics::PolicyMetrics;
use load::load;
pub(crate) use load::{NotLoaded, SETTINGS_BYTES_MAX, load_checked, load_metered, load_new, load_patient};

/// How long a decision waits for a change that is being put in force.
const CHANGE_WAIT: Duration = Duration::from_secs(1);
/// How many versions that are not in force stay loaded, so that going back to one is instant, and how many
/// bytes of machine code and memories. What is loaded takes about twice that.
const KEPT_MAX: usize = 32;
const KEPT_BYTES_MAX: u64 = 256 << 20;
/// How many policies are read at a time.
const PAGE: usize = 500;

/// A snapshot of the policies in force.
#[derive(Debug)]
pub(crate) struct ActiveSet {
    /// What the store says.
    pub(crate) record: ActiveSetRecord,
    /// The digest of that record, as text: every entry names it.
    pub(crate) digest: String,
    /// The version of that record; 0 while there is none.
    pub(crate) store_version: u64,
    /// What runs it, by policy id.
    policies: Vec<Arc<ActivePolicy>>,
    enforcing: Indexed,
    shadow: Indexed,
}

/// Policies that are found by their selectors.
#[derive(Debug)]
struct Indexed {
    policies: Vec<Arc<ActivePolicy>>,
    index: SelectorIndex,
}

/// A policy in force.
#[derive(Debug)]
pub(crate) struct ActivePolicy {
    /// Its version's record.
    pub(crate) record: PolicyVersionRecord,
    /// The digest of that record, as text: every entry names it.
    pub(crate) digest: String,
    /// What runs it; none if it could not be loaded at start, which denies whatever it is asked about.
    pub(crate) loaded: Option<LoadedPolicy>,
    /// Why it could not be loaded at start, for operators.
    pub(crate) not_loaded: Option<String>,
    /// What was counted of it since it was loaded.
    pub(crate) metrics: PolicyMetrics,
}

impl ActivePolicy {
    pub(crate) fn new(record: PolicyVersionRecord, loaded: Option<LoadedPolicy>) -> Self {
        let digest = record.digest().to_string();
        Self { digest, record, loaded, not_loaded: None, metrics: PolicyMetrics::default() }
    }

    /// The bytes of its machine code and memories; none if it is not loaded.
    pub(crate) fn bytes(&self) -> u64 {
        self.loaded.as_ref().map_or(0, |loaded| loaded.report().machine_code_bytes)
    }

    fn is(&self, policy: &PolicyId, version: u32) -> bool {
        self.record.policy == *policy && self.record.version == version
    }
}

impl Indexed {
    fn of(policies: &[Arc<ActivePolicy>], mode: PolicyMode) -> Self {
        let policies: Vec<_> = policies.iter().filter(|policy| policy.record.mode == mode).cloned().collect();
        let index = SelectorIndex::new(policies.iter().map(|policy| policy.record.selector.clone()).collect());
        Self { policies, index }
    }

    fn about(&self, agent: &Agent, request: &Request, user: UserPresence) -> Vec<Arc<ActivePolicy>> {
        let places = self.index.matching(agent, request, user);
        places.into_iter().filter_map(|at| self.policies.get(at).cloned()).collect()
    }
}

impl ActiveSet {
    /// The set of these policies, which the store has not recorded yet.
    pub(crate) fn new(revision: u64, mut policies: Vec<Arc<ActivePolicy>>) -> Result<Self, Failure> {
        policies.sort_by(|a, b| a.record.policy.cmp(&b.record.policy));
        let member = |policy: &Arc<ActivePolicy>| {
            let (record, digest) = (&policy.record, policy.digest.parse().map_err(Failure::internal)?);
            Ok(ActiveMember { policy: record.policy.clone(), version: record.version, digest })
        };
        let members = policies.iter().map(member).collect::<Result<_, Failure>>()?;
        let record = ActiveSetRecord::of(revision, members).map_err(Failure::internal)?;
        Ok(Self {
            digest: record.digest.to_string(),
            record,
            store_version: 0,
            enforcing: Indexed::of(&policies, PolicyMode::Enforce),
            shadow: Indexed::of(&policies, PolicyMode::Shadow),
            policies,
        })
    }

    /// The policies that are asked about this request, and count.
    pub(crate) fn applicable(&self, within: &WithinBounds<'_>) -> Vec<Arc<ActivePolicy>> {
        self.enforcing.about(within.agent(), within.request(), within.user())
    }

    /// The policies that would count for what was recorded.
    pub(crate) fn about(&self, context: &EvaluationContext) -> Vec<Arc<ActivePolicy>> {
        let user = context.user.as_ref().map_or(UserPresence::WithoutUser, |_| UserPresence::WithUser);
        self.enforcing.about(&context.agent, &context.request, user)
    }

    /// The shadow policies that are asked about this request after its answer.
    pub(crate) fn shadows(&self, within: &WithinBounds<'_>) -> Vec<Arc<ActivePolicy>> {
        self.shadow.about(within.agent(), within.request(), within.user())
    }

    /// All policies in force, by id.
    pub(crate) fn policies(&self) -> &[Arc<ActivePolicy>] {
        &self.policies
    }

    /// The policy of this id, if it is in force.
    pub(crate) fn policy(&self, id: &PolicyId) -> Option<&Arc<ActivePolicy>> {
        let at = self.policies.binary_search_by(|policy| policy.record.policy.cmp(id)).ok()?;
        self.policies.get(at)
    }
}

/// The policies in force now.
#[derive(Debug)]
pub(crate) struct ActivePolicies {
    current: watch::Sender<Arc<ActiveSet>>,
    changing: RwLock<()>,
    /// Versions that were loaded and are not in force, the oldest first.
    kept: Mutex<VecDeque<Arc<ActivePolicy>>>,
}

/// The right to change the set: one at a time has it.
pub(crate) struct Change<'a>(#[expect(dead_code, reason = "it is held, not read")] RwLockWriteGuard<'a, ()>);

impl ActivePolicies {
    /// Load what the store says is in force.
    pub(crate) async fn load(store: &Store, engine: &Arc<Engine>) -> Result<Self, Failure> {
        let current = watch::Sender::new(Arc::new(read(store, engine, &[]).await?));
        Ok(Self { current, changing: RwLock::new(()), kept: Mutex::default() })
    }

    /// The set as it is now.
    pub(crate) fn snapshot(&self) -> Arc<ActiveSet> {
        Arc::clone(&self.current.borrow())
    }

    /// Wait until the set is at least as new as what the store has.
    pub(crate) async fn catch_up(&self, store: &Store, engine: &Arc<Engine>) -> Result<(), Failure> {
        let stored = store.record::<ActiveSetRecord>(&Key::active_set()).await?.map_or(0, |set| set.version);
        let mut changes = self.current.subscribe();
        let wait = changes.wait_for(|set| set.store_version >= stored);
        if tokio::time::timeout(CHANGE_WAIT, wait).await.is_err() {
            self.change(store, engine).await?;
        }
        Ok(())
    }

    /// The right to change the set. Whoever had it last may have recorded a set and broken off before it
    /// was put in force; then it is put in force here.
    pub(crate) async fn change(&self, store: &Store, engine: &Arc<Engine>) -> Result<Change<'_>, Failure> {
        let change = Change(self.changing.write().await);
        let stored = store.record::<ActiveSetRecord>(&Key::active_set()).await?.map_or(0, |set| set.version);
        let current = self.snapshot();
        if current.store_version < stored {
            tracing::error!("a recorded set of policies was not put in force; it is now");
            self.put(read(store, engine, current.policies()).await?, &change);
        }
        Ok(change)
    }

    /// Keep the set as it is while this is held. For whoever would otherwise never come to an end because
    /// the set keeps moving.
    pub(crate) async fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().await
    }

    /// Put a set in force that the store has recorded. What is not in force any more stays loaded for a
    /// while.
    pub(crate) fn put(&self, set: ActiveSet, _change: &Change<'_>) {
        let gone: Vec<_> = self.snapshot().policies().to_vec();
        for policy in gone.iter().filter(|policy| {
            set.policy(&policy.record.policy).is_none_or(|now| now.record.version != policy.record.version)
        }) {
            self.keep(Arc::clone(policy));
        }
        self.current.send_replace(Arc::new(set));
    }

    /// Keep a loaded version, so that putting it in force is instant.
    pub(crate) fn keep(&self, policy: Arc<ActivePolicy>) {
        if policy.loaded.is_none() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| !other.is(&policy.record.policy, policy.record.version));
        kept.push_back(policy);
        while kept.len() > KEPT_MAX || kept.iter().map(|kept| kept.bytes()).sum::<u64>() > KEPT_BYTES_MAX {
            kept.pop_front();
        }
    }

    /// A version that is loaded and not in force, if it is kept.
    pub(crate) fn kept(&self, policy: &PolicyId, version: u32) -> Option<Arc<ActivePolicy>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|kept| kept.is(policy, version)).cloned()
    }
}

/// Read the set in force, and load what is not among `loaded` already.
async fn read(store: &Store, engine: &Arc<Engine>, loaded: &[Arc<ActivePolicy>]) -> Result<ActiveSet, Failure> {
    let stored = store.record::<ActiveSetRecord>(&Key::active_set()).await?;
    let (expect, store_version) = stored.map_or((None, 0), |stored| (Some(stored.value), stored.version));
    let loaded: BTreeMap<_, _> =
        loaded.iter().map(|policy| ((policy.record.policy.clone(), policy.record.version), policy)).collect();
    let mut policies = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::Policy), after.as_ref(), PAGE).await?;
        for (key, stored) in &page.items {
            let PolicyRecord { id, in_force, .. } =
                PolicyRecord::decode(key, &stored.value).map_err(|error| Failure::caused(&error))?;
            let Some(version) = in_force else { continue };
            if let Some(policy) = loaded.get(&(id.clone(), version)) {
                policies.push(Arc::clone(policy));
                continue;
            }
            let key = Key::policy_version(&id, version);
            let record = store.record::<PolicyVersionRecord>(&key).await?;
            let record = record.ok_or_else(|| Failure::internal(format_args!("{key} is in force and not stored")))?;
            policies.push(Arc::new(at_start(store, engine, record.value).await));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut set = ActiveSet::new(expect.map_or(0, |set| set.revision), policies)?;
    // INVARIANT: what runs is what was recorded as a whole, or the server does not start.
    if expect.is_some_and(|expect| expect != set.record) || (expect.is_none() && set.record.policies > 0) {
        return Err(Failure::internal("the policies in force are not those whose digest the active set has"));
    }
    set.store_version = store_version;
    Ok(set)
}

async fn at_start(store: &Store, engine: &Arc<Engine>, record: PolicyVersionRecord) -> ActivePolicy {
    match load(store, engine, &record, (record.limits, false), None).await {
        Ok(loaded) => ActivePolicy::new(record, Some(loaded)),
        Err(error) => {
            let (policy, version) = (&record.policy, record.version);
            tracing::error!(%policy, version, %error, "a policy in force cannot be loaded; what it is asked about is denied");
            ActivePolicy { not_loaded: Some(error.said()), ..ActivePolicy::new(record, None) }
        }
    }
}
