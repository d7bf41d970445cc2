//! Keeps the query index up with the log: reads what is durable, in its order, and adds it.
//!
//! Nothing waits for it. Where the index cannot be relied on, it is made anew while the server decides; queries then
//! reach as far as it has come.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_store::{EntryIndex, Indexed};

use super::terms;
use crate::app::App;
use crate::http::failure::Failure;

/// Where the index is, within the data directory.
pub(super) const DIRECTORY: &str = "index";
/// How many entries are added at a time.
const ROUND_ENTRIES: usize = 512;
/// How often what was added is handed to the operating system.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long is waited before a failed index is begun anew, at first and at most: on a full disk it fails again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// Follow for ever.
pub(crate) async fn run(app: Arc<App>) {
    let mut pause = PAUSE.0;
    loop {
        let began = Instant::now();
        let Err(failure) = follow(&app).await;
        app.queries.index.send_replace(None);
        if app.store.failure().is_some() {
            return;
        }
        tracing::warn!(why = failure.internal, "the query index failed, and is made anew");
        pause = if began.elapsed() > PAUSE.1 { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
        tokio::time::sleep(pause).await;
        let directory = directory(&app);
        // If it cannot be removed, opening it says why.
        let _ = tokio::task::spawn_blocking(move || EntryIndex::remove(&directory)).await;
    }
}

fn directory(app: &App) -> PathBuf {
    app.config.data_dir.join(DIRECTORY)
}

async fn follow(app: &Arc<App>) -> Result<Infallible, Failure> {
    let index = Arc::new(opened(app).await?);
    app.queries.index.send_replace(Some(Arc::clone(&index)));
    let mut flushed = Instant::now();
    loop {
        let more = index.through() + 1;
        let has_more = match tokio::time::timeout(FLUSH_EVERY, app.store.log_reaches(more)).await {
            Ok(reached) => reached.map(|_| true)?,
            Err(_) => false,
        };
        let (app, round) = (Arc::clone(app), Arc::clone(&index));
        let flush = flushed.elapsed() >= FLUSH_EVERY;
        if flush {
            flushed = Instant::now();
        }
        let work = move || {
            if has_more {
                add(&app, &round)?;
            }
            if flush { round.flush().map_err(Failure::internal) } else { Ok(()) }
        };
        tokio::task::spawn_blocking(work).await.map_err(Failure::internal)??;
    }
}

/// Add what comes next, some of it.
fn add(app: &App, index: &EntryIndex) -> Result<(), Failure> {
    let entries = app.store.entries(index.through(), ROUND_ENTRIES)?;
    let Some(last) = entries.last() else { return Ok(()) };
    let indexed: Vec<Indexed> = entries.iter().map(|entry| terms::of_bytes(&entry.bytes)).collect();
    index.add(&indexed, &last.bytes).map_err(Failure::internal)
}

/// Open the index of this log. One that was made from other entries is removed and begun anew.
async fn opened(app: &Arc<App>) -> Result<EntryIndex, Failure> {
    let app = Arc::clone(app);
    let open = move || {
        let (directory, head) = (directory(&app), app.store.log_head()?);
        let open = || EntryIndex::open(&directory, &head.log_id, head.epoch).map_err(Failure::internal);
        let (mut index, anew) = open()?;
        let mut anew = anew.map(|anew| anew.why);
        if !index.follows(&app.store)? {
            drop(index);
            EntryIndex::remove(&directory).map_err(Failure::internal)?;
            (index, _) = open()?;
            anew = Some("it was made from other entries than the log has".to_owned());
        }
        if let Some(why) = anew {
            tracing::warn!(why, "the query index is made anew; queries reach as far as it has come");
        }
        Ok(index)
    };
    tokio::task::spawn_blocking(open).await.map_err(Failure::internal)?
}
