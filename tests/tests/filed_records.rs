//! Decisions whose records are out of the database, in plain files: they are shown, decided again, compared and erased as
//! before; and a file that is lost or altered takes the records in it, and nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::replays::{Comparison, HistoryPage, Undecidable};
use attorn_tests::behalf::ask_by;
use attorn_tests::metrics::Metrics;
use attorn_tests::process::binary;
use attorn_tests::provider::with;
use attorn_tests::replays::replay;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, ask_with, read_only_settings};
use attorn_tests::{Behalf, Process, Staff, components, until};
use serde_json::{Value, json};

/// More entries than one file has.
const DECISIONS: usize = 300;

/// What is in no entry, and in one record.
const ARGUMENT: &str = "zqxjkvbw";

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

/// The records of the first 256 entries.
fn file(data: &Path) -> PathBuf {
    data.join("records/1/000000/000")
}

/// Wait until the records are in files, and no longer in the database.
async fn filed(cast: &Cast, data: &Path) {
    until("the records are in a file", async || {
        let metrics = Metrics::of(&cast.staff.auditor).await;
        metrics.count("attorn_store_unfiled_bundles", &[]) == Some(0)
    })
    .await;
    assert!(file(data).exists());
}

/// All pages of what the policies in force would have decided, as one.
async fn history(cast: &Cast) -> HistoryPage {
    let (mut from, mut all) = (0, None::<HistoryPage>);
    loop {
        let path = format!("/v1/replays/history?from={from}");
        let body = json!({ "a": { "base": "recorded" }, "b": { "base": "active", "with": {} } });
        let page: HistoryPage = cast.staff.explainer.post(path, &body).await.expect(200).json();
        let next = page.next;
        all = Some(match all {
            None => page,
            Some(all) => HistoryPage {
                decisions: all.decisions + page.decisions,
                same: all.same + page.same,
                changed: [all.changed, page.changed].concat(),
                undecidable: [all.undecidable, page.undecidable].concat(),
                ..page
            },
        });
        match next {
            Some(next) => from = next,
            None => return all.unwrap(),
        }
    }
}

/// How a command ends, and what it says on both streams.
fn attorn(cast: &Cast, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary());
    command.args(arguments).env("ATTORN_URL", &cast.reach.url).env("ATTORN_TOKEN", &cast.staff.explainer.token);
    let output = command.output().unwrap();
    let [out, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, said)
}

