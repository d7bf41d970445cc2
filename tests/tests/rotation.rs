//! An agent gets a new key while the old one still counts, and nothing of what it does stops in between.

use std::time::Duration;

use attorn_tests::machines::now_ms;
use attorn_tests::world::ask;
use attorn_tests::{Machine, World};

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_key_count_until_the_old_one_is_revoked() {
    let world = World::new().await;
    let registrar = &world.staff.registrar;
    let (old, new) = (&world.bot, Machine::new(&world.reach, "support-bot"));
    let before = old.decide(&ask()).await.grant.unwrap();
    new.post("/v1/decisions", &ask()).await.refused(401, "unknown_key");
    registrar.post("/v1/agents/support-bot/keys", &new.key_registration("pod-1")).await.expect(200);
    for _ in 0..2 {
        let (of_old, of_new) = (old.decide(&ask()).await.grant.unwrap(), new.decide(&ask()).await.grant.unwrap());
        world.use_grant(&of_old).await.expect(200);
        world.use_grant(&of_new).await.expect(200);
    }
    let of_new = new.decide(&ask()).await.grant.unwrap();
    registrar.act(format!("/v1/agents/support-bot/keys/{}/revoke", old.key.thumbprint())).await.expect(200);
    old.post("/v1/decisions", &ask()).await.refused(401, "unknown_key");
    // What hung on the old key ended with it; what hangs on the new one goes on.
    world.use_grant(&before).await.refused(409, "grant_inactive");
    world.use_grant(&of_new).await.expect(200);
    new.decide(&ask()).await.grant.unwrap();
    // The old key never comes back.
    registrar.post("/v1/agents/support-bot/keys", &old.key_registration("pod-1")).await.refused(409, "key_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_key_count_until_the_old_one_expires() {
    let world = World::new().await;
    let registrar = &world.staff.registrar;
    let (brief, next) = (Machine::new(&world.reach, "support-bot"), Machine::new(&world.reach, "support-bot"));
    let until = now_ms() + 3_000;
    let keys = "/v1/agents/support-bot/keys";
    registrar.post(keys, &brief.key_registration_until("pod-2", until)).await.expect(200);
    registrar.post(keys, &next.key_registration("pod-2")).await.expect(200);
    let of_next = next.decide(&ask()).await.grant.unwrap();
    brief.decide(&ask()).await.grant.unwrap();
    tokio::time::sleep(Duration::from_millis(until.saturating_sub(now_ms()) + 50)).await;
    brief.post("/v1/decisions", &ask()).await.refused(401, "key_expired");
    next.decide(&ask()).await.grant.unwrap();
    world.use_grant(&of_next).await.expect(200);
}
