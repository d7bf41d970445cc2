//! Members of a group are asked: whoever is none, is asked about themselves, votes twice or too late, counts for nothing.

use std::path::PathBuf;

use attorn_api::decisions::DecisionKind;
use attorn_api::delegations::DelegationMade;
use attorn_api::simulations::Simulation;
use attorn_log::{CheckpointVerifier, verify_export};
use attorn_tests::behalf::exchange;
use attorn_tests::files::found_in;
use attorn_tests::machines::now_ms;
use attorn_tests::{Behalf, Call, components};
use serde_json::{Value, json};

use super::groups::{NOTHING, answers, finance, reads, scene, signs_in, voted};
use super::page::{Browser, form, pairs, path, with_page};
use super::prompts::{Scene, providers};

/// What the provider calls somebody who is erased: a word that stands nowhere else.
const ERASED: &str = "subject-vqxjkwbz";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_asked_sees_what_is_shown_of_approvals_that_there_are_not() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    let none = Browser::new(&scene).get(NOTHING).await.expect(404).text();
    let many: Vec<String> = (0..129).map(|n| format!("g{n}")).chain(["finance".into()]).collect();
    for claims in [
        // Alice does not approve what is asked in her name, whatever her groups are.
        json!({ "groups": ["finance"] }),
        json!({ "sub": "dave", "groups": ["sales"] }),
        json!({ "sub": "dave", "groups": [] }),
        json!({ "sub": "dave" }),
        json!({ "sub": "dave", "groups": ["Finance", "finance ", "/finance", "user", "operator"] }),
        // Claims that are no groups at all, or more than are taken.
        json!({ "sub": "dave", "groups": "finance" }),
        json!({ "sub": "dave", "groups": { "finance": true } }),
        json!({ "sub": "dave", "groups": ["finance", 7] }),
        json!({ "sub": "dave", "groups": many }),
        json!({ "sub": "dave", "roles": ["finance"] }),
    ] {
        let mut browser = Browser::new(&scene);
        let answer = signs_in(&mut browser, &scene, &approval, &claims).await;
        assert_eq!((answer.status, answer.text()), (404, none.clone()), "{claims}");
        assert!(browser.cookies.keys().all(|name| !name.contains("visit")), "{:?}", browser.cookies);
        browser.get(&path(&approval)).await.expect(303);
    }
    assert_eq!(scene.state(&approval).await, "pending");
    let body = json!({ "provider": "main", "subject": "dave" });
    scene.behalf.staff.registrar.post("/v1/users/find", &body).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_counts_once_and_who_votes_twice_is_told() {
    let scene = scene(2).await;
    let approval = scene.challenged(5_000).await;
    let (mut bob, page) = reads(&scene, &approval, &finance("bob")).await;
    let yes = form(&page, "approve");
    // In another browser, at the same time, he is the same person.
    let (mut other, others) = reads(&scene, &approval, &finance("bob")).await;
    bob.post(&path(&approval), &pairs(&yes)).await.expect(303);
    for (browser, form) in [(&mut bob, &yes), (&mut other, &form(&others, "approve"))] {
        let text = browser.post(&path(&approval), &pairs(form)).await.expect(409).text();
        assert!(text.contains("You have approved this") && text.contains("was not recorded"), "{text}");
    }
    let (_, again) = reads(&scene, &approval, &finance("bob")).await;
    assert!(again.contains("You have approved this") && !again.contains("<form"), "{again}");
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("pending", 1));
    assert_eq!(scene.challenged(5_000).await, approval);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_no_of_a_member_ends_it() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    answers(&scene, &approval, &finance("bob"), "refuse").await.expect(303);
    let (_, page) = reads(&scene, &approval, &finance("carol")).await;
    assert!(page.contains("This was refused") && !page.contains("<form"), "{page}");
    let again = scene.pay(5_000).await;
    assert_eq!((again.decision, again.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_refused"));
}

/// Who answers for the agent is a name of the registrar's, and so it is compared with each name that somebody goes by.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_owns_the_agent_may_refuse_and_not_approve() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    for claims in [
        json!({ "sub": "support@example.org", "groups": ["finance"] }),
        json!({ "sub": "eve", "email": "Support@Example.org", "groups": ["finance"] }),
        json!({ "sub": "eve", "preferred_username": "support@example.org", "groups": ["finance"] }),
    ] {
        let answer = answers(&scene, &approval, &claims, "approve").await;
        assert_eq!(answer.status, 403, "{claims}: {}", answer.text());
        assert!(answer.text().contains("you own an agent that asks for this"), "{}", answer.text());
    }
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("pending", 0));
    let claims = json!({ "sub": "eve", "email": "support@example.org", "groups": ["finance"] });
    answers(&scene, &approval, &claims, "refuse").await.expect(303);
    assert_eq!(scene.state(&approval).await, "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vote_rests_on_has_to_stand_when_it_is_cast() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    let none = Browser::new(&scene).get(NOTHING).await.expect(404).text();
    let (mut bob, page) = reads(&scene, &approval, &finance("bob")).await;
    let yes = form(&page, "approve");
    let registrar = &scene.behalf.staff.registrar;
    // The agent is suspended, and active again: while it is not, no vote is recorded.
    registrar.post("/v1/agents/helper/suspend", &json!({})).await.expect(200);
    assert!(bob.post(&path(&approval), &pairs(&yes)).await.expect(409).text().contains("was not recorded"));
    registrar.post("/v1/agents/helper/resume", &json!({})).await.expect(200);
    registrar.post("/v1/providers/main/revoke", &json!({})).await.expect(200);
    assert_eq!(bob.post(&path(&approval), &pairs(&yes)).await.expect(404).text(), none);
    assert_eq!(voted(&scene).await.len(), 0);
}

