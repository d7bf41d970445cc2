//! Windows against a calendar that others keep, scopes without anybody in them, debits that cannot be.

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::Offset;
use proptest::prelude::*;

use super::*;
use crate::bounds::tests::agent;
use crate::id::DelegationId;
use crate::request::JsonText;

/// The last millisecond of the year 9998; the other calendar ends a year later.
const LAST_MS: u64 = 253_370_764_799_999;

fn user(id: &str) -> User {
    User {
        id: id.parse().unwrap(),
        issuer: "https://id.example".parse().unwrap(),
        authenticated_at: TimeMs(0),
        acr: None,
        groups: Vec::new(),
        claims: JsonText::from_canonical("{}"),
    }
}

fn delegation(id: &str, to_agent: &str) -> Delegation {
    Delegation {
        id: id.parse::<DelegationId>().unwrap(),
        to_agent: to_agent.parse().unwrap(),
        permissions: Vec::new(),
        purpose: "answer-questions".parse().unwrap(),
        session: "s-1".parse().unwrap(),
        created_at: TimeMs(0),
        expires_at: TimeMs(1),
    }
}

fn debit(counter: &str, amount: u64, at_most: u64) -> Debit {
    let (scope, window) = (CounterScope::Agent, CounterWindow::Day);
    Debit { policy: "p".parse().unwrap(), counter: counter.parse().unwrap(), scope, window, amount, at_most }
}

fn charged(debits: &[Debit]) -> Result<Vec<(String, u64, u64)>, Unchargeable> {
    let charges = charges(debits, |scope| scope.subject_of(&agent(), None, None))?;
    Ok(charges.into_iter().map(|charge| (charge.counter.to_string(), charge.amount, charge.at_most)).collect())
}

#[test]
fn what_can_never_be_charged_is_refused() {
    use Unchargeable::{OverLimit, WithoutSubject};
    for (debits, expect) in [
        (vec![debit("a", 1, 0)], OverLimit),
        (vec![debit("a", u64::MAX, u64::MAX - 1)], OverLimit),
        (vec![debit("a", u64::MAX, u64::MAX), debit("a", 1, u64::MAX)], OverLimit),
        (vec![debit("a", COUNT_MAX + 1, u64::MAX)], OverLimit),
        (vec![debit("a", COUNT_MAX, u64::MAX), debit("a", 1, u64::MAX)], OverLimit),
        (vec![debit("a", 6, 10), debit("a", 5, 10)], OverLimit),
        (vec![debit("a", 6, 100), debit("a", 5, 10)], OverLimit),
        (vec![debit("a", 1, 1), Debit { scope: CounterScope::User, ..debit("b", 1, 1) }], WithoutSubject),
    ] {
        assert_eq!(charged(&debits), Err(expect), "{debits:?}");
    }
}

#[test]
fn debits_of_one_counter_add_up_under_the_least_limit() {
    assert_eq!(charged(&[]), Ok(vec![]));
    let found = charged(&[debit("a", 2, 10), debit("b", 1, u64::MAX), debit("a", 3, 5), debit("a", 1, 90)]);
    assert_eq!(found, Err(Unchargeable::OverLimit));
    let found = charged(&[debit("a", 2, 10), debit("b", COUNT_MAX, u64::MAX), debit("a", 3, 5)]).unwrap();
    assert_eq!(found, [("a".into(), 5, 5), ("b".into(), COUNT_MAX, COUNT_MAX)]);
    let apart = [debit("a", 1, 1), Debit { window: CounterWindow::Hour, ..debit("a", 1, 1) }];
    assert_eq!(charged(&apart).unwrap().len(), 2);
    let apart = [debit("a", 1, 1), Debit { policy: "q".parse().unwrap(), ..debit("a", 1, 1) }];
    assert_eq!(charged(&apart).unwrap().len(), 2);
}

#[test]
fn a_scope_without_anybody_has_no_subject() {
    let (agent, alice) = (agent(), user("alice"));
    let of =
        |scope: CounterScope, user, delegations: &[Delegation]| scope.subject_of(&agent, user, delegations.first());
    for scope in [CounterScope::User, CounterScope::UserAgent, CounterScope::RootDelegation, CounterScope::Session] {
        assert_eq!(of(scope, None, &[]), None, "{scope:?}");
        assert_eq!(of(scope, None, &[delegation("d1", "bot")]), None, "{scope:?}");
    }
    for scope in [CounterScope::RootDelegation, CounterScope::Session] {
        assert_eq!(of(scope, Some(&alice), &[]), None, "{scope:?}");
    }
    assert_eq!(of(CounterScope::Agent, None, &[]), Some(CounterSubject::Agent(agent.id.clone())));
}

