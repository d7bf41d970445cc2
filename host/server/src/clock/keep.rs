//! Marks how far the server's time has come, every few seconds and when the server stops, whether it is ready or not.
//! A mark is no entry.

use std::sync::Arc;
use std::time::Duration;

use attorn_store::Batch;
use tokio::task::JoinHandle;

use super::MARKED_EVERY_MS;
use crate::app::App;
use crate::http::failure::Failure;

/// Mark for ever.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(Duration::from_millis(MARKED_EVERY_MS)).await;
        mark(&app).await;
    }
}

/// Mark a last time, where `task` did it until now.
pub(crate) async fn end(app: &App, task: &JoinHandle<()>) {
    task.abort();
    if app.store.failure().is_none() {
        mark(app).await;
    }
}

async fn mark(app: &App) {
    // Nobody changes the server's time between the reading and the commit.
    let _era = app.era.read().await;
    let mut batch = Batch::new(app.clock.now());
    batch.put_record(&app.clock.mark());
    if let Err(failure) = app.store.commit(batch).await.map_err(Failure::from) {
        tracing::warn!(why = failure.internal, "cannot mark the server's time");
    }
}