/// Where a provider calls one person otherwise for each client, alice comes as somebody else; her other name is the same.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_by_a_name_of_the_user_is_no_other() {
    let behalf = Behalf::with_provider(providers()).await;
    let named = json!({ "preferred_username": "alice.a" });
    let scene = Box::pin(Scene::asking(behalf, with_page(), named, ("finance", 1))).await;
    let approval = scene.challenged(5_000).await;
    for name in ["preferred_username", "email"] {
        let claims = json!({ "sub": "alice-at-attorn", (name): "Alice.A", "groups": ["finance"] });
        let answer = answers(&scene, &approval, &claims, "approve").await;
        assert_eq!(answer.status, 403, "{claims}: {}", answer.text());
        assert!(answer.text().contains("you go by a name of the user"), "{}", answer.text());
    }
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("pending", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_counts_no_more_when_the_logins_of_who_cast_it_were_ended() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    answers(&scene, &approval, &finance("bob"), "approve").await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
    let registrar = &scene.behalf.staff.registrar;
    let found = registrar.post("/v1/users/find", &json!({ "provider": "main", "subject": "bob" })).await.expect(200);
    let bob = found.json::<Value>()["id"].as_str().unwrap().to_owned();
    registrar.post(format!("/v1/users/{bob}/revoke"), &json!({ "reason": "taken over" })).await.expect(200);
    assert_eq!(scene.state(&approval).await, "pending");
    assert_eq!(scene.challenged(5_000).await, approval);
    // He signs in again, and votes anew: it is one vote, which counts.
    let (mut browser, page) = reads(&scene, &approval, &finance("bob")).await;
    let yes = form(&page, "approve");
    browser.post(&path(&approval), &pairs(&yes)).await.expect(303);
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("approved", 2));
    // As long as it counts he does not vote once more.
    browser.post(&path(&approval), &pairs(&yes)).await.expect(409);
    assert_eq!(voted(&scene).await.len(), 2);
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
}

