//! Token exchange (RFC 8693) at the token endpoint, and logout that a provider tells of.

use std::sync::Arc;

use attorn_api::decisions::DecisionKind;
use attorn_api::delegations::DelegationMade;
use attorn_api::oauth::{ACCESS_TOKEN, TOKEN_EXCHANGE, TokenAnswer};
use attorn_tests::behalf::{pairs, registration};
use attorn_tests::oauth::{Client, Parameters, form, refused, refused_without_nonce, token_request};
use attorn_tests::provider::with;
use attorn_tests::replays::replays_identically;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Answer, Behalf, Metrics};
use serde_json::{Value, json};

const TOKEN: &str = "/oauth/token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Alice, her provider, and an agent that is an OAuth client; the bank is one, too.
struct Scene {
    behalf: Behalf,
    client: Client,
    ledger: Client,
}

impl Scene {
    async fn new() -> Self {
        let behalf = Behalf::new().await;
        let (client, ledger) = (Client::new(&behalf.reach, "oauth-bot"), Client::new(&behalf.reach, "ledger"));
        let mut body = registration(&behalf.helper, "*", "*");
        body["id"] = json!("oauth-bot");
        body["keys"] = json!([client.key.registration("pod-1")]);
        behalf.staff.registrar.post("/v1/agents", &body).await.expect(201);
        let body = ledger.server_registration("https://ledger.example", "ledger");
        behalf.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
        behalf.entitle(json!({ "everyone": behalf.provider.issuer }), &[("account.*", "ledger/{user.id}/*")]).await;
        Self { behalf, client, ledger }
    }

    async fn with_scope() -> Self {
        let scene = Self::new().await;
        let scopes = json!({ "ledgers": { "purposes": [PURPOSE_WITH_USER],
            "permissions": pairs(&[("account.read", "ledger/*")]) } });
        let clients = json!({ "bot-client": "support-bot", "oauth-client": "oauth-bot" });
        let body = scene.behalf.provider.configuration("main", json!({ "clients": clients, "scopes": scopes }));
        scene.behalf.staff.registrar.post("/v1/providers/main/update", &body).await.expect(200);
        scene
    }

    fn subject(&self, changes: Value) -> String {
        let usual = json!({ "client_id": "oauth-client", "scope": "ledgers" });
        let provider = &self.behalf.provider;
        provider.mint(&provider.header(), &with(with(provider.claims(), usual), changes))
    }

