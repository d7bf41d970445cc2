//! The routes about those who are registered: operators, agents, resource servers. Who vouches for them stands in
//! `vouching`.

use attorn_api::agents::{
    Agent, AgentList, ChangeCeiling, ChangeState, Identity, RegisterAgent, RegisterKey, RevokeIdentity,
};
use attorn_api::delegations::Revoke;
use attorn_api::operators::{Operator, OperatorList, RegisterOperator, RegisteredOperator};
use attorn_api::resource_servers::{RegisterResourceServer, ResourceServer, ResourceServerList};
use attorn_core::Duty::{Admin, Registrar};

use super::{GET, POST};
use crate::http::route::Access::{Operator as Op, OperatorOrBootstrap};
use crate::http::route::{Route, handler, json, route};
use crate::registry;

pub(super) fn all() -> Vec<Route> {
    [operators(), agents(), resource_servers()].concat()
}

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
        // After a restore somebody has to see who they are before any of them gets a token.
        route(
            GET,
            OPERATORS,
            OperatorOrBootstrap(Admin),
            ("listOperators", "List operators"),
            handler!(registry::operators::list),
        )
        .gives(json::<OperatorList>()),
        route(
            POST,
            "/v1/operators/{id}/renew",
            OperatorOrBootstrap(Admin),
            ("renewOperator", "Give an operator a new token; one that they had ends"),
            handler!(registry::operators::renew),
        )
        .gives(json::<RegisteredOperator>()),
        route(
            POST,
            "/v1/operators/{id}/revoke",
            Op(Admin),
            ("revokeOperator", "Revoke an operator's token"),
            handler!(registry::operators::revoke),
        )
        .takes(json::<Revoke>())
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
        .takes(json::<Revoke>())
        .gives(json::<ResourceServer>()),
    ]
}
