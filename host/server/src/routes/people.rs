//! The routes about users, what they may do and what they delegated, and those that stop and go on with everything.

use attorn_api::clock::{AcceptClock, ClockShown};
use attorn_api::delegations::{
    CreateDelegation, Delegation, DelegationDetails, DelegationList, DelegationMade, DelegationTree, OfferDelegation,
    Revoke,
};
use attorn_api::users::{
    ChangeFreeze, DeleteEntitlement, Entitlement, EntitlementList, EraseUser, Freeze, NameUser, RevokeOfUser, Session,
    SetEntitlement, User, UserErased,
};
use attorn_core::Duty::{Eraser, Registrar, Thawer};

use super::{GET, POST};
use crate::http::route::Access::{self, Operator as Op, OperatorOfAny as OpOf};
use crate::http::route::{Route, handler, json, route};
use crate::{clock, delegations, freeze, me, users};

pub(super) fn all() -> Vec<Route> {
    [of_agents(), of_operators(), of_users(), users_and_entitlements(), freezing()].concat()
}

/// What agents do with what was delegated to them.
fn of_agents() -> Vec<Route> {
    let agent = Access::Agent;
    vec![
        route(
            POST,
            "/v1/delegations",
            agent,
            ("createDelegation", "Bring a user's consent"),
            handler!(delegations::create),
        )
        .takes(json::<CreateDelegation>())
        .gives(json::<DelegationMade>())
        .created(),
        route(
            POST,
            "/v1/delegations/{id}/offer",
            agent,
            ("offerDelegation", "Offer a part of a delegation to another agent"),
            handler!(delegations::offer::create),
        )
        .takes(json::<OfferDelegation>())
        .gives(json::<DelegationMade>())
        .created(),
        route(
            POST,
            "/v1/delegations/{id}/accept",
            agent,
            ("acceptDelegation", "Accept what another agent offered"),
            handler!(delegations::offer::accept),
        )
        .gives(json::<DelegationMade>()),
        route(
            GET,
            "/v1/own-delegations",
            agent,
            ("listOwnDelegations", "List what was delegated to the agent that calls"),
            handler!(delegations::list_own),
        )
        .gives(json::<DelegationList>()),
        route(
            POST,
            "/v1/own-delegations/{id}/revoke",
            agent,
            ("revokeOwnDelegation", "Take back what one gave, or give back what one received"),
            handler!(delegations::revoke::by_agent),
        )
        .takes(json::<Revoke>())
        .gives(json::<Delegation>()),
    ]
}

fn of_operators() -> Vec<Route> {
    const DELEGATION: &str = "/v1/delegations/{id}";
    vec![
        route(
            GET,
            "/v1/delegations",
            Op(Registrar),
            ("listDelegations", "List delegations"),
            handler!(delegations::list),
        )
        .gives(json::<DelegationList>()),
        route(GET, DELEGATION, Op(Registrar), ("showDelegation", "Show a delegation"), handler!(delegations::show))
            .gives(json::<DelegationDetails>()),
        route(
            GET,
            "/v1/delegations/{id}/tree",
            Op(Registrar),
            ("showDelegationTree", "Show a delegation and all that was offered out of it"),
            handler!(delegations::tree),
        )
        .gives(json::<DelegationTree>()),
        route(
            POST,
            "/v1/delegations/{id}/revoke",
            Op(Registrar),
            ("revokeDelegation", "Revoke a delegation with all below"),
            handler!(delegations::revoke::by_operator),
        )
        .takes(json::<Revoke>())
        .gives(json::<Delegation>()),
    ]
}

/// The users' own face.
fn of_users() -> Vec<Route> {
    let user = Access::User;
    vec![
        route(
            GET,
            "/v1/me/delegations",
            user,
            ("listMyDelegations", "List what one has delegated"),
            handler!(me::list),
        )
        .gives(json::<DelegationList>()),
        route(
            POST,
            "/v1/me/delegations/{id}/revoke",
            user,
            ("revokeMyDelegation", "Revoke what one has delegated, with all below"),
            handler!(me::revoke),
        )
        .takes(json::<Revoke>())
        .gives(json::<Delegation>()),
        route(
            POST,
            "/v1/me/revoke",
            user,
            ("revokeAllMine", "Revoke all that one has delegated, or all to one agent"),
            handler!(me::revoke_all),
        )
        .takes(json::<RevokeOfUser>())
        .gives(json::<DelegationList>()),
    ]
}

