//! A file with entries is damaged when the query index is made anew: it goes on after them, and lists say so.

use std::fs;

use attorn_tests::until;
use attorn_tests::world::ask;
use serde_json::Value;

use super::Stage;

impl Stage {
    async fn listed(&self, query: &str) -> Value {
        let answer = self.cast.staff.auditor.get(format!("/v1/audit/entries?{query}")).await;
        if answer.status == 200 { answer.json() } else { Value::Null }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_made_anew_over_a_damaged_file_goes_on_after_it() {
    let (stage, process) = Stage::set().await;
    let first = stage.cast.bot.decide(&ask()).await;
    // More than is looked at beyond an index.
    stage.grow(1_300).await;
    let last = stage.cast.bot.decide(&ask()).await;
    let file = stage.fresh.data_dir().join("log/1/tile/entries/000");
    until("the first bundle is in a file", async || file.exists()).await;
    process.stop().await;
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "nothing").unwrap();
    fs::remove_dir_all(stage.fresh.data_dir().join("index")).unwrap();

    let process = stage.start().await;
    let decisions = "type=decision&limit=200";
    until("the index has come to the last decision", async || {
        let page = stage.listed(decisions).await;
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["body"]["decision_id"] == last.decision_id)
    })
    .await;
    // What is beyond the index is looked at, too: so it has to reach that far by itself.
    until("the index covers all", async || {
        let page = stage.listed("type=decision&order=newest&limit=1").await;
        page["indexed_through"] == page["size"]
    })
    .await;
    for order in ["oldest", "newest"] {
        let page = stage.listed(&format!("{decisions}&order={order}")).await;
        assert!(page["damaged"]["count"].as_u64().is_some_and(|count| count >= 255), "{page}");
        assert_eq!(page["damaged"]["first"], 0, "{page}");
        assert_eq!(page["entries"].as_array().unwrap().len(), 1, "{page}");
    }
    process.stop().await;

    // Put back, it is found again.
    fs::write(&file, &whole).unwrap();
    let process = stage.start().await;
    until("the first decision is listed", async || {
        let page = stage.listed(decisions).await;
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        page["damaged"].is_null() && entries.iter().any(|entry| entry["body"]["decision_id"] == first.decision_id)
    })
    .await;
    process.kill().await;
}
