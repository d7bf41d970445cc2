//! `cargo xtask interop`: the server against software that is not ours.
//!
//! The work is `attorn-interop`'s; here is what it needs: tools, what npm and pip install from lock files, and the
//! programs and components of this repository. What is missing is a failure that says how to get it.

mod install;
mod tools;

use clap::ValueEnum;

use crate::components::{self, Guests};
use crate::run::Invocation;
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// How to repeat any of these steps.
const REPEAT: &str = "cargo xtask interop";

/// How many rounds each test has that kills or races something.
pub(crate) const ROUNDS: &str = "ATTORN_TEST_ROUNDS";

/// The scripts, from the root.
const SCRIPTS: &str = "tests/interop";

/// Where npm puts the programs of PostgreSQL, from the root.
const POSTGRESQL: &str = "tests/interop/postgresql";

/// The SDKs, from the root.
const SDKS: &str = "sdk";
/// A plugin whose tests are run with those of the SDKs.
const PLUGIN: &str = "plugins/spend-limit/typescript";

/// What is played; the same names as `attorn-interop` has, which plays logins in whatever PostgreSQL it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Users and an agent of npm `oidc-provider`
    OidcProvider,
    /// Users and an agent of Keycloak, by Maven
    Keycloak,
    /// OAuth clients that others wrote, at the token service
    Clients,
    /// TLS and X.509-SVIDs with certificates of `openssl`
    Certificates,
    /// Requests that `schemathesis` makes from the API's description
    Api,
    /// The audit log, for `fsck` of tessera and `litewitness` of torchwood
    Log,
    /// The three acts of the demo
    Acts,
    /// Logins in a PostgreSQL 15, which is started for it
    Postgresql,
    /// The same in PostgreSQL 16, by npm; not in `ci`
    #[value(name = "postgresql-16")]
    Postgresql16,
    /// The same in PostgreSQL 17, by npm; not in `ci`
    #[value(name = "postgresql-17")]
    Postgresql17,
    /// The same in PostgreSQL 18, by npm; not in `ci`
    #[value(name = "postgresql-18")]
    Postgresql18,
    /// The SDKs in other languages than Rust: their tests, all that they do against a server, and examples in all
    Sdks,
    /// Signatures of components, by `minisign` and for it
    Signatures,
    /// Policies in a registry: Debian's `docker-registry`
    Registries,
    /// Policies in a registry, by `wkg` of the Bytecode Alliance and for it; not in `ci`
    Wkg,
}

impl Part {
    /// These, or all of them if there are none.
    fn wanted(only: &[Self]) -> Vec<Self> {
        if only.is_empty() { Self::value_variants().to_vec() } else { only.to_vec() }
    }

    /// What every change must pass. Logins are played in one version of PostgreSQL, and `wkg` is not built: each takes
    /// minutes.
    pub(crate) fn of_ci() -> Vec<Self> {
        let is_long = |part: &Self| *part == Self::Wkg || install::POSTGRESQL.contains(part);
        Self::value_variants().iter().copied().filter(|part| !is_long(part)).collect()
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// See that the tools are there. Quick, so that whoever lacks one reads it before anything was built.
pub(crate) fn check_tools(steps: &mut Steps, only: &[Part]) -> Result<(), Failed> {
    steps.step("tools of others", REPEAT, || tools::check(&Part::wanted(only)))
}

/// Build what is ours, and play these parts, or all of them.
pub(crate) fn interop(workspace: &Workspace, steps: &mut Steps, only: &[Part]) -> Result<(), Failed> {
    check_tools(steps, only)?;
    components::build(workspace, steps, Guests::None)?;
    // Of the whole workspace, so that its dependencies are built with the same features, and only once.
    let programs = ["--bin", "attorn", "--bin", "attorn-interop", "--example", "articles"];
    let build = [&["build", "--locked", "--workspace"][..], &programs].concat();
    steps.command("build", &workspace.cargo(&build))?;
    play(workspace, steps, only, None)?;
    steps.summary();
    Ok(())
}

/// Install what is not ours, and play: what is ours was built before. What is killed is so in so many rounds, or in as
/// many as the parts have themselves.
pub(crate) fn play(
    workspace: &Workspace,
    steps: &mut Steps,
    only: &[Part],
    rounds: Option<&str>,
) -> Result<(), Failed> {
    let wanted = Part::wanted(only);
    let described = workspace.describe().map_err(|why| Failed::before_any_step(&why))?;
    let home = described.target_directory.join("interop");
    if wanted.iter().any(|part| tools::NODE.contains(part)) {
        packages_of_node(workspace, steps)?;
    }
    let python = home.join("python");
    // The SDKs have packages of their own.
    if wanted.iter().any(|part| *part != Part::Sdks && tools::PYTHON.contains(part)) {
        let scripts = workspace.root().join(SCRIPTS).join("python");
        steps.step("packages of Python", REPEAT, || install::python(&python, &scripts, "bin/schemathesis"))?;
    }
    let sdk_python = home.join("sdk-python");
    if wanted.contains(&Part::Sdks) {
        let sdks = workspace.root().join(SDKS);
        steps.step("packages of the SDKs", REPEAT, || {
            install::node(&sdks)?;
            install::node(&workspace.root().join(PLUGIN))?;
            install::python(&sdk_python, &sdks, "bin/pytest")
        })?;
    }
    let go = home.join("go");
    if wanted.iter().any(|part| tools::GO.contains(part)) {
        steps.step("programs of Go", REPEAT, || install::go(&go))?;
    }
    let databases = workspace.root().join(POSTGRESQL);
    let later: Vec<Part> = wanted.iter().copied().filter(|part| install::POSTGRESQL.contains(part)).collect();
    if !later.is_empty() {
        steps.step("programs of PostgreSQL", REPEAT, || install::postgresql(&databases))?;
    }
    let wkg = home.join("wkg");
    if wanted.contains(&Part::Wkg) {
        steps.step("wkg", REPEAT, || install::wkg(&wkg))?;
    }
    let program = workspace.built("debug", "attorn-interop").map_err(|why| Failed::before_any_step(&why))?;
    let text = |path: std::path::PathBuf| path.display().to_string();
    let program = program
        .with("--scripts")
        .with(SCRIPTS)
        .with("--python")
        .with(text(python.join("bin/python")))
        .with("--keycloak-cache")
        .with(text(home.join("keycloak")))
        .with("--go")
        .with(text(go))
        .with("--sdks")
        .with(SDKS)
        .with("--sdk-python")
        .with(text(sdk_python.join("bin/python")))
        .with("--wkg")
        .with(text(wkg.join("bin/wkg")));
    let program = rounds.into_iter().fold(program, |program, rounds| program.with_env(ROUNDS, rounds));
    let only = |program: Invocation, parts: &[Part]| {
        parts.iter().fold(program, |program, part| program.with("--only").with(part.name()))
    };
    let usual: Vec<Part> = wanted.into_iter().filter(|part| !later.contains(part)).collect();
    if !usual.is_empty() {
        steps.command("interop", &only(program.clone(), &usual))?;
    }
    for part in later {
        let programs = text(install::programs(&databases, part));
        let program = program.clone().with_env(tools::POSTGRES_VARIABLE, programs);
        steps.command(&part.name(), &only(program, &[Part::Postgresql]))?;
    }
    Ok(())
}

/// Have npm's packages in place, from their lock file. The demo needs them, too.
pub(crate) fn packages_of_node(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    steps.step("packages of Node", REPEAT, || install::node(&workspace.root().join(SCRIPTS).join("node")))
}
