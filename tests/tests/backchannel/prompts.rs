//! A user is asked, and what comes of each answer that a provider can give.
// Long because: the scene of all tests beside it stands here, with what becomes of one prompt.

use std::time::Duration;

use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_server::{ApprovalLimits, run};
use attorn_tests::behalf::exchange;
use attorn_tests::device::{Form, Says};
use attorn_tests::provider::{KeyKind, ProviderKey, with};
use attorn_tests::server::Fresh;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Behalf, Call, Metrics, Server, World, components};
use serde_json::{Value, json};

/// What of users is kept.
pub(crate) fn providers() -> Value {
    json!({ "claims": ["customer", "preferred_username"] })
}

/// How their provider asks them.
fn by_key() -> Value {
    json!({ "client_id": "attorn", "client_authentication": "private_key_jwt", "code_only": true })
}

pub(crate) struct Scene {
    pub(crate) behalf: Behalf,
    pub(crate) delegation: Delegation,
}

impl Scene {
    /// Alice's bot may pay 1.00 a day, and with her yes more; her provider asks her.
    pub(crate) async fn new() -> Self {
        Self::with(by_key(), json!({})).await
    }

    /// The same within these limits.
    pub(crate) async fn limited(approvals: ApprovalLimits) -> Self {
        let start = run::Start { approvals, ..run::Start::default() };
        let world = World::in_server(Server::start_with(Fresh::make().await, start).await).await;
        Self::in_world(world, by_key()).await
    }

    pub(crate) async fn with(backchannel: Value, claims: Value) -> Self {
        Self::in_behalf(Behalf::with_provider(providers()).await, backchannel, claims).await
    }

    /// The same in this world.
    pub(crate) async fn in_world(world: World, backchannel: Value) -> Self {
        Self::in_behalf(Box::pin(Behalf::in_world(world, providers())).await, backchannel, json!({})).await
    }

    async fn in_behalf(behalf: Behalf, backchannel: Value, claims: Value) -> Self {
        Self::asking(behalf, backchannel, claims, ("user", 1)).await
    }

    /// With the yes of so many of this role it may pay more.
    pub(crate) async fn asking(behalf: Behalf, backchannel: Value, claims: Value, (role, count): (&str, u32)) -> Self {
        let registrar = &behalf.staff.registrar;
        registrar.post("/v1/providers/main/backchannel", &backchannel).await.expect(200);
        let settings = json!({
            "amount_argument": "amount", "currency_argument": "currency", "currency": "EUR", "scope": "user_agent",
            "window": "day", "allow_max": 100, "challenge": { "max": 100_000, "role": role, "count": count },
        });
        let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
        let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
        behalf.activate_with("spend-limit", components::bytes("spend-limit"), settings, extra).await;
        let claims = with(json!({ "client_id": "helper-client" }), claims);
        let made: DelegationMade = exchange(&behalf.helper, &behalf.token(claims)).await.expect(201).json();
        Self { behalf, delegation: made.delegation }
    }

    /// What the bot asks: to pay so much from an account of hers.
    pub(crate) fn payment(&self, amount: u64, account: &str) -> Value {
        self.payment_with(&json!({ "amount": amount, "currency": "EUR" }), account)
    }

    fn payment_with(&self, arguments: &Value, account: &str) -> Value {
        json!({
            "action": "account.pay", "resource": format!("account/{}/{account}", self.delegation.user),
            "purpose": PURPOSE_WITH_USER, "delegation": self.delegation.id, "arguments": arguments,
        })
    }

    pub(crate) async fn pay(&self, amount: u64) -> DecisionAnswer {
        self.behalf.helper.decide(&self.payment(amount, "giro")).await
    }

    pub(crate) async fn pay_with(&self, arguments: Value) -> DecisionAnswer {
        self.behalf.helper.decide(&self.payment_with(&arguments, "giro")).await
    }

    /// What is asked of Alice.
    pub(crate) async fn challenged(&self, amount: u64) -> ApprovalReference {
        let answer = self.pay(amount).await;
        assert_eq!(answer.decision, DecisionKind::Challenge, "{:?}", answer.reasons);
        answer.approval.unwrap()
    }

