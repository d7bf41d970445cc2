//! Files with checkpoints that are damaged or missing: each command names them, a repair makes anew what can be, and nothing
//! is signed where anything says that the log was longer.

use std::fs;
use std::path::{Path, PathBuf};

use attorn_tests::files::copy_dir;
use attorn_tests::world::ask;
use attorn_tests::{Process, until};
use serde_json::{Value, json};

use super::Stage;

impl Stage {
    fn published(&self, name: &str) -> PathBuf {
        self.fresh.data_dir().join("log/1").join(name)
    }

    /// What a command says in JSON that ends with 5.
    #[track_caller]
    pub(super) fn bad(&self, arguments: &[&str]) -> Value {
        let output = self.attorn(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(super) fn verify(&self) -> (Option<i32>, String, String) {
        self.audit(&["verify", "--alone", "--config", &self.fresh.config.display().to_string()])
    }

    #[track_caller]
    fn verifies(&self) {
        let (code, _, said) = self.verify();
        assert_eq!(code, Some(0), "{said}");
    }

    /// The file is named, and the rest is verified all the same.
    #[track_caller]
    fn names(&self, named: &str) {
        let (code, out, said) = self.verify();
        assert_eq!(code, Some(5), "{said}");
        assert!(out.contains(named) && out.contains("verified  "), "{out}{said}");
    }

    pub(super) async fn grow(&self, entries: u64) {
        for n in 0..entries {
            let fact = json!({ "facts": [{ "name": "resource/article/1/n", "value": n.to_string() }] });
            self.cast.staff.registrar.post("/v1/facts", &fact).await.expect(200);
        }
    }

    /// What serving ends with, if it does not start.
    #[track_caller]
    fn does_not_serve(&self, help: &str) {
        let output = self.attorn(&["serve"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(&format!("\nhelp: {help}")), "{said}");
    }
}

/// Change one byte in the middle of a file's first line of signatures.
fn spoil(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let at = text.find('\u{2014}').unwrap() + 40;
    let mut bytes = text.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_named_by_each_command_and_signed_anew_by_a_repair() {
    let (stage, process) = Stage::set().await;
    stage.cast.bot.decide(&ask()).await;
    process.stop().await;
    let path = stage.published("checkpoint");
    let whole = fs::read(&path).unwrap();
    spoil(&path);
    let spoilt = fs::read(&path).unwrap();

    stage.does_not_serve("`attorn repair` moves what is damaged aside");
    let named = format!("`{}` is no checkpoint of this log: the checkpoint's signature is wrong", path.display());
    stage.names(&named);
    let backup = stage.path("bad");
    let made = stage.bad(&["backup", backup.to_str().unwrap()]);
    assert!(
        made["bad_files"][0].as_str().unwrap().contains("log/1/checkpoint` is no checkpoint of this log"),
        "{made}"
    );
    let said = stage.fails_with(5, &["key", "rotate-log"]);
    assert!(said.contains("\nhelp: `attorn repair` moves what is damaged aside"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), spoilt, "none of them changes it");

    let repaired = stage.done(&["repair"]);
    let mended = repaired["checkpoints_mended"][0].as_str().unwrap();
    assert!(mended.starts_with(&named) && mended.contains("a new one was signed over the "), "{repaired}");
    assert_eq!(fs::read(&path).unwrap(), whole, "the same log, and the same key");
    assert_eq!(fs::read(path.with_extension("broken-1")).unwrap(), spoilt);
    stage.verifies();
    stage.done(&["backup", stage.path("good").to_str().unwrap()]);
    assert_eq!(stage.done(&["repair"])["checkpoints_mended"], json!([]));
    let process = stage.start().await;
    let bodies = stage.bodies().await;
    let remade: Vec<_> = bodies.iter().filter(|body| body["type"] == "store_remade").collect();
    assert_eq!((remade.len(), &remade[0]["part"], &remade[0]["by_hand"]), (1, &json!("published"), &json!(true)));
    assert!(remade[0]["problem"].as_str().unwrap().contains("checkpoint` is no checkpoint of this log"), "{remade:?}");
    process.kill().await;
}

/// What was remembered of the log is as far as it reaches, and only the file that says so is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_no_log_that_was_cut_and_one_that_was_is_told_all_the_same() {
    let (stage, process) = Stage::set().await;
    stage.grow(300).await;
    process.stop().await;
    let (data, early) = (stage.fresh.data_dir(), stage.path("early"));
    copy_dir(&data, &early);
    let process = stage.start().await;
    stage.grow(20).await;
    process.stop().await;
    let config = stage.fresh.config.display().to_string();
    let remembering = || stage.audit(&["verify", "--config", &config]);
    assert_eq!(remembering().0, Some(0));
    let kept = fs::read_to_string(stage.published("checkpoint")).unwrap();
    let size: u64 = kept.lines().nth(1).unwrap().parse().unwrap();

    // The history has one of fewer entries, and the high-water file is gone or is not.
    let away = stage.path("high-water.away");
    for has_high_water in [true, false] {
        if !has_high_water {
            fs::rename(stage.high_water(), &away).unwrap();
        }
        spoil(&stage.published("checkpoint"));
        let (code, out, said) = remembering();
        assert_eq!(code, Some(5), "{out}{said}");
        assert!(
            out.contains("log/1/checkpoint` is no checkpoint of this log") && out.contains("`attorn repair`"),
            "{out}"
        );
        assert!(out.contains(&format!("with {size} entries")) && !said.contains("cut"), "{out}{said}");
        fs::write(stage.published("checkpoint"), &kept).unwrap();
    }
    // What somebody kept does the same as what is remembered.
    let since = stage.path("kept.checkpoint");
    fs::write(&since, &kept).unwrap();
    spoil(&stage.published("checkpoint"));
    let (code, out, said) =
        stage.audit(&["verify", "--alone", "--since", since.to_str().unwrap(), "--config", &config]);
    assert!(code == Some(5) && out.contains(&format!("with {size} entries")), "{out}{said}");

    // An older copy was put in its place, also one all of whose checkpoints are gone.
    fs::rename(&data, stage.path("late")).unwrap();
    copy_dir(&early, &data);
    spoil(&stage.published("checkpoint"));
    let (code, out, said) = remembering();
    assert!(code == Some(5) && said.contains("cut"), "{out}{said}");
    fs::write(stage.published("checkpoints/0"), "").unwrap();
    let (code, out, said) = remembering();
    assert!(code == Some(5) && out.contains(&format!("counts {size}: it was cut since")), "{out}{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_checkpoint_is_signed_where_anything_says_that_the_log_was_longer() {
    let (stage, process) = Stage::set().await;
    process.stop().await;
    let (data, early) = (stage.fresh.data_dir(), stage.path("early"));
    copy_dir(&data, &early);
    let process = stage.start().await;
    stage.cast.bot.decide(&ask()).await;
    process.stop().await;
    let late = fs::read(stage.published("checkpoint")).unwrap();
    fs::rename(&data, stage.path("late")).unwrap();
    copy_dir(&early, &data);

    let path = stage.published("checkpoint");
    let refused = |why: &str| {
        let before = fs::read(&path).unwrap();
        let repaired = stage.bad(&["repair"]);
        let bad = repaired["bad_files"][0].as_str().unwrap();
        assert!(bad.contains("; it is not made anew: ") && bad.contains(why), "{bad}");
        assert_eq!((&repaired["checkpoints_mended"], fs::read(&path).unwrap()), (&json!([]), before));
        assert!(!path.with_extension("broken-1").exists());
    };
    // The high-water file has seen more.
    spoil(&path);
    refused("ends before entry ");
    let (code, out, said) = stage.verify();
    assert!(code == Some(5) && out.contains("ends before entry "), "{out}{said}");
    assert!(said.contains("no checkpoint can be relied on, so the entries are compared with none"), "{said}");
    // Without it the damaged file says so itself, whatever that is worth.
    fs::rename(stage.high_water(), stage.path("high-water.away")).unwrap();
    fs::write(&path, &late).unwrap();
    spoil(&path);
    refused("its text counts ");
    // And one that is whole.
    fs::write(stage.published("witnessed"), &late).unwrap();
    spoil(&path);
    refused("of the checkpoints that are whole one counts ");
    fs::write(&path, &late).unwrap();
    fs::remove_file(stage.published("witnessed")).unwrap();
    stage.does_not_serve("put the right data directory back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_damaged_or_missing_is_named_and_keeps_nobody_from_the_rest() {
    let (stage, process) = Stage::set().await;
    stage.grow(300).await;
    let path = stage.published("checkpoints/0");
    until("there is a checkpoint of them in the history", async || {
        fs::read_to_string(&path).is_ok_and(|text| text.matches('\u{2014}').count() >= 1)
    })
    .await;
    // The next is of more entries, whenever it is signed.
    stage.grow(300).await;
    process.stop().await;
    let whole = fs::read_to_string(&path).unwrap();
    let count = whole.matches('\u{2014}').count();
    assert!(count >= 2, "{whole}");
    stage.verifies();

    spoil(&path);
    stage.does_not_serve("`attorn repair` moves what is damaged aside");
    stage.names("checkpoints/0` is damaged: number 1 in `checkpoints/0` cannot be relied on");
    stage.bad(&["backup", stage.path("bad").to_str().unwrap()]);
    let repaired = stage.done(&["repair"]);
    assert!(repaired["checkpoints_mended"][0].as_str().unwrap().ends_with("the history has what was whole in it"));
    assert_eq!(fs::read_to_string(&path).unwrap().matches('\u{2014}').count(), count - 1, "the others stay");
    assert!(path.with_extension("broken-1").exists());
    stage.verifies();
    stage.done(&["backup", stage.path("good").to_str().unwrap()]);

    // Its end is lost, and no longer looks half-written.
    fs::write(&path, "").unwrap();
    stage.names("checkpoints/0` ends before the newest checkpoint: its end is damaged or missing");
    // All of it is.
    fs::remove_file(&path).unwrap();
    stage.names("checkpoints/0` is missing");
    let process = start_and_say(&stage).await;
    process.stop().await;
    stage.verifies();
    fs::remove_file(&path).unwrap();
    let repaired = stage.done(&["repair"]);
    assert!(repaired["checkpoints_mended"][0].as_str().unwrap().contains("checkpoints/0` is missing"), "{repaired}");
    stage.verifies();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_was_cut_off_goes_on_with_the_same_and_moves_away_what_does_not_belong_there() {
    let (stage, process) = Stage::set().await;
    process.stop().await;
    let path = stage.published("checkpoint");
    let (whole, history) = (fs::read(&path).unwrap(), fs::read(stage.published("checkpoints/0")).unwrap());
    spoil(&path);
    fs::rename(&path, path.with_extension("broken-1")).unwrap();
    fs::write(path.with_extension("tmp"), "half").unwrap();
    stage.does_not_serve("`attorn repair` moves what is damaged aside");
    let named = "log/1/checkpoint` is no checkpoint of this log: it is not there, and what was there is `";
    stage.names(named);
    let repaired = stage.done(&["repair"]);
    assert!(repaired["checkpoints_mended"][0].as_str().unwrap().contains(named), "{repaired}");
    assert_eq!(fs::read(&path).unwrap(), whole, "the same log, and the same key");
    stage.verifies();

    // Builds of before read it, and removed the history for it.
    let old = stage.published("checkpoints.old");
    fs::write(&old, "").unwrap();
    stage.start().await.stop().await;
    assert!(fs::read(stage.published("checkpoints/0")).unwrap().starts_with(&history));
    assert!(old.exists());
    stage.verifies();
}

/// A server that finds no history begins one, and says so.
async fn start_and_say(stage: &Stage) -> Process {
    let process = stage.start().await;
    let list: Value = stage.cast.staff.auditor.get("/v1/audit/entries?order=newest&limit=50").await.json();
    let gone = list["entries"].as_array().unwrap().iter().find(|one| one["body"]["type"] == "published_gone");
    let body = &gone.unwrap()["body"];
    assert_eq!((&body["missing"], &body["directory"]), (&json!("history"), &json!("log/1/checkpoints")));
    process
}
