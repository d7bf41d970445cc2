//! `attorn proxy call`, as the built binary runs it.

use std::process::Stdio;

use attorn_api::Problem;
use attorn_core::Duty;
use attorn_tests::components;
use attorn_tests::process::binary;
use attorn_tests::server::free_address;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::scene::Scene;
use super::upstream::SECRET;

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

struct Hand {
    scene: Scene,
    directory: TempDir,
}

impl Hand {
    async fn new() -> Self {
        let (scene, directory) = (Scene::new().await, TempDir::new().unwrap());
        scene.world.bot.key.save(&directory.path().join("bot.key")).unwrap();
        Self { scene, directory }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(binary());
        command.env_remove("ATTORN_TOKEN").env("ATTORN_URL", &self.scene.world.reach.url);
        command.args(line.split_whitespace()).arg("--key").arg(self.directory.path().join("bot.key"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn call(&self, line: &str) -> Said {
        said(self.command(&format!("proxy call crm {line} --purpose answer-questions"))).await
    }
}

async fn said(mut command: Command) -> Said {
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_on_says_why_and_what_to_do() {
    let hand = Hand::new().await;
    let denied = hand.call("DELETE /v2/articles/42").await;
    assert_eq!((denied.code, denied.out.as_str()), (Some(3), ""), "{}", denied.err);
    for part in ["decision    dec_", "reason      action_not_listed: ", "nothing was sent (denied)"] {
        assert!(denied.err.contains(part), "{}", denied.err);
    }
    let denied = hand.call("DELETE /v2/articles/42 --json").await;
    let problem: Problem = serde_json::from_str(&denied.out).unwrap();
    assert_eq!((denied.code, problem.code.as_str(), problem.reasons.len()), (Some(3), "denied", 1));
    for (line, code, expect) in [
        ("GET /v2/articles/42?other=1", 1, "(invalid_query)"),
        ("GET v2/articles/42", 2, "the path `v2/articles/42` cannot be sent"),
        ("GET /v2/../articles/42", 2, "cannot be sent"),
        ("GET /v2/articles/close", 1, "(upstream_failed)"),
        ("POST /v2/articles/42 --body /nowhere/none", 1, "cannot read `/nowhere/none`"),
        ("GET /v2/articles/42 --header host:evil.example", 2, "the header `host` cannot be sent"),
        ("GET /v2/articles/42 --header x-foo:1", 1, "the header `x-foo` would not go on: the target takes none"),
        ("GET /v2/articles/42 --header if-match:1 --header x-foo:1", 1, "the header `x-foo` would not go on"),
    ] {
        let refused = hand.call(line).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(code), ""), "{line}: {}", refused.err);
        assert!(refused.err.contains(expect), "{line}: {}", refused.err);
    }
    let none = said(hand.command("proxy call none GET /v2 --purpose p")).await;
    assert!(
        none.code == Some(1) && none.err.contains("there is no target that is called `none` (not_found)"),
        "{}",
        none.err
    );
    let mut away = hand.command("proxy call crm GET /v2 --purpose p");
    away.env("ATTORN_URL", format!("http://{}", free_address()));
    let away = said(away).await;
    assert!(away.code == Some(1) && away.err.contains("help: is it running (`attorn serve`)?"), "{}", away.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_answers_is_printed_as_it_is() {
    let hand = Hand::new().await;
    let good = hand.call("GET /v2/articles/42?q=1").await;
    assert_eq!(good.code, Some(0), "{}", good.err);
    assert!(good.out.starts_with("GET /v2/articles/42?q=1 HTTP/1.1"), "{}", good.out);
    assert!(good.err.contains("200, sent by dec_"), "{}", good.err);
    let json: Value = serde_json::from_str(&hand.call("GET /v2/articles/42 --json").await.out).unwrap();
    assert_eq!((&json["status"], &json["headers"]["x-version"]), (&json!(200), &json!("r1")));
    assert!(json["body"].as_str().unwrap().starts_with("GET /v2/articles/42"), "{json}");
    let bad = hand.call("GET /v2/articles/error").await;
    assert_eq!((bad.code, bad.out.as_str()), (Some(1), "sad."), "{}", bad.err);
    let short = hand.call("GET /v2/articles/short").await;
    assert_eq!((short.code, short.out.as_str()), (Some(1), "half"), "{}", short.err);
    assert!(short.err.contains("cut off after 4 bytes\nhelp: ") && short.err.contains("audit show"), "{}", short.err);
    assert!(short.err.contains("the answer was cut off after 4 bytes"), "{}", short.err);
    assert!(hand.call("HEAD /v2/articles/42").await.code == Some(0));
    let body = hand.directory.path().join("body");
    std::fs::write(&body, r#"{ "b": 1, "a": 2 }"#).unwrap();
    let line = format!("POST /v2/articles/42 --header if-match:7 --body {}", body.display());
    assert_eq!(hand.call(&line).await.code, Some(0));
    let last = hand.scene.upstream.seen().pop().unwrap();
    assert_eq!((last.body.as_str(), &*last.headers["if-match"]), (r#"{"a":2,"b":1}"#, "7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_an_approval_waits_for_it() {
    let hand = Hand::new().await;
    let world = &hand.scene.world;
    world.activate("careful", components::bytes("challenge_private_reason"), json!({})).await;
    let ada = world.staff.admin.hire("ada", &[Duty::Approver]).await;
    let challenged = hand.call("GET /v2/articles/42").await;
    assert_eq!((challenged.code, challenged.out.as_str()), (Some(4), ""), "{}", challenged.err);
    let approval = challenged.err.split_whitespace().find(|word| word.starts_with("apr_")).unwrap();
    let approval = approval.trim_end_matches(',');
    assert!(challenged.err.contains("(whoever approves sees the same)"), "{}", challenged.err);
    assert!(challenged.err.contains("approvers   1 of role operator"), "{}", challenged.err);
    assert!(challenged.err.contains("help: `--wait-for-approval 5m` waits") && !challenged.err.contains("/v1/"));

    let line = "proxy call crm GET /v2/articles/42 --purpose answer-questions --wait-for-approval 5m";
    let waiting = hand.command(line).spawn().unwrap();
    let shown: Value = ada.get(format!("/v1/approvals/{approval}")).await.expect(200).json();
    let body = json!({ "digest": shown["digest"] });
    ada.post(format!("/v1/approvals/{approval}/approve"), &body).await.expect(200);
    let allowed = waiting.wait_with_output().await.unwrap();
    assert_eq!(allowed.status.code(), Some(0), "{}", String::from_utf8_lossy(&allowed.stderr));
    assert!(String::from_utf8_lossy(&allowed.stdout).starts_with("GET /v2/articles/42"));
    assert_eq!(hand.scene.upstream.seen().len(), 1);
}
