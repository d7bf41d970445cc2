//! How logins end: with their grant, with whatever that hangs on, with time; and what they leave behind.

use attorn_api::decisions::PostgresqlLogin;
use attorn_tests::Behalf;
use attorn_tests::behalf::later_login;
use attorn_tests::wait::until_within;
use attorn_tests::world::ask as article;
use futures_util::future::join_all;
use serde_json::json;

use super::database::{Database, first_column};
use super::logins::{self, GONE, SETTLED, agree, delegated, lease, login, sign_in, try_sign_in, until_none};
use super::shop;

/// An open session is ended, and nobody signs in.
async fn is_gone(world: &Behalf, database: &Database, made: &PostgresqlLogin, session: &tokio_postgres::Client) {
    let took = until_none(database, &world.staff.registrar, SETTLED).await;
    println!("           gone after {} ms", took.as_millis());
    assert!(took < GONE, "{took:?}");
    assert!(session.batch_execute("SELECT 1").await.is_err(), "the session goes on");
    assert!(try_sign_in(database, made).await.is_err(), "somebody signs in");
    let ended = lease(&world.staff.registrar, &made.lease).await;
    assert_eq!((ended.state.as_str(), ended.attempts), ("ended", 0));
}

/// One write to the grant, and the session that uses it is gone.
pub(crate) async fn with_the_grant(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    // Also one that is busy.
    let busy = sign_in(database, &made).await;
    let sleeps = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(60)").await });
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    is_gone(world, database, &made, &session).await;
    assert!(sleeps.await.unwrap().is_err());
    let last = world.entries().await.pop().unwrap();
    assert_eq!((last["type"].as_str(), last["existed"].as_bool()), (Some("lease_ended"), Some(true)));
}

/// A delegation, a user who goes, an agent, a freeze, an operator: each is one write that names no lease.
pub(crate) async fn with_all_else(world: &Behalf, database: &Database) {
    let staff = &world.staff;
    let reason = json!({ "reason": "a test" });
    let delegation = delegated(world, json!({ "jti": "revoked" })).await;
    let made = login(&world.bot, &world.ask(&delegation)).await;
    let session = sign_in(database, &made).await;
    staff.registrar.post(format!("/v1/delegations/{}/revoke", delegation.id), &reason).await.expect(200);
    is_gone(world, database, &made, &session).await;

    let delegation = delegated(world, later_login().await).await;
    let made = login(&world.bot, &world.ask(&delegation)).await;
    let session = sign_in(database, &made).await;
    world.erase(&delegation.user).await.expect(200);
    is_gone(world, database, &made, &session).await;

    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    staff.registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    is_gone(world, database, &made, &session).await;
    staff.registrar.post("/v1/agents/support-bot/resume", &reason).await.expect(200);

    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    staff.registrar.post(format!("/v1/leases/{}/revoke", made.lease), &json!({})).await.expect(200);
    is_gone(world, database, &made, &session).await;
    staff.registrar.post(format!("/v1/leases/{}/revoke", made.lease), &json!({})).await.refused(409, "invalid_state");
}

/// Nobody does anything, and it ends.
pub(crate) async fn with_time(world: &Behalf, database: &Database) {
    let mut settings = shop::settings(database);
    settings["lease_ms_max"] = 1_500.into();
    let server = attorn_tests::Machine::new(&world.reach, "notes");
    let body = attorn_tests::world::server_registration(&server, "https://notes.example", &["note"]);
    world.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
    let ceiling = json!({ "ceiling": {
        "answer-questions": { "user": "without", "permissions": [{ "action": "faq.*", "resource": "*" }] },
        "serve-customers": { "user": "with", "permissions": [{ "action": "account.*", "resource": "account/*" }] } } });
    world.staff.registrar.post("/v1/agents/support-bot/ceiling", &ceiling).await.expect(200);
    shop::register(&world.staff.registrar, "brief", &["note"], settings).await;
    let made = login(&world.bot, &attorn_tests::world::ask_with(json!({ "resource": "note/1" }))).await;
    let session = sign_in(database, &made).await;
    let ends = async || lease(&world.staff.registrar, &made.lease).await.state == "ended";
    let took = until_within(SETTLED, "it ends by itself", ends).await;
    println!("           lived {} ms of 1500", took.as_millis());
    assert!(session.batch_execute("SELECT 1").await.is_err() && try_sign_in(database, &made).await.is_err());
    let ended = lease(&world.staff.registrar, &made.lease).await;
    assert!(ended.ended_at_ms.unwrap() < ended.expires_at_ms + 1_000, "{ended:?}");
    let reason = json!({ "reason": "a test" });
    world.staff.registrar.post("/v1/targets/brief/retire", &reason).await.expect(200);
    let again = attorn_tests::world::ask_with(json!({ "resource": "note/1" }));
    logins::ask(&world.bot, &again).await.refused(422, "no_target");
}

/// Tables, functions, large objects, also in another database, and what others built on them.
pub(crate) async fn with_what_it_owns(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    let statements = "CREATE TABLE mine (a int); CREATE TEMP TABLE brief (a int);
        CREATE FUNCTION trap() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        GRANT SELECT ON mine TO reader; SELECT lo_create(0);
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader;
        ALTER ROLE CURRENT_USER PASSWORD 'another'";
    session.batch_execute(statements).await.unwrap();
    let elsewhere = database.connect("postgres", &made.user, "another").await.unwrap();
    first_column(&elsewhere, "SELECT lo_create(0)").await.unwrap();
    database.sql("CREATE VIEW on_it AS SELECT * FROM mine").await;
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    is_gone(world, database, &made, &session).await;
    assert!(elsewhere.batch_execute("SELECT 1").await.is_err());
    let left = "SELECT relname FROM pg_class WHERE relname IN ('mine', 'on_it') UNION ALL \
                SELECT proname FROM pg_proc WHERE proname = 'trap'";
    assert_eq!(database.ask(left).await, Vec::<String>::new());
    assert_eq!(database.ask("SELECT count(*) FROM articles").await, ["2"]);
}

/// Many at once, and each of them.
pub(crate) async fn many(world: &Behalf, database: &Database) {
    let asks = (0..300).map(|_| async { login(&world.bot, &article()).await });
    let mut made = Vec::new();
    // So many as a target makes at once, and no more.
    let mut asks = asks.collect::<Vec<_>>().into_iter();
    loop {
        let batch: Vec<_> = asks.by_ref().take(16).collect();
        if batch.is_empty() {
            break;
        }
        made.extend(join_all(batch).await);
    }
    agree(database, &world.staff.registrar).await;
    assert_eq!(logins::there(database).await.len(), 300);
    let reason = json!({ "reason": "a test" });
    world.staff.registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    let took = until_none(database, &world.staff.registrar, SETTLED).await;
    println!("           300 in {} ms", took.as_millis());
    world.staff.registrar.post("/v1/agents/support-bot/resume", &reason).await.expect(200);
}
