//! What a registrar's commands say beside what they do: where a new key is, and where it is said why an agent is stopped.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::process::Command;

use attorn_tests::process::binary;
use attorn_tests::{Operator, World};

/// What a command says on both streams; it does what it is told.
#[track_caller]
fn said(world: &World, operator: &Operator, at: &Path, line: &str) -> [String; 2] {
    let mut command = Command::new(binary());
    command.args(line.split(' ')).current_dir(at).env("ATTORN_URL", &world.reach.url);
    let output = command.env("ATTORN_TOKEN", &operator.token).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{line}: {said:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_new_key_is_is_said_whoever_it_is_for() {
    let (world, dir) = (World::without_policy().await, tempfile::tempdir().unwrap());
    let said = |line: &str| said(&world, &world.staff.registrar, dir.path(), line);
    for (line, file) in [
        (
            "resource-server register billing --audience https://billing.example --resource-type bill --new-key b.key",
            "b.key",
        ),
        ("agent key add support-bot --new-key pod-2.key --instance pod-2", "pod-2.key"),
    ] {
        let [_, note] = said(line);
        assert_eq!(note, format!("its private key is in `{file}`, and nowhere else\n"), "{line}");
        assert!(dir.path().join(file).exists());
    }
    let line =
        "--json resource-server register faq-2 --audience https://faq-2.example --resource-type tip --new-key f.key";
    let [out, note] = said(line);
    assert_eq!(
        (serde_json::from_str::<serde_json::Value>(&out).unwrap()["id"].as_str(), note.as_str()),
        (Some("faq-2"), "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn why_an_agent_is_stopped_is_found_from_where_it_is_shown() {
    let (world, dir) = (World::without_policy().await, tempfile::tempdir().unwrap());
    let shown = || said(&world, &world.staff.registrar, dir.path(), "agent show support-bot");
    assert_eq!(shown()[1], "");
    said(&world, &world.staff.registrar, dir.path(), "agent suspend support-bot --reason INC-4711");
    let note = shown()[1].clone();
    let line = note.split('`').nth(1).unwrap().trim_start_matches("attorn ").to_owned();
    assert_eq!(line, "audit list --agent support-bot --type agent_suspended --wide", "{note}");
    let [out, _] = said(&world, &world.staff.auditor, dir.path(), &line);
    assert!(out.contains("INC-4711"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_shown_with_its_time_and_its_proof_and_listed_as_a_whole() {
    let (world, dir) = (World::without_policy().await, tempfile::tempdir().unwrap());
    let said = |line: &str| said(&world, &world.staff.auditor, dir.path(), line)[0].clone();
    let listed = said("audit list --type agent_registered");
    let line = listed.lines().last().unwrap();
    assert!(line.ends_with('…'), "{line}");
    let mut columns = line.split_whitespace();
    let (index, time) = (columns.next().unwrap(), columns.next().unwrap());
    let shown = said(&format!("audit show {index}"));
    for expect in [
        format!("\ntime {time}\n"),
        "\"type\": \"agent_registered\"".to_owned(),
        format!("attorn audit receipt 1/{index} > receipt.txt\n"),
        "attorn audit verify --receipt receipt.txt --key log.key\n".to_owned(),
        "log.key is the key of epoch 1,".to_owned(),
    ] {
        assert!(shown.contains(&expect), "{expect}: {shown}");
    }
    let wide = said("audit list --type agent_registered --wide");
    let thumbprint = world.bot.key.thumbprint();
    assert!(wide.contains(thumbprint) && !listed.contains(thumbprint), "{wide}");
    assert!(wide.starts_with("ENTRY") && !wide.contains('…'), "{wide}");
}
