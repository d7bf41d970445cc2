//! All routes, one row each.

mod approvals;
mod decisions;
mod people;
mod policies;
mod published;
mod registry;
mod targets;
mod vouching;

use attorn_api::audit::{Entry, EntryList, LogEpochList};
use attorn_api::backchannel::{Backchannel, BackchannelCheck, SetBackchannel};
use attorn_api::delegations::Revoke;
use attorn_api::oauth::Logout;
use attorn_api::policy_logs::PolicyLogList;
use attorn_api::provider_client_keys::{ProviderClientKeys, RotateProviderClientKey};
use attorn_api::providers::{
    CONFIGURATION_BYTES_MAX, CheckToken, Provider, ProviderConfiguration, ProviderList, TokenCheck,
};
use attorn_api::token_keys::{RetireTokenKey, RotateTokenKey, TokenKeyChanged, TokenKeyList};
use attorn_core::Duty::{Admin, Auditor, Registrar};
use axum::http::Method;

use crate::http::openapi;
use crate::http::route::Access::{Operator as Op, Public};
use crate::http::route::{Content, Route, form, handler, json, route};
use crate::oauth::form::FORM_BYTES_MAX;
use crate::oauth::metadata;
use crate::token_keys::routes as token_keys;
use crate::{audit, logout, metrics, policy_logs, providers, public, queries};

/// The `OpenAPI` 3.1 document of this server.
#[must_use]
pub fn openapi_document() -> serde_json::Value {
    openapi::document(&all())
}

/// All routes.
pub(crate) fn all() -> Vec<Route> {
    let registered =
        [registry::all(), vouching::all(), keys(), client_keys(), provider(), backchannel(), targets::all()].concat();
    [
        registered,
        policies::all(),
        decisions::all(),
        approvals::all(),
        people::all(),
        auditing(),
        log_epochs(),
        published::all(),
        open(),
    ]
    .concat()
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const TEXT: Content = Content::Other("text/plain");
const METRICS: Content = Content::Other("application/openmetrics-text");
const JSON: Content = Content::Other("application/json");
const EVENTS: Content = Content::Other("text/event-stream");

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
        )
        .takes(json::<Revoke>()),
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