    async fn exchange(&self, subject: &str, detail: &Value, more: &[(&'static str, &str)]) -> Answer {
        let mut parameters: Parameters = vec![
            ("grant_type", TOKEN_EXCHANGE.into()),
            ("subject_token", subject.into()),
            ("subject_token_type", ACCESS_TOKEN.into()),
            ("authorization_details", json!([detail]).to_string()),
        ];
        for (name, value) in more {
            parameters.retain(|(other, _)| other != name);
            parameters.push((name, (*value).into()));
        }
        self.client.post(TOKEN, &parameters).await
    }

    /// The id of Alice, who has to have delegated something.
    async fn alice(&self) -> String {
        self.behalf.alice().await.id
    }
}

fn detail(resource: &str) -> Value {
    json!({ "type": "attorn_action", "actions": ["account.read"], "identifier": resource, "purpose": PURPOSE_WITH_USER })
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_are_refused_each_with_the_error_of_oauth() {
    let scene = Scene::with_scope().await;
    let good = scene.subject(json!({}));
    let anything = detail("ledger/1");
    for (subject, code) in [
        (scene.subject(json!({ "client_id": "bot-client" })), "invalid_grant"),
        (scene.subject(json!({ "client_id": null })), "invalid_grant"),
        (scene.subject(json!({ "aud": "https://elsewhere.example" })), "invalid_grant"),
        (scene.subject(json!({ "nonce": "n" })), "invalid_grant"),
        (scene.subject(json!({ "exp": 1_000 })), "invalid_grant"),
        (scene.subject(json!({ "scope": "" })), "invalid_grant"),
        (scene.subject(json!({ "scope": "accounts" })), "invalid_grant"),
        (scene.behalf.provider.user_token(json!({})), "invalid_grant"),
        ("a.b.c".into(), "invalid_grant"),
        (String::new(), "invalid_request"),
    ] {
        refused(&scene.exchange(&subject, &anything, &[]).await, 400, code);
    }
    let own = scene.client.token(&detail("ledger/1")).await;
    refused(&own, 400, "access_denied");
    for (changes, code) in [
        (&[("subject_token_type", ID_TOKEN)][..], "invalid_request"),
        (&[("subject_token_type", "")], "invalid_request"),
        (&[("actor_token", "a.b.c"), ("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
        (&[("actor_token", &good), ("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
        (&[("actor_token", "x")], "invalid_request"),
        (&[("requested_token_type", ID_TOKEN)], "invalid_request"),
        (&[("scope", "ledgers")], "invalid_scope"),
        (&[("resource", "https://ledger.example")], "invalid_target"),
        (&[("audience", "https://elsewhere.example")], "invalid_target"),
    ] {
        refused(&scene.exchange(&good, &anything, changes).await, 400, code);
    }
    let mut with_delegation = anything.clone();
    with_delegation["delegation"] = json!("dlg_1");
    let answer = scene.exchange(&good, &with_delegation, &[]).await;
    refused(&answer, 400, "invalid_authorization_details");
    // No actor: a client that does not authenticate exchanges nothing.
    let parameters: Parameters = vec![
        ("grant_type", TOKEN_EXCHANGE.into()),
        ("subject_token", good),
        ("subject_token_type", ACCESS_TOKEN.into()),
        ("authorization_details", json!([anything]).to_string()),
    ];
    refused(&scene.behalf.reach.send(form(TOKEN, &parameters)).await, 401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_token_becomes_a_token_for_one_action_that_names_both() {
    let scene = Scene::with_scope().await;
    let subject = scene.subject(json!({}));
    // Nobody's resource: denied, and recorded. It makes Alice known.
    let denied = refused(&scene.exchange(&subject, &detail("ledger/usr_bob/1"), &[]).await, 400, "access_denied");
    assert!(denied.decision_id.is_some());
    let resource = format!("ledger/{}/1", scene.alice().await);
    let audience = [("audience", "https://ledger.example")];
    let issued: TokenAnswer = scene.exchange(&subject, &detail(&resource), &audience).await.expect(200).json();
    assert_eq!((issued.token_type.as_str(), issued.issued_token_type.as_deref()), ("DPoP", Some(ACCESS_TOKEN)));
    let said = scene.ledger.introspect(&issued.access_token).await;
    assert_eq!(said["active"], true, "{said}");
    assert_eq!(said["sub_id"]["sub"], "alice");
    assert_eq!(said["act"], json!({ "sub": "oauth-bot" }));
    assert_eq!(said["client_id"], "oauth-bot");
    // The actor may say who it is with a token of its own.
    let actor = [("actor_token", issued.access_token.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    scene.exchange(&subject, &detail(&resource), &actor).await.expect(200);
    // What was delegated is one delegation, however often the token is exchanged.
    let list: Value = scene.behalf.staff.registrar.get("/v1/delegations?agent=oauth-bot").await.expect(200).json();
    assert_eq!(list["delegations"].as_array().unwrap().len(), 1);
    let delegation = list["delegations"][0]["id"].as_str().unwrap().to_owned();
    // The agent can name it, too.
    let mut by_delegation = detail(&resource);
    by_delegation["delegation"] = json!(delegation);
    scene.client.token(&by_delegation).await.expect(200);
    let path = format!("/v1/delegations/{delegation}/revoke");
    scene.behalf.staff.registrar.post(path, &json!({})).await.expect(200);
    assert_eq!(scene.ledger.introspect(&issued.access_token).await, json!({ "active": false }));
    refused(&scene.exchange(&subject, &detail(&resource), &[]).await, 400, "invalid_grant");
    refused(&scene.client.token(&by_delegation).await, 400, "access_denied");
    replays_identically(&scene.behalf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_and_revocation_take_a_client_without_a_proof() {
    let scene = Scene::with_scope().await;
    let subject = scene.subject(json!({}));
    scene.exchange(&subject, &detail("ledger/usr_bob/1"), &[]).await;
    let resource = format!("ledger/{}/1", scene.alice().await);
    let issued: TokenAnswer = scene.exchange(&subject, &detail(&resource), &[]).await.expect(200).json();
    let about = |client: &Client| [client.authentication(), vec![("token", issued.access_token.clone())]].concat();
    let answer = scene.behalf.reach.send(form("/oauth/introspect", &about(&scene.ledger))).await.expect(200);
    assert_eq!(answer.json::<Value>()["active"], true);
    scene.behalf.reach.send(form("/oauth/revoke", &about(&scene.client))).await.expect(200);
    assert_eq!(scene.ledger.introspect(&issued.access_token).await, json!({ "active": false }));
    // A token is never issued without one.
    let parameters = [scene.client.authentication(), token_request(&detail(&resource))].concat();
    refused(&scene.behalf.reach.send(form(TOKEN, &parameters)).await, 400, "invalid_dpop_proof");
}

async fn log_out(scene: &Behalf, token: &str) -> Answer {
    scene.reach.send(form("/v1/backchannel-logout", &[("logout_token", token.into())])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn logouts_that_no_provider_told_of_are_refused() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    for claims in [
        json!({ "iss": "https://elsewhere.example" }),
        json!({ "aud": "https://elsewhere.example" }),
        json!({ "events": null }),
        json!({ "events": {} }),
        json!({ "nonce": "n" }),
        json!({ "sub": null, "sid": null }),
        json!({ "jti": null }),
        json!({ "exp": 1_000 }),
    ] {
        let token = scene.provider.logout_token(claims);
        refused_without_nonce(&log_out(&scene, &token).await, 400, "invalid_request");
    }
    let access = scene.token(json!({}));
    for token in ["", "a.b.c", &access] {
        refused_without_nonce(&log_out(&scene, token).await, 400, "invalid_request");
    }
    assert_eq!(scene.read(&scene.bot, &delegation).await.decision, DecisionKind::Allow);
}

/// Whoever has logout tokens verified that nobody signed waits in the lane of users, and no agent waits there or for
/// being known at the same address.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forged_logouts_waits_in_a_narrow_lane_and_known_agents_do_not() {
    let scene = Arc::new(Behalf::new().await);
    let delegation = scene.delegated().await;
    scene.read(&scene.bot, &delegation).await;
    let token = scene.provider.logout_token(json!({}));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&vec![1; signature.len() * 3 / 4]));
    let in_lanes = async || {
        let metrics = Metrics::of(&scene.staff.auditor).await;
        ["agents", "users"].map(|lane| metrics.count("attorn_noisy_requests_total", &[("lane", lane)]).unwrap())
    };
    let mut floods = 0;
    while in_lanes().await[1] == 0 {
        floods += 1;
        assert!(floods < 20, "{floods} floods are no noise");
        let flood = (0..16).map(|_| {
            let (scene, forged) = (Arc::clone(&scene), forged.clone());
            tokio::spawn(async move {
                for _ in 0..16 {
                    refused_without_nonce(&log_out(&scene, &forged).await, 400, "invalid_request");
                }
            })
        });
        for one in flood.collect::<Vec<_>>() {
            one.await.unwrap();
        }
    }
    assert_eq!(scene.read(&scene.bot, &delegation).await.decision, DecisionKind::Allow);
    assert_eq!(in_lanes().await[0], 0, "an agent that was let in before waited");
    // A good one is heard through the noise.
    log_out(&scene, &token).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &delegation).await.reasons[0].code, "session_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_session_or_all_and_outlasts_the_tokens() {
    let scene = Behalf::new().await;
    let first = scene.delegated().await;
    let token = scene.token(json!({ "sid": "session-2" }));
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    let second = made.delegation;
    // The session that it names, and no other; twice says nothing new.
    for _ in 0..2 {
        log_out(&scene, &scene.provider.logout_token(json!({}))).await.expect(200);
    }
    let denied = scene.read(&scene.bot, &first).await;
    assert_eq!(denied.reasons[0].code, "session_ended");
    assert_eq!(scene.read(&scene.bot, &second).await.decision, DecisionKind::Allow);
    scene.exchange(&scene.token(json!({ "jti": "again" }))).await.refused(403, "login_needed");
    // A session that nobody has delegated in yet is remembered.
    log_out(&scene, &scene.provider.logout_token(json!({ "sid": "session-3" }))).await.expect(200);
    scene.exchange(&scene.token(json!({ "sid": "session-3" }))).await.refused(403, "login_needed");
    // Somebody else's session is not Bob's to end.
    log_out(&scene, &scene.provider.logout_token(json!({ "sub": "bob", "sid": "session-2" }))).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &second).await.decision, DecisionKind::Allow);
    // Without a session all ends.
    let all = scene.provider.logout_token(json!({ "sid": null }));
    log_out(&scene, &all).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &second).await.reasons[0].code, "delegation_revoked");
    scene.exchange(&scene.token(json!({ "sid": "session-4" }))).await.refused(403, "login_needed");
    // Whoever sends the same logout again ends nothing that began since.
    let token = scene.token(attorn_tests::behalf::later_login().await);
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    log_out(&scene, &all).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &made.delegation).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_reaches_sessions_that_no_token_named() {
    let scene = Behalf::new().await;
    let made: DelegationMade = scene.exchange(&scene.token(json!({ "sid": null }))).await.expect(201).json();
    let named = scene.delegated().await;
    log_out(&scene, &scene.provider.logout_token(json!({ "sid": "of-another-client" }))).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &made.delegation).await.reasons[0].code, "session_ended");
    scene.exchange(&scene.token(json!({ "sid": null, "jti": "again" }))).await.refused(403, "login_needed");
    // The session that has a name is another.
    assert_eq!(scene.read(&scene.bot, &named).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_is_not_taken_for_done_because_something_else_was_ended_just_before() {
    let scene = Behalf::new().await;
    let unnamed = |jti: &str| scene.token(json!({ "sid": null, "jti": jti }));
    let first: DelegationMade = scene.exchange(&unnamed("first")).await.expect(201).json();
    let second: DelegationMade = scene.exchange(&unnamed("second")).await.expect(201).json();
    let logout = scene.provider.logout_token(json!({ "sid": "of-another-client" }));
    // An operator ends one session after the provider wrote the token and before it arrives.
    let path = format!("/v1/sessions/{}/revoke", first.delegation.session);
    scene.staff.registrar.post(path, &json!({})).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &second.delegation).await.decision, DecisionKind::Allow);
    log_out(&scene, &logout).await.expect(200);
    assert_eq!(scene.read(&scene.bot, &second.delegation).await.reasons[0].code, "session_ended");
    // The same once more ends nothing that began since.
    log_out(&scene, &logout).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_of_somebody_whom_nobody_knows_yet_is_remembered() {
    let scene = Behalf::new().await;
    log_out(&scene, &scene.provider.logout_token(json!({ "sid": null }))).await.expect(200);
    scene.exchange(&scene.token(json!({}))).await.refused(403, "login_needed");
    let token = scene.token(attorn_tests::behalf::later_login().await);
    scene.exchange(&token).await.expect(201);
}
