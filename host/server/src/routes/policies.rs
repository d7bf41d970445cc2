//! The routes about policies, and about the facts that they ask for.

use attorn_api::delegations::Revoke;
use attorn_api::facts::{DeleteFacts, FactList, FactsDeleted, FactsSet, SetFacts};
use attorn_api::loads::{LoadCancelled, LoadList};
use attorn_api::policies::{
    Activate, ActiveSet, ChangeSet, Component, Policy, PolicyList, PolicyVersion, PushVersion, Rollback, SetChanged,
    VersionRevoked,
};
use attorn_api::policy_signers::{
    ChangePolicySignatures, PolicySignatures, PolicySigner, PolicySignerList, RegisterPolicySigner,
};
use attorn_core::Duty::{PolicyAdmin, PolicyWeakener, Registrar};
use axum::http::Method;

use super::{GET, POST};
use crate::http::route::Access::{self, Operator as Op};
use crate::http::route::{Content, Route, handler, json, route};
use crate::policies::signers;
use crate::{facts, loads, policies};

pub(super) fn all() -> Vec<Route> {
    [fact(), policy(), signer()].concat()
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
        .created()
        .body_bytes_max(policies::PUSH_BYTES_MAX),
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

fn signer() -> Vec<Route> {
    const SIGNERS: &str = "/v1/policy-signers";
    let one =
        |method, path, duty, doc, handler| route(method, path, Op(duty), doc, handler).gives(json::<PolicySigner>());
    let all = |method, path, duty, doc, handler| {
        route(method, path, Op(duty), doc, handler).gives(json::<PolicySignatures>())
    };
    vec![
        one(
            POST,
            SIGNERS,
            PolicyWeakener,
            ("registerPolicySigner", "Have somebody's signatures of components count"),
            handler!(signers::register),
        )
        .takes(json::<RegisterPolicySigner>())
        .created(),
        route(
            GET,
            SIGNERS,
            Op(PolicyAdmin),
            ("listPolicySigners", "List whose signatures of components count"),
            handler!(signers::list),
        )
        .gives(json::<PolicySignerList>()),
        one(
            GET,
            "/v1/policy-signers/{id}",
            PolicyAdmin,
            ("showPolicySigner", "Show a policy signer"),
            handler!(signers::show),
        ),
        one(
            POST,
            "/v1/policy-signers/{id}/revoke",
            PolicyAdmin,
            ("revokePolicySigner", "Count no signature of a signer's any more"),
            handler!(signers::revoke),
        )
        .takes(json::<Revoke>()),
        all(
            GET,
            "/v1/policy-signatures",
            PolicyAdmin,
            ("showPolicySignatures", "Show whether components have to be signed"),
            handler!(signers::show_requirement),
        ),
        all(
            POST,
            "/v1/policy-signatures/require",
            PolicyAdmin,
            ("requirePolicySignatures", "Take and put in force only what an active signer signed"),
            handler!(signers::require),
        )
        .takes(json::<ChangePolicySignatures>()),
        all(
            POST,
            "/v1/policy-signatures/lift",
            PolicyWeakener,
            ("liftPolicySignatures", "Require no signatures any more"),
            handler!(signers::lift),
        )
        .takes(json::<ChangePolicySignatures>()),
    ]
}
