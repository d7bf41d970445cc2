//! The routes on which people are asked, and say yes or no.

use attorn_api::approvals::{Approval, ApprovalList, ApprovalStanding, CastBallot};
use attorn_core::Duty::Approver;

use super::{GET, POST};
use crate::approvals::routes;
use crate::http::route::Access::{Agent, Operator as Op};
use crate::http::route::{Route, handler, json, route};

pub(super) fn all() -> Vec<Route> {
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
