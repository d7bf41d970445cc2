//! Facts: who may say what is so, and what a decision makes of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use attorn_api::facts::{FactList, FactsDeleted, FactsSet};
use attorn_store::{KeyKind, KeyPrefix, Store};
use attorn_tests::machines::now_ms;
use attorn_tests::process::binary;
use attorn_tests::replays::replays_identically;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask};
use attorn_tests::{Call, Process, Staff, World, components};
use serde_json::{Value, json};

const OWNER: &str = "resource/article/42/owner";
const YEAR_MS: u64 = 366 * 24 * 3_600_000;

fn one(name: &str, value: &Value) -> Value {
    json!({ "facts": [{ "name": name, "value": value }] })
}

async fn codes(world: &World) -> Vec<String> {
    world.bot.decide(&ask()).await.reasons.into_iter().map(|reason| reason.code).collect()
}

/// Only the policy decides that allows whom the fact names.
async fn world() -> World {
    let world = World::without_policy().await;
    world.activate("owners", components::bytes("needs_fact"), json!({})).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_fact_is_refused_and_nothing_is_set() {
    let world = World::without_policy().await;
    let size = world.log_size().await;
    let expired = json!({ "facts": [{ "name": OWNER, "value": 1, "expires_at_ms": now_ms() - 1 }] });
    let twice = json!({ "facts": [{ "name": OWNER, "value": 1 }, { "name": OWNER, "value": 2 }] });
    let half = json!({ "facts": [{ "name": OWNER, "value": 1 }, { "name": "a//b", "value": 2 }] });
    let many: Vec<_> = (0..129).map(|n| json!({ "name": format!("a/{n}"), "value": 1 })).collect();
    let long: Vec<_> = (0..40).map(|n| json!({ "name": format!("a{n}/{}", "x".repeat(880)), "value": 1 })).collect();
    for body in [
        one("", &json!(1)),
        one("/a", &json!(1)),
        one("a/../b", &json!(1)),
        one("a/*", &json!(1)),
        // Each name has one spelling: an escape that nobody needs, and one in lower case.
        one("resource/article/%34%32/owner", &json!(1)),
        one("resource/article/a%2fb/owner", &json!(1)),
        one("a b", &json!(1)),
        one("\u{430}", &json!(1)),
        one(&"x".repeat(901), &json!(1)),
        one(OWNER, &json!("x".repeat(4_096))),
        json!({ "facts": [] }),
        json!({ "facts": many }),
        json!({ "facts": long }),
        expired,
        twice,
        half,
    ] {
        world.staff.registrar.post("/v1/facts", &body).await.refused(422, "invalid_field");
    }
    for body in [r#"{"facts":[{"name":"a","name":"b","value":1}]}"#, r#"{"facts":[{"name":"a","value":1,"ttl":1}]}"#] {
        let call = attorn_tests::Call::new("POST", "/v1/facts").json(body);
        world.staff.registrar.send(call).await.refused(400, "invalid_body");
    }
    let none = json!({ "names": [] });
    world.staff.registrar.post("/v1/facts/delete", &none).await.refused(422, "invalid_field");
    assert_eq!(world.log_size().await, size);
    let list: FactList = world.staff.registrar.get("/v1/facts").await.json();
    assert_eq!(list.facts, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_server_speaks_of_its_own_resources_only() {
    let world = World::without_policy().await;
    let size = world.log_size().await;
    // The last is one segment of the type, escaped: the type is another.
    for name in ["resource/account/7/owner", "user/alice/risk", "resource/article", "resource/article%2F1/owner"] {
        world.faq.post("/v1/resource-facts", &one(name, &json!(1))).await.refused(422, "invalid_field");
        let names = json!({ "names": [name] });
        world.faq.post("/v1/resource-facts/delete", &names).await.refused(422, "invalid_field");
    }
    assert_eq!(world.log_size().await, size);
    let set: FactsSet = world.faq.post("/v1/resource-facts", &one(OWNER, &json!("alice"))).await.json();
    assert_eq!(set.set, 1);
    let list: FactList = world.staff.registrar.get("/v1/facts?prefix=resource/article/").await.json();
    let [fact] = &list.facts[..] else { panic!("{list:?}") };
    assert_eq!((fact.set_by.as_str(), &fact.value, fact.counts), ("resource-server/faq", &json!("alice"), true));
    let deleted: FactsDeleted = world.faq.post("/v1/resource-facts/delete", &json!({ "names": [OWNER] })).await.json();
    assert_eq!(deleted.deleted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_there_is_named_and_not_recorded_as_forgotten() {
    let world = World::without_policy().await;
    let delete = async |names: Value| -> FactsDeleted {
        world.staff.registrar.post("/v1/facts/delete", &json!({ "names": names })).await.json()
    };
    world.staff.registrar.post("/v1/facts", &one("user/alice/risk", &json!(7))).await.expect(200);
    let deleted = delete(json!(["user/bob/risk", "user/alice/risk", "user/alice/rsik"])).await;
    let not_there = ["user/alice/rsik", "user/bob/risk"].map(str::to_owned).to_vec();
    assert_eq!(deleted, FactsDeleted { deleted: 1, not_there });
    let entry = world.entries().await.pop().unwrap();
    assert_eq!(entry["type"], "facts_deleted");
    assert_eq!(entry["about"], json!({ "names": ["user/alice/risk"] }));
    let size = world.log_size().await;
    let deleted = delete(json!(["user/alice/risk"])).await;
    assert_eq!(deleted, FactsDeleted { deleted: 0, not_there: vec!["user/alice/risk".into()] });
    let deleted: FactsDeleted = world.faq.post("/v1/resource-facts/delete", &json!({ "names": [OWNER] })).await.json();
    assert_eq!(deleted, FactsDeleted { deleted: 0, not_there: vec![OWNER.into()] });
    assert_eq!(world.log_size().await, size, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_so_decides_the_very_next_request() {
    let world = world().await;
    assert_eq!(codes(&world).await, ["owner_unknown"]);
    let say = |owner: &str| one(OWNER, &json!(owner));
    world.faq.post("/v1/resource-facts", &say("support@example.org")).await.expect(200);
    assert_eq!(codes(&world).await, [""; 0]);
    world.staff.registrar.post("/v1/facts", &say("somebody@example.org")).await.expect(200);
    assert_eq!(codes(&world).await, ["not_the_owner"]);
    // A value of another type is a failure of the policy, which denies.
    world.staff.registrar.post("/v1/facts", &one(OWNER, &json!(["support@example.org"]))).await.expect(200);
    assert_eq!(codes(&world).await, ["policy_failed"]);
    world.staff.registrar.post("/v1/facts/delete", &json!({ "names": [OWNER] })).await.expect(200);
    assert_eq!(codes(&world).await, ["owner_unknown"]);
    replays_identically(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_counts_as_missing() {
    let world = world().await;
    let soon = json!({ "facts": [
        { "name": OWNER, "value": "support@example.org", "expires_at_ms": now_ms() + 6_000 },
    ] });
    world.staff.registrar.post("/v1/facts", &soon).await.expect(200);
    assert_eq!(codes(&world).await, [""; 0]);
    tokio::time::sleep(Duration::from_millis(6_500)).await;
    assert_eq!(codes(&world).await, ["owner_unknown"]);
    let list: FactList = world.staff.registrar.get("/v1/facts").await.json();
    assert!(!list.facts[0].counts);
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(world.record_of(&answer).await["facts"][0]["missing"], "expired");
    // What an operator said for a time binds the resource server no longer than that.
    world.faq.post("/v1/resource-facts", &one(OWNER, &json!("support@example.org"))).await.expect(200);
    assert_eq!(codes(&world).await, [""; 0]);
    replays_identically(&world).await;
}

/// The operator who corrects a resource server has the last word, and the record says whose word counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_said_no_resource_server_takes_back() {
    let world = world().await;
    let (lie, truth) = (one(OWNER, &json!("support@example.org")), one(OWNER, &json!("somebody@example.org")));
    world.faq.post("/v1/resource-facts", &lie).await.expect(200);
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(world.record_of(&answer).await["facts"][0]["set_by"], "resource-server/faq");
    world.staff.registrar.post("/v1/facts", &truth).await.expect(200);

    let size = world.log_size().await;
    let names = json!({ "names": [OWNER] });
    let among_others = json!({ "facts": [{ "name": "resource/article/7/owner", "value": 1 }, lie["facts"][0]] });
    for (path, body) in
        [("/v1/resource-facts", &lie), ("/v1/resource-facts", &among_others), ("/v1/resource-facts/delete", &names)]
    {
        let problem = world.faq.post(path, body).await.refused(409, "invalid_state");
        assert!(problem.help.is_some_and(|help| help.contains("operator")), "{path}");
    }
    assert_eq!(world.log_size().await, size);
    let list: FactList = world.staff.registrar.get("/v1/facts").await.json();
    assert_eq!(list.facts.len(), 1, "{list:?}");
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(answer.reasons[0].code, "not_the_owner");
    let fact = world.record_of(&answer).await["facts"][0].clone();
    assert_eq!((&fact["set_by"], &fact["missing"]), (&json!("operator/registrar"), &Value::Null));

    // An operator gives it back by forgetting it.
    world.staff.registrar.post("/v1/facts/delete", &names).await.expect(200);
    let answer = world.bot.decide(&ask()).await;
    let fact = world.record_of(&answer).await["facts"][0].clone();
    assert_eq!((&fact["set_by"], &fact["missing"]), (&Value::Null, &json!("not_set")));
    world.faq.post("/v1/resource-facts", &lie).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_facts_and_never_their_values() {
    let world = World::without_policy().await;
    world.staff.registrar.post("/v1/facts", &one("user/alice/risk", &json!("marked-value"))).await.expect(200);
    let entries = world.entries().await;
    let last = entries.last().map(ToString::to_string).unwrap_or_default();
    assert!(last.contains("facts_set") && last.contains("user/alice/risk") && last.contains("value_digest"), "{last}");
    assert!(entries.iter().all(|entry| !entry.to_string().contains("marked-value")));
}

/// Values are short and come from small sets: whoever reads the log alone must not be able to try them all.
/// Whoever may read the record of a decision can check which value was set.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_s_digest_of_a_value_can_be_checked_and_not_guessed() {
    let world = world().await;
    let owner = json!("support@example.org");
    let mut digests = Vec::new();
    for _ in 0..2 {
        world.faq.post("/v1/resource-facts", &one(OWNER, &owner)).await.expect(200);
        let entry = world.entries().await.pop().unwrap();
        digests.push(entry["facts"][0]["value_digest"].as_str().unwrap().to_owned());
    }
    assert_ne!(digests[0], digests[1], "the same value can be told by its digest");
    let answer = world.bot.decide(&ask()).await;
    let fact = world.record_of(&answer).await["facts"][0].clone();
    let salt = data_encoding::HEXLOWER.decode(fact["salt"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(salt.len(), 16);
    let mut digest = blake3::Hasher::new_derive_key("attorn fact value v1");
    digest.update(&salt).update(fact["value"].to_string().as_bytes());
    assert_eq!(digests[1], digest.finalize().to_hex().as_str());
    let list: Value = world.staff.registrar.get("/v1/facts").await.json();
    assert_eq!(list["facts"][0]["salt"], fact["salt"]);
    let salt = fact["salt"].as_str().unwrap();
    assert!(world.entries().await.iter().all(|entry| !entry.to_string().contains(salt)));
}

/// However often a fact is set anew, there is one place in the index of what expires, or none.
#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_counts_no_more_leaves_nothing_behind() {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    let soon = now_ms() + 3_600_000;
    let until = |name: &str, at: u64| json!({ "facts": [{ "name": name, "value": 1, "expires_at_ms": at }] });
    for body in [
        until("twice", soon),
        until("twice", soon + 1),
        until("twice", soon + 2),
        until("same", soon),
        until("same", soon),
        until("for-ever", soon),
        one("for-ever", &json!(1)),
        until("gone", soon),
    ] {
        staff.registrar.post("/v1/facts", &body).await.expect(200);
    }
    staff.registrar.post("/v1/facts/delete", &json!({ "names": ["gone", "never"] })).await.expect(200);
    let own = until(OWNER, soon);
    cast.faq.post("/v1/resource-facts", &own).await.expect(200);
    cast.faq.post("/v1/resource-facts/delete", &json!({ "names": [OWNER] })).await.expect(200);

    process.kill().await;
    let store = Store::open(&fresh.data_dir(), &fresh.ours()).unwrap();
    let page = store.scan(&KeyPrefix::kind(KeyKind::Expiry), None, 100).await.unwrap();
    let left: Vec<_> = page.items.iter().filter_map(|(key, _)| key.expiring()).collect();
    let left: Vec<_> = left.iter().map(|(at, what)| (at.0 - soon, what.to_string())).collect();
    assert_eq!(left, [(0, "fact/same".to_owned()), (2, "fact/twice".to_owned())]);
}

/// What would expire after anybody remembers it is no expiry.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_expires_later_than_in_ten_years() {
    let world = World::without_policy().await;
    let until = |at: u64| json!({ "facts": [{ "name": "a", "value": 1, "expires_at_ms": at }] });
    for at in [now_ms() + 11 * YEAR_MS, (1 << 53) - 1] {
        let problem = world.staff.registrar.post("/v1/facts", &until(at)).await.refused(422, "invalid_field");
        assert!(problem.help.is_some_and(|help| help.contains("`expires_at_ms`")), "{at}");
    }
    world.staff.registrar.post("/v1/facts", &until(now_ms() + 9 * YEAR_MS)).await.expect(200);
}

/// A proof covers the body, so the body is read before anybody knows who sent it: it has to be small. An
/// operator's token is looked at first.
#[tokio::test(flavor = "multi_thread")]
async fn only_operators_make_the_server_read_a_large_body() {
    let world = World::without_policy().await;
    let values = |name: &str| {
        let fact = |n: usize| json!({ "name": format!("{name}/{n}"), "value": "x".repeat(4_000) });
        json!({ "facts": (0..10).map(fact).collect::<Vec<_>>() })
    };
    let own = values("resource/article");
    world.faq.post("/v1/resource-facts", &own).await.refused(413, "body_too_large");
    world.reach.send(Call::post("/v1/resource-facts", &own)).await.refused(413, "body_too_large");
    let foreign = Call::post("/v1/facts", &values("a")).bearer("attorn_op_nobody");
    world.reach.send(foreign).await.refused(401, "unauthenticated");
    world.staff.registrar.post("/v1/facts", &values("a")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_listed_in_pages() {
    let world = World::without_policy().await;
    let facts: Vec<_> = (0..5).map(|n| json!({ "name": format!("user/u{n}/risk"), "value": n })).collect();
    world.staff.registrar.post("/v1/facts", &json!({ "facts": facts })).await.expect(200);
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let list: FactList = world.staff.registrar.get(format!("/v1/facts?limit=2&prefix=user/{after}")).await.json();
        names.extend(list.facts.into_iter().map(|fact| fact.name));
        match list.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, (0..5).map(|n| format!("user/u{n}/risk")).collect::<Vec<_>>());
}

/// What the command prints and how it ends.
async fn attorn(world: &World, args: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(binary());
    command.args(args).env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &world.staff.registrar.token);
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_one_fact_and_sends_nothing_of_a_file_with_mistakes() {
    let world = World::without_policy().await;
    for (name, value) in [("a/b", 1), ("a/b/c", 2), ("a/bc", 3)] {
        world.staff.registrar.post("/v1/facts", &one(name, &json!(value))).await.expect(200);
    }
    let (code, said) = attorn(&world, &["--json", "fact", "show", "a/b"]).await;
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &shown["name"], &shown["value"]), (Some(0), &json!("a/b"), &json!(1)));
    for name in ["a", "a/b/", "nothing"] {
        let (code, said) = attorn(&world, &["fact", "show", name]).await;
        let expect = if name == "a/b/" { (Some(2), "is no name of a fact") } else { (Some(1), "there is no fact `") };
        assert!(code == expect.0 && said.contains(expect.1), "{name}: {code:?} {said}");
    }

    let size = world.log_size().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    // More than one request's worth of right lines come first.
    let right: Vec<_> = (0..60).map(|n| format!(r#"{{"name":"right/{n}","value":{n}}}"#)).collect();
    let wrong = [r#"{"name":"right/7","value":1}"#, r#"{"name":"late","value":1,"expires_at_ms":1}"#];
    std::fs::write(path, format!("{}\n{}\n", right.join("\n"), wrong.join("\n"))).unwrap();
    let (code, said) = attorn(&world, &["fact", "import", path]).await;
    assert!(code == Some(2) && said.contains("line 61: ") && said.contains("line 62: "), "{code:?} {said}");
    assert_eq!(world.log_size().await, size);
    std::fs::write(path, right.join("\n")).unwrap();
    assert_eq!(attorn(&world, &["fact", "import", path]).await.0, Some(0));
    let list: FactList = world.staff.registrar.get("/v1/facts?prefix=right/&limit=100").await.json();
    assert_eq!(list.facts.len(), 60);
}
