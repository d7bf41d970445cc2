//! The story: a support bot, what it may do, and everything that it must not do; then the same on behalf of
//! somebody. Then three acts with credentials that live for seconds in a real database: see `acts`.
//!
//! It is played against a real server, a child process of this very executable with an empty store,
//! through the public API only. Every step says what was asked and what came back, and the first
//! that comes otherwise than told ends the story with exit code 1.

pub(crate) mod acts;
mod asking;
mod audit;
mod behalf;
mod components;
mod crash;
mod host;
mod hostile;
mod keep;
mod looping;
mod narrator;
mod operators;
mod policies;
mod provider;
mod raw;
mod registry;
mod resource_server;
mod suspension;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use attorn_agent::{AgentKey, Client};
use clap::ValueEnum as _;
use serde_json::{Value, json};

use crate::commands::demo::Demo;
use crate::demo::acts::Act;
use crate::demo::behalf::Behalf;
use crate::demo::components::Components;
use crate::demo::host::Host;
use crate::demo::narrator::Narrator;
use crate::demo::operators::Operators;
use crate::demo::resource_server::Service;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::interrupted;
use crate::output::Output;

/// Everything that the parts of the story share.
struct Stage<'a> {
    narrator: Narrator<'a>,
    directory: PathBuf,
    host: Host,
    operators: Operators,
    faq: Service,
    /// What was done on Alice's behalf, once it was.
    act: Option<Behalf>,
}

impl Stage<'_> {
    fn bot_key(&self) -> Result<AgentKey, Failure> {
        Ok(AgentKey::load(&bot_key_path(&self.directory))?)
    }

    /// A client of the bot's, which knows no nonce yet.
    fn bot(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.host.url(), self.bot_key()?)?)
    }
}

fn bot_key_path(directory: &Path) -> PathBuf {
    directory.join("keys").join("support-bot.key")
}

/// Play what was asked for: the story, and then the acts; or some of them.
pub(crate) async fn run(demo: &Demo, output: &Output) -> Result<Exit, Failure> {
    let components = Components::find(demo)?;
    let mut report = json!({});
    if demo.act.is_empty() {
        report = tell(demo, &components, output).await?;
    }
    if !(demo.story || demo.keep) {
        let acts = if demo.act.is_empty() { Act::value_variants() } else { &demo.act[..] };
        let started = Instant::now();
        let played = acts::play(acts, demo, &components, output).await?;
        report["acts"] = played.iter().map(acts::Played::report).collect();
        if !output.json {
            acts::summary(&played, started.elapsed(), output);
        }
    }
    if output.json {
        output.json(&report)?;
    }
    Ok(Exit::Done)
}

/// Play the story; what came of it, for programs.
async fn tell(demo: &Demo, components: &Components, output: &Output) -> Result<Value, Failure> {
    let started = Instant::now();
    let directory = fresh_directory()?;
    let narrator = Narrator::new(output);
    narrator.say(format!("Everything of this demo is in {}", directory.display()));
    let done = play(narrator, demo, components, &directory, started).await;
    done.map_err(|failure| {
        let help = format!("the server's log is `{}`", Host::log_path(&directory).display());
        if failure.help.is_none() { failure.with_help(help) } else { failure }
    })
}

async fn play(
    narrator: Narrator<'_>,
    demo: &Demo,
    components: &Components,
    directory: &Path,
    started: Instant,
) -> Result<Value, Failure> {
    // Whatever is dropped here takes the server with it.
    let (mut stage, entries) = tokio::select! {
        told = story(narrator, demo, components, directory) => told?,
        signal = interrupted() => return Err(Failure::new(format!("the demo was interrupted: {}", signal?))),
    };
    let took = started.elapsed();
    if demo.keep {
        keep::play(&mut stage).await?;
    }
    end(stage, entries, took).await
}

/// The story. Give how many entries it left in the audit log.
async fn story<'a>(
    mut narrator: Narrator<'a>,
    demo: &Demo,
    components: &Components,
    directory: &Path,
) -> Result<(Stage<'a>, u64), Failure> {
    let (host, bootstrap) = operators::first_start(&mut narrator, directory).await?;
    let operators = operators::register(&mut narrator, &host, bootstrap, directory).await?;
    let faq = Service::start(host.url(), "article", "faq.read").await?;
    let mut stage = Stage { narrator, directory: directory.to_owned(), host, operators, faq, act: None };

    registry::play(&mut stage).await?;
    policies::play(&mut stage, components).await?;
    let told = asking::play(&mut stage).await?;
    let accepted = hostile::play(&mut stage).await?;
    looping::play(&mut stage, components).await?;
    suspension::play(&mut stage).await?;
    crash::play(&mut stage, &accepted).await?;
    behalf::play(&mut stage, demo, components).await?;
    let entries = audit::play(&mut stage, &told).await?;
    Ok((stage, entries))
}

/// Stop the server, and say what came of it all and where to look.
async fn end(mut stage: Stage<'_>, entries: u64, took: Duration) -> Result<Value, Failure> {
    stage.narrator.part("The end");
    let status = stage.host.stop().await?;
    stage.narrator.step(
        "SIGTERM to the server",
        format!("it finished what was in flight: {status}"),
        status.success(),
    )?;
    let (tally, seconds) = (stage.narrator.tally, took.as_secs_f64());
    let look = [
        ("configuration", stage.host.config().to_owned()),
        ("data", stage.host.config().with_file_name("data")),
        ("server's log", Host::log_path(&stage.directory)),
        ("audit log", audit::export_path(&stage.directory)),
    ];
    let output = stage.narrator.output();
    let report = json!({
        "allowed": tally.allowed,
        "denied": tally.denied,
        "refused": tally.refused,
        "entries": entries,
        "on_behalf": if stage.act.is_some() { "played" } else { "skipped" },
        "directory": stage.directory.display().to_string(),
    });
    if output.json {
        return Ok(report);
    }
    output.line("");
    output.line(format!("All came as told, in {seconds:.1} s."));
    output.line(format!(
        "  decisions      {} allowed, {} denied; {} requests refused before any decision",
        tally.allowed, tally.denied, tally.refused
    ));
    output.line(format!("  entries        {entries} in the audit log, verified"));
    if stage.act.is_none() {
        output.line("  on behalf      skipped, for want of Node: see above");
    }
    for (what, path) in look {
        output.line(format!("  {what:13}  {}", path.display()));
    }
    Ok(report)
}

fn fresh_directory() -> Result<PathBuf, Failure> {
    let made = tempfile::Builder::new().prefix("attorn-demo-").tempdir().map_err(|error| Failure::of(&error))?;
    // It stays: the end of the story says where to look.
    let directory = made.keep();
    for name in ["keys", "tokens"] {
        let path = directory.join(name);
        std::fs::create_dir(&path).map_err(|error| Failure::file("make", &path, &error))?;
    }
    Ok(directory)
}
