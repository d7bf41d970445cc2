//! Approvals: what does not count as a yes, and then what does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod binding;
mod bounds;
mod commands;
mod registrars;
mod several;
mod shown;
mod webhooks;

use std::time::Duration;

use attorn_api::approvals::{Approval, ApprovalList, ApprovalStanding};
use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};
use attorn_core::Duty;
use attorn_server::{ApprovalLimits, run};
use attorn_tests::components;
use attorn_tests::replays::replays_identically;
use attorn_tests::server::Fresh;
use attorn_tests::world::{agent_registration, ask, ask_with};
use attorn_tests::{Answer, Behalf, Call, Machine, Operator, Server, World};
use commands::{as_operator, text};
use serde_json::{Value, json};

use DecisionKind::{Allow, Challenge, Deny};

/// One of these guests asks for one operator, the other for two.
const ONE: &str = "challenge_private_reason";
const TWO: &str = "challenge";

struct Scene {
    world: World,
    ada: Operator,
    bob: Operator,
}

impl Scene {
    async fn new(guest: &str) -> Self {
        Self::limited(guest, ApprovalLimits::default()).await
    }

    async fn limited(guest: &str, approvals: ApprovalLimits) -> Self {
        let start = run::Start { approvals, ..run::Start::default() };
        let server = Server::start_with(Fresh::make().await, start).await;
        let world = Box::pin(World::in_server(server)).await;
        world.activate("careful", components::bytes(guest), json!({})).await;
        let ada = world.staff.admin.hire("ada", &[Duty::Approver]).await;
        let bob = world.staff.admin.hire("bob", &[Duty::Approver]).await;
        Self { world, ada, bob }
    }

    /// The bot asks, and is to be approved.
    async fn challenged(&self, ask: &Value) -> ApprovalReference {
        let answer = self.world.bot.decide(ask).await;
        assert_eq!(answer.decision, Challenge, "{answer:?}");
        assert!(answer.grant.is_none() && answer.credential.is_none());
        answer.approval.unwrap()
    }

    /// The bot asks, and is denied for this.
    async fn denied(&self, ask: &Value, code: &str) {
        let answer = self.world.bot.decide(ask).await;
        assert_eq!((answer.decision, codes(&answer)), (Deny, vec![code]), "{answer:?}");
        assert!(answer.approval.is_none());
    }

    /// How far it is, as the bot sees it.
    async fn state(&self, id: &str) -> String {
        let path = format!("/v1/approvals/{id}/state");
        let standing: ApprovalStanding = self.world.bot.send(Call::get(path)).await.expect(200).json();
        standing.state
    }

    /// Wait until it is in this state.
    async fn until(&self, id: &str, state: &str) {
        attorn_tests::until(&format!("an approval that is {state}"), async || self.state(id).await == state).await;
    }
}

