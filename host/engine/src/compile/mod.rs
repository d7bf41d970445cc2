//! From a component's bytes and its settings to machine code: compiled here or by a worker, and kept.
//!
//! Nothing is executed here for a decision, and what comes out is checked once more where it is loaded.

mod incremental;
mod leftovers;
mod snapshot;
mod started;
mod steps;
mod wire;
mod worker;

use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use attorn_artifact::{Artifact, ArtifactName, Cache, Cancel, Pin, Progress, Worker, WorkerError};
use attorn_core::PolicyLimits;

pub(crate) use incremental::Functions;
pub use leftovers::Leftovers;
pub use started::{Start, started};
pub use steps::describe_component;
pub(crate) use steps::{describe, guarded, trial};
pub use wire::Activation;
pub use worker::{describe_component_apart, serve_compile_worker};

use crate::load::{LoadError, LoadRequest, LoadStep};
use crate::runtime::compatibility;
use crate::v0_1::{self, raw};
use wire::AboutWire;

/// Where components are compiled, and where what comes of it is kept.
#[derive(Debug, Default)]
pub struct Compiler {
    /// The worker that does it; without one it is done in this process, which a hostile component can
    /// then end. Only for tools and tests.
    pub worker: Option<Worker>,
    /// What was compiled before. Without one, everything is compiled at each start.
    pub cache: Option<Cache>,
    /// What is left of the components that were compiled last. Without it, and without a cache, a component is compiled
    /// anew for each of its settings.
    pub leftovers: Option<Leftovers>,
}

/// How often whoever waits to compile looks whether it is their turn, or nobody wants it any more.
const TURN_LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many bytes of machine code and memories any component may come to, and how many more for each of its
/// own bytes and those of its settings. What is loaded takes that much twice, and a few bytes that stand far
/// apart in a memory come to all that is between.
const ARTIFACT_BYTES_MIN: u64 = 32 << 20;
const ARTIFACT_BYTES_FACTOR: u64 = 6;

fn artifact_bytes_max(job: &Job<'_>) -> u64 {
    let bytes = (job.component.len() + job.settings.len()) as u64;
    ARTIFACT_BYTES_MIN.saturating_add(bytes.saturating_mul(ARTIFACT_BYTES_FACTOR))
}

/// What is to be compiled.
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    pub(crate) component: &'a [u8],
    pub(crate) settings: &'a str,
    pub(crate) limits: PolicyLimits,
    /// Whether what it does is counted, in units of fuel. That makes it slower.
    pub(crate) metered: bool,
    /// Whether `init` runs before each evaluation even where a snapshot could be taken.
    pub(crate) without_snapshot: bool,
    reuse: Option<Arc<Reuse>>,
}

/// What compiling a component leaves for compiling it again with other settings.
#[derive(Debug, Clone)]
struct Reuse {
    instrumented: Option<Artifact>,
    /// Of the component as it came, for starting it so.
    plain: Option<Artifact>,
    functions: Vec<u8>,
}

struct Compiled {
    /// The machine code, and what the policy said of itself; or why it cannot be loaded, although it compiles.
    made: Result<(AboutWire, Artifact), LoadError>,
    reuse: Reuse,
}

/// Machine code, and what the policy said of itself when it was made.
pub(crate) struct Ready {
    about: AboutWire,
    pub(crate) artifact: Artifact,
    /// Whether it was compiled before.
    pub(crate) from_cache: bool,
    /// Keeps it in the cache for as long as it is loaded.
    pub(crate) pin: Option<Pin>,
}

impl Ready {
    pub(crate) fn description(&self) -> raw::Description {
        self.about.description()
    }

    pub(crate) fn requirements(&self) -> Option<raw::Requirements> {
        self.about.requirements()
    }

    pub(crate) const fn activation(&self) -> &Activation {
        &self.about.activation
    }

    pub(crate) const fn init_cpu_us(&self) -> u64 {
        self.about.init_cpu_us
    }
}

impl<'a> Job<'a> {
    pub(crate) const fn new(request: &LoadRequest<'a>) -> Self {
        let LoadRequest { component, settings, limits, metered, without_snapshot, .. } = *request;
        Self { component, settings, limits, metered, without_snapshot, reuse: None }
    }

    /// For looking at the component alone.
    const fn of(component: &'a [u8], limits: PolicyLimits) -> Self {
        Self { component, settings: "", limits, metered: false, without_snapshot: true, reuse: None }
    }

    /// All that the machine code depends on, apart from the settings.
    fn component_parts(&self) -> [Vec<u8>; 3] {
        let digest = blake3::hash(self.component).as_bytes().to_vec();
        [digest, compatibility(self.metered).to_vec(), v0_1::VERSION.as_bytes().to_vec()]
    }

    fn policy_name(&self) -> ArtifactName {
        let [digest, compatibility, version] = self.component_parts();
        let parts = [&digest, &compatibility, &version, self.settings.as_bytes(), &[u8::from(self.without_snapshot)]];
        ArtifactName::of("attorn policy artifact v1", &parts)
    }

