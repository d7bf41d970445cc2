//! The approval page: whoever is not Alice, did not sign in for this, or comes too late or twice, gets nothing out of it.

use attorn_api::decisions::ApprovalReference;
use attorn_server::{ApprovalLimits, run};
use attorn_tests::device::Says;
use attorn_tests::machines::now_ms;
use attorn_tests::provider::{Mood, with};
use attorn_tests::server::Fresh;
use attorn_tests::{Call, Server, World};
use serde_json::{Value, json};

use super::page::{Browser, field, form, pairs, path, scene, with_page};
use super::prompts::Scene;

const NOTHING: &str = "/approve/apr_00000000000000000000000000000000";

/// Somebody signs in, and the ID token that comes has these changes. What they get, and that they see nothing after.
async fn tried(scene: &Scene, approval: &ApprovalReference, claims: Value, header: Value) -> (u16, String) {
    let mut browser = Browser::new(scene);
    let back = browser.begin(&path(approval)).await;
    let provider = &scene.behalf.provider;
    // A claim that is to be missing has to get as far as where the token is made.
    let mut claims = claims;
    claims.as_object_mut().unwrap().entry("nonce").or_insert(json!(back.nonce));
    provider.device().says_to_codes(Says::Yes(claims, header));
    let answer = browser.back(&provider.issuer, &back, &[]).await;
    assert!(!browser.cookies.keys().any(|name| name.contains("visit")), "{:?}", browser.cookies);
    // They are sent to sign in, as if they had never come.
    browser.get(&path(approval)).await.expect(303);
    (answer.status, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn bob_sees_what_is_shown_of_approvals_that_there_are_not() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let (status, text) = tried(&scene, &approval, json!({ "sub": "bob" }), json!({})).await;
    let none = Browser::new(&scene).get(NOTHING).await;
    assert_eq!((status, &text), (404, &none.text()));
    for other in ["/approve/x", "/approve/apr_1", "/approve/APR_00000000000000000000000000000000"] {
        assert_eq!(Browser::new(&scene).get(other).await.expect(404).text(), none.text(), "{other}");
    }
    assert_eq!(Browser::new(&scene).post(NOTHING, &[("token", "t")]).await.expect(404).text(), none.text());
    assert!(!text.contains(&approval.code) && !text.contains("giro"), "{text}");
    assert_eq!(scene.state(&approval).await, "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_not_of_this_very_sign_in_lets_nobody_in() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let long_ago = now_ms() / 1_000 - 60;
    for (claims, header, code) in [
        (json!({ "nonce": "another" }), json!({}), "another_sign_in"),
        (json!({ "nonce": null }), json!({}), "another_sign_in"),
        (json!({ "auth_time": null }), json!({}), "not_fresh"),
        (json!({ "auth_time": long_ago }), json!({}), "not_fresh"),
        (json!({ "iat": long_ago }), json!({}), "not_fresh"),
        (json!({ "sub": null }), json!({}), "claim_missing"),
        (json!({ "aud": "portal" }), json!({}), "wrong_audience"),
        (json!({ "iss": "https://other.example" }), json!({}), "wrong_issuer"),
        (json!({ "exp": long_ago }), json!({}), "expired"),
        (json!({}), json!({ "alg": "none" }), "unsigned"),
        (json!({}), json!({ "kid": "key-2" }), "unknown_key"),
        (json!({}), json!({ "typ": "at+jwt" }), "wrong_type"),
    ] {
        let (status, text) = tried(&scene, &approval, claims.clone(), header.clone()).await;
        assert!(status == 401 && text.contains(&format!("({code})")), "{claims} {header}: {status} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_the_provider_s_lets_nobody_in() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let issuer = scene.behalf.provider.issuer.clone();
    for (changes, status, expect) in [
        (&[("iss", "https://other.example")][..], 401, "wrong_issuer"),
        (&[("iss", "")], 401, "wrong_issuer"),
        (&[("code", "")], 401, "nonsense"),
        (&[("error", "access_denied")], 401, "denied_at_once"),
        (&[("error", "<script>")], 401, "request_refused"),
        (&[("state", "another")], 401, "this sign-in is over"),
        (&[("state", "")], 401, "this sign-in is over"),
        (&[("code", "c\u{0}\r\nx: y")], 401, "request_unknown"),
    ] {
        let mut browser = Browser::new(&scene);
        let back = browser.begin(&path(&approval)).await;
        scene.behalf.provider.device().says_to_codes(Says::Raw(400, json!({ "error": "invalid_grant" }).to_string()));
        let answer = browser.back(&issuer, &back, changes).await;
        assert_eq!(answer.status, status, "{changes:?} {}", answer.text());
        assert!(answer.text().contains(expect) && !answer.text().contains("<script>"), "{changes:?} {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_good_once_and_in_the_browser_where_it_began() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let (device, issuer) = (scene.behalf.provider.device(), &scene.behalf.provider.issuer);
    // Somebody sends Alice the link that their own sign-in ends with, or has hers.
    let mut eve = Browser::new(&scene);
    let back = eve.begin(&path(&approval)).await;
    device.says_to_codes(Says::Yes(json!({ "nonce": back.nonce }), json!({})));
    let mut alice = Browser::new(&scene);
    let refused = alice.back(issuer, &back, &[]).await.expect(401).text();
    assert!(refused.contains("another browser"), "{refused}");
    assert!(device.codes().is_empty(), "the code was used for somebody else's browser");
    // It goes on where it began, and is good there once.
    let cookies = eve.cookies.clone();
    eve.back(issuer, &back, &[]).await.expect(303);
    eve.cookies = cookies;
    assert!(eve.back(issuer, &back, &[]).await.expect(401).text().contains("this sign-in is over"));
    assert_eq!(device.codes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_alice_was_not_shown_is_no_vote_of_hers() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    let (place, good) = (path(&approval), form(&page, "approve"));
    let mut stranger = Browser::new(&scene);
    assert!(stranger.post(&place, &pairs(&good)).await.expect(401).text().contains("You are not signed in"));
    for (name, value, status) in [
        ("token", "another".to_owned(), 401),
        ("token", String::new(), 400),
        ("digest", "0".repeat(64), 409),
        ("digest", "x".into(), 422),
        ("say", "yes".into(), 422),
        ("say", String::new(), 400),
    ] {
        let changed = good.clone().map(|(other, old)| (other, if other == name { value.clone() } else { old }));
        let answer = alice.post(&place, &pairs(&changed)).await;
        assert_eq!(answer.status, status, "{name}={value}: {}", answer.text());
    }
    // Another site sends her form.
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs(&good)).finish();
    let call = Call::new("POST", &place).body("application/x-www-form-urlencoded", body.clone());
    alice.send(call.header("sec-fetch-site", "cross-site")).await.expect(401);
    alice.send(Call::new("POST", &place).json("{}")).await.expect(415);
    // What she was shown of another approval is none of this one.
    let other = scene.challenged(6_000).await;
    let others = alice.sign_in(&scene, &other).await;
    let mixed = good.clone().map(|(name, old)| (name, if name == "token" { field(&others, "token") } else { old }));
    alice.post(&place, &pairs(&mixed)).await.expect(401);
    assert_eq!((scene.state(&approval).await, scene.state(&other).await), ("pending".into(), "pending".into()));
    let same = Call::new("POST", &place).body("application/x-www-form-urlencoded", body);
    alice.send(same.header("sec-fetch-site", "same-origin")).await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_vote_and_one_that_is_too_late_each_have_their_page() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let (mut alice, place) = (Browser::new(&scene), path(&approval));
    let page = alice.sign_in(&scene, &approval).await;
    let (yes, no) = (form(&page, "approve"), form(&page, "refuse"));
    alice.post(&place, &pairs(&yes)).await.expect(303);
    for again in [&yes, &no] {
        let text = alice.post(&place, &pairs(again)).await.expect(409).text();
        assert!(text.contains("You have approved this") && text.contains("was not recorded"), "{text}");
        assert!(!text.contains("<form"), "{text}");
    }
    assert_eq!(scene.pay(5_000).await.grant.map(|_| ()), Some(()));
    assert!(alice.post(&place, &pairs(&yes)).await.expect(409).text().contains("has been used"));

    let refused = scene.challenged(6_000).await;
    let page = alice.sign_in(&scene, &refused).await;
    let (yes, no) = (form(&page, "approve"), form(&page, "refuse"));
    alice.post(&path(&refused), &pairs(&no)).await.expect(303);
    assert!(alice.post(&path(&refused), &pairs(&yes)).await.expect(409).text().contains("You have refused this"));
    assert_eq!(scene.state(&refused).await, "refused");
}

/// The agent has the link, and whoever it gives it to: each may have this server begin as often as they like.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_strangers_begin_to_sign_in_alice_s_sign_in_and_visit_stand() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let (device, issuer) = (scene.behalf.provider.device(), &scene.behalf.provider.issuer);
    let (mut early, mut alice) = (Browser::new(&scene), Browser::new(&scene));
    let page = early.sign_in(&scene, &approval).await;
    let back = alice.begin(&path(&approval)).await;
    for n in 0..40 {
        let mut stranger = Browser::new(&scene);
        let theirs = stranger.begin(&path(&approval)).await;
        if n % 8 == 0 {
            device.says_to_codes(Says::Raw(400, json!({ "error": "invalid_grant" }).to_string()));
            stranger.back(issuer, &theirs, &[]).await.expect(401);
            // What they have of her is no use to them.
            stranger.back(issuer, &back, &[]).await.expect(401);
        }
    }
    device.says_to_codes(Says::Yes(json!({ "nonce": back.nonce }), json!({})));
    alice.back(issuer, &back, &[]).await.expect(303);
    assert!(alice.get(&path(&approval)).await.expect(200).text().contains("<form"));
    early.post(&path(&approval), &pairs(&form(&page, "approve"))).await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_is_away_gone_or_the_user_is_nobody_signs_in() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    scene.behalf.provider.be(Mood::Down);
    let away = Browser::new(&scene).get(&path(&approval)).await.expect(503);
    assert!(away.header("retry-after").is_some() && away.text().contains("metadata_unavailable"), "{}", away.text());
    scene.behalf.provider.be(Mood::Good);
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    // Nobody signs in for it any more, and whoever has finds nothing.
    let none = Browser::new(&scene).get(NOTHING).await.expect(404).text();
    scene.behalf.staff.registrar.act("/v1/providers/main/backchannel/remove").await.expect(200);
    let form = form(&page, "approve");
    assert_eq!(alice.post(&path(&approval), &pairs(&form)).await.expect(404).text(), none);
    assert_eq!(alice.get(&path(&approval)).await.expect(404).text(), none);
    scene.behalf.staff.registrar.post("/v1/providers/main/backchannel", &with_page()).await.expect(200);
    // It is another now, at which nobody has signed in.
    alice.get(&path(&approval)).await.expect(303);
    alice.sign_in(&scene, &approval).await;
    scene.behalf.erase(&scene.delegation.user).await.expect(200);
    assert_eq!(alice.get(&path(&approval)).await.expect(404).text(), none);
    assert_eq!(Browser::new(&scene).get(&path(&approval)).await.expect(404).text(), none);
}

/// The provider is registered or set up otherwise while somebody signs in, or between that and their vote.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_over_when_the_provider_changes() {
    const CONFIGURE: &str = "/v1/providers/main/backchannel";
    const UPDATE: &str = "/v1/providers/main/update";
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let registrar = &scene.behalf.staff.registrar;
    let issuer = &scene.behalf.provider.issuer;
    let shown: Value = registrar.get("/v1/providers/main").await.expect(200).json();
    let registered = |change: Value| with(shown["configuration"].clone(), change);
    for (route, body) in [
        (UPDATE, registered(json!({ "algorithms": ["RS256", "ES256"] }))),
        (UPDATE, registered(json!({ "groups_claim": "roles" }))),
        (UPDATE, registered(json!({}))),
        (CONFIGURE, with(with_page(), json!({ "code_only": false }))),
        (CONFIGURE, with_page()),
        ("/v1/providers/main/backchannel/remove", json!({})),
    ] {
        let mut alice = Browser::new(&scene);
        let page = alice.sign_in(&scene, &approval).await;
        let mut late = Browser::new(&scene);
        let back = late.begin(&path(&approval)).await;
        registrar.post(route, &body).await.expect(200);
        if route.ends_with("remove") {
            registrar.post(CONFIGURE, &with_page()).await.expect(200);
        }
        scene.behalf.provider.device().says_to_codes(Says::Yes(json!({ "nonce": back.nonce }), json!({})));
        let refused = late.back(issuer, &back, &[]).await.expect(401).text();
        assert!(refused.contains("while you signed in"), "{route} {body}: {refused}");
        for say in ["approve", "refuse"] {
            let refused = alice.post(&path(&approval), &pairs(&form(&page, say))).await.expect(401).text();
            assert!(refused.contains("registered otherwise since"), "{route} {body}: {refused}");
        }
        alice.get(&path(&approval)).await.expect(303);
    }
    let votes = scene.behalf.entries().await.into_iter().filter(|entry| entry["type"] == "approval_voted").count();
    assert_eq!((scene.state(&approval).await.as_str(), votes), ("pending", 0));
}

/// Nothing of who signed in outlives the server, and nobody is let in by what was.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_alice_signs_in_anew() {
    let mut scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    scene.behalf.world.server.restart(false).await;
    let form = form(&page, "approve");
    alice.post(&path(&approval), &pairs(&form)).await.expect(401);
    alice.get(&path(&approval)).await.expect(303);
    alice.sign_in(&scene, &approval).await;
}

/// However slow the machine is: whoever came too late to sign in tries the next one.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_lapsed_says_so_and_takes_no_vote() {
    let limits = ApprovalLimits { lapse_ms: 3_000, ..ApprovalLimits::default() };
    let start = run::Start { approvals: limits, ..run::Start::default() };
    let server = Server::start_with(Fresh::make().await, start).await;
    let world = Box::pin(World::in_server(server)).await;
    let scene = Box::pin(Scene::in_world(world, with_page())).await;
    let mut alice = Browser::new(&scene);
    // On a slow machine one has lapsed before she is there.
    let (approval, page) = attorn_tests::found("a page in time", async || {
        let approval = scene.challenged(5_000).await;
        let page = alice.sign_in(&scene, &approval).await;
        page.contains("<form").then_some((approval, page))
    })
    .await;
    scene.becomes(&approval, "lapsed").await;
    let text = alice.get(&path(&approval)).await.expect(200).text();
    assert!(text.contains("This has lapsed") && !text.contains("<form"), "{text}");
    let form = form(&page, "approve");
    let text = alice.post(&path(&approval), &pairs(&form)).await.expect(409).text();
    assert!(text.contains("This has lapsed") && text.contains("was not recorded"), "{text}");
    let voted = |entry: &&Value| entry["type"] == "approval_voted";
    assert_eq!(scene.behalf.entries().await.iter().filter(voted).count(), 0);
}
