//! Targets: where credentials are made outside, and which resource types are theirs.
//!
//! The password of a target's administrator stands here wrapped by the root key. What opens it is not known here.

use std::collections::BTreeSet;
use std::fmt;

use attorn_core::{
    ActionPattern, HostName, Permission, PostgresqlSettings, ResourcePattern, ResourceType, RoleRule, SqlName,
    TargetId, TargetSettings, TargetState, TargetTls, TimeMs, UserTable,
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use super::proxy::ProxyWire;
use crate::key::Key;

/// A target as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRecord {
    /// Its id.
    pub id: TargetId,
    /// The resource types that credentials for it are about. No two targets share one.
    pub resource_types: BTreeSet<ResourceType>,
    /// Where it is, and what it gives.
    pub settings: TargetSettings,
    /// The password of its administrator, or what a proxy shows.
    pub secret: TargetSecret,
    /// The one that is to replace it, while that is being done: either may be the one that the target knows.
    pub next_secret: Option<TargetSecret>,
    /// Whether it makes credentials.
    pub state: TargetState,
    /// When it was registered.
    pub created_at: TimeMs,
    /// When it became what it is.
    pub changed_at: TimeMs,
}

/// A wrapped secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetSecret {
    /// Which of the target's; part of what it is wrapped with.
    pub version: u32,
    /// The wrapped bytes.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for TargetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetSecret({}, {} bytes)", self.version, self.wrapped.len())
    }
}

impl TargetRecord {
    /// All that was registered of it, without its secret and its state: where it is, and what it gives. A secret that is
    /// rotated makes it no other.
    #[must_use]
    pub fn settings_bytes(&self) -> Vec<u8> {
        let secret = TargetSecret { version: 0, wrapped: Vec::new() };
        let at = TimeMs(0);
        Self { secret, next_secret: None, state: TargetState::Active, changed_at: at, ..self.clone() }.encode()
    }
}

impl Record for TargetRecord {
    fn key(&self) -> Key {
        Key::target(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&TargetWire {
            id: Text(self.id.clone()),
            resource_types: self.resource_types.iter().cloned().map(Text).collect(),
            postgresql: self.settings.postgresql().map(SettingsWire::of),
            proxy: self.settings.proxy().map(ProxyWire::of),
            secret: SecretWire::of(&self.secret),
            next_secret: self.next_secret.as_ref().map(SecretWire::of),
            state: self.state,
            created_at_ms: self.created_at.0,
            changed_at_ms: self.changed_at.0,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: TargetWire| {
            let settings = match (wire.postgresql, wire.proxy) {
                (Some(postgresql), None) => TargetSettings::Postgresql(postgresql.settings()),
                (None, Some(proxy)) => TargetSettings::Proxy(proxy.settings()),
                _ => return Err("a target is of one kind".into()),
            };
            settings.check()?;
            Ok(Self {
                id: wire.id.0,
                resource_types: wire.resource_types.into_iter().map(|one| one.0).collect(),
                settings,
                secret: wire.secret.secret()?,
                next_secret: wire.next_secret.map(SecretWire::secret).transpose()?,
                state: wire.state,
                created_at: TimeMs(wire.created_at_ms),
                changed_at: TimeMs(wire.changed_at_ms),
            })
        })
    }
}

/// Which target a type of resource is tied to. There is one at most for each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTypeRecord {
    /// Which type.
    pub resource_type: ResourceType,
    /// The target.
    pub target: TargetId,
}

impl Record for TargetTypeRecord {
    fn key(&self) -> Key {
        Key::target_type(&self.resource_type)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&TargetTypeWire {
            resource_type: Text(self.resource_type.clone()),
            target: Text(self.target.clone()),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: TargetTypeWire| {
            Ok(Self { resource_type: wire.resource_type.0, target: wire.target.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetWire {
    id: Text<TargetId>,
    resource_types: Vec<Text<ResourceType>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    postgresql: Option<SettingsWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyWire>,
    secret: SecretWire,
    next_secret: Option<SecretWire>,
    #[serde(with = "StateWire")]
    state: TargetState,
    created_at_ms: u64,
    changed_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TargetState", rename_all = "snake_case")]
enum StateWire {
    Active,
    Suspended,
    Retired,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretWire {
    version: u32,
    wrapped: String,
}

impl SecretWire {
    fn of(secret: &TargetSecret) -> Self {
        Self { version: secret.version, wrapped: BASE64.encode(&secret.wrapped) }
    }

    fn secret(self) -> Result<TargetSecret, String> {
        let wrapped = BASE64.decode(self.wrapped.as_bytes()).map_err(|error| error.to_string())?;
        Ok(TargetSecret { version: self.version, wrapped })
    }
}

/// Action, resource and roles of a rule.
type RuleWire = (Text<ActionPattern>, Text<ResourcePattern>, Vec<Text<SqlName>>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsWire {
    host: Text<HostName>,
    port: u16,
    database: Text<SqlName>,
    admin: Text<SqlName>,
    tls_roots_pem: Option<String>,
    rules: Vec<RuleWire>,
    user_table: Option<(Text<SqlName>, Text<SqlName>)>,
    connections_max: u32,
    leases_max: u32,
    leases_per_agent_max: u32,
    lease_ms_max: u64,
}

impl SettingsWire {
    fn of(settings: &PostgresqlSettings) -> Self {
        let rule = |rule: &RoleRule| {
            let Permission { action, resource } = rule.permission.clone();
            (Text(action), Text(resource), rule.roles.iter().cloned().map(Text).collect())
        };
        Self {
            host: Text(settings.host.clone()),
            port: settings.port,
            database: Text(settings.database.clone()),
            admin: Text(settings.admin.clone()),
            tls_roots_pem: match &settings.tls {
                TargetTls::Loopback => None,
                TargetTls::Verified(roots) => Some(roots.clone()),
            },
            rules: settings.rules.iter().map(rule).collect(),
            user_table: settings.user_table.clone().map(|table| (Text(table.schema), Text(table.table))),
            connections_max: settings.connections_max,
            leases_max: settings.leases_max,
            leases_per_agent_max: settings.leases_per_agent_max,
            lease_ms_max: settings.lease_ms_max,
        }
    }

    fn settings(self) -> PostgresqlSettings {
        let rule = |(action, resource, roles): RuleWire| RoleRule {
            permission: Permission { action: action.0, resource: resource.0 },
            roles: roles.into_iter().map(|role| role.0).collect(),
        };
        PostgresqlSettings {
            host: self.host.0,
            port: self.port,
            database: self.database.0,
            admin: self.admin.0,
            tls: self.tls_roots_pem.map_or(TargetTls::Loopback, TargetTls::Verified),
            rules: self.rules.into_iter().map(rule).collect(),
            user_table: self.user_table.map(|(schema, table)| UserTable { schema: schema.0, table: table.0 }),
            connections_max: self.connections_max,
            leases_max: self.leases_max,
            leases_per_agent_max: self.leases_per_agent_max,
            lease_ms_max: self.lease_ms_max,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetTypeWire {
    resource_type: Text<ResourceType>,
    target: Text<TargetId>,
}
