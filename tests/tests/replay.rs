//! What was decided is decided again: identically, in this process, after a restart, from a copy and in another process;
//! and what cannot be, says why.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::process::Command;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::replays::{Comparison, Replay};
use attorn_core::JsonText;
use attorn_store::records::{DecisionRecord, Kept};
use attorn_store::{Batch, Key, Store};
use attorn_tests::behalf::ask_by;
use attorn_tests::files::copy_dir;
use attorn_tests::process::binary;
use attorn_tests::replays::{Same, replay, replays_identically};
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, ask_with, blake3_hex, read_only_settings};
use attorn_tests::{Behalf, Process, Staff, World, components};
use serde_json::{Value, json};

use DecisionKind::{Allow, Challenge, Deny};

const OWNER: &str = "resource/article/42/owner";

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

async fn set_owner(cast: &Cast, owner: &str) {
    let fact = json!({ "facts": [{ "name": OWNER, "value": owner }] });
    cast.staff.registrar.post("/v1/facts", &fact).await.expect(200);
}

/// Decide under one policy more, and take it out again.
async fn under(cast: &Cast, guest: &str, settings: Value, ask: &Value) -> DecisionAnswer {
    cast.activate_with("guest", components::bytes(guest), settings, patient()).await;
    let answer = cast.bot.decide(ask).await;
    cast.deactivate("guest").await.expect(200);
    answer
}

/// Decisions of all kinds without a user; how many of them asked a policy.
async fn history(cast: &Cast) -> usize {
    cast.activate_with("read-only", components::bytes("read-only"), read_only_settings(), patient()).await;
    let odd = ask_with(json!({ "arguments": { "n": 1.5e300, "text": "\u{e9}\u{1f600}\"\\", "deep": [[{}]] },
        "claims": { "null": null, "zero": 0 }, "session": "s-1" }));
    assert_eq!(cast.bot.decide(&odd).await.decision, Allow);
    assert_eq!(cast.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await.decision, Deny);
    assert_eq!(cast.bot.decide(&ask_with(json!({ "purpose": "make-money" }))).await.decision, Deny);
    assert_eq!(under(cast, "challenge", json!({}), &ask()).await.decision, Challenge);
    assert_eq!(under(cast, "needs_fact", json!({}), &ask()).await.decision, Deny);
    for (owner, expect) in [("support@example.org", Allow), ("somebody@example.org", Deny)] {
        set_owner(cast, owner).await;
        assert_eq!(under(cast, "needs_fact", json!({}), &ask()).await.decision, expect);
    }
    let mut asked = 6;
    for guest in ["trap", "error", "huge_output", "memory_bomb", "stack_overflow", "echo_context", "undeclared_reason"]
    {
        assert_eq!(under(cast, guest, json!({}), &odd).await.decision, Deny, "{guest}");
        asked += 1;
    }
    let settings = json!({ "facts": [OWNER, "agent/{agent.id}/nothing"], "counters": ["c"], "say": { "charge": 3 } });
    assert_eq!(under(cast, "knows", settings, &ask()).await.decision, Allow);
    cast.activate_with("limited", components::bytes("debit"), json!({}), patient()).await;
    for at in 0..12 {
        assert_eq!(cast.bot.decide(&ask()).await.decision, if at < 10 { Allow } else { Deny });
    }
    asked + 13
}

