//! Three acts: an agent that knows what everybody may know, one that knows what is its user's, and one that moves money;
//! each with credentials that live for seconds in a real database.
//!
//! Each act is played on its own, against a server, a database and a provider of its own, which it starts and ends. What
//! cannot be started for want of PostgreSQL or Node is left out, and said at the end; that is no failure.

mod chatbot;
mod database;
mod evidence;
mod people;
mod personalised;
mod privileged;
mod scene;
mod shop;

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::components::Components;
use super::fresh_directory;
use super::host::Host;
use super::narrator::{Narrator, Tally};
use super::provider::Scripts;
use crate::commands::demo::Demo;
use crate::failure::Failure;
use crate::interrupt::interrupted;
use crate::output::Output;
use database::Programs;

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Act {
    /// A chatbot that answers from common knowledge, without a user
    #[value(name = "1")]
    Chatbot,
    /// An agent that looks up what is its user's
    #[value(name = "2")]
    Personalised,
    /// An agent that moves its user's money, some of it only when she says yes
    #[value(name = "3")]
    Privileged,
}

/// What came of an act.
pub(super) struct Played {
    act: Act,
    tally: Tally,
    left_out: Vec<&'static str>,
}

/// What an act needs that is not ours: each of them, or what is missing.
struct Tools {
    postgresql: Result<Programs, String>,
    scripts: Result<Scripts, String>,
}

impl Act {
    const fn number(self) -> u8 {
        match self {
            Self::Chatbot => 1,
            Self::Personalised => 2,
            Self::Privileged => 3,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Chatbot => "a chatbot, and what everybody may know",
            Self::Personalised => "an agent that looks up what is Alice's",
            Self::Privileged => "an agent that moves Alice's money",
        }
    }
}

impl Played {
    /// What came of it, for programs.
    pub(super) fn report(&self) -> Value {
        let Tally { allowed, denied, refused } = self.tally;
        json!({ "act": self.act.number(), "allowed": allowed, "denied": denied, "refused": refused,
            "left_out": self.left_out })
    }

    /// And for people.
    fn line(&self) -> String {
        let Tally { allowed, denied, .. } = self.tally;
        let mut line = format!("  act {}          {allowed} allowed, {denied} denied", self.act.number());
        if !self.left_out.is_empty() {
            line.push_str("; left out: ");
            line.push_str(&self.left_out.join(", "));
        }
        line
    }
}

/// Play these acts.
pub(super) async fn play(
    acts: &[Act],
    demo: &Demo,
    components: &Components,
    output: &Output,
) -> Result<Vec<Played>, Failure> {
    let mut all = Vec::new();
    for &act in acts {
        let tools = Tools {
            postgresql: Programs::find(demo.postgresql.as_deref()).await,
            scripts: Scripts::find(demo.interop.as_deref()).await,
        };
        all.push(one(act, tools, components, output).await?);
    }
    Ok(all)
}

/// Say what came of them.
pub(super) fn summary(played: &[Played], took: Duration, output: &Output) {
    output.line("");
    output.line(format!("All came as told, in {:.1} s.", took.as_secs_f64()));
    for one in played {
        output.line(one.line());
    }
}

async fn one(act: Act, tools: Tools, components: &Components, output: &Output) -> Result<Played, Failure> {
    let directory = fresh_directory()?;
    let narrator = Narrator::new(output);
    narrator.say("");
    narrator.say(format!("Act {}: {}", act.number(), act.title()));
    narrator.say(format!("Everything of this act is in {}", directory.display()));
    let played = async {
        match act {
            Act::Chatbot => chatbot::play(narrator, &directory, tools.postgresql, components).await,
            Act::Personalised => personalised::play(narrator, &directory, tools, components).await,
            Act::Privileged => privileged::play(narrator, &directory, tools, components).await,
        }
    };
    // Whatever is dropped here takes server, database and provider with it.
    let played = tokio::select! {
        played = played => played,
        signal = interrupted() => return Err(Failure::new(format!("the demo was interrupted: {}", signal?))),
    };
    let (tally, left_out) = played.map_err(|failure| {
        let help = format!("the server's log is `{}`", Host::log_path(&directory).display());
        if failure.help.is_none() { failure.with_help(help) } else { failure }
    })?;
    Ok(Played { act, tally, left_out })
}
