//! Requests that go on for a user: policies see whom, nobody else's does, and when the user has taken it back nothing does.

use attorn_api::FOR_HEADER;
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_tests::behalf::later_login;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Answer, Behalf, Call, Machine, components};
use serde_json::{Value, json};

use super::scene::target;
use super::upstream::Upstream;

struct Scene {
    behalf: Behalf,
    upstream: Upstream,
    delegation: Delegation,
}

impl Scene {
    /// Alice's account is 17, and somebody else's 18; everybody is entitled to all, so that the policy alone says no.
    async fn new() -> Self {
        let (behalf, upstream) = (Behalf::new().await, Upstream::start().await);
        let mut crm = target("crm", &upstream.origin);
        crm["resource_types"] = json!(["account"]);
        crm["proxy"]["routes"] = json!([
            { "method": "GET", "path": "/accounts/{id}", "action": "account.read", "resource": "account/{id}" }]);
        behalf.staff.registrar.post("/v1/targets", &crm).await.expect(201);
        behalf.entitle(json!({ "everyone": behalf.provider.issuer }), &[("account.*", "account/*")]).await;
        let settings = json!({ "allow": [{ "actions": ["account.read"], "resource_types": ["account"] }] });
        behalf.activate("own-data", components::bytes("own-data"), settings).await;
        let delegation = behalf.delegated().await;
        let owner = |id: u8, owner: &str| json!({ "name": format!("resource/account/{id}/owner"), "value": owner });
        let facts = json!({ "facts": [owner(17, &delegation.user), owner(18, "usr_somebody-else")] });
        behalf.bank.post("/v1/resource-facts", &facts).await.expect(200);
        Self { behalf, upstream, delegation }
    }

    async fn get(&self, agent: &Machine, account: u8, asked_for: &str) -> Answer {
        let call = Call::get(format!("/proxy/crm/accounts/{account}")).header(FOR_HEADER, asked_for);
        agent.send(call).await
    }

    /// The bot asks by this delegation.
    async fn by(&self, delegation: &Delegation, account: u8) -> Answer {
        self.get(&self.behalf.bot, account, &format!("{PURPOSE_WITH_USER}; delegation={}", delegation.id)).await
    }
}

#[track_caller]
fn denied(answer: &Answer, code: &str) {
    let problem = answer.refused(403, "denied");
    assert_eq!(problem.reasons.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), [code]);
    assert!(problem.decision_id.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_user_may_and_lets_goes_on() {
    let scene = Scene::new().await;
    let Scene { behalf, upstream, delegation } = &scene;
    let with = |more: &str| format!("{PURPOSE_WITH_USER}; delegation={}{more}", delegation.id);
    // The policy sees the user, and whose the account is.
    denied(&scene.by(delegation, 18).await, "denied_by_policy");
    denied(&scene.by(delegation, 19).await, "denied_by_policy");
    denied(&scene.get(&behalf.bot, 17, PURPOSE_WITH_USER).await, "purpose_needs_user");
    denied(&scene.get(&behalf.helper, 17, &with("")).await, "delegation_unknown");
    denied(&scene.get(&behalf.bot, 17, &with("; session=ses_other")).await, "session_mismatch");
    assert!(upstream.seen().is_empty());
    let session = format!("; session={}", delegation.session);
    for more in ["", session.as_str()] {
        scene.get(&behalf.bot, 17, &with(more)).await.expect(200);
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    // The service is told of nobody.
    let told = format!("{:?}", seen[0].headers);
    assert!(!told.contains(&delegation.user) && !told.contains(&delegation.id), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_on_is_recorded_and_names_the_user_by_a_pseudonym() {
    let scene = Scene::new().await;
    let Scene { behalf, delegation, .. } = &scene;
    let answer = scene.by(delegation, 17).await.expect(200);
    let decision = answer.header("attorn-decision").unwrap().to_owned();
    let entries = attorn_tests::found("an effect that is recorded", async || {
        let entries = behalf.entries().await;
        entries.iter().any(|entry| entry["type"] == "grant_effect").then_some(entries)
    })
    .await;
    let of = |kind: &str| entries.iter().rfind(|entry| entry["type"] == kind).unwrap();
    let entry = of("decision");
    assert_eq!(entry["decision_id"], json!(decision));
    assert!(entry["on_behalf"]["user"].as_str().unwrap().starts_with("psn_"), "{entry}");
    assert_eq!(entry["on_behalf"]["chain"], json!([{ "delegation": delegation.id, "agent": "support-bot" }]));
    assert!(entry["resource"].as_str().unwrap().starts_with("account/psn_"), "{entry}");
    assert_eq!(of("grant_effect")["effect"], "done");
    for kind in ["decision", "grant_used", "grant_effect"] {
        let said = of(kind).to_string();
        for secret in ["alice", &delegation.user, &delegation.session, "account/17", "accounts/17"] {
            assert!(!said.contains(secret), "`{secret}` is in {said}");
        }
    }
    // The record, which an auditor may read, says whose it was.
    let record: Value = behalf.staff.auditor.get(format!("/v1/audit/decisions/{decision}")).await.expect(200).json();
    assert!(record.to_string().contains(&delegation.user), "{record}");
    assert_eq!(record["request"]["arguments"]["path"], "/accounts/17");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_after_the_user_took_it_back() {
    let scene = Scene::new().await;
    let Scene { behalf, upstream, delegation } = &scene;
    scene.by(delegation, 17).await.expect(200);
    let path = format!("/v1/me/delegations/{}/revoke", delegation.id);
    let alice = behalf.provider.user_token(json!({}));
    behalf.reach.send(Call::post(path, &json!({})).bearer(&alice)).await.expect(200);
    denied(&scene.by(delegation, 17).await, "delegation_revoked");

    // The same where her session ends.
    let token = behalf.token(later_login().await);
    let made: DelegationMade = behalf.exchange(&token).await.expect(201).json();
    let later = made.delegation;
    scene.by(&later, 17).await.expect(200);
    let path = format!("/v1/sessions/{}/revoke", later.session);
    behalf.staff.registrar.post(path, &json!({})).await.expect(200);
    denied(&scene.by(&later, 17).await, "session_ended");
    assert_eq!(upstream.seen().len(), 2);
}
