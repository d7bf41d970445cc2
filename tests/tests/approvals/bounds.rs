//! How long a yes and a no hold, how much waits at once, and what comes of many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_tests::wait::Waiting;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_no_holds_for_a_while_and_nobody_is_asked_again() {
    let limits = ApprovalLimits { refusal_ms: 3_000, ..ApprovalLimits::default() };
    let scene = Scene::limited(TWO, limits).await;
    let asked = scene.challenged(&ask()).await;
    approve(&scene.ada, &asked.id).await;
    // Whoever said yes may still say no.
    let refused: Approval = vote(&scene.ada, &asked.id, "refuse").await.expect(200).json();
    assert_eq!((refused.state.as_str(), refused.votes.len()), ("refused", 1));
    scene.denied(&ask(), "approval_refused").await;
    scene.denied(&ask(), "approval_refused").await;
    vote(&scene.bob, &asked.id, "approve").await.refused(409, "invalid_state");
    // Another request is another.
    scene.challenged(&ask_with(json!({ "resource": "article/43" }))).await;
    replays_identically(&scene.world).await;
    let next = attorn_tests::found("somebody is asked again", async || {
        let answer = scene.world.bot.decide(&ask()).await;
        (answer.decision != Deny).then(|| answer.approval.unwrap())
    })
    .await;
    assert_ne!(next.id, asked.id);
    assert_eq!(scene.state(&asked.id).await, "refused");
}

