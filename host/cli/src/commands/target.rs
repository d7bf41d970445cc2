//! `attorn target`.

mod show;

use std::path::{Path, PathBuf};

use attorn_api::targets::{
    ChangeTarget, CheckTarget, Postgresql, RegisterTarget, ReplaceTargetSecret, RoleRule, UserTable, {self as api},
};
use attorn_core::{HostName, ResourceType, SqlName, TargetId, TargetKind};
use clap::{Args, Subcommand};

use super::{Nothing, Why};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{exposed, read_text, stdin_text};
use crate::page::Page;
use crate::parse::{self, Span};

/// The longest files that are read, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1_024;
const ROOTS_BYTES_MAX: u64 = 32 << 10;
const PROXY_BYTES_MAX: u64 = 64 << 10;

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
#[command(after_help = concat!(
    "Examples:
  attorn target register shop --host db.example --database shop --admin attorn --password-file password.txt \\
    --tls-roots roots.pem --resource-type invoice,database --role 'invoice.read invoice/*=reader' \\
    --role 'report.* database/crm=writer' \\
    --user-table attorn.logins
  attorn target register crm --kind proxy --file crm.json --secret-file key.txt --resource-type contact

Of a proxy's settings `origin`, `secret_header`, `routes` and all that ends in `_max` are needed, and in each row of
`routes` what names no list and no body; `tls_roots_pem` may stand beside them. What each means stands in host/PROXY.md.
crm.json, as a whole:

",
    include_str!("target/example.json")
))]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<TargetId>)]
    id: TargetId,
    /// A type of resource that its logins are about; repeat it, or join with commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = parse::id::<ResourceType>)]
    resource_type: Vec<ResourceType>,
    /// What it is: `postgresql`, in which logins are made, or `proxy`, a service that is called for agents
    #[arg(long, default_value = "postgresql", value_parser = parse::id::<TargetKind>)]
    kind: TargetKind,
    /// Of a proxy: a file with its settings, one JSON object; below is all of one
    #[arg(long, value_name = "FILE", required_if_eq("kind", "proxy"))]
    file: Option<PathBuf>,
    /// Of a proxy: a file with the secret that is shown to it, or `-` for standard input; the end of its line does not
    /// count
    #[arg(long, value_name = "FILE", requires = "file", required_if_eq("kind", "proxy"))]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    logins: Logins,
}

/// A database in which logins are made. All of it is needed where no file says what a proxy is.
#[derive(Debug, Args)]
#[group(skip)]
struct Logins {
    /// The name or IP address at which it answers; agents are told the same
    #[arg(long, required_unless_present = "file", conflicts_with = "file", value_parser = parse::id::<HostName>)]
    host: Option<HostName>,
    /// Its port
    #[arg(long, default_value_t = 5432)]
    port: u16,
    /// The database that logins are for
    #[arg(long, required_unless_present = "file", conflicts_with = "file", value_parser = parse::id::<SqlName>)]
    database: Option<SqlName>,
    /// The role by which logins are made and ended; it has CREATEROLE
    #[arg(long, required_unless_present = "file", conflicts_with = "file", value_parser = parse::id::<SqlName>)]
    admin: Option<SqlName>,
    /// A file with that role's password; the end of its line does not count
    #[arg(long, required_unless_present = "file", conflicts_with = "file", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificates in PEM by which its own is verified. Without them there is no TLS, for loopback addresses only
    #[arg(long, value_name = "FILE")]
    tls_roots: Option<PathBuf>,
    /// Which roles a login has that is made for an action on a resource: 'ACTION RESOURCE=ROLE,ROLE'. It does whatever
    /// these may, as often as it likes. Repeat it; the first that fits counts
    #[arg(long, required_unless_present = "file", conflicts_with = "file", value_name = "ACTION RESOURCE=ROLES")]
    #[arg(value_parser = parse::role_rule)]
    role: Vec<RoleRule>,
    /// The table with the columns `login` and `user_id` where the database finds the user of a login; without one, no
    /// login is made on behalf of a user
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = parse::user_table)]
    user_table: Option<UserTable>,
    /// How many connections one login may have at once
    #[arg(long, default_value_t = 2)]
    connections_max: u32,
    /// How many leases there may be at once. Times the connections of a login it should be less than what the database
    /// takes (`max_connections`), which these two are for one as it comes
    #[arg(long, default_value_t = 40)]
    leases_max: u32,
    /// How many of them one agent may hold
    #[arg(long, default_value_t = 20)]
    leases_per_agent_max: u32,
    /// How long a login lives at most; its grant may end earlier
    #[arg(long, default_value = "5m", value_name = "SPAN")]
    lease_max: Span,
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

impl Register {
    fn body(self) -> Result<RegisterTarget, Failure> {
        let mut body = RegisterTarget {
            id: self.id.to_string(),
            resource_types: self.resource_type.iter().map(ToString::to_string).collect(),
            postgresql: None,
            password: None,
            proxy: None,
            secret: None,
        };
        match (self.kind, self.file, self.secret_file) {
            (TargetKind::Proxy, Some(file), Some(secret)) => {
                body.proxy = Some(settings(&file)?);
                body.secret = Some(secret_text(&secret)?);
            }
            (TargetKind::Postgresql, None, None) => {
                let (postgresql, password) = self.logins.settings()?;
                (body.postgresql, body.password) = (Some(postgresql), Some(password));
            }
            _ => {
                return Err(Failure::usage(
                    "`--kind proxy` goes with `--file` and `--secret-file`, and nothing else does",
                ));
            }
        }
        Ok(body)
    }
}

