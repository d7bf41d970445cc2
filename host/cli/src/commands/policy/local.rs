//! The commands of `attorn policy` that need no server: what whoever writes a policy does on their own machine.
//!
//! Components run in the same engine and the same sandbox as at a server, and are compiled in a process of
//! their own where there is one to be had.

use attorn_artifact::{Cache, CacheKey, Cancel};
use attorn_core::PolicyLimits;
use attorn_engine::{Compiler, Description, Engine, EngineConfig, Leftovers, LoadError, class_of};
use attorn_toolchain::look::{Look, look_by};
use clap::Subcommand;

use super::{bench, build, doctor, inspect, new, new_key, publish, pull, run, settings, sign, test, verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// The wall time of an evaluation, in microseconds. Nobody waits for a decision here, and a busy machine is not the
/// policy's fault.
const REQUEST_WALL_US_MAX: u64 = 10_000_000;

/// Stands for the name or version of a component that nobody asked.
pub(super) const UNKNOWN: &str = "?";

/// What needs no server.
#[derive(Debug, Subcommand)]
pub(crate) enum Local {
    /// Make a small policy that builds, with settings, cases and a README
    New(new::New),
    /// Build a policy's component
    Build(build::Build),
    /// Say which tools a build needs and which are missing
    Doctor(doctor::Doctor),
    /// Run a policy's cases in the real engine, without a server
    Test(test::Test),
    /// Say how long a policy takes on its cases, beside one that does nothing, without a server
    Bench(bench::Bench),
    /// Say what a component is: contract, size, digest, how it was built, without a server
    Inspect(inspect::Inspect),
    /// Ask a component about one context, without a server
    Run(run::Run),
    /// Print the settings that policies of OPA come to, without a server
    Settings(settings::Settings),
    /// Make a key pair to sign policies with, without a server
    NewKey(new_key::NewKey),
    /// Sign a component, without a server
    Sign(sign::Sign),
    /// See whether a key signed a component, without a server
    Verify(verify::Verify),
    /// Publish a component in an OCI registry, with its signature, without a server
    Publish(Box<publish::Publish>),
    /// Pull a component from an OCI registry, with its signature, without a server
    Pull(Box<pull::Pull>),
}

impl Local {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::New(new) => new.run(output),
            Self::Build(build) => build.run(output),
            Self::Doctor(doctor) => doctor::run(&doctor, output),
            Self::Test(test) => test.run(output).await,
            Self::Bench(bench) => bench.run(output).await,
            Self::Inspect(inspect) => inspect.run(output),
            Self::Run(run) => run.run(output).await,
            Self::Settings(settings) => settings.run(output),
            Self::NewKey(new_key) => new_key.run(output),
            Self::Sign(sign) => sign.run(output),
            Self::Verify(verify) => verify.run(output),
            Self::Publish(publish) => publish.run(output).await,
            Self::Pull(pull) => pull.run(output).await,
        }
    }
}

/// An engine like a server's, which compiles nothing that this user's commands have compiled before.
pub(super) fn engine() -> Result<Engine, Failure> {
    engine_of(Compiler { cache: cache(), ..compiler()? })
}

/// The same, which compiles all of it, for whoever measures that.
pub(super) fn engine_anew() -> Result<Engine, Failure> {
    engine_of(compiler()?)
}

fn engine_of(compiler: Compiler) -> Result<Engine, Failure> {
    let config = EngineConfig::for_host().map_err(|error| Failure::of(&error))?;
    let config = EngineConfig { request_wall_us_max: REQUEST_WALL_US_MAX, ..config };
    Engine::with_compiler(config, compiler).map_err(|error| Failure::of(&error))
}

/// How many bytes of machine code are kept for this user. What was used longest ago goes first.
const CACHE_BYTES_MAX: u64 = 2 << 30;

/// What was compiled before. It runs here, so it is used where nobody but the user could have written it; without it all is
/// compiled anew.
fn cache() -> Option<Cache> {
    let home = attorn_toolchain::user_cache()?;
    let cache = Cache::open(home.join("compiled"), CacheKey::of_owner(), CACHE_BYTES_MAX);
    let cache = cache.map_err(|error| tracing::debug!(%error, "nothing that was compiled before is used")).ok()?;
    let cache = cache.of_its_owner_alone();
    if cache.is_none() {
        let dir = home.join("compiled");
        tracing::warn!(dir = %dir.display(), "others may write there, so what was compiled before is not used");
    }
    cache
}

#[cfg(target_os = "linux")]
fn compiler() -> Result<Compiler, Failure> {
    let worker = Some(crate::commands::compile_worker::of_this_program()?);
    Ok(Compiler { worker, cache: None, leftovers: Some(Leftovers::default()) })
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there may be no worker")]
fn compiler() -> Result<Compiler, Failure> {
    Ok(Compiler { leftovers: Some(Leftovers::default()), ..Compiler::default() })
}

/// Ends a worker when nobody waits for its answer any more.
struct EndedOnDrop(Cancel);

impl Drop for EndedOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A component that anybody may have made, and what it is. Nothing of it is compiled or run in this process.
pub(super) async fn look(component: Vec<u8>) -> Result<(Vec<u8>, Look), Failure> {
    let cancel = Cancel::default();
    let _ended = EndedOnDrop(cancel.clone());
    let looking = tokio::task::spawn_blocking(move || {
        let describe = |component: &[u8], limits| described(component, limits, &cancel);
        look_by(&component, describe).map(|look| (component, look))
    });
    let looked = looking.await.map_err(|error| Failure::of(&error))?;
    looked.map_err(|error| not_loaded(&error))
}

#[cfg(target_os = "linux")]
fn described(component: &[u8], limits: PolicyLimits, cancel: &Cancel) -> Result<Description, LoadError> {
    let worker = crate::commands::compile_worker::of_this_program();
    let worker = worker.map_err(|failure| LoadError::NotCompiled { problem: failure.message })?;
    attorn_engine::describe_component_apart(&worker, component, limits, cancel)
}

/// Elsewhere there may be no worker, and then what it says of itself stays unknown.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there may be no worker")]
fn described(_component: &[u8], _limits: PolicyLimits, _cancel: &Cancel) -> Result<Description, LoadError> {
    Ok(Description { name: UNKNOWN.into(), version: UNKNOWN.into(), settings_schema: "true".into() })
}

/// What such a component may use unless its policy says otherwise.
pub(super) fn limits(component: &[u8]) -> PolicyLimits {
    PolicyLimits::of_class(class_of(component))
}

/// A component that does not load, with the way out that the engine knows.
pub(super) fn not_loaded(error: &LoadError) -> Failure {
    let failure = Failure::of(error);
    match error.help() {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}
