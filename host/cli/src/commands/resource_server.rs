//! `attorn resource-server`.

use attorn_api::delegations::Revoke;
use attorn_api::resource_servers::{self, RegisterResourceServer, ResourceServerList, UseCounting};
use attorn_core::TimeMs;
use attorn_core::{Audience, ResourceServerId, ResourceType};
use clap::{ArgGroup, Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{KEY_SOURCES, KeyAlgorithm, KeySource};
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// Who accepts credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum ResourceServer {
    /// Register a resource server (duty: registrar, as for all of these)
    Register(Box<Register>),
    /// List resource servers
    List(Page),
    /// Show a resource server
    Show(Which),
    /// Revoke a resource server: nothing is granted for its resources any more
    Revoke(Revoked),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn resource-server register faq --audience https://faq.example --resource-type article --new-key faq.key")]
#[command(group(ArgGroup::new("key").required(true).args(KEY_SOURCES)))]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<ResourceServerId>)]
    id: ResourceServerId,
    /// What it answers to in a token's `aud`
    #[arg(long, value_parser = parse::id::<Audience>)]
    audience: Audience,
    /// A type of resource that is its own; repeat it, or join with commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = parse::id::<ResourceType>)]
    resource_type: Vec<ResourceType>,
    /// How it sees to it that no grant is used more often than it may be: it reports each use before it acts
    /// (`reports`), remembers used grants until they expire (`remembers`), or does not, and gets none (`no`)
    #[arg(long, default_value = "reports", value_parser = parse::use_counting)]
    counts_uses: UseCounting,
    #[command(flatten)]
    key: KeySource,
    /// How a new key signs
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::Es256)]
    algorithm: KeyAlgorithm,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<ResourceServerId>)]
    id: ResourceServerId,
}

#[derive(Debug, Args)]
pub(crate) struct Revoked {
    /// Its id
    #[arg(value_parser = parse::id::<ResourceServerId>)]
    id: ResourceServerId,
    #[command(flatten)]
    why: Why,
}

impl ResourceServer {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/resource-servers";
        let (client, output) = (context.operator()?, &context.output);
        let server: resource_servers::ResourceServer = match self {
            Self::Register(register) => {
                let key = register.key.obtain(register.algorithm)?;
                let body = RegisterResourceServer {
                    id: register.id.to_string(),
                    audience: register.audience.to_string(),
                    resource_types: register.resource_type.iter().map(ToString::to_string).collect(),
                    jwk: key.jwk.clone(),
                    counts_uses: register.counts_uses,
                };
                let made = key.where_it_is();
                print(output, &key.settle(client.post(PATH, &body).await)?)?;
                if let Some(made) = made {
                    output.note(made);
                }
                return Ok(Exit::Done);
            }
            Self::List(page) => return list(output, &client.get(&page.of(PATH)).await?),
            Self::Show(Which { id }) => client.get(&format!("{PATH}/{id}")).await?,
            Self::Revoke(Revoked { id, why }) => {
                client.post(&format!("{PATH}/{id}/revoke"), &Revoke { reason: why.reason }).await?
            }
        };
        print(output, &server)
    }
}

fn list(output: &Output, list: &ResourceServerList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |server: &resource_servers::ResourceServer| {
        vec![
            server.id.clone(),
            server.audience.clone(),
            server.resource_types.join(","),
            time_or_dash(server.revoked_at_ms),
        ]
    };
    let rows: Vec<_> = list.resource_servers.iter().map(row).collect();
    output.table(&["RESOURCE SERVER", "AUDIENCE", "RESOURCE TYPES", "REVOKED"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, server: &resource_servers::ResourceServer) -> Result<Exit, Failure> {
    if output.json {
        return output.json(server).map(|()| Exit::Done);
    }
    output.line(format!("resource server  {}", server.id));
    output.line(format!("audience         {}", server.audience));
    output.line(format!("resource types   {}", server.resource_types.join(" ")));
    output.line(format!("key              {}", server.key_thumbprint));
    output.line(format!("counts uses      {}", counts_uses(server)));
    output.line(format!("registered       {}", TimeMs(server.created_at_ms)));
    output.line(format!("revoked          {}", time_or_dash(server.revoked_at_ms)));
    Ok(Exit::Done)
}

const fn counts_uses(server: &resource_servers::ResourceServer) -> &'static str {
    match server.counts_uses {
        UseCounting::Reports => "reports each",
        UseCounting::Remembers => "remembers each",
        UseCounting::No => "no",
    }
}
