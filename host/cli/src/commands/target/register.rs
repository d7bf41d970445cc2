//! `attorn target register`: a database or a service, by what its kind takes.
//!
//! Which options are needed, and which mean nothing, goes by the kind and is said before anything is read.

use std::path::{Path, PathBuf};

use attorn_api::targets::{Postgresql, Proxy, RegisterTarget, RoleRule, UserTable};
use attorn_core::{HostName, ResourceType, SqlName, TargetId, TargetKind};
use clap::Args;

use super::{PASSWORD_BYTES_MAX, secret_text};
use crate::failure::Failure;
use crate::key_source::{private_text, read_text};
use crate::parse::{self, Span};

/// The longest files that are read, in bytes.
const ROOTS_BYTES_MAX: u64 = 32 << 10;
const PROXY_BYTES_MAX: u64 = 64 << 10;

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
    include_str!("example.json")
))]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<TargetId>)]
    id: TargetId,
    /// A type of resource that it is about; repeat it, or join with commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = parse::id::<ResourceType>)]
    resource_type: Vec<ResourceType>,
    /// What it is: `postgresql`, a database in which logins are made, or `proxy`, a service that is called for agents
    #[arg(long, default_value = "postgresql", value_parser = parse::id::<TargetKind>)]
    kind: TargetKind,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    logins: Logins,
}

/// A service that is called for agents. All of it is needed.
#[derive(Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Of a proxy, all needed")]
struct Service {
    /// A file with its settings, one JSON object; below is all of one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A file with the secret that is shown to it, or `-` for standard input; the end of its line does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// A database in which logins are made. What has no usual value is an option, so that it can be told what was given.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    next_help_heading = "Of a database, of which --host, --database, --admin, --password-file and --role are needed"
)]
struct Logins {
    /// The name or IP address at which it answers; agents are told the same
    #[arg(long, value_parser = parse::id::<HostName>)]
    host: Option<HostName>,
    /// Its port
    #[arg(long, default_value = "5432", default_value_if("kind", "proxy", None))]
    port: Option<u16>,
    /// The database that logins are for
    #[arg(long, value_parser = parse::id::<SqlName>)]
    database: Option<SqlName>,
    /// The role by which logins are made and ended; it has CREATEROLE
    #[arg(long, value_parser = parse::id::<SqlName>)]
    admin: Option<SqlName>,
    /// A file with that role's password; the end of its line does not count
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificates in PEM by which its own is verified. Without them there is no TLS, for loopback addresses only
    #[arg(long, value_name = "FILE")]
    tls_roots: Option<PathBuf>,
    /// Which roles a login has that is made for an action on a resource: 'ACTION RESOURCE=ROLE,ROLE'. It does whatever
    /// these may, as often as it likes. Repeat it; the first that fits counts
    #[arg(long, value_name = "ACTION RESOURCE=ROLES", value_parser = parse::role_rule)]
    role: Vec<RoleRule>,
    /// The table with the columns `login` and `user_id` where the database finds the user of a login; without one, no
    /// login is made on behalf of a user
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = parse::user_table)]
    user_table: Option<UserTable>,
    /// How many connections one login may have at once
    #[arg(long, default_value = "2", default_value_if("kind", "proxy", None))]
    connections_max: Option<u32>,
    /// How many leases there may be at once. Times the connections of a login it should be less than what the database
    /// takes (`max_connections`), which these two are for one as it comes
    #[arg(long, default_value = "40", default_value_if("kind", "proxy", None))]
    leases_max: Option<u32>,
    /// How many of them one agent may hold
    #[arg(long, default_value = "20", default_value_if("kind", "proxy", None))]
    leases_per_agent_max: Option<u32>,
    /// How long a login lives at most; its grant may end earlier
    #[arg(long, default_value = "5m", default_value_if("kind", "proxy", None), value_name = "SPAN")]
    lease_max: Option<Span>,
}

impl Register {
    /// What is sent. That an option is missing or of the other kind is a failure of its own.
    pub(super) fn body(self) -> Result<RegisterTarget, Failure> {
        let mut body = RegisterTarget {
            id: self.id.to_string(),
            resource_types: self.resource_type.iter().map(ToString::to_string).collect(),
            postgresql: None,
            password: None,
            proxy: None,
            secret: None,
        };
        match self.kind {
            TargetKind::Proxy => {
                none_of(&self.logins.given(), "proxy", "what a proxy is stands in its `--file`")?;
                let (proxy, secret) = self.service.settings()?;
                (body.proxy, body.secret) = (Some(proxy), Some(secret));
            }
            TargetKind::Postgresql => {
                none_of(&self.service.given(), "database", "a service is registered by `--kind proxy`")?;
                let (postgresql, password) = self.logins.settings()?;
                (body.postgresql, body.password) = (Some(postgresql), Some(password));
            }
        }
        Ok(body)
    }
}

