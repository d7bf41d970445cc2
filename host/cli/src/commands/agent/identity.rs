//! `attorn agent identity`.

use attorn_api::agents::{self, IdentityMethod, IdentitySubject, RevokeIdentity, Workload};
use attorn_core::{AgentId, InstanceName, Issuer, SpiffeId, WorkloadSubject};
use clap::{Args, Subcommand, ValueEnum};

use super::show;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::parse;

/// Identities of an agent that somebody else vouches for.
#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Add a SPIFFE ID, which its trust domain vouches for, or a workload, which its issuer vouches for
    Add(Add),
    /// Revoke an identity; no other agent ever gets it
    Revoke(Revoke),
}

/// How an identity may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// By an X.509-SVID, as the client certificate of a connection.
    X509,
    /// By a JWT-SVID or a workload's token, beside a key of the agent's.
    Jwt,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn agent identity add support-bot spiffe://example.org/ns/support/bot --method x509 --instance pod-1
  attorn agent identity add invoice-bot --workload-issuer https://kubernetes.default.svc.cluster.local \\
    --subject system:serviceaccount:billing:invoice-bot")]
pub(crate) struct Add {
    /// The agent's id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    #[command(flatten)]
    who: Who,
    /// How it may be shown; repeat it for both. A workload is shown by `jwt`
    #[arg(long, value_enum, required_unless_present = "workload_issuer", value_delimiter = ',')]
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
    #[command(flatten)]
    who: Who,
}

/// Who an identity says that somebody is.
#[derive(Debug, Args)]
struct Who {
    /// The SPIFFE ID; its trust domain has to be registered
    #[arg(value_parser = parse::id::<SpiffeId>, required_unless_present = "workload_issuer")]
    spiffe_id: Option<SpiffeId>,
    /// What the workload's tokens say in `iss`; such a workload issuer has to be registered
    #[arg(long, value_name = "ISSUER", value_parser = parse::id::<Issuer>, requires = "subject",
        conflicts_with = "spiffe_id")]
    workload_issuer: Option<Issuer>,
    /// What they say in `sub`
    #[arg(long, value_parser = parse::id::<WorkloadSubject>, requires = "workload_issuer")]
    subject: Option<WorkloadSubject>,
}

impl Who {
    fn wire(&self) -> Result<IdentitySubject, Failure> {
        match (&self.spiffe_id, &self.workload_issuer, &self.subject) {
            (Some(id), None, None) => Ok(IdentitySubject::Spiffe(id.to_string())),
            (None, Some(issuer), Some(subject)) => {
                Ok(IdentitySubject::Workload(Workload { issuer: issuer.to_string(), subject: subject.to_string() }))
            }
            _ => Err(Failure::usage("either a SPIFFE ID, or `--workload-issuer` and `--subject`")),
        }
    }
}

/// An identity as it is registered.
pub(super) fn identity(subject: IdentitySubject, instance: &InstanceName, shown_by: &[Method]) -> agents::Identity {
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
    agents::Identity { subject, instance: instance.to_string(), methods }
}

impl Identity {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.operator()?;
        let agent: agents::Agent = match self {
            Self::Add(Add { id, who, mut method, instance }) => {
                // There is one way to show a workload.
                if method.is_empty() {
                    method.push(Method::Jwt);
                }
                let identity = identity(who.wire()?, &instance, &method);
                client.post(&format!("/v1/agents/{id}/identities"), &identity).await?
            }
            Self::Revoke(Revoke { id, who }) => {
                let body = RevokeIdentity { subject: who.wire()? };
                client.post(&format!("/v1/agents/{id}/identities/revoke"), &body).await?
            }
        };
        show::print(&context.output, &agent)
    }
}