/// How users are asked at a provider.
fn backchannel() -> Vec<Route> {
    const BACKCHANNEL: &str = "/v1/providers/{id}/backchannel";
    let one =
        |method, path, doc, handler| route(method, path, Op(Registrar), doc, handler).gives(json::<Backchannel>());
    vec![
        one(
            POST,
            BACKCHANNEL,
            ("setBackchannel", "Have users asked for approvals at their provider"),
            handler!(providers::backchannel::configuration::set),
        )
        .takes(json::<SetBackchannel>()),
        one(
            GET,
            BACKCHANNEL,
            ("showBackchannel", "Show how users are asked at a provider"),
            handler!(providers::backchannel::configuration::show),
        ),
        route(
            POST,
            "/v1/providers/{id}/backchannel/check",
            Op(Registrar),
            ("checkBackchannel", "Say whether a provider can ask its users as it is registered"),
            handler!(providers::backchannel::check::check),
        )
        .gives(json::<BackchannelCheck>()),
        one(
            POST,
            "/v1/providers/{id}/backchannel/remove",
            ("removeBackchannel", "Ask nobody at a provider any more"),
            handler!(providers::backchannel::configuration::remove),
        )
        .takes(json::<Revoke>()),
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

/// The keys of this server as a client of providers.
fn client_keys() -> Vec<Route> {
    const KEYS: &str = "/v1/provider-client-keys";
    vec![
        route(
            GET,
            KEYS,
            Op(Admin),
            ("showProviderClientKeys", "Show the keys of this server as a client of providers"),
            handler!(providers::backchannel::own_key_routes::show),
        )
        .gives(json::<ProviderClientKeys>()),
        route(
            POST,
            "/v1/provider-client-keys/rotate",
            Op(Admin),
            ("rotateProviderClientKey", "Have a new key take the place of that"),
            handler!(providers::backchannel::own_key_routes::rotate),
        )
        .takes(json::<RotateProviderClientKey>())
        .gives(json::<ProviderClientKeys>()),
    ]
}

fn auditing() -> Vec<Route> {
    let get = |path, doc, handler| route(GET, path, Op(Auditor), doc, handler);
    vec![
        get("/v1/audit/entries", ("listEntries", "List entries of the audit log"), handler!(audit::list))
            .gives(json::<EntryList>()),
        get("/v1/audit/stream", ("streamEntries", "Entries as they come"), handler!(queries::stream::create))
            .gives(EVENTS),
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
        get(
            "/v1/audit/decisions/{decision_id}/receipt",
            ("showDecisionReceipt", "The offline proof that a decision is in the log"),
            handler!(audit::decision_receipt),
        )
        .gives(TEXT),
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

/// The epochs of the log, and the entries of those that have ended.
fn log_epochs() -> Vec<Route> {
    let get = |path, doc, handler| route(GET, path, Op(Auditor), doc, handler);
    vec![
        get("/v1/audit/epochs", ("showLogEpochs", "The epochs of the log"), handler!(audit::epochs::list))
            .gives(json::<LogEpochList>()),
        get(
            "/v1/audit/epochs/{epoch}/entries",
            ("listEpochEntries", "List entries of an epoch"),
            handler!(audit::epochs::entries),
        )
        .gives(json::<EntryList>()),
        get(
            "/v1/audit/epochs/{epoch}/entries/{index}",
            ("showEpochEntry", "Show an entry of an epoch"),
            handler!(audit::epochs::show),
        )
        .gives(json::<Entry>()),
        get(
            "/v1/audit/epochs/{epoch}/entries/{index}/receipt",
            ("showEpochReceipt", "The offline proof that an entry is in an epoch"),
            handler!(audit::epochs::receipt),
        )
        .gives(TEXT),
        get(
            "/v1/audit/epochs/{epoch}/export",
            ("exportEpoch", "A whole epoch of the log, verifiable offline"),
            handler!(audit::epochs::export),
        )
        .gives(TEXT),
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
        get(
            metadata::CLIENT_JWKS,
            ("showClientJwks", "The keys that verify what this server is as a client of providers"),
            handler!(providers::backchannel::own_key::published),
        )
        .gives(JSON),
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
    use std::time::Duration;

    use attorn_artifact::WorkerLimits;

    use super::*;
    use crate::http::route::BODY_BYTES_MAX;
    use crate::loads::LOADS_MAX;

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
            let operation = &document["paths"][route.documented_path()][route.method.as_str().to_ascii_lowercase()];
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
            "registerTarget",
            "setFacts",
            "putComponent",
            "pushVersion",
        ];
        assert_eq!(large, expect);
    }

    /// A worker that compiles ends by itself before.
    #[test]
    fn what_may_compile_has_time_for_it() {
        let (patient, others): (Vec<_>, Vec<_>) = all().into_iter().partition(Route::loads);
        for wall_s_max in [WorkerLimits::USUAL.wall_s_max, 7_200] {
            let compile = WorkerLimits { wall_s_max, ..WorkerLimits::USUAL };
            let longest = Duration::from_secs(wall_s_max) * LOADS_MAX;
            assert!(patient.iter().all(|route| route.lasts_at_most(&compile) > longest));
            assert!(others.iter().all(|route| route.lasts_at_most(&compile) < Duration::from_mins(1)));
        }
        let patient: Vec<_> = patient.iter().map(|route| route.operation).collect();
        let expect = [
            "pushVersion",
            "activatePolicy",
            "rollBackPolicy",
            "changeActiveSet",
            "simulate",
            "replayDecision",
            "replayHistory",
        ];
        assert_eq!(patient, expect);
    }

    #[test]
    fn only_these_routes_are_public() {
        let public = all().into_iter().filter(|route| route.access == Public);
        let (pages, public): (Vec<_>, Vec<_>) = public.partition(Route::is_page);
        let paths = |routes: Vec<Route>| routes.into_iter().map(|route| route.path).collect::<Vec<_>>();
        assert_eq!(paths(pages), ["/approve/{id}", "/approve/signed-in", "/approve/{id}"]);
        let public = paths(public);
        let metadata = ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"];
        assert_eq!(public[1..3], metadata);
        assert_eq!(
            [&public[..1], &public[3..]].concat(),
            [
                "/v1/audit/key",
                "/.well-known/jwks.json",
                "/.well-known/client-jwks.json",
                "/v1/backchannel-logout",
                "/v1/openapi.json",
                "/healthz",
                "/readyz"
            ]
        );
    }
}
