//! SIGKILL under load: what was answered is there after the restart, and nothing is torn.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attorn_api::audit::EntryList;
use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::grants::GrantList;
use attorn_log::{CheckpointVerifier, verify_export};
use attorn_store::Store;
use attorn_tests::components;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, ask_with, read_only_settings};
use attorn_tests::{Call, Process, Staff};
use serde_json::{Value, json};
use tokio::sync::Notify;

const WRITERS: usize = 16;

/// A server with everything registered, in a process of its own.
async fn start() -> (Fresh, Process, Cast) {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    (fresh, process, cast)
}

/// Write from many tasks until the connections break, some time after the first answer. What was
/// answered is what is given.
async fn write_until_killed(cast: &Arc<Cast>, process: Process, after: Duration) -> Vec<DecisionAnswer> {
    let (killed, first) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (cast, killed, first) = (Arc::clone(cast), Arc::clone(&killed), Arc::clone(&first));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for n in 0_u64.. {
                    // Every fifth is a deny.
                    let action = if n % 5 == 4 { "faq.write" } else { "faq.read" };
                    let ask = ask_with(json!({ "action": action, "arguments": { "writer": writer, "n": n } }));
                    match cast.bot.try_send(Call::post("/v1/decisions", &ask)).await {
                        Ok(answer) if answer.status == 200 => {
                            answers.push(answer.json::<DecisionAnswer>());
                            first.notify_one();
                        }
                        // Contention and full queues permit nothing, and promise nothing.
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                        Err(_) => break,
                    }
                }
                assert!(killed.load(Ordering::SeqCst), "a connection broke before the kill");
                answers
            })
        })
        .collect();
    first.notified().await;
    tokio::time::sleep(after).await;
    killed.store(true, Ordering::SeqCst);
    process.kill().await;
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await.unwrap());
    }
    all
}

/// All entries: body and exact bytes, in base64, by index.
async fn entries(cast: &Cast) -> Vec<(Value, String)> {
    let mut all = Vec::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let list: EntryList = cast.staff.auditor.get(format!("/v1/audit/entries?from={at}&limit=200")).await.json();
        all.extend(
            list.entries.into_iter().map(|entry| (serde_json::from_str(entry.body.get()).unwrap(), entry.bytes)),
        );
        from = list.next;
    }
    all
}

