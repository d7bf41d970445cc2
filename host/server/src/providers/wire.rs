//! Providers on the wire: what a registrar sends, parsed once, and what is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use attorn_api::ProblemCode;
use attorn_api::agents::Permission as WirePermission;
use attorn_api::providers as api;
use attorn_core::{
    AgentNaming, ClaimName, ConsentMapping, DetailMapping, IssuerAlgorithm, ParseError, Permission, ProviderTokenType,
    TimeMs,
};
use attorn_store::records::{ProviderRecord, Record as _};

use super::issuer;
use crate::http::failure::Failure;
use crate::registry::count;

/// Claims that the host reads itself. Policies are shown what it made of them, and nothing past it.
const OWN_CLAIMS: [&str; 17] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "cnf",
    "act",
    "may_act",
    "client_id",
    "azp",
    "scope",
    "scp",
    "authorization_details",
    "auth_time",
    "acr",
];

const _: () = assert!(api::CONFIGURATION_BYTES_MAX == ProviderRecord::BYTES_MAX);

/// The record that a registrar asks for.
pub(super) fn record(wire: &api::ProviderConfiguration, created_at: TimeMs) -> Result<ProviderRecord, Failure> {
    check_counts(wire)?;
    let record = ProviderRecord {
        id: wire.id.parse()?,
        issuer: wire.issuer.parse()?,
        audience: wire.audience.parse()?,
        algorithms: set(&wire.algorithms)?,
        token_type: match wire.token_type {
            api::TokenType::AtJwt => ProviderTokenType::AtJwt,
            api::TokenType::Jwt => ProviderTokenType::Jwt,
        },
        names_agent_by: match wire.names_agent_by {
            api::NamesAgentBy::MayAct => AgentNaming::MayAct,
            api::NamesAgentBy::Act => AgentNaming::Act,
            api::NamesAgentBy::ClientId => AgentNaming::ClientId,
            api::NamesAgentBy::Azp => AgentNaming::Azp,
        },
        clients: map(&wire.clients, |agent| Ok(agent.parse()?))?,
        scopes: map(&wire.scopes, scope)?,
        authorization_details: map(&wire.authorization_details, detail)?,
        groups_claim: wire.groups_claim.as_deref().map(str::parse).transpose()?,
        session_claim: wire.session_claim.parse()?,
        claims: set(&wire.claims)?,
        delegation_ms_max: wire.delegation_ms_max,
        user_audience: wire.user_audience.as_deref().map(str::parse).transpose()?,
        user_clients: set(&wire.user_clients)?,
        created_at,
        revoked_at: None,
    };
    check_meaning(&record)?;
    Ok(record)
}

fn check_counts(wire: &api::ProviderConfiguration) -> Result<(), Failure> {
    count("algorithms", wire.algorithms.len(), 1, IssuerAlgorithm::ALL.len())?;
    count("clients", wire.clients.len(), 0, ProviderRecord::CLIENTS_MAX)?;
    count("scopes", wire.scopes.len(), 0, ProviderRecord::SCOPES_MAX)?;
    count("types of authorization details", wire.authorization_details.len(), 0, ProviderRecord::DETAILS_MAX)?;
    count("claims", wire.claims.len(), 0, ProviderRecord::CLAIMS_MAX)?;
    count("user clients", wire.user_clients.len(), 0, ProviderRecord::USER_CLIENTS_MAX)
}

fn check_meaning(record: &ProviderRecord) -> Result<(), Failure> {
    if let Err(problem) = issuer::check(&record.issuer) {
        return Err(invalid(format!("the issuer `{}` cannot be used: {problem}", record.issuer)));
    }
    if !(1_000..=ProviderRecord::DELEGATION_MS_MAX).contains(&record.delegation_ms_max) {
        let (have, max) = (record.delegation_ms_max, ProviderRecord::DELEGATION_MS_MAX);
        return Err(invalid(format!("`delegation_ms_max` is {have}, and may be 1000 to {max}")));
    }
    let own = |name: &&ClaimName| OWN_CLAIMS.contains(&name.as_str());
    if let Some(name) = record.claims.iter().chain(&record.groups_claim).find(own) {
        return Err(invalid(format!("the claim `{name}` is read by the server itself"))
            .with_help("policies see user, agent, purpose and session anyway"));
    }
    let kept = |name: &&ClaimName| **name == record.session_claim || Some(*name) == record.groups_claim.as_ref();
    if let Some(name) = record.claims.iter().find(kept) {
        return Err(invalid(format!("the claim `{name}` names sessions or groups and is shown to nobody as it is"))
            .with_help("policies see session and groups anyway; leave it out of `claims`"));
    }
    if own(&&record.session_claim) {
        return Err(invalid(format!("the claim `{}` names no session", record.session_claim)));
    }
    if record.user_audience.as_ref() == Some(&record.audience) {
        return Err(invalid("`user_audience` is the same as `audience`".into())
            .with_help("what agents exchange must not be what users revoke with: have the provider use two"));
    }
    if record.user_audience.is_none() != record.user_clients.is_empty() {
        return Err(invalid("`user_audience` and `user_clients` come together, or neither does".into()));
    }
    if let Some(client) = record.user_clients.iter().find(|client| record.clients.contains_key(client)) {
        return Err(invalid(format!("the client `{client}` is an agent's and a user's at once")));
    }
    let bytes = record.encode().len();
    if bytes > ProviderRecord::BYTES_MAX {
        let max = ProviderRecord::BYTES_MAX;
        return Err(invalid(format!("the provider's record has {bytes} bytes, and {max} is the most")));
    }
    Ok(())
}

