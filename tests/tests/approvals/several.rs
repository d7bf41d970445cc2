//! Several policies that challenge: what all of them ask for is asked for once, and no vote is lost in between.

use super::*;

/// All that was asked for, whatever came of it.
async fn asked_for(scene: &Scene) -> ApprovalList {
    scene.ada.get("/v1/approvals?state=all&limit=200").await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operator_for_the_one_and_two_for_the_other_are_two() {
    let scene = Scene::new(TWO).await;
    scene.world.activate("other", components::bytes(ONE), json!({})).await;
    let first = scene.world.bot.decide(&ask()).await;
    let counts = |answer: &DecisionAnswer| answer.approvers.iter().map(|one| one.count).collect::<Vec<_>>();
    assert_eq!((counts(&first), codes(&first).len()), (vec![1, 2], 2), "{first:?}");
    let asked = first.approval.unwrap();
    approve(&scene.ada, &asked.id).await;
    // The policy that asks for one has it. All the same it is one approval, and her vote stands.
    for _ in 0..2 {
        let again = scene.world.bot.decide(&ask()).await;
        assert_eq!((again.approval.as_ref(), counts(&again)), (Some(&asked), vec![1, 2]), "{again:?}");
        assert_eq!(scene.world.entry_of(&again).await["approval"]["is"], "pending");
    }
    assert_eq!(show(&scene.ada, &asked.id).await.votes.len(), 1);
    assert_eq!(approve(&scene.bob, &asked.id).await.state, "approved");
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
    let list = asked_for(&scene).await;
    assert_eq!(list.approvals.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [&asked.id]);
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_are_asked_than_before_nobody_votes_twice() {
    // The first asks for one; with more to pay, so does another.
    let scene = Scene::new("abstain").await;
    let fact = |value: u64| json!({ "facts": [{ "name": "agent/support-bot/asks", "value": value }] });
    scene.world.activate("asks", components::bytes("challenge_as_told"), json!({})).await;
    let first = scene.challenged(&ask()).await;
    approve(&scene.ada, &first.id).await;
    scene.world.staff.registrar.post("/v1/facts", &fact(2)).await.expect(200);
    let answer = scene.world.bot.decide(&ask()).await;
    let second = answer.approval.clone().unwrap();
    assert_eq!(answer.decision, Challenge);
    assert_ne!(second.id, first.id);
    assert_eq!(second.expires_at_ms, first.expires_at_ms, "her yes counts no longer than it did");
    let entry = world_entry(&scene, &answer).await;
    assert_eq!((&entry["is"], &entry["replaces"]), (&json!("requested"), &json!(first.id)));
    let shown = show(&scene.ada, &second.id).await;
    assert_eq!((shown.state.as_str(), shown.votes[0].approver.as_str()), ("pending", "ada"));
    assert_eq!(scene.state(&first.id).await, "lapsed");
    vote(&scene.ada, &second.id, "approve").await.refused(409, "invalid_state");
    assert_eq!(approve(&scene.bob, &second.id).await.state, "approved");
    // What asks for fewer is met by what was asked for.
    scene.world.staff.registrar.post("/v1/facts", &fact(1)).await.expect(200);
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
    replays_identically(&scene.world).await;
}

async fn world_entry(scene: &Scene, answer: &DecisionAnswer) -> Value {
    scene.world.entry_of(answer).await["approval"].clone()
}
