//! `attorn user erase`: for ever, so the id has to be typed once more.

use attorn_api::users::{EraseUser, UserErased};
use attorn_core::{TimeMs, UserId};
use clap::Args;

use crate::commands::Why;
use crate::confirm::ForEver;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::parse;

const ERASES: ForEver = ForEver { does: "erases the user", not_done: "nothing was erased", noun: "user" };

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn user erase usr_… --reason 'request 4711'
  attorn user erase usr_… --yes

All that is kept of the user is sealed under a key of their own, and that key is destroyed. Their delegations, sessions
and grants end at once; the audit log still verifies. Whoever signs in again under the same name is a new user. Said
again, it destroys what a crash, or somebody who restored an old copy of the keys, has left. Ends with 5 if something else
stood in the place of the key, such as a link: all else is done, and what may be left is said.")]
pub(crate) struct Erase {
    /// Their id: `usr_…`
    #[arg(value_parser = parse::id::<UserId>)]
    id: UserId,
    /// Do not ask for the id to be typed
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    why: Why,
}

impl Erase {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        if !self.yes {
            ERASES.confirm(&self.id)?;
        }
        let body = EraseUser { reason: self.why.reason };
        let erased: UserErased = client.post(&format!("/v1/users/{}/erase", self.id), &body).await?;
        print(output, &erased)
    }
}

fn print(output: &Output, erased: &UserErased) -> Result<Exit, Failure> {
    let exit = if erased.key_left.is_some() { Exit::VerificationFailed } else { Exit::Done };
    if output.json {
        return output.json(erased).map(|()| exit);
    }
    let at = &erased.entry;
    for (name, value) in [
        ("erased", erased.id.clone()),
        ("at", TimeMs(erased.erased_at_ms).to_string()),
        ("entry", format!("{}/{}/{}", at.log_id, at.epoch, at.index)),
        ("name hash", format!("until {}", TimeMs(erased.remembered_until_ms))),
    ] {
        output.line(format!("{name:9}  {value}"));
    }
    if let Some(left) = &erased.key_left {
        output.line(format!("not destroyed: {left}"));
    }
    output.line("");
    output.line("not reached:");
    for copy in &erased.not_reached {
        output.line(format!("- {copy}"));
    }
    Ok(exit)
}
