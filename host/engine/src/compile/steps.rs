//! The steps from a component's bytes to machine code. All that a hostile component can do to a compiler
//! it does here, so the server takes these steps in a process of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_artifact::Artifact;
use attorn_core::{Failure, PolicyLimits};
use wasmtime::component::{Component, Instance};

use super::incremental::Functions;
use super::snapshot::Instrumented;
use super::wire::{AboutWire, Activation};
use super::{Compiled, Job, Reuse};
use crate::load::{LoadError, LoadStep, check_resources, check_sizes, inspect};
use crate::policy::Description;
use crate::runtime;
use crate::sandbox::{Failed, Sandbox};
use crate::ticker;
use crate::v0_1::{self, Contract, raw};

/// What `init` may take where it runs once, in microseconds of CPU time.
const INIT_ONCE_CPU_US_MAX: u64 = 2_000_000;
/// The wall time of a trial run. It is generous: what is measured is CPU time, and nobody waits for a
/// decision.
pub(super) const TRIAL_WALL: Duration = Duration::from_secs(20);
/// How often `init` may try to stay within its share, since a first run pays for cold caches.
const INIT_TRIES: usize = 3;
/// How often what runs here is checked for its time.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Take all of them. `say` is told each before it is taken.
pub(super) fn compile(job: &Job<'_>, say: &mut dyn FnMut(LoadStep)) -> Result<Compiled, LoadError> {
    say(LoadStep::Parse);
    inspect(job.component)?;
    let functions =
        Arc::new(job.reuse.as_ref().map_or_else(Functions::default, |reuse| Functions::from_bytes(&reuse.functions)));
    let failed = |error: &wasmtime::Error| LoadError::new(LoadStep::Compile, format!("{error:#}"));
    let engine = runtime::compiling(job.metered, Arc::clone(&functions)).map_err(|error| failed(&error))?;
    ticker::start([&engine], TICK).map_err(|error| LoadError::new(LoadStep::Compile, error.to_string()))?;
    let bench = Bench { engine, job };
    let (mut instrumented, mut plain) = (None, None);
    let made = match bench.with_snapshot(&mut instrumented, say) {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(reason)) => bench.without_snapshot(reason, &mut plain, say),
        Err(error) => Err(error),
    };
    Ok(Compiled { made, reuse: Reuse { instrumented, plain, functions: functions.to_bytes() } })
}

/// What a component says of itself, whatever its settings. It is compiled and run in this process, which a hostile
/// component can then end: only for tools.
///
/// # Errors
///
/// When the component is not fit, up to the step `describe`.
pub fn describe_component(component: &[u8], limits: PolicyLimits) -> Result<Description, LoadError> {
    check_sizes(component, "")?;
    let described = described(component, limits, &mut |_| {})?;
    v0_1::description(described).map_err(|problem| LoadError::new(LoadStep::Describe, problem))
}

/// The same, not checked yet.
pub(super) fn described(
    component: &[u8],
    limits: PolicyLimits,
    say: &mut dyn FnMut(LoadStep),
) -> Result<raw::Description, LoadError> {
    say(LoadStep::Parse);
    inspect(component)?;
    let failed = |error: &dyn std::fmt::Display| LoadError::new(LoadStep::Compile, error.to_string());
    let engine = runtime::compiling(false, Arc::new(Functions::default())).map_err(|error| failed(&error))?;
    ticker::start([&engine], TICK).map_err(|error| failed(&error))?;
    let job = Job::of(component, limits);
    let bench = Bench { engine, job: &job };
    say(LoadStep::Compile);
    let contract = bench.linked(&bench.compiled(component)?)?;
    bench.describe(&contract, say)
}

/// Where one component is worked on.
struct Bench<'a> {
    engine: wasmtime::Engine,
    job: &'a Job<'a>,
}

