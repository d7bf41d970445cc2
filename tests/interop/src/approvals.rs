//! Users of a provider are asked for approvals on their own device (CIBA, poll mode): Alice says yes, no, nothing, and
//! Bob answers in her place. The provider checks what it is asked as it does by itself.

use std::time::Duration;

use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};
use attorn_api::delegations::Delegation;
use attorn_tests::components;
use serde_json::{Value, json};

use crate::attorn::{ALICES, Attorn, PURPOSE_WITH_USER, token};
use crate::on_behalf::Stage;
use crate::page;
use crate::provider::{Kind, Provider};
use crate::steps::Steps;

/// How often it is looked for what comes by itself, and how long.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 300;

/// Play all of it.
pub(crate) async fn play(stage: &mut Stage<'_>, steps: &mut Steps) {
    let delegation = steps.take("paying needs alice's yes, and her provider asks her", ready(stage)).await;
    steps.take("she says yes, and it is paid once", yes(stage, &delegation)).await;
    // Keycloak lets nobody answer too late or for another.
    if stage.kind.fine_consent {
        steps.take("she says nothing in time, and nobody approved", nothing(stage, &delegation)).await;
        steps.take("bob's answer is not hers", another(stage, &delegation)).await;
        steps.take("she signs in, reads it on the page, and approves", on_page(stage, &delegation)).await;
    }
    // Last, for it holds for whatever else the bot asks about this invoice.
    steps.take("she says no, and is not asked again", no(stage, &delegation)).await;
    stage.attorn.cast.deactivate("spend-limit").await;
}

async fn ready(stage: &Stage<'_>) -> Delegation {
    begin(&stage.attorn, stage.kind).await;
    let login = stage.sign_in("alice", &[]).await;
    stage.attorn.delegated(token(&login, "access_token")).await
}

/// Have users asked at their provider, and whoever pays an invoice need its user's yes.
pub(crate) async fn begin(attorn: &Attorn, kind: &Kind) {
    let backchannel = json!({
        "client_id": "approvals", "client_authentication": "private_key_jwt",
        "login_hint_claim": kind.login_hint_claim, "page": kind.fine_consent,
        // One that knows no `authorization_details` shows nothing else.
        "code_only": !kind.fine_consent,
    });
    attorn.cast.staff.registrar.post("/v1/providers/main/backchannel", &backchannel).await.expect(200);
    let settings = json!({
        "amount_argument": "amount", "currency_argument": "currency", "currency": "EUR", "scope": "user_agent",
        "window": "day", "allow_max": 0, "challenge": { "max": 100_000, "role": "user", "count": 1 },
    });
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    let extra = json!({ "limits": limits, "selector": { "actions": ["invoice.pay"], "user": "with" } });
    attorn.cast.activate_with("spend-limit", components::bytes("spend-limit"), settings, extra).await;
}

