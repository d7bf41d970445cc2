//! `attorn policy dev`.

mod round;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use attorn_api::ProblemCode;
use attorn_api::policies::{Mode, Policy, PolicyVersion, PushVersion, Selector, SetChanged};
use attorn_core::PolicyId;
use attorn_engine::Engine;
use attorn_toolchain::cases::{self, Report, Side};
use attorn_toolchain::project::{self, Made};
use clap::Args;
use serde::Serialize;

use super::{build, local, push, test};
use crate::commands::load;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interruption;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;
use round::{Changed, Said};
use watch::Watch;

/// Build a policy again whenever its files change, run its cases, and show what they say otherwise.
#[derive(Debug, Args)]
#[command(
    after_help = "Each round builds as `attorn policy build` does and runs the cases as `attorn policy test` does. A case is
shown where it does not hold, and where it says something else than in the round before. Ctrl-C ends it.

With `--activate`, what was built is put in force at the server once all cases hold, with the selector and mode of the
policy's newest version if there is one. That is for servers of this machine: elsewhere it takes `attorn policy push`.

Examples:
  attorn policy dev
  attorn policy dev my-policy --activate my-policy --settings my-policy/settings.json
  attorn policy dev --json                   a line of JSON for each round"
)]
pub(crate) struct Dev {
    /// The policy's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Put each build in force as this policy, once all cases hold
    #[arg(long, value_name = "ID", value_parser = parse::id::<PolicyId>, requires = "settings")]
    activate: Option<PolicyId>,
    /// The settings for it: JSON, or a file that holds it, which is watched, too
    #[arg(long, value_name = "FILE|JSON", requires = "activate")]
    settings: Option<String>,
}

/// What a round came to, for programs.
#[derive(Default, Serialize)]
struct Round {
    number: u64,
    /// What was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Built>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cases: Option<Cases>,
    /// What is in force because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    activated: Option<SetChanged>,
    /// Why it did not get further.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    ms: u128,
}

#[derive(Serialize)]
struct Built {
    digest: String,
    bytes: usize,
}

#[derive(Serialize)]
struct Cases {
    run: usize,
    failed: usize,
    changed: Vec<Changed>,
}

/// What is kept from one round to the next.
struct Rounds<'a> {
    dev: &'a Dev,
    output: &'a Output,
    engine: Engine,
    /// Where what was built is put in force.
    server: Option<(OperatorClient, &'a PolicyId)>,
    interruption: Interruption,
    said: Option<Said>,
    /// The component and the settings that were pushed last, their version, and whether that is in force.
    pushed: Option<Pushed>,
}

/// What stands at the server.
struct Pushed {
    what: (String, String),
    version: u32,
    is_in_force: bool,
}

impl Dev {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let output = &context.output;
        if self.activate.is_some() && !context.server.is_loopback() {
            return Err(Failure::usage(format!("`{}` is no server of this machine", context.server.join("")))
                .with_help("`attorn policy push … --activate` puts a version in force there"));
        }
        let server = self.activate.as_ref().map(|id| Ok::<_, Failure>((context.operator()?, id))).transpose()?;
        let settings = self.settings.as_deref().filter(|settings| !settings.trim_start().starts_with(['{', '[']));
        let mut watch = Watch::of(&self.dir, settings.map(PathBuf::from), output)?;
        let engine = local::engine()?;
        let interruption = Interruption::listen();
        let mut rounds = Rounds { dev: &self, output, engine, server, interruption, said: None, pushed: None };
        for number in 1.. {
            rounds.one(number).await?;
            if rounds.interruption.is_wanted() {
                return Ok(Exit::Done);
            }
            watch.built()?;
            output.note("waiting for changes; Ctrl-C ends");
            tokio::select! {
                changed = watch.changed() => changed?,
                () = rounds.interruption.wanted() => return Ok(Exit::Done),
            }
            if output.is_broken() {
                break;
            }
        }
        Ok(Exit::Done)
    }
}