/// The decision of every grant that the server keeps, by grant.
async fn grants(cast: &Cast) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let list: GrantList = cast.staff.registrar.get(format!("/v1/grants?limit=200{after}")).await.json();
        all.extend(list.grants.into_iter().map(|grant| (grant.id, grant.decision_id)));
        let Some(next) = list.next else { return all };
        after = format!("&after={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_nothing_that_was_answered() {
    let rounds = std::env::var("ATTORN_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10_u64);
    let (fresh, mut process, cast) = start().await;
    let cast = Arc::new(cast);
    let mut known: Vec<String> = Vec::new();
    let mut answered: BTreeSet<String> = BTreeSet::new();
    for round in 0..rounds {
        let before = cast.bot.signed(Call::post("/v1/decisions", &ask())).await;
        // Not always at the same moment of whatever the server does.
        let after = Duration::from_millis(150 + round * 137 % 400);
        let answers = write_until_killed(&cast, process, after).await;
        assert!(!answers.is_empty(), "round {round}: nothing was answered in {after:?}");
        process = Process::start(&fresh.config, &fresh.reach).await;

        // The old run's proof was never used, and is dead all the same.
        fresh.reach.send(before).await.refused(401, "use_dpop_nonce");

        let export = cast.staff.auditor.get("/v1/audit/export").await.expect(200);
        let key: CheckpointVerifier = fresh.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap();
        let verified = verify_export(export.body.as_slice(), Some(&key));
        verified.unwrap_or_else(|error| panic!("round {round}: the log does not verify: {error}"));

        let entries = entries(&cast).await;
        for (index, bytes) in known.iter().enumerate() {
            assert_eq!(entries[index].1, *bytes, "round {round}: entry {index} changed");
        }
        for answer in &answers {
            let at = usize::try_from(answer.entry.index).unwrap();
            let entry = &entries.get(at).unwrap_or_else(|| panic!("round {round}: entry {at} is lost")).0;
            assert_eq!(entry["decision_id"], answer.decision_id, "round {round}: entry {at} is another");
            let grant = answer.grant.as_ref().map(|grant| grant.id.as_str());
            assert_eq!(entry["grant"]["id"].as_str(), grant);
            assert_eq!(answer.decision == DecisionKind::Allow, grant.is_some());
            assert!(answered.insert(answer.decision_id.clone()), "a decision id came twice");
        }

        // Entries and state agree: each allow has its grant, and each grant its allow.
        let in_log: BTreeMap<String, String> = entries
            .iter()
            .filter_map(|(body, _)| {
                let grant = body["grant"]["id"].as_str()?;
                Some((grant.to_owned(), body["decision_id"].as_str()?.to_owned()))
            })
            .collect();
        assert_eq!(grants(&cast).await, in_log, "round {round}");
        for answer in answers.iter().take(5) {
            cast.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.expect(200);
        }
        known = entries.into_iter().map(|(_, bytes)| bytes).collect();
    }
    process.kill().await;
    let store = Store::open(&fresh.data_dir(), &fresh.ours()).unwrap();
    store.verify_integrity().await.unwrap_or_else(|error| panic!("the store is torn: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_was_answered_is_not_forgotten() {
    let (fresh, process, cast) = start().await;
    let grant = cast.bot.decide(&ask()).await.grant.unwrap();
    cast.use_grant(&grant).await.expect(200);
    let once: DecisionAnswer = cast.bot.ask_once("key-1", &ask()).await.json();
    process.kill().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    cast.use_grant(&grant).await.refused(409, "grant_spent");
    let again: DecisionAnswer = cast.bot.ask_once("key-1", &ask()).await.json();
    assert_eq!((again.decision_id, again.entry), (once.decision_id, once.entry));
    cast.staff.registrar.post("/v1/agents/support-bot/suspend", &json!({})).await.expect(200);
    process.kill().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    cast.use_grant(&grant).await.refused(409, "grant_inactive");
    assert_eq!(cast.bot.decide(&ask()).await.reasons[0].code, "agent_suspended");
    cast.staff.registrar.post("/v1/agents/support-bot/resume", &json!({})).await.expect(200);
    // What a suspension ended stays ended.
    cast.use_grant(&grant).await.refused(409, "grant_inactive");
    cast.bot.ask_once("key-1", &ask()).await.refused(409, "grant_inactive");
    process.kill().await;
}

/// A policy in force whose component is gone or changed cannot run, and denies.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_loaded_denies() {
    let (fresh, process, cast) = start().await;
    let digest = attorn_tests::world::blake3_hex(&components::bytes("read-only"));
    process.kill().await;
    let file = find(&fresh.data_dir(), &digest).unwrap();
    let good = std::fs::read(&file).unwrap();
    let mut changed = good.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::remove_file(&file).unwrap();
    for damage in [None, Some(changed)] {
        if let Some(bytes) = damage {
            std::fs::write(&file, bytes).unwrap();
        }
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let answer = cast.bot.decide(&ask()).await;
        assert_eq!((answer.decision, answer.reasons[0].code.as_str()), (DecisionKind::Deny, "policy_failed"));
        let entry = &entries(&cast).await[usize::try_from(answer.entry.index).unwrap()].0;
        assert_eq!(entry["policies"][0]["outcome"], "failed:not_runnable");
        shown_as_not_loaded(&fresh, &cast, &digest).await;
        process.kill().await;
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, good).unwrap();
    let process = Process::start(&fresh.config, &fresh.reach).await;
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    let policy: Value = cast.staff.policy_admin.get("/v1/policies/read-only").await.expect(200).json();
    assert_eq!((&policy["versions"][0]["not_loaded"], policy["versions"][0]["load"].is_object()), (&Value::Null, true));
    process.kill().await;
}

/// Nobody takes a policy that denies all for one that works.
async fn shown_as_not_loaded(fresh: &Fresh, cast: &Cast, digest: &str) {
    let get = async |path: &str| -> Value { cast.staff.policy_admin.get(path).await.expect(200).json() };
    let (list, policy) = (get("/v1/policies").await, get("/v1/policies/read-only").await);
    let shown = &policy["versions"][0];
    assert_eq!((&shown["active"], &shown["load"]), (&true.into(), &Value::Null));
    for why in [&list["policies"][0]["active"]["not_loaded"], &shown["not_loaded"]] {
        assert!(why.as_str().is_some_and(|why| why.contains(digest)), "{why}");
    }
    for verb in [&["list"][..], &["show", "read-only"]] {
        let mut command = std::process::Command::new(attorn_tests::process::binary());
        command.arg("policy").args(verb).env("ATTORN_URL", &fresh.reach.url);
        let output = command.env("ATTORN_TOKEN", &cast.staff.policy_admin.token).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(said.contains("NOT LOADED") && said.contains(digest), "{said}");
        assert!(said.contains("`attorn policy activate read-only 1`"), "{said}");
    }
}

fn find(directory: &std::path::Path, digest: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = find(&path, digest) {
                return Some(found);
            }
        } else if path.to_string_lossy().replace('/', "").contains(digest) {
            return Some(path);
        }
    }
    None
}
