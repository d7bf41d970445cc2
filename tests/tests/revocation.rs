//! Revocation acts now: after its acknowledgement nothing that hangs on it is allowed or used.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attorn_api::decisions::{DecisionAnswer, DecisionKind, Grant};
use attorn_api::grants::GrantDetails;
use attorn_core::Duty;
use attorn_tests::people::bootstrap;
use attorn_tests::world::{ask, server_registration};
use attorn_tests::{Call, Machine, World};
use serde_json::{Value, json};

async fn allowed(world: &World) -> Grant {
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(answer.decision, DecisionKind::Allow, "{answer:?}");
    answer.grant.unwrap()
}

async fn denied(world: &World, code: &str) {
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(answer.decision, DecisionKind::Deny, "{answer:?}");
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, [code]);
    assert!(answer.grant.is_none() && answer.credential.is_none());
}

async fn is_active(world: &World, grant: &Grant) -> bool {
    world.staff.registrar.get(format!("/v1/grants/{}", grant.id)).await.json::<GrantDetails>().active
}

async fn change(world: &World, verb: &str) {
    let path = format!("/v1/agents/support-bot/{verb}");
    world.staff.registrar.post(path, &json!({ "reason": "a test" })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_agent_is_denied_and_its_grants_are_dead_until_it_is_resumed() {
    let world = World::new().await;
    let grant = allowed(&world).await;
    assert!(is_active(&world, &grant).await);
    change(&world, "suspend").await;
    denied(&world, "agent_suspended").await;
    assert!(!is_active(&world, &grant).await);
    let size = world.log_size().await;
    world.use_grant(&grant).await.refused(409, "grant_inactive");
    assert_eq!(world.log_size().await, size);
    world.staff.registrar.post("/v1/agents/support-bot/suspend", &json!({})).await.refused(409, "invalid_state");
    change(&world, "resume").await;
    allowed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agent_is_retired_for_ever() {
    let world = World::new().await;
    let grant = allowed(&world).await;
    change(&world, "retire").await;
    denied(&world, "agent_retired").await;
    world.use_grant(&grant).await.refused(409, "grant_inactive");
    for verb in ["resume", "suspend", "retire"] {
        let path = format!("/v1/agents/support-bot/{verb}");
        world.staff.registrar.post(path, &json!({})).await.refused(409, "invalid_state");
    }
    let newcomer = Machine::new(&world.reach, "support-bot");
    let registrar = &world.staff.registrar;
    let key = newcomer.key_registration("pod-2");
    registrar.post("/v1/agents/support-bot/keys", &key).await.refused(409, "invalid_state");
    let again = attorn_tests::world::agent_registration(&newcomer);
    registrar.post("/v1/agents", &again).await.refused(409, "already_exists");
    denied(&world, "agent_retired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_unknown_and_stays_taken() {
    let world = World::new().await;
    let grant = allowed(&world).await;
    let second = Machine::new(&world.reach, "support-bot");
    let registrar = &world.staff.registrar;
    registrar.post("/v1/agents/support-bot/keys", &second.key_registration("pod-2")).await.expect(200);
    let path = format!("/v1/agents/support-bot/keys/{}/revoke", world.bot.key.thumbprint());
    registrar.act(path).await.expect(200);
    world.bot.post("/v1/decisions", &ask()).await.refused(401, "unknown_key");
    world.use_grant(&grant).await.refused(409, "grant_inactive");
    assert_eq!(second.decide(&ask()).await.decision, DecisionKind::Allow);
    let back = world.bot.key_registration("pod-3");
    registrar.post("/v1/agents/support-bot/keys", &back).await.refused(409, "key_taken");
    let mut another = attorn_tests::world::agent_registration(&world.bot);
    another["id"] = "another-bot".into();
    registrar.post("/v1/agents", &another).await.refused(409, "key_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_grant_is_dead_and_others_live() {
    let world = World::new().await;
    let (grant, other) = (allowed(&world).await, allowed(&world).await);
    let path = format!("/v1/grants/{}/revoke", grant.id);
    world.staff.registrar.act(path.clone()).await.expect(200);
    world.use_grant(&grant).await.refused(409, "grant_inactive");
    assert!(!is_active(&world, &grant).await);
    world.staff.registrar.act(path).await.refused(409, "invalid_state");
    world.use_grant(&other).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_resource_server_gets_nothing_and_neither_does_its_successor() {
    let world = World::new().await;
    let grant = allowed(&world).await;
    world.staff.registrar.act("/v1/resource-servers/faq/revoke").await.expect(200);
    denied(&world, "resource_type_unknown").await;
    world.use_grant(&grant).await.refused(401, "unknown_key");
    assert!(!is_active(&world, &grant).await, "a grant for a revoked resource server is shown as active");
    let successor = Machine::new(&world.reach, "faq-2");
    let body = server_registration(&successor, "https://faq.example", &["article"]);
    world.staff.registrar.post("/v1/resource-servers", &body).await.refused(409, "resource_type_taken");
    world.staff.registrar.act("/v1/resource-servers/faq/revoke").await.refused(409, "invalid_state");
}

/// Asking again gives out the recorded grant's credential anew, but only while the grant stands.
#[tokio::test(flavor = "multi_thread")]
async fn asking_again_gives_nothing_out_after_a_revocation() {
    for path in ["/v1/grants/ID/revoke", "/v1/agents/support-bot/suspend", "/v1/resource-servers/faq/revoke"] {
        let world = World::new().await;
        let once: DecisionAnswer = world.bot.ask_once("key-1", &ask()).await.json();
        let path = path.replace("ID", &once.grant.unwrap().id);
        world.staff.registrar.post(path.clone(), &json!({})).await.expect(200);
        let again = world.bot.ask_once("key-1", &ask()).await;
        assert_eq!(again.status, 409, "after {path}: {}", again.text());
        again.refused(409, "grant_inactive");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_out_of_force_allows_nothing() {
    let world = World::new().await;
    let before = world.bot.decide(&ask()).await;
    assert_eq!(before.decision, DecisionKind::Allow);
    world.deactivate("read-only").await.expect(200);
    denied(&world, "no_applicable_policy").await;
    let after = world.bot.decide(&ask()).await;
    assert_eq!(after.active_set.revision, before.active_set.revision + 1);
    assert_ne!(after.active_set.digest, before.active_set.digest);
    world.deactivate("read-only").await.refused(409, "invalid_state");
    world.staff.policy_admin.post("/v1/policies/read-only/activate", &json!({ "version": 1 })).await.expect(200);
    allowed(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_version_needs_the_duty_to_weaken() {
    let world = World::new().await;
    let narrower = json!({ "allow": [{ "actions": ["faq.list"], "resource_types": ["article"] }] });
    let component = attorn_tests::components::bytes("read-only");
    world.push("read-only", component, narrower, json!({})).await.expect(201);
    let (path, second) = ("/v1/policies/read-only/activate", json!({ "version": 2 }));
    let size = world.log_size().await;
    assert!(world.staff.policy_admin.post(path, &second).await.refused(403, "missing_duty").help.is_some());
    world.staff.policy_weakener.post(path, &second).await.refused(403, "missing_duty");
    assert_eq!(world.log_size().await, size);
    allowed(&world).await;
    world.staff.policy_replacer.post(path, &second).await.expect(200);
    denied(&world, "action_not_listed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_operator_is_nobody() {
    let world = World::new().await;
    let temp = world.staff.admin.hire("temp", &[Duty::Registrar]).await;
    temp.get("/v1/agents").await.expect(200);
    world.staff.admin.act("/v1/operators/temp/revoke").await.expect(200);
    temp.get("/v1/agents").await.refused(401, "unauthenticated");
    temp.post("/v1/agents/support-bot/suspend", &json!({})).await.refused(401, "unauthenticated");
    world.staff.admin.act("/v1/operators/temp/revoke").await.refused(409, "invalid_state");
    let again = json!({ "id": "temp", "duties": ["registrar"] });
    world.staff.admin.post("/v1/operators", &again).await.refused(409, "already_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays() {
    let world = World::without_policy().await;
    let admin = &world.staff.admin;
    // Neither one who was revoked nor one with other duties stands in for it.
    admin.hire("gone", &[Duty::Admin]).await;
    admin.act("/v1/operators/gone/revoke").await.expect(200);
    let size = world.log_size().await;
    let problem = admin.act("/v1/operators/admin/revoke").await.refused(409, "invalid_state");
    assert_eq!(problem.help.as_deref(), Some("it is the last admin: register another first"));
    assert_eq!(world.log_size().await, size);
    let second = admin.hire("second", &[Duty::Admin, Duty::Auditor]).await;
    admin.act("/v1/operators/admin/revoke").await.expect(200);
    admin.get("/v1/operators").await.refused(401, "unauthenticated");
    second.act("/v1/operators/second/revoke").await.refused(409, "invalid_state");
    // Whoever is no admin may go.
    second.act("/v1/operators/registrar/revoke").await.expect(200);
}

/// However two admins revoke at once, themselves or each other, one of them is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_admins_cannot_both_go_at_once() {
    let world = World::without_policy().await;
    let mut admin = world.staff.admin.clone();
    for round in 0..16 {
        let other = admin.hire(&format!("admin-{round}"), &[Duty::Admin]).await;
        let revoke = |id: &str| format!("/v1/operators/{id}/revoke");
        let (first, second) = if round % 2 == 0 { (&admin, &other) } else { (&other, &admin) };
        let (one, two) = tokio::join!(admin.act(revoke(&first.id)), other.act(revoke(&second.id)));
        let done = [&one, &two].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "round {round}: {} {}", one.text(), two.text());
        admin = if admin.get("/v1/operators").await.status == 200 { admin } else { other };
        admin.get("/v1/operators").await.expect(200);
    }
}

/// Sixteen tasks ask and use while an operator suspends: in the log, nothing is allowed or used after
/// the suspension.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_allowed_after_a_suspension_under_load() {
    let world = Arc::new(World::new().await);
    let rounds = std::env::var("ATTORN_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3_u32);
    for _ in 0..rounds {
        race_a_suspension(&world).await;
        change(&world, "resume").await;
    }
}

async fn race_a_suspension(world: &Arc<World>) {
    let from = world.log_size().await;
    let acknowledged = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (world, acknowledged) = (Arc::clone(world), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut after = 0;
                while after < 3 {
                    let late = acknowledged.load(Ordering::SeqCst);
                    let answer = world.bot.send(Call::post("/v1/decisions", &ask())).await;
                    if answer.status == 503 {
                        continue;
                    }
                    let answer: DecisionAnswer = answer.expect(200).json();
                    let allowed = answer.decision == DecisionKind::Allow;
                    assert!(!(late && allowed), "an allow was asked for after the suspension's acknowledgement");
                    if let Some(grant) = &answer.grant {
                        let used = world.use_grant(grant).await;
                        assert!(used.status != 200 || !late);
                    }
                    after += u32::from(late);
                }
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    change(world, "suspend").await;
    acknowledged.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let entries = world.entries().await;
    let entries = &entries[usize::try_from(from).unwrap()..];
    let at = entries.iter().position(|entry| entry["type"] == "agent_suspended").unwrap();
    let is_allow = |entry: &&Value| entry["decision"] == "allow" || entry["type"] == "grant_used";
    assert!(entries[..at].iter().any(|entry| is_allow(&entry)), "nothing was allowed before the suspension");
    assert_eq!(entries[at..].iter().find(is_allow), None, "something was allowed after the suspension");
    assert!(entries[at + 1..].iter().all(|entry| entry["reasons"][0]["code"] == "agent_suspended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_leaked_ends_when_its_operator_gets_a_new_one() {
    let world = World::new().await;
    let staff = &world.staff;
    let leaked = staff.auditor.clone();
    leaked.get("/v1/audit/entries?limit=1").await.expect(200);
    // Nobody but an admin does it.
    leaked.act("/v1/operators/auditor/renew").await.refused(403, "missing_duty");
    leaked.get("/v1/audit/entries?limit=1").await.expect(200);
    let auditor = staff.admin.renew(&leaked).await;
    leaked.get("/v1/audit/entries?limit=1").await.refused(401, "unauthenticated");
    let last: Value = auditor.get("/v1/audit/entries?type=operator_renewed&order=newest&limit=1").await.json();
    let about = &last["entries"][0]["body"]["about"];
    assert_eq!((&about["id"], &about["token_ended"]), (&json!("auditor"), &json!(true)), "{last}");
    assert!(!last.to_string().contains(&auditor.token));
    // They have what duties they had, and an admin may renew themselves, also the last one.
    auditor.post("/v1/agents/support-bot/suspend", &json!({})).await.refused(403, "missing_duty");
    let admin = staff.admin.renew(&staff.admin).await;
    staff.admin.get("/v1/operators").await.refused(401, "unauthenticated");
    // Of two at once one counts, and the other is told.
    let again = || admin.act("/v1/operators/auditor/renew");
    let (one, other) = tokio::join!(again(), again());
    let tokens = [one, other].into_iter().filter(|answer| answer.status == 200);
    let tokens: Vec<Value> = tokens.map(|answer| answer.json()).collect();
    let mut good = 0;
    for token in &tokens {
        let auditor = bootstrap(&world.reach, token["token"].as_str().unwrap());
        good += u32::from(auditor.get("/v1/audit/entries?limit=1").await.status == 200);
    }
    assert!(!tokens.is_empty() && good == 1, "{good} of {}", tokens.len());
    admin.act("/v1/operators/auditor/revoke").await.expect(200);
    admin.act("/v1/operators/auditor/renew").await.refused(409, "invalid_state");
}
