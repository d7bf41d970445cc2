//! Agents that show an X.509-SVID: the connection is their proof, what they get is bound to the certificate,
//! and whatever the certificate hangs on ends it. Each wrong certificate is refused with its code.

#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attorn_api::PROOF_HEADER;
use attorn_api::decisions::{DecisionAnswer, Grant};
use attorn_tests::oauth::Client;
use attorn_tests::replays::replays_identically;
use attorn_tests::server::Fresh;
use attorn_tests::svids::{Authority, Certified, self_signed, uri};
use attorn_tests::world::{PURPOSE, agent_registration, ask, ask_with};
use attorn_tests::{Call, Machine, Reach, Server, World};
use data_encoding::BASE64URL_NOPAD;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, date_time_ymd};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const ID: &str = "spiffe://example.org/support/bot";

/// What makes a certificate wrong.
type Change = fn(&mut CertificateParams);

struct Scene {
    world: World,
    /// Who signs for `example.org`.
    authority: Authority,
}

fn identity(subject: &str, methods: &[&str]) -> Value {
    json!({ "subject": { "spiffe": subject }, "instance": "mesh-1", "methods": methods })
}

fn decide() -> Call {
    Call::post("/v1/decisions", &ask())
}

impl Scene {
    /// The bot may read articles, and is `ID` by certificate.
    async fn new() -> Self {
        let server = Server::start_in(Fresh::make_with_tls(&Authority::new("of the server")).await).await;
        let scene = Self { world: World::new_in(server).await, authority: Authority::new("of the workloads") };
        let body = json!({ "id": "example.org", "bundle": { "pem": scene.authority.pem } });
        scene.world.staff.registrar.post("/v1/trust-domains", &body).await.expect(201);
        scene.add("support-bot", ID, &["x509"]).await;
        scene
    }

    async fn add(&self, agent: &str, subject: &str, methods: &[&str]) {
        let path = format!("/v1/agents/{agent}/identities");
        self.world.staff.registrar.post(path, &identity(subject, methods)).await.expect(200);
    }

    fn svid(&self, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        self.authority.svid(ID, change)
    }

    fn showing(&self, certified: &Certified) -> Reach {
        self.world.reach.showing(certified)
    }

    async fn grant(&self, certified: &Certified) -> Grant {
        let answer: DecisionAnswer = self.showing(certified).send(decide()).await.expect(200).json();
        answer.grant.unwrap_or_else(|| panic!("denied: {:?}", answer.reasons))
    }

    /// Nothing is decided, and the refusal names this code.
    async fn refused(&self, certified: &Certified, code: &str) {
        let size = self.world.log_size().await;
        let problem = self.showing(certified).send(decide()).await.refused(401, "certificate_invalid");
        assert!(problem.detail.contains(&format!("(`{code}`)")), "{code}: {problem}");
        assert!(problem.help.is_some());
        assert_eq!(self.world.log_size().await, size, "{code}: something was recorded");
    }
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap_or_default()).unwrap_or_default()
}

