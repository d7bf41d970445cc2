//! What has no room is refused, and no sooner.

use super::*;
use crate::decisions::fixtures::{context, largest_delegation, largest_user};

#[test]
fn bytes_are_counted_and_what_was_refused_once_is_refused_from_then_on() {
    let context = context("{}");
    let taken = REST_BYTES + POLICY_BYTES + 4;
    let mut room = Room::of(1, &context, taken + 10).unwrap();
    assert!(room.bytes(10) && room.bytes(0));
    assert!(!room.bytes(1));
    let mut room = Room::of(1, &context, taken + 10).unwrap();
    assert!(!room.bytes(11));
    assert!(!room.bytes(1), "what is asked for next fits only because something was left out");
    for too_little in [0, taken - 1] {
        assert!(Room::of(1, &context, too_little).is_none());
    }
    assert!(!Room::of(1, &context, taken).unwrap().bytes(1));
}

#[test]
fn arguments_claims_and_policies_take_room() {
    let record_bytes_max = REST_BYTES + 2 * POLICY_BYTES + 100;
    let fits = |policies: usize, arguments: &str| {
        let mut context = context(arguments);
        context.request.claims = JsonText::from_canonical("{\"a\":1}");
        Room::of(policies, &context, record_bytes_max).is_some_and(|mut room| room.bytes(91))
    };
    assert!(fits(2, "{}"));
    assert!(!fits(2, "{1}"));
    assert!(!fits(3, "{}"));
    assert!(fits(1, "{\"some\":\"more\"}"));
}

#[test]
fn counters_are_counted_and_take_bytes() {
    let context = context("{}");
    let mut room = Room::of(1, &context, 1 << 20).unwrap();
    assert!((0..COUNTERS_MAX).all(|_| room.counter()));
    assert!(!room.counter());
    assert!(room.bytes(1), "there are bytes left for what is no counter");
    let mut room = Room::of(1, &context, REST_BYTES + POLICY_BYTES + 4 + 2 * COUNTER_BYTES).unwrap();
    assert!(room.counter() && room.counter() && !room.counter());
}

#[test]
fn a_user_and_every_hop_take_room() {
    let mut context = context("{}");
    let fits = |context: &EvaluationContext, left: usize| Room::of(1, context, REST_BYTES + POLICY_BYTES + 4 + left);
    assert!(fits(&context, 0).is_some());
    context.user = Some(largest_user());
    context.delegations = vec![largest_delegation(); 4];
    let more = user_bytes(&largest_user()) + 4 * delegation_bytes(&largest_delegation());
    assert!(fits(&context, more - 1).is_none());
    assert!(!fits(&context, more).unwrap().bytes(1));
}

#[test]
fn nobody_is_asked_for_more_approvals_than_have_room() {
    let asked = |role: &str, count| ApprovalRequirement { role: role.parse().unwrap(), count };
    let group = APPROVAL_BYTES + 2 * "\"g\"".len();
    let both = [asked("operator", 2), asked("g", 3)];
    let needed = 2 * APPROVAL_BYTES + 3 * group;
    for (left, expect) in [(0, false), (needed - 1, false), (needed, true), (usize::MAX, true)] {
        assert_eq!(has_room(left, &both, &Met::nothing()), expect, "{left}");
    }
    assert!(has_room(0, &[], &Met::nothing()));
}
