//! Agents that show an X.509-SVID at the OAuth endpoints (`tls_client_auth`, RFC 8705): the connection says who they
//! are and binds what they get, and each wrong certificate or `client_id` has its exact error.

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::{OAuthError, TokenAnswer};
use attorn_tests::oauth::{Client, Parameters, form, refused, token_request};
use attorn_tests::server::Fresh;
use attorn_tests::svids::{Authority, Certified, self_signed, uri};
use attorn_tests::{Answer, Call, Server};
use data_encoding::BASE64URL_NOPAD;
use rcgen::{CertificateParams, date_time_ymd};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Scene, TOKEN, detail, registration, used, verified};

const ID: &str = "spiffe://example.org/doc/bot";
const REVOKE: &str = "/oauth/revoke";

/// The bot is `ID` by certificate.
struct Mesh {
    scene: Scene,
    /// Who signs for `example.org`.
    authority: Authority,
}

impl Mesh {
    async fn new() -> Self {
        let server = Server::start_in(Fresh::make_with_tls(&Authority::new("of the server")).await).await;
        let mesh = Self { scene: Scene::new_in(server).await, authority: Authority::new("of the workloads") };
        mesh.register("example.org", &mesh.authority).await;
        mesh.add("bot", ID, "x509").await;
        mesh
    }

    async fn register(&self, domain: &str, authority: &Authority) {
        let body = json!({ "id": domain, "bundle": { "pem": authority.pem } });
        self.scene.world.staff.registrar.post("/v1/trust-domains", &body).await.expect(201);
    }

    async fn add(&self, agent: &str, subject: &str, method: &str) {
        let body = json!({ "subject": { "spiffe": subject }, "instance": "mesh-1", "methods": [method] });
        self.scene.operate(&format!("/v1/agents/{agent}/identities"), &body).await;
    }

    fn svid(&self, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        self.authority.svid(ID, change)
    }

    /// Send a call over a connection that shows this certificate.
    async fn send(&self, shown: &Certified, call: Call) -> Answer {
        self.scene.world.reach.showing(shown).send(call).await
    }

    /// Ask for a token with nothing but a certificate and this `client_id`.
    async fn ask(&self, shown: &Certified, client: &str) -> Answer {
        self.send(shown, form(TOKEN, &asking_as(client))).await
    }

    async fn issued(&self, shown: &Certified, client: &str) -> TokenAnswer {
        self.ask(shown, client).await.expect(200).json()
    }

    /// The certificate alone gets nothing, and nothing is recorded.
    async fn refused(&self, shown: &Certified, client: &str, (status, code): (u16, &str), why: &str) {
        let size = self.scene.world.log_size().await;
        let error = refused(&self.ask(shown, client).await, status, code);
        assert!(error.error_description.contains(why), "{why}: {}", error.error_description);
        assert_eq!(self.scene.world.log_size().await, size, "{why}: something was recorded");
    }

    async fn record(&self, decision_id: &str) -> Value {
        self.scene.world.staff.auditor.get(format!("/v1/audit/decisions/{decision_id}")).await.json()
    }

    async fn act(&self, path: &str) {
        self.scene.world.staff.registrar.post(path, &json!({})).await.expect(200);
    }
}

/// What a decision's record has to say of the caller. Which version of the trust domain vouched is taken as it is.
fn caller(record: &Value, key_thumbprint: &str) -> Value {
    let vouched_by_version = record["caller"]["vouched_by_version"].as_u64();
    assert!(vouched_by_version.is_some(), "{record}");
    json!({ "method": "mtls", "key_thumbprint": key_thumbprint, "identity": ID, "vouched_by_version": vouched_by_version })
}

fn asking_as(client: &str) -> Parameters {
    let mut parameters = token_request(&detail());
    if !client.is_empty() {
        parameters.push(("client_id", client.into()));
    }
    parameters
}

