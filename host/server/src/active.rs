//! The policies in force, loaded: what the store says is in force, and what runs it.
//!
//! A decision takes one snapshot of them and names its version in the commit. If the set in the store
//! has moved by then, the commit fails and the decision is evaluated again, so nothing older than an
//! acknowledged change is ever committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_core::{PolicyId, PolicyLimits, PolicyMode, SelectorIndex, WithinBounds};
use attorn_engine::{Engine, LoadError, LoadRequest, LoadedPolicy};
use attorn_store::records::{
    ActiveMember, ActiveSetRecord, PolicyRecord, PolicySettings, PolicyVersionRecord, Record as _,
};
use attorn_store::{FileError, Key, KeyKind, KeyPrefix, Store};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

use crate::app::App;
use crate::http::failure::Failure;
use crate::loads::{LoadAsk, Place};
use crate::metrics::PolicyMetrics;
use crate::policies::COMPONENT_BYTES_MAX;

/// The most bytes of settings that stand in a file.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// How long a decision waits for a change that is being put in force.
const CHANGE_WAIT: Duration = Duration::from_secs(1);
/// How many versions that are not in force stay loaded, so that going back to one is instant, and how many
/// bytes of machine code and memories. What is loaded takes about twice that.
const KEPT_MAX: usize = 32;
const KEPT_BYTES_MAX: u64 = 256 << 20;
/// How many policies are read at a time.
const PAGE: usize = 500;
/// How much slower a policy may be where fuel is counted, and the most CPU time that it then has.
const METERED_FACTOR: u64 = 4;
const METERED_CPU_US_MAX: u64 = 250_000;

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
    /// What was counted of it since it was loaded.
    pub(crate) metrics: PolicyMetrics,
}

