//! Credentials that exist outside: logins in a PostgreSQL 15 that is started for it, on the disk that the build is on,
//! as it comes but for the number of connections.
//!
//! The server runs in a process of its own. One asks at a time.
//!
//! **`credentials.login_over_bare`** is set against the bare statements: the same transaction that makes a login,
//! with the verifier computed for it, by one connection that stays open, in the same database. What is divided is the
//! time of a whole decision over HTTP: proof, policies, the durable commit with its lease, the login, and the
//! durable commit that it was made. They take turns, one of each after the other, and what each made stays until the end,
//! so that they find as many roles. Beside it stand a decision that gives a token, which is the first part of it, and the
//! verifier, which both compute.
//!
//! Aim: at most 1.5. There are three syncs in a row where the bare statements have one: of the decision with its lease,
//! which come before anything exists outside; of the database; and of the record that it was made, before it is shown.
//! The database is asked what it has to be asked, and the verifier is computed, while the first of them is under way.
//!
//! **`credentials.leases_revoked_per_s`**: ten thousand leases of one grant are put into the store while the server is
//! stopped, and their logins into the database; then that grant is revoked, through the API. It counts from the
//! acknowledgement until none is open. Each login is a role with a verifier that nobody knows, a comment and a membership, as
//! the server makes them; no sessions are open. With it the most memory that the server had.
//!
//! A request that goes on to a service needs no database, and is measured first, with a server of its own: [`proxy`].

mod database;
mod login;
mod many;
mod proxy;
mod tools;

use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask_with, read_only_settings};
use attorn_tests::{Process, Staff};
use serde_json::{Value, json};

use crate::figure::Figures;
use crate::{Length, http, policy};
use database::Database;

/// The target, and the type of resource that is tied to it.
const TARGET: &str = "shop";

/// Who there is.
struct Scene {
    fresh: Fresh,
    cast: Cast,
    database: Database,
}

/// Whether all is there that is not ours.
///
/// # Errors
///
/// What is missing, and how to get it.
pub(crate) fn ready() -> Result<(), String> {
    tools::missing()
}

/// Measure, and print.
pub(crate) async fn measure(length: Length, figures: &mut Figures) {
    proxy::measure(length, figures).await;
    let database = Database::start(&http::directory()).await;
    let fresh = Fresh::make_in(&http::directory()).await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", policy::component(), read_only_settings()).await;
    let body = target(&database);
    staff.registrar.post("/v1/targets", &body).await.expect(201);
    let scene = Scene { fresh, cast, database };
    login::measure(&scene, length, figures).await;
    many::measure(&scene, process, length, figures).await;
}

fn target(database: &Database) -> Value {
    json!({ "id": TARGET, "resource_types": ["article"], "password": database::ADMIN_PASSWORD, "postgresql": {
        "host": "127.0.0.1", "port": database.port, "database": "postgres", "admin": "attorn",
        "rules": [{ "action": "faq.read", "resource": "article/*", "roles": ["reader"] }],
        "connections_max": 2, "leases_max": 100_000, "leases_per_agent_max": 100_000, "lease_ms_max": 600_000 } })
}

/// What the agent asks.
fn ask() -> Value {
    ask_with(json!({ "credential": "postgresql", "arguments": {} }))
}
