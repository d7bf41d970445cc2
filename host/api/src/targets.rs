//! `/v1/targets` and `/v1/leases`: where credentials are made outside, and those that there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Register a target: `postgresql` with `password`, or `proxy` with `secret`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterTarget {
    /// Its id, never used again for another.
    pub id: String,
    /// The resource types that credentials for it are about, 1 to 64; each is tied to one target at most.
    pub resource_types: Vec<String>,
    /// A database: where it is, and what it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<Postgresql>,
    /// The password of its administrator, 1 to 1,024 bytes. It is kept wrapped and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A service that is called for agents: where it is, and what is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// What is shown to it, 8 to 1,024 visible ASCII characters. It is kept wrapped and never shown to anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl std::fmt::Debug for RegisterTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterTarget").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A PostgreSQL, apart from the password of its administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgresql {
    /// The name or IP address at which it answers; agents are told the same.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database that logins are for.
    pub database: String,
    /// The role by which logins are made and ended: it has CREATEROLE, and need not be a superuser.
    pub admin: String,
    /// Certificates in PEM by which its own is verified, at most 32 KiB. Without them there is no TLS, which is taken for
    /// loopback addresses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_roots_pem: Option<String>,
    /// Which roles a login has, by the action and the resource of its grant; the first that is for both counts. 1 to 32.
    pub rules: Vec<RoleRule>,
    /// The table in which the database finds the user of a login; without one no login is made on behalf of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_table: Option<UserTable>,
    /// How many connections one login may have at once, 1 to 100.
    pub connections_max: u32,
    /// How many leases there may be at once, 1 to 100,000.
    pub leases_max: u32,
    /// How many of them one agent may hold, 1 to `leases_max`.
    pub leases_per_agent_max: u32,
    /// How many milliseconds a login lives at most, up to a day; its grant may end earlier.
    pub lease_ms_max: u64,
}

/// The roles of a login that is made for an action on a resource. The login does whatever these roles may, as often as it
/// likes while it lives, whatever the one action of its grant is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// A pattern of actions: `invoice.read`, `invoice.*`, `*`.
    pub action: String,
    /// A pattern of resources: `database/crm`, `invoice/*`, `*`.
    pub resource: String,
    /// The roles that the login is a member of, 1 to 32.
    pub roles: Vec<String>,
}

/// A table with the columns `login` and `user_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
}

/// A service that is called for agents, apart from its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where it answers: `https://api.example`; `http://` for loopback addresses only.
    pub origin: String,
    /// Certificates in PEM by which its own is verified, at most 32 KiB; without them, those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_roots_pem: Option<String>,
    /// The header that carries the secret, in lower case: `authorization`, `x-api-key`.
    pub secret_header: String,
    /// What stands before the secret there: `Bearer `.
    #[serde(default)]
    pub secret_prefix: String,
    /// What is called, 1 to 64 rows; the first that fits counts, and what no row is for is denied.
    pub routes: Vec<ProxyRoute>,
    /// Headers of a request that go on, each once, and stand in its arguments; 32 at most.
    #[serde(default)]
    pub request_headers: Vec<String>,
    /// Headers of an answer that are passed on beside the usual ones; 32 at most.
    #[serde(default)]
    pub response_headers: Vec<String>,
    /// The most bytes of a request's body, up to 32 KiB.
    pub request_bytes_max: u32,
    /// The most bytes of an answer's body, up to 1 GiB.
    pub response_bytes_max: u64,
    /// How many milliseconds may pass until an answer begins, up to 20,000.
    pub head_ms_max: u64,
    /// For how many milliseconds an answer may pause, up to 60,000.
    pub idle_ms_max: u64,
    /// How many milliseconds it may take in all, up to a quarter of an hour.
    pub total_ms_max: u64,
    /// How many requests it is sent at once, up to 256.
    pub requests_max: u32,
}

