//! Entries of earlier epochs are read, proved and searched, and those that were altered are not shown.

use std::fs;
use std::process::Command;

use attorn_api::agents::Agent;
use attorn_api::audit::{Entry, EntryList};
use attorn_log::{Receipt, verify_export};
use attorn_tests::found;
use attorn_tests::process::binary;
use attorn_tests::world::ask;
use serde_json::{Value, json};

use super::Stage;

/// What was used before the epoch began is not said to have never been used.
async fn says_which_uses_were_not_looked_at(stage: &Stage, size: u64) {
    let uses = found("the index is open, and has the epoch's first entry", async || {
        let agent: Agent = stage.cast.staff.registrar.get("/v1/agents/support-bot").await.expect(200).json();
        agent.uses.filter(|uses| uses.since_ms.is_some())
    });
    let uses = uses.await;
    assert_eq!((uses.earlier.len(), uses.earlier[0].epoch, uses.earlier[0].size), (1, 1, size));
    assert!(uses.permissions.iter().all(|one| one.last_used_at_ms.is_none()), "{uses:?}");
    let mut command = Command::new(binary());
    command.args(["agent", "show", "support-bot"]).env("ATTORN_URL", &stage.fresh.reach.url);
    let output = command.env("ATTORN_TOKEN", &stage.cast.staff.registrar.token).output().unwrap();
    let [out, note] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(out.contains("not since ") && !out.contains("never"), "{out}{note}");
    assert!(note.contains("`attorn audit list --epoch 1 --agent support-bot --decision allow`"), "{note}");
}

