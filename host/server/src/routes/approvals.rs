//! The routes on which people are asked, and say yes or no.

use attorn_api::approvals::{
    Approval, ApprovalArguments, ApprovalList, ApprovalStanding, CastBallot, PageBallot, RegisterWebhook,
    RegisteredWebhook, Webhook, WebhookList,
};
use attorn_api::delegations::Revoke;
use attorn_core::Duty::{Approver, Registrar};

use super::{GET, POST};
use crate::approvals::{page, routes, webhooks};
use crate::http::route::Access::{Agent, Operator as Op, Public};
use crate::http::route::{Content, Route, form, handler, json, route};
use crate::oauth::form::FORM_BYTES_MAX;
use crate::providers::backchannel::sign_in::SIGNED_IN;

pub(super) fn all() -> Vec<Route> {
    [voting(), paging(), telling()].concat()
}

/// For users, in a browser. Who comes there signs in at their provider; nothing else opens anything.
fn paging() -> Vec<Route> {
    const PAGE: &str = "/approve/{id}";
    let page = |method, path, doc, handler| route(method, path, Public, doc, handler).gives(Content::Page);
    vec![
        page(
            GET,
            PAGE,
            ("showApprovalPage", "Sign in at one's provider, and read what is asked"),
            handler!(page::routes::show),
        ),
        page(GET, SIGNED_IN, ("endSignIn", "Come back from one's provider"), handler!(page::routes::signed_in)),
        page(POST, PAGE, ("voteOnPage", "Say yes or no on the page"), handler!(page::routes::vote))
            .takes(form::<PageBallot>())
            .body_bytes_max(FORM_BYTES_MAX),
    ]
}

fn telling() -> Vec<Route> {
    const WEBHOOKS: &str = "/v1/approval-webhooks";
    vec![
        route(
            POST,
            WEBHOOKS,
            Op(Registrar),
            ("registerApprovalWebhook", "Have somebody told of what is to be approved"),
            handler!(webhooks::routes::register),
        )
        .takes(json::<RegisterWebhook>())
        .gives(json::<RegisteredWebhook>())
        .created(),
        route(
            GET,
            WEBHOOKS,
            Op(Registrar),
            ("listApprovalWebhooks", "List who is told of what is to be approved"),
            handler!(webhooks::routes::list),
        )
        .gives(json::<WebhookList>()),
        route(
            POST,
            "/v1/approval-webhooks/{id}/revoke",
            Op(Registrar),
            ("revokeApprovalWebhook", "Tell somebody no more"),
            handler!(webhooks::routes::revoke),
        )
        .takes(json::<Revoke>())
        .gives(json::<Webhook>()),
    ]
}

fn voting() -> Vec<Route> {
    let vote = |path, doc, handler| {
        route(POST, path, Op(Approver), doc, handler).takes(json::<CastBallot>()).gives(json::<Approval>())
    };
    vec![
        route(
            GET,
            "/v1/approvals",
            Op(Approver),
            ("listApprovals", "List what operators are asked to approve: what waits, or in another state"),
            handler!(routes::list),
        )
        .gives(json::<ApprovalList>()),
        route(GET, "/v1/approvals/{id}", Op(Approver), ("showApproval", "Show an approval"), handler!(routes::show))
            .gives(json::<Approval>()),
        route(
            GET,
            "/v1/approvals/{id}/arguments",
            Op(Approver),
            ("showApprovalArguments", "Show all of the arguments that an approval is about"),
            handler!(routes::arguments),
        )
        .gives(json::<ApprovalArguments>()),
        vote("/v1/approvals/{id}/approve", ("approve", "Say yes to exactly this"), handler!(routes::approve)),
        vote("/v1/approvals/{id}/refuse", ("refuse", "Say no, for everybody"), handler!(routes::refuse)),
        route(
            GET,
            "/v1/approvals/{id}/state",
            Agent,
            ("showApprovalState", "How far an approval is that one's challenge waits for"),
            handler!(routes::standing),
        )
        .gives(json::<ApprovalStanding>()),
    ]
}
