//! A component of an interpreter as it stands when it has read its program.
//!
//! This is for tools that make policies out of programs: what is read once need not be read in every sandbox. It runs in
//! this process, within the limits of a policy; whoever builds runs their own program.

use std::time::Instant;

use attorn_core::{Failure, PolicyLimits};
use wasmtime::component::{Component, ComponentNamedList, Lower};

use super::snapshot::Instrumented;
use super::steps::{TICK, TRIAL_WALL, compile_error, generous, guarded};
use crate::load::{LoadError, LoadStep};
use crate::runtime;
use crate::sandbox::{Failed, Sandbox};
use crate::ticker;
use crate::v0_1;

/// A program for an interpreter, and how it is told.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a, T> {
    /// The function that is told, at the top of the component: it takes what is told, and gives `result<_, string>`.
    pub export: &'a str,
    /// What is told, as the parameters of that function.
    pub told: T,
    /// What reading the program may take.
    pub limits: PolicyLimits,
}

/// The component as it stands when it has read this program. It may import the log and nothing else.
///
/// # Errors
///
/// [`LoadError::SettingsRejected`] with what the program threw; or why it cannot be run or carried over.
pub fn started<T: ComponentNamedList + Lower>(component: &[u8], start: Start<'_, T>) -> Result<Vec<u8>, LoadError> {
    let failed = |step, problem: &dyn std::fmt::Display| LoadError::new(step, problem.to_string());
    let engine = runtime::once().map_err(|error| failed(LoadStep::Compile, &error))?;
    ticker::start([&engine], TICK).map_err(|error| failed(LoadStep::Compile, &error))?;
    let instrumented = Instrumented::new(component).map_err(|problem| failed(LoadStep::Parse, &problem))?;
    let compiled = guarded(LoadStep::Compile, || Component::new(&engine, &instrumented.component))?;
    let compiled = compiled.map_err(|error| compile_error(&error))?;
    let Start { export, told, limits } = start;
    let mut sandbox = Sandbox::new(&engine, &generous(&limits), Instant::now() + TRIAL_WALL);
    let run = guarded(LoadStep::Init, || {
        let instance = v0_1::linker(&engine)?.instantiate(&mut sandbox.store, &compiled)?;
        let start = instance.get_typed_func::<T, (Result<(), String>,)>(&mut sandbox.store, export)?;
        let (said,) = start.call(&mut sandbox.store, told)?;
        Ok((instance, said))
    })?;
    let (instance, said) = run.map_err(|error| {
        let failed = sandbox.failed(&error, Failure::NotRunnable);
        LoadError::failed(LoadStep::Init, &failed, &limits)
    })?;
    said.map_err(|problem| LoadError::settings_rejected(&problem))?;
    if sandbox.cpu_us().1 {
        let late = Failed::new(Failure::Deadline, "it answered after its time was used up");
        return Err(LoadError::failed(LoadStep::Init, &late, &limits));
    }
    instrumented.snapshot(&mut sandbox, instance).map_err(|problem| failed(LoadStep::Snapshot, &problem))
}
