//! The server is killed while logins are made, renewed and ended. Whatever it was doing, after a start all logins have
//! leases, and when those have ended none is left.

use std::time::Duration;

use attorn_api::decisions::DecisionAnswer;
use attorn_tests::server::Fresh;
use attorn_tests::wait::until_within;
use attorn_tests::world::{Cast, ask as article, read_only_settings};
use attorn_tests::{Call, Process, Staff, components};
use futures_util::future::join_all;
use serde_json::json;

use super::database::Database;
use super::logins::{Met, SETTLED, agree, for_login, until_none};
use super::shop;

/// How long after the first request the server is killed, in the first round and more in each that follows: while
/// decisions are committed, logins made and renewed, grants revoked, logins ended.
const STEP: Duration = Duration::from_millis(23);
/// How many requests there are at once.
const AT_ONCE: usize = 8;

/// So many rounds.
pub(crate) async fn rounds(database: &Database, rounds: u32) {
    let (fresh, mut process, cast) = start(database, database.port).await;
    let staff = cast.staff.clone();
    let mut met = Met::default();
    for round in 0..rounds {
        let killed = async {
            tokio::time::sleep(STEP * round).await;
            process.kill().await;
        };
        tokio::join!(killed, join_all((0..AT_ONCE).map(|_| make_renew_and_end(&cast))));
        process = Process::start(&fresh.config, &fresh.reach).await;
        met.count(&staff.registrar).await;
        agree(database, &staff.registrar).await;
    }
    println!("           leases that a kill met: {met}");
    let reason = json!({ "reason": "a test" });
    staff.registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    let took = until_none(database, &staff.registrar, SETTLED).await;
    println!("           none left after {} ms", took.as_millis());
    process.kill().await;
}

/// A server in a process of its own, which makes logins in the database that answers at this port.
pub(crate) async fn start(database: &Database, port: u16) -> (Fresh, Process, Cast) {
    database.sql("ALTER ROLE attorn PASSWORD 'the administrator''s'").await;
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    let mut settings = shop::settings(database);
    settings["lease_ms_max"] = 60_000.into();
    settings["port"] = port.into();
    shop::register(&staff.registrar, "shop", &["article"], settings).await;
    let ready = async || cast.bot.post("/v1/decisions", &for_login(article())).await.status == 200;
    until_within(SETTLED, "a first login is made", ready).await;
    (fresh, process, cast)
}

/// Ask for logins, renew them and end their grants, until nobody answers any more.
async fn make_renew_and_end(cast: &Cast) {
    loop {
        let call = Call::post("/v1/decisions", &for_login(article()));
        let Ok(answer) = cast.bot.try_send(call).await else { return };
        if answer.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let answer: DecisionAnswer = answer.json();
        let (grant, lease) = (answer.grant.unwrap(), answer.login.unwrap().lease);
        let renewed = cast.bot.try_send(Call::new("POST", format!("/v1/leases/{lease}/renew"))).await;
        if renewed.is_err() {
            return;
        }
        let call = Call::post(format!("/v1/grants/{}/revoke", grant.id), &json!({}));
        if cast.reach.try_send(call.bearer(&cast.staff.registrar.token)).await.is_err() {
            return;
        }
    }
}
