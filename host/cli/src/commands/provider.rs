//! `attorn provider`.

mod backchannel;
mod check;
mod comes_to;

use std::path::PathBuf;

use attorn_api::delegations::Revoke;
use attorn_api::providers::{
    self, CONFIGURATION_BYTES_MAX, NamesAgentBy, ProviderConfiguration, ProviderList, TokenType,
};
use attorn_core::{ProviderId, TimeMs};
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

const PATH: &str = "/v1/providers";

/// What `--example` prints.
const EXAMPLE: &str = include_str!("provider/example.json");

/// Who vouches for users.
#[derive(Debug, Subcommand)]
pub(crate) enum Provider {
    /// Trust a provider (duty: registrar, as for all of these)
    Register(Register),
    /// List providers
    List(Page),
    /// Show a provider
    Show(Which),
    /// Replace all that is recorded about a provider but its id and issuer
    Update(Update),
    /// Trust a provider no more, for ever: none of its tokens is taken, and its issuer stays taken
    Revoke(Revoked),
    /// Explain what a token would give, and why not more
    Check(check::Check),
    /// How users are asked for approvals there
    #[command(subcommand)]
    Backchannel(backchannel::Backchannel),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn provider register --example > main.json
  attorn provider register --file main.json

What the members mean stands in host/PROVIDERS.md.")]
pub(crate) struct Register {
    /// Its configuration: one JSON object
    #[arg(long, value_name = "FILE", required_unless_present = "example", conflicts_with = "example")]
    file: Option<PathBuf>,
    /// Print a configuration to begin with, and register nothing
    #[arg(long)]
    example: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn provider show main --json | jq .configuration > main.json
  attorn provider update --file main.json

It holds for tokens that are brought from now on. What was delegated before stays; end it with `attorn user revoke` or
`attorn agent suspend`.")]
pub(crate) struct Update {
    /// Its whole configuration: one JSON object, of which `id` says which provider it is
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<ProviderId>)]
    id: ProviderId,
}

#[derive(Debug, Args)]
pub(crate) struct Revoked {
    /// Its id
    #[arg(value_parser = parse::id::<ProviderId>)]
    id: ProviderId,
    #[command(flatten)]
    why: Why,
}

impl Provider {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        if let Self::Register(Register { example: true, .. }) = self {
            context.output.raw(EXAMPLE);
            return Ok(Exit::Done);
        }
        let (client, output) = (context.operator()?, &context.output);
        let provider: providers::Provider = match self {
            Self::Register(register) => client.post(PATH, &configuration(&register.file.unwrap_or_default())?).await?,
            Self::List(page) => return list(output, &client.get(&page.of(PATH)).await?),
            Self::Show(Which { id }) => client.get(&format!("{PATH}/{id}")).await?,
            Self::Update(Update { file }) => {
                let configuration = configuration(&file)?;
                let id = parse::id::<ProviderId>(&configuration.id).map_err(Failure::usage)?;
                client.post(&format!("{PATH}/{id}/update"), &configuration).await?
            }
            Self::Revoke(Revoked { id, why }) => {
                client.post(&format!("{PATH}/{id}/revoke"), &Revoke { reason: why.reason }).await?
            }
            Self::Check(check) => return check.run(&client, output).await,
            Self::Backchannel(backchannel) => return backchannel.run(&client, output).await,
        };
        print(output, &provider)
    }
}

fn configuration(file: &std::path::Path) -> Result<ProviderConfiguration, Failure> {
    let text = read_text(file, CONFIGURATION_BYTES_MAX as u64)?;
    parse::strict_json(&text).map_err(|problem| {
        Failure::usage(format!("`{}` is no provider's configuration: {problem}", file.display()))
            .with_help("`attorn provider register --example` prints one")
    })
}

fn list(output: &Output, list: &ProviderList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |provider: &providers::Provider| {
        let configuration = &provider.configuration;
        let agents = configuration.clients.len().to_string();
        vec![configuration.id.clone(), configuration.issuer.clone(), agents, time_or_dash(provider.revoked_at_ms)]
    };
    let rows: Vec<_> = list.providers.iter().map(row).collect();
    output.table(&["PROVIDER", "ISSUER", "CLIENTS", "REVOKED"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, provider: &providers::Provider) -> Result<Exit, Failure> {
    if output.json {
        return output.json(provider).map(|()| Exit::Done);
    }
    let configuration = &provider.configuration;
    let or_none = |text: Option<&String>| text.map_or("-", String::as_str).to_owned();
    let joined = |all: &std::collections::BTreeSet<String>| {
        if all.is_empty() { "-".to_owned() } else { all.iter().map(String::as_str).collect::<Vec<_>>().join(" ") }
    };
    for (name, value) in [
        ("provider", configuration.id.clone()),
        ("issuer", configuration.issuer.clone()),
        ("audience", configuration.audience.clone()),
        ("algorithms", joined(&configuration.algorithms)),
        ("token type", token_type(configuration.token_type).into()),
        ("names agent by", naming(configuration.names_agent_by).into()),
        ("groups claim", or_none(configuration.groups_claim.as_ref())),
        ("session claim", configuration.session_claim.clone()),
        ("claims", joined(&configuration.claims)),
        ("delegations", format!("at most {} ms", configuration.delegation_ms_max)),
        ("user audience", or_none(configuration.user_audience.as_ref())),
        ("user clients", joined(&configuration.user_clients)),
        ("registered", TimeMs(provider.created_at_ms).to_string()),
        ("revoked", time_or_dash(provider.revoked_at_ms)),
    ] {
        output.line(format!("{name:14}  {value}"));
    }
    mappings(output, configuration);
    Ok(Exit::Done)
}

fn mappings(output: &Output, configuration: &ProviderConfiguration) {
    let purposes =
        |all: &std::collections::BTreeSet<String>| all.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    for (client, agent) in &configuration.clients {
        output.line(format!("client          {client} is the agent {agent}"));
    }
    for (scope, mapping) in &configuration.scopes {
        for permission in &mapping.permissions {
            let purposes = purposes(&mapping.purposes);
            output.line(format!(
                "scope           {scope}: {} on {} for {purposes}",
                permission.action, permission.resource
            ));
        }
    }
    for (name, mapping) in &configuration.authorization_details {
        for (action, meaning) in &mapping.actions {
            let (prefix, purposes) = (&mapping.resource_prefix, purposes(&mapping.purposes));
            output.line(format!("details         {name}, {action}: {meaning} on {prefix}… for {purposes}"));
        }
    }
}

const fn token_type(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::AtJwt => "at+jwt",
        TokenType::Jwt => "jwt",
    }
}

const fn naming(naming: NamesAgentBy) -> &'static str {
    match naming {
        NamesAgentBy::MayAct => "may_act",
        NamesAgentBy::Act => "act",
        NamesAgentBy::ClientId => "client_id",
        NamesAgentBy::Azp => "azp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration() {
        let configuration: ProviderConfiguration = parse::strict_json(EXAMPLE).unwrap();
        assert_eq!(configuration.clients.len(), 1);
    }
}
