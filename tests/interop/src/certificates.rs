//! A server, and agents, with certificates that `openssl` made: TLS, and X.509-SVIDs in place of proofs.

use attorn_api::decisions::DecisionAnswer;
use attorn_api::oauth::{CLIENT_CREDENTIALS, TokenAnswer};
use attorn_tests::oauth::{Parameters, form, refused};
use attorn_tests::server::Fresh;
use attorn_tests::svids::Certified;
use attorn_tests::{Answer, Call};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::attorn::{ALICES, Attorn, PURPOSE, claims};
use crate::openssl::{Authority, P256, RSA, Wanted};
use crate::steps::Steps;
use crate::tools::Tools;

const SVID: &str = "subjectAltName=URI:spiffe://example.org/assistant\nkeyUsage=critical,digitalSignature\n\
                    extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n";
const SERVER: &str = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";

struct Stage {
    attorn: Attorn,
    /// Who signed for the server.
    public: Authority,
    /// Who signs for the trust domain `example.org`.
    workloads: Authority,
    // Removed last.
    _directory: TempDir,
}

/// Play all of it.
pub(crate) async fn play(_: &Tools, steps: &mut Steps) {
    let stage = steps.take("openssl makes authorities, and attorn serves with its certificate", Stage::set()).await;
    steps.take("openssl speaks TLS with it", stage.speak()).await;
    steps.take("certificates stand for proofs, and bind what comes of them", stage.good()).await;
    steps.take("certificates that are wrong in one thing are refused", stage.wrong()).await;
    steps.take("certificates authenticate at the token endpoint (tls_client_auth)", stage.tokens()).await;
    steps.take("none counts once its trust domain is revoked", stage.revoked()).await;
}

impl Stage {
    async fn set() -> Self {
        let directory = TempDir::new().unwrap();
        let public = Authority::root(directory.path(), "public").await;
        let workloads = Authority::root(directory.path(), "workloads").await;
        let server = public.sign("server", &Wanted { key: RSA, extensions: SERVER, days: "1" }).await;
        let attorn = Attorn::start(Fresh::make().await.over_tls(&server, &public.pem())).await;
        let registrar = &attorn.cast.staff.registrar;
        let body = json!({ "id": "example.org", "bundle": { "pem": workloads.pem() } });
        registrar.post("/v1/trust-domains", &body).await.expect(201);
        let body = json!({ "subject": { "spiffe": "spiffe://example.org/assistant" }, "instance": "mesh-1",
            "methods": ["x509"] });
        registrar.post(format!("/v1/agents/{}/identities", attorn.agent.id), &body).await.expect(200);
        Self { attorn, public, workloads, _directory: directory }
    }

    async fn speak(&self) {
        self.workloads.sign("speaker", &Wanted { key: P256, extensions: SVID, days: "1" }).await;
        let address = self.attorn.cast.reach.url.strip_prefix("https://").unwrap();
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        let said = self.public.talk(address, (&self.workloads, "speaker"), &request).await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }

    async fn allowed(&self, certified: &Certified) -> String {
        let answer = self.attorn.cast.reach.showing(certified).send(ask()).await.expect(200);
        let answer: DecisionAnswer = answer.json();
        answer.credential.unwrap_or_else(|| panic!("denied: {:?}", answer.reasons)).access_token
    }

    async fn good(&self) {
        let inner = self.workloads.intermediate("inner").await;
        for (name, authority, key) in
            [("p256", &self.workloads, P256), ("rsa", &self.workloads, RSA), ("chain", &inner, P256)]
        {
            let certified = authority.sign(name, &Wanted { key, extensions: SVID, days: "1" }).await;
            let token = claims(&self.allowed(&certified).await);
            assert_eq!(token["cnf"], json!({ "x5t#S256": authority.thumbprint(name).await }), "{name}");
            assert_eq!(token["sub"], self.attorn.agent.id, "{name}");
        }
    }

    /// As RFC 8705 has it: a certificate and a `client_id`, and no assertion.
    async fn token(&self, certified: &Certified, client: &str) -> Answer {
        self.attorn.cast.reach.showing(certified).send(form("/oauth/token", &token_request(client))).await
    }

