//! The routes on which something is decided, and those about what was granted.

use attorn_api::decisions::{DecisionAnswer, DecisionRequest};
use attorn_api::delegations::Revoke;
use attorn_api::grants::{EffectRecorded, GrantDetails, GrantList, GrantUse, ReportEffect, UseGrant};
use attorn_api::oauth::{
    AboutToken, BackchannelAuthentication, BackchannelRequest, Introspection, TokenAnswer, TokenRequest,
};
use attorn_api::replays::{HistoryPage, HistoryRequest, Replay, ReplayRequest};
use attorn_api::simulations::{Simulation, SimulationRequest};
use attorn_core::Duty::{Auditor, Registrar};

use super::{GET, JSON, POST};
use crate::http::route::Access::{self, Operator as Op};
use crate::http::route::{Route, form, handler, json, route};
use crate::oauth::form::FORM_BYTES_MAX;
use crate::oauth::{ciba, introspect, metadata, revoke, token};
use crate::{decisions, grants, replays, simulations};

pub(super) fn all() -> Vec<Route> {
    [deciding(), oauth()].concat()
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
        route(
            POST,
            "/v1/replays",
            Op(Auditor),
            ("replayDecision", "Decide a recorded decision again, from its record"),
            handler!(replays::create),
        )
        .takes(json::<ReplayRequest>())
        .gives(json::<Replay>()),
        route(
            POST,
            "/v1/replays/history",
            Op(Auditor),
            ("replayHistory", "Decide a part of history again, under two sets of policies"),
            handler!(replays::history::create),
        )
        .takes(json::<HistoryRequest>())
        .gives(json::<HistoryPage>()),
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
        .takes(json::<Revoke>())
        .gives(json::<GrantDetails>()),
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
            metadata::BC_AUTHORIZE,
            agent,
            ("createBackchannelRequest", "Ask that a user be asked (CIBA, poll mode)"),
            handler!(ciba::authorize::create),
        )
        .takes(form::<BackchannelRequest>())
        .gives(json::<BackchannelAuthentication>()),
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
