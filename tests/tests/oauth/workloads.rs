//! Agents whose client assertion is a workload's token, as Kubernetes issues them: it counts beside a proof by a key of
//! the agent's, and only then.

use std::collections::BTreeSet;

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::TokenAnswer;
use attorn_identity::client_assertion::JWT_BEARER;
use attorn_tests::oauth::{Client, form, now_s, refused, token_request};
use attorn_tests::provider::{KeyKind, ProviderKey, encode, with};
use attorn_tests::{Answer, Call};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Scene, TOKEN, detail};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:billing:invoice-bot";

/// The bot is `SUBJECT` of a cluster with this one key.
struct Cluster {
    scene: Scene,
    key: ProviderKey,
}

fn keys(keys: &[&ProviderKey]) -> Value {
    let jwks: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    let algorithms: BTreeSet<_> = keys.iter().map(|key| key.alg()).collect();
    json!({ "algorithms": algorithms, "jwks": { "keys": jwks } })
}

impl Cluster {
    async fn new() -> Self {
        let cluster = Self { scene: Scene::new().await, key: ProviderKey::generate(KeyKind::Rs256, "first") };
        cluster.register("cluster", ISSUER, &cluster.key).await;
        cluster.add("bot", ISSUER, SUBJECT).await;
        cluster
    }

    async fn register(&self, id: &str, issuer: &str, key: &ProviderKey) {
        let body = with(keys(&[key]), json!({ "id": id, "issuer": issuer }));
        self.scene.world.staff.registrar.post("/v1/workload-issuers", &body).await.expect(201);
    }

    async fn add(&self, agent: &str, issuer: &str, subject: &str) {
        let subject = json!({ "workload": { "issuer": issuer, "subject": subject } });
        let body = json!({ "subject": subject, "instance": "pod-1", "methods": ["jwt"] });
        self.scene.operate(&format!("/v1/agents/{agent}/identities"), &body).await;
    }

    /// What a projected token of a service account says, with changes.
    fn claims(&self, changes: Value) -> Value {
        let (now, url) = (now_s(), &self.scene.world.reach.url);
        let pod = json!({ "namespace": "billing", "serviceaccount": { "name": "invoice-bot", "uid": "1" } });
        let usual = json!({ "iss": ISSUER, "sub": SUBJECT, "aud": [url], "iat": now, "nbf": now, "exp": now + 3_600,
            "jti": "1", "kubernetes.io": pod });
        with(usual, changes)
    }

    /// A token by this key, with changes to header and claims.
    fn token_by(&self, key: &ProviderKey, header: Value, claims: Value) -> String {
        let header = with(json!({ "alg": key.alg(), "kid": key.kid }), header);
        key.sign(&header.to_string(), &self.claims(claims).to_string())
    }

    fn token(&self, claims: Value) -> String {
        self.token_by(&self.key, json!({}), claims)
    }