    pub(crate) async fn state(&self, approval: &ApprovalReference) -> String {
        let path = format!("/v1/approvals/{}/state", approval.id);
        let state: Value = self.behalf.helper.send(Call::get(path)).await.expect(200).json();
        state["state"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn becomes(&self, approval: &ApprovalReference, expect: &str) {
        attorn_tests::until(&format!("an approval that is {expect}"), async || self.state(approval).await == expect)
            .await;
    }

    /// Why the prompt ended without an answer of hers.
    pub(crate) async fn ended(&self, approval: &ApprovalReference) -> String {
        let ended = |entry: &&Value| entry["type"] == "prompt_ended" && entry["approval"] == approval.id.as_str();
        attorn_tests::found("a prompt that ended", async || {
            let entries = self.behalf.entries().await;
            Some(entries.iter().find(ended)?["why"].as_str().unwrap().to_owned())
        })
        .await
    }

    pub(crate) async fn question(&self, number: usize) -> Form {
        self.behalf.provider.device().question(number).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alice_says_yes_on_her_device_and_once_is_once() {
    let scene = Scene::new().await;
    let approval = scene.challenged(5_000).await;
    let question = scene.question(1).await;
    for (name, expect) in [
        ("scope", "openid"),
        ("login_hint", "alice"),
        ("binding_message", approval.code.as_str()),
        ("client_id", "attorn"),
        // The provider does not know the type, so it is told nothing of what is asked.
        ("authorization_details", ""),
    ] {
        assert_eq!(question.get(name), expect, "{name}");
    }
    assert!((1..=300).contains(&question.get("requested_expiry").parse::<u64>().unwrap()));
    assert!(question.authorization.is_none() && !question.get("client_assertion").is_empty());
    scene.behalf.provider.device().polled(1).await;
    assert_eq!(scene.state(&approval).await, "pending");
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Challenge);
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&approval, "approved").await;
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
    // She is asked anew for the next, and was asked once for this.
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
    scene.behalf.provider.device().says(Says::Pending);
    assert_ne!(scene.challenged(5_000).await.id, approval.id);
    scene.question(2).await;

    let entries = scene.behalf.entries().await;
    let of = |kind: &str| entries.iter().filter(|entry| entry["type"] == kind).cloned().collect::<Vec<_>>();
    let (started, voted) = (of("prompt_started"), of("approval_voted"));
    assert_eq!(started[0]["approval"], approval.id.as_str());
    assert_eq!((&voted[0]["about"]["role"], &voted[0]["about"]["says"]), (&json!("user"), &json!("approve")));
    // By what it was found to be hers: the token, its time, and who made it.
    let evidence = &voted[0]["about"]["evidence"];
    assert_eq!((&evidence["provider"], evidence["token"].as_str().unwrap().len()), (&json!("main"), 64));
    let (issued, asked) = (&evidence["issued_at_ms"], &started[0]["time_ms"]);
    assert!(issued.as_u64().unwrap() + 1_000 > asked.as_u64().unwrap(), "{evidence}");
    assert!(!json!(entries).to_string().contains("alice"), "the log names her");
    let metrics = Metrics::of(&scene.behalf.staff.auditor).await;
    assert_eq!(metrics.count("attorn_prompt_events_total", &[("event", "approved")]), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn alice_says_no_and_is_not_asked_again_for_a_while() {
    let scene = Scene::new().await;
    scene.behalf.provider.device().says(Says::No);
    let approval = scene.challenged(5_000).await;
    scene.becomes(&approval, "refused").await;
    let again = scene.pay(5_000).await;
    assert_eq!((again.decision, again.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_refused"));
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
    // A no is no token: there is the provider's word.
    let entries = scene.behalf.entries().await;
    let voted = entries.iter().find(|entry| entry["type"] == "approval_voted").unwrap();
    assert_eq!(voted["about"]["evidence"], json!({ "provider": "main", "token": null, "issued_at_ms": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_knows_the_type_is_told_what_is_asked() {
    let secret = "p%: \u{e9}";
    let backchannel = json!({
        "client_id": "attorn", "client_authentication": "client_secret_basic", "client_secret": secret, "code_only": true,
        "login_hint_claim": "preferred_username",
    });
    let scene = Scene::with(backchannel, json!({ "preferred_username": "alice.a" })).await;
    scene.behalf.provider.device().knows("attorn_approval");
    let approval = scene.challenged(5_000).await;
    let question = scene.question(1).await;
    assert_eq!(question.get("login_hint"), "alice.a");
    assert_eq!(question.authorization.as_deref(), Some("Basic YXR0b3JuOnAlMjUlM0ErJUMzJUE5"));
    assert_eq!(question.get("client_assertion"), "");
    let details: Value = serde_json::from_str(question.get("authorization_details")).unwrap();
    let detail = &details[0];
    for (name, expect) in [
        ("type", "attorn_approval"),
        ("approval", &approval.id),
        ("code", &approval.code),
        ("agent", "helper"),
        ("action", "account.pay"),
        ("purpose", PURPOSE_WITH_USER),
    ] {
        assert_eq!(detail[name], expect, "{name}");
    }
    assert!(detail["arguments"].as_str().unwrap().contains("5000"), "{detail}");
    assert!(detail.get("user").is_none() && details.as_array().unwrap().len() == 1);

    // Padding hides nothing of it.
    let pad = "\u{e0041}".repeat(256);
    let padded = json!({ "!": pad, "amount": 6_000, "currency": "EUR", "to": "mallory" });
    assert_eq!(scene.pay_with(padded).await.decision, DecisionKind::Challenge);
    let question = scene.question(2).await;
    let details: Value = serde_json::from_str(question.get("authorization_details")).unwrap();
    let shown: Value = serde_json::from_str(details[0]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!((&shown["to"], &shown["amount"]), (&json!("mallory"), &json!(6_000)));
}

/// Each answer with the reason that is its own; the approval waits on, and nobody approved.
async fn refused(answers: Vec<(Says, &str)>) {
    let scene = Scene::new().await;
    let device = scene.behalf.provider.device();
    for (number, (says, expect)) in answers.into_iter().enumerate() {
        device.says(says.clone());
        let approval = scene.challenged(5_000 + number as u64).await;
        assert_eq!(scene.ended(&approval).await, expect, "{says:?}");
        assert_eq!(scene.state(&approval).await, "pending", "{says:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_another_s_is_nobody_s_yes() {
    let claims = |claims: Value| Says::Yes(claims, json!({}));
    let now_s = attorn_tests::machines::now_ms() / 1_000;
    Box::pin(refused(vec![
        (claims(json!({ "sub": "bob" })), "another_user"),
        (claims(json!({ "sub": null })), "claim_missing"),
        (claims(json!({ "urn:openid:params:jwt:claim:auth_req_id": "request-0" })), "another_request"),
        (claims(json!({ "aud": "portal" })), "wrong_audience"),
        (claims(json!({ "aud": ["attorn", "portal"] })), "wrong_audience"),
        (claims(json!({ "azp": "bot-client" })), "wrong_audience"),
        (claims(json!({ "iss": "https://other.example" })), "wrong_issuer"),
        (claims(json!({ "iat": now_s - 60 })), "issued_before"),
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_signed_is_nobody_s_yes() {
    let header = |header: Value| Says::Yes(json!({}), header);
    let unsigned = format!("{}.{}.", "eyJhbGciOiJub25lIn0", "eyJpc3MiOiJ4Iiwic3ViIjoiYWxpY2UifQ");
    let other = ProviderKey::generate(KeyKind::Es256, "key-1");
    let forged = other.sign(&json!({ "alg": "ES256", "kid": "key-1" }).to_string(), &json!({ "iss": "x" }).to_string());
    let token = |token: &str| Says::Raw(200, json!({ "id_token": token, "access_token": "a" }).to_string());
    Box::pin(refused(vec![
        (header(json!({ "alg": "none" })), "unsigned"),
        (header(json!({ "alg": "HS256" })), "symmetric_algorithm"),
        (header(json!({ "kid": "key-2" })), "unknown_key"),
        (header(json!({ "typ": "at+jwt" })), "wrong_type"),
        (header(json!({ "jku": "https://other.example/jwks" })), "forbidden_header"),
        (token(&unsigned), "unsigned"),
        (token(&forged), "wrong_issuer"),
        (token("yes"), "token_malformed"),
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_out_of_its_time_or_of_another_kind_is_nobody_s_yes() {
    let claims = |claims: Value| Says::Yes(claims, json!({}));
    let now_s = attorn_tests::machines::now_ms() / 1_000;
    let logout = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    Box::pin(refused(vec![
        (claims(json!({ "iat": now_s + 600, "exp": now_s + 900 })), "not_yet_valid"),
        (claims(json!({ "exp": now_s - 60 })), "expired"),
        (claims(json!({ "exp": null })), "claim_missing"),
        (claims(json!({ "iat": null })), "claim_missing"),
        (claims(json!({ "events": logout })), "not_an_id_token"),
        (claims(json!({ "typ": "Bearer" })), "not_an_id_token"),
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_nobody_s_yes() {
    let raw = |status, text: &str| Says::Raw(status, text.into());
    Box::pin(refused(vec![
        (Says::Expired, "expired"),
        (raw(200, r#"{"access_token":"a","token_type":"Bearer"}"#), "no_id_token"),
        (raw(200, "yes"), "no_id_token"),
        (raw(400, "no"), "nonsense"),
        (raw(400, r#"{"error":"invalid_grant"}"#), "request_unknown"),
        (raw(401, r#"{"error":"invalid_client"}"#), "client_refused"),
        (raw(302, ""), "redirected"),
        (raw(200, &"x".repeat(65 << 10)), "too_large"),
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_the_provider_refuses_is_not_put_again() {
    let scene = Scene::new().await;
    let device = scene.behalf.provider.device();
    for (number, (status, error, expect)) in [
        (400, "unknown_user_id", "unknown_user"),
        (400, "invalid_binding_message", "code_refused"),
        (400, "missing_user_code", "user_code_wanted"),
        (401, "invalid_client", "client_refused"),
        (403, "access_denied", "denied_at_once"),
        (400, "out_of_tea", "nonsense"),
    ]
    .into_iter()
    .enumerate()
    {
        device.says_to_questions(Says::Raw(status, json!({ "error": error }).to_string()));
        let approval = scene.challenged(5_000 + number as u64).await;
        assert_eq!(scene.ended(&approval).await, expect);
        assert_eq!(device.questions().len(), number + 1);
    }
    assert!(device.polls().is_empty());
}

/// A lower bound: however busy the machine is, it holds.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_slow_down_waits_five_seconds_longer() {
    let scene = Scene::new().await;
    let device = scene.behalf.provider.device();
    device.says(Says::SlowDown);
    let approval = scene.challenged(5_000).await;
    device.polled(2).await;
    let polls = device.polls();
    assert!(polls[1].at.duration_since(polls[0].at) >= Duration::from_secs(6), "1 s and 5 more");
    device.says(Says::yes());
    scene.becomes(&approval, "approved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_outlives_the_server_and_is_not_put_twice() {
    let mut scene = Scene::new().await;
    let approval = scene.challenged(5_000).await;
    scene.behalf.provider.device().polled(1).await;
    scene.behalf.world.server.restart(false).await;
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&approval, "approved").await;
    let device = scene.behalf.provider.device();
    assert_eq!(device.questions().len(), 1);
    assert!(device.polls().iter().all(|poll| poll.get("auth_req_id") == "request-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_asked_any_more_the_prompt_ends() {
    let scene = Scene::new().await;
    let approval = scene.challenged(5_000).await;
    scene.behalf.provider.device().polled(1).await;
    scene.behalf.staff.registrar.act("/v1/providers/main/backchannel/remove").await.expect(200);
    assert_eq!(scene.ended(&approval).await, "provider_gone");
    // Of the next nobody could say yes, so nobody waits for that.
    let next = scene.pay(6_000).await;
    assert_eq!((next.decision, next.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_impossible"));
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_answers_holds_up_no_decision() {
    let scene = Scene::new().await;
    scene.behalf.provider.device().says_to_questions(Says::Nothing);
    let approval = scene.challenged(5_000).await;
    scene.question(1).await;
    for _ in 0..20 {
        assert_eq!(scene.pay(1).await.decision, DecisionKind::Allow);
    }
    assert_eq!(scene.state(&approval).await, "pending");
    // What was decided meanwhile asked nobody, and one question hangs all this time.
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
    // It is asked again, and then it does.
    scene.behalf.provider.device().takes_questions();
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&approval, "approved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_for_who_is_gone() {
    let scene = Scene::new().await;
    scene.challenged(5_000).await;
    scene.behalf.provider.device().polled(1).await;
    scene.behalf.erase(&scene.delegation.user).await.expect(200);
    // One may be on its way. It is polled every second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let polls = scene.behalf.provider.device().polls().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.behalf.provider.device().polls().len(), polls);
}