/// How many were asked for again, and how many could not be. A busy machine is no difference.
const fn counts(same: Same) -> (usize, usize) {
    (same.asked(), same.not_run)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_of_decisions_replay_identically_also_after_a_restart_and_from_a_copy() {
    let mut world = World::without_policy().await;
    let asked = history(&world).await;
    let same = (asked, 1);
    assert_eq!(counts(replays_identically(&world).await), same);
    world.server.restart(false).await;
    assert_eq!(counts(replays_identically(&world).await), same);
    world.server.move_to_copy().await;
    assert_eq!(counts(replays_identically(&world).await), same);
}

/// What a policy saw is what it sees again, whole: the user, the chain, facts and counters too.
#[tokio::test(flavor = "multi_thread")]
async fn on_behalf_of_a_user_policies_see_again_what_they_saw() {
    let mut scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    let child = scene.offered(&scene.bot, &delegation, &scene.helper).await;
    let risk = json!({ "facts": [{ "name": format!("user/{}/risk", delegation.user), "value": { "score": 0.25 } }] });
    scene.staff.registrar.post("/v1/facts", &risk).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &delegation).await.decision, Allow);
    assert_eq!(scene.read(&scene.helper, &child).await.decision, Allow);
    let knows = json!({ "facts": ["user/{user.id}/risk", "agent/{agent.id}/x"], "counters": ["n"] });
    for (guest, settings) in [("echo_context", json!({})), ("knows", knows)] {
        scene.activate_with("sees", components::bytes(guest), settings, patient()).await;
        let answer = scene.read(&scene.helper, &child).await;
        let record = scene.record_of(&answer).await;
        let recorded = record["policies"].as_array().unwrap().iter().find(|policy| policy["policy"] == "sees").unwrap();
        let replay = replay(&scene, &answer.decision_id).await;
        let again = replay.policies.iter().find(|policy| policy.policy == "sees").unwrap();
        assert_eq!(recorded["failure_detail"], json!(again.detail), "{guest}");
        assert_eq!(replay.comparison, Comparison::Identical, "{replay:?}");
    }
    let outside = scene.bot.decide(&ask_by(&delegation, "account.read", "account/other/x")).await;
    assert_eq!(outside.decision, Deny);
    let same = (4, 1);
    assert_eq!(counts(replays_identically(&scene).await), same);
    scene.world.server.restart(false).await;
    assert_eq!(counts(replays_identically(&scene).await), same);
    // Erased, nobody sees it any more; what the entry says is told.
    let before = replay(&scene, &scene_decision(&scene).await).await;
    scene.erase(&delegation.user).await.expect(200);
    let after = replay(&scene, &before.decision_id).await;
    assert_eq!((after.comparison, &after.replayed), (Comparison::Missing, &None));
    assert_eq!((after.missing.len(), after.missing[0].what.as_str()), (1, "record"));
    assert_eq!(after.recorded, before.recorded);
    let told = |replay: &Replay| replay.policies.iter().map(|policy| policy.recorded.clone()).collect::<Vec<_>>();
    assert_eq!(told(&after), told(&before));
    assert!(after.policies.iter().all(|policy| policy.comparison == Comparison::Missing && policy.replayed.is_none()));
}