impl Rounds<'_> {
    /// What goes wrong in a round is told, and the next one may go better.
    async fn one(&mut self, number: u64) -> Result<(), Failure> {
        let started = Instant::now();
        let mut round = Round { number, ..Round::default() };
        match self.steps(&mut round).await {
            Err(_) if self.interruption.is_wanted() => return Ok(()),
            Err(failure) => {
                self.output.note(failure.to_string());
                round.error = Some(failure.message);
            }
            Ok(()) => {}
        }
        round.ms = started.elapsed().as_millis();
        if self.output.json { self.output.json_line(&round) } else { Ok(()) }
    }

    async fn steps(&mut self, round: &mut Round) -> Result<(), Failure> {
        let (dev, output) = (self.dev, self.output);
        let started = Instant::now();
        let built = self.interruption.with_tools(|| project::build(&dev.dir, &mut |line| output.note(line)))?;
        let Made { path, digest, bytes, .. } = built.map_err(|error| build::failed(output, &error))?;
        if !output.json {
            let took = started.elapsed().as_secs_f64();
            output.line(format!("built {} ({bytes} bytes) in {took:.1} s, digest {digest}", path.display()));
        }
        round.component = Some(Built { digest: digest.clone(), bytes });
        let component = super::read_component(&path)?;
        let report = self.cases(&component).await?;
        let said = round::said(&report);
        let changed = round::changed(self.said.as_ref(), &said);
        self.print(&report, &changed);
        self.said = Some(said);
        round.cases = Some(Cases { run: report.cases.len(), failed: report.failed().count(), changed });
        if report.all_passed() {
            round.activated = self.put_in_force(component, digest).await?;
        }
        Ok(())
    }

    async fn cases(&mut self, component: &[u8]) -> Result<Report, Failure> {
        let side = Side { component, limits: local::limits(component) };
        let directory = self.dev.dir.join("cases");
        let ran = cases::run_dir_watched(&self.engine, side, &directory, |_| {});
        tokio::select! {
            ran = ran => ran.map_err(|error| test::not_run(&error)),
            () = self.interruption.wanted() => Err(Failure::new("interrupted")),
        }
    }

    fn print(&self, report: &Report, changed: &[Changed]) {
        if self.output.json {
            return;
        }
        test::print_failed(self.output, report);
        changed.iter().flat_map(|one| one.to_string().lines().map(str::to_owned).collect::<Vec<_>>()).for_each(
            |line| {
                self.output.line(line);
            },
        );
        let (run, failed) = (report.cases.len(), report.failed().count());
        self.output.line(format!("{run} cases, {failed} failed, {} otherwise than before", changed.len()));
    }

    /// Push it and put it in force, unless the same is.
    async fn put_in_force(&mut self, component: Vec<u8>, digest: String) -> Result<Option<SetChanged>, Failure> {
        let Some((client, id)) = &self.server else { return Ok(None) };
        let settings = push::settings(self.dev.settings.as_deref().unwrap_or("{}"))?;
        let wanted = (digest, settings.to_string());
        let version = match &self.pushed {
            Some(pushed) if pushed.what == wanted && pushed.is_in_force => return Ok(None),
            // It could not be put in force; pushed again, it would be another version of the same.
            Some(pushed) if pushed.what == wanted => pushed.version,
            _ => push_like_newest(client, self.output, id, (component, settings)).await?,
        };
        self.pushed = Some(Pushed { what: wanted, version, is_in_force: false });
        let changed = super::activate(client, self.output, id, version).await?;
        if let Some(pushed) = &mut self.pushed {
            pushed.is_in_force = true;
        }
        if !self.output.json {
            self.output.line(format!("in force: {id} version {version}"));
        }
        Ok(Some(changed))
    }
}

/// Push it, with what stands beside component and settings as the newest version has it, and give its version.
async fn push_like_newest(
    client: &OperatorClient,
    output: &Output,
    id: &PolicyId,
    (component, settings): (Vec<u8>, serde_json::Value),
) -> Result<u32, Failure> {
    let newest = newest(client, id).await?;
    let class = attorn_engine::class_of(&component).as_str();
    let component = push::put(client, component).await?;
    let (selector, mode, required, limits) = match newest {
        None => (Selector::default(), Mode::Enforce, false, None),
        Some(PolicyVersion { selector, mode, required, class: was, limits, .. }) => {
            // Those of another class are not made for this component.
            let is_same = serde_json::to_value(was).is_ok_and(|was| was == class);
            (selector, mode, required, is_same.then_some(limits))
        }
    };
    let body = PushVersion { component, settings, selector, mode, required, limits, signature: None };
    let path = format!("/v1/policies/{id}/versions");
    let version: PolicyVersion = load::post(client, output, &path, &body).await?;
    Ok(version.version)
}

/// The newest version of a policy; none if there is no such policy yet.
async fn newest(client: &OperatorClient, id: &PolicyId) -> Result<Option<PolicyVersion>, Failure> {
    match client.get::<Policy>(&format!("/v1/policies/{id}")).await {
        Ok(policy) => Ok(policy.versions.into_iter().max_by_key(|version| version.version)),
        Err(failure) if failure.code == Some(ProblemCode::NotFound) => Ok(None),
        Err(failure) => Err(failure),
    }
}
