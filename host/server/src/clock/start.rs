//! The server's time as a run begins: what the run before it marked, what the wall clock says, and what an operator
//! accepts on the command line.

use attorn_api::audit::EntryType;
use attorn_core::{TimeMs, TimeSpan};
use attorn_store::records::{ClockMarkRecord, SetBackRecord};
use attorn_store::{Key, Require, Store, Versioned};

use super::{Clock, DRIFT_MS_MAX, MARKED_EVERY_MS, STOPPED_MS_MAX, WallClock};
use crate::http::failure::Failure;
use crate::run::ServeError;

/// What the first entry of each run says.
pub(crate) const STARTED: EntryType = EntryType::ServerStarted;
/// More entries than this are never there before the first run.
const ENTRIES_OF_INIT_MAX: usize = 32;
/// The server's time as this run begins.
pub(crate) struct Began {
    pub(crate) clock: Clock,
    /// What was issued until then may have been accepted by an earlier run; none if there was none.
    pub(crate) started_at: Option<TimeMs>,
    /// The times that come again because time was set back.
    pub(crate) eras: Vec<TimeSpan>,
    /// Whether it is set back by this very start.
    pub(crate) set_back: Option<SetBack>,
}

/// That a start sets time back.
pub(crate) struct SetBack {
    pub(crate) from: TimeMs,
    pub(crate) record: SetBackRecord,
    pub(crate) require: Require,
}

impl Began {
    pub(crate) async fn of(store: &Store, accept_clock: bool, wall: WallClock) -> Result<Self, ServeError> {
        let marked = store.record::<ClockMarkRecord>(&Key::clock_mark()).await.map_err(Failure::from)?;
        let earlier = store.record::<SetBackRecord>(&Key::clock()).await.map_err(Failure::from)?;
        let is_first = !has_run(store)?;
        let (marked, mut came_to) = (marked.map(|marked| marked.value), latest_record(store)?);
        let marked_boot = marked.as_ref().map(|marked| marked.boot.clone());
        came_to = marked.as_ref().map_or(came_to, |marked| marked.at.max(came_to));
        // Whoever starts for the first time has nothing to lose.
        let ahead_ms_max = if is_first { u64::MAX } else { STOPPED_MS_MAX };
        let clock = Clock::start(wall, marked, came_to, ahead_ms_max);
        let (mut eras, mut require) = (Vec::new(), Require::Absent);
        if let Some(Versioned { value, version, .. }) = earlier {
            clock.end_before(version);
            (eras, require) = (value.eras, Require::Version(version));
        }
        let reading = clock.reading();
        let mut set_back = None;
        if accept_clock && reading.server.ms_since(reading.wall) > DRIFT_MS_MAX {
            let (mark, all) = clock.back(reading.wall, &eras);
            clock.go_on_from(mark);
            eras = all;
            let record = SetBackRecord { by: None, at: reading.wall, eras: eras.clone() };
            set_back = Some(SetBack { from: reading.server, record, require });
        }
        // A run that was cut off by the end of a boot may have gone on for some seconds after it marked its time. Where
        // time is set back, those are in the era.
        let is_known =
            set_back.is_some() || marked_boot.is_some_and(|boot| !boot.is_empty() && boot == clock.mark().boot);
        let cut_off = if is_known { TimeMs(0) } else { came_to.plus_ms(MARKED_EVERY_MS) };
        let started_at = (!is_first).then(|| clock.now().max(cut_off));
        Ok(Self { clock, started_at, eras, set_back })
    }
}

/// Whether the server has run before: its first entry of each run stands among the first that there are.
fn has_run(store: &Store) -> Result<bool, ServeError> {
    if !store.earlier_epochs().is_empty() {
        return Ok(true);
    }
    if store.log_head().map_err(Failure::from)?.size >= ENTRIES_OF_INIT_MAX as u64 {
        return Ok(true);
    }
    for stored in store.entries(0, ENTRIES_OF_INIT_MAX).map_err(Failure::from)? {
        let entry = attorn_log::Entry::parse(&stored.bytes).map_err(Failure::internal)?;
        let body: serde_json::Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
        if body["type"] == STARTED.as_str() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The time of the newest entry.
fn latest_record(store: &Store) -> Result<TimeMs, ServeError> {
    let size = store.log_head().map_err(Failure::from)?.size;
    let Some(last) = size.checked_sub(1) else { return Ok(TimeMs(0)) };
    let bytes = store.entry(last).map_err(Failure::from)?;
    let bytes = bytes.ok_or_else(|| ServeError::Start(format!("the log has no entry {last}")))?;
    let entry = attorn_log::Entry::parse(&bytes).map_err(Failure::internal)?;
    let body: serde_json::Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
    Ok(TimeMs(body["time_ms"].as_u64().unwrap_or(0)))
}
