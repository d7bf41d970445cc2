//! Whose votes count: each way in which one does not, and then properties.

use proptest::prelude::*;

use super::*;

const NOW: TimeMs = TimeMs(1_000_000);
const BOUND_TO: Digest = Digest::from_bytes([7; 32]);

fn id<T: std::str::FromStr<Err = crate::id::ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}

fn operator(name: &str) -> Approver {
    Approver::Operator(id(name))
}

fn user(name: &str) -> Approver {
    Approver::User(id(name))
}

fn yes(approver: Approver) -> Vote {
    Vote { approver, says: Say::Approve, at: TimeMs(NOW.0 - 1) }
}

fn no(approver: Approver) -> Vote {
    Vote { says: Say::Refuse, ..yes(approver) }
}

pub(crate) fn needs(role: &str, count: u32) -> ApprovalRequirement {
    ApprovalRequirement { role: id(role), count }
}

fn request(votes: Vec<Vote>) -> ApprovalRequest {
    ApprovalRequest {
        id: ApprovalId::from_random([1; 16]),
        bound_to: BOUND_TO,
        requirements: vec![needs("operator", 1)],
        votes,
        expires_at: TimeMs(NOW.0 + 1),
    }
}

/// What some approve whom nothing speaks against: so many operators, and the user or not.
pub(crate) fn approved_by(operators: u32, with_user: bool) -> Met {
    let names: Vec<OperatorId> = (0..operators).map(|n| id(&format!("o{n}"))).collect();
    let active = names.iter().map(|name| (name.clone(), BTreeSet::from([Duty::Approver]))).collect();
    let mut votes: Vec<Vote> = names.into_iter().map(|name| yes(Approver::Operator(name))).collect();
    votes.extend(with_user.then(|| yes(user("usr_1"))));
    let whose = id("usr_1");
    let asker = Asker::default();
    met(&request(votes), Count { bound_to: BOUND_TO, asker: &asker, user: Some(&whose), operators: &active, now: NOW })
}

/// What counts of these votes where `ada`, `bob` and the owner `Eve` are active approvers, `rex` is an operator without
/// the duty, `zoe` asks by her token, and `usr_1` is the user.
fn counted(request: &ApprovalRequest, bound_to: Digest, now: TimeMs) -> Vec<String> {
    let approver = BTreeSet::from([Duty::Approver, Duty::Auditor]);
    let operators = BTreeMap::from([
        (id("ada"), approver.clone()),
        (id("bob"), approver.clone()),
        (id("eve"), approver.clone()),
        (id("zoe"), approver),
        (id("rex"), BTreeSet::from([Duty::Admin, Duty::Registrar])),
    ]);
    let asker = Asker { owners: BTreeSet::from([id("team@example.org"), id("Eve")]), operator: Some(id("zoe")) };
    let user = id("usr_1");
    let count = Count { bound_to, asker: &asker, user: Some(&user), operators: &operators, now };
    met(request, count).approvals().iter().map(|approval| approval.approver.id().to_owned()).collect()
}

#[test]
fn only_entitled_others_count_and_each_once() {
    let bound_to = BOUND_TO;
    for (votes, expect) in [
        (vec![], &[][..]),
        (vec![yes(operator("ada"))], &["ada"]),
        (vec![yes(operator("bob")), yes(operator("ada"))], &["ada", "bob"]),
        (vec![yes(operator("ada")), yes(operator("ada"))], &["ada"]),
        (vec![yes(user("usr_1")), yes(operator("ada"))], &["ada", "usr_1"]),
        // Another user, an operator without the duty, and one who is none any more.
        (vec![yes(user("usr_2"))], &[]),
        (vec![yes(operator("rex"))], &[]),
        (vec![yes(operator("gone")), yes(operator("bob"))], &["bob"]),
        // Who owns the agent, or asks by a token of their own.
        (vec![yes(operator("eve"))], &[]),
        (vec![yes(operator("zoe"))], &[]),
        // A name says nothing about the role.
        (vec![yes(user("ada"))], &[]),
        (vec![yes(operator("usr_1"))], &[]),
        // Whoever says no, entitled or not.
        (vec![yes(operator("ada")), no(operator("bob"))], &[]),
        (vec![yes(operator("ada")), no(operator("ada"))], &[]),
        (vec![yes(operator("ada")), no(operator("gone"))], &[]),
        // Given later than now.
        (vec![Vote { at: TimeMs(NOW.0 + 1), ..yes(operator("ada")) }], &[]),
    ] {
        assert_eq!(counted(&request(votes.clone()), bound_to, NOW), expect, "{votes:?}");
    }
}