#[test]
fn a_new_delegation_continues_the_count_and_children_charge_the_root() {
    let (agent, alice, bob) = (agent(), user("alice"), user("bob"));
    let root =
        |user, hops: &[Delegation]| CounterScope::RootDelegation.subject_of(&agent, Some(user), hops.first()).unwrap();
    let first = root(&alice, &[delegation("d1", "bot")]);
    assert_eq!(first, root(&alice, &[delegation("d2", "bot")]));
    assert_eq!(first, root(&alice, &[delegation("d1", "bot"), delegation("d3", "helper")]));
    assert_ne!(first, root(&alice, &[delegation("d1", "helper")]));
    assert_ne!(first, root(&bob, &[delegation("d1", "bot")]));
    let acting = CounterScope::UserAgent.subject_of(&agent, Some(&alice), Some(&delegation("d1", "bot"))).unwrap();
    assert_eq!(acting, CounterSubject::UserAgent(alice.id.clone(), agent.id.clone()));
    let session = CounterScope::Session.subject_of(&agent, Some(&alice), Some(&delegation("d1", "bot"))).unwrap();
    assert_eq!(session, CounterSubject::Session(alice.issuer, "s-1".parse().unwrap()));
}

#[test]
fn windows_end_where_the_calendar_says() {
    let shown = |window: CounterWindow, ms| {
        let span = window.around(TimeMs(ms));
        format!("{} {}", span.start, span.end.map_or_else(|| "-".into(), |end| end.to_string()))
    };
    for (window, ms, expect) in [
        (CounterWindow::Minute, 0, "1970-01-01T00:00:00.000Z 1970-01-01T00:01:00.000Z"),
        (CounterWindow::Month, 0, "1970-01-01T00:00:00.000Z 1970-02-01T00:00:00.000Z"),
        // 2024-02-29T23:59:59.999Z, and a millisecond later.
        (CounterWindow::Month, 1_709_251_199_999, "2024-02-01T00:00:00.000Z 2024-03-01T00:00:00.000Z"),
        (CounterWindow::Month, 1_709_251_200_000, "2024-03-01T00:00:00.000Z 2024-04-01T00:00:00.000Z"),
        (CounterWindow::Day, 1_709_251_199_999, "2024-02-29T00:00:00.000Z 2024-03-01T00:00:00.000Z"),
        (CounterWindow::Hour, 1_709_251_199_999, "2024-02-29T23:00:00.000Z 2024-03-01T00:00:00.000Z"),
        // 2100 is no leap year.
        (CounterWindow::Month, 4_107_542_399_000, "2100-02-01T00:00:00.000Z 2100-03-01T00:00:00.000Z"),
        (CounterWindow::Month, 1_767_225_599_999, "2025-12-01T00:00:00.000Z 2026-01-01T00:00:00.000Z"),
        (CounterWindow::Total, 1_767_225_599_999, "1970-01-01T00:00:00.000Z -"),
        (CounterWindow::Total, u64::MAX, "1970-01-01T00:00:00.000Z -"),
    ] {
        assert_eq!(shown(window, ms), expect);
    }
}

fn month_by_jiff(ms: u64) -> (u64, u64) {
    let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap();
    let first = Offset::UTC.to_datetime(timestamp).date().first_of_month();
    let at = |date: Date| {
        let ms = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap().as_millisecond();
        u64::try_from(ms).unwrap()
    };
    (at(first), at(first.checked_add(1.month()).unwrap()))
}

proptest! {
    #[test]
    fn months_are_those_of_the_calendar(ms in 0..=LAST_MS, near in -2_i64..=2) {
        for ms in [ms, month_by_jiff(ms).1.saturating_add_signed(near)] {
            let span = CounterWindow::Month.around(TimeMs(ms));
            prop_assert_eq!((span.start.0, span.end.unwrap().0), month_by_jiff(ms));
        }
    }

    /// Each time is in its window, and the next one begins where it ends; also at the end of time.
    #[test]
    fn windows_lie_side_by_side(ms in prop_oneof![0..=LAST_MS, any::<u64>(), Just(u64::MAX)], at in 0..5_usize) {
        use CounterWindow::{Day, Hour, Minute, Month, Total};
        let window = [Minute, Hour, Day, Month, Total][at];
        let span = window.around(TimeMs(ms));
        prop_assert!(span.start.0 <= ms);
        prop_assert_eq!(window.around(span.start), span);
        if let Some(end) = span.end {
            prop_assert!(ms < end.0);
            prop_assert_eq!(window.around(TimeMs(end.0 - 1)), span);
            prop_assert_eq!(window.around(end).start, end);
        }
    }
}
