//! Whoever registered an agent may hold its key, whatever owner they wrote there: they approve nothing that it asks.

use attorn_api::decisions::DecisionAnswer;
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_core::Duty;
use attorn_tests::behalf::{exchange, registration};
use attorn_tests::server::Fresh;
use attorn_tests::svids::Authority;
use attorn_tests::world::{PURPOSE_WITH_USER, agent_registration, ask};
use attorn_tests::{Behalf, Call, Machine, Server, World, components};
use serde_json::json;

use super::{Allow, Challenge, ONE, Scene, TWO, approve, as_operator, show, text, vote};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_an_agent_approves_nothing_that_it_asks() {
    let scene = Scene::new(ONE).await;
    let both = scene.world.staff.admin.hire("both", &[Duty::Registrar, Duty::Approver]).await;
    let own = Machine::new(&scene.world.reach, "own");
    both.post("/v1/agents", &agent_registration(&own)).await.expect(201);
    // However often its state changes, it is known who registered it.
    for verb in ["suspend", "resume"].repeat(20) {
        both.post(format!("/v1/agents/own/{verb}"), &json!({ "reason": "a test" })).await.expect(200);
    }
    let asked = own.decide(&ask()).await.approval.unwrap();
    let problem = vote(&both, &asked.id, "approve").await.refused(403, "own_request");
    assert!(problem.detail.contains("registered an agent"), "{problem}");
    assert_eq!(own.decide(&ask()).await.decision, Challenge);
    approve(&scene.ada, &asked.id).await;
    assert_eq!(own.decide(&ask()).await.decision, Allow);
    // A no is anybody's who is asked.
    let asked = own.decide(&ask()).await.approval.unwrap();
    vote(&both, &asked.id, "refuse").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_the_key_that_asks_approves_nothing_either() {
    let scene = Scene::new(ONE).await;
    let both = scene.world.staff.admin.hire("both", &[Duty::Registrar, Duty::Approver]).await;
    let theirs = Machine::new(&scene.world.reach, "support-bot");
    let path = "/v1/agents/support-bot/keys";
    both.post(path, &theirs.key_registration("pod-2")).await.expect(200);
    let asked = theirs.decide(&ask()).await.approval.unwrap();
    vote(&both, &asked.id, "approve").await.refused(403, "own_request");
    // What the other key asks they approve, and do not spend it by theirs.
    vote(&scene.ada, &asked.id, "refuse").await.expect(200);
    let other = attorn_tests::world::ask_with(json!({ "resource": "article/43" }));
    let asked = scene.challenged(&other).await;
    approve(&both, &asked.id).await;
    assert_eq!(theirs.decide(&other).await.decision, Challenge, "their own yes counts for their own key");
    assert_eq!(scene.world.bot.decide(&other).await.decision, Allow);
}

/// Whoever says which certificate is an agent's may hold it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_the_identity_that_asks_approves_nothing_either() {
    const ID: &str = "spiffe://example.org/support/bot";
    let server = Server::start_in(Fresh::make_with_tls(&Authority::new("of the server")).await).await;
    let (world, workloads) = (Box::pin(World::in_server(server)).await, Authority::new("of the workloads"));
    world.activate("careful", components::bytes(ONE), json!({})).await;
    let staff = &world.staff;
    let body = json!({ "id": "example.org", "bundle": { "pem": workloads.pem } });
    staff.registrar.post("/v1/trust-domains", &body).await.expect(201);
    let both = staff.admin.hire("both", &[Duty::Registrar, Duty::Approver]).await;
    let ada = staff.admin.hire("ada", &[Duty::Approver]).await;
    let body = json!({ "subject": { "spiffe": ID }, "instance": "mesh-1", "methods": ["x509"] });
    both.post("/v1/agents/support-bot/identities", &body).await.expect(200);

    let theirs = world.reach.showing(&workloads.svid(ID, |_| {}));
    let decide =
        async || -> DecisionAnswer { theirs.send(Call::post("/v1/decisions", &ask())).await.expect(200).json() };
    let asked = decide().await.approval.unwrap();
    let problem = vote(&both, &asked.id, "approve").await.refused(403, "own_request");
    assert!(problem.detail.contains("registered an agent"), "{problem}");
    assert_eq!(decide().await.decision, Challenge);
    approve(&ada, &asked.id).await;
    assert_eq!(decide().await.decision, Allow);
    // What it asks by the key that another registered is another's request.
    let asked = world.bot.decide(&ask()).await.approval.unwrap();
    approve(&both, &asked.id).await;
    assert_eq!(decide().await.decision, Challenge, "their own yes counts for their own identity");
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
}

