//! The WebAssembly runtime, configured: which features there are, and where memories come from.
//!
//! Features are an allow-list. What a compiler for a policy needs is in; everything else is out,
//! including all that a new version of the runtime turns on by itself.

use std::hash::{Hash as _, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use attorn_core::Digest;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails, WasmFeatures,
};

use crate::compile::Functions;
use crate::config::{EngineConfig, EngineError, MEMORIES_PER_COMPONENT_MAX};
use crate::swap;

/// The version of wasmtime that this is built with.
pub const WASMTIME_VERSION: &str = "48.0.8";
/// How many core instances a component may consist of.
pub(crate) const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 64;
/// How many tables a component may have.
pub(crate) const TABLES_PER_COMPONENT_MAX: u32 = 8;
/// The stack that a policy may use.
const STACK_BYTES_MAX: usize = 512 << 10;
/// The most of one memory that stays resident between evaluations.
const MEMORY_RESIDENT_BYTES_MAX: u64 = 16 << 20;
/// The same of one table.
const TABLE_RESIDENT_BYTES_MAX: usize = 64 << 10;
/// The largest image of a memory that is mapped and not copied.
const IMAGE_BYTES_MAX: u64 = 64 << 20;
/// How many frames of a trap's backtrace are kept.
const BACKTRACE_FRAMES_MAX: usize = 8;

/// Multiple memories are in because the runtime's own adapters between the parts of a component use
/// them: without, composing two components that pass strings is a panic in the compiler. A module of a
/// policy still has one at most, by the pool's limit.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::COMPONENT_MODEL);

/// How an engine was set up on its host, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The version of the WebAssembly runtime.
    pub wasmtime_version: &'static str,
    /// How memories are made clean for the next evaluation.
    pub memory_reset: MemoryReset,
    /// Why it is done that way.
    pub reason: String,
    /// Threads that evaluate.
    pub evaluator_threads: usize,
}

impl EngineInfo {
    /// Whether memories come from a pool.
    #[must_use]
    pub const fn pooling(&self) -> bool {
        !matches!(self.memory_reset, MemoryReset::OnDemand)
    }

    /// Whether only the pages that an evaluation wrote are cleaned.
    #[must_use]
    pub const fn pagemap_scan(&self) -> bool {
        matches!(self.memory_reset, MemoryReset::PagemapScan { .. })
    }
}

/// How memories are made clean, from the fastest to the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryReset {
    /// A pool; the pages that were written are found and cleaned in place.
    PagemapScan {
        /// How much of one memory is cleaned in place; what is beyond is given back to the host.
        resident_bytes_max: u64,
    },
    /// A pool; all pages are given back to the host.
    Discard,
    /// No pool: each evaluation maps memories of its own.
    OnDemand,
}

/// The runtime, and how it came to be as it is. Whoever runs something in it has to see that it ticks.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) info: EngineInfo,
    /// How large a memory can become here.
    pub(crate) memory_bytes_max: u64,
}

impl Runtime {
    pub(crate) fn start(config: &EngineConfig) -> Result<Self, EngineError> {
        let (reset, reason) = reset_for_host(config);
        let (engine, memory_reset, reason) = match wasmtime::Engine::new(&wasmtime_config(config, reset)) {
            Ok(engine) => (engine, reset, reason),
            Err(error) => {
                let reason = format!("the pool cannot be made: {error:#}");
                tracing::warn!(reason, "each evaluation maps memories of its own, which is slow");
                let engine = wasmtime::Engine::new(&wasmtime_config(config, MemoryReset::OnDemand))
                    .map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
                (engine, MemoryReset::OnDemand, reason)
            }
        };
        Ok(Self::of(engine, config, memory_reset, reason))
    }

    /// One where each evaluation maps memories of its own. If it is metered, what is done is counted.
    pub(crate) fn on_demand(config: &EngineConfig, metered: bool) -> Result<Self, EngineError> {
        let engine =
            wasmtime::Engine::new(&compiled_as(metered)).map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        Ok(Self::of(engine, config, MemoryReset::OnDemand, "this is for what fits no pool".into()))
    }

