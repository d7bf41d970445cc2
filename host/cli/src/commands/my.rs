//! `attorn my`: the users' own face.
//!
//! No operator's token works here, nor does one of an agent's client: a user signs in at a client that their
//! provider's `user_clients` lists.

use attorn_api::delegations::{Delegation, DelegationList, Revoke};
use attorn_api::users::RevokeOfUser;
use attorn_core::{AgentId, DelegationId};
use clap::{Args, Subcommand};

use super::Why;
use super::delegation::show;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::page::Page;
use crate::parse;

const PATH: &str = "/v1/me/delegations";

/// What you delegated yourself, as a user, with your own access token in `ATTORN_USER_TOKEN`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  ATTORN_USER_TOKEN=eyJ… attorn my delegations
  attorn my revoke dlg_…
  attorn my revoke-all --agent support-bot")]
pub(crate) enum My {
    /// List what you have delegated
    Delegations(Page),
    /// Revoke what you have delegated, with all that agents offered out of it
    Revoke(Revoked),
    /// Revoke all that you have delegated, or all to one agent
    RevokeAll(RevokeAll),
}

#[derive(Debug, Args)]
pub(crate) struct Revoked {
    /// Its id: `dlg_…`
    #[arg(value_parser = parse::id::<DelegationId>)]
    id: DelegationId,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeAll {
    /// Only what you delegated to this agent
    #[arg(long, value_name = "ID", value_parser = parse::id::<AgentId>)]
    agent: Option<AgentId>,
    #[command(flatten)]
    why: Why,
}

impl My {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.user()?, &context.output);
        let list: DelegationList = match self {
            Self::Delegations(page) => client.get(&page.of(PATH)).await?,
            Self::Revoke(Revoked { id, why }) => {
                let body = Revoke { reason: why.reason };
                let revoked: Delegation = client.post(&format!("{PATH}/{id}/revoke"), &body).await?;
                return show::one(output, &revoked, &revoked);
            }
            Self::RevokeAll(RevokeAll { agent, why }) => {
                let body = RevokeOfUser { agent: agent.map(|agent| agent.to_string()), reason: why.reason };
                client.post("/v1/me/revoke", &body).await?
            }
        };
        show::of_user(output, &list)
    }
}
