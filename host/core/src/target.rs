//! Targets: where credentials of a kind are made. What they give is chosen by the operator, through these settings,
//! and by the action of a grant; never by an agent.
//!
//! Nothing is connected to here, and no secret is here.

mod postgresql;

use std::fmt;
use std::str::FromStr;

use crate::id::{ParseError, TargetId};
use crate::proxy::ProxySettings;
use crate::request::JsonText;

pub use postgresql::{PostgresqlSettings, RoleRule, SqlName, TargetTls, UserTable};

/// What a target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A login in a PostgreSQL.
    Postgresql,
    /// A service that is called for agents: nothing is given to them.
    Proxy,
}

impl TargetKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Postgresql, Self::Proxy];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Proxy => "proxy",
        }
    }
}

impl FromStr for TargetKind {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == text).copied();
        found.ok_or_else(|| ParseError::new("kind of a target", text, "there is none of this name", TARGET_KIND_HELP))
    }
}

const TARGET_KIND_HELP: &str = "`postgresql` or `proxy`";

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an agent asks for where that is no token: a login, or that its request goes on to a service. Policies see it. A
/// login can do more than the one action of its grant, and nobody counts how often; what goes on does so at once, and
/// nothing but what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedCredential {
    /// Of which kind it is.
    pub kind: TargetKind,
    /// Where it would be made, or where the request would go; none if the resource's type is tied to no target.
    pub target: Option<TargetId>,
}

impl WantedCredential {
    /// Under which name a policy finds it among the extensions of its context.
    pub const EXTENSION: &str = "attorn.credential";

    /// As policies see it: one JSON text in canonical form.
    #[must_use]
    pub fn text(&self) -> JsonText {
        // Neither has a character that JSON would escape.
        let target = self.target.as_ref().map_or_else(|| "null".to_owned(), |target| format!("\"{target}\""));
        JsonText::from_canonical(format!("{{\"kind\":\"{}\",\"target\":{target}}}", self.kind.as_str()))
    }
}

/// Whether a target makes credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It does.
    Active,
    /// It makes none, and those that there are live on.
    Suspended,
    /// It never makes one again, and those that there are end.
    Retired,
}

impl TargetState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }
}

/// What a target is, and what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetSettings {
    /// A database in which logins are made.
    Postgresql(PostgresqlSettings),
    /// A service that is called for agents, with a secret that they never see.
    Proxy(ProxySettings),
}

impl TargetSettings {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::Postgresql(_) => TargetKind::Postgresql,
            Self::Proxy(_) => TargetKind::Proxy,
        }
    }

    /// The settings of a database, if it is one.
    #[must_use]
    pub const fn postgresql(&self) -> Option<&PostgresqlSettings> {
        match self {
            Self::Postgresql(settings) => Some(settings),
            Self::Proxy(_) => None,
        }
    }

    /// The settings of a service that is called, if it is one.
    #[must_use]
    pub const fn proxy(&self) -> Option<&ProxySettings> {
        match self {
            Self::Proxy(settings) => Some(settings),
            Self::Postgresql(_) => None,
        }
    }

    /// What is wrong with it, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the member.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Postgresql(settings) => settings.check(),
            Self::Proxy(settings) => settings.check(),
        }
    }
}

/// How far a lease has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// It is recorded that something may come to exist outside.
    Intended,
    /// It exists, and its holder was told.
    Issued,
    /// It is being ended.
    Revoking,
    /// It does not exist any more.
    Ended,
    /// It could not be ended, however often that was tried. It is tried on, seldom.
    Irrevocable,
}

