//! A disk that takes no more: nothing is allowed any more, and the server says why.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_tests::components;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, ask_with, read_only_settings};
use attorn_tests::{Call, Process, Reach, Staff};
use serde_json::json;

/// How much the largest file may still grow, in bytes.
const ROOM: u64 = 1 << 20;
/// How long a server may say that it is ready after it had to refuse.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_allows_nothing_and_says_why() {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    process.kill().await;

    let limit = largest_file(&fresh.data_dir()) + ROOM;
    let process = Process::start_with_file_limit(&fresh.config, &fresh.reach, limit).await;
    let mut answered = Vec::new();
    let mut refusals = 0;
    // More than there is room for, whatever the store makes of it.
    for n in 0..2_000 {
        let ask = ask_with(json!({ "arguments": { "n": n, "padding": "x".repeat(24 << 10) } }));
        match cast.bot.try_send(Call::post("/v1/decisions", &ask)).await {
            Ok(answer) if answer.status == 200 => {
                assert_eq!(refusals, 0, "an answer came after the store had failed");
                answered.push(answer.json::<DecisionAnswer>());
            }
            Ok(answer) => {
                refusals += 1;
                assert!(matches!(answer.status, 500 | 503), "{}", answer.text());
                let problem = answer.problem();
                assert!(!problem.detail.contains("sled"), "the client reads what only the log should say: {problem}");
                if refusals == 1 {
                    says_why(&fresh.reach).await;
                }
            }
            Err(_) => break,
        }
        if refusals > 20 {
            break;
        }
    }
    assert!(answered.iter().all(|answer| answer.decision == DecisionKind::Allow));
    assert!(!answered.is_empty(), "there was no room for anything");
    let (status, said) = process.ended(Duration::from_secs(30)).await.expect("the server went on with a failed store");
    assert!(!status.success(), "{status} {said}");
    assert!(said.contains("the store has failed"), "{said}");

    // With room again, everything that was answered is there.
    let process = Process::start(&fresh.config, &fresh.reach).await;
    for answer in &answered {
        cast.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.expect(200);
        let grant = answer.grant.as_ref().unwrap();
        cast.staff.registrar.get(format!("/v1/grants/{}", grant.id)).await.expect(200);
    }
    let again = cast.bot.decide(&ask()).await;
    assert_eq!(again.decision, DecisionKind::Allow, "{again:?}");
    process.kill().await;
}

/// As long as the process lives, it says why it decides nothing. A read may have failed first, and the store is known to
/// have failed when the engine is synced, within a second or so.
async fn says_why(reach: &Reach) {
    let begin = Instant::now();
    while let Ok(ready) = reach.try_send(Call::get("/readyz")).await {
        if ready.status != 200 {
            let why = ready.refused(503, "not_ready").detail;
            assert!(why.contains("the store has failed"), "{why}");
            return;
        }
        assert!(begin.elapsed() < SOON, "a server that refuses says still that it is ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn largest_file(directory: &Path) -> u64 {
    let sizes = std::fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        if entry.path().is_dir() { largest_file(&entry.path()) } else { entry.metadata().unwrap().len() }
    });
    sizes.max().unwrap_or(0)
}