/// What a method and a path come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyRoute {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// A path in which `{name}` stands for one segment: `/v2/invoices/{id}`.
    pub path: String,
    /// The action that it is: `invoice.read`.
    pub action: String,
    /// The resource, with `{name}` where the path has it: `invoice/{id}`.
    pub resource: String,
    /// The names that its query may have, 32 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Its body: `json`, or a media type of which the arguments have the digest; none if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Put another secret in the place of the one that is known: what is shown to a service, or the password that a
/// database's administrator has by now: `POST /v1/targets/{id}/secret`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceTargetSecret {
    /// The new one: 8 to 1,024 visible ASCII characters for a service; for a database 1 to 1,024 bytes, and it has to let
    /// the administrator in.
    pub secret: String,
}

impl std::fmt::Debug for ReplaceTargetSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplaceTargetSecret").finish_non_exhaustive()
    }
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// The resource types that credentials for it are about.
    pub resource_types: Vec<String>,
    /// A database: where it is, and what it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<Postgresql>,
    /// A service that is called for agents: where it is, and what is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// `active`, `suspended` or `retired`.
    pub state: String,
    /// Which secret of its counts, from 1.
    pub secret_version: u32,
    /// How many leases have not ended.
    pub open_leases: u64,
    /// Other targets with the same administrator, host and port, apart from those that are retired: the administrator's
    /// password is not changed while there is one. Not listed where many are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same_administrator: Vec<String>,
    /// Whether it would be asked now: not for a while after it failed again and again. It says nothing of whether it answers.
    pub asked: bool,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When it became what it is.
    pub changed_at_ms: u64,
}

/// Targets by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetList {
    /// A page of them.
    pub targets: Vec<Target>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// Look at a target: `POST /v1/targets/{id}/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckTarget {
    /// Whether to end logins that this server made and has no open lease for.
    #[serde(default)]
    pub end_unknown: bool,
}

/// Why a target could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetFault {
    /// Nobody answers there, or not in time.
    Unreachable,
    /// Whoever answers does not prove to be it.
    Tls,
    /// The certificates that are to be trusted cannot be read by the server: it was not asked.
    Roots,
    /// It does not let its administrator in.
    SignIn,
    /// Its administrator may not do what is needed.
    Rights,
    /// It has no database of that name.
    Database,
    /// It may not be used as it is registered.
    Settings,
    /// It answered, with something else that is wrong.
    Other,
}

impl TargetFault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Tls,
        Self::Roots,
        Self::SignIn,
        Self::Rights,
        Self::Database,
        Self::Settings,
        Self::Other,
    ];
}

/// What was found at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetCheck {
    /// Whether it answered. Somebody who does not prove to be it is somebody else.
    pub reachable: bool,
    /// Why nothing more could be looked at, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<TargetFault>,
    /// What is wrong, in sentences.
    pub problems: Vec<String>,
    /// How many logins of this server's there are.
    pub logins: u64,
    /// Those without an open lease, 1,000 at most.
    pub unknown: Vec<String>,
    /// How many of these were ended.
    pub unknown_ended: u64,
    /// Open leases whose login is not there, 1,000 at most. They end when they are due.
    pub missing: Vec<String>,
}

/// What came of changing the password of a target's administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetRotated {
    /// The target.
    pub target: Target,
    /// Whether the new password counts. If not, both are tried until another rotation succeeds.
    pub changed: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Change a target's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTarget {
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A credential that exists outside, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Its id: `lse_…`.
    pub id: String,
    /// What it was issued from.
    pub grant: String,
    /// Who holds it.
    pub agent: String,
    /// Where it exists.
    pub target: String,
    /// What it is called there.
    pub name: String,
    /// The roles that it was given.
    pub roles: Vec<String>,
    /// `intended`, `issued`, `revoking`, `ended` or `irrevocable`.
    pub state: String,
    /// When it was intended.
    pub created_at_ms: u64,
    /// When it ends by itself.
    pub expires_at_ms: u64,
    /// When something is to be done about it.
    pub due_at_ms: u64,
    /// How often it was tried in vain to end it.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
}

/// Leases by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseList {
    /// A page of them.
    pub leases: Vec<Lease>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// A lease lives longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRenewed {
    /// Its id.
    pub id: String,
    /// Until when.
    pub expires_at_ms: u64,
}