impl Service {
    fn given(&self) -> Vec<&'static str> {
        given(&[("--file", self.file.is_some()), ("--secret-file", self.secret_file.is_some())])
    }

    fn settings(self) -> Result<(Proxy, String), Failure> {
        let (Some(file), Some(secret)) = (&self.file, &self.secret_file) else {
            return Err(lacking("proxy", &["--file", "--secret-file"], &self.given()));
        };
        Ok((settings(file)?, secret_text(secret)?))
    }
}

impl Logins {
    fn given(&self) -> Vec<&'static str> {
        given(&[
            ("--host", self.host.is_some()),
            ("--port", self.port.is_some()),
            ("--database", self.database.is_some()),
            ("--admin", self.admin.is_some()),
            ("--password-file", self.password_file.is_some()),
            ("--tls-roots", self.tls_roots.is_some()),
            ("--role", !self.role.is_empty()),
            ("--user-table", self.user_table.is_some()),
            ("--connections-max", self.connections_max.is_some()),
            ("--leases-max", self.leases_max.is_some()),
            ("--leases-per-agent-max", self.leases_per_agent_max.is_some()),
            ("--lease-max", self.lease_max.is_some()),
        ])
    }

    fn settings(self) -> Result<(Postgresql, String), Failure> {
        let given = self.given();
        // What has a usual value is always there.
        let Self {
            host: Some(host),
            port: Some(port),
            database: Some(database),
            admin: Some(admin),
            password_file: Some(file),
            connections_max: Some(connections_max),
            leases_max: Some(leases_max),
            leases_per_agent_max: Some(leases_per_agent_max),
            lease_max: Some(life),
            ..
        } = self
        else {
            return Err(lacking("database", &Self::NEEDED, &given));
        };
        if self.role.is_empty() {
            return Err(lacking("database", &Self::NEEDED, &given));
        }
        let password = private_text(&file, PASSWORD_BYTES_MAX)?;
        let roots = self.tls_roots.as_deref().map(|path| read_text(path, ROOTS_BYTES_MAX)).transpose();
        let roots = roots.map_err(|failure| {
            failure
                .with_help("give the certificates that sign the target's own alone, and not all that a machine trusts")
        })?;
        let settings = Postgresql {
            host: host.to_string(),
            port,
            database: database.to_string(),
            admin: admin.to_string(),
            tls_roots_pem: roots,
            rules: self.role,
            user_table: self.user_table,
            connections_max,
            leases_max,
            leases_per_agent_max: leases_per_agent_max.min(leases_max),
            lease_ms_max: life.ms,
        };
        Ok((settings, password.trim_end_matches(['\r', '\n']).to_owned()))
    }

    const NEEDED: [&str; 5] = ["--host", "--database", "--admin", "--password-file", "--role"];
}

/// The options that were given.
fn given(options: &[(&'static str, bool)]) -> Vec<&'static str> {
    options.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name).collect()
}

/// Whoever gives an option of the other kind is told, as it would do nothing.
fn none_of(given: &[&str], kind: &str, help: &str) -> Result<(), Failure> {
    match given {
        [] => Ok(()),
        [first, ..] => Err(Failure::usage(format!("`{first}` means nothing for a {kind}")).with_help(help)),
    }
}

/// What of the needed options was not given.
fn lacking(kind: &str, needed: &[&str], given: &[&str]) -> Failure {
    let missing: Vec<_> = needed.iter().filter(|one| !given.contains(one)).map(|one| format!("`{one}`")).collect();
    let message = format!("a {kind} is not registered without {}", missing.join(", "));
    Failure::usage(message).with_help("`attorn target register --help` has an example of each kind")
}

/// The settings of a proxy.
fn settings(file: &Path) -> Result<Proxy, Failure> {
    let text = read_text(file, PROXY_BYTES_MAX)?;
    attorn_api::json::parse_body(text.as_bytes()).map_err(|problem| {
        let failure = Failure::usage(format!("`{}` is no proxy's settings: {problem}", file.display()));
        failure.with_help("`attorn target register --help` shows all of one, and what is needed of it")
    })
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
