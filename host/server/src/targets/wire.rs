//! Targets as the API has them, to and from what is recorded.

pub(super) mod proxy;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use attorn_api::ProblemCode;
use attorn_api::targets as api;
use attorn_broker::address;
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
/// They are about these types, and this server listens there.
pub(super) fn settings(
    wire: &api::Postgresql,
    types: &BTreeSet<ResourceType>,
    own: SocketAddr,
) -> Result<PostgresqlSettings, Failure> {
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
    each_can_fit(&settings.rules, types).map_err(refused)?;
    let verified = settings.tls != TargetTls::Loopback;
    literal(settings.host.as_str(), settings.port, (verified, own)).map_err(|why| refused(format!("`host` {why}")))?;
    if let TargetTls::Verified(pem) = &settings.tls {
        roots(pem).map_err(|problem| refused(format!("`tls_roots_pem`: {problem}")))?;
    }
    Ok(settings)
}

/// Whether each rule can come to be the one that counts: it is about a type of the target's, and no earlier one is for
/// all that it is for.
fn each_can_fit(rules: &[RoleRule], types: &BTreeSet<ResourceType>) -> Result<(), String> {
    for (at, RoleRule { permission, .. }) in rules.iter().enumerate() {
        let Permission { action, resource } = permission;
        let text = resource.to_string();
        let of = text.split_once('/').map(|(of, _)| of);
        if let Some(of) = of.filter(|of| !types.iter().any(|one| one.as_str() == *of)) {
            return Err(format!(
                "the rule for `{action} {text}` never counts: `{of}` is no resource type of the target's"
            ));
        }
        if let Some(before) = rules[..at].iter().find(|before| permission.within(&before.permission)) {
            let Permission { action: wider, resource: of } = &before.permission;
            return Err(format!(
                "the rule for `{action} {text}` never counts: the one for `{wider} {of}` stands before it, and is for all of it"
            ));
        }
    }
    Ok(())
}

/// Whether a target may be at this host, where that is an address: what a name leads to is looked at when it is used. This
/// server listens there.
pub(super) fn literal(host: &str, port: u16, (verified, own): (bool, SocketAddr)) -> Result<(), String> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let Ok(ip) = bare.parse::<IpAddr>() else { return Ok(()) };
    address::check((ip, port).into(), own).map_err(|why| format!("is `{host}`, {why}"))?;
    if verified || ip.to_canonical().is_loopback() {
        return Ok(());
    }
    Err(format!("is `{host}`: without TLS only a loopback address is good"))
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
        same_administrator: Vec::new(),
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
