//! Why things are decided as they are: every reason code of the host, and every guest of
//! `tests/guests`, has a case.

use std::collections::BTreeSet;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_core::reason::HostReason;
use attorn_tests::components;
use attorn_tests::replays::replays_identically;
use attorn_tests::wait::Waiting;
use attorn_tests::world::{PURPOSE_WITH_USER, ask, ask_with, read_only_settings, server_registration};
use attorn_tests::{Machine, World};
use serde_json::{Value, json};

use DecisionKind::{Allow, Challenge, Deny};

/// What a guest comes to: the decision with the reasons that the agent reads, and what the log calls
/// the policy's outcome; or the code with which a push is refused.
enum Expect {
    Decision(DecisionKind, &'static [&'static str], &'static str),
    Refused(&'static str),
}

use Expect::{Decision, Refused};

const GUESTS: &[(&str, Expect)] = &[
    ("abstain", Decision(Deny, &["not_allowed"], "abstain")),
    ("absurd_terms", Decision(Deny, &["policy_failed"], "failed:invalid_verdict")),
    ("allow_all", Decision(Allow, &["everything"], "allow")),
    ("challenge", Decision(Challenge, &["four_eyes"], "challenge")),
    ("challenge_as_told", Decision(Challenge, &["asks"], "challenge")),
    ("challenge_by_facts", Decision(Challenge, &["asks"], "challenge")),
    // Nobody is in a group where no user says whose provider it is of.
    ("challenge_groups", Decision(Deny, &["approval_impossible"], "challenge")),
    ("challenge_nobody", Decision(Deny, &["policy_failed"], "failed:invalid_verdict")),
    ("challenge_private_reason", Decision(Challenge, &["approval_required"], "challenge")),
    ("debit", Decision(Allow, &[], "allow")),
    ("debit_undeclared", Decision(Deny, &["policy_failed"], "failed:invalid_verdict")),
    ("deny_private_reason", Decision(Deny, &["denied_by_policy"], "deny")),
    ("deny_public_reason", Decision(Deny, &["closed"], "deny")),
    ("deny_without_reason", Decision(Deny, &["policy_failed"], "failed:invalid_verdict")),
    ("echo_context", Decision(Deny, &["policy_failed"], "failed:policy_error")),
    ("error", Decision(Deny, &["policy_failed"], "failed:policy_error")),
    ("error_in_init", Refused("settings_rejected")),
    ("huge_output", Decision(Deny, &["policy_failed"], "failed:output_too_large")),
    ("knows", Decision(Deny, &["policy_failed"], "failed:policy_error")),
    ("log_flood", Decision(Allow, &[], "allow")),
    ("logs", Decision(Allow, &[], "allow")),
    ("loop_in_evaluate", Decision(Deny, &["policy_failed"], "failed:deadline")),
    ("loop_in_init", Refused("component_rejected")),
    ("memory_bomb", Decision(Deny, &["policy_failed"], "failed:memory")),
    ("needs_fact", Decision(Deny, &["owner_unknown"], "deny")),
    ("no_logins", Decision(Allow, &[], "allow")),
    ("obliges", Decision(Deny, &["obligation_unenforceable"], "allow")),
    ("reads_context", Decision(Deny, &["read"], "deny")),
    ("remembers", Decision(Allow, &[], "allow")),
    ("stack_overflow", Decision(Deny, &["policy_failed"], "failed:trap")),
    ("trap", Decision(Deny, &["policy_failed"], "failed:trap")),
    ("undeclared_reason", Decision(Deny, &["policy_failed"], "failed:invalid_verdict")),
];

/// Where each code of the host has its case.
fn place(reason: HostReason) -> Place {
    match reason {
        HostReason::AgentSuspended | HostReason::AgentRetired => Place::State,
        HostReason::PurposeNotRegistered
        | HostReason::PurposeNeedsUser
        | HostReason::OutsideCeiling
        | HostReason::ResourceTypeUnknown
        | HostReason::UsesNotCounted => Place::Bound,
        HostReason::NoApplicablePolicy
        | HostReason::TooManyPolicies
        | HostReason::TooManyFacts
        | HostReason::RequiredPolicyAbstained
        | HostReason::GrantTooShort => Place::Policies,
        HostReason::NotAllowed
        | HostReason::DeniedByPolicy
        | HostReason::PolicyFailed
        | HostReason::ApprovalRequired
        | HostReason::ObligationUnenforceable => Place::Guest,
        // At the API an expired key authenticates nobody: a 401 in `proofs.rs`. The bound catches a key
        // that expires between authentication and decision, in attorn-core's tests.
        // What `decide` makes of counters that count for nobody stands in attorn-core's tests.
        // What a proxy does not call: `proxy.rs`.
        HostReason::KeyExpired | HostReason::CounterWithoutSubject | HostReason::NoProxyRoute => Place::NotHere,
        HostReason::LimitExceeded => Place::Counters,
        // Who cannot be asked, what cannot be shown, who said no or nothing, and when too much waits: `approvals` and
        // `backchannel`.
        HostReason::ApprovalImpossible
        | HostReason::ApprovalUnreadable
        | HostReason::ApprovalRefused
        | HostReason::ApprovalUnanswered
        | HostReason::ApprovalDelegationRevoked
        | HostReason::TooManyApprovals
        | HostReason::TooManyPrompts => Place::Approvals,
        // On behalf of a user: `delegations.rs`, `revocation_cascade.rs` and `erasure.rs`.
        HostReason::PurposeWithoutUser
        | HostReason::Frozen
        | HostReason::DelegationUnknown
        | HostReason::ChainBroken
        | HostReason::UserErased
        | HostReason::ChainLoop
        | HostReason::ChainTooDeep
        | HostReason::ProviderRevoked
        | HostReason::SessionEnded
        | HostReason::DelegationRevoked
        | HostReason::DelegationNotAccepted
        | HostReason::DelegationExpired
        | HostReason::ChainAgentInactive
        | HostReason::UserMismatch
        | HostReason::PurposeMismatch
        | HostReason::SessionMismatch
        | HostReason::OutsideDelegation
        | HostReason::NotEntitled => Place::Behalf,
    }
}

#[derive(PartialEq, Eq)]
enum Place {
    State,
    Bound,
    Policies,
    Guest,
    Counters,
    Approvals,
    Behalf,
    NotHere,
}

fn codes(answer: &DecisionAnswer) -> Vec<&str> {
    answer.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

#[track_caller]
fn says(answer: &DecisionAnswer, kind: DecisionKind, expect: &[&str]) {
    assert_eq!((answer.decision, codes(answer).as_slice()), (kind, expect), "{answer:?}");
    let allowed = kind == Allow;
    assert_eq!((answer.grant.is_some(), answer.credential.is_some()), (allowed, allowed), "{answer:?}");
    assert!(allowed || !answer.reasons.is_empty());
    assert_eq!(answer.approvers.is_empty(), kind != Challenge);
}

#[test]
fn every_guest_and_every_reason_of_the_host_has_a_case() {
    let cases: Vec<&str> = GUESTS.iter().map(|(guest, _)| *guest).collect();
    assert_eq!(cases, attorn_guests::GUESTS);
    let by_guests: BTreeSet<&str> = GUESTS
        .iter()
        .flat_map(|(_, expect)| match expect {
            Decision(_, codes, _) => codes.to_vec(),
            Refused(_) => Vec::new(),
        })
        .collect();
    for reason in HostReason::ALL.iter().filter(|reason| place(**reason) == Place::Guest) {
        assert!(by_guests.contains(reason.code()), "`{}` has no case", reason.code());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guest_comes_to_what_it_should() {
    let world = World::without_policy().await;
    for (guest, expect) in GUESTS {
        // More time than by default: what each of them runs into is not to depend on the machine.
        let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
        let pushed = world.push("guest", components::bytes(guest), json!({}), json!({ "limits": limits })).await;
        let (kind, reasons, outcome) = match expect {
            Refused(code) => {
                pushed.refused(422, code);
                continue;
            }
            Decision(kind, reasons, outcome) => (*kind, reasons, outcome),
        };
        let version = pushed.expect(201).json::<Value>()["version"].clone();
        let activate = json!({ "version": version });
        world.staff.policy_admin.post("/v1/policies/guest/activate", &activate).await.expect(200);
        for _ in 0..2 {
            let answer = world.bot.decide(&ask()).await;
            let entry = world.entry_of(&answer).await;
            assert_eq!(entry["policies"][0]["outcome"], *outcome, "{guest}: {answer:?}");
            says(&answer, kind, reasons);
            let expect_kind = serde_json::to_value(kind).unwrap();
            assert_eq!((&entry["decision"], &entry["grant"]["id"]), (&expect_kind, &json!(answer.grant.map(|g| g.id))));
        }
        world.deactivate("guest").await.expect(200);
    }
    replays_identically(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_denies_before_any_policy() {
    let world = World::new().await;
    // It would allow everything, if it were asked.
    world.activate("eager", components::bytes("allow_all"), json!({})).await;
    world.deactivate("read-only").await.expect(200);
    for (code, change) in [
        ("purpose_not_registered", json!({ "purpose": "make-money" })),
        (
            "purpose_needs_user",
            json!({ "purpose": PURPOSE_WITH_USER, "action": "account.read", "resource": "account/1" }),
        ),
        ("outside_ceiling", json!({ "action": "account.read", "resource": "account/1" })),
        ("outside_ceiling", json!({ "action": "faq" })),
        ("outside_ceiling", json!({ "resource": "articles/42" })),
        ("outside_ceiling", json!({ "action": "faq.write", "resource": "orphan/1" })),
        ("resource_type_unknown", json!({ "resource": "orphan/1" })),
    ] {
        let answer = world.bot.decide(&ask_with(change)).await;
        says(&answer, Deny, &[code]);
        let (entry, record) = (world.entry_of(&answer).await, world.record_of(&answer).await);
        assert_eq!((&entry["policies"], &record["policies_asked"]), (&json!([]), &json!(false)), "{code}");
    }
    // Who accepts it and does not count is granted nothing.
    let lax = Machine::new(&world.reach, "lax");
    let mut body = server_registration(&lax, "https://lax.example", &["orphan"]);
    body["counts_uses"] = "no".into();
    world.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
    says(&world.bot.decide(&ask_with(json!({ "resource": "orphan/1" }))).await, Deny, &["uses_not_counted"]);
    says(&world.bot.decide(&ask()).await, Allow, &["everything"]);
    for (verb, code) in [("suspend", "agent_suspended"), ("retire", "agent_retired")] {
        let path = format!("/v1/agents/support-bot/{verb}");
        world.staff.registrar.post(path, &json!({})).await.expect(200);
        says(&world.bot.decide(&ask()).await, Deny, &[code]);
    }
    replays_identically(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_policies_say_comes_to_the_strictest() {
    let world = World::without_policy().await;
    says(&world.bot.decide(&ask()).await, Deny, &["no_applicable_policy"]);
    let elsewhere = json!({ "selector": { "resource_types": ["invoice"] } });
    world.activate_with("elsewhere", components::bytes("allow_all"), json!({}), elsewhere).await;
    says(&world.bot.decide(&ask()).await, Deny, &["no_applicable_policy"]);

    world.activate("quiet", components::bytes("abstain"), json!({})).await;
    says(&world.bot.decide(&ask()).await, Deny, &["not_allowed"]);
    world.activate("wide", components::bytes("allow_all"), json!({ "uses_max": 7, "grant_ms_max": 9_000 })).await;
    let answer = world.bot.decide(&ask()).await;
    says(&answer, Allow, &["everything"]);
    assert_eq!(answer.grant.unwrap().uses_max, 7);
    world.activate("narrow", components::bytes("allow_all"), json!({ "uses_max": 2, "grant_ms_max": 20_000 })).await;
    let answer = world.bot.decide(&ask()).await;
    let grant = answer.grant.unwrap();
    assert_eq!(grant.uses_max, 2);
    assert!(grant.expires_at_ms - grant.issued_at_ms <= 9_000);

    let required = json!({ "required": true });
    world.activate_with("required", components::bytes("abstain"), json!({}), required).await;
    says(&world.bot.decide(&ask()).await, Deny, &["required_policy_abstained"]);
    world.deactivate("required").await.expect(200);
    world.activate("careful", components::bytes("challenge"), json!({})).await;
    let answer = world.bot.decide(&ask()).await;
    says(&answer, Challenge, &["four_eyes"]);
    assert_eq!((answer.approvers[0].role.as_str(), answer.approvers[0].count), ("operator", 2));
    world.activate("hostile", components::bytes("loop_in_evaluate"), json!({})).await;
    says(&world.bot.decide(&ask()).await, Deny, &["policy_failed"]);
    world.activate("against", components::bytes("deny_public_reason"), json!({})).await;
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(answer.decision, Deny);
    assert_eq!(codes(&answer).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["closed", "policy_failed"]));
}

/// A grant ends at a whole second. Where the terms leave it none, there is a recorded deny and no error.
#[tokio::test(flavor = "multi_thread")]
async fn terms_that_leave_no_whole_second_deny() {
    let world = World::without_policy().await;
    world.activate("brief", components::bytes("allow_all"), json!({ "grant_ms_max": 1 })).await;
    // At the very end of a second there is one, for a millisecond.
    let mut denied = 0;
    for _ in 0..5 {
        let answer = world.bot.decide(&ask()).await;
        if answer.decision == Deny {
            says(&answer, Deny, &["grant_too_short"]);
            denied += 1;
        }
    }
    assert!(denied > 0);
}

/// The guest allows ten times a day. Ten of many that ask at once are allowed, no more and no fewer, and the
/// rest are denied for the limit; asking again under the same idempotency key charges nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ten_of_sixty_four_at_once_are_allowed_where_ten_may_be() {
    let world = World::without_policy().await;
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    world.activate_with("limited", components::bytes("debit"), json!({}), json!({ "limits": limits })).await;
    let first: DecisionAnswer = world.bot.ask_once("same", &ask()).await.expect(200).json();
    let again: DecisionAnswer = world.bot.ask_once("same", &ask()).await.expect(200).json();
    assert_eq!((first.decision, &first.decision_id), (Allow, &again.decision_id));
    let full = json!({ "policy": "limited", "counter": "requests", "amount": "1", "at_most": "10", "found": "10" });
    let world = std::sync::Arc::new(world);
    let asking: Vec<_> = (0..64)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let waiting = Waiting::begin("a decision");
                loop {
                    // A full queue is no decision.
                    let answer = world.bot.post("/v1/decisions", &ask()).await;
                    if answer.status != 503 {
                        return answer.expect(200).json::<DecisionAnswer>();
                    }
                    waiting.a_moment().await;
                }
            })
        })
        .collect();
    let mut allowed = 1;
    for asked in asking {
        let answer = asked.await.unwrap();
        let limit = &world.record_of(&answer).await["limit"];
        if answer.decision == Allow {
            assert_eq!(*limit, Value::Null);
            allowed += 1;
        } else {
            says(&answer, Deny, &["limit_exceeded"]);
            assert_eq!(*limit, full);
        }
    }
    assert_eq!(allowed, 10);
    let answer = world.bot.decide(&ask()).await;
    says(&answer, Deny, &["limit_exceeded"]);
    let record = world.record_of(&answer).await;
    assert_eq!(record["policies"][0]["counters"][0]["used"], "10");
    // The policy allowed; the deny follows from what the counter had no room for.
    assert_eq!((&record["policies"][0]["outcome"], &record["limit"]), (&json!("allow"), &full));
    replays_identically(&world).await;
}

/// What all policies ask for together has no room in one decision: nobody is asked, and nobody allowed.
#[tokio::test(flavor = "multi_thread")]
async fn more_counters_than_one_decision_has_room_for_deny() {
    let world = World::without_policy().await;
    let names: Vec<String> = (0..16).map(|n| format!("c{n}")).collect();
    let settings = json!({ "counters": names, "say": { "charge": 1 } });
    for n in 0..4 {
        world.activate(&format!("p{n}"), components::bytes("knows"), settings.clone()).await;
    }
    let answer = world.bot.decide(&ask()).await;
    says(&answer, Allow, &[]);
    assert_eq!(world.record_of(&answer).await["charges"].as_array().unwrap().len(), 64);
    for n in 4..9 {
        world.activate(&format!("p{n}"), components::bytes("knows"), settings.clone()).await;
    }
    let answer = world.bot.decide(&ask()).await;
    says(&answer, Deny, &["too_many_facts"]);
    assert_eq!(world.record_of(&answer).await["policies_asked"], false);
    replays_identically(&world).await;
}

/// A policy that loops for ever denies by deadline, and nobody else waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_looping_policy_hurts_only_those_whom_it_is_asked_about() {
    let world = World::new().await;
    let other = Machine::new(&world.reach, "other-bot");
    let mut body = attorn_tests::world::agent_registration(&other);
    body["labels"] = json!({ "team": "billing" });
    world.staff.registrar.post("/v1/agents", &body).await.expect(201);
    let only_others = json!({ "selector": { "agent_labels": { "team": "billing" } } });
    world.activate_with("looping", components::bytes("loop_in_evaluate"), json!({}), only_others).await;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let spin = async {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            says(&other.decide(&ask()).await, Deny, &["policy_failed"]);
        }
    };
    let calm = async {
        for _ in 0..50 {
            says(&world.bot.decide(&ask()).await, Allow, &["listed"]);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(spin, calm);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_policy_allows_reading_and_nothing_else() {
    let world = World::new().await;
    says(&world.bot.decide(&ask()).await, Allow, &["listed"]);
    says(&world.bot.decide(&ask_with(json!({ "action": "faq.list" }))).await, Allow, &["listed"]);
    says(&world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await, Deny, &["action_not_listed"]);
    let mut settings = read_only_settings();
    settings["grant_seconds_max"] = 5.into();
    world.activate("read-only", components::bytes("read-only"), settings).await;
    let grant = world.bot.decide(&ask()).await.grant.unwrap();
    assert!(grant.expires_at_ms - grant.issued_at_ms <= 5_000);
    assert_eq!(world.bot.decide(&ask()).await.reasons[0].policy.as_deref(), Some("read-only"));
    replays_identically(&world).await;
}
