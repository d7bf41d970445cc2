//! From a component's bytes and its settings to a policy that can be evaluated.
//!
//! Each step is named, so that an error says how far the component got. Nothing of what a component
//! says about itself is believed before it was checked.

mod error;
mod inspect;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use attorn_core::{Digest, Failure, PolicyId, PolicyLimits};
use wasmtime::component::Component;

pub use error::{LoadError, LoadStep};

use crate::config::EngineConfig;
use crate::policy::{Description, Loaded, LoadedPolicy, Requirements};
use crate::sandbox::{Failed, Sandbox};
use crate::v0_1::{self, Contract};

/// The most bytes of a component.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;
/// The most bytes of settings.
pub const SETTINGS_BYTES_MAX: usize = 1 << 20;

/// The wall time of a trial run. It is generous: what is measured is CPU time, and nobody waits for a
/// decision.
const TRIAL_WALL: Duration = Duration::from_secs(2);
/// How often `init` may try to stay within its share, since a first run pays for cold caches.
const INIT_TRIES: usize = 3;
const WASM_PAGE_BYTES: u64 = 65_536;

/// Load a policy.
pub(crate) fn load(
    runtime: &wasmtime::Engine,
    config: &EngineConfig,
    name: PolicyId,
    bytes: &[u8],
    settings: &str,
    limits: PolicyLimits,
) -> Result<LoadedPolicy, LoadError> {
    check_limits(&limits, config)?;
    check_sizes(bytes, settings)?;
    inspect::inspect(bytes)?;
    let component = compile(runtime, bytes)?;
    check_resources(&component, &limits)?;
    let contract = guarded(LoadStep::Link, || Contract::new(&component))?
        .map_err(|error| LoadError::new(LoadStep::Link, format!("{error:#}")))?;
    let description = describe(&contract, &limits)?;
    let requirements = init(&contract, settings, &limits)?;
    let component = Digest::from_bytes(*blake3::hash(bytes).as_bytes());
    let settings = settings.into();
    Ok(LoadedPolicy::new(Loaded { name, component, settings, limits, description, requirements, contract }))
}

fn check_limits(limits: &PolicyLimits, config: &EngineConfig) -> Result<(), LoadError> {
    let in_range = [
        ("cpu_us_max", limits.cpu_us_max, 1, config.request_wall_us_max),
        ("wall_us_max", limits.wall_us_max, limits.cpu_us_max, u64::MAX),
        ("memory_bytes_max", limits.memory_bytes_max, 1, config.instance_memory_bytes_max),
        ("table_elements_max", limits.table_elements_max, 0, config.instance_table_elements_max),
        ("output_bytes_max", limits.output_bytes_max, 1, config.instance_memory_bytes_max),
        ("log_bytes_max", limits.log_bytes_max, 0, config.instance_memory_bytes_max),
    ];
    match in_range.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
        None => Ok(()),
        Some((limit, value, min, max)) => {
            Err(LoadError::new(LoadStep::Limits, format!("`{limit}` is {value}, and {min} to {max} is possible here")))
        }
    }
}

fn check_sizes(bytes: &[u8], settings: &str) -> Result<(), LoadError> {
    for (what, size, max) in
        [("the component", bytes.len(), COMPONENT_BYTES_MAX), ("the settings", settings.len(), SETTINGS_BYTES_MAX)]
    {
        if size > max {
            return Err(LoadError::new(LoadStep::Size, format!("{what} has {size} bytes, and {max} is the most")));
        }
    }
    Ok(())
}

/// The compiler is large and what it reads is hostile. A panic in it refuses the component.
fn compile(runtime: &wasmtime::Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    guarded(LoadStep::Compile, || Component::new(runtime, bytes))?.map_err(|error| {
        LoadError::new(LoadStep::Compile, format!("{error:#}"))
            .with_help("build for `wasm32-unknown-unknown`, without threads, exceptions, GC or 64-bit memories")
    })
}

fn guarded<T>(step: LoadStep, run: impl FnOnce() -> T) -> Result<T, LoadError> {
    // A panic drops what the closure made; nothing else is touched by it.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| LoadError::new(step, "the runtime panicked".to_owned()))
}

