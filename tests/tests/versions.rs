//! Versions, the set in force, selectors: who may change what, what a failed load leaves, where a
//! rollback leads.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::policies::{ActiveSet, Policy, PolicyList, SetChanged};
use attorn_tests::replays::replays_identically;
use attorn_tests::world::{ask, ask_with, blake3_hex, read_only_settings};
use attorn_tests::{Answer, Machine, Operator, World, components};
use serde_json::{Value, json};

const ROLLBACK: &str = "/v1/policies/p/rollback";
const ACTIVATE: &str = "/v1/policies/p/activate";
const CHANGES: &str = "/v1/active-set/changes";

/// A policy `p` of three versions: the first two allow, the third denies. None is in force.
async fn three_versions() -> World {
    let world = World::without_policy().await;
    for guest in ["allow_all", "allow_all", "deny_public_reason"] {
        world.push("p", components::bytes(guest), json!({}), json!({})).await.expect(201);
    }
    world
}

async fn set(world: &World) -> ActiveSet {
    world.staff.policy_admin.get("/v1/active-set").await.json()
}

async fn policy(world: &World) -> Policy {
    world.staff.policy_admin.get("/v1/policies/p").await.json()
}

fn codes(answer: &DecisionAnswer) -> Vec<&str> {
    answer.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

/// Changes of `p`, with who may make them, from the state that the rows before led to.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_can_weaken_needs_the_duty_and_has_an_entry_of_its_own() {
    let world = three_versions().await;
    world.push("p", components::bytes("allow_all"), json!({}), json!({ "mode": "shadow" })).await.expect(201);
    let narrowed = json!({ "required": true, "selector": { "actions": ["faq.read"] } });
    world.push("p", components::bytes("allow_all"), json!({}), narrowed).await.expect(201);
    let version = |version: u32| json!({ "version": version });
    let all = |version: Option<u32>| json!({ "policies": { "p": version } });
    let rows: [(&str, Value, bool, &str); 10] = [
        (ACTIVATE, version(1), false, "policy_activated"),
        (ACTIVATE, version(2), true, "policy_replaced"),
        (ACTIVATE, version(4), true, "policy_replaced"),
        (ACTIVATE, version(5), true, "policy_replaced"),
        (ROLLBACK, json!({}), true, "policy_rolled_back"),
        (ROLLBACK, json!({ "to": 1 }), true, "policy_rolled_back"),
        (CHANGES, all(Some(3)), true, "policy_replaced"),
        (CHANGES, all(None), true, "policy_deactivated"),
        (ROLLBACK, json!({}), false, "policy_rolled_back"),
        (CHANGES, all(Some(1)), true, "policy_replaced"),
    ];
    for (path, body, weakens, kind) in rows {
        let (before, size) = (set(&world).await, world.log_size().await);
        world.staff.policy_weakener.post(path, &body).await.refused(403, "missing_duty");
        if weakens {
            assert!(world.staff.policy_admin.post(path, &body).await.refused(403, "missing_duty").help.is_some());
        }
        assert_eq!((set(&world).await, world.log_size().await), (before.clone(), size), "{path} {body}");
        let who: &Operator = if weakens { &world.staff.policy_replacer } else { &world.staff.policy_admin };
        let changed: SetChanged = who.post(path, &body).await.expect(200).json();
        assert_eq!(changed.active_set.revision, before.revision + 1);
        let entry = world.entries().await.pop().unwrap();
        assert_eq!((&entry["type"], &entry["operator"]), (&json!(kind), &json!(who.id)), "{path} {body}");
        assert_eq!(entry["about"]["active_set"]["revision"], changed.active_set.revision);
        assert_eq!(entry["about"]["replaced"], json!(changed.changes[0].version.and(changed.changes[0].replaced)));
        let again = who.post(path, &body).await;
        assert!(again.status == 409 || path == ROLLBACK, "{path} {body}: {}", again.text());
    }
    let entries = world.entries().await;
    let to_shadow = entries.iter().find(|entry| entry["about"]["version"] == 4 && entry["type"] == "policy_replaced");
    assert_eq!(to_shadow.unwrap()["about"]["changed"], json!(["mode"]));
    let narrowed = entries.iter().find(|entry| entry["about"]["version"] == 5 && entry["type"] == "policy_replaced");
    assert_eq!(narrowed.unwrap()["about"]["changed"], json!(["selector", "mode", "required"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leads_back_step_by_step() {
    let world = three_versions().await;
    let who = &world.staff.policy_replacer;
    who.post(ROLLBACK, &json!({})).await.refused(409, "invalid_state");
    who.post("/v1/policies/none/rollback", &json!({})).await.refused(404, "not_found");
    for version in 1..=3 {
        who.post(ACTIVATE, &json!({ "version": version })).await.expect(200);
    }
    assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Deny);
    who.post(ROLLBACK, &json!({ "to": 3 })).await.refused(409, "invalid_state");
    who.post(ROLLBACK, &json!({ "to": 9 })).await.refused(409, "invalid_state");
    let shown = policy(&world).await;
    assert_eq!(shown.before, [2, 1]);
    // What was replaced stays loaded, and says so.
    let loaded = shown.versions.iter().map(|version| (version.version, version.active, version.load.is_some()));
    assert_eq!(loaded.collect::<Vec<_>>(), [(3, true, true), (2, false, true), (1, false, true)]);
    for (expect, before) in [(2, vec![1]), (1, vec![])] {
        let changed: SetChanged = who.post(ROLLBACK, &json!({})).await.expect(200).json();
        assert_eq!(changed.changes[0].version, Some(expect));
        let policy = policy(&world).await;
        assert_eq!((policy.active_version, policy.before), (Some(expect), before));
        assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    }
    who.post(ROLLBACK, &json!({})).await.refused(409, "invalid_state");
    let list: PolicyList = who.get("/v1/policies").await.json();
    let active = list.policies[0].active.as_ref().unwrap();
    assert_eq!((active.version, list.policies[0].before, list.active_set.policies), (1, None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_change_at_once_or_not_at_all() {
    let world = three_versions().await;
    world.push("q", components::bytes("allow_all"), json!({}), json!({})).await.expect(201);
    let who = &world.staff.policy_replacer;
    let post = async |policies: Value| -> Answer { who.post(CHANGES, &json!({ "policies": policies })).await };
    let changed: SetChanged = post(json!({ "p": 1, "q": 1 })).await.expect(200).json();
    assert_eq!((changed.active_set.revision, changed.active_set.policies), (1, 2));
    let (before, size) = (set(&world).await, world.log_size().await);
    post(json!({ "p": 2, "q": 9 })).await.refused(404, "not_found");
    post(json!({ "p": 2, "q": 1 })).await.refused(409, "invalid_state");
    post(json!({ "p": 2, "none": null })).await.refused(404, "not_found");
    post(json!({ "p": 2, "../q": null })).await.refused(422, "invalid_field");
    post(json!({})).await.refused(422, "invalid_field");
    let many: serde_json::Map<String, Value> = (0..65).map(|n| (format!("p{n}"), Value::Null)).collect();
    post(Value::Object(many)).await.refused(422, "invalid_field");
    assert_eq!((set(&world).await, world.log_size().await), (before, size));
    let changed: SetChanged = post(json!({ "p": 3, "q": null })).await.expect(200).json();
    assert_eq!((changed.active_set.revision, changed.active_set.policies), (2, 1));
    let entries = world.entries().await;
    let kinds: Vec<_> = entries.iter().rev().take(2).map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["policy_deactivated", "policy_replaced"]);
}

/// Whatever keeps a version from being loaded leaves the set as it is, and says which step and why; also
/// where the version would not have to be compiled.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_load_leaves_the_set_untouched() {
    let world = three_versions().await;
    let who = &world.staff.policy_replacer;
    for version in [1, 3] {
        who.post(ACTIVATE, &json!({ "version": version })).await.expect(200);
    }
    let digest = blake3_hex(&components::bytes("allow_all"));
    let file = find(world.server.data_dir(), &digest).unwrap();
    let good = std::fs::read(&file).unwrap();
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    let before = set(&world).await;
    let rows = [
        (ACTIVATE, json!({ "version": 2 })),
        (ROLLBACK, json!({})),
        (CHANGES, json!({ "policies": { "p": 2 } })),
        ("/v1/policies/p/versions", json!({ "component": digest, "settings": {} })),
    ];
    for damage in [None, Some(&changed), Some(&good[..9].to_vec())] {
        // The first round leaves none behind.
        let _ = std::fs::remove_file(&file);
        if let Some(bytes) = damage {
            std::fs::write(&file, bytes).unwrap();
        }
        for (path, body) in &rows {
            let size = world.log_size().await;
            let answer = who.post(*path, body).await;
            match damage {
                None => assert!(answer.refused(404, "not_found").detail.contains(&digest)),
                Some(_) => assert!(answer.refused(422, "component_rejected").detail.contains("the step `read`")),
            }
            assert_eq!((set(&world).await, world.log_size().await), (before.clone(), size), "{path}");
            assert_eq!(codes(&world.bot.decide(&ask()).await), ["closed"]);
        }
    }
    let push = world.push("p", components::bytes("loop_in_init"), json!({}), json!({})).await;
    assert!(push.refused(422, "component_rejected").detail.contains("the step `init`"));
    assert_eq!(set(&world).await, before);
    // To put it again mends it.
    std::fs::write(&file, &changed).unwrap();
    for (path, body) in &rows {
        assert!(who.post(*path, body).await.refused(422, "component_rejected").help.unwrap().contains("put it again"));
    }
    assert_eq!(set(&world).await, before);
    world.put(good).await;
    who.post(ROLLBACK, &json!({})).await.expect(200);
    assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Allow);
}

fn find(directory: std::path::PathBuf, digest: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = find(path, digest) {
                return Some(found);
            }
        } else if path.file_name().is_some_and(|name| name.to_string_lossy() == digest) {
            return Some(path);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_says_which_requests_a_policy_is_asked_about() {
    let world = World::without_policy().await;
    let other = Machine::new(&world.reach, "other-bot");
    let mut body = attorn_tests::world::agent_registration(&other);
    body["labels"] = json!({ "team": "billing" });
    world.staff.registrar.post("/v1/agents", &body).await.expect(201);
    for (selector, bot_reads, bot_writes, other_reads) in [
        (json!({}), true, true, true),
        (json!({ "actions": ["faq.read"] }), true, false, true),
        (json!({ "actions": ["faq.*", "x.y"], "resource_types": ["article"] }), true, true, true),
        (json!({ "actions": ["*"], "resource_types": ["invoice"] }), false, false, false),
        (json!({ "agent_labels": { "team": "support" } }), true, true, false),
        (json!({ "agent_labels": { "team": "support", "tier": "gold" } }), false, false, false),
        (json!({ "user": "without" }), true, true, true),
        (json!({ "user": "with" }), false, false, false),
        (json!({ "user": null }), true, true, true),
    ] {
        let extra = json!({ "selector": selector });
        world.activate_with("p", components::bytes("allow_all"), json!({}), extra).await;
        let (reads, writes) = (ask(), ask_with(json!({ "action": "faq.write" })));
        for (machine, ask, asked) in
            [(&world.bot, &reads, bot_reads), (&world.bot, &writes, bot_writes), (&other, &reads, other_reads)]
        {
            let expect = if asked { "everything" } else { "no_applicable_policy" };
            assert_eq!(codes(&machine.decide(ask).await), [expect], "{selector} {}", machine.id);
        }
    }
    let wrong = json!({ "selector": { "user": "maybe" } });
    world.push("p", components::bytes("allow_all"), json!({}), wrong).await.refused(400, "invalid_body");
    replays_identically(&world).await;
}

/// One decision asks 64 policies at most. One more about the same request denies it, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn more_policies_than_one_decision_asks_deny_it() {
    let world = World::without_policy().await;
    world.activate("base", components::bytes("read-only"), read_only_settings()).await;
    let component = world.put(components::bytes("allow_all")).await;
    let mut policies = serde_json::Map::new();
    for n in 0..64 {
        let selector = json!({ "actions": ["faq.read"] });
        let body = json!({ "component": component, "settings": {}, "selector": selector });
        world.staff.policy_admin.post(format!("/v1/policies/p{n}/versions"), &body).await.expect(201);
        policies.insert(format!("p{n}"), 1.into());
    }
    let last = policies.remove("p63").unwrap();
    world.staff.policy_admin.post(CHANGES, &json!({ "policies": policies })).await.expect(200);
    let limits_aside = world.bot.decide(&ask()).await;
    assert_ne!(codes(&limits_aside), ["too_many_policies"]);
    let one_more = json!({ "version": last });
    world.staff.policy_admin.post("/v1/policies/p63/activate", &one_more).await.expect(200);
    let answer = world.bot.decide(&ask()).await;
    assert_eq!((answer.decision, codes(&answer)), (DecisionKind::Deny, vec!["too_many_policies"]));
    let record: Value = world.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.json();
    assert_eq!((&record["policies_asked"], &record["decision"]), (&json!(false), &json!("deny")));
    assert_eq!(codes(&world.bot.decide(&ask_with(json!({ "action": "faq.list" }))).await), ["listed"]);
    world.deactivate("p63").await.expect(200);
    assert_ne!(codes(&world.bot.decide(&ask()).await), ["too_many_policies"]);
    replays_identically(&world).await;
}
