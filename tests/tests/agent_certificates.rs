//! Agents that show a certificate, with our own clients: the SDK and the commands. No proof is made, no key is
//! registered, and what is wrong with files or certificates is said.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use attorn_agent::{AgentCertificate, Client, Decision, Error, Request};
use attorn_api::ProblemCode;
use attorn_api::decisions::Credential;
use attorn_api::oauth::{ACCESS_TOKEN, OAuthCode, TOKEN_EXCHANGE, TokenAnswer};
use attorn_tests::oauth::{Parameters, form, refused};
use attorn_tests::server::Fresh;
use attorn_tests::svids::{Authority, Certified, self_signed};
use attorn_tests::world::{PURPOSE, PURPOSE_WITH_USER};
use attorn_tests::{Answer, Behalf, Call, Server, World};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const ID: &str = "spiffe://example.org/support/bot";

/// The support bot is `ID` by certificate, and Alice has a provider.
struct Scene {
    behalf: Behalf,
    /// Who signed for the server.
    public: Authority,
    /// Who signs for `example.org`.
    workloads: Authority,
}

impl Scene {
    async fn new() -> Self {
        let (public, workloads) = (Authority::new("public"), Authority::new("of the workloads"));
        let server = Server::start_in(Fresh::make_with_tls(&public).await).await;
        let behalf = Behalf::in_world(World::in_server(server).await, json!({})).await;
        let registrar = &behalf.staff.registrar;
        let body = json!({ "id": "example.org", "bundle": { "pem": workloads.pem } });
        registrar.post("/v1/trust-domains", &body).await.expect(201);
        let body = json!({ "subject": { "spiffe": ID }, "instance": "mesh-1", "methods": ["x509"] });
        registrar.post("/v1/agents/support-bot/identities", &body).await.expect(200);
        Self { behalf, public, workloads }
    }

    fn certificate(&self, certified: &Certified) -> AgentCertificate {
        let certificate = AgentCertificate::from_pem(certified.pem.as_bytes(), certified.key_pem.as_bytes()).unwrap();
        certificate.trusting(self.public.pem.as_bytes()).unwrap()
    }

    fn client(&self, certified: &Certified) -> Client {
        Client::new(&self.behalf.reach.url, self.certificate(certified)).unwrap()
    }

    fn svid(&self) -> Certified {
        self.workloads.svid(ID, |_| {})
    }
}

fn reading() -> Request {
    Request::new("faq.read", "article/42", PURPOSE)
}

