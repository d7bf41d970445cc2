//! Targets as the API has them, to and from what is recorded.

pub(super) mod proxy;

use std::collections::BTreeSet;

use attorn_api::ProblemCode;
use attorn_api::targets as api;
use attorn_broker::tls::roots;
use attorn_core::{
    Permission, PostgresqlSettings, ResourceType, RoleRule, SqlName, TargetSettings, TargetTls, UserTable,
};
use attorn_store::Key;
use attorn_store::records::TargetRecord;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::failure::Failure;
use crate::registry::count;

/// The settings of a target, checked.
pub(super) fn settings(wire: &api::Postgresql) -> Result<PostgresqlSettings, Failure> {
    let rule = |rule: &api::RoleRule| -> Result<RoleRule, Failure> {
        let roles = rule.roles.iter().map(|role| role.parse()).collect::<Result<Vec<SqlName>, _>>()?;
        Ok(RoleRule {
            permission: Permission { action: rule.action.parse()?, resource: rule.resource.parse()? },
            roles,
        })
    };
    count("rules", wire.rules.len(), 1, PostgresqlSettings::RULES_MAX)?;
    let user_table = match &wire.user_table {
        Some(table) => Some(UserTable { schema: table.schema.parse()?, table: table.table.parse()? }),
        None => None,
    };
    let settings = PostgresqlSettings {
        host: wire.host.parse()?,
        port: wire.port,
        database: wire.database.parse()?,
        admin: wire.admin.parse()?,
        tls: wire.tls_roots_pem.clone().map_or(TargetTls::Loopback, TargetTls::Verified),
        rules: wire.rules.iter().map(rule).collect::<Result<_, _>>()?,
        user_table,
        connections_max: wire.connections_max,
        leases_max: wire.leases_max,
        leases_per_agent_max: wire.leases_per_agent_max,
        lease_ms_max: wire.lease_ms_max,
    };
    let refused = |problem: String| Failure::of(ProblemCode::InvalidField, problem);
    settings.check().map_err(refused)?;
    if let TargetTls::Verified(pem) = &settings.tls {
        roots(pem).map_err(|problem| refused(format!("`tls_roots_pem`: {problem}")))?;
    }
    Ok(settings)
}

/// The types that are tied to a target.
pub(super) fn resource_types(names: &[String]) -> Result<BTreeSet<ResourceType>, Failure> {
    count("resource types", names.len(), 1, 64)?;
    names.iter().map(|name| name.parse().map_err(Failure::from)).collect()
}

/// A target as operators see it.
pub(super) async fn shown(app: &App, record: &TargetRecord) -> Result<api::Target, Failure> {
    let open_leases = app.store.counter(&Key::open_leases(&record.id)).await?;
    Ok(api::Target {
        id: record.id.to_string(),
        resource_types: record.resource_types.iter().map(ToString::to_string).collect(),
        postgresql: record.settings.postgresql().map(shown_settings),
        proxy: record.settings.proxy().map(proxy::shown),
        state: record.state.as_str().into(),
        secret_version: record.secret.version,
        open_leases,
        asked: !app.targets.live(&record.id).breaks(),
        created_at_ms: record.created_at.0,
        changed_at_ms: record.changed_at.0,
    })
}

/// The settings as an entry has them: a digest names the certificates.
pub(super) fn in_entry(settings: &TargetSettings) -> (&'static str, Value) {
    let mut shown = match settings {
        TargetSettings::Postgresql(settings) => json!(shown_settings(settings)),
        TargetSettings::Proxy(settings) => json!(proxy::shown(settings)),
    };
    if let Some(pem) = shown["tls_roots_pem"].as_str() {
        shown["tls_roots_pem"] = blake3::hash(pem.as_bytes()).to_hex().to_string().into();
    }
    (settings.kind().as_str(), shown)
}

fn shown_settings(settings: &PostgresqlSettings) -> api::Postgresql {
    let rule = |rule: &RoleRule| api::RoleRule {
        action: rule.permission.action.to_string(),
        resource: rule.permission.resource.to_string(),
        roles: rule.roles.iter().map(ToString::to_string).collect(),
    };
    api::Postgresql {
        host: settings.host.to_string(),
        port: settings.port,
        database: settings.database.to_string(),
        admin: settings.admin.to_string(),
        tls_roots_pem: match &settings.tls {
            TargetTls::Loopback => None,
            TargetTls::Verified(pem) => Some(pem.clone()),
        },
        rules: settings.rules.iter().map(rule).collect(),
        user_table: settings
            .user_table
            .as_ref()
            .map(|table| api::UserTable { schema: table.schema.to_string(), table: table.table.to_string() }),
        connections_max: settings.connections_max,
        leases_max: settings.leases_max,
        leases_per_agent_max: settings.leases_per_agent_max,
        lease_ms_max: settings.lease_ms_max,
    }
}
