//! From a component's bytes and its settings to a policy that can be evaluated.
//!
//! Each step is named, so that an error says how far the component got. Nothing of what a component
//! says about itself is believed before it was checked. What is hostile to a compiler is kept away from
//! this process: see [`crate::compile`].

mod error;
mod inspect;

use std::sync::{Mutex, PoisonError};

use attorn_artifact::{Artifact, Cancel, Progress};
use attorn_core::{ComponentClass, Digest, PolicyId, PolicyLimits};
use wasmtime::component::Component;

pub use error::{LoadError, LoadStep};
pub use inspect::check_component;
pub use inspect::class_of;
pub(crate) use inspect::inspect;

use crate::classes::Runtimes;
use crate::compile::{Activation, Compiler, Job, describe, guarded, trial};
use crate::config::{EngineConfig, MEMORIES_PER_COMPONENT_MAX};
use crate::policy::{LoadReport, Loaded, LoadedPolicy};
use crate::runtime::TABLES_PER_COMPONENT_MAX;
use crate::threads::Threads;
use crate::v0_1::{self, Contract};

/// The most bytes of a component.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;
/// The most bytes of settings.
pub const SETTINGS_BYTES_MAX: usize = 1 << 20;

const WASM_PAGE_BYTES: u64 = 65_536;

/// A policy to be made ready.
#[derive(Debug, Clone)]
pub struct LoadRequest<'a> {
    /// Its id.
    pub name: PolicyId,
    /// The component's bytes.
    pub component: &'a [u8],
    /// Its settings, one JSON text, which the caller has put into canonical form (RFC 8785).
    pub settings: &'a str,
    /// What one evaluation may use.
    pub limits: PolicyLimits,
    /// Whether what it does is counted in units of fuel: the same on every machine, and slower. For
    /// explaining, never for deciding.
    pub metered: bool,
    /// Whether `init` runs before each evaluation even where a snapshot could be taken. Outcomes are the
    /// same, and slower: for comparing the two.
    pub without_snapshot: bool,
}

/// Where policies are loaded.
pub(crate) struct Loader<'a> {
    pub(crate) runtimes: &'a Runtimes,
    pub(crate) compiler: &'a Compiler,
    pub(crate) config: &'a EngineConfig,
    /// Held by whoever compiles: one at a time, so that compiling never takes all cores from decisions.
    pub(crate) compiling: &'a Mutex<()>,
    /// Held by whoever tries a policy where decisions run: one at a time, so that no trial takes a memory
    /// that a decision needs.
    pub(crate) trying: &'a Mutex<()>,
}

/// Load a policy.
pub(crate) fn load(
    loader: &Loader<'_>,
    request: LoadRequest<'_>,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<LoadedPolicy, LoadError> {
    let Loader { runtimes, compiler, config, compiling, trying } = *loader;
    let job = Job::new(&request);
    let LoadRequest { name, component: bytes, settings, limits, metered, .. } = request;
    check_limits(&limits, config)?;
    check_sizes(bytes, settings)?;
    inspect(bytes)?;
    let ready = compiler.make(job, compiling, progress, cancel)?;
    progress.set(LoadStep::SelfTest.as_str());
    if let Activation::InitEachTime { .. } = ready.activation() {
        let cpu_us = ready.init_cpu_us();
        if cpu_us > limits.cpu_us_max / 2 {
            return Err(LoadError::init_time(cpu_us, &limits));
        }
    }
    let description =
        v0_1::description(ready.description()).map_err(|problem| LoadError::new(LoadStep::Describe, problem))?;
    let unknown = || LoadError::new(LoadStep::Requirements, "they hold what there is none of".to_owned());
    let requirements = v0_1::requirements(ready.requirements().ok_or_else(unknown)?)
        .map_err(|problem| LoadError::new(LoadStep::Requirements, problem))?;
    let (class, contract) = place(runtimes, &ready.artifact, &limits, metered)?;
    {
        let _trying = trying.lock().unwrap_or_else(PoisonError::into_inner);
        self_test(&contract, &limits)?;
    }
    if cancel.is_cancelled() {
        return Err(LoadError::Cancelled);
    }
    let report = LoadReport {
        activation: ready.activation().clone(),
        from_cache: ready.from_cache,
        pool: class,
        init_cpu_us: ready.init_cpu_us(),
        machine_code_bytes: ready.artifact.as_bytes().len() as u64,
    };
    let component = Digest::from_bytes(*blake3::hash(bytes).as_bytes());
    let settings = settings.into();
    let pin = ready.pin;
    Ok(LoadedPolicy::new(Loaded {
        name,
        component,
        settings,
        limits,
        description,
        requirements,
        contract,
        report,
        threads: Threads::default(),
        pin,
    }))
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

pub(crate) fn check_sizes(bytes: &[u8], settings: &str) -> Result<(), LoadError> {
    for (what, size, max) in
        [("the component", bytes.len(), COMPONENT_BYTES_MAX), ("the settings", settings.len(), SETTINGS_BYTES_MAX)]
    {
        if size > max {
            return Err(LoadError::new(LoadStep::Size, format!("{what} has {size} bytes, and {max} is the most")));
        }
    }
    Ok(())
}

/// What the component needs before it runs a single instruction.
pub(crate) fn check_resources(component: &Component, limits: &PolicyLimits) -> Result<(), LoadError> {
    let refused = |problem: String| Err(LoadError::new(LoadStep::Resources, problem));
    let Some(needed) = component.resources_required() else {
        return refused("it imports modules, so what it needs cannot be known".into());
    };
    for (what, count, max) in [
        ("memories", needed.num_memories, MEMORIES_PER_COMPONENT_MAX),
        ("tables", needed.num_tables, TABLES_PER_COMPONENT_MAX),
    ] {
        if count > max {
            return refused(format!("it has {count} {what}, and {max} is the most"));
        }
    }
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

/// Load the machine code where it fits: into the smallest pool that has room for what its limits allow,
/// or else where each evaluation maps memories of its own.
fn place(
    runtimes: &Runtimes,
    artifact: &Artifact,
    limits: &PolicyLimits,
    metered: bool,
) -> Result<(Option<ComponentClass>, Contract), LoadError> {
    let loaded = |runtime: &wasmtime::Engine| guarded(LoadStep::Resources, || artifact.load(runtime));
    if !metered {
        for (class, runtime) in runtimes.with_room(limits.memory_bytes_max) {
            // A pool says itself what does not fit: too many memories, tables or instances.
            if let Ok(component) = loaded(runtime)? {
                return Ok((Some(class), linked(&component, limits)?));
            }
        }
    }
    let runtime = if metered { runtimes.metered() } else { runtimes.on_demand() };
    let component =
        loaded(runtime)?.map_err(|error| LoadError::new(LoadStep::Resources, format!("it fits nowhere: {error:#}")))?;
    Ok((None, linked(&component, limits)?))
}

fn linked(component: &Component, limits: &PolicyLimits) -> Result<Contract, LoadError> {
    check_resources(component, limits)?;
    guarded(LoadStep::Link, || Contract::new(component))?
        .map_err(|error| LoadError::new(LoadStep::Link, format!("{error:#}")))
}

/// It can be instantiated where it will run, and called.
fn self_test(contract: &Contract, limits: &PolicyLimits) -> Result<(), LoadError> {
    let tested = trial(contract, limits, describe);
    tested.map(drop).map_err(|failed| LoadError::failed(LoadStep::SelfTest, &failed, limits))
}