    const fn of(engine: wasmtime::Engine, config: &EngineConfig, memory_reset: MemoryReset, reason: String) -> Self {
        let evaluator_threads = config.evaluator_threads;
        let info = EngineInfo { wasmtime_version: WASMTIME_VERSION, memory_reset, reason, evaluator_threads };
        Self { engine, info, memory_bytes_max: config.instance_memory_bytes_max }
    }
}

/// An engine that compiles, and runs what has to run for that. What it puts out fits all others.
pub(crate) fn compiling(metered: bool, functions: Arc<Functions>) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = compiled_as(metered);
    config.enable_incremental_compilation(functions)?;
    wasmtime::Engine::new(&config)
}

/// An engine that runs something once, and throws its code away. It compiles as fast as it can; what runs in it comes to the
/// same.
pub(crate) fn once() -> wasmtime::Result<wasmtime::Engine> {
    let mut config = compiled_as(false);
    config.cranelift_opt_level(OptLevel::None);
    wasmtime::Engine::new(&config)
}

/// What machine code has to have been compiled with to run here, as a digest: wasmtime with its version
/// and configuration, and the processor's features.
pub(crate) fn compatibility(metered: bool) -> [u8; 32] {
    static OF: LazyLock<[[u8; 32]; 2]> = LazyLock::new(|| [false, true].map(compatibility_of));
    OF[usize::from(metered)]
}

/// All of a configuration that an outcome may depend on, as a digest: what machine code is compiled with, and what
/// stops a policy beside its own limits. Where memories come from, and how many threads there are, changes no outcome.
pub(crate) fn configuration(config: &EngineConfig) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("attorn engine configuration v1");
    hasher.update(&compatibility(false));
    for number in [
        STACK_BYTES_MAX as u64,
        config.instance_memory_bytes_max,
        config.instance_table_elements_max,
        config.epoch_tick_us,
        config.request_wall_us_max,
    ] {
        hasher.update(&number.to_be_bytes());
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

fn compatibility_of(metered: bool) -> [u8; 32] {
    struct Into(blake3::Hasher);
    impl Hasher for Into {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Into(blake3::Hasher::new_derive_key("attorn machine code v1"));
    hasher.write(WASMTIME_VERSION.as_bytes());
    match wasmtime::Engine::new(&compiled_as(metered)) {
        Ok(engine) => engine.precompile_compatibility_hash().hash(&mut hasher),
        // Without an engine nothing is loaded either.
        Err(error) => hasher.write(error.to_string().as_bytes()),
    }
    *hasher.0.finalize().as_bytes()
}

/// A scan looks only at pages that are present. One that was written and then swapped out would stay,
/// and the next evaluation would read what the one before wrote (wasmtime#14357). So there is none
/// where anything can be swapped out. [`swap::SwapWatch`] looks again while the engine runs.
fn reset_for_host(config: &EngineConfig) -> (MemoryReset, String) {
    if !config.pagemap_scan {
        return (MemoryReset::Discard, "the configuration wants no PAGEMAP_SCAN".into());
    }
    if !PoolingAllocationConfig::is_pagemap_scan_available() {
        return (MemoryReset::Discard, "the kernel has no PAGEMAP_SCAN, which came with Linux 6.7".into());
    }
    match swap::is_active_now() {
        Err(error) => (MemoryReset::Discard, format!("whether there is swap is unknown: {error}")),
        Ok(true) => (MemoryReset::Discard, "swap is active, where PAGEMAP_SCAN misses pages".into()),
        Ok(false) => {
            let resident_bytes_max = resident_bytes_per_memory(config);
            (MemoryReset::PagemapScan { resident_bytes_max }, "there is PAGEMAP_SCAN, and no swap".into())
        }
    }
}

/// How much of each memory of a pool may stay resident: whole pages.
pub(crate) fn resident_bytes_per_memory(config: &EngineConfig) -> u64 {
    let share = config.pool_resident_bytes_max / u64::from(config.pool_instances.max(1));
    share.min(MEMORY_RESIDENT_BYTES_MAX) / 4096 * 4096
}

fn wasmtime_config(config: &EngineConfig, reset: MemoryReset) -> Config {
    let mut wasmtime = compiled_as(false);
    if reset != MemoryReset::OnDemand {
        wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, reset)));
    }
    wasmtime
}