fn thumbprint(certified: &Certified) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(&certified.der))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_the_proof_and_binds_what_it_gets() {
    let scene = Scene::new().await;
    let svid = scene.svid(|_| {});
    let answer: DecisionAnswer = scene.showing(&svid).send(decide()).await.expect(200).json();
    let credential = answer.credential.as_ref().unwrap();
    assert_eq!(credential.token_type, "Bearer");
    let token = claims(&credential.access_token);
    assert_eq!(token["cnf"], json!({ "x5t#S256": thumbprint(&svid) }));
    let grant = answer.grant.unwrap();
    scene.world.use_grant(&grant).await.expect(200);

    let path = format!("/v1/audit/decisions/{}", answer.decision_id);
    let record: Value = scene.world.staff.auditor.get(path).await.json();
    let caller = json!({
        "method": "mtls", "key_thumbprint": thumbprint(&svid), "identity": ID,
        "vouched_by_version": record["caller"]["vouched_by_version"],
    });
    assert!(caller["vouched_by_version"].is_u64(), "{record}");
    assert_eq!(record["caller"], caller);
    assert_eq!(record["agent"]["instance"], "mesh-1");
    // The same agent goes on with its key, and what it gets so is bound to the key.
    let answer = scene.world.bot.decide(&ask()).await;
    let token = claims(&answer.credential.unwrap().access_token);
    assert_eq!(token["cnf"], json!({ "jkt": scene.world.bot.key.thumbprint() }));
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_says_what_a_token_is_bound_to_until_it_ends() {
    let scene = Scene::new().await;
    let (registrar, svid) = (&scene.world.staff.registrar, scene.svid(|_| {}));
    let docs = Client::new(&scene.world.reach, "docs");
    let body = docs.server_registration("https://docs.example", "orphan");
    registrar.post("/v1/resource-servers", &body).await.expect(201);
    let settings = json!({ "allow": [{ "actions": ["faq.read"], "resource_types": ["orphan"] }] });
    scene.world.activate("read-only", attorn_tests::components::bytes("read-only"), settings).await;
    let call = Call::post("/v1/decisions", &ask_with(json!({ "resource": "orphan/1" })));
    let answer: DecisionAnswer = scene.showing(&svid).send(call).await.expect(200).json();
    let token = answer.credential.unwrap().access_token;
    let told = docs.introspect(&token).await;
    assert_eq!((told["active"].clone(), told["token_type"].clone()), (json!(true), json!("Bearer")));
    assert_eq!(told["cnf"], json!({ "x5t#S256": thumbprint(&svid) }));
    registrar.act("/v1/trust-domains/example.org/revoke").await.expect(200);
    assert_eq!(docs.introspect(&token).await, json!({ "active": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_the_certificate_that_it_is_bound_to() {
    let scene = Scene::new().await;
    let ends_at = SystemTime::now() + Duration::from_secs(30);
    let grant = scene.grant(&scene.svid(|params| params.not_after = ends_at.into())).await;
    let ends_at_ms = ends_at.duration_since(UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(grant.expires_at_ms) <= ends_at_ms, "{} {ends_at_ms}", grant.expires_at_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_comes_with_a_certificate_has_to_be_good_and_of_the_same_agent() {
    let scene = Scene::new().await;
    let (bot, svid) = (&scene.world.bot, scene.svid(|_| {}));
    let reach = scene.showing(&svid);
    let signed = bot.signed(decide()).await;
    let answer: DecisionAnswer = reach.send(signed.clone()).await.expect(200).json();
    let token = claims(&answer.credential.unwrap().access_token);
    assert_eq!(token["cnf"], json!({ "x5t#S256": thumbprint(&svid) }));
    reach.send(signed).await.refused(401, "proof_replayed");
    reach.send(decide().header(PROOF_HEADER, "not a proof")).await.refused(401, "proof_invalid");
    let other = Machine::new(&scene.world.reach, "other-bot");
    scene.world.staff.registrar.post("/v1/agents", &agent_registration(&other)).await.expect(201);
    let problem = reach.send(other.signed(decide()).await).await.refused(401, "proof_invalid");
    assert!(problem.detail.contains("of another agent"), "{problem}");
    // A good proof makes no bad certificate good.
    let stranger = scene.showing(&self_signed(ID));
    stranger.send(bot.signed(decide()).await).await.refused(401, "certificate_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_of_a_certificate_has_its_code() {
    let scene = Scene::new().await;
    let cases: &[(&str, Change)] = &[
        ("no_uri_san", |params| params.subject_alt_names.clear()),
        ("many_uri_sans", |params| params.subject_alt_names.push(uri("spiffe://example.org/admin"))),
        ("bad_spiffe_id", |params| params.subject_alt_names = vec![uri("spiffe://example.org/")]),
        ("bad_spiffe_id", |params| params.subject_alt_names = vec![uri("https://example.org/support/bot")]),
        ("ca_certificate", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        ("key_usage", |params| params.key_usages.clear()),
        ("key_usage", |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        ("extended_key_usage", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ("expired", |params| params.not_after = date_time_ymd(2020, 1, 1)),
        ("not_yet_valid", |params| params.not_before = date_time_ymd(4000, 1, 1)),
    ];
    for (code, change) in cases {
        scene.refused(&scene.svid(*change), code).await;
    }
    scene.refused(&self_signed(ID), "untrusted_chain").await;
    scene.refused(&Authority::new("of the workloads").svid(ID, |_| {}), "untrusted_chain").await;
    // Who signs for one trust domain does not sign for another.
    let other = Authority::new("other");
    let body = json!({ "id": "example.net", "bundle": { "pem": other.pem } });
    scene.world.staff.registrar.post("/v1/trust-domains", &body).await.expect(201);
    scene.refused(&other.svid(ID, |_| {}), "untrusted_chain").await;
    scene.refused(&scene.authority.svid("spiffe://example.net/bot", |_| {}), "untrusted_chain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_registered_identity() {
    let scene = Scene::new().await;
    scene.world.reach.send(decide()).await.refused(401, "proof_missing");
    let unknown = async |certified: &Certified| {
        let problem = scene.showing(certified).send(decide()).await.refused(401, "unknown_identity");
        assert!(problem.help.is_some());
    };
    unknown(&scene.authority.svid("spiffe://example.org/support/other", |_| {})).await;
    unknown(&scene.authority.svid("spiffe://example.org/support/bot/more", |_| {})).await;
    // A trust domain that nobody registered.
    unknown(&Authority::new("stranger").svid("spiffe://example.com/bot", |_| {})).await;
    // Registered, and to be shown in another way.
    scene.add("support-bot", "spiffe://example.org/by-token", &["jwt"]).await;
    unknown(&scene.authority.svid("spiffe://example.org/by-token", |_| {})).await;
    // A certificate opens nothing for operators or resource servers.
    let reach = scene.showing(&scene.svid(|_| {}));
    reach.send(Call::get("/v1/agents")).await.refused(401, "unauthenticated");
    reach.send(Call::post("/v1/resource-facts", &json!({ "facts": [] }))).await.refused(401, "proof_missing");
    // What a header says is no certificate.
    for (name, value) in
        [("client-cert", ":AAAA:"), ("x-forwarded-client-cert", "URI=spiffe://example.org/support/bot")]
    {
        scene.world.reach.send(decide().header(name, value)).await.refused(401, "proof_missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agents_certificate_is_that_agents() {
    let scene = Scene::new().await;
    let other = Machine::new(&scene.world.reach, "other-bot");
    let mut body = agent_registration(&other);
    body["ceiling"] = json!({ PURPOSE: { "user": "without", "permissions": [
        { "action": "faq.write", "resource": "article/*" },
    ] } });
    body["identities"] = json!([identity("spiffe://example.org/other", &["x509"])]);
    scene.world.staff.registrar.post("/v1/agents", &body).await.expect(201);
    let svid = scene.authority.svid("spiffe://example.org/other", |_| {});
    let answer: DecisionAnswer = scene.showing(&svid).send(decide()).await.expect(200).json();
    assert!(answer.grant.is_none());
    assert_eq!(answer.reasons[0].code, "outside_ceiling");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_ends_with_what_its_certificate_hangs_on() {
    let scene = Scene::new().await;
    let registrar = &scene.world.staff.registrar;
    let svid = scene.svid(|_| {});
    // The connection stays; what ends is what it is worth.
    let reach = scene.showing(&svid);

    let grant = scene.grant(&svid).await;
    let subject = json!({ "subject": { "spiffe": ID } });
    registrar.post("/v1/agents/support-bot/identities/revoke", &subject).await.expect(200);
    scene.world.use_grant(&grant).await.refused(409, "grant_inactive");
    reach.send(decide()).await.refused(401, "unknown_identity");
    scene.add("support-bot", ID, &["x509"]).await;

    // Not to be shown as a certificate any more is as good as lost.
    let grant = scene.grant(&svid).await;
    registrar.post("/v1/agents/support-bot/identities/revoke", &subject).await.expect(200);
    scene.add("support-bot", ID, &["jwt"]).await;
    scene.world.use_grant(&grant).await.refused(409, "grant_inactive");
    registrar.post("/v1/agents/support-bot/identities/revoke", &subject).await.expect(200);
    scene.add("support-bot", ID, &["x509"]).await;

    // Other roots: the next request is checked against them.
    let next = Authority::new("next");
    let bundle = |pem: &str| json!({ "bundle": { "pem": pem } });
    registrar.post("/v1/trust-domains/example.org/update", &bundle(&next.pem)).await.expect(200);
    scene.refused(&svid, "untrusted_chain").await;
    scene.grant(&next.svid(ID, |_| {})).await;
    let both = format!("{}{}", next.pem, scene.authority.pem);
    registrar.post("/v1/trust-domains/example.org/update", &bundle(&both)).await.expect(200);

    // An agent that is suspended or retired is who it is, and may nothing.
    let grant = scene.grant(&svid).await;
    registrar.post("/v1/agents/support-bot/suspend", &json!({})).await.expect(200);
    scene.world.use_grant(&grant).await.refused(409, "grant_inactive");
    let answer: DecisionAnswer = reach.send(decide()).await.expect(200).json();
    assert_eq!(answer.reasons[0].code, "agent_suspended");
    registrar.post("/v1/agents/support-bot/resume", &json!({})).await.expect(200);

    let grant = scene.grant(&svid).await;
    registrar.act("/v1/trust-domains/example.org/revoke").await.expect(200);
    scene.world.use_grant(&grant).await.refused(409, "grant_inactive");
    scene.refused(&svid, "trust_domain_revoked").await;
    // Its key does not hang on the trust domain.
    scene.world.bot.post("/v1/decisions", &ask()).await.expect(200);

    registrar.post("/v1/agents/support-bot/retire", &json!({})).await.expect(200);
    let answer = scene.world.bot.decide(&ask()).await;
    assert_eq!(answer.reasons[0].code, "agent_retired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agents_certificate_opens_nothing() {
    let scene = Scene::new().await;
    let svid = scene.svid(|_| {});
    let grant = scene.grant(&svid).await;
    scene.world.staff.registrar.post("/v1/agents/support-bot/retire", &json!({})).await.expect(200);
    scene.world.use_grant(&grant).await.refused(409, "grant_inactive");
    let answer: DecisionAnswer = scene.showing(&svid).send(decide()).await.expect(200).json();
    assert!(answer.grant.is_none());
    assert_eq!(answer.reasons[0].code, "agent_retired");
}

/// A retry under another certificate of the same agent gets nothing that the first one was bound to.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_back_only_to_the_certificate_that_it_is_bound_to() {
    let scene = Scene::new().await;
    let (svid, renewed) = (scene.svid(|_| {}), scene.svid(|_| {}));
    let once = || decide().header(attorn_api::IDEMPOTENCY_HEADER, "retry-1");
    let first: DecisionAnswer = scene.showing(&svid).send(once()).await.expect(200).json();
    let again: DecisionAnswer = scene.showing(&svid).send(once()).await.expect(200).json();
    assert_eq!(again.decision_id, first.decision_id);
    scene.showing(&renewed).send(once()).await.refused(409, "grant_inactive");
}

/// Revocations while many ask: after the acknowledgement nothing passes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_after_a_revocation_is_acknowledged() {
    let scene = Scene::new().await;
    let reach = scene.showing(&scene.svid(|_| {}));
    reach.send(decide()).await.expect(200);
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let reach = reach.clone();
            tokio::spawn(async move { reach.send(decide()).await })
        })
        .collect();
    scene.world.staff.registrar.act("/v1/trust-domains/example.org/revoke").await.expect(200);
    let size = scene.world.log_size().await;
    let mut grants = Vec::new();
    for task in asking {
        let answer = task.await.unwrap_or_else(|error| panic!("{error}"));
        match answer.status {
            200 => grants.extend(answer.json::<DecisionAnswer>().grant),
            401 => drop(answer.refused(401, "certificate_invalid")),
            _ => drop(answer.refused(503, "contention")),
        }
    }
    for grant in grants {
        scene.world.use_grant(&grant).await.refused(409, "grant_inactive");
    }
    let allowed_later = scene.world.entries().await.into_iter().skip(usize::try_from(size).unwrap_or(usize::MAX));
    for entry in allowed_later {
        assert_ne!(entry["decision"], "allow", "{entry}");
    }
    reach.send(decide()).await.refused(401, "certificate_invalid");
}
