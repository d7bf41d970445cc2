//! Agents whose client assertion is a JWT-SVID: it counts beside a proof by a key of the agent's, and only then.

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::TokenAnswer;
use attorn_tests::Answer;
use attorn_tests::oauth::{Client, form, now_s, refused, token_request};
use attorn_tests::provider::{KeyKind, ProviderKey, with};
use serde_json::{Value, json};

use super::{Scene, TOKEN, detail};

const ID: &str = "spiffe://example.org/doc/bot";
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// The bot is `ID` by JWT-SVID, of a trust domain with this one key.
struct Workload {
    scene: Scene,
    authority: ProviderKey,
}

fn bundle(key: &ProviderKey) -> Value {
    let mut jwk = key.jwk();
    jwk["use"] = "jwt-svid".into();
    json!({ "spiffe": { "keys": [jwk] } })
}

impl Workload {
    async fn new() -> Self {
        let (scene, authority) = (Scene::new().await, ProviderKey::generate(KeyKind::Es256, "first"));
        let registrar = &scene.world.staff.registrar;
        let domain = json!({ "id": "example.org", "bundle": bundle(&authority) });
        registrar.post("/v1/trust-domains", &domain).await.expect(201);
        let workload = Self { scene, authority };
        workload.add("bot", ID, &["jwt"]).await;
        workload
    }

    async fn add(&self, agent: &str, subject: &str, methods: &[&str]) {
        let body = json!({ "subject": { "spiffe": subject }, "instance": "pod-1", "methods": methods });
        self.scene.operate(&format!("/v1/agents/{agent}/identities"), &body).await;
    }

    /// A JWT-SVID with changes to what a good one says.
    fn svid(&self, key: &ProviderKey, claims: Value) -> String {
        let header = json!({ "alg": key.alg(), "kid": "first", "typ": "JWT" });
        let usual = json!({ "sub": ID, "aud": [self.scene.world.reach.url], "iat": now_s(), "exp": now_s() + 60 });
        key.sign(&header.to_string(), &with(usual, claims).to_string())
    }

    /// Ask for a token with this JWT-SVID, and with a proof by the key of this client.
    async fn show(&self, prover: &Client, svid: &str, more: &[(&'static str, &str)]) -> Answer {
        let mut parameters = token_request(&detail());
        parameters.push(("client_assertion_type", JWT_SPIFFE.into()));
        parameters.push(("client_assertion", svid.into()));
        parameters.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let proof = prover.proof(TOKEN, &prover.nonce().await);
        self.scene.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await
    }

    async fn shown(&self, claims: Value) -> Answer {
        self.show(&self.scene.bot, &self.svid(&self.authority, claims), &[]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_svid_beside_a_proof_gets_a_token_bound_to_the_key() {
    let workload = Workload::new().await;
    let (scene, svid) = (&workload.scene, workload.svid(&workload.authority, json!({})));
    for client in [&[][..], &[("client_id", ID)], &[("client_id", "bot")]] {
        let answer: TokenAnswer = workload.show(&scene.bot, &svid, client).await.expect(200).json();
        let told = scene.docs.introspect(&answer.access_token).await;
        assert_eq!(told["cnf"], json!({ "jkt": scene.bot.key.thumbprint }), "{told}");
        assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("bot")), "{told}");
    }
    let answer = workload.show(&scene.bot, &svid, &[("client_id", "other")]).await;
    refused(&answer, 401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_svid_without_a_proof_by_its_agent_s_key_gets_nothing() {
    let workload = Workload::new().await;
    let (scene, svid) = (&workload.scene, workload.svid(&workload.authority, json!({})));
    let stranger = Client::new(&scene.world.reach, "stranger");
    for prover in [&scene.other, &stranger] {
        refused(&workload.show(prover, &svid, &[]).await, 400, "invalid_dpop_proof");
    }
    // At every endpoint: nobody who found one may use it anywhere.
    for path in [TOKEN, "/oauth/revoke"] {
        let mut parameters = token_request(&detail());
        parameters.extend([("client_assertion_type", JWT_SPIFFE.into()), ("client_assertion", svid.clone())]);
        parameters.push(("token", "a.b.c".into()));
        refused(&scene.send(form(path, &parameters)).await, 400, "invalid_dpop_proof");
    }
    // A resource server is none.
    let parameters = [("client_assertion_type", JWT_SPIFFE), ("client_assertion", &svid), ("token", "a.b.c")];
    let parameters = parameters.map(|(name, value)| (name, value.to_owned()));
    refused(&scene.send(form("/oauth/introspect", &parameters)).await, 401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_jwt_svid_is_refused() {
    let workload = Workload::new().await;
    workload.shown(json!({})).await.expect(200);
    let url = &workload.scene.world.reach.url;
    workload.add("other", "spiffe://example.org/by-certificate", &["x509"]).await;
    for claims in [
        json!({ "aud": [format!("{url}{TOKEN}")] }),
        json!({ "aud": [url, "https://elsewhere.example"] }),
        json!({ "exp": now_s() - 1 }),
        json!({ "exp": now_s() + 7_200 }),
        json!({ "nbf": now_s() + 600 }),
        json!({ "sub": "spiffe://example.org/nobody" }),
        json!({ "sub": "spiffe://example.org/by-certificate" }),
        json!({ "sub": "spiffe://other.example/doc/bot" }),
        json!({ "sub": "https://example.org/doc/bot" }),
    ] {
        let answer = workload.shown(claims.clone()).await;
        assert_eq!(answer.status, 401, "{claims}: {}", answer.text());
        refused(&answer, 401, "invalid_client");
    }
    let forged = workload.svid(&ProviderKey::generate(KeyKind::Es256, "first"), json!({}));
    refused(&workload.show(&workload.scene.bot, &forged, &[]).await, 401, "invalid_client");
    refused(&workload.show(&workload.scene.bot, "a.b.c", &[]).await, 401, "invalid_client");
    refused(&workload.show(&workload.scene.bot, &"a".repeat(9 << 10), &[]).await, 401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_jwt_svid_hangs_on_ends_it() {
    let workload = Workload::new().await;
    workload.shown(json!({})).await.expect(200);
    // Another key in the trust domain's bundle: what the old one signed does not count.
    let second = ProviderKey::generate(KeyKind::Es256, "second");
    let update = json!({ "bundle": bundle(&second) });
    let registrar = &workload.scene.world.staff.registrar;
    registrar.post("/v1/trust-domains/example.org/update", &update).await.expect(200);
    refused(&workload.shown(json!({})).await, 401, "invalid_client");
    let update = json!({ "bundle": bundle(&workload.authority) });
    registrar.post("/v1/trust-domains/example.org/update", &update).await.expect(200);
    workload.shown(json!({})).await.expect(200);
    registrar.act("/v1/trust-domains/example.org/revoke").await.expect(200);
    refused(&workload.shown(json!({})).await, 401, "invalid_client");
}