impl LeaseState {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Intended, Self::Issued, Self::Revoking, Self::Ended, Self::Irrevocable];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Issued => "issued",
            Self::Revoking => "revoking",
            Self::Ended => "ended",
            Self::Irrevocable => "irrevocable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::postgresql::SQL_NAME_HELP;
    use super::*;
    use crate::id::HostName;
    use crate::permission::Permission;

    fn name(text: &str) -> SqlName {
        text.parse().unwrap()
    }

    fn settings() -> PostgresqlSettings {
        let rule = |action: &str, resource: &str, role: &str| RoleRule {
            permission: Permission { action: action.parse().unwrap(), resource: resource.parse().unwrap() },
            roles: vec![name(role)],
        };
        PostgresqlSettings {
            host: "db.example".parse().unwrap(),
            port: 5432,
            database: name("shop"),
            admin: name("attorn"),
            tls: TargetTls::Loopback,
            rules: vec![
                rule("invoice.read", "invoice/*", "reader"),
                rule("invoice.*", "database/crm", "writer"),
                rule("invoice.list", "*", "lister"),
            ],
            user_table: None,
            connections_max: 2,
            leases_max: 10,
            leases_per_agent_max: 10,
            lease_ms_max: 60_000,
        }
    }

    #[test]
    fn the_first_rule_for_an_action_and_a_resource_says_which_roles() {
        for (action, resource, role) in [
            ("invoice.read", "invoice/7", Some("reader")),
            ("invoice.read", "database/crm", Some("writer")),
            ("invoice.pay", "database/crm", Some("writer")),
            ("invoice.pay", "database/crm/x", None),
            ("invoice.pay", "invoice/7", None),
            ("invoice.list", "invoice/7", Some("lister")),
            ("faq.read", "invoice/7", None),
        ] {
            let roles = settings().roles(&action.parse().unwrap(), &resource.parse().unwrap()).map(<[SqlName]>::to_vec);
            assert_eq!(roles, role.map(|role| vec![name(role)]), "{action} {resource}");
        }
    }

    #[test]
    fn policies_see_which_credential_is_wanted() {
        for &kind in TargetKind::ALL {
            let with = |target: Option<&str>| WantedCredential { kind, target: target.map(|id| id.parse().unwrap()) };
            let kind = kind.as_str();
            assert_eq!(kind.parse::<TargetKind>().unwrap().to_string(), kind);
            assert_eq!(with(None).text().as_str(), format!(r#"{{"kind":"{kind}","target":null}}"#));
            assert_eq!(with(Some("shop")).text().as_str(), format!(r#"{{"kind":"{kind}","target":"shop"}}"#));
        }
    }

    #[test]
    fn there_are_no_other_kinds() {
        for text in ["", "Proxy", "ssh", "token"] {
            let error = text.parse::<TargetKind>().unwrap_err();
            assert_eq!(
                (error.to_string().ends_with("no kind of a target: there is none of this name"), error.help()),
                (true, TARGET_KIND_HELP),
                "{error}"
            );
        }
    }

    #[test]
    fn names_are_taken_as_the_database_has_them_and_no_longer() {
        for text in ["reader", "a\"b", "'; drop table x; --", "\u{fc}ser", &"x".repeat(63)] {
            assert_eq!(name(text).to_string(), text);
        }
        for (text, problem) in [
            ("", "it is empty"),
            ("a\0b", "`\\u{0}` is not allowed"),
            ("a\nb", "`\\n` is not allowed"),
            (&"x".repeat(64), "it has 64 bytes, and 63 is the most"),
        ] {
            let error = text.parse::<SqlName>().unwrap_err();
            assert!(error.to_string().ends_with(problem), "{error}");
            assert_eq!(error.help(), SQL_NAME_HELP);
        }
    }

    #[test]
    fn settings_have_bounds() {
        type Spoil = fn(&mut PostgresqlSettings);
        assert_eq!(settings().check(), Ok(()));
        let cases: [(Spoil, &str); 11] = [
            (|s| s.port = 0, "`port` is 1 to 65535"),
            (|s| s.connections_max = 0, "`connections_max` is at least 1"),
            (|s| s.connections_max = 101, "`connections_max` is 101, and 100 is the most"),
            (|s| s.leases_max = 0, "`leases_max` is at least 1"),
            (|s| s.leases_per_agent_max = 0, "`leases_per_agent_max` is at least 1"),
            (|s| s.leases_per_agent_max = 11, "`leases_per_agent_max` is 11, and 10 is the most"),
            (|s| s.lease_ms_max = 0, "`lease_ms_max` is at least 1"),
            (|s| s.rules.clear(), "`rules` is at least 1"),
            (|s| s.rules = vec![s.rules[0].clone(); 33], "`rules` is 33, and 32 is the most"),
            (|s| s.rules[0].roles.clear(), "`roles` is at least 1"),
            (|s| s.tls = TargetTls::Verified(String::new()), "`roots_pem` is at least 1"),
        ];
        for (spoil, problem) in cases {
            let mut settings = settings();
            spoil(&mut settings);
            assert_eq!(settings.check(), Err(problem.into()));
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for text in ["db.example", "127.0.0.1", "::1", "fd00:ec2::254"] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), text);
        }
        for text in ["", "/var/run/postgresql", "a b", "a/b", "a,b", "[::1]", "a@b", "a%eth0"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