    /// What is left now, with what was left before of what this time nobody needed.
    fn with_earlier(&self, reuse: Reuse) -> Reuse {
        let Reuse { instrumented, plain, functions } = reuse;
        let earlier = |of: fn(&Reuse) -> &Option<Artifact>| self.reuse.as_ref().and_then(|earlier| of(earlier).clone());
        Reuse {
            instrumented: instrumented.or_else(|| earlier(|reuse| &reuse.instrumented)),
            plain: plain.or_else(|| earlier(|reuse| &reuse.plain)),
            functions,
        }
    }

    fn component_name(&self) -> ArtifactName {
        let parts = self.component_parts();
        ArtifactName::of("attorn component artifact v1", &[&parts[0], &parts[1], &parts[2]])
    }
}

impl Compiler {
    /// Machine code for this job, from the cache if it is there. One at a time compiles, which `turn` sees
    /// to, so that compiling never takes all cores from decisions; what is in the cache waits for nobody.
    pub(crate) fn make(
        &self,
        mut job: Job<'_>,
        turn: &Mutex<()>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Ready, LoadError> {
        if let Some(ready) = self.cached(&job) {
            return Ok(ready);
        }
        progress.set(LoadStep::Turn.as_str());
        let _turn = loop {
            if cancel.is_cancelled() {
                return Err(LoadError::Cancelled);
            }
            match turn.try_lock() {
                Ok(turn) => break turn,
                Err(TryLockError::Poisoned(turn)) => break turn.into_inner(),
                Err(TryLockError::WouldBlock) => thread::sleep(TURN_LOOK_EVERY),
            }
        };
        if let Some(ready) = self.cached(&job) {
            return Ok(ready);
        }
        job.reuse = self.reusable(&job);
        let Compiled { made, reuse } = match &self.worker {
            None => steps::compile(&job, &mut |step| progress.set(step.as_str()))?,
            Some(worker) => worker::ask(worker, &job, progress, cancel)?,
        };
        let mut reuse = job.with_earlier(reuse);
        if let Some(leftovers) = &self.leftovers {
            if let Ok((AboutWire { activation: Activation::InitEachTime { .. }, .. }, artifact)) = &made {
                reuse.plain = Some(artifact.clone());
            }
            leftovers.put(job.component_name(), Arc::new(reuse.clone()));
        }
        let (about, artifact) = made?;
        let bytes_max = artifact_bytes_max(&job);
        let bytes = artifact.as_bytes().len() as u64;
        if bytes > bytes_max {
            return Err(LoadError::new(
                LoadStep::Compile,
                format!("machine code and memories have {bytes} bytes, and {bytes_max} is the most for a component of this size"),
            )
            .with_help("let `init` fill less memory, and place data close together"));
        }
        let pin = self.pin(&job);
        self.keep(&job, &about, &artifact, &reuse);
        Ok(Ready { about, artifact, from_cache: false, pin })
    }

    fn pin(&self, job: &Job<'_>) -> Option<Pin> {
        self.cache.as_ref().map(|cache| cache.pin(job.policy_name()))
    }

    fn cached(&self, job: &Job<'_>) -> Option<Ready> {
        let pin = self.pin(job);
        let found = self.cache.as_ref()?.get(&job.policy_name())?;
        let about = serde_json::from_slice(found.part(0)?).ok()?;
        Some(Ready { about, artifact: found.artifact(1)?, from_cache: true, pin })
    }

    fn reusable(&self, job: &Job<'_>) -> Option<Arc<Reuse>> {
        if let Some(left) = self.leftovers.as_ref().and_then(|leftovers| leftovers.get(&job.component_name())) {
            return Some(left);
        }
        let found = self.cache.as_ref()?.get(&job.component_name())?;
        let functions = found.part(0)?.to_vec();
        Some(Arc::new(Reuse { functions, instrumented: found.artifact(1), plain: None }))
    }

    fn keep(&self, job: &Job<'_>, about: &AboutWire, artifact: &Artifact, reuse: &Reuse) {
        let Some(cache) = &self.cache else { return };
        let Ok(about) = serde_json::to_vec(about) else { return };
        cache.put(&job.policy_name(), &[&about, artifact.as_bytes()]);
        let Reuse { instrumented, functions, .. } = reuse;
        let known = |of: &Reuse| of.functions == *functions && of.instrumented.is_some() == instrumented.is_some();
        if job.reuse.as_deref().is_some_and(known) {
            return;
        }
        match instrumented {
            Some(instrumented) => cache.put(&job.component_name(), &[functions, instrumented.as_bytes()]),
            None => cache.put(&job.component_name(), &[functions]),
        }
    }
}

/// Why a worker gave no answer: the component was too much for it, or nobody looked at the component.
fn refused(error: &WorkerError) -> LoadError {
    match error {
        WorkerError::Wall(_) | WorkerError::Cpu(_) | WorkerError::Memory(_) => {
            LoadError::new(LoadStep::Compile, error.to_string())
                .with_help("make the component smaller: fewer and shorter functions")
        }
        WorkerError::Died { .. } | WorkerError::Answer(_) => LoadError::new(LoadStep::Compile, error.to_string())
            .with_help("if something else ended it, such as a lack of memory, try again"),
        WorkerError::Io(_) => LoadError::not_compiled(error),
        WorkerError::Cancelled => LoadError::Cancelled,
    }
}
