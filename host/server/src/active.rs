//! The policies in force, loaded: what the store says is in force, and what runs it.
//!
//! A decision takes one snapshot of them and names its version in the commit. If the set in the store
//! has moved by then, the commit fails and the decision is evaluated again, so nothing older than an
//! acknowledged change is ever committed.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_core::{Agent, PolicyId, Request};
use attorn_engine::{Engine, LoadError, LoadedPolicy};
use attorn_store::records::{ActiveSetRecord, PolicySettings, PolicyVersionRecord};
use attorn_store::{FileError, Key, Store};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::app::App;
use crate::http::failure::Failure;
use crate::policies::COMPONENT_BYTES_MAX;

/// The most bytes of settings that stand in a file.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// How long a decision waits for a change that is being put in force.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

/// A snapshot of the policies in force.
#[derive(Debug)]
pub(crate) struct ActiveSet {
    /// What the store says.
    pub(crate) record: ActiveSetRecord,
    /// The digest of that record, as text: every entry names it.
    pub(crate) digest: String,
    /// The version of that record; 0 while there is none.
    pub(crate) store_version: u64,
    /// What runs it, in the order of the record.
    pub(crate) policies: Vec<Arc<ActivePolicy>>,
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
}

impl ActivePolicy {
    pub(crate) fn new(record: PolicyVersionRecord, loaded: Option<LoadedPolicy>) -> Self {
        Self { digest: record.digest().to_string(), record, loaded }
    }
}

impl ActiveSet {
    pub(crate) fn new(record: ActiveSetRecord, store_version: u64, policies: Vec<Arc<ActivePolicy>>) -> Self {
        Self { digest: record.digest().to_string(), record, store_version, policies }
    }

    /// The policies that are asked about this request.
    pub(crate) fn applicable(&self, agent: &Agent, request: &Request) -> Vec<Arc<ActivePolicy>> {
        self.policies.iter().filter(|policy| policy.record.selector.matches(agent, request)).cloned().collect()
    }

    /// The policy of this id, if it is in force.
    pub(crate) fn policy(&self, id: &PolicyId) -> Option<&Arc<ActivePolicy>> {
        self.policies.iter().find(|policy| policy.record.policy == *id)
    }
}

/// The policies in force now.
#[derive(Debug)]
pub(crate) struct ActivePolicies {
    current: watch::Sender<Arc<ActiveSet>>,
    changing: Mutex<()>,
}

impl ActivePolicies {
    /// Load what the store says is in force.
    pub(crate) async fn load(store: &Store, engine: &Arc<Engine>) -> Result<Self, Failure> {
        let stored = store.record::<ActiveSetRecord>(&Key::active_set()).await?;
        let (record, store_version) = match stored {
            Some(stored) => (stored.value, stored.version),
            None => (ActiveSetRecord::new(0, Vec::new()).map_err(Failure::internal)?, 0),
        };
        let mut policies = Vec::new();
        for member in record.members() {
            let key = Key::policy_version(&member.policy, member.version);
            let version = store.record::<PolicyVersionRecord>(&key).await?;
            let version = version.ok_or_else(|| Failure::internal(format_args!("{key} is in force and not stored")))?;
            policies.push(Arc::new(Self::at_start(store, engine, version.value).await));
        }
        let current = watch::Sender::new(Arc::new(ActiveSet::new(record, store_version, policies)));
        Ok(Self { current, changing: Mutex::new(()) })
    }

    async fn at_start(store: &Store, engine: &Arc<Engine>, record: PolicyVersionRecord) -> ActivePolicy {
        match load(store, engine, &record).await {
            Ok(loaded) => ActivePolicy::new(record, Some(loaded)),
            Err(error) => {
                let (policy, version) = (&record.policy, record.version);
                tracing::error!(%policy, version, %error, "a policy in force cannot be loaded; what it is asked about is denied");
                ActivePolicy::new(record, None)
            }
        }
    }

    /// The set as it is now.
    pub(crate) fn snapshot(&self) -> Arc<ActiveSet> {
        Arc::clone(&self.current.borrow())
    }

    /// Wait until the set is at least as new as what the store has.
    pub(crate) async fn catch_up(&self, store: &Store) -> Result<(), Failure> {
        let stored = store.record::<ActiveSetRecord>(&Key::active_set()).await?.map_or(0, |set| set.version);
        let mut changes = self.current.subscribe();
        let wait = changes.wait_for(|set| set.store_version >= stored);
        // Whether it came or not, the next commit finds out.
        let _ = tokio::time::timeout(CHANGE_WAIT, wait).await;
        Ok(())
    }

    /// One change of the set at a time.
    pub(crate) async fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Put a set in force that the store has recorded.
    pub(crate) fn put(&self, set: ActiveSet, _change: &MutexGuard<'_, ()>) {
        self.current.send_replace(Arc::new(set));
    }
}

/// Load a version, off the async threads: compiling takes its time.
async fn load(store: &Store, engine: &Arc<Engine>, record: &PolicyVersionRecord) -> Result<LoadedPolicy, NotLoaded> {
    let component = store.files().read(record.component, COMPONENT_BYTES_MAX as u64).await?;
    let settings = match &record.settings {
        PolicySettings::Inline(text) => text.as_str().to_owned(),
        PolicySettings::File(digest) => {
            let bytes = store.files().read(*digest, SETTINGS_BYTES_MAX).await?;
            String::from_utf8(bytes).map_err(|error| NotLoaded::Server(error.to_string()))?
        }
    };
    let (engine, policy, limits) = (Arc::clone(engine), record.policy.clone(), record.limits);
    let load = move || engine.load(policy, &component, &settings, limits).map_err(NotLoaded::Refused);
    tokio::task::spawn_blocking(load).await.map_err(|error| NotLoaded::Server(error.to_string()))?
}

/// Load a version that an operator pushes or activates.
pub(crate) async fn load_checked(app: &App, record: &PolicyVersionRecord) -> Result<LoadedPolicy, Failure> {
    load(&app.store, &app.engine, record).await.map_err(|error| match error {
        NotLoaded::Server(why) => Failure::internal(why),
        NotLoaded::Read(FileError::NotThere(digest)) => {
            Failure::not_found("component", digest).with_help("put it first: `attorn policy push` does")
        }
        NotLoaded::Read(error) => Failure::internal(error),
        NotLoaded::Refused(error) => {
            let code = if error.is_settings() { ProblemCode::SettingsRejected } else { ProblemCode::ComponentRejected };
            let failure = Failure::of(code, error.to_string());
            match error.help() {
                Some(help) => failure.with_help(help),
                None => failure,
            }
        }
    })
}

/// Why a version was not loaded.
#[derive(Debug, thiserror::Error)]
enum NotLoaded {
    /// The server could not run the loading.
    #[error("{0}")]
    Server(String),
    /// The component or the settings cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The engine refuses it.
    #[error(transparent)]
    Refused(LoadError),
}
