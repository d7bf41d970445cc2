//! Agents that speak CIBA to this server: what is refused, what is pending, and the token in the end.

use std::time::Duration;

use attorn_api::delegations::DelegationMade;
use attorn_api::oauth::{BackchannelAuthentication, OAuthError, TokenAnswer};
use attorn_tests::behalf::registration;
use attorn_tests::device::Says;
use attorn_tests::oauth::{Client, Parameters, refused};
use attorn_tests::provider::with;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Answer, Behalf, components};
use serde_json::{Value, json};

const ASK: &str = "/bc-authorize";
const TOKEN: &str = "/oauth/token";
const CIBA: &str = "urn:openid:params:grant-type:ciba";
/// As long as this server asks for between two polls.
const INTERVAL: Duration = Duration::from_secs(2);
const POLLS_MAX: usize = 20;

struct Scene {
    behalf: Behalf,
    client: Client,
    user: String,
    delegation: String,
}

impl Scene {
    /// Alice has delegated to an agent that is an OAuth client, and her provider asks her.
    async fn new() -> Self {
        let clients = json!({ "bot-client": "support-bot", "oauth-client": "oauth-bot" });
        let behalf = Behalf::new().await;
        let client = Client::new(&behalf.reach, "oauth-bot");
        let registrar = &behalf.staff.registrar;
        let mut body = registration(&behalf.helper, "account.*", "account/*");
        (body["id"], body["keys"]) = ("oauth-bot".into(), json!([client.key.registration("pod-1")]));
        registrar.post("/v1/agents", &body).await.expect(201);
        let shown: Value = registrar.get("/v1/providers/main").await.expect(200).json();
        let body = with(shown["configuration"].clone(), json!({ "clients": clients }));
        registrar.post("/v1/providers/main/update", &body).await.expect(200);
        let backchannel = json!({ "client_id": "attorn", "client_authentication": "private_key_jwt",
            "code_only": true });
        registrar.post("/v1/providers/main/backchannel", &backchannel).await.expect(200);
        let settings = json!({
            "amount_argument": "amount", "currency_argument": "currency", "currency": "EUR", "scope": "user_agent",
            "window": "day", "allow_max": 100, "challenge": { "max": 100_000, "role": "user", "count": 1 },
        });
        let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
        let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
        behalf.activate_with("spend-limit", components::bytes("spend-limit"), settings, extra).await;
        let token = behalf.token(json!({ "client_id": "oauth-client" }));
        let body = json!({ "subject_token": token, "purpose": PURPOSE_WITH_USER });
        let made: DelegationMade = client.post_json("/v1/delegations", &body).await.expect(201).json();
        Self { behalf, client, user: made.delegation.user, delegation: made.delegation.id }
    }

    fn detail(&self, amount: u64) -> Value {
        json!({
            "type": "attorn_action", "actions": ["account.pay"], "identifier": format!("account/{}/giro", self.user),
            "purpose": PURPOSE_WITH_USER, "delegation": self.delegation,
            "arguments": { "amount": amount, "currency": "EUR" },
        })
    }

