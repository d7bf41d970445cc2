//! What strangers are refused is counted, and stands in one entry of the audit log, which holds nothing that they wrote.

use attorn_api::PROOF_HEADER;
use attorn_tests::oauth::{Client, form, refused, refused_without_nonce};
use attorn_tests::world::ask;
use attorn_tests::{Call, Machine, Metrics, World};
use serde_json::{Value, json};

async fn summaries(world: &World) -> Vec<Value> {
    world.entries().await.into_iter().filter(|entry| entry["type"] == "refusals").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_are_refused_is_summed_up_and_nothing_else_is() {
    let mut world = World::new().await;
    let reach = world.reach.clone();
    let decide = || Call::post("/v1/decisions", &ask());
    let stranger = Machine::new(&reach, "evil-stranger");
    for _ in 0..3 {
        stranger.send(decide()).await.refused(401, "unknown_key");
    }
    reach.send(decide()).await.refused(401, "proof_missing");
    // Asking for a nonce without a proof is refused like any other request without one.
    let mut forged = world.bot.signed(decide()).await;
    for (_, value) in forged.headers.iter_mut().filter(|(name, _)| name == PROOF_HEADER) {
        value.truncate(value.len() - 86);
        value.extend_from_slice(&[b'A'; 86]);
    }
    reach.send(forged).await.refused(401, "proof_invalid");
    let good = world.bot.signed(decide()).await;
    reach.send(good.clone()).await.expect(200);
    reach.send(good).await.refused(401, "proof_replayed");
    reach
        .send(Call::new("POST", "/v1/decisions").body("text/plain", "evil"))
        .await
        .refused(415, "unsupported_media_type");
    reach.send(Call::post("/v1/grants/grt_evil/uses", &json!({}))).await.refused(401, "proof_missing");
    let client = Client::new(&reach, "evil-client");
    for path in ["/oauth/token", "/oauth/token", "/oauth/introspect"] {
        let answer = reach.send(form(path, &client.authentication())).await;
        refused(&answer, 401, "invalid_client");
    }
    reach.send(Call::get("/v1/agents").bearer("attorn_op_evil")).await.refused(401, "unauthenticated");
    world.staff.auditor.get("/v1/agents").await.refused(403, "missing_duty");
    reach.send(Call::get("/v1/me/delegations")).await.refused(401, "user_unauthenticated");
    reach.send(Call::get("/v1/evil")).await.refused(404, "no_such_route");
    reach.send(Call::get("/v1/decisions")).await.refused(405, "method_not_allowed");
    let logout = form("/v1/backchannel-logout", &[("logout_token", "evil".into())]);
    refused_without_nonce(&reach.send(logout).await, 400, "invalid_request");

    // Whoever is known and asks for what is wrong is no stranger.
    world.bot.post("/v1/decisions", &json!({})).await.refused(400, "invalid_body");
    world.staff.registrar.post("/v1/agents", &json!({})).await.refused(400, "invalid_body");
    let metrics = Metrics::of(&world.staff.auditor).await;
    for (asked_for, count) in
        [("agent", 9), ("client", 3), ("operator", 2), ("public", 3), ("resource_server", 1), ("user", 1)]
    {
        assert_eq!(metrics.count("attorn_refusals_total", &[("asked_for", asked_for)]), Some(count), "{asked_for}");
    }

    assert_eq!(summaries(&world).await.len(), 0, "a minute has not passed");
    world.server.restart(false).await;
    let summaries_now = summaries(&world).await;
    let [summary] = summaries_now.as_slice() else { panic!("{summaries_now:?}") };
    let expect = json!({
        "agent": { "unknown_key": 3, "proof_missing": 3, "proof_invalid": 1, "unsupported_media_type": 1 },
        "client": { "invalid_client": 3 },
        "operator": { "unauthenticated": 1 },
        "public": { "no_such_route": 1, "method_not_allowed": 1, "invalid_request": 1 },
        "resource_server": { "proof_missing": 1 },
        "user": { "user_unauthenticated": 1 },
    });
    assert_eq!((&summary["counts"], &summary["total"]), (&expect, &json!(17)));
    assert!(summary["since_ms"].as_u64() < summary["time_ms"].as_u64());
    let text = summary.to_string();
    assert!(!text.contains("evil") && !text.contains("support-bot"), "{text}");

    // What was refused to somebody whose proof or token was good stands under their name.
    let entries = world.entries().await;
    let known: Vec<_> = entries.iter().filter(|entry| entry["type"] == "known_refusals").collect();
    let told: Vec<_> = known.iter().map(|entry| (entry["of"].clone(), entry["counts"].clone())).collect();
    let agent = (json!({ "agent": "support-bot" }), json!({ "agent": { "proof_replayed": 1 } }));
    let operator = (json!({ "operator": world.staff.auditor.id }), json!({ "operator": { "missing_duty": 1 } }));
    assert_eq!(told, [agent, operator]);
    assert!(known.iter().all(|entry| entry["total"] == 1 && entry["since_ms"] == summary["since_ms"]));

    // Where nothing was refused nothing is said.
    world.server.restart(false).await;
    assert_eq!(summaries(&world).await.len(), 1);
}
