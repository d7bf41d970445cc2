//! What the server's time is reckoned from: a moment of a boot, the time then, and what of it was counted by the time
//! since boot. Pure: callers bring the moment. A start in the same boot goes on from it as if there had been no stop.
//!
//! What passed by a word of the wall clock alone may be wrong for a while, and what is removed never comes back. So
//! for some days such time counts for nothing that removes ([`counted`]).

use attorn_core::{TimeMs, TimeSpan};
use attorn_store::records::ClockMarkRecord;

/// For how long what was not counted is not believed by whoever removes things: so long has an operator to notice that
/// the clock is wrong.
const DOUBTED_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// How much later than the last mark a run may have gone on before it was cut off.
pub(crate) const MARKED_EVERY_MS: u64 = 10_000;

/// The most eras that are told apart.
const ERAS_MAX: usize = 8;

/// A moment: which boot of the machine, and how long after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// Empty if nobody can say.
    pub(super) boot: Box<str>,
    pub(super) since_boot_ms: u64,
}

/// Where nothing was marked before.
pub(super) fn first(moment: Moment, at: TimeMs) -> ClockMarkRecord {
    let Moment { boot, since_boot_ms } = moment;
    let leap = TimeSpan { from: at, until: at };
    ClockMarkRecord {
        boot,
        since_boot_ms,
        at,
        settled: false,
        uncounted_ms: 0,
        believed_in_ms: 0,
        leap,
        tokens_after: TimeMs(0),
    }
}

/// Go on at this moment of this boot from what was marked, and never before the time of the last record. In another
/// boot nobody knows how much time passed, and the wall clock has to say.
pub(super) fn go_on(marked: &ClockMarkRecord, moment: Moment, last_record: TimeMs) -> ClockMarkRecord {
    let same = !moment.boot.is_empty() && marked.boot == moment.boot && marked.since_boot_ms <= moment.since_boot_ms;
    let mark = if same {
        later(marked, moment.since_boot_ms)
    } else {
        ClockMarkRecord { boot: moment.boot, since_boot_ms: moment.since_boot_ms, settled: false, ..marked.clone() }
    };
    if mark.at < last_record { forward(&mark, last_record) } else { mark }
}

fn elapsed_ms(mark: &ClockMarkRecord, since_boot_ms: u64) -> u64 {
    since_boot_ms.saturating_sub(mark.since_boot_ms)
}

/// The server's time at a later moment of the same boot.
pub(super) fn now(mark: &ClockMarkRecord, since_boot_ms: u64) -> TimeMs {
    mark.at.plus_ms(elapsed_ms(mark, since_boot_ms))
}

/// The same without what was not counted, as long as that is doubted.
pub(super) fn counted(mark: &ClockMarkRecord, since_boot_ms: u64) -> TimeMs {
    let doubted = elapsed_ms(mark, since_boot_ms) < mark.believed_in_ms;
    let uncounted_ms = if doubted { mark.uncounted_ms } else { 0 };
    TimeMs(now(mark, since_boot_ms).0.saturating_sub(uncounted_ms))
}

/// The same time, reckoned from a later moment.
pub(super) fn later(mark: &ClockMarkRecord, since_boot_ms: u64) -> ClockMarkRecord {
    let at = now(mark, since_boot_ms);
    let believed_in_ms = mark.believed_in_ms.saturating_sub(elapsed_ms(mark, since_boot_ms));
    let uncounted_ms = at.ms_since(counted(mark, since_boot_ms));
    ClockMarkRecord { since_boot_ms, at, believed_in_ms, uncounted_ms, ..mark.clone() }
}

/// Time is another from this moment on; what was counted stays so, but for what has not come yet.
fn go_to(mark: &ClockMarkRecord, time: TimeMs) -> ClockMarkRecord {
    let counted = TimeMs(mark.at.0.saturating_sub(mark.uncounted_ms));
    let uncounted_ms = time.ms_since(counted);
    let believed_in_ms = if uncounted_ms > 0 { DOUBTED_MS } else { 0 };
    ClockMarkRecord { at: time, uncounted_ms, believed_in_ms, ..mark.clone() }
}

/// Time goes forward at once, and what lies between is left out.
pub(super) fn forward(mark: &ClockMarkRecord, time: TimeMs) -> ClockMarkRecord {
    let leap = TimeSpan { from: mark.at, until: time };
    let leap = if leap.ms() > mark.leap.ms() { leap } else { mark.leap };
    ClockMarkRecord { leap, ..go_to(mark, time) }
}

/// Time is set back. With all eras that come again then: those of before, and the times that the server went through
/// and that lie ahead. That is all since `time`, or all since a leap in which it lies.
pub(super) fn back(mark: &ClockMarkRecord, time: TimeMs, earlier: &[TimeSpan]) -> (ClockMarkRecord, Vec<TimeSpan>) {
    let from = if mark.leap.contains(time) { mark.leap.until } else { time };
    // Where a run was cut off, it may have gone on for as long after its last mark.
    let era = TimeSpan { from, until: mark.at.plus_ms(MARKED_EVERY_MS) };
    // What lies behind is no era any more: nothing of it comes again.
    let eras = together(earlier.iter().copied().chain([era]).filter(|era| era.until >= time).collect());
    (ClockMarkRecord { leap: TimeSpan { from: time, until: time }, tokens_after: time, ..go_to(mark, time) }, eras)
}

/// The same times in few spans. If there are too many, those that are closest to each other become one, with what lies
/// between.
fn together(mut spans: Vec<TimeSpan>) -> Vec<TimeSpan> {
    spans.sort_by_key(|span| span.from);
    let apart = |pair: &[TimeSpan]| match pair {
        [one, next] => next.from.ms_since(one.until),
        _ => u64::MAX,
    };
    while let Some((ms, first)) = spans.windows(2).enumerate().map(|(at, pair)| (apart(pair), at)).min() {
        if ms > 0 && spans.len() <= ERAS_MAX {
            break;
        }
        let next = spans.remove(first + 1);
        spans[first].until = spans[first].until.max(next.until);
    }
    spans
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
