//! A list of the last hours goes through the epochs of the log that had entries in them.

use std::fs;

use attorn_tests::world::{ask, ask_with};
use serde_json::{Value, json};

use super::Stage;

/// A log that has begun a new epoch between two decisions that were denied, and the entries of these.
async fn two_denied() -> (Stage, attorn_tests::Process, [String; 2], String) {
    let (stage, process) = Stage::set().await;
    let write = ask_with(json!({ "action": "faq.write" }));
    let first = stage.cast.bot.decide(&write).await;
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    stage.cast.bot.decide(&ask()).await;
    let second = stage.cast.bot.decide(&write).await;
    let places = [&first, &second].map(|one| format!("{}/{}", one.entry.epoch, one.entry.index));
    (stage, process, places, first.decision_id)
}

fn listed(out: &str) -> Vec<&str> {
    out.lines().skip(1).filter_map(|line| line.split(' ').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_in_the_last_hours_is_listed_of_every_epoch() {
    let (stage, process, [first, second], decision) = two_denied().await;
    let say = |more: &[&str]| {
        let denied = ["list", "--agent", "support-bot", "--decision", "deny"];
        let (code, out, note) = stage.audit(&[&denied, more].concat());
        assert_eq!(code, Some(0), "{more:?}: {note}");
        (out, note)
    };
    let (out, note) = say(&["--since", "24h"]);
    assert_eq!(listed(&out), [&first, &second], "{out}{note}");
    assert_eq!(note, "the log has begun a new epoch in that time: 1 of epoch 1, 1 of epoch 2\n");
    // Page by page, over the end of an epoch.
    let (out, note) = say(&["--since", "24h", "--limit", "1"]);
    assert_eq!(listed(&out), [&first], "{out}");
    assert_eq!(note.matches("there may be more: `--from ").count(), 1, "{note}");
    let next = note.split('`').nth(1).unwrap().trim_start_matches("--from ");
    let (out, note) = say(&["--since", "24h", "--from", next]);
    assert_eq!(listed(&out), [&second], "{next}: {out}{note}");
    let programs: Value = serde_json::from_str(&say(&["--since", "24h", "--json"]).0).unwrap();
    let found = |at: usize| (&programs["epochs"][at]["epoch"], &programs["epochs"][at]["found"]);
    assert_eq!((found(0), found(1)), ((&json!(1), &json!(1)), (&json!(2), &json!(1))), "{programs}");
    assert_eq!((programs["entries"].as_array().unwrap().len(), &programs["from"]), (2, &Value::Null));
    // One epoch alone, and times in which only one of them was.
    assert_eq!(listed(&say(&["--epoch", "1", "--since", "24h"]).0), [&first]);
    let ended = stage.audit(&["epochs", "--json"]).1;
    let ended: Value = serde_json::from_str(&ended).unwrap();
    let after = attorn_core::TimeMs(ended["epochs"][0]["ended_at_ms"].as_u64().unwrap() + 1).to_string();
    let (out, note) = say(&["--since", &after]);
    assert_eq!((listed(&out), note.as_str()), (vec![second.as_str()], ""));
    // What a decision is about is looked for where it was made, and after.
    let (code, out, note) = stage.audit(&["list", "--about", &decision]);
    assert_eq!((code, listed(&out)), (Some(0), vec![first.as_str()]), "{note}");

    // What nobody keeps any more is not passed over in silence.
    fs::remove_file(stage.fresh.data_dir().join("epochs/1.export")).unwrap();
    let (out, note) = say(&["--since", "24h"]);
    assert_eq!(listed(&out), [&second], "{out}{note}");
    assert!(note.contains("entries of epoch 1 were not looked at, as the server does not keep them"), "{note}");
    process.kill().await;
}

/// What does not happen by itself when the log has a new key.
fn says_what_is_next(stage: &Stage) {
    let output = stage.attorn(&["key", "rotate-log"]);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{said:?}");
    let origin = said[0].split_whitespace().find(|word| word.starts_with("attorn/log-")).unwrap().trim_end_matches(',');
    assert!(origin.ends_with("/2"), "{said:?}");
    for step in
        ["`attorn serve`", "`attorn audit key > log.key`", "witnesses", &format!("`{origin}`"), "`attorn backup`"]
    {
        assert!(said[1].contains(step), "{step}: {}", said[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_says_how_much_was_looked_at() {
    let (stage, process) = Stage::set().await;
    let note = |arguments: &[&str]| {
        let (code, out, note) = stage.audit(&[&["list"], arguments].concat());
        assert_eq!((code, out.lines().count()), (Some(0), 1), "{arguments:?}: {out}");
        note
    };
    let size = stage.cast.log_size().await;
    for filter in [["--agent", "nosuch"], ["--reason", "no_such"], ["--action", "faq"]] {
        assert_eq!(note(&filter), format!("no entry of {size} matches\n"), "{filter:?}");
    }
    assert_eq!(note(&["--agent", "nosuch", "--from", "3"]), format!("no entry of {} matches\n", size - 3));
    let said = note(&["--resource", "account/42"]);
    assert!(said.ends_with("under pseudonyms: name the user, too (`--user`)\n"), "{said}");
    assert!(!note(&["--resource", "account/42", "--user", "psn_nobody"]).contains("pseudonyms"));
    // Programs read what they read before, and nothing beside it.
    let (code, out, note) = stage.audit(&["list", "--agent", "nosuch", "--json"]);
    assert_eq!((code, note.as_str()), (Some(0), ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["entries"], json!([]));
    process.kill().await;
    says_what_is_next(&stage);
    let process = stage.start().await;
    let (_, _, note) = stage.audit(&["list", "--agent", "nosuch", "--since", "24h"]);
    assert!(note.contains(" of 2 epochs matches\n"), "{note}");
    process.kill().await;
}