    async fn ask(&self, detail: &Value, changes: &[(&'static str, &str)]) -> Answer {
        let mut parameters: Parameters = vec![
            ("scope", "openid".into()),
            ("login_hint", self.user.clone()),
            ("authorization_details", json!([detail]).to_string()),
        ];
        for (name, value) in changes {
            parameters.retain(|(other, _)| other != name);
            parameters.push((name, (*value).into()));
        }
        self.client.post(ASK, &parameters).await
    }

    async fn asked(&self, amount: u64) -> String {
        let answer = self.ask(&self.detail(amount), &[]).await.expect(200);
        let asked: BackchannelAuthentication = answer.json();
        assert_eq!((asked.interval, asked.expires_in), (2, 300));
        asked.auth_req_id
    }

    async fn poll(&self, client: &Client, auth_req_id: &str) -> Answer {
        client.post(TOKEN, &[("grant_type", CIBA.into()), ("auth_req_id", auth_req_id.into())]).await
    }

    /// Poll as a client does that keeps to the interval, until it is something else than pending.
    async fn wait(&self, auth_req_id: &str) -> Answer {
        for _ in 0..POLLS_MAX {
            tokio::time::sleep(INTERVAL).await;
            let answer = self.poll(&self.client, auth_req_id).await;
            if answer.status == 200 || error(&answer) != "authorization_pending" {
                return answer;
            }
        }
        panic!("it is pending for ever");
    }
}

fn error(answer: &Answer) -> String {
    serde_json::from_slice::<OAuthError>(&answer.body).unwrap().error.as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_for_alice_s_yes_and_has_one_token() {
    let scene = Scene::new().await;
    let size = scene.behalf.log_size().await;
    let asked = scene.asked(5_000).await;
    assert_eq!(scene.behalf.log_size().await, size, "nothing is decided without a proof of possession");
    tokio::time::sleep(INTERVAL).await;
    let answer = scene.poll(&scene.client, &asked).await;
    let pending = refused(&answer, 400, "authorization_pending").approval.unwrap();
    let question = scene.behalf.provider.device().question(1).await;
    assert_eq!(question.get("binding_message"), pending.code);
    let other = Client::new(&scene.behalf.reach, "oauth-bot");
    refused(&scene.poll(&other, &asked).await, 401, "invalid_client");
    tokio::time::sleep(INTERVAL).await;
    refused(&scene.poll(&scene.client, &asked).await, 400, "authorization_pending");
    let decisions = scene.behalf.entries().await.iter().filter(|entry| entry["type"] == "decision").count();
    assert_eq!(decisions, 1, "a poll that waits decides nothing");
    scene.behalf.provider.device().says(Says::yes());
    let token: TokenAnswer = scene.wait(&asked).await.expect(200).json();
    assert_eq!(
        (token.token_type.as_str(), token.authorization_details[0].actions[0].as_str()),
        ("DPoP", "account.pay")
    );
    refused(&scene.poll(&scene.client, &asked).await, 400, "invalid_grant");
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_polls_too_early_is_told_to_slow_down_and_has_decided_nothing() {
    let scene = Scene::new().await;
    let asked = scene.asked(5_000).await;
    let size = scene.behalf.log_size().await;
    refused(&scene.poll(&scene.client, &asked).await, 400, "slow_down");
    tokio::time::sleep(INTERVAL).await;
    refused(&scene.poll(&scene.client, &asked).await, 400, "slow_down");
    assert_eq!(scene.behalf.log_size().await, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alice_refuses_is_denied_and_what_needs_no_yes_is_given_at_once() {
    let scene = Scene::new().await;
    scene.behalf.provider.device().says(Says::No);
    let asked = scene.asked(5_000).await;
    refused(&scene.wait(&asked).await, 400, "access_denied");
    refused(&scene.poll(&scene.client, &asked).await, 400, "invalid_grant");
    let asked = scene.asked(1).await;
    scene.wait(&asked).await.expect(200);
    let mut beyond = scene.detail(1);
    beyond["actions"] = json!(["account.close"]);
    let asked: BackchannelAuthentication = scene.ask(&beyond, &[]).await.expect(200).json();
    let denied = refused(&scene.wait(&asked.auth_req_id).await, 400, "access_denied");
    assert!(denied.decision_id.is_some(), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_and_noted_nowhere() {
    let scene = Scene::new().await;
    let (good, size) = (scene.detail(5_000), scene.behalf.log_size().await);
    for (changes, code) in [
        (&[("scope", "")][..], "invalid_request"),
        (&[("scope", "openid email")], "invalid_scope"),
        (&[("login_hint", "")], "invalid_request"),
        (&[("login_hint", "alice")], "unknown_user_id"),
        (&[("login_hint", "usr_00000000000000000000000000000000")], "unknown_user_id"),
        (&[("login_hint_token", "a.b.c")], "invalid_request"),
        (&[("id_token_hint", "a.b.c")], "invalid_request"),
        (&[("binding_message", "tap yes")], "invalid_binding_message"),
        (&[("user_code", "1234")], "invalid_request"),
        (&[("requested_expiry", "0")], "invalid_request"),
        (&[("request", "a.b.c")], "invalid_request"),
        (&[("audience", "https://elsewhere.example")], "invalid_target"),
        (&[("authorization_details", "[]")], "invalid_request"),
    ] {
        let answer = scene.ask(&good, changes).await;
        assert_eq!((answer.status, error(&answer).as_str()), (400, code), "{changes:?}");
    }
    let without = with(good.clone(), json!({ "delegation": null }));
    assert_eq!(error(&scene.ask(&without, &[]).await), "invalid_authorization_details");
    let nobody = with(good.clone(), json!({ "delegation": "dlg_00000000000000000000000000000000" }));
    assert_eq!(error(&scene.ask(&nobody, &[]).await), "unknown_user_id");
    for name in ["", "x", "cmVxdWVzdA"] {
        let code = if name.is_empty() { "invalid_request" } else { "invalid_grant" };
        refused(&scene.poll(&scene.client, name).await, 400, code);
    }
    assert_eq!(scene.behalf.log_size().await, size);
    assert!(scene.behalf.provider.device().questions().is_empty());
    let asked: BackchannelAuthentication = scene.ask(&good, &[("requested_expiry", "1")]).await.expect(200).json();
    assert_eq!(asked.expires_in, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    refused(&scene.poll(&scene.client, &asked.auth_req_id).await, 400, "expired_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_the_request_and_not_the_approval() {
    let mut scene = Scene::new().await;
    let asked = scene.asked(5_000).await;
    tokio::time::sleep(INTERVAL).await;
    refused(&scene.poll(&scene.client, &asked).await, 400, "authorization_pending");
    scene.behalf.provider.device().question(1).await;
    scene.behalf.world.server.restart(false).await;
    // For some seconds after a restart no assertion is accepted.
    tokio::time::sleep(Duration::from_secs(8)).await;
    refused(&scene.poll(&scene.client, &asked).await, 400, "invalid_grant");
    scene.behalf.provider.device().says(Says::yes());
    let asked = scene.asked(5_000).await;
    scene.wait(&asked).await.expect(200);
    assert_eq!(scene.behalf.provider.device().questions().len(), 1, "she was asked once");
}
