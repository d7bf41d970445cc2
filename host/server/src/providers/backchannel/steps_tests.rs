//! Each way of a prompt, and that every one of them ends.

use attorn_core::ApprovalId;
use attorn_identity::issuer_token::IssuerTokenError;

use super::*;

const NOW: TimeMs = TimeMs(1_000_000);

fn prompt() -> PromptRecord {
    PromptRecord {
        approval: ApprovalId::from_random([1; 16]),
        provider: "main".parse().unwrap(),
        user: "usr_1".parse().unwrap(),
        agent: "bot".parse().unwrap(),
        starts: 1,
        started: Some(Sealed(vec![1])),
        started_at: TimeMs(999_000),
        interval_ms: 5_000,
        failures: 0,
        due_at: NOW,
        expires_at: TimeMs(1_290_000),
    }
}

fn on(change: impl FnOnce(&mut PromptRecord)) -> Step {
    let mut next = prompt();
    change(&mut next);
    Step::On(next)
}

#[test]
fn a_question_is_recorded_before_it_is_sent_and_not_put_for_ever() {
    let new = PromptRecord { starts: 0, started: None, ..prompt() };
    assert!(may_ask(&new));
    let once = asking(&new, NOW);
    assert_eq!((once.starts, once.started_at, once.due_at), (1, NOW, TimeMs(1_030_000)));
    assert!(may_ask(&once));
    assert!(!may_ask(&asking(&once, NOW)));
}

#[test]
fn what_the_provider_says_of_times_counts_within_the_approval_s() {
    let sealed = || Sealed(vec![2]);
    let started = |expires_in_s, interval_s| Started { request_id: "r".into(), expires_in_s, interval_s };
    let step = |expires_in_s, interval_s| asked(&prompt(), NOW, &started(expires_in_s, interval_s), sealed());
    let expect = |interval_ms, due_at, expires_at| {
        on(|next| {
            (next.started, next.interval_ms) = (Some(sealed()), interval_ms);
            (next.due_at, next.expires_at) = (TimeMs(due_at), TimeMs(expires_at));
        })
    };
    assert_eq!(step(120, 2), expect(2_000, 1_002_000, 1_120_000));
    assert_eq!(step(u64::MAX, 5), expect(5_000, 1_005_000, 1_290_000));
    assert_eq!(step(3, 5), expect(5_000, 1_003_000, 1_003_000));
}

#[test]
fn each_answer_to_a_poll_has_its_own_way() {
    let step = |came| match polled(&prompt(), NOW, came, 0) {
        Polled::Step(step) => step,
        Polled::Said(say) => panic!("nobody said {say:?}"),
    };
    let pending = || on(|next| next.due_at = TimeMs(1_005_000));
    assert_eq!(step(Heard::Pending), pending());
    // A poll that is held back for long is no failure.
    assert_eq!(step(Heard::Failed(Problem::TimedOut)), pending());
    let slower = on(|next| (next.interval_ms, next.due_at) = (10_000, TimeMs(1_010_000)));
    assert_eq!(step(Heard::SlowDown), slower);
    for (came, say) in [(Heard::Refused, Say::Refuse), (Heard::Approved, Say::Approve)] {
        assert_eq!(polled(&prompt(), NOW, came, 0), Polled::Said(say));
    }
    assert_eq!(step(Heard::Expired), Step::Ends(End::Expired));
    for problem in [Problem::Unreachable, Problem::Unavailable(503)] {
        let later = on(|next| (next.failures, next.due_at) = (1, TimeMs(1_005_000)));
        assert_eq!(step(Heard::Failed(problem)), later, "{problem}");
    }
    for problem in [
        Problem::AnotherUser,
        Problem::AnotherRequest,
        Problem::IssuedBefore,
        Problem::NoIdToken,
        Problem::Nonsense("x"),
        Problem::RequestUnknown,
        Problem::ClientRefused,
        Problem::Redirected,
        Problem::TooLarge,
        Problem::Address,
        Problem::Token(IssuerTokenError::Unsigned),
        Problem::Token(IssuerTokenError::WrongAudience),
    ] {
        assert_eq!(step(Heard::Failed(problem)), Step::Ends(End::Failed(problem)), "{problem}");
    }
}

/// A provider that always says the same, and how often it is polled until it is over.
fn polls(came: Heard) -> (usize, Step) {
    let (mut one, mut polls) = (prompt(), 0);
    loop {
        let now = one.due_at;
        if now >= one.expires_at {
            return (polls, Step::Ends(End::Expired));
        }
        polls += 1;
        match polled(&one, now, came, u64::MAX) {
            Polled::Step(Step::On(next)) => one = next,
            Polled::Step(end) => return (polls, end),
            Polled::Said(say) => panic!("nobody said {say:?}"),
        }
    }
}

#[test]
fn whatever_a_provider_says_for_ever_it_ends_and_nobody_approved() {
    assert_eq!(polls(Heard::Pending), (58, Step::Ends(End::Expired)));
    // 5 s more each time: 10, 20, 30, …
    assert_eq!(polls(Heard::SlowDown), (10, Step::Ends(End::Expired)));
    assert_eq!(polls(Heard::Failed(Problem::TimedOut)), (58, Step::Ends(End::Expired)));
    let (failures, end) = polls(Heard::Failed(Problem::Unreachable));
    assert!((10..=58).contains(&failures), "{failures}");
    assert_eq!(end, Step::Ends(End::Expired));
}

#[test]
fn a_provider_that_cannot_be_asked_is_tried_again_and_one_that_will_not_is_not() {
    let new = PromptRecord { starts: 0, started: None, interval_ms: 0, ..prompt() };
    let Step::On(later) = not_asked(&new, NOW, Problem::Unreachable, 0) else { panic!("it goes on") };
    assert_eq!((later.starts, later.failures, later.due_at), (0, 1, TimeMs(1_000_001)));
    let ended = not_asked(&new, NOW, Problem::UnknownUser, 0);
    assert_eq!(ended, Step::Ends(End::Failed(Problem::UnknownUser)));
    let late = not_asked(&new, new.expires_at, Problem::Unreachable, 0);
    assert_eq!(late, Step::Ends(End::Expired));
}
