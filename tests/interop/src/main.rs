//! Attorn against software that is not ours: `cargo xtask interop`, which installs what is needed and says what is
//! missing.
//!
//! Real providers with real pages, OAuth clients that others wrote, certificates of `openssl`, and requests that
//! `schemathesis` makes from the API's own description. Each part starts a server of its own from the built
//! binary, on loopback, and plays its steps; a line says what each was and how long it took.
//!
//! Nothing is installed or fetched here, except by Keycloak's script into its cache. Nothing is skipped: a part
//! that cannot be played has failed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a step fails by panicking, and `steps` says which one it was")]

mod acts;
mod api;
mod approvals;
mod attorn;
mod certificates;
mod clients;
mod log;
mod on_behalf;
mod openssl;
mod page;
mod postgresql;
mod provider;
mod registries;
mod sdks;
mod sign_out;
mod signatures;
mod steps;
mod tools;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};

use steps::Steps;
use tools::Tools;

/// The exit code after a signal, as shells have it for Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Attorn against software that is not ours.
#[derive(Parser)]
struct Arguments {
    /// The directory with the scripts: `tests/interop` of the repository
    #[arg(long, value_name = "DIR")]
    scripts: PathBuf,
    /// Python, with what `python/requirements.txt` names
    #[arg(long, value_name = "FILE")]
    python: PathBuf,
    /// Where Keycloak is kept
    #[arg(long, value_name = "DIR")]
    keycloak_cache: PathBuf,
    /// The directory with the programs that were built with Go
    #[arg(long, value_name = "DIR")]
    go: PathBuf,
    /// The directory of the SDKs: `sdk` of the repository
    #[arg(long, value_name = "DIR")]
    sdks: PathBuf,
    /// Python, with what `requirements.txt` of the SDKs names
    #[arg(long, value_name = "FILE")]
    sdk_python: PathBuf,
    /// `wkg` of the Bytecode Alliance
    #[arg(long, value_name = "FILE")]
    wkg: PathBuf,
    /// Only these
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Part>,
}

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// npm `oidc-provider`: users sign in, consent, revoke and sign out, and an agent acts for them.
    OidcProvider,
    /// The same with Keycloak.
    Keycloak,
    /// Clients of the token service, with tokens of npm `oidc-provider`.
    Clients,
    /// Agents and a server with certificates of `openssl`.
    Certificates,
    /// Requests that `schemathesis` makes from the API's description.
    Api,
    /// The audit log: `fsck` of tessera reads it, and `litewitness` cosigns it.
    Log,
    /// The three acts of `attorn demo`, each with a PostgreSQL and a provider of its own.
    Acts,
    /// Logins in a PostgreSQL, and a server that is killed while it makes and ends them.
    Postgresql,
    /// The SDKs in other languages than Rust.
    Sdks,
    /// Signatures of components, by `minisign` and for it.
    Signatures,
    /// Policies in a registry: Debian's `docker-registry`.
    Registries,
    /// Policies in a registry, by `wkg` and for it.
    Wkg,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    async fn play(self, tools: &Tools, steps: &mut Steps) {
        match self {
            Self::OidcProvider => Box::pin(on_behalf::play(tools, steps, &provider::OIDC_PROVIDER)).await,
            Self::Keycloak => Box::pin(on_behalf::play(tools, steps, &provider::KEYCLOAK)).await,
            Self::Clients => Box::pin(clients::play(tools, steps)).await,
            Self::Certificates => Box::pin(certificates::play(tools, steps)).await,
            Self::Api => Box::pin(api::play(tools, steps)).await,
            Self::Log => Box::pin(log::play(tools, steps)).await,
            Self::Acts => Box::pin(acts::play(tools, steps)).await,
            Self::Postgresql => Box::pin(postgresql::play(steps)).await,
            Self::Sdks => Box::pin(sdks::play(tools, steps)).await,
            Self::Signatures => Box::pin(signatures::play(tools, steps)).await,
            Self::Registries => Box::pin(registries::play(tools, steps)).await,
            Self::Wkg => Box::pin(registries::play_wkg(tools, steps)).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { scripts, python, keycloak_cache, go, sdks, sdk_python, wkg, only } = Arguments::parse();
    // Where it was and why: a backtrace through all futures helps nobody.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let tools = Tools { scripts, python, keycloak_cache, go, sdks, sdk_python, wkg };
    let parts = if only.is_empty() { Part::value_variants().to_vec() } else { only };
    tokio::select! {
        failed = play(&parts, &tools) => summary(&failed),
        // What was started ends with the future that held it.
        () = interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(INTERRUPTED)
        }
    }
}

/// All of them, also after one has failed, so that one run tells everything; the names of those that did.
async fn play(parts: &[Part], tools: &Tools) -> Vec<String> {
    let mut failed = Vec::new();
    for part in parts {
        println!("{}", part.name());
        let (started, mut steps) = (Instant::now(), Steps::default());
        let outcome = AssertUnwindSafe(part.play(tools, &mut steps)).catch_unwind().await;
        let what = if outcome.is_ok() { "passed" } else { "FAILED" };
        println!("{}: {what}, {} steps in {:.1} s", part.name(), steps.taken, started.elapsed().as_secs_f64());
        if outcome.is_err() {
            failed.push(part.name());
        }
    }
    failed
}

fn summary(failed: &[String]) -> ExitCode {
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    for name in failed {
        eprintln!("failed: `{name}`; repeat it with: cargo xtask interop --only {name}");
    }
    ExitCode::FAILURE
}

async fn interrupted() {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).unwrap(), signal(SignalKind::terminate()).unwrap());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