    /// A request for a token with this assertion, and with a proof by the key of this client.
    fn request(prover: &Client, nonce: &str, assertion: &str, more: &[(&'static str, &str)]) -> Call {
        let mut parameters = token_request(&detail());
        parameters.extend([("client_assertion_type", JWT_BEARER.into()), ("client_assertion", assertion.into())]);
        parameters.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        form(TOKEN, &parameters).header(PROOF_HEADER, prover.proof(TOKEN, nonce))
    }

    async fn show(&self, prover: &Client, assertion: &str, more: &[(&'static str, &str)]) -> Answer {
        self.scene.send(Self::request(prover, &prover.nonce().await, assertion, more)).await
    }

    async fn shown(&self, assertion: &str) -> Answer {
        self.show(&self.scene.bot, assertion, &[]).await
    }

    /// Tokens that say something wrong, and what the error's description names.
    fn wrong_claims(&self) -> Vec<(&'static str, String, &'static str)> {
        let (now, url) = (now_s(), &self.scene.world.reach.url);
        let cases = [
            ("of an unknown issuer", json!({ "iss": "https://elsewhere.example" }), "no workload issuer"),
            ("of a revoked issuer", json!({ "iss": "https://revoked.example" }), "no workload issuer"),
            ("of an issuer with a slash", json!({ "iss": format!("{ISSUER}/") }), "no workload issuer"),
            ("of one in other letters", json!({ "iss": ISSUER.replace("https", "HTTPS") }), "no workload issuer"),
            ("of an agent", json!({ "iss": "bot" }), "no workload issuer"),
            ("for another endpoint", json!({ "aud": [format!("{url}{TOKEN}")] }), "wrong_audience"),
            ("for another", json!({ "aud": "https://elsewhere.example" }), "wrong_audience"),
            ("for two", json!({ "aud": [url, "https://elsewhere.example"] }), "wrong_audience"),
            ("for us with a slash", json!({ "aud": [format!("{url}/")] }), "wrong_audience"),
            ("for nobody", json!({ "aud": [] }), "wrong_audience"),
            ("without `aud`", json!({ "aud": null }), "claim_missing"),
            ("expired", json!({ "iat": now - 120, "nbf": now - 120, "exp": now - 1 }), "expired"),
            ("without `exp`", json!({ "exp": null }), "claim_missing"),
            ("without `iat`", json!({ "iat": null }), "claim_missing"),
            ("early", json!({ "nbf": now + 600 }), "not_yet_valid"),
            ("of the future", json!({ "iat": now + 600 }), "not_yet_valid"),
            ("living too long", json!({ "exp": now + 25 * 3_600 }), "lifetime_too_long"),
            ("made to live for long", json!({ "iat": now - 25 * 3_600 }), "lifetime_too_long"),
            ("that a person signed in for", json!({ "nonce": "n" }), "not_a_workload_token"),
            ("oversized", json!({ "x": "y".repeat(8 << 10) }), "it is too long"),
            ("without `sub`", json!({ "sub": null }), "malformed"),
            ("about a number", json!({ "sub": 1 }), "malformed"),
            ("about what is nobody's name", json!({ "sub": "a b" }), "claim_malformed"),
            ("about nobody", json!({ "sub": "system:serviceaccount:billing:nobody" }), "no key that is registered"),
            ("about more", json!({ "sub": format!("{SUBJECT}2") }), "no key that is registered"),
            ("about it in other letters", json!({ "sub": SUBJECT.to_uppercase() }), "no key that is registered"),
            ("about the agent's id", json!({ "sub": "bot" }), "no key that is registered"),
        ];
        cases.into_iter().map(|(what, changes, why)| (what, self.token(changes), why)).collect()
    }

    /// Tokens that are signed or made in a wrong way. One of the keys is in no set any more, one in none at all, and
    /// one is of another cluster.
    fn wrong_forms(&self, [gone, stranger, other]: [&ProviderKey; 3]) -> Vec<(&'static str, String, &'static str)> {
        let header = |changes: Value| self.token_by(&self.key, changes, json!({}));
        let unsigned = header(json!({ "alg": "none" }));
        let secret = EncodingKey::from_secret(self.key.jwk().to_string().as_bytes());
        let hmac = Header { kid: Some("first".into()), ..Header::new(Algorithm::HS256) };
        let hmac = jsonwebtoken::encode(&hmac, &self.claims(json!({})), &secret).unwrap();
        let twice = self.claims(json!({})).to_string().replace("\"aud\":", "\"aud\":[],\"aud\":");
        let twice = self.key.sign(r#"{"alg":"RS256","kid":"first"}"#, &twice);
        let of_other = |issuer: &str| self.token_by(other, json!({}), json!({ "iss": issuer }));
        vec![
            ("with an HMAC", hmac, "symmetric_algorithm"),
            ("unsigned", format!("{}.", unsigned.rsplit_once('.').unwrap().0), "unsigned"),
            ("with an unrecorded algorithm", header(json!({ "alg": "PS256" })), "algorithm_not_allowed"),
            ("by a key that is gone", self.token_by(gone, json!({}), json!({})), "unknown_key"),
            ("by a stranger", self.token_by(stranger, json!({}), json!({})), "algorithm_not_allowed"),
            ("by another cluster's key", of_other(ISSUER), "unknown_key"),
            ("of the same name in another cluster", of_other("https://other.example"), "no key that is registered"),
            ("of other bytes", tampered(&self.token(json!({}))), "bad_signature"),
            ("with `crit`", header(json!({ "crit": ["exp"] })), "forbidden_header"),
            ("with `jku`", header(json!({ "jku": "https://evil.example/jwks" })), "forbidden_header"),
            ("with `x5u`", header(json!({ "x5u": "https://evil.example/x" })), "forbidden_header"),
            ("with a key of its own", header(json!({ "jwk": stranger.jwk() })), "forbidden_header"),
            ("an access token", header(json!({ "typ": "at+jwt" })), "wrong_type"),
            ("a proof", header(json!({ "typ": "dpop+jwt" })), "wrong_type"),
            ("with `aud` twice", twice, "duplicate_member"),
        ]
    }
}

/// The same token with another subject put in.
fn tampered(token: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let claims = data_encoding::BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap();
    let claims = String::from_utf8(claims).unwrap().replace("invoice-bot", "payment-bot");
    format!("{}.{}.{}", parts[0], encode(claims), parts[2])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_token_is_refused_with_its_error_and_the_good_one_last() {
    let cluster = Cluster::new().await;
    let scene = &cluster.scene;
    let gone = ProviderKey::generate(KeyKind::Rs256, "gone");
    let stranger = ProviderKey::generate(KeyKind::Es256, "first");
    let other_cluster = ProviderKey::generate(KeyKind::Rs256, "other");
    cluster.register("other", "https://other.example", &other_cluster).await;
    cluster.register("revoked", "https://revoked.example", &cluster.key).await;
    cluster.add("bot", "https://revoked.example", SUBJECT).await;
    scene.world.staff.registrar.act("/v1/workload-issuers/revoked/revoke").await.expect(200);
    let size = scene.world.log_size().await;
    for (what, token, why) in [cluster.wrong_claims(), cluster.wrong_forms([&gone, &stranger, &other_cluster])].concat()
    {
        let answer = cluster.shown(&token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let error = refused(&answer, 401, "invalid_client");
        assert!(error.error_description.contains(why), "{what}: {}", error.error_description);
    }
    // The right token, and a proof that is none of the agent's: no more is told than who it is not.
    let good = cluster.token(json!({}));
    for prover in [&scene.other, &Client::new(&scene.world.reach, "stranger")] {
        refused(&cluster.show(prover, &good, &[]).await, 400, "invalid_dpop_proof");
    }
    for (name, value) in [("client_id", "other"), ("client_id", ISSUER), ("client_id", "cluster")] {
        refused(&cluster.show(&scene.bot, &good, &[(name, value)]).await, 401, "invalid_client");
    }
    // At every endpoint: nobody who found one may use it anywhere.
    for path in [TOKEN, "/oauth/revoke"] {
        let mut parameters = token_request(&detail());
        parameters.extend([("client_assertion_type", JWT_BEARER.into()), ("client_assertion", good.clone())]);
        parameters.push(("token", "a.b.c".into()));
        refused(&scene.send(form(path, &parameters)).await, 400, "invalid_dpop_proof");
    }
    let parameters = [("client_assertion_type", JWT_BEARER), ("client_assertion", &good), ("token", "a.b.c")];
    let parameters = parameters.map(|(name, value)| (name, value.to_owned()));
    refused(&scene.send(form("/oauth/introspect", &parameters)).await, 401, "invalid_client");
    assert_eq!(scene.world.log_size().await, size, "something was recorded");

    // It may come again, with another proof each time.
    for client in [&[][..], &[("client_id", SUBJECT)], &[("client_id", "bot")]] {
        let answer: TokenAnswer = cluster.show(&scene.bot, &good, client).await.expect(200).json();
        let told = scene.docs.introspect(&answer.access_token).await;
        assert_eq!(told["cnf"], json!({ "jkt": scene.bot.key.thumbprint }), "{told}");
        assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("bot")), "{told}");
    }
    let nonce = scene.bot.nonce().await;
    let request = Cluster::request(&scene.bot, &nonce, &good, &[]);
    scene.send(request.clone()).await.expect(200);
    refused(&scene.send(request).await, 400, "invalid_dpop_proof");
    // Its own assertions are what they were.
    scene.bot.issued(&detail()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_hangs_on_ends_it() {
    let cluster = Cluster::new().await;
    let (scene, registrar) = (&cluster.scene, &cluster.scene.world.staff.registrar);
    let good = cluster.token(json!({}));
    let first: TokenAnswer = cluster.shown(&good).await.expect(200).json();
    let ended = async |what: &str| {
        let answer = cluster.shown(&good).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        refused(&answer, 401, "invalid_client");
    };
    let record = async |answer: &TokenAnswer| {
        let path = format!("/v1/audit/decisions/{}", answer.decision_id);
        scene.world.staff.auditor.get(path).await.json::<Value>()["caller"].clone()
    };
    let caller = record(&first).await;
    assert_eq!(caller["identity"], format!("{ISSUER} {SUBJECT}"));
    assert_eq!(
        (&caller["method"], &caller["key_thumbprint"]),
        (&"private_key_jwt".into(), &json!(scene.bot.key.thumbprint))
    );

    // Another key in the cluster's set: what the old one signed does not count; with both, both count.
    let second = ProviderKey::generate(KeyKind::Es256, "second");
    let update = "/v1/workload-issuers/cluster/update";
    registrar.post(update, &keys(&[&second])).await.expect(200);
    ended("the key was rotated out").await;
    registrar.post(update, &keys(&[&second, &cluster.key])).await.expect(200);
    let again: TokenAnswer = cluster.shown(&good).await.expect(200).json();
    cluster.shown(&cluster.token_by(&second, json!({}), json!({}))).await.expect(200);
    let version = |caller: &Value| caller["vouched_by_version"].as_u64().unwrap();
    assert!(version(&record(&again).await) > version(&caller));

    let subject = json!({ "subject": { "workload": { "issuer": ISSUER, "subject": SUBJECT } } });
    assert_eq!(scene.docs.introspect(&again.access_token).await["active"], json!(true));
    scene.operate("/v1/agents/bot/identities/revoke", &subject).await;
    ended("the identity was revoked").await;
    assert_eq!(scene.docs.introspect(&again.access_token).await, json!({ "active": false }));
    cluster.add("bot", ISSUER, SUBJECT).await;
    let last: TokenAnswer = cluster.shown(&good).await.expect(200).json();
    assert_eq!(scene.docs.introspect(&last.access_token).await["active"], json!(true));
    registrar.act("/v1/workload-issuers/cluster/revoke").await.expect(200);
    ended("the issuer was revoked").await;
    // What it got hangs on who vouched, though it is bound to the agent's key.
    assert_eq!(scene.docs.introspect(&last.access_token).await, json!({ "active": false }));
}

/// A revocation while many ask: after the acknowledgement nothing is allowed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_allowed_after_the_issuer_s_revocation_is_acknowledged() {
    let cluster = Cluster::new().await;
    let (scene, good) = (&cluster.scene, cluster.token(json!({})));
    let nonce = scene.bot.nonce().await;
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let (reach, request) = (scene.world.reach.clone(), Cluster::request(&scene.bot, &nonce, &good, &[]));
            tokio::spawn(async move { reach.send(request).await })
        })
        .collect();
    scene.world.staff.registrar.act("/v1/workload-issuers/cluster/revoke").await.expect(200);
    let size = scene.world.log_size().await;
    for task in asking {
        let answer = task.await.unwrap();
        match answer.status {
            200 | 503 => {}
            // It was vouched for when it asked, and not any more when that was decided.
            400 => drop(refused(&answer, 400, "access_denied")),
            _ => drop(refused(&answer, 401, "invalid_client")),
        }
    }
    for entry in scene.world.entries().await.into_iter().skip(usize::try_from(size).unwrap()) {
        assert_ne!(entry["decision"], "allow", "{entry}");
    }
    refused(&cluster.shown(&good).await, 401, "invalid_client");
}