#[test]
fn nothing_counts_for_another_request_or_late() {
    let request = request(vec![yes(operator("ada"))]);
    assert_eq!(counted(&request, BOUND_TO, NOW), ["ada"]);
    assert!(counted(&request, Digest::from_bytes([8; 32]), NOW).is_empty());
    assert!(counted(&request, BOUND_TO, request.expires_at).is_empty());
}

#[test]
fn all_that_is_asked_for_has_to_be_met() {
    for (operators, with_user, requirements, covered) in [
        (1, false, vec![needs("operator", 1)], true),
        (1, false, vec![needs("operator", 2)], false),
        (2, false, vec![needs("operator", 1), needs("operator", 2)], true),
        (1, false, vec![needs("user", 1)], false),
        (0, true, vec![needs("operator", 1)], false),
        (1, true, vec![needs("operator", 1), needs("user", 1)], true),
        (2, true, vec![needs("operator", 3)], false),
        (2, true, vec![needs("user", 2)], false),
        (3, true, vec![needs("manager", 1)], false),
        (3, true, vec![needs("operator", 1), needs("manager", 1)], false),
        (1, true, vec![], false),
        (1, true, vec![needs("operator", 0)], false),
    ] {
        assert_eq!(approved_by(operators, with_user).covers(&requirements), covered, "{operators} {requirements:?}");
    }
}

#[test]
fn some_can_never_be_met() {
    for (role, count, with_user, without_user) in [
        ("operator", 1, true, true),
        ("operator", APPROVERS_MAX, true, true),
        ("operator", APPROVERS_MAX + 1, false, false),
        ("operator", 0, false, false),
        ("user", 1, true, false),
        ("user", 2, false, false),
        ("manager", 1, false, false),
    ] {
        let one = needs(role, count);
        assert_eq!((can_be_met(&one, true), can_be_met(&one, false)), (with_user, without_user), "{one:?}");
    }
}

fn vote() -> impl Strategy<Value = Vote> {
    let who = prop_oneof![Just("ada"), Just("bob"), Just("eve"), Just("zoe"), Just("rex"), Just("gone")];
    let approver = prop_oneof![4 => who.prop_map(operator), 1 => Just(user("usr_1")), 1 => Just(user("usr_2"))];
    (approver, proptest::bool::weighted(0.9)).prop_map(|(who, said)| if said { yes(who) } else { no(who) })
}

proptest! {
    /// A reference that is told apart: count by hand who of those who may said yes, if nobody said no.
    #[test]
    fn what_counts_is_who_may_and_said_yes(votes in proptest::collection::vec(vote(), 0..8)) {
        let refused = votes.iter().any(|vote| vote.says == Say::Refuse);
        let may = ["ada", "bob", "usr_1"];
        let expect: Vec<&str> = may.into_iter().filter(|name| {
            let by_channel = if *name == "usr_1" { user(name) } else { operator(name) };
            !refused && votes.iter().any(|vote| vote.approver == by_channel)
        }).collect();
        prop_assert_eq!(counted(&request(votes), BOUND_TO, NOW), expect);
    }

    /// One more vote never turns a yes that another gave into two, and a no ends all of them.
    #[test]
    fn order_and_repetition_change_nothing(votes in proptest::collection::vec(vote(), 0..8)) {
        let once = counted(&request(votes.clone()), BOUND_TO, NOW);
        let mut twice = [votes.clone(), votes].concat();
        twice.reverse();
        prop_assert_eq!(once, counted(&request(twice.clone()), BOUND_TO, NOW));
        twice.push(no(operator("rex")));
        prop_assert!(counted(&request(twice), BOUND_TO, NOW).is_empty());
    }
}
