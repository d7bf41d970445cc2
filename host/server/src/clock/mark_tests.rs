//! How time goes on over stops, boots and steps, at moments that the test sets.

use super::*;

const HOUR_MS: u64 = 3_600_000;
const BEGIN: TimeMs = TimeMs(1_767_323_045_678);

fn moment(boot: &str, since_boot_ms: u64) -> Moment {
    Moment { boot: boot.into(), since_boot_ms }
}

fn span(from: u64, until: u64) -> TimeSpan {
    TimeSpan { from: TimeMs(from), until: TimeMs(until) }
}

/// Marked an hour after boot, with nothing in doubt.
fn marked() -> ClockMarkRecord {
    ClockMarkRecord { settled: true, ..first(moment("one", HOUR_MS), BEGIN) }
}

#[test]
fn a_stop_within_a_boot_changes_nothing_whatever_the_wall_clock_says() {
    let mark = go_on(&marked(), moment("one", 3 * HOUR_MS), BEGIN);
    assert_eq!((mark.at, mark.settled), (BEGIN.plus_ms(2 * HOUR_MS), true));
    assert_eq!(counted(&mark, 3 * HOUR_MS), mark.at);
}

#[test]
fn in_another_boot_time_is_no_earlier_than_what_was_marked_or_recorded() {
    for other in [moment("two", 5_000), moment("", 5_000), moment("one", HOUR_MS - 1)] {
        let mark = go_on(&marked(), other.clone(), TimeMs(BEGIN.0 - 1));
        assert_eq!((mark.at, mark.settled), (BEGIN, false), "{other:?}");
        assert_eq!(now(&mark, other.since_boot_ms + 7), BEGIN.plus_ms(7));
    }
    let mark = go_on(&marked(), moment("two", 5_000), BEGIN.plus_ms(9_000));
    assert_eq!((mark.at, mark.uncounted_ms), (BEGIN.plus_ms(9_000), 9_000));
    // It was never settled, so a stop within the boot counts as well.
    let mark = go_on(&mark, moment("two", 6_000), BEGIN);
    assert_eq!((mark.at, mark.settled), (BEGIN.plus_ms(10_000), false));
    let unknown = ClockMarkRecord { boot: "".into(), ..marked() };
    assert!(!go_on(&unknown, moment("", 2 * HOUR_MS), BEGIN).settled);
}

#[test]
fn what_was_left_out_counts_for_nothing_that_removes_until_it_was_not_mended_for_days() {
    let year_ms = 365 * 24 * HOUR_MS;
    let ahead = forward(&marked(), BEGIN.plus_ms(year_ms));
    let at = |mark: &ClockMarkRecord, ms: u64| counted(mark, HOUR_MS + ms);
    assert_eq!(now(&ahead, HOUR_MS), BEGIN.plus_ms(year_ms));
    assert_eq!(at(&ahead, 0), BEGIN);
    assert_eq!(at(&ahead, DOUBTED_MS - 1), BEGIN.plus_ms(DOUBTED_MS - 1));
    assert_eq!(at(&ahead, DOUBTED_MS), BEGIN.plus_ms(year_ms + DOUBTED_MS));
    // A mark in between keeps both.
    let half = later(&ahead, HOUR_MS + DOUBTED_MS / 2);
    assert_eq!(at(&half, DOUBTED_MS - 1), BEGIN.plus_ms(DOUBTED_MS - 1));
    assert_eq!(at(&half, DOUBTED_MS), BEGIN.plus_ms(year_ms + DOUBTED_MS));
    // Many short steps are as little believed as a long one.
    let steps = (0..5).fold(marked(), |mark, _| forward(&mark, mark.at.plus_ms(HOUR_MS)));
    assert_eq!(at(&steps, 0), BEGIN);
    // It is set back: nothing that was counted is counted a second time, and nothing that was not.
    let (mended, _) = back(&half, BEGIN.plus_ms(DOUBTED_MS / 2), &[]);
    assert_eq!((mended.uncounted_ms, mended.believed_in_ms), (0, 0));
    let (further, _) = back(&marked(), TimeMs(BEGIN.0 - HOUR_MS), &[]);
    assert_eq!(at(&further, 7), TimeMs(BEGIN.0 - HOUR_MS + 7));
}

#[test]
fn an_era_is_what_the_server_went_through_and_no_year_that_it_left_out() {
    let year_ms = 365 * 24 * HOUR_MS;
    let ahead = forward(&marked(), BEGIN.plus_ms(year_ms));
    let wrong = later(&forward(&ahead, ahead.at.plus_ms(9)), 2 * HOUR_MS);
    let (mended, eras) = back(&wrong, BEGIN.plus_ms(HOUR_MS), &[]);
    let era = TimeSpan { from: BEGIN.plus_ms(year_ms), until: wrong.at.plus_ms(MARKED_EVERY_MS) };
    assert_eq!(eras, [era]);
    assert_eq!((mended.at, mended.tokens_after), (BEGIN.plus_ms(HOUR_MS), BEGIN.plus_ms(HOUR_MS)));
    // Where nothing was left out, or not there, all since then comes again.
    let (_, eras) = back(&wrong, TimeMs(BEGIN.0 - 1), &[]);
    assert_eq!(eras[0].from, TimeMs(BEGIN.0 - 1));
    // An hour of tomorrow is one more, and does not join the other.
    let (_, eras) = back(&forward(&mended, mended.at.plus_ms(HOUR_MS)), mended.at, &[era]);
    assert_eq!(eras.len(), 2);
    assert!(eras[0].until < era.from && eras[1] == era);
    // What lies behind is none any more.
    let (_, eras) = back(&marked(), TimeMs(BEGIN.0 - HOUR_MS), &[span(1, 2)]);
    assert_eq!(eras.len(), 1);
}

#[test]
fn no_time_of_an_era_is_lost_where_there_are_many() {
    let spans: Vec<_> = (0..20).map(|n| span(n * n * 100, n * n * 100 + 50)).collect();
    let few = together(spans.iter().rev().copied().collect());
    assert_eq!(few.len(), ERAS_MAX);
    for span in spans {
        assert!(few.iter().any(|one| one.contains(span.from) && one.contains(span.until)), "{span:?}");
    }
    assert_eq!(together(vec![span(1, 5), span(2, 3), span(5, 7), span(9, 9)]), [span(1, 7), span(9, 9)]);
    assert!(together(Vec::new()).is_empty());
}
