//! `attorn policy`.

mod bench;
mod build;
mod change;
mod dev;
mod diff;
mod doctor;
mod explain;
mod inspect;
mod lang;
mod local;
mod logs;
mod new;
mod new_key;
mod publish;
mod pull;
mod push;
mod run;
mod settings;
mod show;
mod sign;
mod signer;
mod test;
mod verify;

pub(crate) use push::read_component;

use attorn_api::policies::{self, Activate, Rollback, SetChanged};
use attorn_core::PolicyId;
use clap::{Args, Subcommand};

use super::{Nothing, load};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::page::Page;
use crate::parse;

/// What decides.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Push a version of a policy: a component with settings (duty: `policy_admin`)
    Push(Box<push::Push>),
    /// Put a version in force (duty: `policy_admin`; also `policy_weakener` to replace another)
    Activate(ActivateVersion),
    /// Build a policy again whenever its files change, run its cases, and show what they say otherwise (a server is needed
    /// for `--activate` only; duties: `policy_admin` and `policy_weakener`)
    Dev(Box<dev::Dev>),
    /// Put a policy out of force (duty: `policy_weakener`)
    Deactivate(Which),
    /// Go back to a version that was in force before (duties: `policy_admin`, and `policy_weakener` where one is in force)
    Rollback(RollBack),
    /// Change several policies at once, all or none (duties: `policy_admin`, and `policy_weakener` where one is in force)
    Change(change::Change),
    /// List policies and the set in force (duty: `policy_admin`)
    List(Page),
    /// Show a policy, its versions, and what came of them in shadow mode (duty: `policy_admin`)
    Show(Which),
    /// Say what differs between two versions (duty: `policy_admin`), which cases two components answer otherwise (without a
    /// server), or where two sets of policies would decide history otherwise (duty: `auditor`; also `policy_admin` for
    /// versions that are not in force)
    Diff(Box<diff::Diff>),
    /// Try what would be decided, and see why (duty: `auditor`; also `policy_admin` for versions that are not in force)
    Explain(Box<explain::Explain>),
    /// Whose signatures of components count, and whether components have to be signed
    #[command(subcommand)]
    Signer(signer::Signer),
    /// Print what policies wrote to their logs lately (duty: `auditor`)
    Logs(logs::Logs),
    #[command(flatten)]
    Local(local::Local),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy activate read-only            the newest version
  attorn policy activate read-only 3
  attorn policy activate read-only --version 3")]
pub(crate) struct ActivateVersion {
    /// Its id
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
    /// Which version; the newest if it is not said
    #[arg(value_name = "VERSION", conflicts_with = "version")]
    number: Option<u32>,
    /// The same, by name
    #[arg(long)]
    version: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy rollback read-only            the version before
  attorn policy rollback read-only 2
  attorn policy rollback read-only --to 2")]
pub(crate) struct RollBack {
    /// Its id
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
    /// To which version; to the one before if it is not said
    #[arg(value_name = "VERSION", conflicts_with = "to")]
    number: Option<u32>,
    /// The same, by name
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
}

impl Policy {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let output = &context.output;
        // What needs no server needs no token.
        let server = match self {
            Self::Local(local) => return local.run(output).await,
            Self::Diff(diff) => return diff.run(context).await,
            Self::Dev(dev) => return dev.run(context).await,
            server => server,
        };
        let client = context.operator()?;
        match server {
            Self::Local(local) => local.run(output).await,
            Self::Diff(diff) => diff.run(context).await,
            Self::Dev(dev) => dev.run(context).await,
            Self::Push(push) => push.run(&client, output).await,
            Self::Activate(ActivateVersion { id, number, version }) => {
                let version = match number.or(version) {
                    Some(version) => version,
                    None => newest(&client, &id).await?,
                };
                print_changed(output, &activate(&client, output, &id, version).await?)
            }
            Self::Rollback(RollBack { id, number, to }) => {
                let to = number.or(to);
                let path = format!("/v1/policies/{id}/rollback");
                print_changed(output, &load::post(&client, output, &path, &Rollback { to }).await?)
            }
            Self::Change(change) => change.run(&client, output).await,
            Self::Signer(signer) => signer.run(&client, output).await,
            Self::Logs(logs) => logs.run(&client, output).await,
            Self::Explain(explain) => explain.run(&client, output).await,
            Self::Deactivate(Which { id }) => {
                print_changed(output, &client.post(&format!("/v1/policies/{id}/deactivate"), &Nothing {}).await?)
            }
            Self::List(page) => show::list(output, &client.get(&page.of("/v1/policies")).await?),
            Self::Show(Which { id }) => show::show(output, &client.get(&format!("/v1/policies/{id}")).await?),
        }
    }
}

async fn activate(
    client: &OperatorClient,
    output: &Output,
    id: &PolicyId,
    version: u32,
) -> Result<SetChanged, Failure> {
    load::post(client, output, &format!("/v1/policies/{id}/activate"), &Activate { version }).await
}

async fn newest(client: &OperatorClient, id: &PolicyId) -> Result<u32, Failure> {
    let policy: policies::Policy = client.get(&format!("/v1/policies/{id}")).await?;
    let newest = policy.versions.iter().map(|version| version.version).max();
    newest.ok_or_else(|| Failure::new(format!("the policy `{id}` has no version")))
}

fn print_changed(output: &Output, changed: &SetChanged) -> Result<Exit, Failure> {
    if output.json {
        return output.json(changed).map(|()| Exit::Done);
    }
    let set = &changed.active_set;
    output.line(format!("in force: revision {}, {} policies, digest {}", set.revision, set.policies, set.digest));
    let row = |one: &policies::PolicyChanged| {
        let digest = one.digest.clone().unwrap_or_else(|| "-".into());
        vec![one.policy.clone(), show::number(one.version), show::number(one.replaced), digest]
    };
    let rows: Vec<_> = changed.changes.iter().map(row).collect();
    output.table(&["POLICY", "IN FORCE", "REPLACED", "DIGEST"], &rows);
    Ok(Exit::Done)
}
