//! `attorn lease`.

use attorn_api::targets::{self as api, LeaseList};
use attorn_core::{LeaseId, TargetId, TimeMs};
use clap::{Args, Subcommand};

use super::Nothing;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// Credentials that exist outside.
#[derive(Debug, Subcommand)]
pub(crate) enum Lease {
    /// List leases (duty: registrar, as for all of these)
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

impl Lease {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/leases";
        let (client, output) = (context.operator()?, &context.output);
        let lease = match self {
            Self::List(Filter { target, page }) => {
                let path = target.map_or_else(|| PATH.to_owned(), |target| format!("{PATH}?target={target}"));
                return list(output, &client.get(&page.of(&path)).await?);
            }
            Self::Show(Which { id }) => client.get(&format!("{PATH}/{id}")).await?,
            Self::Revoke(Which { id }) => client.post(&format!("{PATH}/{id}/revoke"), &Nothing {}).await?,
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
