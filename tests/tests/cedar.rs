//! Cedar's policies in force: pushed, refused, asked, run again.

use attorn_api::decisions::DecisionKind::{Allow, Deny};
use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::policies::PolicyVersion;
use attorn_tests::replays::replays_identically;
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{World, components, found};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// A component of this size keeps a compiler busy, so that what waits for a moment in another test would wait in vain.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

const ENTITY: &str = "resource/article/42/entity";

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

fn settings() -> Value {
    json!({
        "principal": "agent",
        "policies": [
            "@id(\"readers\") @reason(\"reader\") @text(\"the support bot may read\") @public",
            "permit(principal == Agent::\"support-bot\", action == Action::\"faq.read\", resource in Section::\"public\");",
            "",
            "@id(\"billing\") @reason(\"no long pages\")",
            "forbid(principal, action, resource) when { context.arguments has pages && context.arguments.pages > 9 };",
        ],
        "entity_facts": [
            { "template": "resource/{request.resource_type}/{request.resource_id}/entity", "types": ["Article"] },
        ],
    })
}

fn article(section: &str) -> Value {
    let entity = json!({
        "uid": { "type": "Article", "id": "42" },
        "attrs": {},
        "parents": [{ "type": "Section", "id": section }],
    });
    json!({ "facts": [{ "name": ENTITY, "value": entity }] })
}

fn said(answer: &DecisionAnswer) -> (DecisionKind, Vec<&str>) {
    (answer.decision, answer.reasons.iter().map(|reason| reason.code.as_str()).collect())
}

/// Put it in force. A busy machine may take longer to compile it than a request may take.
async fn activate(world: &World) {
    let pushed = found("the policy ready", async || {
        let answer = world.push("cedar", components::bytes("cedar"), settings(), patient()).await;
        (answer.status != 503).then_some(answer)
    });
    let version: PolicyVersion = pushed.await.expect(201).json();
    let body = json!({ "version": version.version });
    world.staff.policy_replacer.post("/v1/policies/cedar/activate", &body).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_policy_is_told_with_its_place_and_changes_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = World::new().await;
    world.put(components::bytes("cedar")).await;
    let size = world.log_size().await;
    for (policies, problem) in [
        (json!(["permit(principal, action, resource);", "forbid(principal action, resource);"]), "line 2, column 18: "),
        (json!("@reason(\"é\") permit(principal, action, resource);"), "`é` makes no code"),
    ] {
        let mut settings = settings();
        settings["policies"] = policies;
        let refused = world.push("cedar", components::bytes("cedar"), settings, patient()).await;
        let refused = refused.refused(422, "settings_rejected");
        assert!(refused.detail.contains(problem), "{}", refused.detail);
    }
    assert_eq!(world.log_size().await, size);
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow, "what was in force still is");
}

#[tokio::test(flavor = "multi_thread")]
async fn cedar_decides_and_every_decision_can_be_run_again() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = World::without_policy().await;
    activate(&world).await;
    let missing = world.bot.decide(&ask()).await;
    assert_eq!(said(&missing), (Deny, vec!["denied_by_policy"]), "nobody told where the article stands");

    world.faq.post("/v1/resource-facts", &article("internal")).await.expect(200);
    assert_eq!(said(&world.bot.decide(&ask()).await), (Deny, vec!["no_permit"]));
    world.faq.post("/v1/resource-facts", &article("public")).await.expect(200);
    let allowed = world.bot.decide(&ask()).await;
    assert_eq!(said(&allowed), (Allow, vec!["reader"]));
    assert_eq!(said(&world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await), (Deny, vec!["no_permit"]));

    // What the agent reads and what is recorded.
    let long = world.bot.decide(&ask_with(json!({ "arguments": { "pages": 10 } }))).await;
    assert_eq!(said(&long), (Deny, vec!["denied_by_policy"]));
    assert!(world.entry_of(&long).await.to_string().contains("no_long_pages"));
    let record = world.record_of(&long).await.to_string();
    assert!(record.contains("determined by `billing`"), "{record}");
    let odd = world.bot.decide(&ask_with(json!({ "arguments": { "pages": "10" } }))).await;
    assert_eq!(said(&odd), (Deny, vec!["denied_by_policy"]), "a forbid that fails");
    assert!(world.record_of(&odd).await.to_string().contains("forbid_failed"));
    let none = world.bot.decide(&ask_with(json!({ "arguments": { "pages": null } }))).await;
    assert_eq!(said(&none), (Deny, vec!["not_representable"]));

    let same = replays_identically(&world).await;
    assert!(same.asked() >= 7, "{same:?}");
}
