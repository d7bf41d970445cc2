//! `attorn delegation`.
//!
//! What operators do with delegations, and what agents do: those commands take a `--key` or a `--certificate`, and no
//! token.

mod agents;
pub(super) mod show;

use attorn_api::delegations::{self, DelegationDetails, DelegationList, DelegationTree};
use attorn_core::{AgentId, DelegationId, UserId};
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::page::Page;
use crate::parse;

const PATH: &str = "/v1/delegations";

/// What users let agents do, and agents each other.
#[derive(Debug, Subcommand)]
pub(crate) enum Delegation {
    /// List delegations: all, a user's or an agent's (duty: registrar, as for `show`, `tree` and `revoke`)
    List(List),
    /// Show a delegation, and by what the user consented
    Show(Which),
    /// Show a delegation and all that was offered out of it
    Tree(Which),
    /// Revoke a delegation with all below: their next request is denied
    Revoke(Revoke),
    /// As an agent: bring a user's consent
    Create(agents::Create),
    /// As an agent: offer a part of a delegation to another agent
    Offer(agents::Offer),
    /// As an agent: accept what another agent offered
    Accept(agents::OfAgent),
    /// As an agent: list what was delegated to it, offers among it
    Own(agents::Own),
    /// As an agent: give back what it received, or take back what it offered, with all below
    GiveBack(agents::GiveBack),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn delegation list --user usr_…
  attorn delegation list --agent support-bot --json")]
pub(crate) struct List {
    /// Only those whose chain starts with this user: `usr_…`
    #[arg(long, value_name = "ID", value_parser = parse::id::<UserId>, conflicts_with = "agent")]
    user: Option<UserId>,
    /// Only those to this agent
    #[arg(long, value_name = "ID", value_parser = parse::id::<AgentId>)]
    agent: Option<AgentId>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id: `dlg_…`
    #[arg(value_parser = parse::id::<DelegationId>)]
    id: DelegationId,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn delegation revoke dlg_… --reason 'reported by the user'

Where the delegation is the user's own, only a token of a later sign-in makes a new one for that agent. All of a
user's: `attorn user revoke`; all of a session's: `attorn session revoke`.")]
pub(crate) struct Revoke {
    /// Its id: `dlg_…`
    #[arg(value_parser = parse::id::<DelegationId>)]
    id: DelegationId,
    #[command(flatten)]
    why: Why,
}

impl Delegation {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let output = &context.output;
        match self {
            Self::List(list) => {
                let found: DelegationList = context.operator()?.get(&list.path()).await?;
                show::list(output, &found)
            }
            Self::Show(Which { id }) => {
                let details: DelegationDetails = context.operator()?.get(&format!("{PATH}/{id}")).await?;
                show::details(output, &details)
            }
            Self::Tree(Which { id }) => {
                let tree: DelegationTree = context.operator()?.get(&format!("{PATH}/{id}/tree")).await?;
                show::tree(output, &tree)
            }
            Self::Revoke(Revoke { id, why }) => {
                let body = delegations::Revoke { reason: why.reason };
                let path = format!("{PATH}/{id}/revoke");
                let revoked: delegations::Delegation = context.operator()?.post(&path, &body).await?;
                show::one(output, &revoked, &revoked)
            }
            Self::Create(create) => create.run(context).await,
            Self::Offer(offer) => offer.run(context).await,
            Self::Accept(accept) => accept.accept(context).await,
            Self::Own(own) => own.run(context).await,
            Self::GiveBack(back) => back.run(context).await,
        }
    }
}

impl List {
    fn path(&self) -> String {
        // What stands here are ids, and nothing in them means something in a query.
        self.page.of(&match (&self.user, &self.agent) {
            (Some(user), _) => format!("{PATH}?user={user}"),
            (None, Some(agent)) => format!("{PATH}?agent={agent}"),
            (None, None) => PATH.to_owned(),
        })
    }
}
