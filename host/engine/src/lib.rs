//! Runs policy components: (policy, context) → outcome. Never a panic, never a hang.
//!
//! A component is [loaded](Engine::load) once, with its settings: inspected, compiled, and tried in a
//! sandbox. Then it is [evaluated](Engine::evaluate) as often as needed, each time in a fresh sandbox
//! whose memory, CPU time, wall time, output and log are bounded. Whatever a policy does, what comes of
//! it is an [`Outcome`](attorn_core::Outcome); errors are left for what the host could not do.
//!
//! This crate knows no agents, grants or storage, gives policies no clock, network, file or random
//! source, and decides nothing: what the outcomes come to is decided in `attorn_core`.

mod classes;
mod compile;
mod config;
mod engine;
mod evaluate;
mod evaluation;
mod json;
mod load;
mod log;
mod meter;
mod policy;
mod queue;
mod runtime;
mod sandbox;
mod stopwatch;
mod swap;
mod text;
mod threads;
mod ticker;
mod v0_1;

/// The version of the policy contract whose policies are run.
pub const CONTRACT: &str = "attorn:policy@0.1.0";

pub use compile::{
    Activation, Compiler, Leftovers, Start, describe_component, describe_component_apart, serve_compile_worker, started,
};
pub use config::{EngineConfig, EngineError};
pub use engine::{Busy, Engine, EngineCounts, Question};
pub use evaluation::{Evaluation, Usage};
pub use load::{COMPONENT_BYTES_MAX, LoadError, LoadRequest, LoadStep, SETTINGS_BYTES_MAX, check_component, class_of};
pub use log::{LogLevel, LogLine};
pub use policy::{CounterDeclaration, Description, LoadReport, LoadedPolicy, ReasonDeclaration, Requirements};
pub use runtime::{EngineInfo, MemoryReset, WASMTIME_VERSION};
