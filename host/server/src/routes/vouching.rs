//! The routes about those who vouch for workloads.

use attorn_api::delegations::Revoke;
use attorn_api::trust_domains::{RegisterTrustDomain, TrustDomain, TrustDomainList, UpdateTrustDomain};
use attorn_api::workload_issuers::{
    BODY_BYTES_MAX, RegisterWorkloadIssuer, UpdateWorkloadIssuer, WorkloadIssuer, WorkloadIssuerList,
};
use attorn_core::Duty::Registrar;

use super::{GET, POST};
use crate::http::route::Access::Operator as Op;
use crate::http::route::{Route, handler, json, route};
use crate::registry;

pub(super) fn all() -> Vec<Route> {
    [trust_domains(), workload_issuers()].concat()
}

fn trust_domains() -> Vec<Route> {
    const DOMAINS: &str = "/v1/trust-domains";
    let one =
        |method, path, doc, handler| route(method, path, Op(Registrar), doc, handler).gives(json::<TrustDomain>());
    vec![
        one(
            POST,
            DOMAINS,
            ("registerTrustDomain", "Register a SPIFFE trust domain"),
            handler!(registry::trust_domains::register),
        )
        .takes(json::<RegisterTrustDomain>())
        .created()
        .body_bytes_max(registry::trust_domains::BODY_BYTES_MAX),
        route(
            GET,
            DOMAINS,
            Op(Registrar),
            ("listTrustDomains", "List trust domains"),
            handler!(registry::trust_domains::list),
        )
        .gives(json::<TrustDomainList>()),
        one(
            GET,
            "/v1/trust-domains/{id}",
            ("showTrustDomain", "Show a trust domain"),
            handler!(registry::trust_domains::show),
        ),
        one(
            POST,
            "/v1/trust-domains/{id}/update",
            ("updateTrustDomain", "Give a trust domain other roots and keys"),
            handler!(registry::trust_domains::update),
        )
        .takes(json::<UpdateTrustDomain>())
        .body_bytes_max(registry::trust_domains::BODY_BYTES_MAX),
        one(
            POST,
            "/v1/trust-domains/{id}/revoke",
            ("revokeTrustDomain", "Revoke a trust domain"),
            handler!(registry::trust_domains::revoke),
        )
        .takes(json::<Revoke>()),
    ]
}

fn workload_issuers() -> Vec<Route> {
    const ISSUERS: &str = "/v1/workload-issuers";
    let one =
        |method, path, doc, handler| route(method, path, Op(Registrar), doc, handler).gives(json::<WorkloadIssuer>());
    vec![
        one(
            POST,
            ISSUERS,
            ("registerWorkloadIssuer", "Register a workload issuer"),
            handler!(registry::workload_issuers::register),
        )
        .takes(json::<RegisterWorkloadIssuer>())
        .created()
        .body_bytes_max(BODY_BYTES_MAX),
        route(
            GET,
            ISSUERS,
            Op(Registrar),
            ("listWorkloadIssuers", "List workload issuers"),
            handler!(registry::workload_issuers::list),
        )
        .gives(json::<WorkloadIssuerList>()),
        one(
            GET,
            "/v1/workload-issuers/{id}",
            ("showWorkloadIssuer", "Show a workload issuer"),
            handler!(registry::workload_issuers::show),
        ),
        one(
            POST,
            "/v1/workload-issuers/{id}/update",
            ("updateWorkloadIssuer", "Give a workload issuer other keys"),
            handler!(registry::workload_issuers::update),
        )
        .takes(json::<UpdateWorkloadIssuer>())
        .body_bytes_max(BODY_BYTES_MAX),
        one(
            POST,
            "/v1/workload-issuers/{id}/revoke",
            ("revokeWorkloadIssuer", "Revoke a workload issuer"),
            handler!(registry::workload_issuers::revoke),
        )
        .takes(json::<Revoke>()),
    ]
}
