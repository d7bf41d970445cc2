//! `attorn load`, and waiting for one: what a policy that is being made ready is at, and an end to it.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use attorn_api::loads::{Load as Shown, LoadCancelled, LoadList};
use attorn_core::TimeMs;
use clap::Subcommand;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Nothing;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

/// How long nothing is said of a load. Most take less.
const QUIET: Duration = Duration::from_millis(700);
/// How often a load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Policies that are being made ready: compiled, tried and loaded.
#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// List them with the step that each is at (duty: `policy_admin`, as for all of these)
    List,
    /// End one. The command that waits for it fails, and what is in force stays as it is
    Cancel {
        /// Its id, as `attorn load list` shows it
        #[arg(value_parser = parse::request_id)]
        id: String,
    },
}

impl Load {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        match self {
            Self::List => list(output, &client.get("/v1/loads").await?),
            Self::Cancel { id } => {
                let cancelled: LoadCancelled = client.post(&format!("/v1/loads/{id}/cancel"), &Nothing {}).await?;
                if output.json {
                    return output.json(&cancelled).map(|()| Exit::Done);
                }
                output.line(format!("cancelled {}", cancelled.id));
                Ok(Exit::Done)
            }
        }
    }
}

fn list(output: &Output, list: &LoadList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |load: &Shown| {
        vec![
            load.id.clone(),
            load.policy.clone(),
            load.version.to_string(),
            load.step.clone(),
            TimeMs(load.since_ms).to_string(),
            load.operator.clone(),
        ]
    };
    let heads = ["ID", "POLICY", "VERSION", "STEP", "SINCE", "FOR"];
    output.table(&heads, &list.loads.iter().map(row).collect::<Vec<_>>());
    Ok(Exit::Done)
}

/// Post what makes a policy ready, say how far it is while that takes long, and cancel it when the user
/// presses Ctrl-C.
pub(super) async fn post<T: DeserializeOwned>(
    client: &OperatorClient,
    output: &Output,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Failure> {
    let id = request_id()?;
    let patient = client.patient()?;
    let mut answer = std::pin::pin!(patient.post_as(&id, path, body));
    let begun = Instant::now();
    let mut said = Said::default();
    let mut wait = QUIET;
    loop {
        tokio::select! {
            answer = &mut answer => {
                said.end();
                return answer;
            }
            _ = tokio::signal::ctrl_c() => {
                output.note("cancelling");
                // It may be done, or not begun; then the answer says what came of it.
                let _: Result<LoadCancelled, _> = client.post(&format!("/v1/loads/{id}/cancel"), &Nothing {}).await;
            }
            () = tokio::time::sleep(wait) => {
                wait = LOOK_EVERY;
                // What cannot be looked at goes on all the same.
                if let Ok(list) = client.get::<LoadList>("/v1/loads").await
                    && let Some(load) = list.loads.iter().find(|load| load.id == id)
                {
                    said.step(output, load, begun.elapsed());
                }
            }
        }
    }
}

/// What was said of a load to standard error: one line that changes on a terminal, a line for each step
/// elsewhere.
#[derive(Default)]
struct Said {
    step: String,
    on_terminal: bool,
}

impl Said {
    fn step(&mut self, output: &Output, load: &Shown, elapsed: Duration) {
        let text = format!("making policy {} version {} ready: {}", load.policy, load.version, load.step);
        if output.json {
            return;
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{}, {} s (Ctrl-C cancels)", crate::output::harmless(&text), elapsed.as_secs());
            self.on_terminal = true;
        } else if self.step != load.step {
            output.note(text);
        }
        self.step.clone_from(&load.step);
    }

    fn end(&self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// A name for a request that nobody else's has.
fn request_id() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(format!("there is no randomness: {error}")))?;
    Ok(format!("cli-{:016x}", u64::from_le_bytes(bytes)))
}