fn codes(answer: &DecisionAnswer) -> Vec<&str> {
    answer.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

async fn show(operator: &Operator, id: &str) -> Approval {
    operator.get(format!("/v1/approvals/{id}")).await.expect(200).json()
}

/// Vote on what is shown now.
async fn vote(operator: &Operator, id: &str, verb: &str) -> Answer {
    let digest = show(operator, id).await.digest;
    let body = json!({ "digest": digest, "reason": "a test" });
    operator.post(format!("/v1/approvals/{id}/{verb}"), &body).await
}

async fn approve(operator: &Operator, id: &str) -> Approval {
    vote(operator, id, "approve").await.expect(200).json()
}

fn amount(amount: u64) -> Value {
    ask_with(json!({ "arguments": { "amount": amount, "currency": "EUR" } }))
}

fn spend_limit(role: &str) -> Value {
    json!({ "amount_argument": "amount", "currency_argument": "currency", "currency": "EUR", "scope": "agent",
        "window": "total", "allow_max": 100, "challenge": { "max": 1_000, "role": role, "count": 1 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_allows_once_and_is_recorded() {
    let scene = Scene::new(ONE).await;
    let world = &scene.world;
    let first = world.bot.decide(&ask()).await;
    let asked = first.approval.clone().unwrap();
    assert_eq!(first.decision, Challenge);
    let entry = world.entry_of(&first).await;
    assert_eq!((&entry["approval"]["id"], &entry["approval"]["is"]), (&json!(asked.id), &json!("requested")));
    // Asking again asks nobody again.
    let again = world.bot.decide(&ask()).await;
    assert_eq!(again.approval.as_ref(), Some(&asked));
    assert_eq!(world.entry_of(&again).await["approval"]["is"], "pending");
    assert_eq!(scene.state(&asked.id).await, "pending");
    let list: ApprovalList = scene.ada.get("/v1/approvals").await.expect(200).json();
    assert_eq!(list.approvals.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [&asked.id]);

    let approved = approve(&scene.ada, &asked.id).await;
    assert_eq!((approved.state.as_str(), approved.votes[0].approver.as_str()), ("approved", "ada"));
    assert_eq!(scene.state(&asked.id).await, "approved");
    let allowed = world.bot.decide(&ask()).await;
    assert_eq!((allowed.decision, allowed.approval.is_none()), (Allow, true), "{allowed:?}");
    let (entry, record) = (world.entry_of(&allowed).await, world.record_of(&allowed).await);
    let spent = json!({ "id": asked.id, "is": "spent", "approved_by": [{ "operator": "ada" }] });
    assert_eq!(entry["approval"], spent);
    assert_eq!(
        (&record["approvals"][0]["approver"], &record["approvals"][0]["role"]),
        (&json!("ada"), &json!("operator"))
    );
    assert_eq!(show(&scene.ada, &asked.id).await.spent_by.as_deref(), Some(allowed.decision_id.as_str()));
    assert_eq!(scene.state(&asked.id).await, "spent");

    // It is spent.
    let next = scene.challenged(&ask()).await;
    assert_ne!((&next.id, &next.code), (&asked.id, &asked.code));
    vote(&scene.bob, &asked.id, "approve").await.refused(409, "invalid_state");
    let voted = world.entries().await.into_iter().filter(|entry| entry["type"] == "approval_voted");
    let voted: Vec<_> = voted.map(|entry| (entry["operator"].clone(), entry["about"].clone())).collect();
    assert_eq!(voted.len(), 1);
    assert_eq!(
        (&voted[0].0, &voted[0].1["says"], &voted[0].1["state"]),
        (&json!("ada"), &json!("approve"), &json!("approved"))
    );
    assert_eq!((&voted[0].1["approval"], &voted[0].1["reason"]), (&json!(asked.id), &json!("a test")));
    replays_identically(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_is_to_nothing_else() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    approve(&scene.ada, &asked.id).await;
    for other in [
        json!({ "arguments": { "section": "secrets" } }),
        json!({ "resource": "article/43" }),
        json!({ "action": "faq.write" }),
        json!({ "claims": { "urgent": true } }),
        json!({ "session": "another" }),
    ] {
        let other = scene.challenged(&ask_with(other)).await;
        assert_ne!(other.id, asked.id);
    }
    // Nor to the same of another agent's.
    let second = Machine::new(&scene.world.reach, "second");
    scene.world.staff.registrar.post("/v1/agents", &agent_registration(&second)).await.expect(201);
    let of_another = second.decide(&ask()).await;
    assert_eq!(of_another.decision, Challenge);
    assert_ne!(of_another.approval.unwrap().id, asked.id);
    second.send(Call::get(format!("/v1/approvals/{}/state", asked.id))).await.refused(404, "not_found");
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_on_what_was_shown() {
    let scene = Scene::new(ONE).await;
    let one = scene.challenged(&ask()).await;
    let other = scene.challenged(&ask_with(json!({ "resource": "article/43" }))).await;
    let digest = show(&scene.ada, &other.id).await.digest;
    for digest in [digest, "0".repeat(64)] {
        let path = format!("/v1/approvals/{}/approve", one.id);
        scene.ada.post(path, &json!({ "digest": digest })).await.refused(409, "approval_mismatch");
    }
    let path = format!("/v1/approvals/{}/approve", one.id);
    scene.ada.post(&path, &json!({})).await.refused(400, "invalid_body");
    scene.ada.post(&path, &json!({ "digest": "x" })).await.refused(422, "invalid_field");
    let nobody = format!("/v1/approvals/apr_{}", "0".repeat(32));
    scene.ada.get(nobody).await.refused(404, "not_found");
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Challenge);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_their_own_agent_asks() {
    let scene = Scene::new(ONE).await;
    let own = Machine::new(&scene.world.reach, "own");
    let mut registration = agent_registration(&own);
    registration["owner"] = "Ada".into();
    scene.world.staff.registrar.post("/v1/agents", &registration).await.expect(201);
    let asked = own.decide(&ask()).await.approval.unwrap();
    vote(&scene.ada, &asked.id, "approve").await.refused(403, "own_request");
    assert_eq!(own.decide(&ask()).await.decision, Challenge);
    approve(&scene.bob, &asked.id).await;
    assert_eq!(own.decide(&ask()).await.decision, Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_are_two_people() {
    let scene = Scene::new(TWO).await;
    let asked = scene.challenged(&ask()).await;
    assert_eq!(approve(&scene.ada, &asked.id).await.state, "pending");
    vote(&scene.ada, &asked.id, "approve").await.refused(409, "invalid_state");
    assert_eq!(scene.challenged(&ask()).await, asked);
    assert_eq!(approve(&scene.bob, &asked.id).await.state, "approved");
    let allowed = scene.world.bot.decide(&ask()).await;
    assert_eq!(allowed.decision, Allow);
    let entry = scene.world.entry_of(&allowed).await;
    assert_eq!(entry["approval"]["approved_by"], json!([{ "operator": "ada" }, { "operator": "bob" }]));
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_revoked_before_it_is_spent_does_not_count() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    approve(&scene.ada, &asked.id).await;
    assert_eq!(scene.state(&asked.id).await, "approved");
    scene.world.staff.admin.act("/v1/operators/ada/revoke").await.expect(200);
    // It waits again, and whoever looks for what waits finds it.
    assert_eq!(scene.state(&asked.id).await, "pending");
    let list: ApprovalList = scene.bob.get("/v1/approvals").await.expect(200).json();
    assert_eq!(list.approvals.iter().map(|one| (&one.id, one.state.as_str())).next(), Some((&asked.id, "pending")));
    assert_eq!(scene.challenged(&ask()).await, asked);
    approve(&scene.bob, &asked.id).await;
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_under_other_policies_is_none() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    approve(&scene.ada, &asked.id).await;
    // One more policy that allows.
    scene.world.activate("eager", components::bytes("allow_all"), json!({})).await;
    let other = scene.challenged(&ask()).await;
    assert_ne!(other.id, asked.id);
    // One that denies is not lifted by anything.
    approve(&scene.ada, &other.id).await;
    scene.world.activate("against", components::bytes("deny_public_reason"), json!({})).await;
    scene.denied(&ask(), "closed").await;
    // As it was when it was approved first.
    scene.world.deactivate("against").await.expect(200);
    scene.world.deactivate("eager").await.expect(200);
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_is_cannot_be_asked() {
    let world = World::without_policy().await;
    for role in ["manager", "user"] {
        world.activate("spend", components::bytes("spend-limit"), spend_limit(role)).await;
        let answer = world.bot.decide(&amount(500)).await;
        assert_eq!((answer.decision, codes(&answer)), (Deny, vec!["approval_impossible"]), "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_is_charged_when_it_is_spent() {
    let scene = Scene::new("abstain").await;
    scene.world.activate("spend", components::bytes("spend-limit"), spend_limit("operator")).await;
    assert_eq!(scene.world.bot.decide(&amount(100)).await.decision, Allow);
    let asked = scene.challenged(&amount(500)).await;
    let shown = show(&scene.ada, &asked.id).await;
    let debit = &shown.asks.follows.debits[0];
    assert_eq!((debit.counter.as_str(), debit.amount.as_str(), debit.at_most.as_str()), ("spent_eur", "500", "1000"));
    assert_eq!(shown.asks.reasons[0].code, "above_limit");
    approve(&scene.ada, &asked.id).await;
    assert_eq!(scene.world.bot.decide(&amount(500)).await.decision, Allow);
    // 600 are spent; nobody approves what passes 1,000.
    scene.denied(&amount(401), "over_limit").await;
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_sees_what_is_there_and_nothing_else() {
    let scene = Scene::new(ONE).await;
    let arguments = json!({ "amount": 5, "note": "<b>no</b> \u{202e}cod\u{200b}e\u{0}", "pad": "x".repeat(5_000) });
    let claims = json!({ "urgent": "\u{202e}no" });
    let asked = scene.challenged(&ask_with(json!({ "arguments": arguments, "claims": claims }))).await;
    let answer = scene.ada.get(format!("/v1/approvals/{}", asked.id)).await.expect(200);
    let shown: Approval = answer.json();
    assert_eq!((&shown.code, shown.agent.as_str()), (&asked.code, "support-bot"));
    let asks = &shown.asks;
    assert_eq!(
        (asks.owner.as_str(), asks.action.as_str(), asks.purpose.as_str()),
        ("support@example.org", "faq.read", "answer-questions")
    );
    assert_eq!(asks.reasons[0].code, "unusual", "approvers read also what agents do not");
    let note = r#""note":"\u003cb\u003eno\u003c/b\u003e \u202ecod\u200be\u0000""#;
    assert!(asks.arguments.contains(note), "{}", asks.arguments);
    assert!(!asks.arguments.contains(['<', '\u{202e}', '\u{200b}', '\u{0}']));
    assert_eq!(asks.arguments_cut_chars, 5_000 - 2_048);
    assert_eq!((asks.claims.as_str(), asks.claims_cut_chars), (r#"{"urgent":"\u202eno"}"#, 0));
    assert!(asks.arguments.contains("(2952 characters cut)"));
    assert_eq!(serde_json::from_str::<Value>(&asks.arguments).unwrap()["amount"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_for_a_user_who_was_erased() {
    let scene = Behalf::new().await;
    scene.activate("careful", components::bytes(ONE), json!({})).await;
    let ada = scene.staff.admin.hire("ada", &[Duty::Approver]).await;
    let delegation = scene.delegated().await;
    let challenged = scene.read(&scene.bot, &delegation).await;
    assert_eq!(challenged.decision, Challenge);
    let asked = challenged.approval.unwrap();
    let shown = show(&ada, &asked.id).await;
    let user = shown.asks.user.as_ref().unwrap();
    assert_eq!((user.id.as_str(), user.subject.as_str()), (delegation.user.as_str(), "alice"));
    approve(&ada, &asked.id).await;
    let allowed = scene.read(&scene.bot, &delegation).await;
    assert_eq!(allowed.decision, Allow);
    let asked = scene.read(&scene.bot, &delegation).await.approval.unwrap();
    let digest = show(&ada, &asked.id).await.digest;
    replays_identically(&scene).await;
    scene.erase(&delegation.user).await.expect(200);
    ada.get(format!("/v1/approvals/{}", asked.id)).await.refused(410, "user_erased");
    let path = format!("/v1/approvals/{}/approve", asked.id);
    ada.post(path, &json!({ "digest": digest })).await.refused(410, "user_erased");
    assert!(ada.get("/v1/approvals?state=all").await.json::<ApprovalList>().approvals.is_empty());
    assert_eq!(codes(&scene.read(&scene.bot, &delegation).await), ["user_erased"]);
}

/// The agent waits with its key of idempotency: the challenge is decided again, and the allow stands.
#[tokio::test(flavor = "multi_thread")]
async fn asking_again_under_the_same_key_gets_the_allow_once() {
    let scene = Scene::new(ONE).await;
    let once = || async { scene.world.bot.ask_once("same", &ask()).await.expect(200).json::<DecisionAnswer>() };
    let asked = once().await.approval.unwrap();
    approve(&scene.ada, &asked.id).await;
    let (allowed, again) = (once().await, once().await);
    assert_eq!((allowed.decision, &allowed.decision_id), (Allow, &again.decision_id));
    assert!(again.approval.is_none());
}
