//! Whoever floods is turned away, and nobody else notices.

use attorn_tests::server::Fresh;
use attorn_tests::world::{agent_registration, ask};
use attorn_tests::{Behalf, Call, Machine, Server, World};
use futures_util::future::join_all;
use serde_json::json;

const FLOOD: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_floods_is_turned_away_alone() {
    let slow = Fresh::make().await.configure("agent_requests_per_s_max = 1000000", "agent_requests_per_s_max = 1");
    let world = World::new_in(Server::start_in(slow).await).await;
    let quiet = Machine::new(&world.reach, "quiet-bot");
    world.staff.registrar.post("/v1/agents", &agent_registration(&quiet)).await.expect(201);
    // A stranger who only names the agent's key takes nothing from it.
    let mut forged = world.bot.signed(attorn_tests::Call::post("/v1/decisions", &ask())).await;
    for (_, value) in forged.headers.iter_mut().filter(|(name, _)| name == attorn_api::PROOF_HEADER) {
        value.truncate(value.len() - 86);
        value.extend_from_slice(&[b'A'; 86]);
    }
    for answer in join_all((0..FLOOD).map(|_| world.reach.send(forged.clone()))).await {
        answer.refused(401, "proof_invalid");
    }
    // At one in a second, 200 take minutes.
    let (mut passed, mut turned_away) = (0, 0);
    let ask = ask();
    for answer in join_all((0..FLOOD).map(|_| world.bot.post("/v1/decisions", &ask))).await {
        if answer.status == 200 {
            passed += 1;
            continue;
        }
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(answer.refused(429, "too_many_requests").help.is_some());
        turned_away += 1;
    }
    assert!(passed >= 2 && turned_away >= 1, "{passed} passed, {turned_away} turned away");
    quiet.post("/v1/decisions", &ask).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_floods_is_turned_away_alone() {
    let slow = Fresh::make().await.configure("agent_requests_per_s_max = 1000000", "agent_requests_per_s_max = 1");
    let scene = Behalf::in_world(World::in_server(Server::start_in(slow).await).await, json!({})).await;
    for subject in ["alice", "bob"] {
        let name = json!({ "provider": "main", "subject": subject });
        scene.staff.registrar.post("/v1/users", &name).await.expect(201);
    }
    let list = |token: &str| scene.reach.send(Call::get("/v1/me/delegations").bearer(token));
    // A stranger who only names the user takes nothing from them.
    let token = scene.provider.user_token(json!({}));
    let forged = format!("{}{}", &token[..token.len() - 43], "A".repeat(43));
    for answer in join_all((0..FLOOD).map(|_| list(&forged))).await {
        answer.refused(401, "user_unauthenticated");
    }
    let (mut passed, mut turned_away) = (0, 0);
    for answer in join_all((0..FLOOD).map(|_| list(&token))).await {
        if answer.status == 200 {
            passed += 1;
            continue;
        }
        answer.refused(429, "too_many_requests");
        turned_away += 1;
    }
    assert!(passed >= 2 && turned_away >= 1, "{passed} passed, {turned_away} turned away");
    list(&scene.provider.user_token(json!({ "sub": "bob" }))).await.expect(200);
}
