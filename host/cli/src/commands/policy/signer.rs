//! `attorn policy signer`.

use attorn_api::delegations::Revoke as RevokeBody;
use attorn_api::policy_signers::{
    ChangePolicySignatures, PolicySignatures, PolicySigner, PolicySignerList, RegisterPolicySigner,
};
use attorn_core::{PolicySignerId, TimeMs};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::verify::public_key;
use crate::commands::Why;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

const PATH: &str = "/v1/policy-signers";
const REQUIREMENT: &str = "/v1/policy-signatures";

/// Whose signatures of components count, and whether components have to be signed.
#[derive(Debug, Subcommand)]
pub(crate) enum Signer {
    /// Have the signatures of a key count (duty: `policy_weakener`)
    Register(Register),
    /// List signers, and whether components have to be signed (duty: `policy_admin`)
    #[command(after_help = "Examples:\n  attorn policy signer list --json")]
    List(Page),
    /// Show a signer (duty: `policy_admin`)
    Show(Which),
    /// Count no signature of a signer's any more; what they signed and is in force stays in force (duty: `policy_admin`)
    #[command(after_help = "Examples:\n  attorn policy signer revoke release --reason 'the key was lost'")]
    Revoke(Revoke),
    /// Say whether components have to be signed (duties: `policy_admin` for `on`, `policy_weakener` for `off`)
    Require(Require),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy signer register release --public-key release.key.pub --name 'the release team'
  attorn policy signer register release --public-key RWT1T3wJB/3rmIZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uh")]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<PolicySignerId>)]
    id: PolicySignerId,
    /// The public key of minisign: the key itself, or a file that holds it
    #[arg(long, value_name = "KEY|FILE.pub")]
    public_key: String,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<PolicySignerId>)]
    id: PolicySignerId,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Its id
    #[arg(value_parser = parse::id::<PolicySignerId>)]
    id: PolicySignerId,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy signer require                say whether they have to be
  attorn policy signer require on
  attorn policy signer require off --reason 'the signing key is away'")]
pub(crate) struct Require {
    /// Whether a version is taken, and comes into force, only with a signature of an active signer; what holds now if it is
    /// not said
    #[arg(value_enum, value_name = "on|off")]
    require: Option<Switch>,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    /// It is
    On,
    /// It is not
    Off,
}

/// What `list` prints as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    list: &'a PolicySignerList,
    requirement: &'a PolicySignatures,
}

impl Signer {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Register(Register { id, public_key: key, name }) => {
                let public_key = public_key(&key)?.as_str().to_owned();
                let body = RegisterPolicySigner { id: id.to_string(), public_key, name };
                show(output, &client.post(PATH, &body).await?)
            }
            Self::List(page) => list(output, &client.get(&page.of(PATH)).await?, &client.get(REQUIREMENT).await?),
            Self::Show(Which { id }) => show(output, &client.get(&format!("{PATH}/{id}")).await?),
            Self::Revoke(Revoke { id, why }) => {
                let body = RevokeBody { reason: why.reason };
                let signer: PolicySigner = client.post(&format!("{PATH}/{id}/revoke"), &body).await?;
                if output.json {
                    return output.json(&signer).map(|()| Exit::Done);
                }
                output.line(format!("no signature of the signer {} counts any more", signer.id));
                warn(output, &client.get(REQUIREMENT).await?);
                Ok(Exit::Done)
            }
            Self::Require(Require { require, why }) => {
                let body = ChangePolicySignatures { reason: why.reason };
                let signatures: PolicySignatures = match require {
                    None => client.get(REQUIREMENT).await?,
                    Some(Switch::On) => client.post(&format!("{REQUIREMENT}/require"), &body).await?,
                    Some(Switch::Off) => client.post(&format!("{REQUIREMENT}/lift"), &body).await?,
                };
                if output.json {
                    return output.json(&signatures).map(|()| Exit::Done);
                }
                output.line(requirement(&signatures));
                warn(output, &signatures);
                Ok(Exit::Done)
            }
        }
    }
}

fn show(output: &Output, signer: &PolicySigner) -> Result<Exit, Failure> {
    if output.json {
        return output.json(signer).map(|()| Exit::Done);
    }
    output.line(format!("signer      {}", signer.id));
    if let Some(name) = &signer.name {
        output.line(format!("name        {name}"));
    }
    output.line(format!("key         {}", signer.key));
    output.line(format!("public key  {}", signer.public_key));
    output.line(format!("registered  {} by {}", TimeMs(signer.created_at_ms), signer.created_by));
    if let (Some(at), Some(by)) = (signer.revoked_at_ms, &signer.revoked_by) {
        output.line(format!("revoked     {} by {by}", TimeMs(at)));
    }
    Ok(Exit::Done)
}

fn list(output: &Output, list: &PolicySignerList, signatures: &PolicySignatures) -> Result<Exit, Failure> {
    if output.json {
        return output.json(&Listed { list, requirement: signatures }).map(|()| Exit::Done);
    }
    output.line(requirement(signatures));
    let row = |signer: &PolicySigner| {
        let (since, revoked) = (TimeMs(signer.created_at_ms).to_string(), time_or_dash(signer.revoked_at_ms));
        vec![signer.id.clone(), signer.key.clone(), since, revoked, signer.name.clone().unwrap_or_else(|| "-".into())]
    };
    let rows: Vec<_> = list.policy_signers.iter().map(row).collect();
    output.table(&["SIGNER", "KEY", "SINCE", "REVOKED", "NAME"], &rows);
    note_next(output, list.next.as_ref());
    warn(output, signatures);
    Ok(Exit::Done)
}

fn requirement(signatures: &PolicySignatures) -> &'static str {
    if signatures.required {
        "components have to be signed by an active signer"
    } else {
        "components do not have to be signed"
    }
}

/// What an operator should know who relies on signatures.
fn warn(output: &Output, signatures: &PolicySignatures) {
    if !signatures.required {
        return;
    }
    if signatures.signers_active == 0 {
        output.note("no signer is active: no version can be pushed or come into force before one is registered");
    }
    let without = signatures.in_force_without;
    if without > 0 {
        output.note(format!(
            "in force without a signature of an active signer: {without}; these stay so, and `attorn policy list` shows which"
        ));
    }
}
