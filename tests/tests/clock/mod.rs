//! A wall clock that is stepped an hour each way, in a server that runs and before one starts: nothing is decided until
//! the clocks agree again or an operator accepts; nothing lives longer than it would have without the step; what was
//! accepted once is never accepted again; and once the step is accepted, all goes on.
//!
//! A server that starts within the same boot believes the wall clock no more than the one before it; after a boot it
//! does where that can be right. What a wrong clock had logged out, suspended or revoked shuts nobody out afterwards.
//!
//! The machine's clock is left alone: the server is started with a wall clock that the test shifts, and its clients
//! have clocks of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod approvals;
mod scene;

use attorn_api::PROOF_HEADER;
use attorn_api::clock::{ClockShown, Stands};
use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_tests::Call;
use attorn_tests::oauth::{now_s, refused};
use attorn_tests::world::ask;
use serde_json::json;

use scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_ahead_stops_everything_and_ends_things_early() {
    let scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(HOUR_S);
    scene.is_stopped(&held, "ahead").await;
    assert_eq!(scene.show().await.stands, Some(Stands::Ahead));
    // What ends a right goes on, for whoever may have lost a token.
    scene.revoke(&held.token).await;
    // It is set right: no operator is needed.
    scene.step(0);
    assert_eq!(scene.show().await.stands, None);
    assert!(!scene.is_active(&held.token, 0).await);
    let again = scene.goes_on(0).await;

    scene.step(HOUR_S);
    scene.accept("behind").await.refused(409, "invalid_state");
    scene.is_stopped(&again, "ahead").await;
    // Nobody accepts another step than the one that they saw.
    for other_ms in [6_000, 3_600_000 - 10_000, 3_600_000 + 10_000, (1 << 53) - 1] {
        scene.accept_step("ahead", other_ms).await.refused(409, "invalid_state");
    }
    let clock: ClockShown = scene.accept("ahead").await.expect(200).json();
    assert_eq!(clock.stands, None);
    let entry = scene.last_acceptance().await;
    assert_eq!((&entry["operator"], &entry["about"]["stood"]), (&json!("thawer"), &json!("ahead")));
    assert!(entry["time_ms"].as_u64().unwrap() > entry["about"]["from_ms"].as_u64().unwrap() + 3_000_000);
    assert_eq!(entry["about"]["to_ms"], entry["time_ms"]);
    scene.accept("ahead").await.refused(409, "invalid_state");
    scene.shift_clients(HOUR_S);
    scene.is_over(&again, HOUR_S).await;
    scene.takes_nothing_again(&again, HOUR_S).await;
    scene.goes_on(HOUR_S).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_stops_everything_and_lengthens_nothing() {
    let scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(-HOUR_S);
    scene.is_stopped(&held, "behind").await;
    scene.step(0);
    let again = scene.goes_on(0).await;
    let unused = scene.get(0).await;
    // Of two hours ago, and good for some minutes more.
    let (now, then) = (now_s(), now_s() - 7_200);
    let old = scene.behalf.token(json!({ "iat": then, "exp": now + 300, "auth_time": then, "jti": "old" }));

    scene.step(-HOUR_S);
    scene.accept("ahead").await.refused(409, "invalid_state");
    scene.is_stopped(&again, "behind").await;
    let nonce = scene.behalf.bot.fresh_nonce().await;
    scene.accept("behind").await.expect(200);
    let entry = scene.last_acceptance().await;
    assert_eq!((&entry["operator"], &entry["about"]["stood"]), (&json!("thawer"), &json!("behind")));
    assert!(entry["time_ms"].as_u64().unwrap() + 3_000_000 < entry["about"]["from_ms"].as_u64().unwrap());
    scene.shift_clients(-HOUR_S);
    for held in [&again, &unused] {
        scene.is_over_here(held).await;
        scene.takes_nothing_again(held, -HOUR_S).await;
    }
    scene.behalf.exchange(&old).await.refused(403, "login_needed");
    // A nonce from before is known no more, also where the proof is of now.
    let call = Call::post("/v1/decisions", &ask());
    let proof = scene.behalf.bot.prove(&call, Some(&nonce), scene.behalf.bot.now());
    scene.behalf.reach.send(call.header(PROOF_HEADER, proof)).await.refused(401, "use_dpop_nonce");
    let later = scene.goes_on_here(-HOUR_S).await;
    // What was accepted in the hour that comes again nobody knows any more, so clients wait, and operators see how long.
    let fresh = authentication(&scene.client, -HOUR_S);
    refused(&scene.send_token(&fresh, -HOUR_S).await, 503, "temporarily_unavailable");
    let clock = scene.show().await;
    assert!(clock.assertions_refused.iter().any(|span| span.until_ms > clock.server_ms + 3_000_000));

    // It was wrong after all, and time goes forward again to where all of that would be alive.
    scene.step(0);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(0);
    scene.use_grant(&later).await.refused(409, "grant_inactive");
    for held in [&again, &unused] {
        scene.is_over(held, 0).await;
        for proof in &held.proofs {
            let answer = scene.behalf.reach.send(proof.clone()).await;
            assert!(matches!(answer.problem().code.as_str(), "use_dpop_nonce" | "proof_invalid"), "{answer:?}");
        }
        scene.behalf.exchange(&held.subject_token).await.refused(403, "login_needed");
    }
    scene.goes_on(0).await;
    for held in [&again, &unused] {
        // It is refused for ever, or until nobody can take it for a new one.
        let answer = scene.send_token(&held.authentication, 0).await;
        match answer.status {
            503 => drop(refused(&answer, 503, "temporarily_unavailable")),
            _ => drop(refused(&answer, 401, "invalid_client")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shut_out_by_what_happened_while_the_clock_was_wrong() {
    let scene = Scene::new().await;
    scene.get(0).await;
    scene.step(12 * HOUR_S);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(12 * HOUR_S);
    let wrong = scene.get(12 * HOUR_S).await;
    scene.log_out(12 * HOUR_S).await;
    for act in ["suspend", "resume"] {
        let path = format!("/v1/agents/{}/{act}", scene.behalf.bot.id);
        scene.behalf.staff.registrar.post(path, &json!({})).await.expect(200);
    }
    scene.step(0);
    scene.accept("behind").await.expect(200);
    scene.shift_clients(0);
    scene.is_over_here(&wrong).await;
    // Users sign in again, and clients wait some seconds; the wrong hour comes in half a day.
    let right = scene.goes_on(0).await;
    let clock = scene.show().await;
    let later = clock.assertions_refused.iter().filter(|span| span.until_ms > clock.server_ms + 60_000);
    assert!(later.clone().all(|span| span.from_ms > clock.server_ms + 11 * 3_600_000));
    assert_eq!(later.count(), 1);
    // The same holds for the next run.
    let mut scene = scene;
    scene.restart(false).await;
    scene.goes_on(0).await;
    // And a logout of now is no old one.
    scene.log_out(0).await;
    let denied = scene.behalf.read(&scene.behalf.bot, &right.delegation).await;
    assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "delegation_revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_no_step_of_the_wall_clock_for_the_time() {
    let mut scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(HOUR_S);
    scene.restart(false).await;
    scene.is_not_ready("ahead").await;
    scene.use_grant(&held.grant).await.refused(503, "not_ready");
    scene.step(0);
    scene.is_ready().await;
    scene.granted(&held.delegation).await;

    // Booted with a clock that is wrong either way, it waits until that is right, however late.
    for (wrong_s, way) in [(-HOUR_S, "behind"), (30 * DAY_S, "ahead")] {
        scene.boot(wrong_s).await;
        scene.is_not_ready(way).await;
        scene.restart(false).await;
        scene.is_not_ready(way).await;
        scene.step(0);
        scene.is_ready().await;
        scene.granted(&held.delegation).await;
    }
    // It was off for half a day, or waited for its clock as long: no operator is needed.
    scene.boot(-HOUR_S).await;
    scene.is_not_ready("behind").await;
    scene.step(12 * HOUR_S);
    scene.is_ready().await;
    scene.shift_clients(12 * HOUR_S);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    scene.goes_on_here(12 * HOUR_S).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_behind_the_last_record_waits_for_an_operator_or_the_right_time() {
    let mut scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(-HOUR_S);
    scene.behalf.world.server.restart(false).await;
    scene.is_not_ready("behind").await;
    scene.behalf.bot.post("/v1/decisions", &ask()).await.refused(503, "not_ready");
    scene.use_grant(&held.grant).await.refused(503, "not_ready");
    // It is set right.
    scene.step(0);
    scene.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    let decided: DecisionAnswer = scene.behalf.read(&scene.behalf.bot, &held.delegation).await;
    assert_eq!(decided.decision, DecisionKind::Allow);

    // Or it is accepted, while the server runs. What an earlier run took as an assertion nobody knows any more, so
    // none is taken that could be among those.
    scene.step(-HOUR_S);
    scene.behalf.world.server.restart(false).await;
    scene.accept("behind").await.expect(200);
    scene.shift_clients(-HOUR_S);
    let fresh = authentication(&scene.client, -HOUR_S);
    refused(&scene.send_token(&fresh, -HOUR_S).await, 503, "temporarily_unavailable");
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    let delegation = scene.delegate(-HOUR_S).await;
    let grant = scene.granted(&delegation).await;
    scene.use_grant(&grant).await.expect(200);

    // What was ended stays ended in the next run, and the newest record is at the accepted time.
    scene.behalf.world.server.restart(false).await;
    scene.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    scene.step(0);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(0);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_accepts_a_clock_behind_the_last_record_ends_what_was_granted() {
    let mut scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(-HOUR_S);
    scene.behalf.world.server.restart(true).await;
    scene.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    let entries = scene.behalf.entries().await;
    let started = entries.iter().rfind(|entry| entry["type"] == "server_started").unwrap();
    assert!(started["set_back_from_ms"].as_u64().unwrap() > started["time_ms"].as_u64().unwrap() + 3_000_000);
    scene.shift_clients(-HOUR_S);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    for proof in &held.proofs {
        scene.behalf.reach.send(proof.clone()).await.refused(401, "proof_invalid");
    }
    let delegation = scene.delegate(-HOUR_S).await;
    let grant = scene.granted(&delegation).await;
    scene.use_grant(&grant).await.expect(200);
    // The same when time has come back to where it was.
    scene.step(0);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(0);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    let denied = scene.behalf.read(&scene.behalf.bot, &held.delegation).await;
    assert_eq!(denied.reasons[0].code, "delegation_expired");
    // A start that has nothing to accept accepts nothing.
    let live = scene.delegate(0).await;
    scene.behalf.world.server.restart(true).await;
    scene.granted(&live).await;
}