/// All that bears on machine code. Where memories come from does not.
fn compiled_as(metered: bool) -> Config {
    let mut wasmtime = Config::new();
    wasmtime
        .wasm_features(WasmFeatures::all().difference(FEATURES), false)
        .wasm_features(FEATURES, true)
        .concurrency_support(false)
        .shared_memory(false)
        // The same inputs give the same bits on every host.
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .memory_init_cow(true)
        // Beyond this, data segments are copied at each instantiation, silently.
        .memory_guaranteed_dense_image_size(IMAGE_BYTES_MAX)
        .consume_fuel(metered)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        // Not `Environment`, which is the default: no variable changes what runs here.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    wasmtime
}

fn pool(config: &EngineConfig, reset: MemoryReset) -> PoolingAllocationConfig {
    let saturated = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(config.pool_instances)
        .total_tables(config.pool_instances.saturating_mul(TABLES_PER_COMPONENT_MAX / MEMORIES_PER_COMPONENT_MAX))
        .total_component_instances(config.pool_instances)
        .total_core_instances(config.pool_instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT_MAX))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(TABLES_PER_COMPONENT_MAX)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES_PER_COMPONENT_MAX)
        .max_memory_size(saturated(config.instance_memory_bytes_max))
        .table_elements(saturated(config.instance_table_elements_max));
    match reset {
        MemoryReset::PagemapScan { resident_bytes_max } => pool
            .linear_memory_keep_resident(saturated(resident_bytes_max))
            .table_keep_resident(TABLE_RESIDENT_BYTES_MAX)
            .pagemap_scan(Enabled::Auto),
        MemoryReset::Discard | MemoryReset::OnDemand => {
            pool.linear_memory_keep_resident(0).table_keep_resident(0).pagemap_scan(Enabled::No)
        }
    };
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reported_version_is_the_one_in_use() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"")));
    }

    #[test]
    fn what_may_change_an_outcome_changes_the_configuration_and_nothing_else_does() {
        let usual = EngineConfig::for_host().unwrap();
        let same = EngineConfig { evaluator_threads: 1, pool_instances: 64, pagemap_scan: false, ..usual };
        assert_eq!(configuration(&same), configuration(&usual));
        for other in [
            EngineConfig { instance_memory_bytes_max: 1 << 20, ..usual },
            EngineConfig { instance_table_elements_max: 7, ..usual },
            EngineConfig { epoch_tick_us: 500, ..usual },
            EngineConfig { request_wall_us_max: 1_000, ..usual },
        ] {
            assert_ne!(configuration(&other), configuration(&usual));
        }
    }

    #[test]
    fn nothing_is_scanned_where_that_is_not_wanted() {
        let config = EngineConfig { pagemap_scan: false, ..EngineConfig::for_host().unwrap() };
        let (reset, reason) = reset_for_host(&config);
        assert_eq!((reset, reason.as_str()), (MemoryReset::Discard, "the configuration wants no PAGEMAP_SCAN"));
    }

    #[test]
    fn without_a_pool_the_engine_still_starts_and_says_so() {
        // A table of this size for every slot cannot be reserved.
        let config = EngineConfig { instance_table_elements_max: u64::MAX / 64, ..EngineConfig::for_host().unwrap() };
        let runtime = Runtime::start(&config).unwrap();
        assert!(!runtime.info.pooling());
        assert!(runtime.info.reason.starts_with("the pool cannot be made: "), "{}", runtime.info.reason);
    }
}