impl Bench<'_> {
    /// Run `init` once and keep what comes of it. The inner error says why that cannot be done with a
    /// component that may be fit nevertheless. What can be used again stands in `kept`, whatever comes of it.
    fn with_snapshot(
        &self,
        kept: &mut Option<Artifact>,
        say: &mut dyn FnMut(LoadStep),
    ) -> Result<Result<(AboutWire, Artifact), String>, LoadError> {
        if self.job.without_snapshot {
            return Ok(Err("none was wanted".to_owned()));
        }
        let instrumented = match Instrumented::new(self.job.component) {
            Ok(instrumented) => instrumented,
            Err(reason) => return Ok(Err(reason)),
        };
        say(LoadStep::Compile);
        let earlier = self.job.reuse.as_ref().and_then(|reuse| reuse.instrumented.as_ref());
        let component = self.compiled_or(earlier, &instrumented.component)?;
        *kept = Some(match earlier {
            Some(artifact) => artifact.clone(),
            None => Artifact::of(&component).map_err(|error| compile_error(&error))?,
        });
        let contract = self.linked(&component)?;
        let description = self.describe(&contract, say)?;
        say(LoadStep::Init);
        let limits = PolicyLimits { cpu_us_max: INIT_ONCE_CPU_US_MAX, ..self.job.limits };
        let mut sandbox = Sandbox::new(contract.runtime(), &generous(&limits), Instant::now() + TRIAL_WALL);
        let initialised = guarded(LoadStep::Init, || init(&contract, &mut sandbox, self.job.settings))?;
        let (requirements, instance) = initialised
            .map_err(|failed| LoadError::failed(LoadStep::Init, &failed, &limits))?
            .map_err(|problem| LoadError::settings_rejected(&problem))?;
        let (cpu_us, expired) = sandbox.cpu_us();
        if expired {
            let late = Failed::new(Failure::Deadline, "it answered after its time was used up");
            return Err(LoadError::failed(LoadStep::Init, &late, &limits));
        }
        say(LoadStep::Snapshot);
        let snapshot = match instrumented.snapshot(&mut sandbox, instance) {
            Ok(snapshot) => snapshot,
            Err(reason) => return Ok(Err(reason)),
        };
        say(LoadStep::Compile);
        let artifact = guarded(LoadStep::Compile, || Artifact::compile(&self.engine, &snapshot))?;
        Ok(match artifact {
            Ok(artifact) => {
                let about = AboutWire::new(description, requirements, Activation::Snapshot, cpu_us);
                Ok((about, artifact))
            }
            Err(error) => Err(format!("its snapshot does not compile: {error:#}")),
        })
    }

    /// Leave the component as it is. As `init` will run before each evaluation, it must leave half of the
    /// time to `evaluate`.
    fn without_snapshot(
        &self,
        reason: String,
        kept: &mut Option<Artifact>,
        say: &mut dyn FnMut(LoadStep),
    ) -> Result<(AboutWire, Artifact), LoadError> {
        say(LoadStep::Compile);
        let earlier = self.job.reuse.as_ref().and_then(|reuse| reuse.plain.as_ref());
        let component = self.compiled_or(earlier, self.job.component)?;
        let contract = self.linked(&component)?;
        let description = self.describe(&contract, say)?;
        let artifact = Artifact::of(&component).map_err(|error| compile_error(&error))?;
        say(LoadStep::Init);
        let (requirements, cpu_us) = match self.init_each_time(&contract) {
            Ok(initialised) => initialised,
            Err(error) => {
                *kept = Some(artifact);
                return Err(error);
            }
        };
        Ok((AboutWire::new(description, requirements, Activation::InitEachTime { reason }, cpu_us), artifact))
    }

    /// The compiler is large and what it reads is hostile. A panic in it refuses the component.
    fn compiled(&self, component: &[u8]) -> Result<Component, LoadError> {
        guarded(LoadStep::Compile, || Component::new(&self.engine, component))?.map_err(|error| compile_error(&error))
    }

    /// The same, from machine code of it if that is there.
    fn compiled_or(&self, earlier: Option<&Artifact>, component: &[u8]) -> Result<Component, LoadError> {
        match earlier.and_then(|artifact| artifact.load(&self.engine).ok()) {
            Some(loaded) => Ok(loaded),
            None => self.compiled(component),
        }
    }

    fn linked(&self, component: &Component) -> Result<Contract, LoadError> {
        check_resources(component, &self.job.limits)?;
        guarded(LoadStep::Link, || Contract::new(component))?
            .map_err(|error| LoadError::new(LoadStep::Link, format!("{error:#}")))
    }

    fn describe(&self, contract: &Contract, say: &mut dyn FnMut(LoadStep)) -> Result<raw::Description, LoadError> {
        say(LoadStep::Describe);
        let described = trial(contract, &self.job.limits, describe);
        let (described, _) =
            described.map_err(|failed| LoadError::failed(LoadStep::Describe, &failed, &self.job.limits))?;
        Ok(described)
    }

    fn init_each_time(&self, contract: &Contract) -> Result<(raw::Requirements, u64), LoadError> {
        let limits = &self.job.limits;
        let cpu_us_share = limits.cpu_us_max / 2;
        let mut over = None;
        for _ in 0..INIT_TRIES {
            match trial(contract, limits, |contract, sandbox| init(contract, sandbox, self.job.settings)) {
                Ok((Err(problem), _)) => return Err(LoadError::settings_rejected(&problem)),
                Ok((Ok((requirements, _)), cpu_us)) if cpu_us <= cpu_us_share => return Ok((requirements, cpu_us)),
                Ok((Ok(_), cpu_us)) => over = Some(LoadError::init_time(cpu_us, limits)),
                Err(failed) if failed.failure == Failure::Deadline => {
                    over = Some(LoadError::failed(LoadStep::Init, &failed, limits));
                }
                Err(failed) => return Err(LoadError::failed(LoadStep::Init, &failed, limits)),
            }
        }
        Err(over.unwrap_or_else(|| LoadError::new(LoadStep::Init, "it was never run".to_owned())))
    }
}

