//! `attorn entitlement`.

use attorn_api::agents::Permission;
use attorn_api::users::{self, DeleteEntitlement, EntitlementHolder, EntitlementList, SetEntitlement};
use attorn_core::{Issuer, TimeMs, UserId};
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::page::{Page, note_next};
use crate::parse;

const PATH: &str = "/v1/entitlements";

/// What users may do themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum Entitlement {
    /// Say what a user, a group or everyone of a provider may do; what stood before is replaced (duty: registrar, as
    /// for all of these)
    Set(Set),
    /// List what groups and everyone may do; what single users may stands with the user
    List(Page),
    /// Take the rights of a holder away: agents lose them with the next request
    Delete(Delete),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn entitlement set --everyone --issuer https://sso.example.org --permission 'account.* account/{user.id}/*'
  attorn entitlement set --group billing --issuer https://sso.example.org \\
    --permission 'invoice.read invoice/*' --permission 'invoice.pay invoice/*'
  attorn entitlement set --user usr_… --permission 'report.read report/{user.claim.team}/*'

No agent does for a user what the user may not do. Nothing set is no right. The provider has to be registered.")]
pub(crate) struct Set {
    #[command(flatten)]
    holder: HolderArgs,
    /// What may be done; `{user.id}` and `{user.claim.NAME}` may be segments of the resource. Repeat it for more
    #[arg(long, required = true, value_name = "ACTION RESOURCE", value_parser = parse::entitlement)]
    permission: Vec<Permission>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    holder: HolderArgs,
}

/// Whose right it is.
#[derive(Debug, Args)]
pub(crate) struct HolderArgs {
    /// One user: `usr_…`
    #[arg(
        long,
        value_name = "ID",
        value_parser = parse::id::<UserId>,
        required_unless_present_any = ["group", "everyone"],
        conflicts_with_all = ["group", "everyone", "issuer"]
    )]
    user: Option<UserId>,
    /// All users whom their provider says to be in this group
    #[arg(long, value_name = "NAME", requires = "issuer", conflicts_with = "everyone")]
    group: Option<String>,
    /// All users of a provider
    #[arg(long, requires = "issuer")]
    everyone: bool,
    /// The provider's issuer, byte by byte: `attorn provider list`
    #[arg(long, value_name = "URL", value_parser = parse::id::<Issuer>)]
    issuer: Option<Issuer>,
}

impl HolderArgs {
    fn holder(self) -> Result<EntitlementHolder, Failure> {
        let issuer = self.issuer.map(|issuer| issuer.to_string());
        match (self.user, self.group, issuer) {
            (Some(user), _, _) => Ok(EntitlementHolder::User(user.to_string())),
            (None, Some(name), Some(issuer)) => Ok(EntitlementHolder::Group { issuer, name }),
            (None, None, Some(issuer)) if self.everyone => Ok(EntitlementHolder::Everyone(issuer)),
            _ => Err(Failure::usage("whose right it is was not said")
                .with_help("`--user ID`, `--group NAME --issuer URL` or `--everyone --issuer URL`")),
        }
    }
}

impl Entitlement {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        match self {
            Self::Set(Set { holder, permission }) => {
                let body = SetEntitlement { holder: holder.holder()?, permissions: permission };
                let set: users::Entitlement = client.post(PATH, &body).await?;
                if output.json {
                    return output.json(&set).map(|()| Exit::Done);
                }
                table(output, &[set]);
            }
            Self::List(page) => {
                let list: EntitlementList = client.get(&page.of(PATH)).await?;
                if output.json {
                    return output.json(&list).map(|()| Exit::Done);
                }
                table(output, &list.entitlements);
                note_next(output, list.next.as_ref());
            }
            Self::Delete(Delete { holder }) => {
                let body = DeleteEntitlement { holder: holder.holder()? };
                let deleted: DeleteEntitlement = client.post(&format!("{PATH}/delete"), &body).await?;
                if output.json {
                    return output.json(&deleted).map(|()| Exit::Done);
                }
                let [holder, issuer] = shown(&deleted.holder);
                output.line(format!("deleted: {holder} {issuer}").trim_end());
            }
        }
        Ok(Exit::Done)
    }
}

fn table(output: &Output, entitlements: &[users::Entitlement]) {
    let rows = entitlements.iter().flat_map(|one| {
        let [holder, issuer] = shown(&one.holder);
        let at = TimeMs(one.set_at_ms).to_string();
        one.permissions
            .iter()
            .map(move |may| vec![holder.clone(), issuer.clone(), may.action.clone(), may.resource.clone(), at.clone()])
    });
    output.table(&["HOLDER", "ISSUER", "MAY", "ON", "SET"], &rows.collect::<Vec<_>>());
}

/// The holder, and whose group or users they are.
fn shown(holder: &EntitlementHolder) -> [String; 2] {
    match holder {
        EntitlementHolder::User(id) => [id.clone(), String::new()],
        EntitlementHolder::Group { issuer, name } => [format!("group {name}"), issuer.clone()],
        EntitlementHolder::Everyone(issuer) => ["everyone".into(), issuer.clone()],
    }
}
