//! The commands, as the built binary runs them: an approver's, and the agent's that waits.

use std::process::{Output, Stdio};

use attorn_tests::process::binary;
use tokio::process::Command;

use super::*;

fn command(scene: &Scene, line: &str) -> Command {
    let mut command = Command::new(binary());
    command.env_remove("ATTORN_TOKEN").env("ATTORN_URL", &scene.world.reach.url).args(line.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) async fn as_operator(scene: &Scene, operator: &Operator, line: &str) -> Output {
    command(scene, line).env("ATTORN_TOKEN", &operator.token).output().await.unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_looks_and_says_yes_and_the_agent_goes_on() {
    let scene = Scene::new(ONE).await;
    let directory = tempfile::TempDir::new().unwrap();
    let key = directory.path().join("bot.key");
    scene.world.bot.key.save(&key).unwrap();
    let line = "decide --action faq.read --resource article/42 --purpose answer-questions --idempotency-key once";
    let decide = |more: &str| {
        let mut command = command(&scene, &format!("{line} {more} --key"));
        command.arg(&key);
        command
    };
    let challenged = decide("").output().await.unwrap();
    assert_eq!(challenged.status.code(), Some(4), "{}", text(&challenged));
    let list = as_operator(&scene, &scene.ada, "--json approval list").await;
    let list: ApprovalList = serde_json::from_slice(&list.stdout).unwrap();
    let Approval { id, code, digest, .. } = &list.approvals[0];
    assert!(text(&challenged).contains(id) && text(&challenged).contains(code), "{}", text(&challenged));
    for line in ["approval list".to_owned(), format!("approval show {id}")] {
        let shown = as_operator(&scene, &scene.ada, &line).await;
        assert!(text(&shown).contains(code) && text(&shown).contains("support-bot"), "{}", text(&shown));
    }
    // Somebody who waits too short a time still has a challenge.
    let waited = decide("--wait-for-approval 1ms").output().await.unwrap();
    assert_eq!(waited.status.code(), Some(4), "{}", text(&waited));
    assert!(String::from_utf8_lossy(&waited.stderr).contains(&format!("waiting for approval {id}, code {code}")));

    let waiting = decide("--wait-for-approval 5m").spawn().unwrap();
    let line = format!("approval approve {id} --digest {}", "0".repeat(64));
    let other = as_operator(&scene, &scene.ada, &line).await;
    assert!(other.status.code() == Some(1) && text(&other).contains("approval_mismatch"), "{}", text(&other));
    let approved = as_operator(&scene, &scene.ada, &format!("approval approve {id} --digest {digest}")).await;
    assert!(text(&approved).contains("operator ada: approve"), "{}", text(&approved));
    let allowed = waiting.wait_with_output().await.unwrap();
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed));
    let spent = as_operator(&scene, &scene.bob, "--json approval list --state spent --agent support-bot").await;
    let spent: ApprovalList = serde_json::from_slice(&spent.stdout).unwrap();
    assert_eq!(&spent.approvals[0].id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_by_command_denies() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    let digest = show(&scene.ada, &asked.id).await.digest;
    let refused = as_operator(&scene, &scene.ada, &format!("approval refuse {} --digest {digest}", asked.id)).await;
    assert!(refused.status.success() && text(&refused).contains("refused"), "{}", text(&refused));
    scene.denied(&ask(), "approval_refused").await;
    let webhook = "approval-webhook register chat --url http://127.0.0.1:1/hook --loopback";
    let registered = as_operator(&scene, &scene.world.staff.registrar, webhook).await;
    assert!(text(&registered).contains("whsec_"), "{}", text(&registered));
    for (line, expect) in [("approval-webhook list", "127.0.0.1"), ("approval-webhook revoke chat", "told no more")] {
        let output = as_operator(&scene, &scene.world.staff.registrar, line).await;
        assert!(output.status.success() && text(&output).contains(expect), "{}", text(&output));
    }
}

/// What an approver reads who cannot do what they want to.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_vote_is_told_why_and_what_helps() {
    let scene = Scene::new(TWO).await;
    let empty = as_operator(&scene, &scene.ada, "approval list").await;
    assert!(empty.status.success() && text(&empty).contains("there is none"), "{}", text(&empty));
    let nobody = format!("approval show apr_{}", "0".repeat(32));
    let changes = json!({ "arguments": { "to": "p\u{430}ypal" } });
    let asked = scene.challenged(&ask_with(changes)).await;
    let shown = as_operator(&scene, &scene.ada, &format!("approval show {}", asked.id)).await;
    assert!(text(&shown).contains("look twice  p\u{430}ypal is p{U+0430}ypal"), "{}", text(&shown));
    assert!(text(&shown).contains("1 use within"), "{}", text(&shown));
    let digest = show(&scene.ada, &asked.id).await.digest;
    let say = |verb: &str| format!("approval {verb} {} --digest {digest}", asked.id);
    let once = as_operator(&scene, &scene.ada, &say("approve")).await;
    assert!(once.status.success(), "{}", text(&once));
    for (operator, line, expect) in [
        (&scene.ada, nobody.as_str(), "attorn approval list --state all"),
        (&scene.ada, "approval show apr_1", "apr_1"),
        (&scene.ada, &say("approve"), "you can still refuse it"),
        (&scene.world.staff.auditor, &say("approve"), "approver"),
    ] {
        let output = as_operator(&scene, operator, line).await;
        assert!(!output.status.success() && text(&output).contains(expect), "{line}: {}", text(&output));
    }
    as_operator(&scene, &scene.bob, &say("refuse")).await;
    let late = as_operator(&scene, &scene.ada, &say("approve")).await;
    assert!(!late.status.success() && text(&late).contains("is refused"), "{}", text(&late));
}
