//! `attorn user`.

mod erase;

use attorn_api::users::{self, NameUser, RevokeOfUser};
use attorn_core::{AgentId, ProviderId, TimeMs, UserId};
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::parse;

const PATH: &str = "/v1/users";

/// On whose behalf agents act.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Register a user before they were first seen (duty: registrar, as for all but `erase`)
    Register(Named),
    /// Find a user by what their provider calls them
    Find(Named),
    /// Show a user, and what they may do themselves now
    Show(Which),
    /// Revoke all that a user delegated, or all to one agent, with all below
    Revoke(Revoke),
    /// Erase a user for ever (duty: eraser)
    Erase(erase::Erase),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn user register --provider main --subject 5f1c7a0e
  attorn user find --provider main --subject 5f1c7a0e --json

A user is registered by themselves when an agent brings their consent for the first time.")]
pub(crate) struct Named {
    /// The provider's id: `attorn provider list`
    #[arg(long, value_name = "ID", value_parser = parse::id::<ProviderId>)]
    provider: ProviderId,
    /// Their name there: `sub` of its tokens
    #[arg(long, value_name = "SUB")]
    subject: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn user show usr_…
  attorn user show usr_… --json | jq .entitlements")]
pub(crate) struct Which {
    /// Their id: `usr_…`
    #[arg(value_parser = parse::id::<UserId>)]
    id: UserId,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn user revoke usr_… --reason 'left the company'
  attorn user revoke usr_… --agent support-bot

It is one durable write, however much hangs on it. Afterwards only a token of a later sign-in delegates anew; to
stop that, too, delete what the user is entitled to, or block them at their provider.")]
pub(crate) struct Revoke {
    /// Their id: `usr_…`
    #[arg(value_parser = parse::id::<UserId>)]
    id: UserId,
    /// Only what was delegated to this agent, with all below
    #[arg(long, value_name = "ID", value_parser = parse::id::<AgentId>)]
    agent: Option<AgentId>,
    #[command(flatten)]
    why: Why,
}

impl User {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        let name = |named: Named| NameUser { provider: named.provider.to_string(), subject: named.subject };
        let user: users::User = match self {
            Self::Erase(erase) => return erase.run(context).await,
            Self::Register(named) => client.post(PATH, &name(named)).await?,
            Self::Find(named) => client.post(&format!("{PATH}/find"), &name(named)).await?,
            Self::Show(Which { id }) => client.get(&format!("{PATH}/{id}")).await?,
            Self::Revoke(Revoke { id, agent, why }) => {
                let body = RevokeOfUser { agent: agent.map(|agent| agent.to_string()), reason: why.reason };
                client.post(&format!("{PATH}/{id}/revoke"), &body).await?
            }
        };
        print(output, &user)
    }
}

fn print(output: &Output, user: &users::User) -> Result<Exit, Failure> {
    if output.json {
        return output.json(user).map(|()| Exit::Done);
    }
    let groups = if user.groups.is_empty() { "-".to_owned() } else { user.groups.join(" ") };
    let after = user.login_after_ms.map_or_else(|| "any sign-in".to_owned(), |at| TimeMs(at).to_string());
    // One who was registered has not come from their provider yet.
    let asserted = match user.asserted_at_ms {
        0 => "never".to_owned(),
        at => TimeMs(at).to_string(),
    };
    for (name, value) in [
        ("user", user.id.clone()),
        ("in the log", user.pseudonym.clone()),
        ("provider", format!("{} ({})", user.provider, user.issuer)),
        ("subject", user.subject.clone()),
        ("groups", groups),
        ("claims", user.claims.to_string()),
        ("asserted", asserted),
        ("first seen", TimeMs(user.created_at_ms).to_string()),
        ("revoked all", format!("{} times", user.revocations)),
        ("because", user.revoked_because.clone().unwrap_or_default()),
        ("delegates by", if user.login_after_ms.is_some() { format!("sign-ins after {after}") } else { after }),
    ] {
        // A reason is only there where somebody revoked and gave one.
        if name != "because" || !value.is_empty() {
            output.line(format!("{name:12}  {value}"));
        }
    }
    let rows: Vec<_> = user.entitlements.iter().map(|one| vec![one.action.clone(), one.resource.clone()]).collect();
    output.line("");
    output.table(&["MAY THEMSELVES", "ON"], &rows);
    Ok(Exit::Done)
}
