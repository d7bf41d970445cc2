//! Making a version of a policy ready: its component and settings are read, and the engine loads them.
//!
//! What is in force is not decided here.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::PolicyLimits;
use attorn_engine::{Engine, LoadError, LoadRequest, LoadedPolicy};
use attorn_store::records::{PolicySettings, PolicyVersionRecord};
use attorn_store::{FileError, Store};

use super::ActivePolicy;
use crate::app::App;
use crate::http::failure::Failure;
use crate::loads::{LoadAsk, Place};
use crate::policies::COMPONENT_BYTES_MAX;

/// The most bytes of settings that stand in a file.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// How much slower a policy may be where it explains or replays, and the most CPU time that it then has.
const PATIENT_FACTOR: u64 = 4;
const PATIENT_CPU_US_MAX: u64 = 250_000;

/// What explains a policy: its load where fuel is counted, with time enough for that. It decides nothing.
pub(crate) async fn load_metered(
    app: &App,
    record: &PolicyVersionRecord,
    ask: &LoadAsk,
) -> Result<LoadedPolicy, Failure> {
    let place = app.loads.begin(ask, &record.policy, record.version, app.clock.now())?;
    load(&app.store, &app.engine, record, (patient(record.limits), true), Some(place)).await.map_err(not_loaded)
}

/// What replays decisions: the machine code that decides, with more time, since a machine is not always equally fast.
/// It decides nothing.
pub(crate) async fn load_patient(
    app: &App,
    record: &PolicyVersionRecord,
    ask: &LoadAsk,
) -> Result<Result<LoadedPolicy, NotLoaded>, Failure> {
    let place = app.loads.begin(ask, &record.policy, record.version, app.clock.now())?;
    match load(&app.store, &app.engine, record, (patient(record.limits), false), Some(place)).await {
        Err(error) if !error.is_gone() => Err(not_loaded(error)),
        loaded => Ok(loaded),
    }
}

/// The same limits with more time.
fn patient(limits: PolicyLimits) -> PolicyLimits {
    let cpu_us_max = limits.cpu_us_max.saturating_mul(PATIENT_FACTOR).min(PATIENT_CPU_US_MAX);
    let wall_us_max = limits.wall_us_max.saturating_mul(PATIENT_FACTOR).max(cpu_us_max);
    PolicyLimits { cpu_us_max, wall_us_max, ..limits }
}

/// Load a version, off the async threads: compiling takes its time.
pub(super) async fn load(
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
pub(crate) enum NotLoaded {
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

impl NotLoaded {
    /// Why, for operators: what went wrong with the server itself is for its log.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Server(_) => "the server could not load it, and its log says why".to_owned(),
            other => other.to_string(),
        }
    }

    /// Whether what is needed is not there any more, or cannot be used here. Anything else may pass.
    fn is_gone(&self) -> bool {
        match self {
            Self::Component(error) | Self::Settings(error) => {
                matches!(error, FileError::NotThere(_) | FileError::Altered(_) | FileError::TooLarge { .. })
            }
            Self::Refused(error) => !matches!(error, LoadError::NotCompiled { .. } | LoadError::Cancelled),
            Self::Server(_) => false,
        }
    }
}