/// An agent in the middle of a chain may be theirs as well.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_an_agent_that_delegates_approves_nothing_either() {
    let behalf = Box::pin(Behalf::new()).await;
    behalf.activate("careful", components::bytes(ONE), json!({})).await;
    let both = behalf.staff.admin.hire("both", &[Duty::Registrar, Duty::Approver]).await;
    let ada = behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
    let middle = Machine::new(&behalf.reach, "middle");
    both.post("/v1/agents", &registration(&middle, "account.*", "account/*")).await.expect(201);

    let of_helper = json!({ "client_id": "helper-client" });
    let root: DelegationMade = exchange(&behalf.helper, &behalf.token(of_helper)).await.expect(201).json();
    let offered = behalf.offered(&behalf.helper, &root.delegation, &middle).await;
    let last = behalf.offered(&middle, &offered, &behalf.second).await;
    let reads = |delegation: &Delegation| {
        json!({ "action": "account.read", "resource": format!("account/{}/giro", delegation.user),
            "purpose": PURPOSE_WITH_USER, "delegation": delegation.id })
    };
    let asked = behalf.second.decide(&reads(&last)).await.approval.unwrap();
    vote(&both, &asked.id, "approve").await.refused(403, "own_request");
    assert_eq!(behalf.second.decide(&reads(&last)).await.decision, Challenge);
    approve(&ada, &asked.id).await;
    assert_eq!(behalf.second.decide(&reads(&last)).await.decision, Allow);
    // Before it in the chain nothing is theirs.
    let asked = behalf.helper.decide(&reads(&root.delegation)).await.approval.unwrap();
    approve(&both, &asked.id).await;
    assert_eq!(behalf.helper.decide(&reads(&root.delegation)).await.decision, Allow);
}

/// Whoever is asked reads what there is left to do, and what a yes comes to.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_to_do_is_said_as_it_is() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    let digest = show(&scene.ada, &asked.id).await.digest;
    let say = |verb: &str| format!("approval {verb} {} --digest {digest}", asked.id);
    assert!(as_operator(&scene, &scene.ada, &say("approve")).await.status.success());
    let twice = as_operator(&scene, &scene.ada, &say("approve")).await;
    assert!(text(&twice).contains("it waits for nobody, and the agent can go on"), "{}", text(&twice));
    let allowed = scene.world.bot.decide(&ask()).await;
    assert_eq!(allowed.decision, Allow);
    let late = as_operator(&scene, &scene.ada, &say("refuse")).await;
    for part in ["is spent", "`attorn grant revoke` ends it", &format!("`attorn audit show {}`", allowed.decision_id)] {
        assert!(text(&late).contains(part), "{part}: {}", text(&late));
    }
    assert!(!text(&late).contains("the agent can ask again"), "{}", text(&late));
    let shown = as_operator(&scene, &scene.ada, &format!("approval show {}", asked.id)).await;
    assert!(text(&shown).contains(&format!("spent by    {}", allowed.decision_id)), "{}", text(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_policies_have_changed_is_said_to_whoever_approves() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    assert!(!show(&scene.ada, &asked.id).await.policies_changed);
    scene.world.activate("careful", components::bytes(TWO), json!({})).await;
    assert!(approve(&scene.ada, &asked.id).await.policies_changed);
    let shown = as_operator(&scene, &scene.ada, &format!("approval show {}", asked.id)).await;
    assert!(text(&shown).contains("the agent's next try asks for another approval"), "{}", text(&shown));
    let another = scene.challenged(&ask()).await;
    assert_ne!(another.id, asked.id);
    assert!(!show(&scene.ada, &another.id).await.policies_changed);
}