impl ActivePolicy {
    pub(crate) fn new(record: PolicyVersionRecord, loaded: Option<LoadedPolicy>) -> Self {
        Self { digest: record.digest().to_string(), record, loaded, metrics: PolicyMetrics::default() }
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

    fn about(&self, within: &WithinBounds<'_>) -> Vec<Arc<ActivePolicy>> {
        let places = self.index.matching(within.agent(), within.request(), within.user());
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
        self.enforcing.about(within)
    }

    /// The shadow policies that are asked about this request after its answer.
    pub(crate) fn shadows(&self, within: &WithinBounds<'_>) -> Vec<Arc<ActivePolicy>> {
        self.shadow.about(within)
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

/// What explains a policy: its load where fuel is counted, with time enough for that. It decides nothing.
pub(crate) async fn load_metered(
    app: &App,
    record: &PolicyVersionRecord,
    ask: &LoadAsk,
) -> Result<LoadedPolicy, Failure> {
    let place = app.loads.begin(ask, &record.policy, record.version, app.clock.now())?;
    let limits = record.limits;
    let cpu_us_max = limits.cpu_us_max.saturating_mul(METERED_FACTOR).min(METERED_CPU_US_MAX);
    let wall_us_max = limits.wall_us_max.saturating_mul(METERED_FACTOR).max(cpu_us_max);
    let limits = PolicyLimits { cpu_us_max, wall_us_max, ..limits };
    load(&app.store, &app.engine, record, (limits, true), Some(place)).await.map_err(not_loaded)
}

async fn at_start(store: &Store, engine: &Arc<Engine>, record: PolicyVersionRecord) -> ActivePolicy {
    match load(store, engine, &record, (record.limits, false), None).await {
        Ok(loaded) => ActivePolicy::new(record, Some(loaded)),
        Err(error) => {
            let (policy, version) = (&record.policy, record.version);
            tracing::error!(%policy, version, %error, "a policy in force cannot be loaded; what it is asked about is denied");
            ActivePolicy::new(record, None)
        }
    }
}

/// Load a version, off the async threads: compiling takes its time.
async fn load(
    store: &Store,
    engine: &Arc<Engine>,
    record: &PolicyVersionRecord,
    (limits, metered): (PolicyLimits, bool),
    place: Option<Place>,
) -> Result<LoadedPolicy, NotLoaded> {
    let component = store.files().read(record.component, COMPONENT_BYTES_MAX as u64).await?;
    load_read(store, engine, record, component, (limits, metered), place).await
}

/// The same for a component that was read.
async fn load_read(
    store: &Store,
    engine: &Arc<Engine>,
    record: &PolicyVersionRecord,
    component: Vec<u8>,
    (limits, metered): (PolicyLimits, bool),
    place: Option<Place>,
) -> Result<LoadedPolicy, NotLoaded> {
    let settings = match &record.settings {
        PolicySettings::Inline(text) => text.as_str().to_owned(),
        PolicySettings::File(digest) => {
            let bytes = store.files().read(*digest, SETTINGS_BYTES_MAX).await.map_err(NotLoaded::Settings)?;
            String::from_utf8(bytes).map_err(|error| NotLoaded::Server(error.to_string()))?
        }
    };
    let (engine, name) = (Arc::clone(engine), record.policy.clone());
    let load = move || {
        let (component, settings) = (&component[..], &settings[..]);
        let request = LoadRequest { name, component, settings, limits, metered, without_snapshot: false };
        // The place is taken for as long as this runs, whoever still waits for it.
        let watched = place.as_ref().map(|place| (place.progress.clone(), place.cancel.clone()));
        let (progress, cancel) = watched.unwrap_or_default();
        engine.load_watched(request, &progress, &cancel).map_err(NotLoaded::Refused)
    };
    tokio::task::spawn_blocking(load).await.map_err(|error| NotLoaded::Server(error.to_string()))?
}

/// Load a version that an operator pushes, whose component was just read.
pub(crate) async fn load_new(
    app: &App,
    record: PolicyVersionRecord,
    component: Vec<u8>,
    ask: &LoadAsk,
) -> Result<Arc<ActivePolicy>, Failure> {
    let place = app.loads.begin(ask, &record.policy, record.version, app.clock.now())?;
    let loaded = load_read(&app.store, &app.engine, &record, component, (record.limits, false), Some(place)).await;
    Ok(Arc::new(ActivePolicy::new(record, Some(loaded.map_err(not_loaded)?))))
}

/// Load a version that an operator activates, unless it is loaded. Also then its component has to be on
/// disk, whole: what is put in force has to survive a restart.
pub(crate) async fn load_checked(
    app: &App,
    record: PolicyVersionRecord,
    ask: &LoadAsk,
) -> Result<Arc<ActivePolicy>, Failure> {
    if let Some(kept) = app.active.kept(&record.policy, record.version) {
        let read = app.store.files().read(record.component, COMPONENT_BYTES_MAX as u64).await;
        return read.map(|_| kept).map_err(Failure::from);
    }
    let place = app.loads.begin(ask, &record.policy, record.version, app.clock.now())?;
    let loaded = load(&app.store, &app.engine, &record, (record.limits, false), Some(place)).await;
    let loaded = loaded.map_err(not_loaded)?;
    Ok(Arc::new(ActivePolicy::new(record, Some(loaded))))
}

fn not_loaded(error: NotLoaded) -> Failure {
    match error {
        NotLoaded::Server(why) => Failure::internal(why),
        NotLoaded::Component(error) => error.into(),
        NotLoaded::Settings(error @ (FileError::NotThere(_) | FileError::Altered(_))) => {
            Failure::of(ProblemCode::SettingsRejected, format!("the settings cannot be read: {error}"))
                .with_help("push them again: `attorn policy push` does")
        }
        NotLoaded::Settings(error) => Failure::caused(&error),
        NotLoaded::Refused(error @ LoadError::NotCompiled { .. }) => Failure::internal(error),
        NotLoaded::Refused(error @ LoadError::Cancelled) => Failure::of(ProblemCode::LoadCancelled, error.to_string()),
        NotLoaded::Refused(error) => {
            let code = if error.is_settings() { ProblemCode::SettingsRejected } else { ProblemCode::ComponentRejected };
            let failure = Failure::of(code, error.to_string());
            match error.help() {
                Some(help) => failure.with_help(help),
                None => failure,
            }
        }
    }
}

/// Why a version was not loaded.
#[derive(Debug, thiserror::Error)]
enum NotLoaded {
    /// The server could not run the loading.
    #[error("{0}")]
    Server(String),
    /// The component cannot be read.
    #[error("the component cannot be read: {0}")]
    Component(#[from] FileError),
    /// The settings, which stand in a file, cannot be read.
    #[error("the settings cannot be read: {0}")]
    Settings(FileError),
    /// The engine refuses it.
    #[error(transparent)]
    Refused(LoadError),
}