/// To an epoch that has ended nothing comes any more.
fn begins_no_watch_in_an_ended_epoch(stage: &Stage, index: u64) {
    let (code, _, said) = stage.audit(&["watch", "--from", &format!("1/{index}"), "--count", "1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains(&format!("the entry `1/{index}` is of epoch 1, and the log is in epoch 2\nhelp: ")),
        "{said}"
    );
    assert!(said.contains(&format!("`attorn audit list --from 1/{index}`")), "{said}");
    let (code, out, said) = stage.audit(&["watch", "--from", "2/0", "--count", "1"]);
    assert!(code == Some(0) && out.contains("log_key_rotated"), "{said}{out}");
}

/// A receipt is checked with the key of its own epoch. Another key proves nothing against it, and one that was altered
/// does not pass for one of another log.
fn receipts_say_which_key_is_wanted(stage: &Stage, old_key: &str, index: &str) {
    let verify = |name: &str, receipt: &str| {
        let path = stage.path(name);
        fs::write(&path, receipt).unwrap();
        stage.audit(&["verify", "--key", old_key, "--receipt", path.to_str().unwrap()])
    };
    let (code, now, said) = stage.audit(&["receipt", "0"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, out, said) = verify("now.receipt", &now);
    assert_eq!((code, out.as_str()), (Some(5), ""), "{said}");
    let [old, new] = [1, 2].map(|epoch| old_key.split('+').next().unwrap().replacen("/1", &format!("/{epoch}"), 1));
    let expect =
        format!("error: the receipt says that it is of `{new}`, and the key is of `{old}`: it proves nothing of it");
    assert!(
        said.contains(&expect) && said.contains("\nhelp: give the key of epoch 2: `attorn audit epochs`"),
        "{said}"
    );
    let before = stage.audit(&["receipt", &format!("1/{index}")]).1;
    assert_eq!(verify("before.receipt", &before).0, Some(0));
    let altered = before.replacen(&format!("index {index}\n"), "index 0\n", 1);
    let (code, _, said) = verify("altered.receipt", &altered);
    assert!(code == Some(5) && said.contains("keep the file: it is evidence"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_earlier_epochs_are_read_proved_and_searched() {
    let (stage, process) = Stage::set().await;
    let old_key = stage.key().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let auditor = &stage.cast.staff.auditor;
    let get = async |path: &str| auditor.get(format!("/v1/audit/{path}")).await;
    let list: Value = get("epochs").await.expect(200).json();
    let epochs = list["epochs"].as_array().unwrap();
    assert_eq!((epochs.len(), &epochs[0]["ended"], &epochs[1]["ended"]), (2, &json!("key_rotated"), &Value::Null));
    assert_eq!(epochs[0]["key"], old_key.to_string());
    let ended = old_key.verify(epochs[0]["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
    let size = ended.checkpoint().size;
    assert_eq!(epochs[0]["size"], size);

    let index = allowed.entry.index;
    let text = get(&format!("epochs/1/entries/{index}/receipt")).await.expect(200);
    let logged = Receipt::parse(&text.text()).unwrap().verify(&old_key).unwrap();
    assert_eq!(logged.entry.at.to_string(), format!("{}/1/{index}", allowed.entry.log_id));
    for other in [0, size - 1] {
        let text = get(&format!("epochs/1/entries/{other}/receipt")).await.expect(200);
        Receipt::parse(&text.text()).unwrap().verify(&old_key).unwrap();
    }
    // A decision is in the epoch that it was made in.
    let by_decision = get(&format!("decisions/{}/receipt", allowed.decision_id)).await.expect(200);
    assert_eq!(by_decision.text(), text.text());
    let entry: Entry = get(&format!("epochs/1/entries/{index}")).await.expect(200).json();
    assert_eq!((entry.reference.epoch, entry.reference.index), (1, index));
    let whole = get("epochs/1/export").await.expect(200);
    assert_eq!(verify_export(whole.body.as_slice(), Some(&old_key)).unwrap().entries, size);

    // Page by page, and by filters.
    let page: EntryList = get("epochs/1/entries?from=2&limit=3").await.expect(200).json();
    let indexes: Vec<u64> = page.entries.iter().map(|entry| entry.reference.index).collect();
    assert_eq!((indexes, page.next, page.size), (vec![2, 3, 4], Some(5), size));
    let page: EntryList = get(&format!("epochs/1/entries?from={}", size - 1)).await.expect(200).json();
    assert_eq!((page.entries.len(), page.next), (1, None));
    let page: EntryList = get("epochs/1/entries?decision=allow&agent=support-bot").await.expect(200).json();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].reference.index, index);
    for (path, status, code) in [
        ("epochs/x/entries", 422, "invalid_field"),
        ("epochs/9/entries", 404, "not_found"),
        ("epochs/0/entries/0", 404, "not_found"),
        ("epochs/1/entries/x", 422, "invalid_field"),
        (&format!("epochs/1/entries/{size}"), 404, "not_found"),
        (&format!("epochs/1/entries/{size}/receipt"), 404, "not_found"),
        ("epochs/1/entries?colour=red", 400, "invalid_query"),
        ("epochs/7/export", 404, "not_found"),
    ] {
        get(path).await.refused(status, code);
    }
    // The epoch that the log is in answers by its number, too.
    let page: EntryList = get("epochs/2/entries").await.expect(200).json();
    assert_eq!(page.entries[0].reference.epoch, 2);
    let list: EntryList = get("entries").await.expect(200).json();
    assert_eq!((list.earlier.len(), list.earlier[0].epoch, list.earlier[0].size), (1, 1, size));
    let list: EntryList = get("entries?type=server_started").await.expect(200).json();
    assert_eq!(list.earlier.len(), 1);

    says_which_uses_were_not_looked_at(&stage, size).await;
    begins_no_watch_in_an_ended_epoch(&stage, index);

    // By hand.
    let say = |arguments: &[&str]| stage.audit(arguments);
    let (code, out, note) = say(&["list"]);
    assert_eq!(code, Some(0), "{note}");
    assert!(note.contains(&format!("(1 with {size} entries): `--epoch 1` lists one")) && !out.contains("initialised"));
    let (_, out, _) = say(&["list", "--epoch", "1"]);
    assert!(out.contains("initialised"), "{out}");
    let (_, out, _) = say(&["show", "1/0"]);
    assert!(out.contains("initialised") && out.contains("/1/0"), "{out}");
    let (code, out, note) = say(&["show", &allowed.decision_id]);
    assert_eq!(code, Some(0), "{note}");
    assert!(out.contains(&format!("attorn audit receipt 1/{index}")), "{out}");
    let (_, out, _) = say(&["receipt", &format!("1/{index}")]);
    assert_eq!(out, text.text());
    receipts_say_which_key_is_wanted(&stage, &old_key.to_string(), &allowed.entry.index.to_string());
    for (arguments, key) in [(&["key", "--epoch", "1"][..], &old_key), (&["key", "--epoch", "2"], &stage.key().await)] {
        assert_eq!(say(arguments).1.trim_end(), key.to_string(), "{arguments:?}");
    }
    assert_eq!(serde_json::from_str::<Value>(&say(&["key", "--epoch", "1", "--json"]).1).unwrap()["epoch"], 1);
    let (code, _, said) = say(&["key", "--epoch", "9"]);
    assert!(code == Some(1) && said.contains("the log has no epoch 9\nhelp: `attorn audit epochs`"), "{said}");
    let (_, out, _) = say(&["show", &format!("1/{index}")]);
    assert!(out.contains("log.key is the key of epoch 1, as you keep it"), "{out}");
    let (_, out, _) = say(&["epochs"]);
    assert!(out.contains("key rotated") && out.contains(&old_key.to_string()), "{out}");

    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_an_earlier_epoch_that_was_altered_is_not_shown() {
    let (stage, process) = Stage::set().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    let kept_decision = stage.cast.bot.decide(&ask()).await.decision_id;
    process.kill().await;
    let rotated = stage.done(&["key", "rotate-log"]);
    let (index, size) = (allowed.entry.index, rotated["earlier_entries"].as_u64().unwrap());
    let process = stage.start().await;
    let auditor = &stage.cast.staff.auditor;
    let get = async |path: &str| auditor.get(format!("/v1/audit/{path}")).await;
    let say = |arguments: &[&str]| stage.audit(arguments);
    let path = stage.fresh.data_dir().join("epochs/1.export");
    let kept = fs::read(&path).unwrap();
    let text = String::from_utf8(kept.clone()).unwrap();
    let bodies: Vec<&str> = text.lines().collect();
    let head = bodies.len() - 2 * usize::try_from(size).unwrap();
    let line = |at: u64| head + 2 * usize::try_from(at).unwrap() + 1;
    let mut altered: Vec<String> = bodies.iter().map(|line| format!("{line}\n")).collect();
    altered[line(index)] = altered[line(index)].replacen("support-bot", "support-bat", 1);
    fs::write(&path, altered.concat()).unwrap();
    let named = format!("`epochs/1.export` is not what the log signed: entry {index} was changed");
    for route in [format!("epochs/1/entries/{index}"), format!("epochs/1/entries/{index}/receipt")] {
        let problem = get(&route).await.refused(500, "log_damaged");
        assert_eq!(problem.detail, named, "{route}");
        assert!(problem.help.unwrap().contains("from a backup"));
    }
    for arguments in [&["show", &format!("1/{index}")][..], &["list", "--epoch", "1"], &["show", &allowed.decision_id]]
    {
        let (code, out, said) = say(arguments);
        assert_eq!(code, Some(5), "{arguments:?}: {out}");
        assert!(said.contains(&named) && !out.contains("support-bat"), "{arguments:?}: {said}{out}");
    }
    // A decision beside it is told, and that what came of it may be lacking.
    let beside = stage.audit(&["show", &kept_decision]);
    assert!(beside.0 == Some(5) && beside.1.contains("agent support-bot"), "{}{}", beside.1, beside.2);
    assert!(
        beside.2.contains("what came of it is not all here:\nerror: epoch 1 is damaged: 1 entry of it"),
        "{}",
        beside.2
    );
    // What is right is shown still, also in a list, which says what it lacks.
    let list: EntryList = get("epochs/1/entries?limit=200").await.expect(200).json();
    let damaged = list.damaged.unwrap();
    assert_eq!((damaged.count, damaged.first, damaged.why.as_str()), (1, index, named.as_str()));
    assert!(damaged.help.unwrap().contains("from a backup"));
    assert_eq!(list.entries.len() as u64, size - 1);
    assert!(list.entries.iter().all(|entry| entry.reference.index != index));
    let after: EntryList = get(&format!("epochs/1/entries?from={}", index + 1)).await.expect(200).json();
    assert_eq!((after.damaged, after.entries.len() as u64), (None, size - index - 1));
    let (code, out, said) = say(&["list", "--epoch", "1", "--limit", "200"]);
    let expect = format!("error: epoch 1 is damaged: 1 entry of it cannot be read, 1/{index}: {named}\nhelp: put that");
    assert!(code == Some(5) && said.contains(&expect) && out.contains(&format!("1/{} ", size - 1)), "{out}{said}");
    let (code, out, said) = say(&["list", "--epoch", "1", "--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(5) && out["damaged"]["first"] == index && said.contains(&expect), "{out}{said}");
    let beside: Entry = get(&format!("epochs/1/entries/{}", index + 1)).await.expect(200).json();
    assert_eq!(beside.reference.index, index + 1);
    fs::write(&path, &kept[..kept.len() - 2]).unwrap();
    get(&format!("epochs/1/entries/{}", size - 1)).await.refused(500, "log_damaged");
    fs::write(&path, &kept).unwrap();
    // An index is made when it is missing, and nothing is believed because it says so.
    let by_index = path.with_extension("index");
    fs::remove_file(&by_index).unwrap();
    get(&format!("epochs/1/entries/{index}")).await.expect(200);
    let mut bytes = fs::read(&by_index).unwrap();
    bytes[70] ^= 1;
    fs::write(&by_index, bytes).unwrap();
    get("epochs/1/entries/0").await.expect(200);
    fs::remove_file(&path).unwrap();
    for path in ["epochs/1/entries", "epochs/1/export", "epochs/1/entries/0/receipt"] {
        get(path).await.refused(404, "not_found");
    }
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_taken_in_every_form_in_which_it_is_printed_and_of_no_other_log() {
    let (stage, process) = Stage::set().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    let (index, process) = (allowed.entry.index, stage.start().await);
    let say = |arguments: &[&str]| stage.audit(arguments);
    let receipt = say(&["receipt", &format!("1/{index}")]).1;
    let whole_name = format!("{}/1/{index}", allowed.entry.log_id);
    assert_eq!(say(&["receipt", &whole_name]).1, receipt);
    let (_, out, _) = say(&["show", &whole_name]);
    assert!(out.contains(&format!("entry {whole_name}\n")), "{out}");
    let (_, listed, _) = say(&["list", "--from", &whole_name, "--limit", "1"]);
    assert!(listed.contains(&format!("1/{index} ")), "{listed}");
    assert_eq!(say(&["list", "--from", &format!("1/{index}"), "--limit", "1"]).1, listed);
    assert_eq!(say(&["list", "--epoch", "1", "--from", &index.to_string(), "--limit", "1"]).1, listed);
    for arguments in [
        &["show", "log-0000/1/3"][..],
        &["receipt", "log-0000/1/3"],
        &["replay", "log-0000/1/3"],
        &["list", "--from", "log-0000/1/3"],
    ] {
        let (code, out, said) = say(arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        let expect = format!("the entry is of the log `log-0000`, and the server's log is `{}`", allowed.entry.log_id);
        assert!(said.contains(&expect) && said.contains("\nhelp: "), "{arguments:?}: {said}");
    }
    process.kill().await;
}