fn users_and_entitlements() -> Vec<Route> {
    const USER: &str = "/v1/users/{id}";
    const ENTITLEMENTS: &str = "/v1/entitlements";
    vec![
        route(POST, "/v1/users", Op(Registrar), ("registerUser", "Register a user"), handler!(users::routes::register))
            .takes(json::<NameUser>())
            .gives(json::<User>())
            .created(),
        route(POST, "/v1/users/find", Op(Registrar), ("findUser", "Find a user"), handler!(users::routes::find))
            .takes(json::<NameUser>())
            .gives(json::<User>()),
        route(GET, USER, Op(Registrar), ("showUser", "Show a user"), handler!(users::routes::show))
            .gives(json::<User>()),
        route(
            POST,
            "/v1/users/{id}/revoke",
            Op(Registrar),
            ("revokeOfUser", "Revoke all that a user delegated, or all to one agent"),
            handler!(delegations::revoke::user_by_operator),
        )
        .takes(json::<RevokeOfUser>())
        .gives(json::<User>()),
        route(
            POST,
            "/v1/users/{id}/erase",
            Op(Eraser),
            ("eraseUser", "Erase a user for ever"),
            handler!(users::erase::create),
        )
        .takes(json::<EraseUser>())
        .gives(json::<UserErased>()),
        route(
            POST,
            "/v1/sessions/{id}/revoke",
            Op(Registrar),
            ("revokeSession", "End a session with all that was delegated in it"),
            handler!(delegations::revoke::session_by_operator),
        )
        .takes(json::<Revoke>())
        .gives(json::<Session>()),
        route(
            POST,
            ENTITLEMENTS,
            Op(Registrar),
            ("setEntitlement", "Say what users may do themselves"),
            handler!(users::entitlements::set),
        )
        .takes(json::<SetEntitlement>())
        .gives(json::<Entitlement>()),
        route(
            GET,
            ENTITLEMENTS,
            Op(Registrar),
            ("listEntitlements", "List what groups and everyone may do"),
            handler!(users::entitlements::list),
        )
        .gives(json::<EntitlementList>()),
        route(
            POST,
            "/v1/entitlements/delete",
            Op(Registrar),
            ("deleteEntitlement", "Take rights away"),
            handler!(users::entitlements::delete),
        )
        .takes(json::<DeleteEntitlement>())
        .gives(json::<DeleteEntitlement>()),
    ]
}

fn freezing() -> Vec<Route> {
    const FREEZE: &str = "/v1/freeze";
    vec![
        route(POST, FREEZE, Op(Registrar), ("freeze", "Deny everything"), handler!(freeze::freeze))
            .takes(json::<ChangeFreeze>())
            .gives(json::<Freeze>()),
        route(
            GET,
            FREEZE,
            OpOf(&[Registrar, Thawer]),
            ("showFreeze", "Show whether everything is denied"),
            handler!(freeze::show),
        )
        .gives(json::<Freeze>()),
        route(POST, "/v1/thaw", Op(Thawer), ("thaw", "Deny no longer everything"), handler!(freeze::thaw))
            .takes(json::<ChangeFreeze>())
            .gives(json::<Freeze>()),
        route(
            GET,
            "/v1/clock",
            Op(Thawer),
            ("showClock", "Show how the wall clock stands to the server's time"),
            handler!(clock::routes::show),
        )
        .gives(json::<ClockShown>()),
        route(
            POST,
            "/v1/clock/accept",
            Op(Thawer),
            ("acceptClock", "Go on with the wall clock's time"),
            handler!(clock::routes::accept),
        )
        .takes(json::<AcceptClock>())
        .gives(json::<ClockShown>()),
    ]
}