pub(super) fn compile_error(error: &wasmtime::Error) -> LoadError {
    LoadError::new(LoadStep::Compile, format!("{error:#}"))
        .with_help("build for `wasm32-unknown-unknown`, without threads, exceptions, GC or 64-bit memories")
}

pub(crate) fn guarded<T>(step: LoadStep, run: impl FnOnce() -> T) -> Result<T, LoadError> {
    // A panic drops what the closure made; nothing else is touched by it.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| LoadError::new(step, "the runtime panicked".to_owned()))
}

/// What is measured is CPU time.
pub(super) const fn generous(limits: &PolicyLimits) -> PolicyLimits {
    PolicyLimits { wall_us_max: u64::MAX, ..*limits }
}

/// Something run in a sandbox of its own, and the CPU time it took in microseconds.
pub(crate) fn trial<T>(
    contract: &Contract,
    limits: &PolicyLimits,
    run: impl FnOnce(&Contract, &mut Sandbox) -> Result<T, Failed>,
) -> Result<(T, u64), Failed> {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut sandbox = Sandbox::new(contract.runtime(), &generous(limits), Instant::now() + TRIAL_WALL);
        let answer = run(contract, &mut sandbox);
        let (answer, usage, _) = sandbox.finish(answer);
        Ok((answer?, usage.cpu_us))
    }));
    tried.unwrap_or_else(|_| Err(Failed::new(Failure::NotRunnable, "the engine panicked")))
}

/// Run `describe`.
pub(crate) fn describe(contract: &Contract, sandbox: &mut Sandbox) -> Result<raw::Description, Failed> {
    let instance = contract.instantiate(&mut sandbox.store);
    let (instance, _) = instance.map_err(|error| sandbox.failed(&error, Failure::NotRunnable))?;
    let described = instance.describe(&mut sandbox.store);
    described.map_err(|error| sandbox.failed(&error, Failure::InvalidVerdict))
}

/// Run `init`, and give what it says and where it ran. The inner error is the policy's own.
fn init(
    contract: &Contract,
    sandbox: &mut Sandbox,
    settings: &str,
) -> Result<Result<(raw::Requirements, Instance), String>, Failed> {
    let instance = contract.instantiate(&mut sandbox.store);
    let (instance, handle) = instance.map_err(|error| sandbox.failed(&error, Failure::NotRunnable))?;
    let initialised = instance.init(&mut sandbox.store, settings);
    let initialised = initialised.map_err(|error| sandbox.failed(&error, Failure::InvalidVerdict))?;
    Ok(initialised.map(|requirements| (requirements, handle)))
}