/// A decision whose record is in a file with those of others, and how many there are.
async fn decided(cast: &Cast, data: &Path) -> DecisionAnswer {
    cast.activate_with("read-only", components::bytes("read-only"), read_only_settings(), patient()).await;
    let old = cast.bot.decide(&ask_with(json!({ "arguments": { "section": ARGUMENT } }))).await;
    assert_eq!(old.decision, DecisionKind::Allow);
    for _ in 1..DECISIONS {
        cast.bot.decide(&ask()).await;
    }
    filed(cast, data).await;
    old
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_records_that_is_lost_or_altered_takes_the_records_in_it_and_nothing_else() {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    let (data, say) = (fresh.data_dir(), |arguments: &[&str]| attorn(&cast, arguments));
    let old = decided(&cast, &data).await;
    let (id, entry) = (old.decision_id.as_str(), format!("{}/{}", old.entry.epoch, old.entry.index));

    // It is shown, decided again and compared out of the file.
    let (code, whole, said) = say(&["audit", "show", id]);
    assert!(code == Some(0) && whole.contains(ARGUMENT) && !whole.contains("\nrecord "), "{whole}{said}");
    let (code, out, said) = say(&["audit", "replay", id]);
    assert!(code == Some(0) && out.starts_with("identical: "), "{out}{said}");
    let page = history(&cast).await;
    assert_eq!((page.decisions, page.same, page.undecidable.len()), (DECISIONS as u64, DECISIONS as u64, 0));
    let bytes = fs::read(file(&data)).unwrap();

    // Without it, where something else stands there, and where it is cut off.
    for (is_missing, problem, exit, comparison) in [
        (true, "is missing", 6, "missing"),
        (true, "cannot be read: it is no regular file", 6, "missing"),
        (false, "is not what was written", 5, "altered"),
    ] {
        match problem {
            "is missing" => fs::remove_file(file(&data)).unwrap(),
            _ if is_missing => fs::create_dir(file(&data)).unwrap(),
            _ => {
                fs::remove_dir(file(&data)).unwrap();
                fs::write(file(&data), &bytes[..100]).unwrap();
            }
        }
        let named = format!("`records/1/000000/000` {problem}");
        // What the entry says is told all the same, by whichever name it is asked for, and why there is no more.
        for what in [id, &entry] {
            let (code, out, said) = say(&["audit", "show", what]);
            assert_eq!(code, Some(5), "{out}{said}");
            assert!(!out.contains(ARGUMENT), "{out}");
            let gone = format!("\nrecord    it cannot be read any more, and this is what the entry tells: {named}");
            assert!(out.contains(&gone), "{out}");
            assert!(
                out.contains("who       agent support-bot") && out.contains("policies  read-only/1 allow"),
                "{out}"
            );
            assert!(out.contains(&format!("attorn audit receipt {entry} > receipt.txt")), "{out}");
            assert!(said.contains("error: the record of the decision `"), "{said}");
        }
        let (code, out, _) = say(&["audit", "show", id, "--json"]);
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &told["record"], &told["entry"]["body"]["decision_id"]), (Some(5), &Value::Null, &json!(id)));
        assert!(told["record_gone"].as_str().unwrap().contains(&named), "{told}");
        // Whether it comes out the same cannot be told, or it was altered.
        for what in [id, &entry] {
            let (code, out, said) = say(&["audit", "replay", what, "--json"]);
            let told: Value = serde_json::from_str(&out).unwrap_or_else(|error| unreachable!("{error}: {out}{said}"));
            assert_eq!((code, &told["comparison"], &told["replayed"]), (Some(exit), &json!(comparison), &Value::Null));
            assert!(told["missing"][0]["detail"].as_str().unwrap().contains(&named), "{told}");
            assert_eq!(told["policies"][0]["recorded"], "allow", "{told}");
        }
        // Those of later entries are in the database still, and decided again.
        let page = history(&cast).await;
        assert_eq!(page.decisions, DECISIONS as u64, "{page:?}");
        assert_eq!(page.same + page.undecidable.len() as u64, page.decisions, "{page:?}");
        assert!(page.same > 0 && page.undecidable.len() > 200, "{} {}", page.same, page.undecidable.len());
        let why = if is_missing { Undecidable::RecordMissing } else { Undecidable::Altered };
        assert!(page.undecidable.iter().all(|one| one.why == why), "{page:?}");
        let (code, out, said) = say(&["policy", "diff", "recorded", "active", "--on", "history"]);
        assert_eq!(code, Some(0), "{out}{said}");
        assert!(out.contains(why.as_str()) && out.contains("a file of `records/`"), "{out}");
        // A receipt needs no record, by whichever name it is asked for.
        for what in [id, &entry] {
            let (code, out, said) = say(&["audit", "receipt", what]);
            assert!(code == Some(0) && out.starts_with("c2sp.org/tlog-proof@v1\n"), "{out}{said}");
        }
    }

    // Put back, all is as it was.
    fs::write(file(&data), &bytes).unwrap();
    // What was decided again meanwhile came of it, too.
    let (code, out, said) = say(&["audit", "show", id]);
    assert!(code == Some(0) && out.contains(ARGUMENT) && out.contains("decided again: missing"), "{out}{said}");
    assert_eq!(replay(&cast, id).await.comparison, Comparison::Identical);
    process.kill().await;
}

