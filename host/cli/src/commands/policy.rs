//! `attorn policy`.

mod push;

pub(crate) use push::read_component;

use attorn_api::policies::{self, Activate, ActiveSet, PolicyList};
use attorn_core::PolicyId;
use attorn_core::TimeMs;
use clap::{Args, Subcommand};

use super::Nothing;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::page::{Page, note_next};
use crate::parse;

/// What decides.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Push a version of a policy: a component with settings (duty: `policy_admin`)
    Push(Box<push::Push>),
    /// Put a version in force (duty: `policy_admin`; also `policy_weakener` to replace another)
    Activate(ActivateVersion),
    /// Put a policy out of force (duty: `policy_weakener`)
    Deactivate(Which),
    /// List policies and the set in force (duty: `policy_admin`)
    List(Page),
    /// Show a policy and its versions (duty: `policy_admin`)
    Show(Which),
}

#[derive(Debug, Args)]
pub(crate) struct ActivateVersion {
    /// Its id
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
    /// Which version; the newest if it is not said
    #[arg(long)]
    version: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
}

impl Policy {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        match self {
            Self::Push(push) => push.run(&client, output).await,
            Self::Activate(ActivateVersion { id, version }) => {
                let version = match version {
                    Some(version) => version,
                    None => newest(&client, &id).await?,
                };
                print_set(output, &activate(&client, &id, version).await?)
            }
            Self::Deactivate(Which { id }) => {
                print_set(output, &client.post(&format!("/v1/policies/{id}/deactivate"), &Nothing {}).await?)
            }
            Self::List(page) => list(output, &client.get(&page.of("/v1/policies")).await?),
            Self::Show(Which { id }) => show(output, &client.get(&format!("/v1/policies/{id}")).await?),
        }
    }
}

async fn activate(client: &OperatorClient, id: &PolicyId, version: u32) -> Result<ActiveSet, Failure> {
    client.post(&format!("/v1/policies/{id}/activate"), &Activate { version }).await
}

async fn newest(client: &OperatorClient, id: &PolicyId) -> Result<u32, Failure> {
    let policy: policies::Policy = client.get(&format!("/v1/policies/{id}")).await?;
    let newest = policy.versions.iter().map(|version| version.version).max();
    newest.ok_or_else(|| Failure::new(format!("the policy `{id}` has no version")))
}

fn print_set(output: &Output, set: &ActiveSet) -> Result<Exit, Failure> {
    if output.json {
        return output.json(set).map(|()| Exit::Done);
    }
    output.line(format!("in force: revision {}, digest {}", set.revision, set.digest));
    let row = |member: &policies::ActiveMember| {
        vec![member.policy.clone(), member.version.to_string(), member.digest.clone()]
    };
    output.table(&["POLICY", "VERSION", "DIGEST"], &set.members.iter().map(row).collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn list(output: &Output, list: &PolicyList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    output.line(format!("in force: revision {}, digest {}", list.active_set.revision, list.active_set.digest));
    let row = |policy: &policies::PolicySummary| {
        let active = policy.active_version.map_or_else(|| "-".into(), |version| version.to_string());
        vec![policy.id.clone(), active, policy.latest_version.to_string()]
    };
    output.table(&["POLICY", "IN FORCE", "NEWEST"], &list.policies.iter().map(row).collect::<Vec<_>>());
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn show(output: &Output, policy: &policies::Policy) -> Result<Exit, Failure> {
    if output.json {
        return output.json(policy).map(|()| Exit::Done);
    }
    let row = |version: &policies::PolicyVersion| {
        vec![
            version.version.to_string(),
            if version.active { "in force" } else { "-" }.into(),
            version.created_by.clone(),
            TimeMs(version.created_at_ms).to_string(),
            version.digest.clone(),
        ]
    };
    output.line(format!("policy {}", policy.id));
    let heads = ["VERSION", "STATE", "PUSHED BY", "AT", "DIGEST"];
    output.table(&heads, &policy.versions.iter().map(row).collect::<Vec<_>>());
    Ok(Exit::Done)
}
