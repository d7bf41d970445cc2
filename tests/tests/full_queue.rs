//! A full queue of evaluations: whoever finds it full is told so and holds nothing, everybody is
//! answered, and afterwards the server decides again.

use std::io::Write as _;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, read_only_settings};
use attorn_tests::{Answer, Call, Metrics, Process, Staff, components};
use serde_json::{Value, json};

/// How many ask at the same time: far more than wait or are evaluated.
const ASKING: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_queue_full_holds_nothing_and_all_are_answered() {
    let fresh = Fresh::make().await;
    let text = std::fs::read_to_string(&fresh.config).unwrap();
    assert!(text.contains("evaluation_queue_max = 1024\n"), "{text}");
    let mut config = std::fs::File::create(&fresh.config).unwrap();
    config.write_all(text.replace("_max = 1024", "_max = 1").as_bytes()).unwrap();
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    // It never answers, and holds its thread until its time is used up.
    let limits = json!({ "limits": { "cpu_us_max": 100_000, "wall_us_max": 200_000, "memory_bytes_max": 1 << 20 } });
    cast.activate_with("loops", components::bytes("loop_in_evaluate"), json!({}), limits).await;
    cast.bot.fresh_nonce().await;
    let before = cast.log_size().await;

    let asking = (0..ASKING).map(|n| {
        let call = Call::post("/v1/decisions", &ask()).header("x-request-id", format!("ask-{n}"));
        cast.bot.send(call)
    });
    let answers: Vec<Answer> = futures_util::future::join_all(asking).await;

    let (decided, turned_away): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!turned_away.is_empty(), "the queue was never full");
    for answer in &turned_away {
        answer.refused(503, "busy");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert!(!decided.is_empty(), "nobody was heard");
    for answer in &decided {
        let answer: DecisionAnswer = answer.json();
        assert_eq!(answer.decision, DecisionKind::Deny, "{answer:?}");
        assert!(answer.grant.is_none() && answer.credential.is_none());
    }
    // Each answered decision is recorded, and nothing of those that were turned away.
    let entries = cast.entries().await.split_off(usize::try_from(before).unwrap());
    let recorded: Vec<&Value> = entries.iter().filter(|entry| entry["type"] == "decision").collect();
    assert_eq!((recorded.len(), entries.len()), (decided.len(), decided.len()));
    assert!(recorded.iter().all(|entry| entry["decision"] == "deny" && entry["grant"].is_null()));
    let metrics = Metrics::of(&cast.staff.auditor).await;
    let turned_away = turned_away.len();
    assert_eq!(metrics.count("attorn_evaluation_queue_refusals_total", &[]), Some(turned_away));
    assert_eq!(metrics.count("attorn_problems_total", &[("code", "busy")]), Some(turned_away));
    assert_eq!(metrics.count("attorn_evaluation_queue_depth", &[]), Some(0));

    cast.deactivate("loops").await.expect(200);
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
}
