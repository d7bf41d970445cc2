//! `attorn target`.

mod register;
mod show;

use std::path::{Path, PathBuf};

use attorn_api::targets::{ChangeTarget, CheckTarget, ReplaceTargetSecret};
use attorn_core::TargetId;
use clap::{Args, Subcommand};

use self::register::Register;
use super::{Nothing, Why};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{private_text, stdin_text};
use crate::page::Page;
use crate::parse;

/// The longest file with a secret that is read, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1_024;

/// Where credentials are made outside.
#[derive(Debug, Subcommand)]
pub(crate) enum Target {
    /// Register a database in which logins are made, or a service that is called for agents (duty: registrar, as for all
    /// of these)
    Register(Box<Register>),
    /// List targets
    #[command(after_help = "Examples:
  attorn target list
  attorn target list --state active --limit 10 --after crm --json")]
    List(List),
    /// Show a target
    #[command(after_help = "Examples:\n  attorn target show shop")]
    Show(Which),
    /// Look at a target: whether it can be reached, is the one that is registered, lets its administrator in and do what is
    /// needed, and which logins have no lease. It signs in anew each time. Ends with 1 if something is wrong
    #[command(after_help = "Examples:
  attorn target check shop
  attorn target check shop --end-unknown --json")]
    Check(Check),
    /// Give a target's administrator a new password, which nobody is told; refused while another target has the same one
    #[command(after_help = "Examples:\n  attorn target rotate shop")]
    Rotate(Which),
    /// Put another secret in the place of the one that is shown to a service, or tell the password that a database's
    /// administrator has by now
    #[command(after_help = "Examples:\n  attorn target rotate-secret crm --secret-file - < new-key.txt")]
    RotateSecret(RotateSecret),
    /// Make nothing more at a target; what there is lives on
    #[command(after_help = "Examples:\n  attorn target suspend shop --reason 'moves to another machine'")]
    Suspend(Change),
    /// Make credentials at a target again
    #[command(after_help = "Examples:\n  attorn target resume shop")]
    Resume(Change),
    /// Retire a target for ever, and end all its leases
    #[command(after_help = "Examples:
  attorn target retire shop --reason 'replaced by shop-2'
  attorn lease list --target shop           # what has not ended yet")]
    Retire(Change),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those in this state: active, suspended or retired
    #[arg(long, value_name = "STATE", value_parser = ["active", "suspended", "retired"])]
    state: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<TargetId>)]
    id: TargetId,
}

#[derive(Debug, Args)]
pub(crate) struct RotateSecret {
    #[command(flatten)]
    which: Which,
    /// A file with the new secret, or `-` for standard input; the end of its line does not count
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    which: Which,
    /// End logins that this server made and has no open lease for
    #[arg(long)]
    end_unknown: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    why: Why,
}

const PATH: &str = "/v1/targets";

fn secret_text(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        stdin_text(PASSWORD_BYTES_MAX + 2)?
    } else {
        private_text(file, PASSWORD_BYTES_MAX + 2)?
    };
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Target {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        // What is wrong with the arguments is said before a token is asked for.
        let (client, output) = (|| context.operator(), &context.output);
        let change = |change: Change, verb: &str| {
            (format!("{PATH}/{}/{verb}", change.which.id), ChangeTarget { reason: change.why.reason })
        };
        let (path, body) = match self {
            Self::Register(register) => {
                let body = register.body()?;
                return show::print(output, &client()?.post(PATH, &body).await?);
            }
            Self::List(List { state, page }) => {
                let path = state.map_or_else(|| PATH.to_owned(), |state| format!("{PATH}?state={state}"));
                return show::list(output, &client()?.get(&page.of(&path)).await?);
            }
            Self::Show(Which { id }) => return show::print(output, &client()?.get(&format!("{PATH}/{id}")).await?),
            Self::Check(Check { which, end_unknown }) => {
                let path = format!("{PATH}/{}/check", which.id);
                return show::checked(output, &which.id, &client()?.post(&path, &CheckTarget { end_unknown }).await?);
            }
            Self::Rotate(Which { id }) => {
                return show::rotated(output, &client()?.post(&format!("{PATH}/{id}/rotate"), &Nothing {}).await?);
            }
            Self::RotateSecret(RotateSecret { which, secret_file }) => {
                let body = ReplaceTargetSecret { secret: secret_text(&secret_file)? };
                return show::print(output, &client()?.post(&format!("{PATH}/{}/secret", which.id), &body).await?);
            }
            Self::Suspend(of) => change(of, "suspend"),
            Self::Resume(of) => change(of, "resume"),
            Self::Retire(of) => change(of, "retire"),
        };
        show::print(output, &client()?.post(&path, &body).await?)
    }
}