fn thumbprint(certified: &Certified) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(&certified.der))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_authenticates_and_binds_what_it_gets() {
    let mesh = Mesh::new().await;
    let svid = mesh.svid(|_| {});
    for client in ["bot", ID] {
        let token = mesh.issued(&svid, client).await;
        let claims = verified(&mesh.scene, &token.access_token).await;
        let bound = json!({ "x5t#S256": thumbprint(&svid) });
        assert_eq!((token.token_type.as_str(), &claims["cnf"]), ("Bearer", &bound));
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("bot"), &json!("bot")));
        let told = mesh.scene.docs.introspect(&token.access_token).await;
        assert_eq!((&told["active"], &told["token_type"], &told["cnf"]), (&json!(true), &json!("Bearer"), &bound));
        let record = mesh.record(&token.decision_id).await;
        let caller = caller(&record, &thumbprint(&svid));
        assert_eq!((&record["caller"], &record["agent"]["instance"]), (&caller, &json!("mesh-1")));
        used(&mesh.scene, &token).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_has_no_key_gets_a_token() {
    let mesh = Mesh::new().await;
    let id = "spiffe://example.org/keyless";
    let mut body = registration(&Client::new(&mesh.scene.world.reach, "keyless"));
    body["keys"] = json!([]);
    body["identities"] = json!([{ "subject": { "spiffe": id }, "instance": "mesh-1", "methods": ["x509"] }]);
    mesh.scene.world.staff.registrar.post("/v1/agents", &body).await.expect(201);
    let svid = mesh.authority.svid(id, |_| {});
    assert_eq!(mesh.issued(&svid, "keyless").await.token_type, "Bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_beside_a_certificate_binds_to_its_key() {
    let mesh = Mesh::new().await;
    let (scene, svid) = (&mesh.scene, mesh.svid(|_| {}));
    let proof = scene.bot.proof(TOKEN, &scene.bot.nonce().await);
    let call = form(TOKEN, &asking_as("bot")).header(PROOF_HEADER, proof);
    let token: TokenAnswer = mesh.send(&svid, call.clone()).await.expect(200).json();
    let claims = verified(scene, &token.access_token).await;
    let bound = json!({ "jkt": scene.bot.key.thumbprint });
    assert_eq!((token.token_type.as_str(), &claims["cnf"]), ("DPoP", &bound));
    let record = mesh.record(&token.decision_id).await;
    assert_eq!(record["caller"], caller(&record, &scene.bot.key.thumbprint));

    // What comes has to be good, though it need not come.
    refused(&mesh.send(&svid, call).await, 400, "invalid_dpop_proof");
    let other = scene.other.proof(TOKEN, &scene.other.nonce().await);
    for (proof, code) in [
        (other, "invalid_dpop_proof"),
        ("not a proof".into(), "invalid_dpop_proof"),
        (scene.bot.proof(TOKEN, "stale"), "use_dpop_nonce"),
    ] {
        let call = form(TOKEN, &asking_as("bot")).header(PROOF_HEADER, proof);
        refused(&mesh.send(&svid, call).await, 400, code);
    }
}

/// A key binds what came of a certificate and a proof, and a policy was told of the certificate: so it hangs on both.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_certificate_beside_a_proof_got_ends_with_what_it_showed() {
    let mesh = Mesh::new().await;
    let (scene, svid) = (&mesh.scene, mesh.svid(|_| {}));
    let proven = async || -> TokenAnswer {
        let proof = scene.bot.proof(TOKEN, &scene.bot.nonce().await);
        let call = form(TOKEN, &asking_as("bot")).header(PROOF_HEADER, proof);
        mesh.send(&svid, call).await.expect(200).json()
    };
    let active = async |token: &TokenAnswer| scene.docs.introspect(&token.access_token).await["active"] == true;
    let token = proven().await;
    assert!(active(&token).await);
    let subject = json!({ "subject": { "spiffe": ID } });
    scene.operate("/v1/agents/bot/identities/revoke", &subject).await;
    assert!(!active(&token).await);
    used(scene, &token).await.refused(409, "grant_inactive");
    // The same identity, which may be shown by tokens alone: nobody showed it so.
    mesh.add("bot", ID, "jwt").await;
    assert!(!active(&token).await);
    scene.operate("/v1/agents/bot/identities/revoke", &subject).await;
    mesh.add("bot", ID, "x509").await;
    let token = proven().await;
    assert!(active(&token).await);
    mesh.act("/v1/trust-domains/example.org/revoke").await;
    assert!(!active(&token).await);
    // What its own assertion got hangs on nobody else.
    assert!(active(&scene.bot.issued(&detail()).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_has_its_error() {
    let mesh = Mesh::new().await;
    let invalid = (401, "invalid_client");
    // None at all.
    let answer = mesh.scene.send(form(TOKEN, &asking_as("bot"))).await;
    assert!(refused(&answer, 401, "invalid_client").error_description.contains("`client_assertion`"));
    // A header is no certificate.
    let call = form(TOKEN, &asking_as("bot")).header("x-forwarded-client-cert", format!("URI={ID}"));
    refused(&mesh.scene.send(call).await, 401, "invalid_client");

    mesh.add("bot", "spiffe://example.org/by-token", "jwt").await;
    let elsewhere = Authority::new("elsewhere");
    mesh.register("example.net", &elsewhere).await;
    let of = |id: &str| mesh.authority.svid(id, |_| {});
    for (shown, why) in [
        (of("spiffe://example.org/nobody"), "not registered"),
        (of("spiffe://example.org/by-token"), "not registered"),
        (Authority::new("stranger").svid("spiffe://example.com/doc/bot", |_| {}), "not registered"),
        (of("spiffe://example.net/doc/bot"), "(`untrusted_chain`)"),
        (elsewhere.svid(ID, |_| {}), "(`untrusted_chain`)"),
        (self_signed(ID), "(`untrusted_chain`)"),
        (mesh.svid(|params| params.not_after = date_time_ymd(2020, 1, 1)), "(`expired`)"),
        (mesh.svid(|params| params.not_before = date_time_ymd(4000, 1, 1)), "(`not_yet_valid`)"),
        (mesh.svid(|params| params.subject_alt_names.push(uri("spiffe://example.org/b"))), "(`many_uri_sans`)"),
        (mesh.svid(|params| params.subject_alt_names.clear()), "(`no_uri_san`)"),
        (mesh.svid(|params| params.key_usages.clear()), "(`key_usage`)"),
    ] {
        mesh.refused(&shown, "bot", invalid, why).await;
    }
    let svid = mesh.svid(|_| {});
    mesh.issued(&svid, "bot").await;
    mesh.act("/v1/trust-domains/example.org/revoke").await;
    mesh.refused(&svid, "bot", invalid, "(`trust_domain_revoked`)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_client_id_has_its_error() {
    let mesh = Mesh::new().await;
    mesh.add("other", "spiffe://example.org/other", "x509").await;
    mesh.add("bot", "spiffe://example.org/second", "x509").await;
    let svid = mesh.svid(|_| {});
    mesh.refused(&svid, "", (400, "invalid_request"), "`client_id` is missing").await;
    // Its own other SPIFFE ID is not what this connection shows.
    for client in
        ["other", "docs", "nobody", "Bot", "bot ", "spiffe://example.org/other", "spiffe://example.org/second"]
    {
        mesh.refused(&svid, client, (401, "invalid_client"), "another client than the client certificate's").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_may_nothing_is_denied_and_that_is_recorded() {
    let mesh = Mesh::new().await;
    let svid = mesh.svid(|_| {});
    for (change, reason) in [("suspend", "agent_suspended"), ("retire", "agent_retired")] {
        mesh.act(&format!("/v1/agents/bot/{change}")).await;
        let denied: OAuthError = refused(&mesh.ask(&svid, "bot").await, 400, "access_denied");
        assert!(denied.error_description.contains(reason), "{}", denied.error_description);
        let record = mesh.record(&denied.decision_id.unwrap()).await;
        assert_eq!((&record["caller"]["method"], &record["caller"]["identity"]), (&json!("mtls"), &json!(ID)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_and_a_certificate_are_of_the_same_agent() {
    let mesh = Mesh::new().await;
    let (scene, svid) = (&mesh.scene, mesh.svid(|_| {}));
    mesh.add("other", "spiffe://example.org/other", "x509").await;
    let asserted = || [scene.bot.authentication(), token_request(&detail())].concat();
    let proven = async |parameters: &Parameters| {
        form(TOKEN, parameters).header(PROOF_HEADER, scene.bot.proof(TOKEN, &scene.bot.nonce().await))
    };
    // The assertion says who it is, and comes with its proof as ever.
    let token: TokenAnswer = mesh.send(&svid, proven(&asserted()).await).await.expect(200).json();
    let claims = verified(scene, &token.access_token).await;
    assert_eq!(claims["cnf"], json!({ "jkt": scene.bot.key.thumbprint }));
    refused(&mesh.send(&svid, form(TOKEN, &asserted())).await, 400, "invalid_dpop_proof");

    let others = mesh.authority.svid("spiffe://example.org/other", |_| {});
    let error = refused(&mesh.send(&others, proven(&asserted()).await).await, 401, "invalid_client");
    assert!(error.error_description.contains("another agent"), "{}", error.error_description);
    // A good assertion makes no bad certificate good, nor the other way round.
    let stranger = self_signed(ID);
    refused(&mesh.send(&stranger, proven(&asserted()).await).await, 401, "invalid_client");
    for half in [("client_assertion", "a.b.c"), ("client_assertion_type", "urn:example:none")] {
        let parameters = [asking_as("bot"), vec![(half.0, half.1.to_owned())]].concat();
        refused(&mesh.send(&svid, proven(&parameters).await).await, 401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gives_up_its_own_token_over_its_connection() {
    let mesh = Mesh::new().await;
    let (scene, svid) = (&mesh.scene, mesh.svid(|_| {}));
    mesh.add("other", "spiffe://example.org/other", "x509").await;
    let others = mesh.authority.svid("spiffe://example.org/other", |_| {});
    let token = mesh.issued(&svid, "bot").await.access_token;
    let about = |client: &str| vec![("token", token.clone()), ("client_id", client.to_owned())];
    refused(&mesh.send(&others, form(REVOKE, &about("other"))).await, 400, "unauthorized_client");
    refused(&mesh.send(&svid, form(REVOKE, &about("other"))).await, 401, "invalid_client");
    refused(&mesh.send(&svid, form(REVOKE, &about(""))).await, 400, "invalid_request");
    refused(&scene.send(form(REVOKE, &about("bot"))).await, 401, "invalid_client");
    // Only resource servers introspect, and they are known by their keys, whatever the connection shows.
    refused(&mesh.send(&svid, form("/oauth/introspect", &about("bot"))).await, 401, "invalid_client");
    let asserted = [scene.docs.authentication(), vec![("token", token.clone())]].concat();
    let told: Value = mesh.send(&svid, form("/oauth/introspect", &asserted)).await.expect(200).json();
    assert_eq!(told["active"], true);
    mesh.send(&svid, form(REVOKE, &about("bot"))).await.expect(200);
    assert_eq!(scene.docs.introspect(&token).await, json!({ "active": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_names_certificates_where_they_are_seen() {
    let mesh = Mesh::new().await;
    let metadata: Value = mesh.scene.send(Call::get("/.well-known/oauth-authorization-server")).await.json();
    let methods = json!(["private_key_jwt", "spiffe_jwt", "tls_client_auth"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
    assert_eq!(metadata["revocation_endpoint_auth_methods_supported"], methods);
    assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
}
