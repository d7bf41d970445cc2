//! What agents do with delegations: they prove possession of a key or show a certificate, and no operator is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attorn_agent::{Delegation, Exchange, Part};
use attorn_api::ProblemCode;
use attorn_api::agents::Permission;
use attorn_api::delegations::{DelegationList, DelegationMade};
use attorn_api::providers::TOKEN_BYTES_MAX;
use attorn_core::{AgentId, DelegationId, Purpose};
use clap::Args;

use super::show;
use crate::agent_source::AgentSource;
use crate::commands::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{read_text, stdin_text};
use crate::output::Output;
use crate::parse::{self, Span};

/// More than the server takes, so that it is the server that says so.
const TOKEN_FILE_BYTES_MAX: u64 = 2 * TOKEN_BYTES_MAX as u64;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn delegation create --key bot.key --token - --purpose serve-customers < token.txt
  attorn delegation create --key bot.key --token token.txt --purpose serve-customers \\
    --permission 'invoice.read invoice/*' --for 10m

What a token would give, and why not more: `attorn provider check`. The server keeps the token nowhere; the same
one for the same gives the same delegation again.")]
pub(crate) struct Create {
    #[command(flatten)]
    agent: AgentSource,
    /// A file with the user's access token, or `-` to read it from standard input
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    /// What for: a purpose that the user consented to
    #[arg(long, value_parser = parse::id::<Purpose>)]
    purpose: Purpose,
    /// Take only this of what the user consented to. Repeat it for more
    #[arg(long, value_name = "ACTION RESOURCE", value_parser = parse::permission)]
    permission: Vec<Permission>,
    /// For no longer than this: `10m`, `1h`; without it, for as long as the provider's settings let it
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Span>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn delegation offer dlg_… --key bot.key --to reader --permission 'invoice.read invoice/17' --for 5m
  attorn delegation accept dlg_… --key reader.key

No token changes hands. What is wider than the agent's own is refused, and nothing lasts longer.")]
pub(crate) struct Offer {
    #[command(flatten)]
    delegation: OfAgent,
    /// The agent that it is to
    #[arg(long, value_name = "AGENT", value_parser = parse::id::<AgentId>)]
    to: AgentId,
    /// What it may do. Repeat it for more
    #[arg(long, required = true, value_name = "ACTION RESOURCE", value_parser = parse::permission)]
    permission: Vec<Permission>,
    /// For no longer than this: `10m`, `1h`; without it, for as long as the agent's own
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Span>,
}

/// A delegation, and the agent that it concerns.
#[derive(Debug, Args)]
pub(crate) struct OfAgent {
    /// Its id: `dlg_…`
    #[arg(value_parser = parse::id::<DelegationId>)]
    id: DelegationId,
    #[command(flatten)]
    agent: AgentSource,
}

#[derive(Debug, Args)]
pub(crate) struct Own {
    #[command(flatten)]
    agent: AgentSource,
}

#[derive(Debug, Args)]
pub(crate) struct GiveBack {
    #[command(flatten)]
    delegation: OfAgent,
    #[command(flatten)]
    why: Why,
}

impl Create {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.agent(&self.agent)?;
        let token = if self.token == Path::new("-") {
            stdin_text(TOKEN_FILE_BYTES_MAX)?
        } else {
            read_text(&self.token, TOKEN_FILE_BYTES_MAX)?
        };
        let mut exchange = Exchange::new(token.trim(), self.purpose.as_str());
        if !self.permission.is_empty() {
            exchange = exchange.narrowed_to(pairs(&self.permission));
        }
        if let Some(Span { ms }) = self.span {
            exchange = exchange.for_at_most(Duration::from_millis(ms));
        }
        let delegation = client.exchange(&exchange).await.map_err(|error| with_way_out(error.into()))?;
        made(&context.output, &delegation)
    }
}

/// Not every refusal of a token says what to do about it.
fn with_way_out(failure: Failure) -> Failure {
    match failure.code {
        Some(ProblemCode::SubjectTokenRefused) if failure.help.is_none() => failure.with_help(
            "a token for Attorn is an access token that names this agent; `attorn provider check` shows operators each \
             check of it",
        ),
        _ => failure,
    }
}

impl Offer {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let OfAgent { id, agent } = &self.delegation;
        let mut part = Part::of(id.as_str(), pairs(&self.permission));
        if let Some(Span { ms }) = self.span {
            part = part.for_at_most(Duration::from_millis(ms));
        }
        let offered = context.agent(agent)?.offer_part(&part, self.to.as_str()).await?;
        let to = &self.to;
        let accept = format!("`attorn delegation accept {}`", offered.id());
        context.output.note(format!("`{to}` has to accept it, by its key or certificate: {accept}"));
        made(&context.output, &offered)
    }
}

impl OfAgent {
    pub(super) async fn accept(self, context: &Context) -> Result<Exit, Failure> {
        let accepted = context.agent(&self.agent)?.accept(self.id.as_str()).await?;
        made(&context.output, &accepted)
    }
}

impl Own {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let own = context.agent(&self.agent)?.own_delegations().await?;
        let delegations = own.iter().map(|one| one.recorded().clone()).collect();
        show::list(&context.output, &DelegationList { delegations, next: None })
    }
}

impl GiveBack {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let OfAgent { id, agent } = &self.delegation;
        let ended = context.agent(agent)?.give_back(id.as_str(), self.why.reason.as_deref()).await?;
        show::one(&context.output, ended.recorded(), ended.recorded())
    }
}

fn pairs(permissions: &[Permission]) -> impl Iterator<Item = (&str, &str)> {
    permissions.iter().map(|one| (one.action.as_str(), one.resource.as_str()))
}

/// What was made, as the API gives it.
fn made(output: &Output, delegation: &Delegation) -> Result<Exit, Failure> {
    let recorded = delegation.recorded();
    match delegation.entry() {
        Some(entry) => {
            let whole = DelegationMade { delegation: recorded.clone(), entry: entry.clone() };
            show::one(output, recorded, &whole)
        }
        None => show::one(output, recorded, recorded),
    }
}
