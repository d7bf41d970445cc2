//! A backup is restored that knows nothing of a login which was made since: nothing is made before that one has ended.

use std::process::Command;

use attorn_api::decisions::DecisionAnswer;
use attorn_core::Duty;
use attorn_tests::Process;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::wait::until_within;
use attorn_tests::world::ask as article;
use serde_json::{Value, json};

use super::database::Database;
use super::kills;
use super::logins::{SETTLED, for_login, there, until_none};

fn attorn(fresh: &Fresh, arguments: &[&str]) -> Value {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--config").arg(&fresh.config).arg("--json");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The logins of before and after the backup end, and none is made until they have.
pub(crate) async fn ends_what_it_does_not_know(database: &Database) {
    let (fresh, process, mut cast) = kills::start(database, database.port).await;
    let backup = fresh.dir.path().join("backup");
    let backup = backup.to_str().unwrap();
    attorn(&fresh, &["backup", backup]);
    let answer: DecisionAnswer = cast.bot.post("/v1/decisions", &for_login(article())).await.expect(200).json();
    let unknown = answer.login.unwrap();
    assert!(there(database).await.contains(&unknown.user));
    process.kill().await;
    std::fs::rename(fresh.data_dir(), fresh.dir.path().join("lost")).unwrap();
    let restored = attorn(&fresh, &["restore", backup]);
    // Its password was changed since the backup, say: the target cannot be looked at.
    let verifier = database.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'attorn'").await.remove(0);
    database.sql("ALTER ROLE attorn PASSWORD 'another'").await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    cast.staff = cast.staff.renewed(&fresh.reach, restored["bootstrap_token"].as_str().unwrap()).await;
    let thawer = cast.staff.admin.hire("thawer", &[Duty::Thawer]).await;
    thawer.post("/v1/thaw", &json!({ "reason": "compared" })).await.expect(200);
    let ask = async || cast.bot.post("/v1/decisions", &for_login(article())).await;
    ask().await.refused(503, "target_misconfigured");
    assert!(there(database).await.contains(&unknown.user));
    // Whoever knows the password tells it; what is none is not taken.
    let tell =
        async |secret: &str| cast.staff.registrar.post("/v1/targets/shop/secret", &json!({ "secret": secret })).await;
    tell("a third").await.refused(422, "invalid_field");
    tell("another").await.expect(200);
    until_within(SETTLED, "a login is made again", async || ask().await.status == 200).await;
    assert!(!there(database).await.contains(&unknown.user), "a login was made beside one that nobody knows");
    let known = cast.entries().await.into_iter().find(|entry| entry["type"] == "unknown_logins_ended").unwrap();
    assert_eq!(known["names"], json!([unknown.user]));
    let reason = json!({ "reason": "a test" });
    cast.staff.registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    until_none(database, &cast.staff.registrar, SETTLED).await;
    process.kill().await;
    database.sql(&format!("ALTER ROLE attorn PASSWORD '{verifier}'")).await;
}
