//! Logins that do what they can so that they are not ended.

use std::time::Duration;

use attorn_api::decisions::PostgresqlLogin;
use attorn_tests::Behalf;
use attorn_tests::people::Operator;
use attorn_tests::wait::until_within;
use attorn_tests::world::{ask as article, ask_with};
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::database::Database;
use super::logins::{self, SETTLED, lease, login, sign_in, try_sign_in, until_none};
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
    until_within(SETTLED, "the other connections end", none_left).await;
    let mut sessions: Vec<Client> = Vec::new();
    let full = async || {
        for login in &made {
            while let Ok(session) = try_sign_in(database, login).await {
                sessions.push(session);
            }
        }
        sessions.len() > 50
    };
    until_within(SETTLED, "all connections are taken", full).await;
    logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    let reason = json!({ "reason": "a test" });
    // What is registered changes, and what was kept is kept; and whatever is free is taken again.
    registrar.post("/v1/targets/shop/suspend", &reason).await.expect(200);
    let ends = async {
        registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
        for made in &made {
            let ended = async || lease(registrar, &made.lease).await.state == "ended";
            until_within(SETTLED, "it ends", ended).await;
            assert_eq!(lease(registrar, &made.lease).await.attempts, 0);
        }
    };
    tokio::select! {
        () = fill(database, &made) => {}
        () = ends => {}
    }
    registrar.post("/v1/agents/support-bot/resume", &reason).await.expect(200);
    registrar.post("/v1/targets/shop/resume", &reason).await.expect(200);
    until_none(database, registrar, SETTLED).await;
}

