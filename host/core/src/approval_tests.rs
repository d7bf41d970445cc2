//! Whose votes count: each way in which one does not, and then properties.

use proptest::prelude::*;

use super::*;

const NOW: TimeMs = TimeMs(1_000_000);
const BOUND_TO: Digest = Digest::from_bytes([7; 32]);
const ISSUER: &str = "https://sso.example";

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
    let (whose, issuer) = (id("usr_1"), id(ISSUER));
    let (asker, members) = (Asker::default(), BTreeMap::new());
    let user = Some((&whose, &issuer));
    let (operators, members) = (&active, &members);
    met(&request(votes), Count { bound_to: BOUND_TO, asker: &asker, user, operators, members, now: NOW })
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
    let asker =
        Asker { owners: BTreeSet::from([id("team@example.org"), id("Eve")]), registrars: BTreeSet::from([id("zoe")]) };
    let (user, issuer, members) = (id("usr_1"), id(ISSUER), BTreeMap::new());
    let user = Some((&user, &issuer));
    let count = Count { bound_to, asker: &asker, user, operators: &operators, members: &members, now };
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
        // Nobody of these is in a group, whatever it is called.
        (3, true, vec![needs("manager", 1)], false),
        (3, true, vec![needs("Operator", 1)], false),
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
        ("manager", 1, true, false),
        ("manager", APPROVERS_MAX, true, false),
        ("manager", APPROVERS_MAX + 1, false, false),
        ("manager", 0, false, false),
    ] {
        let one = needs(role, count);
        assert_eq!((can_be_met(&one, true), can_be_met(&one, false)), (with_user, without_user), "{one:?}");
    }
}

fn member(groups: &[&str]) -> Member {
    Member {
        issuer: id(ISSUER),
        names: BTreeSet::new(),
        groups: groups.iter().map(|&group| (group.to_owned(), NOW)).collect(),
    }
}

fn called(name: &str) -> Member {
    Member { names: BTreeSet::from(["somebody".to_owned(), name.to_owned()]), ..member(&["finance"]) }
}

/// Who counts as what where these voted yes and two of the group `finance` and one of `<b>"Risk"` are asked, on behalf
/// of `usr_1`, by an agent of the owner `Eve`.
fn of_groups(on_behalf: bool, votes: &[&str], members: &BTreeMap<UserId, Member>) -> Vec<String> {
    let requirements = vec![needs("finance", 2), needs("<b>\"Risk\"", 1)];
    let votes = votes.iter().map(|name| yes(user(name))).collect();
    let asker = Asker { owners: BTreeSet::from([id("team@example.org"), id("Eve")]), registrars: BTreeSet::new() };
    let (user, issuer) = (id("usr_1"), id(ISSUER));
    let user = on_behalf.then_some((&user, &issuer));
    let count = Count { bound_to: BOUND_TO, asker: &asker, user, operators: &BTreeMap::new(), members, now: NOW };
    let met = met(&ApprovalRequest { requirements: requirements.clone(), ..request(votes) }, count);
    let mut all: Vec<String> = (met.approvals().iter())
        .map(|approval| format!("{} as {} {}", approval.approver.id(), approval.role.kind(), approval.role))
        .collect();
    all.extend(requirements.iter().filter(|one| met.covers(&[(*one).clone()])).map(|one| format!("{} met", one.role)));
    all
}

#[test]
fn of_a_group_count_others_whom_their_provider_says_to_be_in_it_now() {
    let age = group::ASSERTED_MS_MAX;
    let elsewhere = Member { issuer: id("https://other.example"), ..member(&["finance"]) };
    let asserted = |at| Member {
        groups: BTreeMap::from([("finance".to_owned(), TimeMs(at)), ("other".to_owned(), NOW)]),
        ..member(&[])
    };
    for (who, expect) in [
        (member(&[]), false),
        (member(&["risk", "Finance", "finance ", "financ", "operator", "user"]), false),
        (elsewhere, false),
        // 16 minutes ago, 15, and a moment less; and what is asserted in a time that has not come.
        (asserted(NOW.0 - 16 * 60 * 1_000), false),
        (asserted(NOW.0 - age), false),
        (asserted(NOW.0 - age + 1), true),
        (asserted(NOW.0 + 1), false),
        // Who owns what asks, by whichever of their names.
        (called("eve"), false),
        (called("TEAM@example.org"), false),
        (called("evelyn"), true),
        (member(&["a", "finance", "z"]), true),
    ] {
        let members = BTreeMap::from([(id("usr_2"), who.clone())]);
        let counted = of_groups(true, &["usr_2"], &members);
        assert_eq!(counted, if expect { vec!["usr_2 as group finance"] } else { vec![] }, "{who:?}");
    }
}

#[test]
fn nobody_is_in_a_group_without_a_user_and_the_user_never_is() {
    let members = BTreeMap::from([(id("usr_1"), member(&["finance"])), (id("usr_2"), member(&["finance"]))]);
    assert!(of_groups(false, &["usr_1", "usr_2"], &members).is_empty());
    assert_eq!(of_groups(true, &["usr_1", "usr_2"], &members), ["usr_1 as user user", "usr_2 as group finance"]);
    // Who is not known any more is nobody.
    assert!(of_groups(true, &["usr_3"], &members).is_empty());
}

