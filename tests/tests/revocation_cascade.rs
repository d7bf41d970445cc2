//! Revocation acts now, on all that hangs below, whoever revokes what; and what was revoked does not come back.

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_tests::behalf::later_login;
use attorn_tests::world::use_of;
use attorn_tests::{Answer, Behalf, Call};
use serde_json::{Value, json};

#[track_caller]
fn denied(answer: &DecisionAnswer, code: &str) {
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec![code]), "{answer:?}");
}

/// A chain from Alice to the bot, the helper and the second, of which all can read.
struct Chain {
    scene: Behalf,
    root: Delegation,
    child: Delegation,
    grandchild: Delegation,
}

impl Chain {
    async fn new() -> Self {
        let scene = Behalf::new().await;
        let root = scene.delegated().await;
        let child = scene.offered(&scene.bot, &root, &scene.helper).await;
        let grandchild = scene.offered(&scene.helper, &child, &scene.second).await;
        let chain = Self { scene, root, child, grandchild };
        chain.expect([None, None, None]).await;
        chain
    }

    /// What reading comes to for the bot, the helper and the second: none for allow.
    async fn expect(&self, codes: [Option<&str>; 3]) {
        let Self { scene, root, child, grandchild } = self;
        let each = [(&scene.bot, root), (&scene.helper, child), (&scene.second, grandchild)];
        for ((agent, delegation), code) in each.into_iter().zip(codes) {
            let answer = scene.read(agent, delegation).await;
            match code {
                None => assert_eq!(answer.decision, DecisionKind::Allow, "{} {answer:?}", agent.id),
                Some(code) => denied(&answer, code),
            }
        }
    }

    async fn by_operator(&self, path: &str) -> Answer {
        self.scene.staff.registrar.post(path, &json!({ "reason": "a test" })).await
    }

    async fn by_alice(&self, path: &str, body: &Value) -> Answer {
        let token = self.scene.provider.user_token(json!({}));
        self.scene.reach.send(Call::post(path, body).bearer(&token)).await
    }
}

