//! Decisions of earlier epochs are decided again.

use std::fs;
use std::process::Command;

use attorn_api::replays::Comparison;
use attorn_core::TimeMs;
use attorn_tests::process::binary;
use attorn_tests::replays::replay;
use attorn_tests::world::ask;
use serde_json::{Value, json};

use super::{Stage, first_of};

#[tokio::test(flavor = "multi_thread")]
async fn decisions_of_earlier_epochs_are_decided_again_and_history_says_what_is_not_kept() {
    let (stage, process) = Stage::set().await;
    let before = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    let rotated = stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let replayed = replay(&stage.cast, &before.decision_id).await;
    assert_eq!(replayed.comparison, Comparison::Identical, "{replayed:?}");
    assert_eq!((replayed.decided.epoch, replayed.decided.index), (1, before.entry.index));
    assert_eq!(replayed.entry.epoch, 2);
    let after = stage.cast.bot.decide(&ask()).await;
    assert_eq!(replay(&stage.cast, &after.decision_id).await.decided.epoch, 2);

    let ended = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["policy", "diff", "recorded", "active", "--on", "history"]).args(arguments);
        command.env("ATTORN_URL", &stage.fresh.reach.url).env("ATTORN_TOKEN", &stage.cast.staff.explainer.token);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), said)
    };
    let diff = |arguments: &[&str]| {
        let (code, said) = ended(arguments);
        assert_eq!(code, Some(0), "{said:?}");
        said.into_iter().next().unwrap()
    };
    let said = diff(&[]);
    assert!(said.contains("decisions    2\n") && !said.contains("not reached"), "{said}");
    let said: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    assert_eq!((&said["decisions"], &said["same"], &said["not_reached"]), (&json!(2), &json!(2), &json!([])));
    // Filters take what they take in each epoch, and an epoch that ended before is not looked at.
    assert!(diff(&["--agent", "support-bot"]).contains("decisions    2\n"));
    assert!(diff(&["--agent", "nobody"]).contains("decisions    0\n"));
    let began = first_of(&stage.bodies().await, "log_key_rotated")["time_ms"].as_u64().unwrap() + 1;
    assert!(diff(&["--since", &TimeMs(began).to_string()]).contains("decisions    1\n"));
    // By the page, as a program asks.
    let ask = json!({ "a": { "base": "recorded" }, "b": { "base": "active" } });
    let explainer = &stage.cast.staff.explainer;
    let asked = async |query: &str| explainer.post(format!("/v1/replays/history?{query}"), &ask).await;
    let page: Value = asked("epoch=1").await.expect(200).json();
    assert_eq!((&page["decisions"], &page["next"]), (&json!(1), &Value::Null));
    let page: Value = asked(&format!("epoch=1&to={}", before.entry.index)).await.expect(200).json();
    assert_eq!(page["decisions"], 0);
    let page: Value = asked("epoch=2").await.expect(200).json();
    assert_eq!(page["decisions"], 1);
    asked("epoch=7").await.refused(404, "not_found");
    asked("epoch=x").await.refused(422, "invalid_field");

    // An entry that was altered is decided again under no policies, and said.
    let path = stage.fresh.data_dir().join("epochs/1.export");
    let kept = fs::read_to_string(&path).unwrap();
    fs::write(&path, kept.replace("\"faq.read\"", "\"faq.road\"")).unwrap();
    let page: Value = asked("epoch=1").await.expect(200).json();
    assert_eq!((&page["decisions"], &page["next"]), (&json!(0), &Value::Null));
    assert!(page["damaged"]["count"].as_u64().unwrap() >= 1, "{page}");
    assert!(page["damaged"]["why"].as_str().unwrap().contains("is not what the log signed: entry "), "{page}");
    let (code, [out, said]) = ended(&[]);
    assert!(code == Some(5) && out.contains("decisions    1\n"), "{out}{said}");
    assert!(said.contains("error: epoch 1 is damaged: ") && said.contains("\nhelp: put that file back"), "{said}");
    let (code, [out, _]) = ended(&["--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(5) && out["damaged"]["1"]["count"].as_u64() >= Some(1), "{out}");
    fs::write(&path, &kept).unwrap();
    // By its entry, in any form that is printed.
    let at = format!("{}/1/{}", before.entry.log_id, before.entry.index);
    for name in [&at, &format!("1/{}", before.entry.index), &before.decision_id] {
        let (code, out, said) = stage.audit(&["replay", name]);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(out.starts_with("identical") && out.contains(&format!("decided   entry {at}\n")), "{name}: {out}");
    }
    let (code, _, said) = stage.audit(&["replay", "1/0"]);
    assert!(code == Some(1) && said.contains("the entry 1/0 records no decision: it is `initialised`"), "{said}");

    // Where the entries of the epoch are not kept any more, it is said.
    fs::remove_file(&path).unwrap();
    let entries = rotated["earlier_entries"].as_u64().unwrap();
    let said = diff(&[]);
    assert!(said.contains("decisions    1\n"), "{said}");
    assert!(
        said.contains(&format!("not reached  {entries} entries of 1 earlier epochs, which are not kept\n")),
        "{said}"
    );
    let said: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    assert_eq!(said["not_reached"], json!([{ "epoch": 1, "size": entries }]));
    let body = json!({ "decision_id": before.decision_id });
    let refused = stage.cast.staff.auditor.post("/v1/replays", &body).await.refused(404, "not_found");
    assert!(refused.help.is_some_and(|help| help.contains("from a backup")));
    process.kill().await;
}
