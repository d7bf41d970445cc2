//! A database that is away, does not answer, has another password, or has a lock in the way: at every phase, and
//! afterwards leases and logins agree.

use attorn_api::targets::{TargetCheck, TargetFault};
use attorn_tests::Behalf;
use attorn_tests::process::binary;
use attorn_tests::wait::until_within;
use attorn_tests::world::ask as article;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::database::Database;
use super::logins::{self, SETTLED, agree, lease, login, until_none};

/// Ask until a login is made again.
async fn works_again(world: &Behalf, database: &Database) {
    let works = async || logins::ask(&world.bot, &article()).await.status == 200;
    until_within(SETTLED, "a login is made again", works).await;
    agree(database, &world.staff.registrar).await;
    end_all(world, database).await;
}

async fn end_all(world: &Behalf, database: &Database) {
    for lease in logins::open(&world.staff.registrar, "shop").await {
        logins::revoke_grant(&world.staff.registrar, &lease.grant).await;
    }
    until_none(database, &world.staff.registrar, SETTLED).await;
}

/// While it is away nothing is made, what has to end waits, and others are not hurt; then all of it ends.
pub(crate) async fn away(world: &Behalf, database: &mut Database) {
    let made = login(&world.bot, &article()).await;
    database.crash().await;
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    let problem = logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    let decided = world.entries().await.into_iter().rfind(|entry| entry["type"] == "decision").unwrap();
    assert_eq!(problem.decision_id.as_deref(), decided["decision_id"].as_str(), "{problem}");
    for _ in 0..8 {
        logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    }
    // What was debited for nothing is said.
    let said = world.entries().await.into_iter().find(|entry| entry["why"] == "issue_failed").unwrap();
    assert_eq!((said["type"].as_str(), &said["debits_stand"]), (Some("lease_revoking"), &json!([])), "{said}");
    // A thousand requests at a dead target cost nobody else anything.
    let began = std::time::Instant::now();
    for _ in 0..100 {
        logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    }
    println!("           100 refusals in {} ms", began.elapsed().as_millis());
    assert!(world.bot.decide(&article()).await.credential.is_some(), "a token needs no database");
    let waits = async || lease(&world.staff.registrar, &made.lease).await.last_error.is_some();
    until_within(SETTLED, "what went wrong is said", waits).await;
    database.run().await;
    until_none(database, &world.staff.registrar, SETTLED).await;
    works_again(world, database).await;
}

/// It takes connections and says nothing: while a login is made, and while one is ended.
pub(crate) async fn frozen(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    database.freeze().await;
    logins::ask(&world.bot, &article()).await.refused(503, "target_unavailable");
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    let waits = async || lease(&world.staff.registrar, &made.lease).await.attempts > 0;
    until_within(SETTLED, "it was tried to end it", waits).await;
    database.thaw().await;
    until_none(database, &world.staff.registrar, SETTLED).await;
    works_again(world, database).await;
}

/// Nothing is made or ended until it is right again.
pub(crate) async fn wrong_password(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    let verifier = database.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'attorn'").await.remove(0);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'attorn'";
    database.sql(&format!("ALTER ROLE attorn PASSWORD 'another'; {end}")).await;
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    let said = async || {
        let error = lease(&world.staff.registrar, &made.lease).await.last_error;
        error.is_some_and(|error| error.contains("password authentication failed"))
    };
    until_within(SETTLED, "the operator is told why", said).await;
    let said = decide_by_command(world).await;
    let decided = world.entries().await.into_iter().rfind(|entry| entry["type"] == "decision").unwrap();
    let expect = format!("decision    {}\nerror: ", decided["decision_id"].as_str().unwrap());
    assert!(said.starts_with(&expect) && said.contains("(target_misconfigured)"), "{said}");
    assert!(said.contains("attorn target check shop") && !said.contains("28P01"), "{said}");
    let found = world.staff.registrar.post("/v1/targets/shop/check", &json!({})).await.expect(200);
    let found: TargetCheck = found.json();
    assert_eq!((found.reachable, found.fault), (true, Some(TargetFault::SignIn)), "{found:?}");
    assert!(!lease(&world.staff.registrar, &made.lease).await.state.contains("irrevocable"));
    database.sql(&format!("ALTER ROLE attorn PASSWORD '{verifier}'")).await;
    until_none(database, &world.staff.registrar, SETTLED).await;
    works_again(world, database).await;
}

/// What `attorn decide --login` says to whoever gets none.
async fn decide_by_command(world: &Behalf) -> String {
    let directory = TempDir::new().unwrap();
    let (ask, key) = (article(), directory.path().join("bot.key"));
    world.bot.key.save(&key).unwrap();
    let mut command = Command::new(binary());
    command.env("ATTORN_URL", &world.reach.url).args(["decide", "--login", "--key"]).arg(key);
    for name in ["action", "resource", "purpose"] {
        command.arg(format!("--{name}")).arg(ask[name].as_str().unwrap());
    }
    let output = command.output().await.unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    String::from_utf8(output.stderr).unwrap()
}

/// Somebody holds what is to be dropped: that one waits, and no other.
pub(crate) async fn locked(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    logins::sign_in(database, &made).await.batch_execute("CREATE TABLE held (a int)").await.unwrap();
    let holder = database.superuser("shop").await;
    holder.batch_execute("BEGIN; LOCK TABLE held").await.unwrap();
    let other = login(&world.bot, &article()).await;
    for made in [&made, &other] {
        let grant = lease(&world.staff.registrar, &made.lease).await.grant;
        logins::revoke_grant(&world.staff.registrar, &grant).await;
    }
    let ended = async || lease(&world.staff.registrar, &other.lease).await.state == "ended";
    until_within(SETTLED, "the other ends", ended).await;
    let waits = async || lease(&world.staff.registrar, &made.lease).await.attempts > 0;
    until_within(SETTLED, "it was tried to end it", waits).await;
    assert!(logins::try_sign_in(database, &made).await.is_err(), "nobody signs in meanwhile");
    holder.batch_execute("ROLLBACK").await.unwrap();
    until_none(database, &world.staff.registrar, SETTLED).await;
}