/// Sign in with these for ever, as often as it goes.
async fn fill(database: &Database, logins: &[PostgresqlLogin]) {
    let mut sessions = Vec::new();
    loop {
        for login in logins {
            sessions.extend(try_sign_in(database, login).await);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One session takes all locks that a database has, and keeps them: others' logins end all the same, and so does that
/// which did it. Whether or not the administrator may end any session.
pub(crate) async fn take_all_locks(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    for statement in ["REVOKE pg_signal_backend FROM attorn", "GRANT pg_signal_backend TO attorn"] {
        database.sql(statement).await;
        let (hostile, other) = (login(&world.bot, &article()).await, login(&world.bot, &article()).await);
        let sessions = (sign_in(database, &hostile).await, sign_in(database, &other).await);
        take_locks(&sessions.0).await;
        assert!(try_sign_in(database, &other).await.is_err(), "there is room for locks");
        ends_at_once(registrar, &other, &sessions.1).await;
        assert!(sessions.0.batch_execute("SELECT 1").await.is_err(), "what kept it from ending goes on");
        let session = sign_in(database, &hostile).await;
        take_locks(&session).await;
        ends_at_once(registrar, &hostile, &session).await;
        until_none(database, registrar, SETTLED).await;
    }
}

/// At the first attempt, and its session with it.
async fn ends_at_once(registrar: &Operator, login: &PostgresqlLogin, session: &Client) {
    logins::revoke_grant(registrar, &lease(registrar, &login.lease).await.grant).await;
    let over = async || {
        let now = lease(registrar, &login.lease).await;
        assert_eq!((now.attempts, now.last_error), (0, None), "the first attempt was in vain");
        now.state == "ended"
    };
    let took = until_within(SETTLED, "it ends", over).await;
    println!("           gone after {} ms", took.as_millis());
    assert!(session.batch_execute("SELECT 1").await.is_err(), "the session goes on");
}

async fn take_locks(session: &Client) {
    // Tables that nobody may read meanwhile: then no reader is let past the table of locks.
    let tables = "BEGIN; DO $$ BEGIN FOR n IN 1..3000 LOOP EXECUTE format('CREATE TEMP TABLE locked_%s (a int)', n);
        END LOOP; END $$; SAVEPOINT taken";
    session.batch_execute(tables).await.unwrap();
    let rest = session.batch_execute("SELECT pg_advisory_lock(g) FROM generate_series(1, 1000000) g").await;
    assert_eq!(rest.unwrap_err().code(), Some(&SqlState::OUT_OF_MEMORY));
    session.batch_execute("ROLLBACK TO taken").await.unwrap();
}

/// What a login made under its role is the role's. It is taken from it, and others get the role as before; what a role
/// owns that was never given is left alone. From 16 on no login can, and somebody else does.
pub(crate) async fn make_things_under_a_role(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let makes = "SET ROLE reader; SELECT lo_create(0);
        CREATE OR REPLACE FUNCTION trap() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; RESET ROLE";
    let made = login(&world.bot, &article()).await;
    let member = "SELECT count(*) FROM pg_auth_members m WHERE m.member = 'attorn'::regrole \
                  AND m.roleid = 'reader'::regrole";
    let member_before = database.ask(member).await;
    let mut session = sign_in(database, &made).await;
    if database.major >= 16 {
        assert!(session.batch_execute(makes).await.is_err());
        session = database.superuser("shop").await;
    }
    session.batch_execute(makes).await.unwrap();
    // While it lives, and after it.
    let meanwhile = login(&world.bot, &article()).await;
    session.batch_execute("SET ROLE reader; SELECT lo_create(0)").await.unwrap();
    login(&world.bot, &ask_with(json!({ "action": "faq.odd" }))).await;
    logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    let ended = async || lease(registrar, &made.lease).await.state == "ended";
    until_within(SETTLED, "it ends", ended).await;
    let owner = "SELECT DISTINCT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata UNION \
                 SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'trap'";
    assert_eq!(database.ask(owner).await, ["attorn-left"]);
    let nothing = "SELECT rolsuper OR rolcanlogin OR rolcreaterole FROM pg_roles WHERE rolname = 'attorn-left'";
    assert_eq!(database.ask(nothing).await, ["f"]);
    login(&world.bot, &article()).await;
    assert_eq!(database.ask(member).await, member_before, "the administrator stays a member of it");
    let found = registrar.post("/v1/targets/shop/check", &json!({})).await.expect(200).text();
    assert!(found.contains("`attorn-left` owns 3"), "{found}");
    assert!(!found.contains(&meanwhile.user), "{found}");

    // A rule that should not be is not mended so.
    let mut settings = shop::settings(database);
    settings["rules"] = json!([{ "action": "faq.read", "resource": "note/*", "roles": ["owns"] }]);
    shop::register(registrar, "owning", &["note"], settings).await;
    let note = ask_with(json!({ "resource": "note/1" }));
    for _ in 0..4 {
        logins::ask(&world.bot, &note).await.refused(503, "target_misconfigured");
    }
    assert_eq!(database.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'owned'").await, ["owns"]);
    let shown: attorn_api::targets::Target = registrar.get("/v1/targets/owning").await.expect(200).json();
    assert!(shown.asked, "one rule's role keeps all from the target");
    registrar.post("/v1/targets/owning/retire", &json!({ "reason": "a test" })).await.expect(200);
    database.sql("DROP OWNED BY \"attorn-left\"").await;
    end_all(world, database).await;
}

/// More than a transaction can drop keeps nobody else's login from ending, and ends as well.
pub(crate) async fn own_much(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let mut made = Vec::new();
    for _ in 0..3 {
        let much = login(&world.bot, &article()).await;
        let session = sign_in(database, &much).await;
        session.batch_execute("SELECT lo_create(0) FROM generate_series(1, 20000)").await.unwrap();
        made.push(much);
    }
    let session = sign_in(database, &made[0]).await;
    let tables = "DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('CREATE TABLE much_%s (a int)', n); END LOOP; END $$";
    session.batch_execute(tables).await.unwrap();
    let plain = login(&world.bot, &article()).await;
    let reason = json!({ "reason": "a test" });
    registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    let ended = async || lease(registrar, &plain.lease).await.state == "ended";
    let took = until_within(SETTLED, "the plain one ends", ended).await;
    println!("           gone after {} ms", took.as_millis());
    let took = until_none(database, registrar, SETTLED).await;
    println!("           the others after {} ms", took.as_millis());
    assert_eq!(database.ask("SELECT count(*) FROM pg_largeobject_metadata").await, ["0"]);
    registrar.post("/v1/agents/support-bot/resume", &reason).await.expect(200);
}

async fn end_all(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    for open in logins::open(registrar, "shop").await.into_iter().filter(|lease| lease.state == "issued") {
        logins::revoke_grant(registrar, &open.grant).await;
    }
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
    until_within(SETTLED, "there is little room", async || database.ask(free).await == ["t"]).await;
    logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    let last = async || {
        let entries = world.entries().await;
        entries.into_iter().rfind(|entry| entry["why"] == "issue_failed").map(|entry| entry["error"].to_string())
    };
    assert!(last().await.unwrap().contains("room for"), "{:?}", last().await);
    drop(others);
    let works = async || logins::ask(&world.bot, &article()).await.status == 200;
    until_within(SETTLED, "there is room again", works).await;
    end_all(world, database).await;
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
    until_within(SETTLED, "one that has ended makes room", again).await;
    registrar.post("/v1/targets/narrow/retire", &json!({ "reason": "a test" })).await.expect(200);
    let ended = async || logins::open(registrar, "narrow").await.is_empty();
    until_within(SETTLED, "all end with their target", ended).await;
    until_none(database, registrar, SETTLED).await;
}
