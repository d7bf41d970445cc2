//! `attorn agent identity`.

use attorn_api::agents::{self, IdentityMethod, IdentitySubject, RevokeIdentity};
use attorn_core::{AgentId, InstanceName, SpiffeId};
use clap::{Args, Subcommand, ValueEnum};

use super::show;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::parse;

/// Identities of an agent that somebody else vouches for.
#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Add a SPIFFE ID, which its trust domain vouches for
    Add(Add),
    /// Revoke an identity; no other agent ever gets it
    Revoke(Revoke),
}

/// How an identity may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// By an X.509-SVID, as the client certificate of a connection.
    X509,
    /// By a JWT-SVID, beside a key of the agent's.
    Jwt,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn agent identity add support-bot spiffe://example.org/ns/support/bot --method x509 --instance pod-1")]
pub(crate) struct Add {
    /// The agent's id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    /// The SPIFFE ID; its trust domain has to be registered
    #[arg(value_parser = parse::id::<SpiffeId>)]
    spiffe_id: SpiffeId,
    /// How it may be shown; repeat it for both
    #[arg(long, value_enum, required = true, value_delimiter = ',')]
    method: Vec<Method>,
    /// Which of the agent's instances shows it
    #[arg(long, default_value = "default", value_parser = parse::id::<InstanceName>)]
    instance: InstanceName,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The agent's id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    /// The SPIFFE ID
    #[arg(value_parser = parse::id::<SpiffeId>)]
    spiffe_id: SpiffeId,
}

/// An identity as it is registered.
pub(super) fn identity(id: &SpiffeId, instance: &InstanceName, shown_by: &[Method]) -> agents::Identity {
    let mut methods = Vec::new();
    for method in shown_by {
        let method = match method {
            Method::X509 => IdentityMethod::X509,
            Method::Jwt => IdentityMethod::Jwt,
        };
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    agents::Identity { subject: IdentitySubject::Spiffe(id.to_string()), instance: instance.to_string(), methods }
}

impl Identity {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.operator()?;
        let agent: agents::Agent = match self {
            Self::Add(Add { id, spiffe_id, method, instance }) => {
                let identity = identity(&spiffe_id, &instance, &method);
                client.post(&format!("/v1/agents/{id}/identities"), &identity).await?
            }
            Self::Revoke(Revoke { id, spiffe_id }) => {
                let body = RevokeIdentity { subject: IdentitySubject::Spiffe(spiffe_id.to_string()) };
                client.post(&format!("/v1/agents/{id}/identities/revoke"), &body).await?
            }
        };
        show::print(&context.output, &agent)
    }
}
