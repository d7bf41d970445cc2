//! What policies wrote to their logs: over the API, and with `attorn policy logs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::process::Stdio;
use std::time::Duration;

use attorn_api::policy_logs::{LogLevel, PolicyLogLine, PolicyLogList};
use attorn_core::Duty;
use attorn_tests::process::binary;
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{Call, World, components};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

const FORGED: &str = "\u{1b}[2Jgone\u{202e}\n2026-01-01 forged";

async fn logs(world: &World, query: &str) -> PolicyLogList {
    world.staff.auditor.get(format!("/v1/policy-logs?{query}")).await.json()
}

fn messages(list: &PolicyLogList) -> Vec<(LogLevel, &str)> {
    list.lines.iter().map(|line| (line.level, line.message.as_str())).collect()
}

async fn until(world: &World, query: &str, count: usize) -> PolicyLogList {
    attorn_tests::found(&format!("{count} lines"), async || {
        let list = logs(world, query).await;
        (list.lines.len() >= count).then_some(list)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_duty_reads_them_and_odd_queries_are_refused() {
    let world = World::without_policy().await;
    world.reach.send(Call::get("/v1/policy-logs")).await.refused(401, "unauthenticated");
    // Whoever pushes policies does not read requests through them.
    world.staff.policy_admin.get("/v1/policy-logs").await.refused(403, "missing_duty");
    let duties: Vec<Duty> = Duty::ALL.iter().copied().filter(|duty| *duty != Duty::Auditor).collect();
    world.staff.admin.hire("other", &duties).await.get("/v1/policy-logs").await.refused(403, "missing_duty");
    for query in ["after=-1", "after=x", "after=18446744073709551616", "policy=A", "policy=", "limit=0", "limit=201"] {
        world.staff.auditor.get(format!("/v1/policy-logs?{query}")).await.refused(400, "invalid_query");
    }
    let unknown = world.staff.auditor.get("/v1/policy-logs?policy=nobody").await.refused(404, "not_found");
    assert_eq!(unknown.detail, "there is no policy `nobody`");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policies_wrote_is_there_with_the_decision_that_it_was_about() {
    let world = World::new().await;
    assert_eq!(logs(&world, "").await.lines, []);
    world.activate("talks", components::bytes("logs"), json!({})).await;
    world.activate_with("whispers", components::bytes("logs"), json!({}), json!({ "mode": "shadow" })).await;
    let decided = world.bot.decide(&ask()).await;
    let list = until(&world, "", 8).await;
    assert_eq!((list.lines.len(), list.lost, list.restarted, list.more), (8, 0, false, false));
    let expect = [
        (LogLevel::Debug, r#"arguments {"section":"billing"}"#),
        (LogLevel::Info, FORGED),
        (LogLevel::Warn, "odd"),
        (LogLevel::Error, "wrong"),
    ];
    assert_eq!(messages(&list), expect.repeat(2));
    let numbers: Vec<u64> = list.lines.iter().map(|line| line.sequence).collect();
    assert_eq!(numbers, (numbers[0]..numbers[0] + 8).collect::<Vec<_>>());
    assert_eq!(list.next, numbers[7]);
    for (n, line) in list.lines.iter().enumerate() {
        assert_eq!(line.policy, if n < 4 { "talks" } else { "whispers" });
        assert_eq!((line.version, line.decision_id.as_str()), (1, decided.decision_id.as_str()));
    }

    let page = logs(&world, &format!("policy=whispers&after={}&limit=2", numbers[4])).await;
    assert_eq!(messages(&page), expect[1..3]);
    assert_eq!((page.next, page.more), (numbers[6], true));
    assert_eq!(messages(&logs(&world, &format!("policy=whispers&after={}", page.next)).await), expect[3..]);
    assert_eq!(logs(&world, "policy=read-only").await.lines, []);
    let restarted = logs(&world, "after=0").await;
    assert_eq!((restarted.lines.len(), restarted.restarted), (8, true));
    // A decision that a bound makes asks no policy.
    world.bot.decide(&ask_with(json!({ "action": "payment.send" }))).await;
    assert_eq!(logs(&world, &format!("after={}", list.next)).await.lines, []);
}

/// A policy that floods pushes out what others wrote; whoever reads on learns how much that was.
#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_fit_is_said() {
    let world = World::without_policy().await;
    world.activate("talks", components::bytes("logs"), json!({})).await;
    world.bot.decide(&ask()).await;
    let first = logs(&world, "limit=1").await;
    world.activate("floods", components::bytes("log_flood"), json!({})).await;
    for _ in 0..100 {
        world.bot.decide(&ask()).await;
    }
    let oldest = logs(&world, "limit=1").await.lines[0].sequence;
    let later = logs(&world, &format!("after={}", first.next)).await;
    assert!(later.lost > 0);
    assert_eq!((later.lost, later.restarted), (oldest - first.next - 1, false));
    assert_eq!(later.lines[0].sequence, oldest);
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["policy", "logs"]).args(arguments);
    command.env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &world.staff.auditor.token);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn output(world: &World, arguments: &[&str]) -> String {
    let output = command(world, arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_lines_that_drive_no_terminal() {
    let world = World::new().await;
    world.activate("talks", components::bytes("logs"), json!({})).await;
    let decided = world.bot.decide(&ask()).await;
    let text = output(&world, &[]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let ends = format!("  info   talks/1  {}  \\u{{1b}}[2Jgone\\u{{202e}}\\n2026-01-01 forged", decided.decision_id);
    assert!(lines[1].ends_with(&ends), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");

    assert_eq!(output(&world, &["talks", "--level", "warn"]).await.lines().count(), 2);
    let nothing = command(&world, &["read-only"]).output().await.unwrap();
    assert!(nothing.status.success() && nothing.stdout.is_empty());
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert_eq!(said, "`read-only` has not written anything lately\n");
    let json = output(&world, &["--json", "--level", "info"]).await;
    let lines: Vec<PolicyLogLine> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), [FORGED, "odd", "wrong"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_follows_what_comes() {
    let world = World::new().await;
    world.activate("talks", components::bytes("logs"), json!({})).await;
    let first = world.bot.decide(&ask()).await;
    let mut child = command(&world, &["-f", "talks", "--level", "error", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await;
        serde_json::from_str(&line.expect("nothing came").unwrap().expect("it ended")).unwrap()
    };
    assert_eq!(next().await["decision_id"], first.decision_id.as_str());
    // What comes while it runs, each once and in order.
    for _ in 0..3 {
        let decided = world.bot.decide(&ask()).await;
        let line = next().await;
        assert_eq!((&line["decision_id"], &line["message"]), (&json!(decided.decision_id), &json!("wrong")));
    }
    child.kill().await.unwrap();
}