impl Logins {
    fn settings(self) -> Result<(Postgresql, String), Failure> {
        let (Some(host), Some(database), Some(admin), Some(file)) =
            (self.host, self.database, self.admin, self.password_file)
        else {
            return Err(Failure::usage("a database takes `--host`, `--database`, `--admin` and `--password-file`"));
        };
        let password = private_text(&file, PASSWORD_BYTES_MAX)?;
        let roots = self.tls_roots.as_deref().map(|path| read_text(path, ROOTS_BYTES_MAX)).transpose();
        let roots = roots.map_err(|failure| {
            failure
                .with_help("give the certificates that sign the target's own alone, and not all that a machine trusts")
        })?;
        let settings = Postgresql {
            host: host.to_string(),
            port: self.port,
            database: database.to_string(),
            admin: admin.to_string(),
            tls_roots_pem: roots,
            rules: self.role,
            user_table: self.user_table,
            connections_max: self.connections_max,
            leases_max: self.leases_max,
            leases_per_agent_max: self.leases_per_agent_max.min(self.leases_max),
            lease_ms_max: self.lease_max.ms,
        };
        Ok((settings, password.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// The text of a file that holds a secret: nobody else may read it, as with keys.
fn private_text(file: &Path, bytes_max: u64) -> Result<String, Failure> {
    if let Some(mode) = exposed(file)? {
        let failure = Failure::new(format!(
            "others may read or write `{}`, which holds a secret: its mode is {mode:03o}",
            file.display()
        ));
        return Err(failure.with_help(format!("`chmod 600 {}`", file.display())));
    }
    read_text(file, bytes_max)
}

/// The settings of a proxy.
fn settings(file: &Path) -> Result<api::Proxy, Failure> {
    let text = read_text(file, PROXY_BYTES_MAX)?;
    attorn_api::json::parse_body(text.as_bytes()).map_err(|problem| {
        let failure = Failure::usage(format!("`{}` is no proxy's settings: {problem}", file.display()));
        failure.with_help("`attorn target register --help` shows all of one, and what is needed of it")
    })
}

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
        let (client, output) = (context.operator()?, &context.output);
        let change = |change: Change, verb: &str| {
            (format!("{PATH}/{}/{verb}", change.which.id), ChangeTarget { reason: change.why.reason })
        };
        let (path, body) = match self {
            Self::Register(register) => return show::print(output, &client.post(PATH, &register.body()?).await?),
            Self::List(List { state, page }) => {
                let path = state.map_or_else(|| PATH.to_owned(), |state| format!("{PATH}?state={state}"));
                return show::list(output, &client.get(&page.of(&path)).await?);
            }
            Self::Show(Which { id }) => return show::print(output, &client.get(&format!("{PATH}/{id}")).await?),
            Self::Check(Check { which, end_unknown }) => {
                let path = format!("{PATH}/{}/check", which.id);
                return show::checked(output, &which.id, &client.post(&path, &CheckTarget { end_unknown }).await?);
            }
            Self::Rotate(Which { id }) => {
                return show::rotated(output, &client.post(&format!("{PATH}/{id}/rotate"), &Nothing {}).await?);
            }
            Self::RotateSecret(RotateSecret { which, secret_file }) => {
                let body = ReplaceTargetSecret { secret: secret_text(&secret_file)? };
                return show::print(output, &client.post(&format!("{PATH}/{}/secret", which.id), &body).await?);
            }
            Self::Suspend(of) => change(of, "suspend"),
            Self::Resume(of) => change(of, "resume"),
            Self::Retire(of) => change(of, "retire"),
        };
        show::print(output, &client.post(&path, &body).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const EXAMPLE: &str = include_str!("target/example.json");

    fn read(text: &str) -> Result<api::Proxy, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("crm.json");
        std::fs::write(&file, text).unwrap();
        settings(&file)
    }

    #[test]
    fn what_is_missing_in_a_proxys_settings_is_named() {
        let whole: Value = serde_json::from_str(EXAMPLE).unwrap();
        let mut needed = Vec::new();
        for name in whole.as_object().unwrap().keys() {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(name);
            if let Err(failure) = read(&less.to_string()) {
                let named = failure.message.contains(&format!("is no proxy's settings: missing field `{name}`"));
                assert!(named && failure.help.is_some() && failure.exit == Exit::Usage, "{failure}");
                needed.push(name.as_str());
            }
        }
        needed.retain(|name| !name.ends_with("_max"));
        needed.sort_unstable();
        assert_eq!(needed, ["origin", "routes", "secret_header"], "the help says which are needed");
        for name in ["method", "path", "action", "resource"] {
            let mut less = whole.clone();
            less["routes"][0].as_object_mut().unwrap().remove(name);
            let failure = read(&less.to_string()).unwrap_err();
            assert!(failure.message.contains(&format!("missing field `{name}`")), "{failure}");
        }
        let failure = read(r#"{"origin":"https://api.example","header":"x"}"#).unwrap_err();
        assert!(failure.message.contains("unknown field `header`"), "{failure}");
    }

    #[test]
    fn the_example_of_a_proxy_is_whole_and_the_one_of_the_documentation() {
        assert!(read(EXAMPLE).is_ok());
        let documented = include_str!("../../../PROXY.md");
        assert!(documented.contains(&format!("```json\n{EXAMPLE}```")), "host/PROXY.md has another");
    }
}
