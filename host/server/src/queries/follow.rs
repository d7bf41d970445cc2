//! Keeps the query index up with the log: reads what is durable, in its order, and adds it.
//!
//! Nothing waits for it. Where the index cannot be relied on, it is made anew while the server decides; queries then
//! reach as far as it has come.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_store::{EntryIndex, Indexed, Next, Order};

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

/// How many entries that could not be read are looked at again at a time, and in how many steps they are looked for.
const UNREAD_LOOKED_AT_MAX: usize = 4_096;
const UNREAD_STEPS_MAX: u64 = 100_000;

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
            if flush {
                round.flush().map_err(Failure::internal)?;
                if reads_more(&app, &round)? {
                    return Err(Failure::internal("entries can be read that could not when it was made"));
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(work).await.map_err(Failure::internal)??;
        if index.has_failed() {
            return Err(Failure::internal("a query could not read it"));
        }
    }
}

/// Add what comes next, some of it.
fn add(app: &App, index: &EntryIndex) -> Result<(), Failure> {
    let entries = match app.store.entries(index.through(), ROUND_ENTRIES) {
        Err(error) if error.damage().is_some() => return add_readable(app, index),
        entries => entries?,
    };
    let Some(last) = entries.last() else { return Ok(()) };
    let indexed: Vec<Indexed> = entries.iter().map(|entry| terms::of_bytes(&entry.bytes)).collect();
    index.add(&indexed, &last.bytes).map_err(Failure::internal)
}

/// The same one by one: those that cannot be read are noted as such, and the others are found.
fn add_readable(app: &App, index: &EntryIndex) -> Result<(), Failure> {
    let (from, mut reader) = (index.through(), app.store.entry_reader());
    let end = app.store.log_head()?.size.min(from + ROUND_ENTRIES as u64);
    let (mut indexed, mut last, mut unread) = (Vec::new(), Vec::new(), 0_u64);
    for at in from..end {
        match reader.entry(at) {
            Err(error) if error.damage().is_some() => {
                indexed.push(Indexed::unread());
                (last, unread) = (Vec::new(), unread + 1);
            }
            bytes => {
                let bytes = bytes?;
                let bytes = bytes.ok_or_else(|| Failure::internal(format_args!("the log has no entry {at}")))?;
                indexed.push(terms::of_bytes(&bytes));
                last = bytes;
            }
        }
    }
    if unread > 0 {
        tracing::warn!(from, end, unread, "entries cannot be read, and lists say that they were not looked at");
    }
    index.add(&indexed, &last).map_err(Failure::internal)
}

/// Whether entries can be read by now that could not when they were added.
fn reads_more(app: &App, index: &EntryIndex) -> Result<bool, Failure> {
    let mut walk = index.walk_unread(0..u64::MAX, Order::Oldest, UNREAD_STEPS_MAX);
    let mut reader = app.store.entry_reader();
    for _ in 0..UNREAD_LOOKED_AT_MAX {
        let Next::Entry(at) = walk.step().map_err(Failure::internal)? else { return Ok(false) };
        match reader.entry(at) {
            Err(error) if error.damage().is_some() => {}
            found => return Ok(found?.is_some()),
        }
    }
    Ok(false)
}

/// Open the index of this log. One that was made from other entries is removed and begun anew.
async fn opened(app: &Arc<App>) -> Result<EntryIndex, Failure> {
    let app = Arc::clone(app);
    let open = move || {
        let (directory, head) = (directory(&app), app.store.log_head()?);
        let open = || EntryIndex::open(&directory, &head.log_id, head.epoch).map_err(Failure::internal);
        let (mut index, anew) = open()?;
        let mut anew = anew.map(|anew| anew.why);
        // That an entry cannot be read is no sign that it was another.
        let follows = index.follows(&app.store).or_else(|error| error.damage().map(|_| true).ok_or(error))?;
        if !follows || reads_more(&app, &index)? {
            drop(index);
            EntryIndex::remove(&directory).map_err(Failure::internal)?;
            (index, _) = open()?;
            anew = Some("it was made from other entries than the log has, or from fewer than can be read".to_owned());
        }
        if let Some(why) = anew {
            tracing::warn!(why, "the query index is made anew; queries reach as far as it has come");
        }
        Ok(index)
    };
    tokio::task::spawn_blocking(open).await.map_err(Failure::internal)?
}