/// Base copies and journal go with the epoch that ends, and may be all that still has what a damaged file had.
#[tokio::test(flavor = "multi_thread")]
async fn the_logs_key_is_not_rotated_while_a_repair_can_bring_records_back() {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    let (data, config) = (fresh.data_dir(), fresh.config.to_str().unwrap());
    let say = |arguments: &[&str]| attorn(&cast, &[arguments, &["--config", config]].concat());
    decided(&cast, &data).await;
    // A database that was not closed may still have what went to files.
    process.stop().await;
    let bytes = fs::read(file(&data)).unwrap();
    fs::write(file(&data), &bytes[..100]).unwrap();
    let refused = "error: records of decisions cannot be read, and nothing was changed: `";
    let (code, out, said) = say(&["key", "rotate-log"]);
    assert!(code == Some(1) && said.contains(refused), "{out}{said}");
    assert!(said.contains("records/1/000000/000` is not what was written"), "{said}");
    assert!(said.contains("\nhelp: base copy and journal may have these records still"), "{said}");
    assert!(!data.join("epochs").exists() && !data.with_extension("rotating").exists());
    let (code, out, said) = say(&["repair"]);
    assert_eq!(code, Some(0), "{out}{said}");
    assert!(fs::metadata(file(&data)).unwrap().len() > 100);
    // What is lost somebody may accept: the file of before is still named.
    fs::remove_file(file(&data)).unwrap();
    let (code, _, said) = say(&["key", "rotate-log"]);
    assert!(code == Some(1) && said.contains(refused) && said.contains("`--with-bad-entries`"), "{said}");
    let (code, out, said) = say(&["key", "rotate-log", "--with-bad-entries"]);
    assert!(
        code == Some(5) && out.contains("bad      `") && out.contains("records/1/000000/000` is missing"),
        "{out}{said}"
    );
    // What the repair moved aside went over.
    assert!(file(&data).with_extension("broken-1").exists() && !data.with_extension("rotating").exists());
}

/// What is sealed under a user's key is sealed in the file, which stays as it is when the key ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_user_are_decided_again_out_of_files_until_they_are_erased() {
    let scene = Behalf::new().await;
    let data = scene.world.server.data_dir();
    scene.activate_with("allow", components::bytes("allow_all"), json!({}), patient()).await;
    let delegation = scene.delegated().await;
    let resource = format!("account/{}/x", delegation.user);
    let asked = with(ask_by(&delegation, "account.read", &resource), json!({ "arguments": { "pin": ARGUMENT } }));
    let hers = scene.bot.decide(&asked).await;
    assert_eq!(hers.decision, DecisionKind::Allow, "{hers:?}");
    let nobodys = scene.bot.decide(&ask()).await;
    for _ in 2..DECISIONS {
        scene.bot.decide(&ask()).await;
    }
    filed(&scene, &data).await;
    let bytes = fs::read(file(&data)).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!has(ARGUMENT), "a user's record stands open in its file");
    assert!(has("faq.read"), "the file has no records");
    assert!(scene.record_of(&hers).await.to_string().contains(ARGUMENT));
    for one in [&hers, &nobodys] {
        assert_eq!(replay(&scene, &one.decision_id).await.comparison, Comparison::Identical);
    }
    let page = history(&scene).await;
    assert_eq!((page.decisions, page.same, page.undecidable.len()), (DECISIONS as u64, DECISIONS as u64, 0));

    scene.erase(&delegation.user).await.expect(200);
    assert_eq!(fs::read(file(&data)).unwrap(), bytes);
    let auditor = &scene.staff.auditor;
    auditor.get(format!("/v1/audit/decisions/{}", hers.decision_id)).await.refused(410, "user_erased");
    let replayed = replay(&scene, &hers.decision_id).await;
    assert_eq!((replayed.comparison, replayed.replayed), (Comparison::Missing, None));
    assert_eq!(replay(&scene, &nobodys.decision_id).await.comparison, Comparison::Identical);
    let page = history(&scene).await;
    assert_eq!((page.decisions, page.same), (DECISIONS as u64, DECISIONS as u64 - 1));
    let lacks: Vec<_> = page.undecidable.iter().map(|one| (one.decision_id.as_str(), one.why)).collect();
    assert_eq!(lacks, [(hers.decision_id.as_str(), Undecidable::UserErased)]);
}