fn scope(wire: &api::ScopeMapping) -> Result<ConsentMapping, Failure> {
    count("purposes of a scope", wire.purposes.len(), 1, ProviderRecord::PURPOSES_MAX)?;
    count("permissions of a scope", wire.permissions.len(), 1, ProviderRecord::PERMISSIONS_MAX)?;
    let permission = |wire: &WirePermission| -> Result<Permission, Failure> {
        Ok(Permission { action: wire.action.parse()?, resource: wire.resource.parse()? })
    };
    let permissions = wire.permissions.iter().map(permission).collect::<Result<_, _>>()?;
    Ok(ConsentMapping { purposes: set(&wire.purposes)?, permissions })
}

fn detail(wire: &api::DetailMapping) -> Result<DetailMapping, Failure> {
    count("purposes of a type of details", wire.purposes.len(), 1, ProviderRecord::PURPOSES_MAX)?;
    count("actions of a type of details", wire.actions.len(), 1, ProviderRecord::PERMISSIONS_MAX)?;
    Ok(DetailMapping {
        purposes: set(&wire.purposes)?,
        actions: map(&wire.actions, |action| Ok(action.parse()?))?,
        resource_prefix: wire.resource_prefix.parse()?,
    })
}

fn set<T: FromStr<Err = ParseError> + Ord>(wire: &BTreeSet<String>) -> Result<BTreeSet<T>, Failure> {
    Ok(wire.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

fn map<W, K: FromStr<Err = ParseError> + Ord, V>(
    wire: &BTreeMap<String, W>,
    value: impl Fn(&W) -> Result<V, Failure>,
) -> Result<BTreeMap<K, V>, Failure> {
    wire.iter().map(|(name, one)| Ok((name.parse()?, value(one)?))).collect()
}

fn invalid(detail: String) -> Failure {
    Failure::of(ProblemCode::InvalidField, detail)
}

/// A provider as operators see it.
pub(super) fn shown(record: &ProviderRecord) -> api::Provider {
    api::Provider {
        configuration: shown_configuration(record),
        created_at_ms: record.created_at.0,
        revoked_at_ms: record.revoked_at.map(|at| at.0),
    }
}

/// What is recorded, as it was sent; the entry about it says the same.
pub(super) fn shown_configuration(record: &ProviderRecord) -> api::ProviderConfiguration {
    let scope = |mapping: &ConsentMapping| api::ScopeMapping {
        purposes: texts(&mapping.purposes),
        permissions: mapping.permissions.iter().map(shown_permission).collect(),
    };
    let detail = |mapping: &DetailMapping| api::DetailMapping {
        purposes: texts(&mapping.purposes),
        actions: (mapping.actions.iter()).map(|(name, action)| (name.to_string(), action.to_string())).collect(),
        resource_prefix: mapping.resource_prefix.to_string(),
    };
    api::ProviderConfiguration {
        id: record.id.to_string(),
        issuer: record.issuer.to_string(),
        audience: record.audience.to_string(),
        algorithms: texts(&record.algorithms),
        token_type: match record.token_type {
            ProviderTokenType::AtJwt => api::TokenType::AtJwt,
            ProviderTokenType::Jwt => api::TokenType::Jwt,
        },
        names_agent_by: match record.names_agent_by {
            AgentNaming::MayAct => api::NamesAgentBy::MayAct,
            AgentNaming::Act => api::NamesAgentBy::Act,
            AgentNaming::ClientId => api::NamesAgentBy::ClientId,
            AgentNaming::Azp => api::NamesAgentBy::Azp,
        },
        clients: record.clients.iter().map(|(client, agent)| (client.to_string(), agent.to_string())).collect(),
        scopes: record.scopes.iter().map(|(name, mapping)| (name.to_string(), scope(mapping))).collect(),
        authorization_details: (record.authorization_details.iter())
            .map(|(name, mapping)| (name.to_string(), detail(mapping)))
            .collect(),
        groups_claim: record.groups_claim.as_ref().map(ToString::to_string),
        session_claim: record.session_claim.to_string(),
        claims: texts(&record.claims),
        delegation_ms_max: record.delegation_ms_max,
        user_audience: record.user_audience.as_ref().map(ToString::to_string),
        user_clients: texts(&record.user_clients),
    }
}

/// A permission as operators see it.
pub(super) fn shown_permission(permission: &Permission) -> WirePermission {
    WirePermission { action: permission.action.to_string(), resource: permission.resource.to_string() }
}

fn texts<T: ToString>(all: &BTreeSet<T>) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}
