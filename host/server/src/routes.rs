//! All routes, one row each.

mod people;
mod vouching;
// Long because: a table with a row for each route.

use attorn_api::agents::{
    Agent, AgentList, ChangeCeiling, ChangeState, Identity, RegisterAgent, RegisterKey, RevokeIdentity,
};
use attorn_api::audit::{Entry, EntryList};
use attorn_api::decisions::{DecisionAnswer, DecisionRequest};
use attorn_api::delegations::Revoke;
use attorn_api::facts::{DeleteFacts, FactList, FactsDeleted, FactsSet, SetFacts};
use attorn_api::grants::{EffectRecorded, GrantDetails, GrantList, GrantUse, ReportEffect, UseGrant};
use attorn_api::loads::{LoadCancelled, LoadList};
use attorn_api::oauth::{AboutToken, Introspection, Logout, TokenAnswer, TokenRequest};
use attorn_api::operators::{Operator, OperatorList, RegisterOperator, RegisteredOperator};
use attorn_api::policies::{
    Activate, ActiveSet, ChangeSet, Component, Policy, PolicyList, PolicyVersion, PushVersion, Rollback, SetChanged,
    VersionRevoked,
};
use attorn_api::policy_logs::PolicyLogList;
use attorn_api::providers::{
    CONFIGURATION_BYTES_MAX, CheckToken, Provider, ProviderConfiguration, ProviderList, TokenCheck,
};
use attorn_api::resource_servers::{RegisterResourceServer, ResourceServer, ResourceServerList};
use attorn_api::simulations::{Simulation, SimulationRequest};
use attorn_api::token_keys::{RetireTokenKey, RotateTokenKey, TokenKeyChanged, TokenKeyList};
use attorn_core::Duty::{Admin, Auditor, PolicyAdmin, PolicyWeakener, Registrar};
use axum::http::Method;

use crate::http::openapi;
use crate::http::route::Access::{self, Operator as Op, OperatorOrBootstrap, Public};
use crate::http::route::{Content, Route, form, handler, json, route};
use crate::oauth::form::FORM_BYTES_MAX;
use crate::oauth::{introspect, metadata, revoke, token};
use crate::token_keys::routes as token_keys;
use crate::{
    audit, decisions, facts, grants, loads, logout, metrics, policies, policy_logs, providers, public, registry,
    simulations,
};

/// The `OpenAPI` 3.1 document of this server.
#[must_use]
pub fn openapi_document() -> serde_json::Value {
    openapi::document(&all())
}

