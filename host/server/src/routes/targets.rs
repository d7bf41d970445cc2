//! The routes about what exists outside: targets and leases.

use attorn_api::targets::{
    ChangeTarget, CheckTarget, Lease, LeaseList, LeaseRenewed, RegisterTarget, ReplaceTargetSecret, Target,
    TargetCheck, TargetList, TargetRotated,
};
use attorn_core::Duty::Registrar;
use axum::http::Method;

use super::{GET, POST};
use crate::http::route::Access::{self, Agent, Operator as Op};
use crate::http::route::{Content, Route, handler, json, route};
use crate::{leases, proxy, targets};

/// Certificates in PEM within JSON, and the rest.
const BODY_BYTES_MAX: usize = 96 << 10;

pub(super) fn all() -> Vec<Route> {
    [all_targets(), all_leases(), onward()].concat()
}

/// What goes on to a service. Each method has a row, and that of GET is for HEAD, too.
fn onward() -> Vec<Route> {
    let row = |method, operation| {
        let doc = (operation, "Have a request sent on to a target, if it is allowed");
        let path = "/proxy/{target}/{*path}";
        route(method, path, Access::AgentOnward, doc, handler!(proxy::call)).gives(Content::Other("*/*"))
    };
    vec![
        row(GET, "proxyGet"),
        row(POST, "proxyPost"),
        row(Method::PUT, "proxyPut"),
        row(Method::PATCH, "proxyPatch"),
        row(Method::DELETE, "proxyDelete"),
    ]
}

fn all_targets() -> Vec<Route> {
    const TARGETS: &str = "/v1/targets";
    let target = |path, doc, handler| route(POST, path, Op(Registrar), doc, handler).gives(json::<Target>());
    vec![
        target(TARGETS, ("registerTarget", "Register a target"), handler!(targets::register))
            .takes(json::<RegisterTarget>())
            .created()
            .body_bytes_max(BODY_BYTES_MAX),
        route(GET, TARGETS, Op(Registrar), ("listTargets", "List targets"), handler!(targets::list))
            .gives(json::<TargetList>()),
        route(GET, "/v1/targets/{id}", Op(Registrar), ("showTarget", "Show a target"), handler!(targets::show))
            .gives(json::<Target>()),
        route(
            POST,
            "/v1/targets/{id}/check",
            Op(Registrar),
            ("checkTarget", "Look at a target, and compare its logins with the leases"),
            handler!(targets::check),
        )
        .takes(json::<CheckTarget>())
        .gives(json::<TargetCheck>()),
        route(
            POST,
            "/v1/targets/{id}/rotate",
            Op(Registrar),
            ("rotateTarget", "Give a target's administrator a new password"),
            handler!(targets::rotate),
        )
        .gives(json::<TargetRotated>()),
        target(
            "/v1/targets/{id}/secret",
            (
                "replaceTargetSecret",
                "Put another secret in the place of a target's, or the password that its administrator has",
            ),
            handler!(targets::replace_secret),
        )
        .takes(json::<ReplaceTargetSecret>()),
        target(
            "/v1/targets/{id}/suspend",
            ("suspendTarget", "Make nothing more at a target"),
            handler!(targets::suspend),
        )
        .takes(json::<ChangeTarget>()),
        target(
            "/v1/targets/{id}/resume",
            ("resumeTarget", "Make credentials at a target again"),
            handler!(targets::resume),
        )
        .takes(json::<ChangeTarget>()),
        target(
            "/v1/targets/{id}/retire",
            ("retireTarget", "Retire a target for ever, and end all its leases"),
            handler!(targets::retire),
        )
        .takes(json::<ChangeTarget>()),
    ]
}

fn all_leases() -> Vec<Route> {
    const LEASES: &str = "/v1/leases";
    vec![
        route(
            GET,
            LEASES,
            Op(Registrar),
            ("listLeases", "List leases, or those of a target that have not ended"),
            handler!(leases::routes::list),
        )
        .gives(json::<LeaseList>()),
        route(GET, "/v1/leases/{id}", Op(Registrar), ("showLease", "Show a lease"), handler!(leases::routes::show))
            .gives(json::<Lease>()),
        route(
            POST,
            "/v1/leases/{id}/revoke",
            Op(Registrar),
            ("revokeLease", "End a lease, or try again at once"),
            handler!(leases::routes::revoke),
        )
        .gives(json::<Lease>()),
        route(
            POST,
            "/v1/leases/{id}/renew",
            Agent,
            ("renewLease", "Let one's login live longer, within its grant"),
            handler!(leases::routes::renew),
        )
        .gives(json::<LeaseRenewed>()),
    ]
}
