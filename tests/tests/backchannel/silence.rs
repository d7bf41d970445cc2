//! Nobody is pushed until they tap yes: a no is a no to whatever differs in what the request says of itself, silence is one
//! for a while, and a user is asked so often and no more, whichever agents ask.

use std::time::Duration;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::DelegationMade;
use attorn_server::ApprovalLimits;
use attorn_tests::behalf::{exchange, later_login, registration};
use attorn_tests::device::Says;
use attorn_tests::provider::with;
use attorn_tests::replays::replays_identically;
use attorn_tests::{Call, Machine, components};
use serde_json::{Value, json};

use super::prompts::Scene;

fn denied(answer: &DecisionAnswer, code: &str) {
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec![code]), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_a_no_to_whatever_differs_in_what_the_request_says() {
    let scene = Scene::new().await;
    let device = scene.behalf.provider.device();
    device.says(Says::No);
    let asked = scene.challenged(5_000).await;
    scene.becomes(&asked, "refused").await;
    let payment = scene.payment(5_000, "giro");
    for change in [
        json!({}),
        json!({ "claims": { "n": 1 } }),
        json!({ "claims": { "n": 2 } }),
        json!({ "arguments": { "amount": 5_000, "currency": "EUR", "ignored": 1 } }),
        json!({ "arguments": { "amount": 4_999, "currency": "EUR" } }),
    ] {
        let answer = scene.behalf.helper.decide(&with(payment.clone(), change)).await;
        denied(&answer, "approval_refused");
        assert_eq!(scene.behalf.entry_of(&answer).await["approval"]["id"], asked.id);
    }
    // She signs in anew, and delegates anew.
    let claims = with(json!({ "client_id": "helper-client" }), later_login().await);
    let token = scene.behalf.token(claims);
    let made: DelegationMade = exchange(&scene.behalf.helper, &token).await.expect(201).json();
    let by_another = with(payment, json!({ "delegation": made.delegation.id }));
    denied(&scene.behalf.helper.decide(&by_another).await, "approval_refused");
    assert_eq!(device.questions().len(), 1);
    // Another account is another question.
    let answer = scene.behalf.helper.decide(&scene.payment(5_000, "savings")).await;
    assert_eq!(answer.decision, DecisionKind::Challenge, "{answer:?}");
    scene.question(2).await;
    replays_identically(&scene.behalf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_answer_is_left_alone_for_a_while() {
    let limits = ApprovalLimits { lapse_ms: 4_000, refusal_ms: 600_000, ..ApprovalLimits::default() };
    let scene = Scene::limited(limits).await;
    let asked = scene.challenged(5_000).await;
    scene.behalf.provider.device().polled(1).await;
    scene.becomes(&asked, "lapsed").await;
    for amount in [5_000, 5_001] {
        let answer = scene.pay(amount).await;
        denied(&answer, "approval_unanswered");
        assert_eq!(scene.behalf.entry_of(&answer).await["approval"]["id"], asked.id);
    }
    // Asking for something else in between does not make that forgotten.
    let other = scene.behalf.helper.decide(&scene.payment(5_000, "savings")).await;
    assert_eq!(other.decision, DecisionKind::Challenge, "{other:?}");
    denied(&scene.pay(5_000).await, "approval_unanswered");
    scene.question(2).await;
    assert_eq!(scene.behalf.provider.device().questions().len(), 2);
    replays_identically(&scene.behalf).await;
}

/// She is left alone like anybody who did not answer, and what the agent is told is what she did.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_revokes_instead_of_answering_has_not_been_silent() {
    for all in [false, true] {
        let limits = ApprovalLimits { lapse_ms: 4_000, refusal_ms: 600_000, ..ApprovalLimits::default() };
        let mut scene = Scene::limited(limits).await;
        let asked = scene.challenged(5_000).await;
        scene.behalf.provider.device().polled(1).await;
        let one = format!("/v1/me/delegations/{}/revoke", scene.delegation.id);
        let path = if all { "/v1/me/revoke".to_owned() } else { one };
        let alice = scene.behalf.provider.user_token(json!({}));
        let revokes = Call::post(path, &json!({ "reason": "not that" })).bearer(&alice);
        scene.behalf.reach.send(revokes).await.expect(200);
        denied(&scene.pay(5_000).await, "delegation_revoked");
        scene.becomes(&asked, "lapsed").await;
        // By what she delegates after that.
        let claims = with(json!({ "client_id": "helper-client" }), later_login().await);
        let made: DelegationMade = exchange(&scene.behalf.helper, &scene.behalf.token(claims)).await.expect(201).json();
        scene.delegation = made.delegation;
        let answer = scene.pay(5_000).await;
        denied(&answer, "approval_delegation_revoked");
        let said = &scene.behalf.entry_of(&answer).await["approval"];
        assert_eq!((&said["id"], &said["is"]), (&json!(asked.id), &json!("delegation_revoked")));
        assert_eq!(scene.behalf.provider.device().questions().len(), 1);
        replays_identically(&scene.behalf).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_could_ask_has_not_been_silent() {
    let limits = ApprovalLimits { lapse_ms: 3_000, refusal_ms: 600_000, ..ApprovalLimits::default() };
    let scene = Scene::limited(limits).await;
    let refuses = json!({ "error": "unknown_user_id" }).to_string();
    scene.behalf.provider.device().says_to_questions(Says::Raw(400, refuses));
    let asked = scene.challenged(5_000).await;
    scene.becomes(&asked, "lapsed").await;
    assert_ne!(scene.challenged(5_000).await.id, asked.id);
}

/// Five agents, each with as much waiting as it may have.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_asked_so_often_whichever_agents_ask() {
    let window = ApprovalLimits { prompts_max: 10, prompts_window_ms: 1 << 50, ..ApprovalLimits::default() };
    let scene = Scene::limited(window).await;
    let registrar = &scene.behalf.staff.registrar;
    let agents: Vec<Machine> = (0..5).map(|n| Machine::new(&scene.behalf.reach, &format!("agent-{n}"))).collect();
    let mut clients = json!({});
    for agent in &agents {
        registrar.post("/v1/agents", &registration(agent, "account.*", "account/*")).await.expect(201);
        clients[format!("client-{}", agent.id)] = json!(agent.id);
    }
    let shown: Value = registrar.get("/v1/providers/main").await.expect(200).json();
    let body = with(shown["configuration"].clone(), json!({ "clients": clients }));
    registrar.post("/v1/providers/main/update", &body).await.expect(200);
    let mut asked = 0;
    for agent in &agents {
        let token = scene.behalf.token(json!({ "client_id": format!("client-{}", agent.id) }));
        let made: DelegationMade = exchange(agent, &token).await.expect(201).json();
        for n in 0..8 {
            let delegation = json!({ "delegation": made.delegation.id });
            let answer = agent.decide(&with(scene.payment(5_000, &format!("account-{n}")), delegation)).await;
            match answer.decision {
                DecisionKind::Challenge => asked += 1,
                _ => denied(&answer, "too_many_approvals"),
            }
        }
    }
    assert_eq!(asked, 10);
    scene.question(10).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.behalf.provider.device().questions().len(), 10);
    // What asks nobody at a provider is not counted.
    scene.behalf.activate("careful", components::bytes("challenge"), json!({})).await;
    let reads = with(scene.payment(1, "giro"), json!({ "action": "account.read" }));
    assert_eq!(scene.behalf.helper.decide(&reads).await.decision, DecisionKind::Challenge);
    replays_identically(&scene.behalf).await;
}

/// However many users an agent acts for, it does not take their provider's time from all others.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_only_so_many_users_asked_at_a_provider() {
    let scene = Scene::limited(ApprovalLimits { prompts_open_max: 2, ..ApprovalLimits::default() }).await;
    let first = scene.challenged(5_000).await;
    scene.behalf.helper.decide(&scene.payment(5_000, "savings")).await.approval.unwrap();
    denied(&scene.behalf.helper.decide(&scene.payment(5_000, "third")).await, "too_many_prompts");
    // What asked before waits on.
    assert_eq!(scene.challenged(5_000).await, first);
    let of_bob = json!({ "client_id": "helper-client", "sub": "bob", "sid": "session-of-bob" });
    let made: DelegationMade = exchange(&scene.behalf.helper, &scene.behalf.token(of_bob)).await.expect(201).json();
    let resource = format!("account/{}/giro", made.delegation.user);
    let of_bob = with(scene.payment(5_000, "giro"), json!({ "delegation": made.delegation.id, "resource": resource }));
    let answer = scene.behalf.helper.decide(&of_bob).await;
    denied(&answer, "too_many_prompts");
    let entry = scene.behalf.entry_of(&answer).await;
    assert_eq!(entry["approval"]["is"], "too_many_prompts", "{entry}");
    // An answer makes room.
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&first, "approved").await;
    while scene.behalf.helper.decide(&of_bob).await.decision != DecisionKind::Challenge {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    replays_identically(&scene.behalf).await;
}
