//! History is decided again under another set of policies: what changes is counted, and what nobody can know is said.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::process::Command;

use attorn_api::decisions::DecisionKind;
use attorn_api::replays::{HistoryPage, Undecidable};
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, PURPOSE, ask, ask_with, read_only_settings};
use attorn_tests::{Behalf, Machine, Process, Staff, World, components};
use serde_json::{Value, json};

use DecisionKind::{Allow, Deny};

const OWNER: &str = "resource/{request.resource_type}/{request.resource_id}/owner";

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

fn recorded() -> Value {
    json!({ "base": "recorded" })
}

fn with(with: Value) -> Value {
    [("base".to_owned(), "active".into()), ("with".to_owned(), with)].into_iter().collect()
}

async fn page(cast: &Cast, query: &str, a: Value, b: Value) -> HistoryPage {
    let path = format!("/v1/replays/history?{query}");
    cast.staff.explainer.post(path, &json!({ "a": a, "b": b })).await.expect(200).json()
}

/// All pages as one.
async fn all(cast: &Cast, query: &str, a: &Value, b: &Value) -> HistoryPage {
    let mut all = page(cast, query, a.clone(), b.clone()).await;
    while let Some(next) = all.next {
        let more = page(cast, &format!("{query}&from={next}"), a.clone(), b.clone()).await;
        all = HistoryPage {
            decisions: all.decisions + more.decisions,
            same: all.same + more.same,
            same_otherwise: all.same_otherwise + more.same_otherwise,
            before_policies: all.before_policies + more.before_policies,
            changed: [all.changed, more.changed].concat(),
            undecidable: [all.undecidable, more.undecidable].concat(),
            ..more
        };
    }
    all
}