#[track_caller]
fn allowed(decision: Decision) -> Credential {
    match decision {
        Decision::Allow { credential, .. } => credential,
        other => panic!("{other:?}"),
    }
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap_or_default()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_asks_by_certificate_for_decisions_delegations_and_tokens() {
    let scene = Scene::new().await;
    let certificate = scene.certificate(&scene.svid());
    let bound = json!({ "x5t#S256": certificate.thumbprint() });
    let attorn = Client::new(&scene.behalf.reach.url, certificate).unwrap();
    let credential = allowed(attorn.decide(&reading()).await.unwrap());
    assert_eq!((credential.token_type.as_str(), &claims(&credential.access_token)["cnf"]), ("Bearer", &bound));

    let delegation = attorn.delegate(&scene.behalf.token(json!({})), PURPOSE_WITH_USER).await.unwrap();
    let account = format!("account/{}/giro", delegation.user());
    let request = Request::new("account.read", &account, PURPOSE_WITH_USER).on_behalf_by(&delegation);
    let token = claims(&allowed(attorn.decide(&request).await.unwrap()).access_token);
    assert_eq!(
        (&token["sub"], &token["act"]["sub"], &token["cnf"]),
        (&json!(delegation.user()), &json!("support-bot"), &bound)
    );
    let offered = attorn.offer(&delegation, "helper", [("account.read", account.as_str())]).await.unwrap();
    let accept = Call::new("POST", format!("/v1/delegations/{}/accept", offered.id()));
    scene.behalf.helper.send(accept).await.expect(200);
    let own = attorn.own_delegations().await.unwrap();
    assert!(own.len() == 1 && own[0].is_active(), "{own:?}");
    assert!(!attorn.give_back(offered.id(), None).await.unwrap().is_active());

    for agent in ["support-bot", ID] {
        let token = attorn.token(agent, &reading()).await.unwrap();
        assert_eq!((token.token_type.as_str(), &claims(&token.access_token)["cnf"]), ("Bearer", &bound));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_says_why_a_certificate_gets_nothing() {
    let scene = Scene::new().await;
    let attorn = scene.client(&scene.svid());
    for agent in ["helper", "spiffe://example.org/other"] {
        let error = attorn.token(agent, &reading()).await.unwrap_err();
        assert!(matches!(&error, Error::OAuth(error) if error.error == OAuthCode::InvalidClient), "{error}");
    }
    for (certified, code) in [
        (self_signed(ID), ProblemCode::CertificateInvalid),
        (scene.workloads.svid("spiffe://example.org/nobody", |_| {}), ProblemCode::UnknownIdentity),
    ] {
        let client = scene.client(&certified);
        let error = client.decide(&reading()).await.unwrap_err();
        assert_eq!(error.problem().map(|problem| problem.code), Some(code), "{error}");
        let error = client.token("support-bot", &reading()).await.unwrap_err();
        assert!(matches!(&error, Error::OAuth(error) if error.error == OAuthCode::InvalidClient), "{error}");
    }
    // A server whose authority is another is told nothing.
    let wary = scene.certificate(&scene.svid()).trusting(scene.workloads.pem.as_bytes()).unwrap();
    let error = Client::new(&scene.behalf.reach.url, wary).unwrap().decide(&reading()).await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");

    let registrar = &scene.behalf.staff.registrar;
    registrar.post("/v1/agents/support-bot/suspend", &json!({})).await.expect(200);
    assert!(attorn.decide(&reading()).await.unwrap().has_reason("agent_suspended"));
    let error = attorn.token("support-bot", &reading()).await.unwrap_err();
    assert!(matches!(&error, Error::OAuth(error) if error.error == OAuthCode::AccessDenied), "{error}");
}

/// Token exchange as OAuth clients do it: a subject token that is bound to a certificate is good over that connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_is_exchanged_over_a_connection_with_a_certificate() {
    let scene = Scene::new().await;
    let (certified, renewed) = (scene.svid(), scene.svid());
    let bound = json!({ "x5t#S256": scene.certificate(&certified).thumbprint() });
    let account = format!("account/{}/giro", scene.behalf.delegated().await.user);
    let detail = json!([{ "type": "attorn_action", "actions": ["account.read"], "identifier": account,
        "purpose": PURPOSE_WITH_USER }]);
    let exchange = async |shown: &Certified, subject: Value| -> Answer {
        let parameters: Parameters = vec![
            ("grant_type", TOKEN_EXCHANGE.into()),
            ("subject_token", scene.behalf.token(subject)),
            ("subject_token_type", ACCESS_TOKEN.into()),
            ("authorization_details", detail.to_string()),
            ("client_id", "support-bot".into()),
        ];
        scene.behalf.reach.showing(shown).send(form("/oauth/token", &parameters)).await
    };
    for subject in [json!({}), json!({ "cnf": bound })] {
        let token: TokenAnswer = exchange(&certified, subject).await.expect(200).json();
        let claims = claims(&token.access_token);
        assert_eq!((token.token_type.as_str(), &claims["cnf"]), ("Bearer", &bound));
        assert_eq!(claims["act"]["sub"], "support-bot");
    }
    refused(&exchange(&renewed, json!({ "cnf": bound })).await, 400, "invalid_grant");
}

/// Runs commands that trust the server's authority.
struct Hands {
    scene: Scene,
    directory: TempDir,
}

impl Hands {
    async fn new() -> Self {
        let hands = Self { scene: Scene::new().await, directory: TempDir::new().unwrap() };
        hands.write("public.pem", &hands.scene.public.pem);
        hands
    }

    /// A file that only its owner may read.
    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    async fn run(&self, line: &str) -> Output {
        let mut command = Command::new(attorn_tests::process::binary());
        command.args(["--json", "--server", &self.scene.behalf.reach.url]).args(line.split(' ')).kill_on_drop(true);
        command.current_dir(self.directory.path()).env("SSL_CERT_FILE", self.directory.path().join("public.pem"));
        command.env("ATTORN_TOKEN", &self.scene.behalf.staff.registrar.token);
        command.output().await.unwrap()
    }

    async fn done(&self, line: &str) -> Value {
        let done = self.run(line).await;
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_register_an_agent_without_a_key_and_ask_by_its_certificate() {
    let hands = Hands::new().await;
    let id = "spiffe://example.org/mesh";
    let allow = format!("--allow {PURPOSE}:without-user:faq.read:article/*");
    let agent = hands.done(&format!("agent register mesh --owner me {allow} --identity {id} --instance mesh-2")).await;
    let identity = json!({ "subject": { "spiffe": id }, "instance": "mesh-2", "methods": ["x509"] });
    assert_eq!((&agent["keys"], &agent["identities"]), (&json!([]), &json!([identity])));

    let svid = hands.scene.workloads.svid(id, |_| {});
    hands.write("svid.pem", &svid.pem);
    hands.write("svid.key", &svid.key_pem);
    let shown = "--certificate svid.pem --certificate-key svid.key";
    let ask = format!("--action faq.read --resource article/42 --purpose {PURPOSE}");
    let answer = hands.done(&format!("decide {shown} {ask}")).await;
    assert_eq!((&answer["decision"], &answer["credential"]["token_type"]), (&json!("allow"), &json!("Bearer")));
    assert_eq!(hands.done(&format!("delegation own {shown}")).await["delegations"], json!([]));
    let beyond = hands.run(&format!("decide {shown} {}", ask.replace("faq.read", "faq.write"))).await;
    assert_eq!(beyond.status.code(), Some(3));

    // An identity and a key, and an identity that is shown in both ways.
    let more = "--new-key both.key --identity spiffe://example.org/both --identity-method x509,jwt";
    let agent = hands.done(&format!("agent register both --owner me {allow} {more}")).await;
    assert_eq!(agent["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(agent["identities"][0]["methods"], json!(["x509", "jwt"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_say_what_is_wrong_with_a_certificate() {
    let hands = Hands::new().await;
    let svid = hands.scene.svid();
    hands.write("svid.pem", &svid.pem);
    hands.write("svid.key", &svid.key_pem);
    hands.write("open.key", &svid.key_pem);
    std::fs::set_permissions(hands.directory.path().join("open.key"), Permissions::from_mode(0o644)).unwrap();
    hands.write("other.key", &hands.scene.svid().key_pem);
    for (certificate, key, problem) in [
        ("svid.pem", "open.key", "help: `chmod 600 open.key`"),
        ("svid.pem", "other.key", "the private key is not the certificate's"),
        ("svid.key", "svid.key", "the certificate is not one or several certificates in PEM"),
        ("svid.pem", "svid.pem", "the certificate's key is no private key in PEM"),
        ("none.pem", "svid.key", "cannot use `none.pem`: the file cannot be read"),
    ] {
        let ask = format!("--action faq.read --resource article/42 --purpose {PURPOSE}");
        let done = hands.run(&format!("decide --certificate {certificate} --certificate-key {key} {ask}")).await;
        let text = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{text}");
        assert!(text.contains(problem) && !text.contains("PRIVATE KEY"), "{problem}: {text}");
    }
    // The server's refusal is text as it is.
    let stranger = self_signed(ID);
    hands.write("stranger.pem", &format!("{}{}", stranger.pem, stranger.key_pem));
    let done = hands.run("delegation own --certificate stranger.pem --certificate-key stranger.pem").await;
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(1) && text.contains("(certificate_invalid)"), "{text}");
}
