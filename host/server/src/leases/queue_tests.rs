use attorn_api::audit::EntryType;
use attorn_broker::Whose;
use attorn_core::GrantId;

use super::*;

const NOW: TimeMs = TimeMs(1_000_000);

fn lease(state: LeaseState, attempts: u32) -> LeaseRecord {
    LeaseRecord {
        id: LeaseId::from_random([1; 16]),
        grant: GrantId::from_random([2; 16]),
        agent: "bot".parse().unwrap(),
        target: "shop".parse().unwrap(),
        name: "attorn_1".parse().unwrap(),
        roles: vec!["reader".parse().unwrap()],
        state,
        created_at: TimeMs(0),
        expires_at: NOW,
        due_at: NOW,
        attempts,
        last_error: None,
        ended_at: None,
    }
}

fn temporary() -> KindError {
    KindError::Temporary { whose: Whose::Target, text: "it is away".into() }
}

fn kind_of(change: &Change) -> Option<EntryType> {
    change.said.as_ref().map(|(kind, _)| *kind)
}

#[test]
fn what_has_ended_says_why_unless_that_was_said() {
    for (state, why) in [
        (LeaseState::Issued, json!("expired")),
        (LeaseState::Intended, json!("interrupted")),
        (LeaseState::Revoking, json!(null)),
        (LeaseState::Irrevocable, json!(null)),
    ] {
        let change = has_ended(&lease(state, 3), NOW, Ended::Before);
        assert_eq!((change.next.state, change.next.ended_at), (LeaseState::Ended, Some(NOW)));
        let (kind, members) = change.said.unwrap();
        assert_eq!(kind, EntryType::LeaseEnded);
        assert_eq!(members, json!({ "why": why, "existed": false, "attempts": 4 }));
    }
}

#[test]
fn what_is_not_there_yet_is_looked_for_again_when_it_can_come_no_more() {
    for (state, why) in [(LeaseState::Issued, "expired"), (LeaseState::Intended, "interrupted")] {
        let young = LeaseRecord { created_at: NOW, ..lease(state, 0) };
        let change = not_yet(&young);
        assert_eq!((change.next.state, change.next.due_at), (state, NOW.plus_ms(INTENDED_MS)));
        assert_eq!(kind_of(&change), None);
        let (_, members) = has_ended(&change.next, NOW.plus_ms(INTENDED_MS), Ended::Before).said.unwrap();
        assert_eq!(members["why"], why);
    }
}

#[test]
fn what_waits_longer_than_anything_does_is_due_at_once() {
    for (state, most) in [
        (LeaseState::Intended, INTENDED_MS),
        (LeaseState::Revoking, WAIT.most_ms),
        (LeaseState::Irrevocable, WAIT_LONG.most_ms),
    ] {
        let due = |ms| LeaseRecord { due_at: NOW.plus_ms(ms), ..lease(state, 1) };
        assert!(too_far(&due(most), NOW).is_none(), "{state:?}");
        let change = too_far(&due(most + 1), NOW).unwrap();
        assert_eq!((change.next.state, change.next.due_at, kind_of(&change)), (state, NOW, None));
    }
    for state in [LeaseState::Issued, LeaseState::Ended] {
        let far = LeaseRecord { due_at: NOW.plus_ms(u64::from(u32::MAX)), ..lease(state, 0) };
        assert!(too_far(&far, NOW).is_none(), "{state:?}");
    }
}

#[test]
fn what_waits_for_another_attempt_is_due_when_what_failed_was_mended() {
    for (state, waits) in [
        (LeaseState::Revoking, true),
        (LeaseState::Irrevocable, true),
        (LeaseState::Intended, false),
        (LeaseState::Issued, false),
        (LeaseState::Ended, false),
    ] {
        let far = LeaseRecord { due_at: NOW.plus_ms(1), ..lease(state, 3) };
        let became =
            need_not_wait(&far, NOW).map(|change| (change.next.state, change.next.due_at, change.next.attempts));
        assert_eq!(became, waits.then_some((state, NOW, 3)), "{state:?}");
        assert!(need_not_wait(&LeaseRecord { due_at: NOW, ..far }, NOW).is_none(), "{state:?}");
    }
}

#[test]
fn attempts_in_vain_are_said_first_and_last() {
    let after = |state, attempts| has_not_ended(&lease(state, attempts), NOW, (&temporary(), u64::MAX));
    let first = after(LeaseState::Issued, 0);
    assert_eq!((first.next.state, first.next.attempts), (LeaseState::Revoking, 1));
    assert_eq!(kind_of(&first), Some(EntryType::LeaseRevocationFailed));
    assert_eq!(first.next.last_error.as_deref(), Some("it is away"));
    assert_eq!(kind_of(&after(LeaseState::Revoking, 1)), None);
    let last = after(LeaseState::Revoking, ATTEMPTS_MAX - 1);
    assert_eq!((last.next.state, kind_of(&last)), (LeaseState::Irrevocable, Some(EntryType::LeaseIrrevocable)));
    let on = after(LeaseState::Irrevocable, ATTEMPTS_MAX);
    assert_eq!((on.next.state, kind_of(&on)), (LeaseState::Irrevocable, None));
    assert!(on.next.due_at > NOW);
}

#[test]
fn what_will_never_go_better_is_said_at_once_unless_it_is_the_whole_target() {
    let permanent = |whose| KindError::Permanent { whose, text: "no".into() };
    let after = |error: &KindError| has_not_ended(&lease(LeaseState::Revoking, 0), NOW, (error, 0)).next.state;
    assert_eq!(after(&permanent(Whose::Credential)), LeaseState::Irrevocable);
    assert_eq!(after(&permanent(Whose::Target)), LeaseState::Revoking);
}

#[test]
fn waits_grow_and_end() {
    for attempts in 0..40 {
        let next = has_not_ended(&lease(LeaseState::Revoking, attempts), NOW, (&temporary(), u64::MAX)).next;
        let most = if next.state == LeaseState::Irrevocable { WAIT_LONG.most_ms } else { WAIT.most_ms };
        assert!(next.due_at > NOW && next.due_at <= NOW.plus_ms(most), "{attempts}");
    }
}
