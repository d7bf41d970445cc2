//! `attorn session`.

use attorn_api::delegations::Revoke;
use attorn_api::users;
use attorn_core::{SessionId, TimeMs};
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time_or_dash;
use crate::parse;

/// Users' sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// End a session: all that was delegated in it ends with it (duty: registrar)
    Revoke(Revoked),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn session revoke ses_… --reason 'the laptop is gone'

`attorn delegation show` says in which session something was delegated. Only a new sign-in opens another.")]
pub(crate) struct Revoked {
    /// Its id: `ses_…`
    #[arg(value_parser = parse::id::<SessionId>)]
    id: SessionId,
    #[command(flatten)]
    why: Why,
}

impl Session {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self::Revoke(Revoked { id, why }) = self;
        let (client, output) = (context.operator()?, &context.output);
        let path = format!("/v1/sessions/{id}/revoke");
        let session: users::Session = client.post(&path, &Revoke { reason: why.reason }).await?;
        if output.json {
            return output.json(&session).map(|()| Exit::Done);
        }
        output.line(format!("session  {}", session.id));
        output.line(format!("user     {}", session.user));
        output.line(format!("opened   {}", TimeMs(session.opened_at_ms)));
        let ended = time_or_dash(session.ended_at_ms);
        output.line(format!("ended    {ended}"));
        Ok(Exit::Done)
    }
}
