//! Logins that do what they can so that they are not ended.

use std::time::Duration;

use attorn_tests::Behalf;
use attorn_tests::world::ask as article;
use serde_json::json;
use tokio_postgres::{Client, Config, NoTls};

use super::database::Database;
use super::logins::{self, SETTLED, lease, login, sign_in, try_sign_in, until, until_none};
use super::shop;

/// One that holds the lock on its own row is ended all the same, at the first attempt.
pub(crate) async fn locks_its_row(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    session.batch_execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'x'").await.unwrap();
    logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    until_none(database, registrar, SETTLED).await;
    assert!(session.batch_execute("COMMIT").await.is_err(), "the session goes on");
    assert!(try_sign_in(database, &made).await.is_err());
    let ended = lease(registrar, &made.lease).await;
    assert_eq!((ended.state.as_str(), ended.attempts), ("ended", 0));
}

/// One that signed in before it was closed, and shows itself only later, does not outlive it.
pub(crate) async fn shows_late(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let made = login(&world.bot, &article()).await;
    let mut config = Config::new();
    config.host("127.0.0.1").port(database.port).dbname(&made.database).user(&made.user);
    config.password(made.password.as_deref().unwrap());
    config.options("-c post_auth_delay=15");
    let late = tokio::spawn(async move {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        client.batch_execute("SELECT 1").await
    });
    // So that it is past the question whether it may sign in.
    tokio::time::sleep(Duration::from_secs(1)).await;
    logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    let took = until_none(database, registrar, SETTLED).await;
    println!("           gone after {} ms", took.as_millis());
    assert!(late.await.unwrap().is_err(), "a session outlives its login");
}

/// More logins than there are connections, and each takes what it gets: none is made any more, and all end, at the first
/// attempt, by the connection that is kept for that.
pub(crate) async fn take_all_connections(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let mut made = Vec::new();
    for _ in 0..22 {
        made.push(login(&world.bot, &article()).await);
    }
    // What the server keeps for a while, for whatever it may be, could be what saves it.
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE usename = 'attorn' AND application_name = 'attorn'";
    let none_left = async || database.ask(others).await == ["0"];
    until(SETTLED, "the other connections end", none_left).await;
    let mut sessions: Vec<Client> = Vec::new();
    let full = async || {
        for login in &made {
            while let Ok(session) = try_sign_in(database, login).await {
                sessions.push(session);
            }
        }
        sessions.len() > 50
    };
    until(SETTLED, "all connections are taken", full).await;
    logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    let reason = json!({ "reason": "a test" });
    registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    for made in &made {
        let ended = async || lease(registrar, &made.lease).await.state == "ended";
        until(SETTLED, "it ends", ended).await;
        assert_eq!(lease(registrar, &made.lease).await.attempts, 0);
    }
    registrar.post("/v1/agents/support-bot/resume", &reason).await.expect(200);
    until_none(database, registrar, SETTLED).await;
}

/// None is made that could not be used, and nobody's connections are taken for it.
pub(crate) async fn no_room(world: &Behalf, database: &Database) {
    let mut others = Vec::new();
    while let Ok(other) = database.connect("shop", "signs_in", "x").await {
        others.push(other);
    }
    // Two are free, and a login may have three.
    others.truncate(others.len() - 2);
    let free =
        "SELECT current_setting('max_connections')::int - 3 - sum(numbackends) BETWEEN 1 AND 3 FROM pg_stat_database";
    until(SETTLED, "there is little room", async || database.ask(free).await == ["t"]).await;
    logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    let last = async || {
        let entries = world.entries().await;
        entries.into_iter().rfind(|entry| entry["why"] == "issue_failed").map(|entry| entry["error"].to_string())
    };
    assert!(last().await.unwrap().contains("room for"), "{:?}", last().await);
    drop(others);
    let works = async || logins::ask(&world.bot, &article()).await.status == 200;
    until(SETTLED, "there is room again", works).await;
    let registrar = &world.staff.registrar;
    for open in logins::open(registrar, "shop").await.into_iter().filter(|lease| lease.state == "issued") {
        logins::revoke_grant(registrar, &open.grant).await;
    }
    until_none(database, registrar, SETTLED).await;
}

/// One agent holds no more than it may, and another's are its own.
pub(crate) async fn one_agent_holds_few(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let mut settings = shop::settings(database);
    settings["leases_per_agent_max"] = 2.into();
    shop::register(registrar, "narrow", &["note"], settings).await;
    let note = attorn_tests::world::ask_with(json!({ "resource": "note/1" }));
    let first = login(&world.bot, &note).await;
    login(&world.bot, &note).await;
    let size = world.log_size().await;
    logins::ask(&world.bot, &note).await.refused(503, "target_unavailable");
    assert_eq!(world.log_size().await, size, "something was decided");
    registrar.post(format!("/v1/leases/{}/revoke", first.lease), &json!({})).await.expect(200);
    let again = async || logins::ask(&world.bot, &note).await.status == 200;
    until(SETTLED, "one that has ended makes room", again).await;
    registrar.post("/v1/targets/narrow/retire", &json!({ "reason": "a test" })).await.expect(200);
    let ended = async || logins::open(registrar, "narrow").await.is_empty();
    until(SETTLED, "all end with their target", ended).await;
    until_none(database, registrar, SETTLED).await;
}