/// What the component needs before it runs a single instruction.
fn check_resources(component: &Component, limits: &PolicyLimits) -> Result<(), LoadError> {
    let refused = |problem: String| Err(LoadError::new(LoadStep::Resources, problem));
    let Some(needed) = component.resources_required() else {
        return refused("it imports modules, so what it needs cannot be known".into());
    };
    let memory_bytes = needed.max_initial_memory_size.unwrap_or(0).saturating_mul(WASM_PAGE_BYTES);
    if memory_bytes > limits.memory_bytes_max {
        let max = limits.memory_bytes_max;
        let error = LoadError::new(
            LoadStep::Resources,
            format!("a memory begins with {memory_bytes} bytes, and {max} is the most"),
        );
        return Err(error.with_help("link with a smaller stack, such as `-z stack-size=65536`, or raise the limit"));
    }
    let elements = needed.max_initial_table_size.unwrap_or(0);
    if elements > limits.table_elements_max {
        let max = limits.table_elements_max;
        return refused(format!("a table begins with {elements} elements, and {max} is the most"));
    }
    Ok(())
}

fn describe(contract: &Contract, limits: &PolicyLimits) -> Result<Description, LoadError> {
    let described = trial(contract, limits, |sandbox| {
        let instance = contract.instantiate(&mut sandbox.store);
        let instance = instance.map_err(|error| sandbox.failed(&error, Failure::NotRunnable))?;
        let described = instance.describe(&mut sandbox.store);
        described.map_err(|error| sandbox.failed(&error, Failure::InvalidVerdict))
    });
    let (described, _) = described.map_err(|failed| LoadError::failed(LoadStep::Describe, &failed, limits))?;
    v0_1::description(described).map_err(|problem| LoadError::new(LoadStep::Describe, problem))
}

/// Run `init`. As it runs again before each evaluation, it must leave half of the time to `evaluate`.
fn init(contract: &Contract, settings: &str, limits: &PolicyLimits) -> Result<Requirements, LoadError> {
    let cpu_us_share = limits.cpu_us_max / 2;
    let mut over = None;
    for _ in 0..INIT_TRIES {
        let tried = trial(contract, limits, |sandbox| {
            let instance = contract.instantiate(&mut sandbox.store);
            let instance = instance.map_err(|error| sandbox.failed(&error, Failure::NotRunnable))?;
            let initialised = instance.init(&mut sandbox.store, settings);
            initialised.map_err(|error| sandbox.failed(&error, Failure::InvalidVerdict))
        });
        match tried {
            Ok((Err(problem), _)) => return Err(LoadError::settings_rejected(&problem)),
            Ok((Ok(raw), cpu_us)) if cpu_us <= cpu_us_share => {
                return v0_1::requirements(raw).map_err(|problem| LoadError::new(LoadStep::Requirements, problem));
            }
            Ok((Ok(_), cpu_us)) => {
                let problem = format!("`init` took {cpu_us} us of CPU time, and {cpu_us_share} is the most");
                let error = LoadError::new(LoadStep::InitTime, problem);
                over = Some(error.with_help("`init` runs before each evaluation and may use half of its CPU time"));
            }
            Err(failed) if failed.failure == Failure::Deadline => {
                over = Some(LoadError::failed(LoadStep::Init, &failed, limits));
            }
            Err(failed) => return Err(LoadError::failed(LoadStep::Init, &failed, limits)),
        }
    }
    Err(over.unwrap_or_else(|| LoadError::new(LoadStep::Init, "it was never run".to_owned())))
}

/// Something run in a sandbox of its own, and the CPU time it took in microseconds.
fn trial<T>(
    contract: &Contract,
    limits: &PolicyLimits,
    run: impl FnOnce(&mut Sandbox) -> Result<T, Failed>,
) -> Result<(T, u64), Failed> {
    let generous = PolicyLimits { wall_us_max: u64::MAX, ..*limits };
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut sandbox = Sandbox::new(contract.runtime(), &generous, Instant::now() + TRIAL_WALL);
        let answer = run(&mut sandbox);
        let (answer, usage, _) = sandbox.finish(answer);
        Ok((answer?, usage.cpu_us))
    }));
    tried.unwrap_or_else(|_| Err(Failed::new(Failure::NotRunnable, "the engine panicked")))
}
