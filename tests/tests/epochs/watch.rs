//! Whoever watches the log misses nothing where it begins a new epoch.

use std::process::Stdio;
use std::time::Duration;

use attorn_api::audit::{Entry, EntryList};
use attorn_tests::events::Events;
use attorn_tests::http::Call;
use attorn_tests::process::binary;
use attorn_tests::world::{ask, ask_with};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::Stage;

/// An entry's epoch and index.
type At = (u64, u64);

fn at(entry: &Entry) -> At {
    (entry.reference.epoch, entry.reference.index)
}

impl Stage {
    /// Where all entries of an epoch stand.
    async fn all_of(&self, epoch: u64) -> Vec<At> {
        let auditor = &self.cast.staff.auditor;
        let list: EntryList = auditor.get(format!("/v1/audit/epochs/{epoch}/entries?from=0&limit=200")).await.json();
        assert_eq!(list.next, None, "one page has all");
        list.entries.iter().map(at).collect()
    }

    async fn decides(&self, times: usize) {
        for _ in 0..times {
            self.cast.bot.decide(&ask()).await;
            self.cast.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await;
        }
    }

    fn watch(&self, count: usize) -> Command {
        let mut command = Command::new(binary());
        command.args(["audit", "watch", "--count", &count.to_string(), "--type", "decision"]);
        command.args(["--decision", "deny"]);
        command.env("ATTORN_URL", &self.fresh.reach.url).env("ATTORN_TOKEN", &self.cast.staff.auditor.token);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_with_the_rest_of_an_epoch_and_all_of_the_next() {
    let (stage, process) = Stage::set().await;
    let token = stage.cast.staff.auditor.token.clone();
    stage.decides(2).await;
    let mut events = Events::open(&stage.fresh.reach, &token, "from=2", None).await;
    assert_eq!(events.entry().await.0, 2);
    stage.decides(3).await;
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    stage.decides(1).await;

    let expect: Vec<At> = [stage.all_of(1).await[3..].to_vec(), stage.all_of(2).await].concat();
    let mut events = Events::open(&stage.fresh.reach, &token, "", Some("1/2".into())).await;
    let mut found = Vec::new();
    while found.len() < expect.len() {
        let event = events.next().await.unwrap();
        if event.kind == "entry" {
            let entry: Entry = serde_json::from_str(&event.data).unwrap();
            found.push(at(&entry));
        }
    }
    assert_eq!(found, expect);
    // And with what comes now.
    stage.decides(1).await;
    assert_eq!(events.entry().await.0, expect.last().unwrap().1 + 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_goes_on_over_a_rotation() {
    let (stage, process) = Stage::set().await;
    let mut child = stage.watch(5).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = async || -> String {
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await.expect("nothing came");
        line.unwrap().unwrap()
    };
    // It is connected, and nothing came yet.
    assert!(said.next_line().await.unwrap().unwrap().starts_with("watching what comes after entry "));
    stage.decides(1).await;
    let mut found = vec![next().await];
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    stage.decides(4).await;
    while found.len() < 5 {
        found.push(next().await);
    }
    assert!(found.iter().all(|row| row.contains("deny")), "{found:?}");
    let mut rest = String::new();
    while let Some(line) = said.next_line().await.unwrap() {
        rest += &line;
    }
    assert!(rest.contains("trying again") && rest.contains("the log has begun epoch 2, which counts from 0"), "{rest}");
    assert!(child.wait().await.unwrap().success());
    process.stop().await;
}

/// A restored log may lack what somebody has seen of an epoch that has ended since.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_an_ended_epoch_never_had_is_nothing_to_go_on_after() {
    let (stage, process) = Stage::set().await;
    let token = stage.cast.staff.auditor.token.clone();
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let size = stage.all_of(1).await.len();
    let call = Call::get("/v1/audit/stream").header("last-event-id", format!("1/{size}")).bearer(&token);
    let answer = tokio::time::timeout(Duration::from_mins(1), stage.fresh.reach.send(call)).await;
    let problem = answer.expect("it is a stream").refused(422, "invalid_field");
    let expect = format!("`Last-Event-ID` is `1/{size}`, and epoch 1 of the log ended with {size} entries");
    assert_eq!(problem.detail, expect);
    // After the last that it had comes the next epoch.
    let mut events = Events::open(&stage.fresh.reach, &token, "", Some(format!("1/{}", size - 1))).await;
    assert_eq!(events.entry().await.0, 0);
    process.stop().await;
}

/// What is not kept of an epoch that has ended is not asked for again and again.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_for_an_epoch_that_is_not_kept_is_told() {
    let (stage, process) = Stage::set().await;
    let mut child = stage.watch(5).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next_line().await.unwrap().unwrap().starts_with("watching what comes after entry "));
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    std::fs::remove_file(stage.fresh.data_dir().join("epochs/1.export")).unwrap();
    let process = stage.start().await;
    stage.decides(1).await;
    let ended = tokio::time::timeout(Duration::from_mins(1), child.wait()).await.expect("it tries for ever");
    let mut rest = String::new();
    while let Some(line) = said.next_line().await.unwrap() {
        rest += &line;
    }
    assert_eq!(ended.unwrap().code(), Some(5), "{rest}");
    assert!(rest.contains("epoch 1") && rest.contains("put the file back from a backup"), "{rest}");
    process.stop().await;
}