#[test]
fn so_many_of_a_group_are_so_many_people() {
    let both = member(&["finance", "<b>\"Risk\""]);
    let members = BTreeMap::from([(id("usr_2"), both), (id("usr_3"), member(&["finance"]))]);
    let risk = "usr_2 as group <b>\"Risk\"";
    for (votes, expect) in [
        (&["usr_3", "usr_3"][..], vec!["usr_3 as group finance"]),
        (&["usr_2", "usr_2"], vec![risk, "usr_2 as group finance", "<b>\"Risk\" met"]),
        (
            &["usr_3", "usr_2"],
            vec![risk, "usr_2 as group finance", "usr_3 as group finance", "finance met", "<b>\"Risk\" met"],
        ),
    ] {
        assert_eq!(of_groups(true, votes, &members), expect, "{votes:?}");
    }
}

#[test]
fn of_many_who_are_in_many_groups_as_many_are_kept_as_are_asked_for() {
    let groups: Vec<String> = (0..16).map(|n| format!("g{n:02}")).collect();
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let people: Vec<UserId> = (0..46).map(|n| id(&format!("usr_{n:02}"))).collect();
    let members: BTreeMap<_, _> = people.iter().map(|voter| (voter.clone(), member(&names))).collect();
    // The last of them were the first to vote.
    let vote = |(n, voter): (usize, &UserId)| Vote {
        approver: Approver::User(voter.clone()),
        says: Say::Approve,
        at: TimeMs(NOW.0 - 1 - n as u64),
    };
    let votes = people.iter().enumerate().map(vote).collect();
    let requirements: Vec<_> = names.iter().map(|name| needs(name, 3)).collect();
    let request = ApprovalRequest { requirements: requirements.clone(), ..request(votes) };
    let (whose, issuer, asker) = (id("usr_1"), id(ISSUER), Asker::default());
    let (user, operators) = (Some((&whose, &issuer)), &BTreeMap::new());
    let met = met(&request, Count { bound_to: BOUND_TO, asker: &asker, user, operators, members: &members, now: NOW });
    assert_eq!(met.approvals().len(), 46 * 16);
    let needed = met.clone().needed(&requirements);
    assert_eq!(needed.approvals().len(), 16 * 3);
    assert!(needed.covers(&requirements) && needed.approvals().iter().all(|one| one.approver.id() >= "usr_43"));
    // Of a role that is asked twice, as many as the greater number; of one that is not asked, nobody.
    let demands = [needs("g00", 1), needs("g00", 5), needs("g01", 0), needs("operator", 2)];
    assert_eq!(met.clone().needed(&demands).approvals().len(), 5);
    assert!(met.clone().needed(&[]).is_nothing() && Met::nothing().needed(&requirements).is_nothing());
    // Where fewer said yes than are asked for, all of them are kept.
    assert_eq!(met.clone().needed(&[needs("g00", 47)]).approvals().len(), 46);
}

#[test]
fn a_role_is_one_of_two_words_or_a_group() {
    for (name, kind) in [("operator", "operator"), ("user", "user"), ("Operator", "group"), ("finance", "group")] {
        let role: ApproverRole = name.parse().unwrap();
        assert_eq!((role.as_str(), role.kind(), role.to_string().as_str()), (name, kind, name));
        assert_eq!(role.group().map(GroupName::as_str), (kind == "group").then_some(name));
    }
    let error = "".parse::<ApproverRole>().unwrap_err();
    assert_eq!(error.to_string(), "`` is no name of a group: it is empty");
}

#[test]
fn all_of_several_have_to_be_possible_and_no_more_groups_than_anybody_reads() {
    let long = |n: u32| needs(&format!("{n}{}", "x".repeat(GroupName::BYTES_MAX - 1)), 1);
    let many: Vec<_> = (0..4).map(long).collect();
    assert!(can_all_be_met(&many, true));
    // One group is one, however many of it are asked for.
    assert!(can_all_be_met(&[many.clone(), vec![ApprovalRequirement { count: 2, ..long(0) }]].concat(), true));
    assert!(!can_all_be_met(&[many.clone(), vec![needs("x", 1)]].concat(), true));
    assert!(can_all_be_met(&[many.clone(), vec![needs("operator", 1), needs("user", 1)]].concat(), true));
    assert!(!can_all_be_met(&[many, vec![needs("user", 2)]].concat(), true));
    assert!(!can_all_be_met(&[needs("operator", 1), needs("finance", 1)], false));
    let people = [needs("a", APPROVERS_MAX), needs("b", APPROVERS_MAX), needs("c", APPROVERS_MAX)];
    assert!(can_all_be_met(&people, true));
    assert!(can_all_be_met(&[people.to_vec(), vec![needs("c", 1), needs("operator", APPROVERS_MAX)]].concat(), true));
    assert!(!can_all_be_met(&[people.to_vec(), vec![needs("d", 1)]].concat(), true));
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
