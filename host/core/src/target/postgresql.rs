//! What is registered of a PostgreSQL in which logins are made.

use std::fmt;
use std::str::FromStr;

use crate::id::{HostName, ParseError};
use crate::permission::{Action, Permission, Resource};

/// A name in a database: of a role, a schema, a table. Whoever puts it into a statement quotes it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlName(Box<str>);

impl SqlName {
    /// The most bytes of a name; PostgreSQL would cut what is longer.
    pub const BYTES_MAX: usize = 63;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SqlName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: String| Err(ParseError::new("name in a database", text, problem, SQL_NAME_HELP));
        if text.is_empty() {
            return fail("it is empty".into());
        }
        if text.len() > Self::BYTES_MAX {
            return fail(format!("it has {} bytes, and {} is the most", text.len(), Self::BYTES_MAX));
        }
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return fail(format!("`{}` is not allowed", c.escape_default()));
        }
        Ok(Self(text.into()))
    }
}

pub(super) const SQL_NAME_HELP: &str = "the name as the database has it, without quotes, at most 63 bytes";

impl fmt::Display for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlName({:?})", self.as_str())
    }
}

/// How the connection to a target is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetTls {
    /// Not at all: only for what answers on a loopback address.
    Loopback,
    /// By TLS; its certificate is verified by these, in PEM, and by its host's name.
    Verified(String),
}

/// Which roles a login has. A login does whatever its roles may, as often as it likes: so whoever registers the target
/// says of which grants that may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    /// For grants of what.
    pub permission: Permission,
    /// The roles that the login is a member of.
    pub roles: Vec<SqlName>,
}

/// The table in which the database finds the user of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserTable {
    /// Its schema.
    pub schema: SqlName,
    /// Its name.
    pub table: SqlName,
}

/// What is registered about a PostgreSQL, apart from the password of its administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresqlSettings {
    /// Where it answers.
    pub host: HostName,
    /// At which port.
    pub port: u16,
    /// The database that logins are for.
    pub database: SqlName,
    /// The role by which logins are made and ended.
    pub admin: SqlName,
    /// How the connection is protected.
    pub tls: TargetTls,
    /// Which roles are given. The first whose permission covers the grant's action and resource counts.
    pub rules: Vec<RoleRule>,
    /// Where users are mapped. Without one, no login is made on behalf of a user.
    pub user_table: Option<UserTable>,
    /// How many connections one login may have at once.
    pub connections_max: u32,
    /// How many leases there may be at once.
    pub leases_max: u32,
    /// How many of them one agent may hold.
    pub leases_per_agent_max: u32,
    /// The longest that a login lives, in milliseconds; its grant may end earlier.
    pub lease_ms_max: u64,
}

impl PostgresqlSettings {
    /// The most rules, and the most roles of one.
    pub const RULES_MAX: usize = 32;
    /// The most bytes of certificates.
    pub const ROOTS_BYTES_MAX: usize = 32 << 10;
    /// The most connections of one login.
    pub const CONNECTIONS_MAX: u32 = 100;
    /// The most leases of one target.
    pub const LEASES_MAX: u32 = 100_000;
    /// The longest life of a lease: a day.
    pub const LEASE_MS_MAX: u64 = 24 * 3600 * 1000;

    /// What is wrong with it, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the member.
    pub fn check(&self) -> Result<(), String> {
        if self.port == 0 {
            return Err("`port` is 1 to 65535".into());
        }
        let within = |name: &str, have: u64, most: u64| match have {
            0 => Err(format!("`{name}` is at least 1")),
            have if have > most => Err(format!("`{name}` is {have}, and {most} is the most")),
            _ => Ok(()),
        };
        within("connections_max", self.connections_max.into(), Self::CONNECTIONS_MAX.into())?;
        within("leases_max", self.leases_max.into(), Self::LEASES_MAX.into())?;
        within("leases_per_agent_max", self.leases_per_agent_max.into(), self.leases_max.into())?;
        within("lease_ms_max", self.lease_ms_max, Self::LEASE_MS_MAX)?;
        within("rules", self.rules.len() as u64, Self::RULES_MAX as u64)?;
        for rule in &self.rules {
            within("roles", rule.roles.len() as u64, Self::RULES_MAX as u64)?;
        }
        if let TargetTls::Verified(roots) = &self.tls {
            within("roots_pem", roots.len() as u64, Self::ROOTS_BYTES_MAX as u64)?;
        }
        Ok(())
    }

    /// The roles of a login that is made for this action on this resource; none if none is.
    #[must_use]
    pub fn roles(&self, action: &Action, resource: &Resource) -> Option<&[SqlName]> {
        self.rules.iter().find(|rule| rule.permission.covers(action, resource)).map(|rule| rule.roles.as_slice())
    }
}
