//! Decision records that nobody has any more: they are named until somebody accepts that, and are no damage from then on.

use std::fs;

use attorn_api::decisions::DecisionAnswer;
use attorn_core::TimeMs;
use attorn_tests::world::ask;
use attorn_tests::{Metrics, until};
use serde_json::Value;

use super::Stage;

/// More entries than one file has the records of.
const DECISIONS: usize = 300;

impl Stage {
    /// Have the records in files, and nowhere else.
    async fn with_records_in_files(&self, process: attorn_tests::Process) -> DecisionAnswer {
        let first: DecisionAnswer = self.cast.bot.decide(&ask()).await;
        for _ in 1..DECISIONS {
            self.cast.bot.decide(&ask()).await;
        }
        until("the records are in a file", async || {
            let metrics = Metrics::of(&self.cast.staff.auditor).await;
            metrics.count("attorn_store_unfiled_bundles", &[]) == Some(0)
        })
        .await;
        process.stop().await;
        let data = self.fresh.data_dir();
        for base in fs::read_dir(data.join("base")).unwrap() {
            fs::remove_file(base.unwrap().path()).unwrap();
        }
        assert_eq!(self.done(&["repair"])["rebuilt"], "journal");
        // There was no base copy any more that would have been moved with it.
        fs::remove_dir_all(data.join("journal.broken-1")).unwrap();
        first
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_records_are_accepted_once_and_every_command_still_says_how_many() {
    let (stage, process) = Stage::set().await;
    let first = stage.with_records_in_files(process).await;
    let file = stage.fresh.data_dir().join("records/1/000000/000");
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();

    let backup = |name: &str| vec!["backup".to_owned(), stage.path(name).display().to_string()];
    let bad = |arguments: &[String]| stage.bad(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let done = |arguments: &[String]| stage.done(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(bad(&backup("one"))["bad_files"][0].as_str().unwrap().contains("records/1/000000/000` is missing"));
    let output = stage.attorn(&["repair"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("neither base copy nor journal has what is missing") && !said.contains("makes it anew"),
        "{said}"
    );
    assert!(said.contains("`attorn repair --with-lost-records` goes on without them"), "{said}");

    let accepted = stage.done(&["repair", "--with-lost-records"]);
    let lost = accepted["lost_records"].as_u64().unwrap();
    assert!(lost > 100 && accepted["lost_records_accepted"] == lost, "{accepted}");
    let again = stage.done(&["repair", "--with-lost-records"]);
    assert_eq!((&again["lost_records_accepted"], again["lost_records"].as_u64()), (&Value::from(0), Some(lost)));
    assert_eq!(done(&backup("two"))["lost_records"], lost);
    let (code, _, said) = stage.verify();
    assert!(
        code == Some(0) && said.contains(&format!("{lost} records of decisions are lost, which was accepted")),
        "{said}"
    );

    // The log says which, and whoever asks for one is told.
    let process = stage.start().await;
    let page: Value = stage.cast.staff.auditor.get("/v1/audit/entries?type=records_lost").await.expect(200).json();
    let body = &page["entries"][0]["body"];
    assert_eq!((page["entries"].as_array().unwrap().len(), body["count"].as_u64()), (1, Some(lost)));
    assert_eq!(stage.fresh.data_dir().join(body["file"].as_str().unwrap()), file);
    let records = body["records"].as_array().unwrap();
    assert!(records.iter().any(|one| one["decision"] == first.decision_id), "{body}");
    // Its entry is told, when that was accepted, and nobody is sent to a repair again.
    let (code, out, said) = stage.audit(&["show", &first.decision_id]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{out}");
    let accepted_at = TimeMs(body["time_ms"].as_u64().unwrap());
    assert!(out.contains(&format!("is lost, which was accepted at {accepted_at} (record_lost)")), "{out}");
    assert!(out.contains("who       agent support-bot") && !out.contains("attorn repair"), "{out}");
    stage
        .cast
        .staff
        .auditor
        .get(format!("/v1/audit/decisions/{}", first.decision_id))
        .await
        .refused(410, "record_lost");
    process.stop().await;

    // Of what was accepted nothing more is: another record is named, and one that is found is there again.
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, &whole).unwrap();
    assert_eq!(done(&backup("three"))["lost_records"], 0);
    let process = stage.start().await;
    let (code, _, said) = stage.audit(&["show", &first.decision_id]);
    assert_eq!(code, Some(0), "{said}");
    process.kill().await;
}