/// Nobody is asked again because a byte of what nobody decides by has changed; and each no holds longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_a_no_to_what_the_request_says_of_itself() {
    let limits = ApprovalLimits { refusal_ms: 2_000, hold_ms_max: 600_000, ..ApprovalLimits::default() };
    let scene = Scene::limited(ONE, limits).await;
    let mut asked = scene.challenged(&ask()).await;
    for times in 1..=2 {
        vote(&scene.ada, &asked.id, "refuse").await.expect(200);
        let refused_at = std::time::Instant::now();
        let mut n = 0;
        asked = attorn_tests::found("somebody is asked again", async || {
            n += 1;
            let changes = json!({ "claims": { "n": n }, "arguments": { "n": n }, "session": format!("s-{n}") });
            let answer = scene.world.bot.decide(&ask_with(changes)).await;
            if answer.approval.is_none() {
                assert_eq!(codes(&answer), ["approval_refused"]);
            }
            answer.approval
        })
        .await;
        // A lower bound: however busy the machine is, it holds.
        assert!(n > 1 && refused_at.elapsed() >= Duration::from_millis(times * 2_000 - 500), "the no of round {times}");
    }
    // Once somebody says yes, what was refused before counts no more: the next no is a first one.
    assert_eq!(approve(&scene.ada, &asked.id).await.state, "approved");
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_only_so_much_waiting() {
    let scene = Scene::limited(ONE, ApprovalLimits { open_max: 3, ..ApprovalLimits::default() }).await;
    let article = |n: u32| ask_with(json!({ "resource": format!("article/{n}") }));
    let mut waiting = Vec::new();
    for n in 0..3 {
        waiting.push(scene.challenged(&article(n)).await);
    }
    scene.denied(&article(3), "too_many_approvals").await;
    assert_eq!(scene.challenged(&article(0)).await, waiting[0]);
    // Being refused makes no room for the next.
    vote(&scene.ada, &waiting[0].id, "refuse").await.expect(200);
    scene.denied(&article(3), "too_many_approvals").await;
    // Another agent has room of its own.
    let second = Machine::new(&scene.world.reach, "second");
    scene.world.staff.registrar.post("/v1/agents", &agent_registration(&second)).await.expect(201);
    assert_eq!(second.decide(&article(3)).await.decision, Challenge);
    // What is spent does.
    approve(&scene.ada, &waiting[1].id).await;
    assert_eq!(scene.world.bot.decide(&article(1)).await.decision, Allow);
    scene.challenged(&article(3)).await;
    scene.denied(&article(4), "too_many_approvals").await;
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_ask_at_once_do_not_pass_the_bound() {
    let scene = Arc::new(Scene::limited(ONE, ApprovalLimits { open_max: 3, ..ApprovalLimits::default() }).await);
    let answers = at_once(&scene, 16, |n| ask_with(json!({ "resource": format!("article/{n}") }))).await;
    let challenged = answers.iter().filter(|answer| answer.decision == Challenge).count();
    assert_eq!(challenged, 3);
    assert!(
        answers.iter().filter(|answer| answer.decision == Deny).all(|answer| codes(answer) == ["too_many_approvals"])
    );
    let list: ApprovalList = scene.ada.get("/v1/approvals?limit=200").await.expect(200).json();
    assert_eq!(list.approvals.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_spends_it() {
    let scene = Arc::new(Scene::new(ONE).await);
    let asked = scene.challenged(&ask()).await;
    approve(&scene.ada, &asked.id).await;
    let answers = at_once(&scene, 32, |_| ask()).await;
    let allowed: Vec<_> = answers.iter().filter(|answer| answer.decision == Allow).collect();
    assert_eq!(allowed.len(), 1, "{answers:?}");
    // All others wait for one and the same.
    let waits: BTreeSet<_> = answers.iter().filter_map(|answer| answer.approval.as_ref()).map(|one| &one.id).collect();
    assert_eq!(waits.len(), 1);
    assert!(!waits.contains(&asked.id));
    let spent_by = show(&scene.ada, &asked.id).await.spent_by;
    assert_eq!(spent_by.as_deref(), Some(allowed[0].decision_id.as_str()));
    replays_identically(&scene.world).await;
}

/// Ask so often at once. A full queue, or what changed too often, is no decision.
async fn at_once(scene: &Arc<Scene>, times: u32, ask: impl Fn(u32) -> Value) -> Vec<DecisionAnswer> {
    let asking: Vec<_> = (0..times)
        .map(|n| {
            let (scene, ask) = (Arc::clone(scene), ask(n));
            tokio::spawn(async move {
                let waiting = Waiting::begin("a decision");
                loop {
                    let answer = scene.world.bot.post("/v1/decisions", &ask).await;
                    if answer.status != 503 {
                        return answer.expect(200).json::<DecisionAnswer>();
                    }
                    waiting.a_moment().await;
                }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for one in asking {
        answers.push(one.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_does_not_count() {
    let limits = ApprovalLimits { lapse_ms: 2_000, open_max: 1, ..ApprovalLimits::default() };
    let scene = Scene::limited(ONE, limits).await;
    let asked = scene.challenged(&ask()).await;
    let digest = show(&scene.ada, &asked.id).await.digest;
    scene.until(&asked.id, "lapsed").await;
    for verb in ["approve", "refuse"] {
        let path = format!("/v1/approvals/{}/{verb}", asked.id);
        scene.ada.post(path, &json!({ "digest": digest })).await.refused(409, "invalid_state");
    }
    assert!(scene.ada.get("/v1/approvals").await.json::<ApprovalList>().approvals.is_empty());
    let list: ApprovalList = scene.ada.get("/v1/approvals?state=lapsed").await.expect(200).json();
    assert_eq!(list.approvals.len(), 1);
    // What has lapsed keeps no place.
    let next = scene.challenged(&ask_with(json!({ "resource": "article/43" }))).await;
    assert_ne!(next.id, asked.id);
    scene.until(&next.id, "lapsed").await;
    // A yes in time is no yes later.
    let mut newest = scene.challenged(&ask()).await;
    attorn_tests::until("a yes in time", async || {
        let is_in_time = vote(&scene.ada, &newest.id, "approve").await.status == 200;
        if !is_in_time {
            scene.until(&newest.id, "lapsed").await;
            newest = scene.challenged(&ask()).await;
        }
        is_in_time
    })
    .await;
    scene.until(&newest.id, "lapsed").await;
    let again = scene.challenged(&ask()).await;
    assert_ne!(again.id, newest.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_denies_what_was_approved() {
    let scene = Scene::new(ONE).await;
    let asked = scene.challenged(&ask()).await;
    approve(&scene.ada, &asked.id).await;
    scene.world.staff.registrar.post("/v1/freeze", &json!({})).await.expect(200);
    scene.denied(&ask(), "frozen").await;
    let thawer = scene.world.staff.admin.hire("thawer", &[Duty::Thawer]).await;
    thawer.post("/v1/thaw", &json!({})).await.expect(200);
    scene.world.staff.registrar.post("/v1/agents/support-bot/suspend", &json!({})).await.expect(200);
    scene.denied(&ask(), "agent_suspended").await;
    scene.world.staff.registrar.post("/v1/agents/support-bot/resume", &json!({})).await.expect(200);
    assert_eq!(scene.world.bot.decide(&ask()).await.decision, Allow);
}
