//! `attorn lease`.

use attorn_api::ProblemCode;
use attorn_api::targets::{self as api, LeaseList};
use attorn_core::{LeaseId, TargetId, TimeMs};
use clap::{Args, Subcommand};

use super::Nothing;
use crate::agent_source::AgentSource;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// Credentials that exist outside.
#[derive(Debug, Subcommand)]
pub(crate) enum Lease {
    /// List leases (duty: registrar, as for all of these but `renew`)
    #[command(after_help = "Examples:\n  attorn lease list --target shop\n  attorn lease list --limit 200 --json")]
    List(Filter),
    /// Show a lease
    #[command(after_help = "Examples:\n  attorn lease show lse_…")]
    Show(Which),
    /// End a lease; or try again at once to end one that could not be ended
    #[command(after_help = "Examples:
  attorn lease revoke lse_…
  attorn lease show lse_…                   # whether it has ended, and if not, why")]
    Revoke(Which),
    /// Let a login live longer, within its grant, as the agent that holds it
    #[command(after_help = "Examples:
  attorn lease renew lse_… --key bot.key

It lives until its grant ends then, or as long from now on as its target lets one live.")]
    Renew(Renew),
}

#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only those of this target that have not ended
    #[arg(long, value_name = "ID", value_parser = parse::id::<TargetId>)]
    target: Option<TargetId>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id: `lse_…`
    #[arg(value_parser = parse::id::<LeaseId>)]
    id: LeaseId,
}

#[derive(Debug, Args)]
pub(crate) struct Renew {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    agent: AgentSource,
}

impl Renew {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.agent(&self.agent)?, &context.output);
        let renewed =
            client.renew_lease(&self.which.id.to_string()).await.map_err(|error| with_way_out(error.into()))?;
        if output.json {
            return output.json(&renewed).map(|()| Exit::Done);
        }
        output.line(format!("lease    {}", renewed.id));
        output.line(format!("expires  {}", TimeMs(renewed.expires_at_ms)));
        Ok(Exit::Done)
    }
}

/// What an agent does whose login does not live on.
fn with_way_out(failure: Failure) -> Failure {
    match failure.code {
        Some(ProblemCode::NotFound) => {
            failure.with_help("only the agent that it was made for renews it, with the key that it asked with")
        }
        Some(ProblemCode::InvalidState | ProblemCode::GrantInactive) => {
            failure.with_help("ask for another login: `attorn decide --login`")
        }
        _ => failure,
    }
}

impl Lease {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/leases";
        let (client, output) = (|| context.operator(), &context.output);
        let lease = match self {
            Self::List(Filter { target, page }) => {
                let path = target.map_or_else(|| PATH.to_owned(), |target| format!("{PATH}?target={target}"));
                return list(output, &client()?.get(&page.of(&path)).await?);
            }
            Self::Show(Which { id }) => client()?.get(&format!("{PATH}/{id}")).await?,
            Self::Revoke(Which { id }) => client()?.post(&format!("{PATH}/{id}/revoke"), &Nothing {}).await?,
            // The agent's own: it needs no operator's token.
            Self::Renew(renew) => return renew.run(context).await,
        };
        print(output, &lease)
    }
}

fn list(output: &Output, list: &LeaseList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |lease: &api::Lease| {
        vec![
            lease.id.clone(),
            lease.state.clone(),
            lease.target.clone(),
            lease.agent.clone(),
            lease.roles.join(","),
            lease.attempts.to_string(),
            TimeMs(lease.expires_at_ms).to_string(),
        ]
    };
    let rows: Vec<_> = list.leases.iter().map(row).collect();
    output.table(&["LEASE", "STATE", "TARGET", "AGENT", "ROLES", "FAILED", "EXPIRES"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, lease: &api::Lease) -> Result<Exit, Failure> {
    if output.json {
        return output.json(lease).map(|()| Exit::Done);
    }
    output.line(format!("lease    {}  {}", lease.id, lease.state));
    output.line(format!("login    {} at {}", lease.name, lease.target));
    output.line(format!("roles    {}", lease.roles.join(", ")));
    output.line(format!("agent    {}", lease.agent));
    output.line(format!("grant    {}", lease.grant));
    output.line(format!("expires  {}", TimeMs(lease.expires_at_ms)));
    output.line(format!("ended    {}", time_or_dash(lease.ended_at_ms)));
    if lease.ended_at_ms.is_none() {
        output.line(format!("next     {}", TimeMs(lease.due_at_ms)));
    }
    if let Some(error) = &lease.last_error {
        output.line(format!("failed   {} times, last: {error}", lease.attempts));
    }
    Ok(Exit::Done)
}