/// Bob leaves the group after his vote: the provider says so in a token of his that comes here for another reason.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_the_group_no_more_counts_no_more() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    answers(&scene, &approval, &finance("bob"), "approve").await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
    let at_s = now_ms() / 1_000 + 2;
    let left = json!({ "client_id": "helper-client", "sub": "bob", "sid": "s-2", "groups": ["staff"], "iat": at_s });
    let made = exchange(&scene.behalf.helper, &scene.behalf.token(left)).await.expect(201);
    assert_ne!(made.json::<DelegationMade>().delegation.user, scene.delegation.user);
    assert_eq!(scene.state(&approval).await, "pending");
    assert_eq!(scene.challenged(5_000).await, approval);
    // Carol is in it.
    answers(&scene, &approval, &finance("carol"), "approve").await.expect(303);
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_was_erased_is_nobody_and_comes_back_as_somebody_else() {
    let scene = scene(2).await;
    let approval = scene.challenged(5_000).await;
    let (mut early, page) = reads(&scene, &approval, &finance(ERASED)).await;
    answers(&scene, &approval, &finance(ERASED), "approve").await.expect(303);
    let name = json!({ "provider": "main", "subject": ERASED });
    let find = || scene.behalf.staff.registrar.post("/v1/users/find", &name);
    let bob = find().await.expect(200).json::<Value>()["id"].as_str().unwrap().to_owned();
    // All of him was sealed from the first write on.
    let home = scene.behalf.server.data_dir().parent().unwrap().to_owned();
    assert_eq!(found_in(&home, ERASED.as_bytes()), Vec::<PathBuf>::new());
    scene.behalf.erase(&bob).await.expect(200);
    // What he had signed in for before makes nobody of him again.
    let late = early.post(&path(&approval), &pairs(&form(&page, "approve"))).await.expect(401).text();
    assert!(late.contains("were erased, after you signed in"), "{late}");
    find().await.refused(404, "not_found");
    // His vote stands in the log, counts for nothing any more, and says of him what can be said for ever.
    answers(&scene, &approval, &finance("carol"), "approve").await.expect(303);
    assert_eq!(scene.state(&approval).await, "pending");
    assert_eq!(scene.challenged(5_000).await, approval);
    let votes = voted(&scene).await;
    assert_eq!(votes.len(), 2);
    assert!(votes[0]["about"]["by"]["user"].is_string() && !json!(votes).to_string().contains(ERASED), "{votes:?}");
    // Signed in anew, he is somebody else, who counts once.
    answers(&scene, &approval, &finance(ERASED), "approve").await.expect(303);
    let allowed = scene.pay(5_000).await;
    assert_eq!(allowed.decision, DecisionKind::Allow);
    let by = &scene.behalf.entry_of(&allowed).await["approval"]["approved_by"];
    assert_eq!(by.as_array().map(Vec::len), Some(2), "{by}");
    assert_ne!(find().await.expect(200).json::<Value>()["id"], bob.as_str());
    assert_eq!(found_in(&home, ERASED.as_bytes()), Vec::<PathBuf>::new());
    let reach = &scene.behalf.reach;
    let key: CheckpointVerifier = reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap();
    let export = scene.behalf.staff.auditor.get("/v1/audit/export").await.expect(200);
    assert!(!export.text().contains(&bob) && !export.text().contains(ERASED));
    verify_export(export.body.as_slice(), Some(&key)).unwrap();
}

async fn simulated(scene: &Scene) -> Simulation {
    let body = json!({ "agent": "helper", "request": scene.payment(5_000, "giro") });
    scene.behalf.staff.explainer.post("/v1/simulations", &body).await.expect(200).json()
}

/// Nobody would ever answer: there is no page, or nobody says who is in a group.
#[tokio::test(flavor = "multi_thread")]
async fn where_no_member_could_answer_it_is_a_deny_that_simulations_foresee() {
    let no_page = json!({ "client_id": "attorn", "client_authentication": "private_key_jwt", "code_only": true });
    let mut no_groups = providers();
    no_groups["groups_claim"] = json!(null);
    for (provider, backchannel) in [(providers(), no_page), (no_groups, with_page())] {
        let behalf = Behalf::with_provider(provider.clone()).await;
        let scene = Box::pin(Scene::asking(behalf, backchannel, json!({}), ("finance", 1))).await;
        let denied = scene.pay(5_000).await;
        let said = (denied.decision, denied.reasons[0].code.as_str());
        assert_eq!(said, (DecisionKind::Deny, "approval_impossible"), "{provider}");
        let tried = simulated(&scene).await;
        assert_eq!((tried.decision, tried.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_impossible"));
    }
    let scene = scene(1).await;
    let tried = simulated(&scene).await;
    assert_eq!(tried.decision, DecisionKind::Challenge);
    assert_eq!((tried.approvers[0].role.as_str(), tried.approvers[0].count), ("finance", 1));
    // With one who can, and one who cannot, nobody waits, either.
    let settings = json!({ "groups": { "x".repeat(256): 17 } });
    let extra = json!({ "selector": { "actions": ["account.pay"] } });
    scene.behalf.activate_with("groups", components::bytes("challenge_groups"), settings, extra).await;
    let denied = scene.pay(5_000).await;
    assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_impossible"));
}
