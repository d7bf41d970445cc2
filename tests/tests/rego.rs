//! OPA's policies in force: pushed, refused, asked, run again.

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

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

fn settings() -> Value {
    json!({
        "modules": {
            "faq.rego": [
                "package attorn",
                "",
                "allow contains \"reader\" if {",
                "\tinput.agent.id == \"support-bot\"",
                "\tinput.action == \"faq.read\"",
                "\tdata.facts.section == \"public\"",
                "}",
                "",
                "deny contains {\"reason\": \"long\", \"message\": sprintf(\"%d pages\", [input.arguments.pages])} if {",
                "\tto_number(input.arguments.pages) > 9",
                "}",
            ],
        },
        "facts": { "section": "resource/{request.resource_type}/{request.resource_id}/section" },
        "reasons": {
            "reader": { "text": "the support bot may read", "public": true },
            "long": { "text": "long pages are not read" },
        },
    })
}

fn section(value: &str) -> Value {
    json!({ "facts": [{ "name": "resource/article/42/section", "value": value }] })
}

fn said(answer: &DecisionAnswer) -> (DecisionKind, Vec<&str>) {
    (answer.decision, answer.reasons.iter().map(|reason| reason.code.as_str()).collect())
}

/// Put it in force. A busy machine may take longer to compile it than a request may take.
async fn activate(world: &World) {
    let pushed = found("the policy ready", async || {
        let answer = world.push("rego", components::bytes("rego"), settings(), patient()).await;
        (answer.status != 503).then_some(answer)
    });
    let version: PolicyVersion = pushed.await.expect(201).json();
    let body = json!({ "version": version.version });
    world.staff.policy_replacer.post("/v1/policies/rego/activate", &body).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_does_not_have_is_told_by_name_and_place_and_changes_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = World::new().await;
    world.put(components::bytes("rego")).await;
    let size = world.log_size().await;
    for (module, problem) in [
        (
            "package attorn\nallow if http.send({\"url\": \"http://x\"}).status_code == 200",
            "faq.rego:2:10: `http.send` is not there to be called: a policy has no network",
        ),
        ("package attorn\nallow if {\ninput.action ==\n}", "faq.rego:4:1: "),
    ] {
        let mut settings = settings();
        settings["modules"]["faq.rego"] = json!(module);
        let refused = world.push("rego", components::bytes("rego"), settings, patient()).await;
        let refused = refused.refused(422, "settings_rejected");
        assert!(refused.detail.contains(problem), "{}", refused.detail);
    }
    assert_eq!(world.log_size().await, size);
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow, "what was in force still is");
}

#[tokio::test(flavor = "multi_thread")]
async fn rego_decides_and_every_decision_can_be_run_again() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = World::without_policy().await;
    activate(&world).await;
    let missing = world.bot.decide(&ask()).await;
    assert_eq!(said(&missing), (Deny, vec!["denied_by_policy"]), "nobody told where the article stands");
    assert!(world.entry_of(&missing).await.to_string().contains("fact_missing"));

    world.faq.post("/v1/resource-facts", &section("internal")).await.expect(200);
    assert_eq!(said(&world.bot.decide(&ask()).await), (Deny, vec!["not_allowed"]));
    world.faq.post("/v1/resource-facts", &section("public")).await.expect(200);
    let allowed = world.bot.decide(&ask()).await;
    assert_eq!(said(&allowed), (Allow, vec!["reader"]));
    assert_eq!(said(&world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await), (Deny, vec!["not_allowed"]));

    // What the agent reads and what is recorded.
    let long = world.bot.decide(&ask_with(json!({ "arguments": { "pages": 10 } }))).await;
    assert_eq!(said(&long), (Deny, vec!["denied_by_policy"]));
    let record = world.record_of(&long).await.to_string();
    assert!(record.contains("long: 10 pages"), "{record}");
    let odd = world.bot.decide(&ask_with(json!({ "arguments": { "pages": "ten" } }))).await;
    assert_eq!(said(&odd), (Deny, vec!["denied_by_policy"]), "a deny that cannot be evaluated");
    assert!(world.entry_of(&odd).await.to_string().contains("evaluation_failed"));
    let record = world.record_of(&odd).await.to_string();
    assert!(record.contains("faq.rego:10:"), "{record}");

    let same = replays_identically(&world).await;
    assert!(same.asked() >= 6, "{same:?}");
}
