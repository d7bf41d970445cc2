//! `attorn agent key`, and the arguments that name a key.

use attorn_api::agents::{self, RegisterKey};
use attorn_core::{AgentId, InstanceName, KeyThumbprint};
use clap::{ArgGroup, Args, Subcommand};

use super::show;
use crate::commands::Nothing;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{KEY_SOURCES, KeyAlgorithm, KeySource, RegisteredKey};
use crate::parse::{self, Span};

/// An agent's keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Add a key, for another instance or instead of one that expires
    Add(Box<Add>),
    /// Revoke a key, for ever
    Revoke(Revoke),
}

/// A key, and who holds it.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    source: KeySource,
    /// How a new key signs
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::Es256, requires = "key_source")]
    algorithm: KeyAlgorithm,
    /// Who holds the key or shows the identity, such as a pod or a host
    #[arg(long, default_value = "default", value_parser = parse::id::<InstanceName>)]
    instance: InstanceName,
    /// When the key expires
    #[arg(long, value_name = "SPAN", default_value = "90d", requires = "key_source")]
    expires_in: Span,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  attorn agent key add support-bot --new-key pod-2.key --instance pod-2 --expires-in 30d"
)]
#[command(group(ArgGroup::new("key").required(true).args(KEY_SOURCES)))]
pub(crate) struct Add {
    /// The agent's id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The agent's id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    /// The key's thumbprint, as `attorn agent show` prints it
    #[arg(value_parser = parse::id::<KeyThumbprint>, allow_hyphen_values = true)]
    thumbprint: KeyThumbprint,
}

impl KeyArgs {
    /// Which of the agent's instances this is about.
    pub(super) const fn instance(&self) -> &InstanceName {
        &self.instance
    }

    /// The key as it is registered, if one was named.
    pub(super) fn obtain_if_given(&self) -> Result<Option<(RegisterKey, RegisteredKey)>, Failure> {
        if self.source.is_given() { self.obtain().map(Some) } else { Ok(None) }
    }

    /// The key as it is registered.
    pub(super) fn obtain(&self) -> Result<(RegisterKey, RegisteredKey), Failure> {
        let registered = self.source.obtain(self.algorithm)?;
        let key = RegisterKey {
            instance: self.instance.to_string(),
            jwk: registered.jwk.clone(),
            expires_at_ms: self.expires_in.ends_at_ms(),
        };
        Ok((key, registered))
    }
}

impl Key {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.operator()?;
        let agent: agents::Agent = match self {
            Self::Add(add) => {
                let (key, registered) = add.key.obtain()?;
                let made = registered.where_it_is();
                let done = client.post(&format!("/v1/agents/{}/keys", add.id), &key).await;
                show::print(&context.output, &registered.settle(done)?)?;
                if let Some(made) = made {
                    context.output.note(made);
                }
                return Ok(Exit::Done);
            }
            Self::Revoke(Revoke { id, thumbprint }) => {
                client.post(&format!("/v1/agents/{id}/keys/{thumbprint}/revoke"), &Nothing {}).await?
            }
        };
        show::print(&context.output, &agent)
    }
}
