//! `/v1/targets` where no database answers: what is refused and how, what is shown and what never is, and that whoever
//! asks for a token is not hurt. What a database does with logins is tried by `cargo xtask interop --only postgresql`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod commands;

use std::time::Instant;

use attorn_api::simulations::Simulation;
use attorn_api::targets::{Target, TargetCheck, TargetFault, TargetList, TargetRotated};
use attorn_tests::replays::replays_identically;
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{Metrics, World, components};
use commands::command;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PASSWORD: &str = "nobody reads this password";
/// What a database says.
const WORDS: &str = "the words of the database";

fn target(id: &str, resource_type: &str, port: u16) -> Value {
    json!({ "id": id, "resource_types": [resource_type], "password": PASSWORD, "postgresql": {
        "host": "127.0.0.1", "port": port, "database": "shop", "admin": "attorn",
        "rules": [{ "action": "faq.read", "resource": format!("{resource_type}/*"), "roles": ["reader", "O'Brien\""] }],
        "connections_max": 1, "leases_max": 1, "leases_per_agent_max": 1, "lease_ms_max": 60_000 } })
}

fn for_login(mut ask: Value) -> Value {
    ask["credential"] = "postgresql".into();
    ask["arguments"] = json!({});
    ask
}

async fn register(world: &World, body: &Value) -> Target {
    world.staff.registrar.post("/v1/targets", body).await.expect(201).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_registered_shown_and_retired_and_its_password_never() {
    let world = World::new().await;
    let registrar = &world.staff.registrar;
    let shown = register(&world, &target("shop", "article", 1)).await;
    assert_eq!((shown.state.as_str(), shown.secret_version, shown.open_leases), ("active", 1, 0));
    assert_eq!(json!(shown.postgresql), target("shop", "article", 1)["postgresql"]);
    let list: TargetList = registrar.get("/v1/targets").await.expect(200).json();
    assert_eq!(list.targets.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["shop"]);
    let reason = json!({ "reason": "INC-1" });
    registrar.post("/v1/targets/shop/resume", &reason).await.refused(409, "invalid_state");
    registrar.post("/v1/targets/shop/suspend", &reason).await.expect(200);
    registrar.post("/v1/targets/shop/resume", &reason).await.expect(200);
    let retired: Target = registrar.post("/v1/targets/shop/retire", &reason).await.expect(200).json();
    assert_eq!(retired.state, "retired");
    for verb in ["suspend", "resume", "retire"] {
        registrar.post(format!("/v1/targets/shop/{verb}"), &reason).await.refused(409, "invalid_state");
    }
    registrar.act("/v1/targets/shop/rotate").await.refused(409, "invalid_state");
    registrar.post("/v1/targets", &target("shop", "note", 1)).await.refused(409, "already_exists");
    // Its types are free again.
    register(&world, &target("shop-2", "article", 1)).await;
    for (path, code) in
        [("/v1/targets/none", "not_found"), ("/v1/leases/lse_00000000000000000000000000000000", "not_found")]
    {
        registrar.get(path).await.refused(404, code);
    }
    registrar.get("/v1/leases/lse_1").await.refused(422, "invalid_field");
    registrar.get("/v1/leases?target=none").await.refused(404, "not_found");
    let entries = world.entries().await;
    let types = ["target_registered", "target_suspended", "target_resumed", "target_retired", "target_registered"];
    let said: Vec<&str> = entries.iter().filter_map(|entry| entry["type"].as_str()).collect();
    assert_eq!(said[said.len() - 5..], types);
    assert!(!json!(entries).to_string().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_cannot_be_are_refused() {
    let world = World::without_policy().await;
    let registrar = &world.staff.registrar;
    let refused = async |status: u16, code: &str, spoil: &dyn Fn(&mut Value)| {
        let mut body = target("shop", "article", 1);
        spoil(&mut body);
        let answer = registrar.post("/v1/targets", &body).await;
        assert!(!answer.text().contains(PASSWORD), "{}", answer.text());
        answer.refused(status, code);
    };
    refused(422, "invalid_field", &|body| body["id"] = "Shop".into()).await;
    refused(422, "invalid_field", &|body| body["resource_types"] = json!([])).await;
    refused(422, "invalid_field", &|body| body["password"] = "".into()).await;
    refused(422, "invalid_field", &|body| body["password"] = "x".repeat(1_025).into()).await;
    for (member, value) in [
        ("host", json!("/var/run/postgresql")),
        ("host", json!("")),
        ("port", json!(0)),
        ("database", json!("")),
        ("admin", json!("a\u{0}b")),
        ("rules", json!([])),
        ("rules", json!([{ "action": "*", "resource": "*", "roles": [] }])),
        ("rules", json!([{ "action": "a**", "resource": "*", "roles": ["reader"] }])),
        ("rules", json!([{ "action": "*", "resource": "a**", "roles": ["reader"] }])),
        ("rules", json!([{ "action": "*", "resource": "*", "roles": ["x".repeat(64)] }])),
        ("tls_roots_pem", json!("no certificate")),
        ("connections_max", json!(0)),
        ("leases_max", json!(100_001)),
        ("leases_per_agent_max", json!(0)),
        ("leases_per_agent_max", json!(2)),
        ("lease_ms_max", json!(86_400_001)),
    ] {
        refused(422, "invalid_field", &|body| body["postgresql"][member] = value.clone()).await;
    }
    let everywhere = json!([{ "action": "*", "roles": ["reader"] }]);
    for (member, value) in
        [("rules", everywhere), ("port", json!(65_536)), ("sslmode", json!("disable")), ("rules", json!({}))]
    {
        refused(400, "invalid_body", &|body| body["postgresql"][member] = value.clone()).await;
    }
    registrar.post("/v1/targets", &target("shop", "article", 1)).await.expect(201);
    registrar.post("/v1/targets", &target("shop", "note", 1)).await.refused(409, "already_exists");
    registrar.post("/v1/targets", &target("other", "article", 1)).await.refused(409, "target_type_taken");
}

/// What would never count, or never be reached, is refused at once, and whoever is refused reads what to do.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_never_come_to_anything_is_refused_when_it_is_registered() {
    let world = World::without_policy().await;
    let registrar = &world.staff.registrar;
    let said = async |spoil: &dyn Fn(&mut Value)| {
        let mut body = target("shop", "article", 1);
        spoil(&mut body["postgresql"]);
        registrar.post("/v1/targets", &body).await.refused(422, "invalid_field").detail
    };
    let rule = |action: &str, resource: &str| json!({ "action": action, "resource": resource, "roles": ["reader"] });
    for (rules, why) in [
        (json!([rule("faq.read", "invoice/*")]), "`invoice` is no resource type of the target's"),
        (json!([rule("faq.read", "invoice/7")]), "`invoice` is no resource type of the target's"),
        (
            json!([rule("faq.*", "article/*"), rule("faq.read", "article/7")]),
            "the one for `faq.* article/*` stands before it",
        ),
        (json!([rule("*", "*"), rule("faq.read", "*")]), "stands before it"),
    ] {
        let detail = said(&|body| body["rules"] = rules.clone()).await;
        assert!(detail.contains("never counts") && detail.contains(why), "{rules}: {detail}");
    }
    let own: u16 = world.reach.url.rsplit(':').next().unwrap().parse().unwrap();
    for (host, port, why) in [
        ("169.254.169.254", 80, "metadata"),
        ("fd00:ec2::254", 80, "metadata"),
        ("127.0.0.1", own, "this server itself"),
        ("::1", own, "this server itself"),
        ("192.0.2.1", 5_432, "only a loopback address"),
    ] {
        let detail = said(&|body| (body["host"], body["port"]) = (host.into(), port.into())).await;
        assert!(detail.contains(why) && detail.contains("`host`"), "{host}: {detail}");
    }
    // A narrower rule before a wider one counts, and what a name leads to is looked at when it is used.
    let mut body = target("shop", "article", 1);
    body["postgresql"]["rules"] = json!([rule("faq.read", "article/7"), rule("faq.*", "article/*"), rule("*", "*")]);
    (body["postgresql"]["host"], body["postgresql"]["port"]) = ("localhost".into(), own.into());
    registrar.post("/v1/targets", &body).await.expect(201);
    let taken = registrar.post("/v1/targets", &target("other", "article", 1)).await.refused(409, "target_type_taken");
    assert!(taken.detail.contains("tied to the target `shop`"), "{taken}");
    assert!(taken.help.unwrap().contains("`attorn target retire shop`"));
}

/// One password, told to one target: another with the same administrator would not be let in any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_two_targets_is_not_changed_for_one() {
    let world = World::without_policy().await;
    let registrar = &world.staff.registrar;
    assert!(register(&world, &target("shop", "article", 1)).await.same_administrator.is_empty());
    let mut second = target("archive", "note", 1);
    second["postgresql"]["database"] = "archive".into();
    assert_eq!(register(&world, &second).await.same_administrator, ["shop"]);
    let mut other = target("other", "file", 1);
    other["postgresql"]["admin"] = "another".into();
    assert!(register(&world, &other).await.same_administrator.is_empty());
    let said = command(&world, "target show shop").await;
    assert!(said.starts_with("0\n") && said.contains("the same as of archive"), "{said}");
    for suspended in [false, true] {
        if suspended {
            // Its logins are still ended by that administrator.
            registrar.post("/v1/targets/archive/suspend", &json!({})).await.expect(200);
        }
        let problem = registrar.act("/v1/targets/shop/rotate").await.refused(409, "invalid_state");
        assert!(problem.detail.contains("target `archive` has the administrator of `shop`"), "{problem}");
        assert!(problem.help.unwrap().contains("rotate-secret"));
        let shown: Target = registrar.get("/v1/targets/shop").await.expect(200).json();
        assert_eq!((shown.secret_version, shown.same_administrator.as_slice()), (1, &["archive".to_owned()][..]));
    }
    registrar.act("/v1/targets/other/rotate").await.expect(200);
    registrar.post("/v1/targets/archive/retire", &json!({})).await.expect(200);
    let rotated: TargetRotated = registrar.act("/v1/targets/shop/rotate").await.expect(200).json();
    assert!(!rotated.changed && rotated.target.same_administrator.is_empty(), "nobody answers: {rotated:?}");
    for (state, expect) in [("active", &["other", "shop"][..]), ("suspended", &[]), ("retired", &["archive"])] {
        let list: TargetList = registrar.get(format!("/v1/targets?state={state}")).await.expect(200).json();
        assert_eq!(list.targets.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), expect, "{state}");
        let said = command(&world, &format!("target list --state {state}")).await;
        assert!(expect.iter().all(|id| said.contains(id)), "{said}");
    }
    registrar.get("/v1/targets?state=gone").await.refused(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_makes_nothing_and_hurts_nobody() {
    let world = World::new().await;
    world.bot.post("/v1/decisions", &for_login(ask())).await.refused(422, "no_target");
    register(&world, &target("shop", "article", 1)).await;
    let size = world.log_size().await;
    for _ in 0..3 {
        world.bot.post("/v1/decisions", &for_login(ask())).await.refused(503, "target_unavailable");
    }
    assert_eq!(world.log_size().await, size, "something was decided");
    assert!(world.bot.decide(&ask()).await.credential.is_some());
    let check: TargetCheck = world.staff.registrar.post("/v1/targets/shop/check", &json!({})).await.expect(200).json();
    assert!(!check.reachable && !check.problems[0].contains(PASSWORD), "{check:?}");
    let rotated: TargetRotated = world.staff.registrar.act("/v1/targets/shop/rotate").await.expect(200).json();
    assert!(!rotated.changed && rotated.target.secret_version == 1, "{rotated:?}");
    // What is denied is denied as ever, and asks no target.
    let outside = for_login(ask_with(json!({ "action": "payment.send" })));
    let began = Instant::now();
    let answer = world.bot.decide(&outside).await;
    assert!(answer.grant.is_none() && answer.login.is_none(), "{:?}", began.elapsed());
    let list: TargetList = world.staff.registrar.get("/v1/targets").await.expect(200).json();
    assert_eq!(list.targets[0].open_leases, 0);
    let open: Value = world.staff.registrar.get("/v1/leases?target=shop").await.expect(200).json();
    assert_eq!(open, json!({ "leases": [], "next": null }));
}

/// Somebody who answers as a database does that lets nobody in: with this code, and words that no agent is to read.
async fn refuses(code: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let fields = format!("SFATAL\0VFATAL\0C{code}\0M{WORDS}\0\0");
            let length = u32::try_from(fields.len() + 4).unwrap();
            let refusal = [&b"E"[..], &length.to_be_bytes(), fields.as_bytes()].concat();
            let mut begun = [0; 1_024];
            if stream.read(&mut begun).await.is_ok() {
                let _ = stream.write_all(&refusal).await;
            }
        }
    });
    port
}