/// All routes.
pub(crate) fn all() -> Vec<Route> {
    let registered = [operators(), agents(), resource_servers(), vouching::all(), keys(), provider()].concat();
    [registered, fact(), policy(), deciding(), oauth(), people::all(), auditing(), open()].concat()
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const TEXT: Content = Content::Other("text/plain");
const METRICS: Content = Content::Other("application/openmetrics-text");
const JSON: Content = Content::Other("application/json");

fn operators() -> Vec<Route> {
    const OPERATORS: &str = "/v1/operators";
    vec![
        route(
            POST,
            OPERATORS,
            OperatorOrBootstrap(Admin),
            ("registerOperator", "Register an operator"),
            handler!(registry::operators::register),
        )
        .takes(json::<RegisterOperator>())
        .gives(json::<RegisteredOperator>())
        .created(),
        route(GET, OPERATORS, Op(Admin), ("listOperators", "List operators"), handler!(registry::operators::list))
            .gives(json::<OperatorList>()),
        route(
            POST,
            "/v1/operators/{id}/revoke",
            Op(Admin),
            ("revokeOperator", "Revoke an operator's token"),
            handler!(registry::operators::revoke),
        )
        .gives(json::<Operator>()),
    ]
}

fn agents() -> Vec<Route> {
    const AGENTS: &str = "/v1/agents";
    let agent = |path, doc, handler| route(POST, path, Op(Registrar), doc, handler).gives(json::<Agent>());
    vec![
        agent(AGENTS, ("registerAgent", "Register an agent"), handler!(registry::agents::register))
            .takes(json::<RegisterAgent>())
            .created(),
        route(GET, AGENTS, Op(Registrar), ("listAgents", "List agents"), handler!(registry::agents::list))
            .gives(json::<AgentList>()),
        route(GET, "/v1/agents/{id}", Op(Registrar), ("showAgent", "Show an agent"), handler!(registry::agents::show))
            .gives(json::<Agent>()),
        agent("/v1/agents/{id}/suspend", ("suspendAgent", "Suspend an agent"), handler!(registry::agents::suspend))
            .takes(json::<ChangeState>()),
        agent("/v1/agents/{id}/resume", ("resumeAgent", "Resume an agent"), handler!(registry::agents::resume))
            .takes(json::<ChangeState>()),
        agent(
            "/v1/agents/{id}/retire",
            ("retireAgent", "Retire an agent for ever"),
            handler!(registry::agents::retire),
        )
        .takes(json::<ChangeState>()),
        agent(
            "/v1/agents/{id}/ceiling",
            ("changeAgentCeiling", "Say anew what an agent may do at the very most"),
            handler!(registry::agents::change_ceiling),
        )
        .takes(json::<ChangeCeiling>()),
        agent("/v1/agents/{id}/keys", ("addAgentKey", "Add a key to an agent"), handler!(registry::agents::add_key))
            .takes(json::<RegisterKey>()),
        agent(
            "/v1/agents/{id}/keys/{thumbprint}/revoke",
            ("revokeAgentKey", "Revoke an agent's key"),
            handler!(registry::agents::revoke_key),
        ),
        agent(
            "/v1/agents/{id}/identities",
            ("addAgentIdentity", "Add an identity to an agent"),
            handler!(registry::agents::identities::add),
        )
        .takes(json::<Identity>()),
        agent(
            "/v1/agents/{id}/identities/revoke",
            ("revokeAgentIdentity", "Revoke an agent's identity"),
            handler!(registry::agents::identities::revoke),
        )
        .takes(json::<RevokeIdentity>()),
    ]
}

fn resource_servers() -> Vec<Route> {
    const SERVERS: &str = "/v1/resource-servers";
    vec![
        route(
            POST,
            SERVERS,
            Op(Registrar),
            ("registerResourceServer", "Register a resource server"),
            handler!(registry::resource_servers::register),
        )
        .takes(json::<RegisterResourceServer>())
        .gives(json::<ResourceServer>())
        .created(),
        route(
            GET,
            SERVERS,
            Op(Registrar),
            ("listResourceServers", "List resource servers"),
            handler!(registry::resource_servers::list),
        )
        .gives(json::<ResourceServerList>()),
        route(
            GET,
            "/v1/resource-servers/{id}",
            Op(Registrar),
            ("showResourceServer", "Show a resource server"),
            handler!(registry::resource_servers::show),
        )
        .gives(json::<ResourceServer>()),
        route(
            POST,
            "/v1/resource-servers/{id}/revoke",
            Op(Registrar),
            ("revokeResourceServer", "Revoke a resource server"),
            handler!(registry::resource_servers::revoke),
        )
        .gives(json::<ResourceServer>()),
    ]
}

fn provider() -> Vec<Route> {
    const PROVIDERS: &str = "/v1/providers";
    let provider = |path, doc, handler| route(POST, path, Op(Registrar), doc, handler).gives(json::<Provider>());
    vec![
        provider(PROVIDERS, ("registerProvider", "Trust a provider"), handler!(providers::registry::register))
            .takes(json::<ProviderConfiguration>())
            .created()
            .body_bytes_max(CONFIGURATION_BYTES_MAX),
        route(GET, PROVIDERS, Op(Registrar), ("listProviders", "List providers"), handler!(providers::registry::list))
            .gives(json::<ProviderList>()),
        route(
            GET,
            "/v1/providers/{id}",
            Op(Registrar),
            ("showProvider", "Show a provider"),
            handler!(providers::registry::show),
        )
        .gives(json::<Provider>()),
        provider(
            "/v1/providers/{id}/update",
            ("updateProvider", "Replace what is recorded about a provider"),
            handler!(providers::registry::update),
        )
        .takes(json::<ProviderConfiguration>())
        .body_bytes_max(CONFIGURATION_BYTES_MAX),
        provider(
            "/v1/providers/{id}/revoke",
            ("revokeProvider", "Trust a provider no more"),
            handler!(providers::registry::revoke),
        ),
        route(
            POST,
            "/v1/providers/{id}/check",
            Op(Registrar),
            ("checkToken", "Explain what a provider's token would give"),
            handler!(providers::check),
        )
        .takes(json::<CheckToken>())
        .gives(json::<TokenCheck>()),
    ]
}

fn keys() -> Vec<Route> {
    const KEYS: &str = "/v1/token-keys";
    let change = |path, doc, handler| route(POST, path, Op(Admin), doc, handler).gives(json::<TokenKeyChanged>());
    vec![
        route(GET, KEYS, Op(Admin), ("listTokenKeys", "List keys that sign tokens"), handler!(token_keys::list))
            .gives(json::<TokenKeyList>()),
        change("/v1/token-keys/rotate", ("rotateTokenKey", "Have a new key sign tokens"), handler!(token_keys::rotate))
            .takes(json::<RotateTokenKey>()),
        change(
            "/v1/token-keys/{thumbprint}/retire",
            ("retireTokenKey", "Have a key sign no more, or end all that it signed"),
            handler!(token_keys::retire),
        )
        .takes(json::<RetireTokenKey>()),
    ]
}

fn oauth() -> Vec<Route> {
    let post = |path, access, doc, handler| route(POST, path, access, doc, handler).body_bytes_max(FORM_BYTES_MAX);
    let (agent, server) = (Access::AgentClient, Access::ResourceServerClient);
    vec![
        post(
            metadata::TOKEN,
            agent,
            ("createToken", "Ask for a token for one action on one resource"),
            handler!(token::create),
        )
        .takes(form::<TokenRequest>())
        .gives(json::<TokenAnswer>()),
        post(
            metadata::INTROSPECT,
            server,
            ("introspectToken", "Ask whether a token is good now"),
            handler!(introspect::show),
        )
        .takes(form::<AboutToken>())
        .gives(json::<Introspection>()),
        post(metadata::REVOKE, agent, ("revokeToken", "Give up a token of one's own"), handler!(revoke::create))
            .takes(form::<AboutToken>())
            .gives(JSON),
    ]
}

fn fact() -> Vec<Route> {
    let server = Access::ResourceServer;
    vec![
        route(POST, "/v1/facts", Op(Registrar), ("setFacts", "Say what is so"), handler!(facts::set))
            .takes(json::<SetFacts>())
            .gives(json::<FactsSet>())
            .body_bytes_max(facts::BODY_BYTES_MAX),
        route(GET, "/v1/facts", Op(Registrar), ("listFacts", "List facts"), handler!(facts::list))
            .gives(json::<FactList>()),
        route(POST, "/v1/facts/delete", Op(Registrar), ("deleteFacts", "Forget facts"), handler!(facts::delete))
            .takes(json::<DeleteFacts>())
            .gives(json::<FactsDeleted>()),
        route(
            POST,
            "/v1/resource-facts",
            server,
            ("setOwnFacts", "Say what is so of one's own resources"),
            handler!(facts::set_own),
        )
        .takes(json::<SetFacts>())
        .gives(json::<FactsSet>()),
        route(
            POST,
            "/v1/resource-facts/delete",
            server,
            ("deleteOwnFacts", "Forget facts of one's own resources"),
            handler!(facts::delete_own),
        )
        .takes(json::<DeleteFacts>())
        .gives(json::<FactsDeleted>()),
    ]
}

fn policy() -> Vec<Route> {
    let change = |path, doc, handler| route(POST, path, Op(PolicyAdmin), doc, handler).gives(json::<SetChanged>());
    vec![
        route(
            Method::PUT,
            "/v1/components/{digest}",
            Op(PolicyAdmin),
            ("putComponent", "Put a component"),
            handler!(policies::put_component),
        )
        .takes(Content::Other("application/wasm"))
        .gives(json::<Component>())
        .created()
        .body_bytes_max(policies::COMPONENT_BYTES_MAX),
        route(
            POST,
            "/v1/policies/{id}/versions",
            Op(PolicyAdmin),
            ("pushVersion", "Push a version of a policy"),
            handler!(policies::push),
        )
        .takes(json::<PushVersion>())
        .gives(json::<PolicyVersion>())
        .created(),
        change(
            "/v1/policies/{id}/activate",
            ("activatePolicy", "Put a version in force"),
            handler!(policies::change::activate),
        )
        .takes(json::<Activate>()),
        change(
            "/v1/policies/{id}/rollback",
            ("rollBackPolicy", "Go back to a version that was in force before"),
            handler!(policies::change::roll_back),
        )
        .takes(json::<Rollback>()),
        route(
            POST,
            "/v1/policies/{id}/versions/{version}/revoke",
            Op(PolicyAdmin),
            ("revokePolicyVersion", "End what a version allowed, and never put it in force again"),
            handler!(policies::change::revoke),
        )
        .takes(json::<Revoke>())
        .gives(json::<VersionRevoked>()),
        change(
            "/v1/active-set/changes",
            ("changeActiveSet", "Change several policies at once"),
            handler!(policies::change::change_set),
        )
        .takes(json::<ChangeSet>()),
        route(
            POST,
            "/v1/policies/{id}/deactivate",
            Op(PolicyWeakener),
            ("deactivatePolicy", "Take a policy out of force"),
            handler!(policies::change::deactivate),
        )
        .gives(json::<SetChanged>()),
        route(
            GET,
            "/v1/active-set",
            Op(PolicyAdmin),
            ("showActiveSet", "Show the set in force"),
            handler!(policies::change::show),
        )
        .gives(json::<ActiveSet>()),
        route(
            GET,
            "/v1/loads",
            Op(PolicyAdmin),
            ("listLoads", "List policies being made ready"),
            handler!(loads::list),
        )
        .gives(json::<LoadList>()),
        route(
            POST,
            "/v1/loads/{id}/cancel",
            Op(PolicyAdmin),
            ("cancelLoad", "Cancel making a policy ready"),
            handler!(loads::cancel),
        )
        .gives(json::<LoadCancelled>()),
        route(GET, "/v1/policies", Op(PolicyAdmin), ("listPolicies", "List policies"), handler!(policies::list))
            .gives(json::<PolicyList>()),
        route(GET, "/v1/policies/{id}", Op(PolicyAdmin), ("showPolicy", "Show a policy"), handler!(policies::show))
            .gives(json::<Policy>()),
    ]
}

fn deciding() -> Vec<Route> {
    let (agent, server) = (Access::Agent, Access::ResourceServer);
    vec![
        route(
            POST,
            "/v1/simulations",
            Op(Auditor),
            ("simulate", "Try what would be decided, and why"),
            handler!(simulations::create),
        )
        .takes(json::<SimulationRequest<'_>>())
        .gives(json::<Simulation>()),
        route(POST, "/v1/decisions", agent, ("createDecision", "Ask for a decision"), handler!(decisions::create))
            .takes(json::<DecisionRequest<'_>>())
            .gives(json::<DecisionAnswer>()),
        route(
            POST,
            "/v1/grants/{id}/uses",
            server,
            ("useGrant", "Use a grant, before acting"),
            handler!(grants::use_grant),
        )
        .takes(json::<UseGrant>())
        .gives(json::<GrantUse>()),
        route(
            POST,
            "/v1/grants/{id}/effect",
            server,
            ("reportEffect", "Report what came of a use"),
            handler!(grants::report_effect),
        )
        .takes(json::<ReportEffect>())
        .gives(json::<EffectRecorded>()),
        route(GET, "/v1/grants", Op(Registrar), ("listGrants", "List grants"), handler!(grants::list))
            .gives(json::<GrantList>()),
        route(GET, "/v1/grants/{id}", Op(Registrar), ("showGrant", "Show a grant"), handler!(grants::show))
            .gives(json::<GrantDetails>()),
        route(
            POST,
            "/v1/grants/{id}/revoke",
            Op(Registrar),
            ("revokeGrant", "Revoke a grant"),
            handler!(grants::revoke),
        )
        .gives(json::<GrantDetails>()),
    ]
}

fn auditing() -> Vec<Route> {
    let get = |path, doc, handler| route(GET, path, Op(Auditor), doc, handler);
    vec![
        get("/v1/audit/entries", ("listEntries", "List entries of the audit log"), handler!(audit::list))
            .gives(json::<EntryList>()),
        get("/v1/audit/entries/{index}", ("showEntry", "Show an entry"), handler!(audit::show)).gives(json::<Entry>()),
        get(
            "/v1/audit/entries/{index}/receipt",
            ("showReceipt", "The offline proof that an entry is in the log"),
            handler!(audit::receipt),
        )
        .gives(TEXT),
        get(
            "/v1/audit/decisions/{decision_id}",
            ("showDecision", "The full record of a decision"),
            handler!(audit::decision),
        )
        .gives(JSON),
        get("/v1/audit/checkpoint", ("showCheckpoint", "The signed head of the log"), handler!(audit::checkpoint))
            .gives(TEXT),
        get("/v1/audit/export", ("exportLog", "The whole log, verifiable offline"), handler!(audit::export))
            .gives(TEXT),
        get(
            "/v1/policy-logs",
            ("listPolicyLogs", "List what policies wrote to their logs lately"),
            handler!(policy_logs::list),
        )
        .gives(json::<PolicyLogList>()),
        get("/metrics", ("showMetrics", "Counts and sizes for monitoring"), handler!(metrics::show)).gives(METRICS),
    ]
}

fn open() -> Vec<Route> {
    let get = |path, doc, handler| route(GET, path, Public, doc, handler);
    vec![
        get("/v1/audit/key", ("showLogKey", "The key that verifies checkpoints"), handler!(public::log_key))
            .gives(TEXT),
        get(
            "/.well-known/oauth-authorization-server",
            ("showServerMetadata", "What this server is to OAuth clients (RFC 8414)"),
            handler!(metadata::authorization_server),
        )
        .gives(JSON),
        get(
            "/.well-known/oauth-protected-resource",
            ("showResourceMetadata", "What this API is to OAuth clients (RFC 9728)"),
            handler!(metadata::protected_resource),
        )
        .gives(JSON),
        get(metadata::JWKS, ("showJwks", "The keys that verify credentials"), handler!(public::jwks)).gives(JSON),
        // The token that it brings says who calls: the provider that signed it.
        route(
            POST,
            "/v1/backchannel-logout",
            Public,
            ("backchannelLogout", "Be told that a user logged out (OpenID Connect Back-Channel Logout 1.0)"),
            handler!(logout::create),
        )
        .takes(form::<Logout>())
        .gives(JSON)
        .body_bytes_max(FORM_BYTES_MAX),
        get("/v1/openapi.json", ("showOpenApi", "This document"), handler!(public::openapi)).gives(JSON),
        get("/healthz", ("showHealth", "Whether the process lives"), handler!(public::healthz)).gives(TEXT),
        get("/readyz", ("showReadiness", "Whether the server decides"), handler!(public::readyz)).gives(JSON),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::route::BODY_BYTES_MAX;

    #[test]
    fn no_route_and_no_operation_stands_twice() {
        let routes = all();
        for (at, one) in routes.iter().enumerate() {
            for other in &routes[..at] {
                assert!((&one.method, one.path) != (&other.method, other.path), "{} {}", one.method, one.path);
                assert_ne!(one.operation, other.operation);
            }
        }
    }

    #[test]
    fn the_document_has_every_route_with_its_access() {
        let document = openapi_document();
        for route in all() {
            let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            assert_eq!(operation["operationId"], route.operation);
            assert_eq!(operation["x-attorn-access"], route.access.describe());
        }
    }

    /// Nobody makes the server hold a large body before it knows who sends it.
    #[test]
    fn only_operators_send_large_bodies() {
        let large: Vec<_> = all().into_iter().filter(|route| route.body_bytes_max > BODY_BYTES_MAX).collect();
        assert!(large.iter().all(|route| matches!(route.access, Op(_))));
        let large: Vec<_> = large.iter().map(|route| route.operation).collect();
        let expect = [
            "registerTrustDomain",
            "updateTrustDomain",
            "registerWorkloadIssuer",
            "updateWorkloadIssuer",
            "registerProvider",
            "updateProvider",
            "setFacts",
            "putComponent",
        ];
        assert_eq!(large, expect);
    }

    #[test]
    fn only_these_routes_are_public() {
        let public: Vec<_> = all().into_iter().filter(|route| route.access == Public).map(|route| route.path).collect();
        let metadata = ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"];
        assert_eq!(public[1..3], metadata);
        assert_eq!(
            [&public[..1], &public[3..]].concat(),
            [
                "/v1/audit/key",
                "/.well-known/jwks.json",
                "/v1/backchannel-logout",
                "/v1/openapi.json",
                "/healthz",
                "/readyz"
            ]
        );
    }
}
