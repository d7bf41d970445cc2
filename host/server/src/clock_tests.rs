//! How the server's time stands to a wall clock that steps, over stops and boots.

use super::*;

const HOUR_MS: u64 = 3_600_000;

/// One that goes on from what another has marked.
fn start(wall: &WallClock, marked: &Clock) -> Clock {
    Clock::start(wall.clone(), Some(marked.mark()), TimeMs(0), STOPPED_MS_MAX)
}

fn shift(ms: u64) -> i64 {
    i64::try_from(ms).unwrap()
}

#[test]
fn it_never_stands_before_the_last_record() {
    let ahead = WallClock::default().now().plus_ms(HOUR_MS);
    let clock = Clock::start(WallClock::default(), None, ahead, u64::MAX);
    assert!(clock.now() >= ahead);
    assert!(matches!(clock.reading().stand(), Stand::Behind(_)));
}

#[test]
fn no_step_of_the_wall_clock_changes_it_nor_does_a_start_within_the_boot() {
    let wall = WallClock::default();
    let mut clock = Clock::start(wall.clone(), None, TimeMs(0), u64::MAX);
    let first = clock.now();
    assert_eq!(clock.reading().stand(), Stand::Agrees);
    for (shift_ms, problem) in [(shift(HOUR_MS), "clock accept ahead "), (-shift(HOUR_MS), "clock accept behind ")] {
        wall.shift_ms(shift_ms);
        for _ in 0..2 {
            assert!(clock.reading().stand().problem().unwrap().contains(problem));
            assert!((first..first.plus_ms(HOUR_MS / 2)).contains(&clock.now()));
            clock = start(&wall, &clock);
        }
    }
    wall.shift_ms(0);
    assert_eq!(clock.reading().stand(), Stand::Agrees);
}

#[test]
fn after_a_boot_the_wall_clock_is_believed_where_it_can_be_right_and_as_soon_as_it_is() {
    let wall = WallClock::default();
    let first = wall.now();
    let before = Clock::start(wall.clone(), None, first, u64::MAX);
    for wrong in [-shift(HOUR_MS), shift(STOPPED_MS_MAX + HOUR_MS)] {
        wall.shift_ms(wrong);
        wall.boot_anew();
        let clock = start(&wall, &before);
        assert_ne!(clock.reading().stand(), Stand::Agrees);
        assert!((first..first.plus_ms(HOUR_MS)).contains(&clock.now()));
        // Not by another start either.
        let clock = start(&wall, &clock);
        assert_ne!(clock.reading().stand(), Stand::Agrees);
        // Now it is right, days later.
        wall.shift_ms(shift(STOPPED_MS_MAX - HOUR_MS));
        assert_eq!(clock.reading().stand(), Stand::Agrees);
        assert!(clock.now() >= first.plus_ms(STOPPED_MS_MAX - HOUR_MS));
        assert!((first..first.plus_ms(HOUR_MS)).contains(&clock.counted()));
        // And once it was believed, the next step is one.
        wall.shift_ms(shift(STOPPED_MS_MAX));
        assert!(matches!(clock.reading().stand(), Stand::Ahead(_)));
    }
    // Before the first run there is nothing to lose.
    wall.shift_ms(shift(100 * STOPPED_MS_MAX));
    let clock = Clock::start(wall.clone(), None, first, u64::MAX);
    assert_eq!(clock.reading().stand(), Stand::Agrees);
    assert!(matches!(Clock::start(wall, None, first, STOPPED_MS_MAX).reading().stand(), Stand::Ahead(_)));
}

#[test]
fn what_is_remembered_of_times_that_have_not_come_was_before_time_was_set_back() {
    let clock = Clock::start(WallClock::default(), None, TimeMs(0), u64::MAX);
    let first = clock.now();
    assert_eq!((clock.remembered(first), clock.tokens_after()), (first, None));
    let earlier = TimeMs(first.0 - HOUR_MS);
    let (mark, _) = clock.back(earlier, &[]);
    clock.go_on_from(mark);
    assert_eq!(clock.tokens_after(), Some(earlier));
    for (at, expect) in [(first, earlier), (first.plus_ms(HOUR_MS), earlier), (TimeMs(7), TimeMs(7))] {
        assert_eq!(clock.remembered(at), expect);
    }
    clock.go_on_from(clock.forward(first.plus_ms(HOUR_MS)));
    assert_eq!(clock.remembered(first), first);
    assert_eq!(clock.tokens_after(), Some(first.plus_ms(HOUR_MS)));
}

#[test]
fn clocks_agree_up_to_a_limit() {
    let at = |ms: u64| Reading { server: TimeMs(100_000), wall: TimeMs(ms) }.stand();
    assert_eq!((at(95_000), at(105_000)), (Stand::Agrees, Stand::Agrees));
    assert_eq!((at(94_999), at(105_001)), (Stand::Behind(5_001), Stand::Ahead(5_001)));
}

#[test]
fn what_lived_by_time_has_ended_where_time_was_set_back() {
    let clock = Clock::start(WallClock::default(), None, TimeMs(0), u64::MAX);
    assert!(!clock.was_set_back() && !clock.outlived(0));
    clock.end_before(7);
    clock.end_before(3);
    assert!(clock.was_set_back() && clock.outlived(6) && !clock.outlived(7));
    let (mark, _) = clock.back(TimeMs(1_000), &[]);
    clock.go_on_from(mark);
    assert!(clock.now() < TimeMs(HOUR_MS));
}