/// A push that is not put in force; its version.
async fn pushed(cast: &Cast, id: &str, guest: &str, settings: Value) -> u64 {
    let version: Value = cast.push(id, components::bytes(guest), settings, patient()).await.expect(201).json();
    version["version"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_would_have_decided_is_told_by_agent_and_action() {
    let world = World::without_policy().await;
    world.activate_with("main", components::bytes("read-only"), read_only_settings(), patient()).await;
    let other = Machine::new(&world.reach, "other-bot");
    let mut body = attorn_tests::world::agent_registration(&other);
    body["labels"] = json!({ "team": "billing" });
    world.staff.registrar.post("/v1/agents", &body).await.expect(201);
    for _ in 0..3 {
        assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    }
    assert_eq!(other.decide(&ask()).await.decision, Allow);
    assert_eq!(world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await.decision, Deny);
    assert_eq!(world.bot.decide(&ask_with(json!({ "purpose": "make-money" }))).await.decision, Deny);
    // Under the set in force, nothing is another.
    let page = all(&world, "", &recorded(), &with(json!({}))).await;
    assert_eq!((page.decisions, page.same, page.same_otherwise, page.before_policies), (6, 6, 0, 1));
    assert!(page.changed.is_empty() && page.undecidable.is_empty(), "{page:?}");
    // Another version denies; it is not in force, and never was.
    let denying = pushed(&world, "main", "deny_public_reason", json!({})).await;
    let page = all(&world, "", &recorded(), &with(json!({ "main": denying }))).await;
    assert_eq!((page.decisions, page.same, page.same_otherwise), (6, 1, 1), "{page:?}");
    assert_eq!(page.changed.len(), 4);
    for changed in &page.changed {
        assert_eq!((changed.a.decision, changed.b.decision, changed.action.as_str()), (Allow, Deny, "faq.read"));
        assert_eq!((changed.a.reasons[0].code.as_str(), changed.b.reasons[0].code.as_str()), ("listed", "closed"));
    }
    assert_eq!(page.changed.iter().filter(|changed| changed.agent == "other-bot").count(), 1);
    assert!(page.set_digests[0].is_none() && page.set_digests[1].is_some());
    // Filters choose, and a set may lack a policy.
    let page = all(&world, "agent=other-bot", &recorded(), &with(json!({ "main": null }))).await;
    assert_eq!((page.decisions, page.changed.len()), (1, 1));
    assert_eq!(page.changed[0].b.reasons[0].code, "no_applicable_policy");
    let page = all(&world, "action=faq.write", &recorded(), &with(json!({ "main": denying }))).await;
    assert_eq!((page.decisions, page.same_otherwise), (1, 1), "it was denied, too, for another reason");
    let page = all(&world, "until_ms=1", &recorded(), &recorded()).await;
    assert_eq!((page.decisions, page.next), (0, None));
    // Nothing was put in force, and who tried is in the log.
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    let entries = world.entries().await;
    let tried = entries.iter().rfind(|entry| entry["type"] == "history_replay").unwrap();
    assert_eq!((&tried["operator"], &tried["about"]["a"]["base"]), (&json!("explainer"), &json!("recorded")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_looked_up_is_undecidable_unless_somebody_denies_anyway() {
    let world = World::without_policy().await;
    world.activate_with("main", components::bytes("allow_all"), json!({}), patient()).await;
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    let wants = pushed(&world, "wants", "needs_fact", json!({})).await;
    let page = all(&world, "", &recorded(), &with(json!({ "wants": wants }))).await;
    let lack = &page.undecidable[0];
    let expect = (Undecidable::FactNotRecorded, "resource/article/42/owner", "support-bot", "faq.read");
    assert_eq!((lack.why, lack.what.as_str(), lack.agent.as_str(), lack.action.as_str()), expect);
    assert_eq!((page.decisions, page.same, page.changed.len(), page.undecidable.len()), (1, 0, 0, 1));
    // Whatever it says, another denies.
    let denies = pushed(&world, "denies", "deny_public_reason", json!({})).await;
    let page = all(&world, "", &recorded(), &with(json!({ "wants": wants, "denies": denies }))).await;
    assert_eq!((page.changed.len(), page.undecidable.len()), (1, 0), "{page:?}");
    // Another policy has it looked up, and then it is known: also that it is missing.
    let settings = json!({ "facts": [OWNER], "say": { "charge": 1 } });
    world.activate_with("looks", components::bytes("knows"), settings, patient()).await;
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    let fact = json!({ "facts": [{ "name": "resource/article/42/owner", "value": "support@example.org" }] });
    world.staff.registrar.post("/v1/facts", &fact).await.expect(200);
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    let page = all(&world, "", &recorded(), &with(json!({ "wants": wants, "looks": null }))).await;
    assert_eq!((page.decisions, page.undecidable.len(), page.changed.len()), (3, 1, 1), "{page:?}");
    assert_eq!(page.changed[0].b.reasons[0].code, "owner_unknown");
}

/// Counters are what they were for each decision: all versions share them, and what was full stays full.
#[tokio::test(flavor = "multi_thread")]
async fn counters_are_what_they_were_and_unknown_where_nobody_counted() {
    let world = World::without_policy().await;
    world.activate_with("counts", components::bytes("debit"), json!({}), patient()).await;
    for at in 0..12 {
        assert_eq!(world.bot.decide(&ask()).await.decision, if at < 10 { Allow } else { Deny });
    }
    let again = pushed(&world, "counts", "debit", json!({})).await;
    let page = all(&world, "", &recorded(), &with(json!({ "counts": again }))).await;
    assert_eq!((page.decisions, page.same, page.same_otherwise), (12, 12, 0), "{page:?}");
    // The same component as another policy has counters of its own, which nobody looked up.
    let other = pushed(&world, "other", "debit", json!({})).await;
    let page = all(&world, "", &recorded(), &with(json!({ "other": other, "counts": null }))).await;
    assert_eq!(page.undecidable.len(), 12);
    let lack = &page.undecidable[0];
    assert_eq!((lack.why, lack.what.as_str()), (Undecidable::CounterNotRecorded, "other/requests"));
    // Nor is a counter of another window the same, whatever its name.
    let settings = json!({ "counters": ["requests"], "say": { "charge": 1 } });
    let total = pushed(&world, "counts", "knows", settings).await;
    let page = all(&world, "", &recorded(), &with(json!({ "counts": total }))).await;
    assert_eq!(page.undecidable.len(), 12);
    // Without, all that was denied for the limit is allowed.
    let free = pushed(&world, "counts", "allow_all", json!({})).await;
    let page = all(&world, "", &recorded(), &with(json!({ "counts": free }))).await;
    assert_eq!((page.same_otherwise, page.changed.len()), (10, 2), "{page:?}");
    assert_eq!(page.changed[0].a.reasons[0].code, "limit_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_seen_or_is_erased_is_undecidable() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    assert_eq!(scene.read(&scene.bot, &delegation).await.decision, Allow);
    // More counters than there is room for: nobody is asked, and nothing is recorded of what they would have seen.
    let names: Vec<String> = (0..16).map(|n| format!("c{n}")).collect();
    for n in 0..9 {
        let settings = json!({ "counters": names, "say": { "charge": 1 } });
        scene.activate(&format!("p{n}"), components::bytes("knows"), settings).await;
    }
    assert_eq!(scene.bot.decide(&ask()).await.reasons[0].code, "too_many_facts");
    let nothing: serde_json::Map<String, Value> = (0..9).map(|n| (format!("p{n}"), Value::Null)).collect();
    let set = with(Value::Object(nothing));
    let page = all(&scene, "", &recorded(), &set).await;
    assert_eq!((page.decisions, page.same, page.undecidable.len()), (2, 1, 1), "{page:?}");
    assert_eq!(page.undecidable[0].why, Undecidable::ContextNotRecorded);
    scene.erase(&delegation.user).await.expect(200);
    let page = all(&scene, "", &recorded(), &set).await;
    let why: Vec<_> = page.undecidable.iter().map(|lack| lack.why).collect();
    assert_eq!(why, [Undecidable::UserErased, Undecidable::ContextNotRecorded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_means_nothing_is_refused() {
    let world = World::new().await;
    world.push("idle", components::bytes("allow_all"), json!({}), json!({})).await.expect(201);
    let size = world.log_size().await;
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (format!("p{n}"), Value::Null)).collect();
    for (query, a, b, status, code) in [
        ("", json!({ "base": "tomorrow" }), recorded(), 400, "invalid_body"),
        ("", json!({ "base": "recorded", "with": { "idle": 1 } }), recorded(), 422, "invalid_field"),
        ("", with(json!({ "Idle": 1 })), recorded(), 422, "invalid_field"),
        ("", recorded(), with(json!({ "idle": 9 })), 404, "not_found"),
        ("", recorded(), with(json!({ "none": 1 })), 404, "not_found"),
        ("", recorded(), with(Value::Object(many)), 422, "invalid_field"),
        ("from=x", recorded(), recorded(), 400, "invalid_query"),
        ("nonsense=1", recorded(), recorded(), 400, "invalid_query"),
        ("limit=1", recorded(), recorded(), 400, "invalid_query"),
    ] {
        let path = format!("/v1/replays/history?{query}");
        let answer = world.staff.explainer.post(path, &json!({ "a": a, "b": b })).await;
        answer.refused(status, code);
    }
    // To read is for auditors, to run what is not in force for policy admins too.
    let body = json!({ "a": recorded(), "b": with(json!({ "idle": 1 })) });
    let refused = world.staff.auditor.post("/v1/replays/history", &body).await.refused(403, "missing_duty");
    assert!(refused.help.is_some_and(|help| help.contains("policy_admin")));
    world.staff.policy_admin.post("/v1/replays/history", &body).await.refused(403, "missing_duty");
    let body = json!({ "a": recorded(), "b": with(json!({ "idle": null, "read-only": 1 })) });
    world.staff.auditor.post("/v1/replays/history", &body).await.refused(403, "missing_duty");
    assert_eq!(world.log_size().await, size);
    // Beyond the end there is nothing, and that is no error.
    for query in ["from=99999999", "from=7&to=3", "from=0&to=0"] {
        let page = page(&world, query, recorded(), recorded()).await;
        assert_eq!((page.decisions, page.next), (0, None), "{query}");
    }
    // To leave a policy out runs nothing that is not in force.
    let body = json!({ "a": recorded(), "b": with(json!({ "read-only": null })) });
    world.staff.auditor.post("/v1/replays/history", &body).await.expect(200);
}

/// More decisions than one call looks at, while others are made.
#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_where_the_one_before_ended_and_disturb_nobody() {
    let world = World::without_policy().await;
    world.activate_with("main", components::bytes("allow_all"), json!({}), patient()).await;
    for _ in 0..130 {
        world.bot.decide(&ask()).await;
    }
    let set = with(json!({}));
    let to = world.log_size().await;
    let first = page(&world, &format!("to={to}"), recorded(), set.clone()).await;
    assert_eq!((first.decisions, first.same), (100, 100));
    let then = recorded();
    let (whole, ()) = tokio::join!(all(&world, "", &then, &set), async {
        for _ in 0..30 {
            assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
        }
    });
    assert!(whole.decisions >= 130 && whole.same == whole.decisions, "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sums_up_all_of_history() {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate_with("main", components::bytes("read-only"), read_only_settings(), patient()).await;
    for _ in 0..5 {
        cast.bot.decide(&ask()).await;
    }
    cast.bot.decide(&json!({ "action": "faq.write", "resource": "article/1", "purpose": PURPOSE })).await;
    pushed(&cast, "main", "deny_public_reason", json!({})).await;
    let attorn = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["policy", "diff"]).args(arguments);
        command.env("ATTORN_URL", &fresh.reach.url).env("ATTORN_TOKEN", &cast.staff.explainer.token);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), said)
    };
    let (code, [said, errors]) = attorn(&["recorded", "main=2", "--on", "history", "--since", "1h"]);
    assert_eq!(code, Some(0), "{errors}");
    for expect in [
        "decisions    6\n",
        "changed      5\n             allow -> deny: 5\n",
        "undecidable  0\n",
        "support-bot  faq.read  allow -> deny  5      dec_",
    ] {
        assert!(said.contains(expect), "{said}");
    }
    let (code, [said, errors]) =
        attorn(&["active", "main=none", "--on", "history", "--agent", "support-bot", "--action", "faq.read", "--json"]);
    let sum: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &sum["decisions"], &sum["changed"][0]["count"]), (Some(0), &json!(5), &json!(5)), "{errors}");
    for arguments in [
        &["active", "main=2"][..],
        &["main", "1", "2", "--on", "history"],
        &["main", "1", "2", "--agent", "support-bot"],
        &["active", "main", "--on", "history"],
    ] {
        let (code, [_, errors]) = attorn(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {errors}");
    }
    let (code, [said, _]) = attorn(&["main", "1", "2"]);
    assert!(code == Some(0) && said.contains("component"), "{said}");
    process.kill().await;
}