const REVOKED: Option<&str> = Some("delegation_revoked");

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_delegation_ends_exactly_what_is_below() {
    let chain = Chain::new().await;
    chain.by_operator(&format!("/v1/delegations/{}/revoke", chain.grandchild.id)).await.expect(200);
    chain.expect([None, None, REVOKED]).await;
    chain.by_operator(&format!("/v1/delegations/{}/revoke", chain.child.id)).await.expect(200);
    chain.expect([None, REVOKED, REVOKED]).await;
    chain.by_operator(&format!("/v1/delegations/{}/revoke", chain.root.id)).await.expect(200);
    chain.expect([REVOKED, REVOKED, REVOKED]).await;
    chain.by_operator(&format!("/v1/delegations/{}/revoke", chain.root.id)).await.refused(409, "invalid_state");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_take_back_and_give_back_what_concerns_them() {
    let chain = Chain::new().await;
    let own = |id: &str| format!("/v1/own-delegations/{id}/revoke");
    let Chain { scene, root, child, .. } = &chain;
    scene.second.post(own(&child.id), &json!({})).await.refused(404, "not_found");
    scene.helper.post(own(&root.id), &json!({})).await.refused(404, "not_found");
    scene.bot.post(own(&child.id), &json!({})).await.expect(200);
    chain.expect([None, REVOKED, REVOKED]).await;
    scene.bot.post(own(&root.id), &json!({})).await.expect(200);
    chain.expect([REVOKED, REVOKED, REVOKED]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_and_revokes_what_is_their_own_and_nobody_else_s() {
    let chain = Chain::new().await;
    let Chain { scene, root, .. } = &chain;
    let get = |token: String| scene.reach.send(Call::get("/v1/me/delegations").bearer(&token));
    let mine: Value = get(scene.provider.user_token(json!({}))).await.expect(200).json();
    assert_eq!(mine["delegations"].as_array().map(Vec::len), Some(3), "{mine}");
    // Nothing is wrong with somebody who has delegated nothing; there is only nothing of theirs.
    let nobody = scene.provider.user_token(json!({ "sub": "nobody" }));
    let nothing: Value = get(nobody.clone()).await.expect(200).json();
    assert_eq!(nothing, json!({ "delegations": [], "next": null }));
    for path in [format!("/v1/me/delegations/{}/revoke", root.id), "/v1/me/revoke".into()] {
        scene.reach.send(Call::post(path, &json!({})).bearer(&nobody)).await.refused(404, "not_found");
    }
    for claims in [
        json!({ "client_id": "bot-client" }),
        json!({ "aud": attorn_tests::provider::AUDIENCE }),
        json!({ "act": { "sub": "bot-client" } }),
        json!({ "may_act": { "sub": "bot-client" } }),
        json!({ "cnf": { "jkt": "A".repeat(43) } }),
        json!({ "nonce": "of an ID token" }),
    ] {
        get(scene.provider.user_token(claims)).await.refused(401, "user_unauthenticated");
    }
    // Bob has delegated something, too, and cannot touch what is Alice's.
    let bob = scene.token(json!({ "sub": "bob", "sid": "session-of-bob" }));
    scene.exchange(&bob).await.expect(201);
    let bob = scene.provider.user_token(json!({ "sub": "bob" }));
    let path = format!("/v1/me/delegations/{}/revoke", root.id);
    scene.reach.send(Call::post(&path, &json!({})).bearer(&bob)).await.refused(404, "not_found");
    chain.expect([None, None, None]).await;
    chain.by_alice(&path, &json!({})).await.expect(200);
    chain.expect([REVOKED, REVOKED, REVOKED]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_user_s_revocation_only_a_later_login_delegates_anew() {
    let chain = Chain::new().await;
    let Chain { scene, .. } = &chain;
    chain.by_alice("/v1/me/revoke", &json!({ "agent": "support-bot" })).await.expect(200);
    chain.expect([REVOKED, REVOKED, REVOKED]).await;
    // The token of before, another of the same login, and one that says nothing of the login.
    scene.exchange(&scene.token(json!({}))).await.refused(403, "login_needed");
    let silent = scene.token(json!({ "auth_time": null, "sid": "another" }));
    let problem = scene.exchange(&silent).await.refused(403, "login_needed");
    assert!(problem.detail.contains("no `auth_time`"), "{problem}");
    // Another agent is not concerned.
    let token = scene.token(json!({ "client_id": "helper-client" }));
    attorn_tests::behalf::exchange(&scene.helper, &token).await.expect(201);
    // A login that the provider's clock puts some seconds ahead is not taken for a later one.
    let soon = attorn_tests::machines::now_ms() / 1_000 + 3;
    scene.exchange(&scene.token(json!({ "auth_time": soon, "iat": soon }))).await.refused(403, "login_needed");
    let token = scene.token(later_login().await);
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    assert_eq!(scene.read(&scene.bot, &made.delegation).await.decision, DecisionKind::Allow);
    chain.expect([REVOKED, REVOKED, REVOKED]).await;
    chain.by_alice("/v1/me/revoke", &json!({})).await.expect(200);
    denied(&scene.read(&scene.bot, &made.delegation).await, "delegation_revoked");
    let token = scene.token(json!({ "client_id": "helper-client", "jti": "another" }));
    attorn_tests::behalf::exchange(&scene.helper, &token).await.refused(403, "login_needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_any_agent_of_the_chain_ends_what_is_below_for_ever() {
    let chain = Chain::new().await;
    chain.by_operator("/v1/agents/helper/suspend").await.expect(200);
    chain.expect([None, Some("agent_suspended"), Some("chain_agent_inactive")]).await;
    chain.by_operator("/v1/agents/helper/resume").await.expect(200);
    chain.expect([None, REVOKED, REVOKED]).await;
    // Given anew, it counts.
    let Chain { scene, root, .. } = &chain;
    let child = scene.offered(&scene.bot, root, &scene.helper).await;
    assert_eq!(scene.read(&scene.helper, &child).await.decision, DecisionKind::Allow);
    // A token of before the suspension brings nothing back.
    let token = scene.token(json!({}));
    chain.by_operator("/v1/agents/support-bot/suspend").await.expect(200);
    scene.exchange(&token).await.refused(409, "invalid_state");
    chain.by_operator("/v1/agents/support-bot/resume").await.expect(200);
    scene.exchange(&token).await.refused(403, "login_needed");
    chain.expect([REVOKED, REVOKED, REVOKED]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_the_session_or_trusting_the_provider_no_more_ends_all() {
    let chain = Chain::new().await;
    let ended = Some("session_ended");
    chain.by_operator(&format!("/v1/sessions/{}/revoke", chain.root.session)).await.expect(200);
    chain.expect([ended, ended, ended]).await;
    chain.scene.exchange(&chain.scene.token(json!({ "jti": "another" }))).await.refused(403, "login_needed");
    let chain = Chain::new().await;
    let revoked = Some("provider_revoked");
    chain.scene.staff.registrar.act("/v1/providers/main/revoke").await.expect(200);
    chain.expect([revoked, revoked, revoked]).await;
    chain.scene.exchange(&chain.scene.token(json!({}))).await.refused(403, "subject_token_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_the_user_s_own_right_away_takes_it_from_all() {
    let chain = Chain::new().await;
    let body = json!({ "holder": { "everyone": chain.scene.provider.issuer } });
    chain.scene.staff.registrar.post("/v1/entitlements/delete", &body).await.expect(200);
    let none = Some("not_entitled");
    chain.expect([none, none, none]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_worth_nothing_once_what_it_hangs_on_is_revoked() {
    let scene = Behalf::new().await;
    let root = scene.delegated().await;
    let child = scene.offered(&scene.bot, &root, &scene.helper).await;
    let grant = scene.read(&scene.helper, &child).await.grant.unwrap_or_else(|| unreachable!("it was allowed"));
    let path = format!("/v1/delegations/{}/revoke", root.id);
    scene.staff.registrar.post(path, &json!({})).await.expect(200);
    let path = format!("/v1/grants/{}/uses", grant.id);
    scene.bank.post(path, &use_of(&grant)).await.refused(409, "grant_inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_denies_everything_until_it_is_thawed() {
    let chain = Chain::new().await;
    let Chain { scene, root, .. } = &chain;
    let grant = scene.read(&scene.bot, root).await.grant.unwrap_or_else(|| unreachable!("it was allowed"));
    chain.by_operator("/v1/freeze").await.expect(200);
    chain.by_operator("/v1/freeze").await.refused(409, "invalid_state");
    let frozen = Some("frozen");
    chain.expect([frozen, frozen, frozen]).await;
    denied(&scene.bot.decide(&attorn_tests::world::ask()).await, "frozen");
    scene.exchange(&scene.token(json!({ "jti": "another" }))).await.refused(403, "frozen");
    scene.bank.post(format!("/v1/grants/{}/uses", grant.id), &use_of(&grant)).await.refused(409, "grant_inactive");
    chain.by_operator("/v1/thaw").await.refused(403, "missing_duty");
    let thawer = scene.staff.admin.hire("thawer", &[attorn_core::Duty::Thawer]).await;
    thawer.post("/v1/thaw", &json!({})).await.expect(200);
    chain.expect([None, None, None]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_an_agent_reaches_it_at_every_depth() {
    let chain = Chain::new().await;
    chain.by_alice("/v1/me/revoke", &json!({ "agent": "nobody" })).await.refused(404, "not_found");
    chain.by_alice("/v1/me/revoke", &json!({ "agent": "helper" })).await.expect(200);
    chain.expect([None, REVOKED, REVOKED]).await;
    // Given anew, it counts: the bot still has its right.
    let Chain { scene, root, .. } = &chain;
    let child = scene.offered(&scene.bot, root, &scene.helper).await;
    assert_eq!(scene.read(&scene.helper, &child).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_offered_before_a_suspension_is_not_accepted_after_it() {
    let scene = Behalf::new().await;
    let root = scene.delegated().await;
    let permissions = attorn_tests::behalf::pairs(&[("account.read", "account/*")]);
    let give = json!({ "to_agent": "helper", "permissions": permissions });
    let path = format!("/v1/delegations/{}/offer", root.id);
    let offered: DelegationMade = scene.bot.post(&path, &give).await.expect(201).json();
    let accept = || scene.helper.send(Call::new("POST", format!("/v1/delegations/{}/accept", offered.delegation.id)));
    let registrar = &scene.staff.registrar;
    registrar.post("/v1/agents/helper/suspend", &json!({})).await.expect(200);
    accept().await.refused(409, "delegation_inactive");
    registrar.post("/v1/agents/helper/resume", &json!({})).await.expect(200);
    accept().await.refused(409, "delegation_inactive");
    registrar.post("/v1/freeze", &json!({})).await.expect(200);
    accept().await.refused(403, "frozen");
    scene.bot.post(&path, &give).await.refused(403, "frozen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_session_opens_no_other_once_its_own_has_ended() {
    let scene = Behalf::new().await;
    let token = scene.token(json!({ "sid": null }));
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    let path = format!("/v1/sessions/{}/revoke", made.delegation.session);
    scene.staff.registrar.post(path, &json!({})).await.expect(200);
    denied(&scene.read(&scene.bot, &made.delegation).await, "session_ended");
    let body =
        json!({ "subject_token": token, "purpose": attorn_tests::world::PURPOSE_WITH_USER, "expires_in_ms": 5_000 });
    scene.bot.post("/v1/delegations", &body).await.refused(403, "login_needed");
    // A session that the provider names is another matter.
    scene.exchange(&scene.token(json!({}))).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_cannot_read_its_chain_says_nothing_in_the_clear() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    scene.staff.registrar.post("/v1/freeze", &json!({})).await.expect(200);
    let secret = json!({ "action": "account.read", "resource": "account/of-alice/giro", "session": "alices-session",
        "purpose": attorn_tests::world::PURPOSE_WITH_USER, "arguments": { "note": "hello" } });
    let by = |id: &str| attorn_tests::provider::with(secret.clone(), json!({ "delegation": id }));
    denied(&scene.bot.decide(&by(&delegation.id)).await, "frozen");
    let frozen = scene.entries().await.pop().unwrap_or_default();
    assert_eq!(frozen["on_behalf"]["chain"][0]["agent"], "support-bot", "{frozen}");
    let thawer = scene.staff.admin.hire("thawer", &[attorn_core::Duty::Thawer]).await;
    thawer.post("/v1/thaw", &json!({})).await.expect(200);
    denied(&scene.bot.decide(&by("dlg_unknown")).await, "delegation_unknown");
    let log = serde_json::to_string(&scene.entries().await).unwrap_or_default();
    // How the SHA-256 of the arguments begins.
    let plain = "49820760";
    for shown in ["of-alice", "alices-session", plain] {
        assert!(!log.contains(shown), "the log has `{shown}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_version_of_a_policy_allowed_has_ended() {
    let scene = Behalf::new().await;
    let root = scene.delegated().await;
    let grant = scene.read(&scene.bot, &root).await.grant.unwrap_or_else(|| unreachable!("it was allowed"));
    let (nothing, usage) = (json!({}), use_of(&grant));
    let revoke = || scene.staff.policy_admin.post("/v1/policies/allow/versions/1/revoke", &nothing);
    revoke().await.refused(409, "invalid_state");
    let missing = scene.staff.policy_admin.post("/v1/policies/allow/versions/9/revoke", &json!({})).await;
    missing.refused(404, "not_found");
    scene.activate("allow", attorn_tests::components::bytes("allow_all"), json!({})).await;
    let use_it = || scene.bank.post(format!("/v1/grants/{}/uses", grant.id), &usage);
    revoke().await.expect(200);
    use_it().await.refused(409, "grant_inactive");
    revoke().await.refused(409, "invalid_state");
    let back = json!({ "version": 1 });
    scene.staff.policy_replacer.post("/v1/policies/allow/activate", &back).await.refused(409, "invalid_state");
    scene.staff.policy_replacer.post("/v1/policies/allow/rollback", &json!({})).await.refused(409, "invalid_state");
    assert_eq!(scene.read(&scene.bot, &root).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_and_agents_write_is_kept_where_it_can_be_erased_and_the_log_commits_to_it() {
    let chain = Chain::new().await;
    let Chain { scene, root, child, grandchild } = &chain;
    let because = |words: &str| json!({ "reason": words });
    let path = |of: &str, delegation: &Delegation| format!("/v1/{of}/{}/revoke", delegation.id);
    scene.second.post(path("own-delegations", grandchild), &because("alice is ill")).await.expect(200);
    chain.by_alice(&path("me/delegations", child), &because("my doctor said so")).await.expect(200);
    chain.by_alice("/v1/me/revoke", &because("bob told me")).await.expect(200);
    scene.staff.registrar.post(path("delegations", root), &because("ticket 7")).await.expect(200);
    let entries = scene.entries().await;
    let log = serde_json::to_string(&entries).unwrap_or_default();
    for words in ["alice is ill", "my doctor said so", "bob told me"] {
        assert!(!log.contains(words), "the log has `{words}`");
    }
    let mut commitments: Vec<_> = entries.iter().filter_map(|entry| entry["reason_commitment"].as_str()).collect();
    assert!(commitments.iter().all(|commitment| commitment.len() == 64), "{commitments:?}");
    commitments.sort_unstable();
    commitments.dedup();
    assert_eq!(commitments.len(), 3, "{log}");
    // An operator answers for theirs.
    assert_eq!(entries.last().map(|entry| &entry["about"]["reason"]), Some(&json!("ticket 7")));
    let registrar = &scene.staff.registrar;
    for (delegation, words) in [(grandchild, Some("alice is ill")), (child, Some("my doctor said so")), (root, None)] {
        let details: attorn_api::delegations::DelegationDetails =
            registrar.get(format!("/v1/delegations/{}", delegation.id)).await.expect(200).json();
        assert_eq!(details.revoked_because.as_deref(), words);
    }
    assert_eq!(scene.alice().await.revoked_because.as_deref(), Some("bob told me"));
}
