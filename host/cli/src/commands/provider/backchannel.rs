//! `attorn provider backchannel`: how users are asked for approvals at their provider.

use std::path::PathBuf;

use attorn_api::backchannel::{
    Backchannel as Shown, BackchannelCheck, ClientAuthenticationMethod, SECRET_BYTES_MAX, SetBackchannel,
};
use attorn_api::delegations::Revoke;
use attorn_core::{ClaimName, ClientId, ProviderId, TimeMs};
use clap::{Args, Subcommand};

use super::{PATH, Revoked, Which};
use crate::commands::Nothing;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::private_text;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

/// How users are asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Backchannel {
    /// Have users asked for approvals at their provider, or change how
    Set(Set),
    /// Show how users are asked
    Show(Which),
    /// Say whether the provider can ask its users so, by its metadata, and what it lacks. Ends with 1 if it lacks something
    #[command(after_help = "Examples:
  attorn provider backchannel check main

Nobody is asked. Before anything is set it says what there is to set; host/PROVIDERS.md says what a provider has to do.")]
    Check(Which),
    /// Ask nobody there any more
    Remove(Revoked),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn provider backchannel set main --client-id attorn --private-key-jwt
  attorn provider backchannel set main --client-id attorn --private-key-jwt --page
  attorn provider backchannel set main --client-id attorn --secret-file secret.txt --login-hint-claim preferred_username

The provider verifies `private_key_jwt` with the keys at /.well-known/client-jwks.json of this server.")]
pub(crate) struct Set {
    /// The provider's id
    #[arg(value_parser = parse::id::<ProviderId>)]
    id: ProviderId,
    /// What this server is called there: a client that is no agent's and not the users'
    #[arg(long, value_parser = parse::id::<ClientId>)]
    client_id: ClientId,
    #[command(flatten)]
    method: Method,
    /// By which claim the provider knows a user: `sub`, or one of the `claims` of its record
    #[arg(long, default_value = "sub", value_parser = parse::id::<ClaimName>)]
    login_hint_claim: ClaimName,
    /// Have users sign in there for the approval page; `show` says which redirect URI the client needs
    #[arg(long)]
    page: bool,
    /// Ask users on their device also where the provider cannot show them what they approve: they see a code alone, and
    /// know what it is for from the agent
    #[arg(long)]
    code_only: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Method {
    /// It says who it is with a key of its own, which the server makes
    #[arg(long)]
    private_key_jwt: bool,
    /// It says who it is with the secret in this file; the end of its line does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// It says who it is with the secret that is recorded
    #[arg(long)]
    same_secret: bool,
}

impl Backchannel {
    pub(crate) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let path = |id: &ProviderId| format!("{PATH}/{id}/backchannel");
        let shown: Shown = match self {
            Self::Set(set) => client.post(&path(&set.id), &set.body()?).await?,
            Self::Show(Which { id }) => client.get(&path(&id)).await?,
            Self::Check(Which { id }) => {
                return checked(output, &client.post(&format!("{}/check", path(&id)), &Nothing {}).await?);
            }
            Self::Remove(Revoked { id, why }) => {
                client.post(&format!("{}/remove", path(&id)), &Revoke { reason: why.reason }).await?
            }
        };
        print(output, &shown)
    }
}

/// Ends with an error where something is missing, so that whoever watches by it is told.
fn checked(output: &Output, check: &BackchannelCheck) -> Result<Exit, Failure> {
    if output.json {
        output.json(check)?;
    } else {
        for (name, sentences) in [("problem", &check.problems), ("note", &check.notes)] {
            for sentence in sentences {
                output.line(format!("{name:14}  {sentence}"));
            }
        }
        let kinds = if check.subject_types.is_empty() { "not said".into() } else { check.subject_types.join(", ") };
        output.line(format!("{:14}  {kinds}", "subject types"));
        let can = match (check.good, check.is_set) {
            (true, true) => "yes",
            (true, false) => "it could; nobody is asked before it is set",
            (false, _) => "no",
        };
        output.line(format!("{:14}  {can}", "can ask"));
    }
    if check.good {
        return Ok(Exit::Done);
    }
    Err(Failure::new(format!("users of `{}` cannot be asked at their provider as it is", check.provider))
        .with_help("host/PROVIDERS.md says what a provider has to do; approvers among operators need none of it"))
}

impl Set {
    fn body(&self) -> Result<SetBackchannel, Failure> {
        let secret = self.method.secret_file.as_deref();
        let secret = secret.map(|path| private_text(path, SECRET_BYTES_MAX as u64 + 2)).transpose()?;
        Ok(SetBackchannel {
            client_id: self.client_id.to_string(),
            client_authentication: if self.method.private_key_jwt {
                ClientAuthenticationMethod::PrivateKeyJwt
            } else {
                ClientAuthenticationMethod::ClientSecretBasic
            },
            client_secret: secret.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()),
            login_hint_claim: self.login_hint_claim.to_string(),
            page: self.page,
            code_only: self.code_only,
        })
    }
}

fn print(output: &Output, shown: &Shown) -> Result<Exit, Failure> {
    if output.json {
        return output.json(shown).map(|()| Exit::Done);
    }
    let method = match shown.client_authentication {
        ClientAuthenticationMethod::PrivateKeyJwt => "private_key_jwt".to_owned(),
        ClientAuthenticationMethod::ClientSecretBasic => {
            format!("client_secret_basic, secret {}", shown.secret_version.unwrap_or_default())
        }
    };
    let page = match &shown.page_redirect_uri {
        Some(uri) => format!("on, with the redirect URI {uri}"),
        None => "off".into(),
    };
    let code_only = if shown.code_only { "asked also where nothing else is shown" } else { "never asked by it alone" };
    for (name, value) in [
        ("provider", &shown.provider),
        ("client", &shown.client_id),
        ("authentication", &method),
        ("login hint", &shown.login_hint_claim),
        ("page", &page),
        ("code only", &code_only.to_owned()),
        ("changed", &TimeMs(shown.changed_at_ms).to_string()),
    ] {
        output.line(format!("{name:14}  {value}"));
    }
    Ok(Exit::Done)
}
