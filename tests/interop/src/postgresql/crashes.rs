//! The database is stopped as by a crash, or killed, in turns, while logins are made, renewed and ended. Whatever it was
//! doing, when it is there again all logins have leases, and when those have ended none is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attorn_api::decisions::DecisionAnswer;
use attorn_tests::wait::until_within;
use attorn_tests::world::ask as article;
use attorn_tests::{Behalf, Call};
use futures_util::future::join_all;
use serde_json::json;

use super::database::Database;
use super::logins::{self, Met, SETTLED, agree, for_login, revoke_grant, until_none};

/// How long after the first request the database is stopped, in the first round and more in each that follows: while
/// logins are made, renewed, closed and dropped.
const STEP: Duration = Duration::from_millis(13);
/// How many requests there are at once.
const AT_ONCE: usize = 6;

/// So many rounds.
pub(crate) async fn rounds(world: &Behalf, database: &mut Database, rounds: u32) {
    let mut met = Met::default();
    for round in 0..rounds {
        let stopped = AtomicBool::new(false);
        let crash = async {
            tokio::time::sleep(STEP * (round % 25)).await;
            if round % 2 == 0 {
                database.crash().await;
            } else {
                database.kill().await;
            }
            stopped.store(true, Ordering::Relaxed);
        };
        tokio::join!(crash, join_all((0..AT_ONCE).map(|_| make_renew_and_end(world, &stopped))));
        database.run().await;
        let works = async || logins::ask(&world.bot, &article()).await.status == 200;
        until_within(SETTLED, "a login is made again", works).await;
        agree(database, &world.staff.registrar).await;
        met.count(&world.staff.registrar).await;
    }
    println!("           leases that a crash met: {met}");
    let registrar = &world.staff.registrar;
    for open in logins::open(registrar, "shop").await.into_iter().filter(|lease| lease.state == "issued") {
        revoke_grant(registrar, &open.grant).await;
    }
    let took = until_none(database, registrar, SETTLED).await;
    println!("           none left after {} ms", took.as_millis());
}

/// Ask for logins, renew them and end their grants, until the database has gone.
async fn make_renew_and_end(world: &Behalf, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        let answer = world.bot.post("/v1/decisions", &for_login(article())).await;
        if answer.status != 200 {
            answer.refused(503, "target_unavailable");
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let answer: DecisionAnswer = answer.json();
        let renewed =
            world.bot.send(Call::new("POST", format!("/v1/leases/{}/renew", answer.login.unwrap().lease))).await;
        assert!(matches!(renewed.status, 200 | 503), "{}", renewed.text());
        let path = format!("/v1/grants/{}/revoke", answer.grant.unwrap().id);
        world.staff.registrar.post(path, &json!({})).await.expect(200);
    }
}
