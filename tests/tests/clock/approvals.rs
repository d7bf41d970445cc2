//! Time is set back while somebody votes.

use std::time::Duration;

use attorn_core::Duty;
use attorn_tests::components;
use attorn_tests::provider::Mood;
use serde_json::Value;

use super::*;

/// How long an agent's request is waited for before it is taken to wait for whoever sets the clock: far longer than it takes.
const PROBE: Duration = Duration::from_secs(1);
/// How often it is tried, should one ever take as long.
const TRIES: usize = 3;

/// What ended when time was set back looks no younger by a vote: that waits for whoever sets the clock.
#[tokio::test(flavor = "multi_thread")]
async fn no_vote_falls_between_a_clock_that_is_set_back_and_what_ends_with_that() {
    for _ in 0..TRIES {
        let scene = Scene::new().await;
        let world = &scene.behalf.world;
        world.activate("careful", components::bytes("challenge_private_reason"), json!({})).await;
        let ada = world.staff.admin.hire("ada", &[Duty::Approver]).await;
        let asked = world.bot.decide(&ask()).await.approval.unwrap();
        let shown: Value = ada.get(format!("/v1/approvals/{}", asked.id)).await.expect(200).json();
        let state = Call::get(format!("/v1/approvals/{}/state", asked.id));
        // Somebody is half way through a request, for as long as the provider takes.
        let provider = &scene.behalf.provider;
        let fetched = provider.asked().0;
        provider.be(Mood::Slow(Duration::from_secs(30)));
        let (token, bot) = (scene.subject_token(0), &world.bot);
        let half_way = scene.behalf.exchange(&token);
        let vote = async {
            attorn_tests::until("the provider is asked", async || provider.asked().0 != fetched).await;
            scene.step(-HOUR_S);
            let accepted = scene.accept("behind");
            let vote = async {
                while tokio::time::timeout(PROBE, bot.send(state.clone())).await.is_ok() {}
                let body = json!({ "digest": shown["digest"], "reason": "a test" });
                ada.post(format!("/v1/approvals/{}/approve", asked.id), &body).await
            };
            let (accepted, vote) = tokio::join!(accepted, vote);
            accepted.expect(200);
            vote
        };
        let (_, vote) = tokio::join!(half_way, vote);
        if vote.status == 409 {
            assert!(vote.refused(409, "invalid_state").detail.contains("is lapsed"));
            return;
        }
    }
    panic!("a vote was cast while the clock was set back");
}
