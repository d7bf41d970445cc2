//! How far writer, follower and copier have come, and who waits for whom.
//!
//! The writer says what it applied and goes on, unless the engine has too much that is not synced; the follower
//! waits until a sync is due, and the copier until there is something for it. Nothing is done here, and nothing
//! that is held here is held while something is written.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::follower::Pace;

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: u64,
    /// How many bytes were appended to the journal up to there since the store was opened.
    pub(crate) bytes: u64,
}

/// What the copier should know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News {
    pub(crate) applied: Place,
    pub(crate) synced: Place,
    /// How long the next segment should be, if the last one is getting full.
    pub(crate) next_segment_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Goes,
    /// The writer is gone: what is left to do is done, and no more comes.
    Ending,
    Failed,
}

struct State {
    stand: Stand,
    applied: Place,
    synced: Place,
    /// Since when the engine has something that is not synced.
    behind_since: Instant,
    next_segment_bytes: Option<u64>,
    /// Whether the copier knows of all this.
    told: bool,
}

pub(crate) struct Progress {
    state: Mutex<State>,
    /// For writer and follower.
    moved: Condvar,
    /// The copier has something to do, or may have.
    for_copier: Condvar,
}

impl Progress {
    /// A store that has been opened: the engine is synced up to this version.
    pub(crate) fn at(version: u64) -> Self {
        let place = Place { version, bytes: 0 };
        let state = State {
            stand: Stand::Goes,
            applied: place,
            synced: place,
            behind_since: Instant::now(),
            next_segment_bytes: None,
            told: true,
        };
        Self { state: Mutex::new(state), moved: Condvar::new(), for_copier: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer: wait until the engine is so little behind that the journal may go on. It may not where the
    /// store has failed.
    pub(crate) fn wait_for_room(&self, pace: &Pace) -> bool {
        let full = |state: &mut State| {
            let ahead_bytes = state.applied.bytes - state.synced.bytes;
            state.stand == Stand::Goes && ahead_bytes >= pace.ahead_bytes_max
        };
        let state = self.moved.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner);
        state.stand != Stand::Failed
    }

    /// The writer: the engine has applied a group with so many bytes.
    pub(crate) fn applied(&self, version: u64, bytes: u64, next_segment_bytes: Option<u64>) {
        let mut state = self.state();
        if state.applied == state.synced {
            state.behind_since = Instant::now();
        }
        state.applied = Place { version, bytes: state.applied.bytes + bytes };
        self.moved.notify_all();
        if next_segment_bytes.is_some() {
            (state.next_segment_bytes, state.told) = (next_segment_bytes, false);
            self.for_copier.notify_all();
        }
    }

    /// The follower: wait until the engine has to be synced, and up to where. None when there is nothing left to do.
    pub(crate) fn wait_until_due(&self, pace: &Pace) -> Option<Place> {
        let mut state = self.state();
        loop {
            let is_behind = state.applied != state.synced;
            let since = state.behind_since.elapsed();
            let late = since >= pace.sync_after || state.applied.bytes - state.synced.bytes >= pace.sync_bytes;
            match state.stand {
                Stand::Failed => return None,
                Stand::Ending => return is_behind.then_some(state.applied),
                Stand::Goes if is_behind && late => return Some(state.applied),
                Stand::Goes if is_behind => {
                    let left = pace.sync_after.saturating_sub(since);
                    let waited = self.moved.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Stand::Goes => state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The follower: the engine is synced up to here.
    pub(crate) fn synced(&self, place: Place) {
        let mut state = self.state();
        (state.synced, state.told) = (place, false);
        self.moved.notify_all();
        self.for_copier.notify_all();
    }

    /// The copier: what is new, as soon as something is, or at once for whoever is busy. None when it may end.
    pub(crate) fn news(&self, busy: bool) -> Option<News> {
        let nothing = |state: &mut State| state.stand == Stand::Goes && state.told && !busy;
        let state = self.for_copier.wait_while(self.state(), nothing);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.stand != Stand::Goes {
            return None;
        }
        state.told = true;
        let next_segment_bytes = state.next_segment_bytes.take();
        Some(News { applied: state.applied, synced: state.synced, next_segment_bytes })
    }

    /// Whether the store goes on.
    pub(crate) fn goes(&self) -> bool {
        self.state().stand == Stand::Goes
    }

    /// The writer is gone.
    pub(crate) fn end(&self) {
        self.come_to(Stand::Ending);
    }

    /// The store has failed: nobody waits any more.
    pub(crate) fn fail(&self) {
        self.come_to(Stand::Failed);
    }

    fn come_to(&self, stand: Stand) {
        let mut state = self.state();
        if state.stand != Stand::Failed {
            state.stand = stand;
        }
        self.moved.notify_all();
        self.for_copier.notify_all();
    }
}