/// A user answers the next that they are asked.
pub(crate) async fn answer_next(provider: &mut Provider, user: &str, says: &str) {
    for _ in 0..LOOKS_MAX {
        let told = provider.told(&json!({ "do": "asked", "user": user })).await;
        if !told["asked"].as_array().unwrap().is_empty() {
            return provider.ask(&json!({ "do": "answer", "user": user, "says": says })).await;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("{user} was asked nothing");
}

async fn pay(stage: &Stage<'_>, delegation: &Delegation, amount: u64) -> DecisionAnswer {
    let body = json!({ "action": "invoice.pay", "resource": ALICES, "purpose": PURPOSE_WITH_USER,
        "delegation": delegation.id, "arguments": { "amount": amount, "currency": "EUR" } });
    stage.attorn.agent.post_json("/v1/decisions", &body).await.expect(200).json()
}

/// What Alice is asked, and that her device says the same.
async fn asked(stage: &mut Stage<'_>, delegation: &Delegation, (amount, user): (u64, &str)) -> ApprovalReference {
    let answer = pay(stage, delegation, amount).await;
    assert_eq!(answer.decision, DecisionKind::Challenge, "{:?}", answer.reasons);
    let approval = answer.approval.unwrap();
    for _ in 0..LOOKS_MAX {
        let told = stage.provider.told(&json!({ "do": "asked", "user": user })).await;
        let all = told["asked"].as_array().unwrap();
        if let Some(one) = all.iter().find(|one| one["message"] == approval.code.as_str()) {
            check(stage, &one["details"], &approval, amount);
            return approval;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("{user} was not asked with the code {}", approval.code);
}

/// What is shown where the provider knows the type; elsewhere nothing is.
fn check(stage: &Stage<'_>, details: &Value, approval: &ApprovalReference, amount: u64) {
    if !stage.kind.fine_consent {
        assert_eq!(details, &Value::Null);
        return;
    }
    let detail = &details[0];
    assert_eq!((&detail["approval"], &detail["action"]), (&json!(approval.id), &json!("invoice.pay")));
    assert!(detail["arguments"].as_str().unwrap().contains(&amount.to_string()), "{detail}");
}

async fn answers(stage: &mut Stage<'_>, user: &str, says: &str) {
    stage.provider.ask(&json!({ "do": "answer", "user": user, "says": says })).await;
}

async fn state(stage: &Stage<'_>, approval: &ApprovalReference) -> String {
    let path = format!("/v1/approvals/{}/state", approval.id);
    let said: Value = stage.attorn.agent.get(path).await.expect(200).json();
    said["state"].as_str().unwrap().to_owned()
}

async fn becomes(stage: &Stage<'_>, approval: &ApprovalReference, expect: &str) {
    for _ in 0..LOOKS_MAX {
        if state(stage, approval).await == expect {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut entries = stage.attorn.cast.entries().await;
    entries.retain(|entry| entry["approval"] == approval.id.as_str());
    panic!("the approval is {}, and not {expect}: {}", state(stage, approval).await, json!(entries));
}

/// Why the prompt ended without her answer.
async fn ended(stage: &Stage<'_>, approval: &ApprovalReference) -> String {
    for _ in 0..LOOKS_MAX {
        let entries = stage.attorn.cast.entries().await;
        let ours = |entry: &&Value| entry["type"] == "prompt_ended" && entry["approval"] == approval.id.as_str();
        if let Some(entry) = entries.iter().find(ours) {
            return entry["why"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("the prompt did not end");
}

async fn yes(stage: &mut Stage<'_>, delegation: &Delegation) {
    let approval = asked(stage, delegation, (4_000, "alice")).await;
    assert_eq!(state(stage, &approval).await, "pending");
    answers(stage, "alice", "yes").await;
    becomes(stage, &approval, "approved").await;
    assert_eq!(pay(stage, delegation, 4_000).await.decision, DecisionKind::Allow);
    assert_eq!(state(stage, &approval).await, "spent");
}

async fn no(stage: &mut Stage<'_>, delegation: &Delegation) {
    let approval = asked(stage, delegation, (4_001, "alice")).await;
    answers(stage, "alice", "no").await;
    becomes(stage, &approval, "refused").await;
    let again = pay(stage, delegation, 4_001).await;
    assert_eq!((again.decision, again.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_refused"));
}

async fn nothing(stage: &mut Stage<'_>, delegation: &Delegation) {
    let approval = asked(stage, delegation, (4_002, "alice")).await;
    answers(stage, "alice", "nothing").await;
    assert_eq!(ended(stage, &approval).await, "expired");
    assert_eq!(state(stage, &approval).await, "pending");
}

/// Bob signs in and sees nothing; Alice signs in, and approves there.
async fn on_page(stage: &mut Stage<'_>, delegation: &Delegation) {
    let approval = asked(stage, delegation, (4_004, "alice")).await;
    let url = approval.page.clone().unwrap();
    let mut bob = page::Browser::default();
    let nothing = bob.sign_in(&url, ("bob", "bob-password")).await;
    assert_eq!(nothing.status, 404, "{}", nothing.text());
    assert!(!nothing.text().contains(&approval.code), "{}", nothing.text());
    let mut alice = page::Browser::default();
    let shown = alice.sign_in(&url, ("alice", "alice-password")).await.expect(200);
    for text in ["assistant-bot", "invoice.pay", ALICES, "4004", &approval.code] {
        assert!(shown.text().contains(text), "no `{text}` in {}", shown.text());
    }
    assert_eq!(state(stage, &approval).await, "pending");
    let said = alice.send(&url, &shown.text(), &[("say", "approve")]).await.expect(200);
    assert!(said.text().contains("You have approved this"), "{}", said.text());
    assert_eq!(state(stage, &approval).await, "approved");
    assert_eq!(pay(stage, delegation, 4_004).await.decision, DecisionKind::Allow);
}

/// The provider takes the hint for somebody else's, who says yes.
async fn another(stage: &mut Stage<'_>, delegation: &Delegation) {
    stage.provider.ask(&json!({ "do": "mistake", "user": "alice", "for": "bob" })).await;
    let approval = asked(stage, delegation, (4_003, "bob")).await;
    answers(stage, "bob", "yes").await;
    assert_eq!(ended(stage, &approval).await, "another_user");
    assert_eq!(state(stage, &approval).await, "pending");
    stage.provider.ask(&json!({ "do": "mistake" })).await;
}