/// What an operator has to mend is told apart from what passes: an agent reads which of both it is and nothing of what the
/// database says, and whoever checks the target reads what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_mended_is_told_apart_from_what_passes() {
    let world = World::new().await;
    let registrar = &world.staff.registrar;
    let faults = [
        ("28P01", TargetFault::SignIn, "target_misconfigured"),
        ("28000", TargetFault::SignIn, "target_misconfigured"),
        ("42501", TargetFault::Rights, "target_misconfigured"),
        ("3D000", TargetFault::Database, "target_misconfigured"),
        ("53300", TargetFault::Other, "target_unavailable"),
    ];
    for (at, (code, fault, problem)) in faults.into_iter().enumerate() {
        let id = format!("shop-{at}");
        register(&world, &target(&id, "article", refuses(code).await)).await;
        let size = world.log_size().await;
        let answer = world.bot.post("/v1/decisions", &for_login(ask())).await;
        let mended = problem == "target_misconfigured";
        assert_eq!(answer.header("retry-after").is_none(), mended, "{code}");
        let problem = answer.refused(503, problem);
        let help = problem.help.unwrap();
        assert!(!problem.detail.contains(code) && !help.contains(code), "{code}: {} {help}", problem.detail);
        assert!(!answer.text().contains(WORDS), "{}", answer.text());
        assert_eq!(help.contains(&format!("`attorn target check {id}`")), mended, "{code}: {help}");
        assert_eq!(world.log_size().await, size, "{code}: something was decided");
        let check = registrar.post(format!("/v1/targets/{id}/check"), &json!({})).await.expect(200);
        let check: TargetCheck = check.json();
        assert_eq!((check.reachable, check.fault), (true, Some(fault)), "{code}: {check:?}");
        let counted = async || Metrics::of(&world.staff.auditor).await.count("attorn_targets_misconfigured", &[]);
        assert_eq!(counted().await, Some(usize::from(mended)), "{code}");
        assert!(check.problems[0].contains(WORDS), "{check:?}");
        let said = command(&world, &format!("target check {id}")).await;
        assert!(said.starts_with("1\n") && !said.contains("cannot be reached"), "{said}");
        assert_eq!(said.contains("does not let its administrator in"), fault == TargetFault::SignIn, "{said}");
        registrar.post(format!("/v1/targets/{id}/retire"), &json!({})).await.expect(200);
        assert_eq!(counted().await, Some(0), "nobody has to mend one that is retired");
    }
    // Nobody is there at all.
    register(&world, &target("shop", "article", 1)).await;
    let check: TargetCheck = registrar.post("/v1/targets/shop/check", &json!({})).await.expect(200).json();
    assert_eq!((check.reachable, check.fault), (false, Some(TargetFault::Unreachable)), "{check:?}");
    world.bot.post("/v1/decisions", &for_login(ask())).await.refused(503, "target_unavailable");
    let said = command(&world, "target check shop").await;
    assert!(said.starts_with("1\n") && said.contains("error: the target cannot be reached"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_operator_chose_is_asked_for() {
    let world = World::new().await;
    register(&world, &target("shop", "article", 1)).await;
    for (member, value) in [
        ("credential", json!("ssh")),
        ("credential", json!({ "postgresql": { "roles": ["admin"] } })),
        ("roles", json!(["admin"])),
        ("target", json!("shop")),
    ] {
        let mut ask = for_login(ask());
        ask[member] = value;
        world.bot.post("/v1/decisions", &ask).await.refused(400, "invalid_body");
    }
    // The policy allows this, and no rule of the target's is for it.
    let listing = for_login(ask_with(json!({ "action": "faq.list" })));
    world.bot.post("/v1/decisions", &listing).await.refused(422, "no_target");
    // What nobody would hold the login to is not decided.
    let mut refund = for_login(ask());
    refund["arguments"] = json!({ "cents": 7 });
    world.bot.post("/v1/decisions", &refund).await.refused(422, "invalid_field");
    let reason = json!({ "reason": "INC-1" });
    world.staff.registrar.post("/v1/targets/shop/suspend", &reason).await.expect(200);
    world.bot.post("/v1/decisions", &for_login(ask())).await.refused(422, "no_target");
}

/// A rule is for an action on a resource, both.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_one_resource_gives_nothing_for_another() {
    let world = World::new().await;
    let mut of_one = target("shop", "article", 1);
    of_one["postgresql"]["rules"] = json!([{ "action": "faq.read", "resource": "article/7", "roles": ["reader"] }]);
    register(&world, &of_one).await;
    world.bot.post("/v1/decisions", &for_login(ask())).await.refused(422, "no_target");
    // Nobody answers where there is a rule, so it was the rule.
    let seven = for_login(ask_with(json!({ "resource": "article/7" })));
    world.bot.post("/v1/decisions", &seven).await.refused(503, "target_unavailable");
}

/// A policy sees that a login is wanted and where, may say no, and is asked the same again in a replay.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_sees_that_a_login_is_wanted() {
    let world = World::without_policy().await;
    world.activate("tokens", components::bytes("no_logins"), json!({})).await;
    assert!(world.bot.decide(&ask()).await.credential.is_some());
    for tied in [false, true] {
        if tied {
            register(&world, &target("shop", "article", 1)).await;
        }
        let denied = world.bot.decide(&for_login(ask())).await;
        assert_eq!(denied.reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), ["tokens_only"]);
        let said = world.entries().await.into_iter().rfind(|entry| entry["type"] == "decision").unwrap();
        let target = if tied { json!("shop") } else { json!(null) };
        assert_eq!(said["credential"], json!({ "kind": "postgresql", "target": target }));
    }
    assert!(world.bot.decide(&ask()).await.credential.is_some());
    replays_identically(&world).await;
    let said = world.entries().await.into_iter().rfind(|entry| entry["type"] == "decision").unwrap();
    assert_eq!(said.get("credential"), None);

    world.activate("echo", components::bytes("echo_context"), json!({})).await;
    let tried = json!({ "agent": "support-bot", "request": for_login(ask()) });
    let tried: Simulation = world.staff.explainer.post("/v1/simulations", &tried).await.expect(200).json();
    let echo = tried.policies.iter().find(|policy| policy.policy == "echo").unwrap();
    let seen: Value = serde_json::from_str(echo.failure_detail.as_deref().unwrap()).unwrap();
    assert_eq!(seen["extensions"], json!({ "attorn.credential": r#"{"kind":"postgresql","target":"shop"}"# }));
}