    async fn tokens(&self) {
        let metadata = Call::get("/.well-known/oauth-authorization-server");
        let metadata: Value = self.attorn.cast.reach.send(metadata).await.json();
        let methods = &metadata["token_endpoint_auth_methods_supported"];
        assert!(methods.as_array().is_some_and(|methods| methods.contains(&json!("tls_client_auth"))), "{methods}");
        let certified = self.workloads.sign("client", &Wanted { key: P256, extensions: SVID, days: "1" }).await;
        for client in [&self.attorn.agent.id, "spiffe://example.org/assistant"] {
            let token: TokenAnswer = self.token(&certified, client).await.expect(200).json();
            let bound = json!({ "x5t#S256": self.workloads.thumbprint("client").await });
            assert_eq!((token.token_type.as_str(), &claims(&token.access_token)["cnf"]), ("Bearer", &bound));
            let told = self.attorn.billing.introspect(&token.access_token).await;
            assert_eq!((&told["active"], &told["cnf"]), (&json!(true), &bound));
        }
        refused(&self.token(&certified, "courier-bot").await, 401, "invalid_client");
        let others = Authority::root(self.attorn.directory(), "imposters").await;
        let imposter = others.sign("imposter", &Wanted { key: P256, extensions: SVID, days: "1" }).await;
        refused(&self.token(&imposter, &self.attorn.agent.id).await, 401, "invalid_client");
    }

    async fn wrong(&self) {
        let others = Authority::root(self.attorn.directory(), "others").await;
        let two = SVID.replace("\nkeyUsage", ",URI:spiffe://example.org/other\nkeyUsage");
        for (code, authority, extensions, days) in [
            ("many_uri_sans", &self.workloads, two.as_str(), "1"),
            ("no_uri_san", &self.workloads, &SVID.replace("URI:spiffe://example.org/", "DNS:"), "1"),
            ("bad_spiffe_id", &self.workloads, &SVID.replace("spiffe://", "https://"), "1"),
            ("ca_certificate", &self.workloads, &SVID.replace("CA:FALSE", "CA:TRUE"), "1"),
            ("key_usage", &self.workloads, &SVID.replace("digitalSignature", "keyEncipherment"), "1"),
            ("extended_key_usage", &self.workloads, &SVID.replace(",clientAuth", ""), "1"),
            ("untrusted_chain", &others, SVID, "1"),
            ("expired", &self.workloads, SVID, "0"),
        ] {
            let certified = authority.sign(code, &Wanted { key: P256, extensions, days }).await;
            if days == "0" {
                // It ends in the second in which it was made.
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            }
            self.refused(&certified, "certificate_invalid", &format!("(`{code}`)")).await;
        }
        for (name, id) in [("foreign", "spiffe://example.net/assistant"), ("stranger", "spiffe://example.org/stranger")]
        {
            let extensions = SVID.replace("spiffe://example.org/assistant", id);
            let certified = self.workloads.sign(name, &Wanted { key: P256, extensions: &extensions, days: "1" }).await;
            self.refused(&certified, "unknown_identity", "").await;
        }
    }

    async fn refused(&self, certified: &Certified, problem: &str, detail: &str) {
        let answer = self.attorn.cast.reach.showing(certified).send(ask()).await;
        let refused = answer.refused(401, problem);
        assert!(refused.detail.contains(detail), "{detail}: {refused}");
    }

    async fn revoked(&self) {
        let certified = self.workloads.sign("last", &Wanted { key: P256, extensions: SVID, days: "1" }).await;
        let token = self.allowed(&certified).await;
        assert_eq!(self.attorn.billing.introspect(&token).await["active"], true);
        let registrar = &self.attorn.cast.staff.registrar;
        registrar.act("/v1/trust-domains/example.org/revoke").await.expect(200);
        self.refused(&certified, "certificate_invalid", "(`trust_domain_revoked`)").await;
        assert_eq!(self.attorn.billing.introspect(&token).await, json!({ "active": false }));
    }
}

/// The same, asked of the token endpoint as this client.
fn token_request(client: &str) -> Parameters {
    let detail = json!([{ "type": "attorn_action", "actions": ["invoice.read"], "identifier": ALICES,
        "purpose": PURPOSE }]);
    vec![
        ("grant_type", CLIENT_CREDENTIALS.into()),
        ("client_id", client.into()),
        ("authorization_details", detail.to_string()),
    ]
}

/// What the agent asks on its own authority.
fn ask() -> Call {
    Call::post("/v1/decisions", &json!({ "action": "invoice.read", "resource": ALICES, "purpose": PURPOSE }))
}