/// The first decision in the log.
async fn scene_decision(cast: &Cast) -> String {
    let entries = cast.entries().await;
    let first = entries.iter().find(|entry| entry["type"] == "decision").unwrap();
    first["decision_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_is_refused_and_nothing_comes_of_a_replay() {
    let world = World::without_policy().await;
    world.activate_with("limited", components::bytes("debit"), json!({}), patient()).await;
    let answer = world.bot.decide(&ask()).await;
    let auditor = &world.staff.auditor;
    let replays = |body: Value| async move { auditor.post("/v1/replays", &body).await };
    let unknown = "dec_0123456789abcdef0123456789abcdef";
    let size = world.log_size().await;
    replays(json!({ "decision_id": unknown })).await.refused(404, "not_found");
    replays(json!({ "decision_id": "dec_1" })).await.refused(422, "invalid_field");
    replays(json!({})).await.refused(400, "invalid_body");
    replays(json!({ "decision_id": unknown, "x": 1 })).await.refused(400, "invalid_body");
    let body = json!({ "decision_id": answer.decision_id });
    world.staff.policy_admin.post("/v1/replays", &body).await.refused(403, "missing_duty");
    assert_eq!(world.log_size().await, size);
    for _ in 0..3 {
        assert_eq!(replay(&world, &answer.decision_id).await.comparison, Comparison::Identical);
    }
    // Three entries that say who replayed, and nothing else.
    let entries = world.entries().await;
    assert_eq!(entries.len() as u64, size + 3);
    for entry in entries.iter().rev().take(3) {
        assert_eq!((&entry["type"], &entry["operator"]), (&json!("replay"), &json!("auditor")));
        assert_eq!(entry["about"], json!({ "decision_id": answer.decision_id, "comparison": "identical" }));
    }
    let record = world.record_of(&world.bot.decide(&ask()).await).await;
    assert_eq!(record["policies"][0]["counters"][0]["used"], "1", "a replay has charged");
}

/// No way leads to the end of a version that a record names; and without its component, that is said.
#[tokio::test(flavor = "multi_thread")]
async fn versions_live_as_long_as_records_that_name_them() {
    let mut world = World::without_policy().await;
    let large = json!({ "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }] });
    world.activate_with("ends", components::bytes("read-only"), large, patient()).await;
    let answer = world.bot.decide(&ask()).await;
    world.deactivate("ends").await.expect(200);
    let revoke = json!({ "reason": "a test" });
    world.staff.policy_admin.post("/v1/policies/ends/versions/1/revoke", &revoke).await.expect(200);
    for _ in 0..20 {
        world.push("ends", components::bytes("read-only"), read_only_settings(), json!({})).await.expect(201);
    }
    world.server.restart(false).await;
    assert_eq!(replay(&world, &answer.decision_id).await.comparison, Comparison::Identical);
    world.server.restart(false).await;
    let blob = world.server.data_dir().join("blobs").join(blake3_hex(&components::bytes("read-only")));
    let bytes = std::fs::read(&blob).unwrap();
    let replayed = |why: &'static str| {
        let world = &world;
        let id = &answer.decision_id;
        async move {
            let replay = replay(world, id).await;
            assert_eq!((replay.comparison, replay.replayed), (Comparison::Missing, None), "{why}");
            assert_eq!((replay.missing.len(), replay.missing[0].what.as_str()), (1, "component"), "{why}");
            assert_eq!(replay.policies[0].recorded, "allow");
        }
    };
    std::fs::write(&blob, b"\0asm\x0d\0\x01\0 and something else").unwrap();
    replayed("altered").await;
    std::fs::remove_file(&blob).unwrap();
    replayed("removed").await;
    std::fs::write(&blob, bytes).unwrap();
    assert_eq!(replay(&world, &answer.decision_id).await.comparison, Comparison::Identical);
}

/// A server in a process of its own that has decided something.
async fn process() -> (Fresh, Process, Cast) {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    (fresh, process, cast)
}

/// How a command ends, and what it prints.
fn attorn(cast: &Cast, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.args(arguments).env("ATTORN_URL", &cast.reach.url).env("ATTORN_TOKEN", &cast.staff.explainer.token);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_other_processes_and_by_the_command_it_is_the_same_and_a_tampered_record_is_named() {
    let (fresh, first, cast) = process().await;
    let asked = history(&cast).await;
    let same = (asked, 1);
    assert_eq!(counts(replays_identically(&cast).await), same);
    first.kill().await;
    let second = Process::start(&fresh.config, &fresh.reach).await;
    assert_eq!(counts(replays_identically(&cast).await), same);
    let id = scene_decision(&cast).await;
    let (code, said) = attorn(&cast, &["audit", "replay", &id]);
    assert_eq!(code, Some(0), "{said}");
    for expect in ["identical: every policy says the same", "read-only  1        allow     allow     identical"] {
        assert!(said.contains(expect), "{said}");
    }
    let (code, said) = attorn(&cast, &["audit", "replay", "dec_0123456789abcdef0123456789abcdef"]);
    assert!(code == Some(1) && said.contains("there is no decision `dec_01"), "{said}");
    second.kill().await;
    // In a copy of the directory somebody changes the record.
    let home = fresh.dir.path().join("copy");
    copy_dir(fresh.config.parent().unwrap(), &home);
    let config = attorn_server::Config::load(&home.join("attorn.toml")).unwrap();
    let store = Store::open(&home.join("data"), &attorn_server::data::ours(&config).unwrap()).unwrap();
    let key = Key::decision(&id.parse().unwrap());
    let stored = store.record::<DecisionRecord>(&key).await.unwrap().unwrap();
    let Kept::Plain(text) = &stored.value.text else { unreachable!("there is no user") };
    let changed = text.as_str().replace("support@example.org", "mallory@example.org");
    assert_ne!(changed, text.as_str());
    let mut batch = Batch::new(attorn_core::TimeMs(attorn_tests::machines::now_ms()));
    batch.put.push((key, changed_record(&stored.value, changed)));
    store.commit(batch).await.unwrap();
    drop(store);
    let third = Process::start(&home.join("attorn.toml"), &fresh.reach).await;
    let (code, said) = attorn(&cast, &["audit", "replay", &id, "--json"]);
    let replay: Replay = serde_json::from_str(&said).unwrap_or_else(|error| unreachable!("{error}: {said}"));
    assert_eq!((code, replay.comparison, replay.replayed), (Some(5), Comparison::Altered, None));
    assert!(replay.missing[0].detail.contains("it is not the one that its entry names"), "{said}");
    third.kill().await;
}

fn changed_record(record: &DecisionRecord, text: String) -> Vec<u8> {
    use attorn_store::records::Record as _;
    DecisionRecord { id: record.id, text: Kept::Plain(JsonText::from_canonical(text)) }.encode()
}
