//! The server speaks TLS itself: of which versions, to whom, and with what files it does not start.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use attorn_server::{Config, run};
use attorn_tests::server::Fresh;
use attorn_tests::svids::{Authority, self_signed};
use attorn_tests::world::ask;
use attorn_tests::{Call, Server, World};
use reqwest::tls::Version;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn address(server: &Server) -> TcpStream {
    TcpStream::connect(server.reach.url.strip_prefix("https://").unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_operators_come_over_tls_without_a_certificate() {
    let authority = Authority::new("root");
    let server = Server::start_in(Fresh::make_with_tls(&authority).await).await;
    let world = World::new_in(server).await;
    assert!(world.reach.url.starts_with("https://"));
    let grant = world.bot.decide(&ask()).await.grant.unwrap();
    world.use_grant(&grant).await.expect(200);
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        world.reach.speaking(version).send(Call::get("/readyz")).await.expect(200);
    }
    // Whoever does not trust the authority finds nobody to talk to.
    let wary = attorn_tests::Reach::trusting(&world.reach.url, &Authority::new("root").pem);
    assert!(wary.try_send(Call::get("/readyz")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_gets_no_answer_and_holds_nobody_up() {
    let server = Server::start_in(Fresh::make_with_tls(&Authority::new("root")).await).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(address(&server).await);
    }
    for bytes in [&b"GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", &[0; 4_096]] {
        let mut stream = address(&server).await;
        stream.write_all(bytes).await.unwrap();
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    }
    server.reach.send(Call::get("/readyz")).await.expect(200);
    drop(silent);
}

/// Nobody has to trust a certificate for the connection to stand: what it is worth is decided where it counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusts_does_not_keep_people_out() {
    let server = Server::start_in(Fresh::make_with_tls(&Authority::new("root")).await).await;
    let stranger = server.reach.showing(&self_signed("spiffe://example.net/stranger"));
    stranger.send(Call::get("/readyz")).await.expect(200);
    let list = Call::get("/v1/agents");
    stranger.send(list.clone()).await.refused(401, "unauthenticated");
    stranger.send(list.bearer(&server.staff.registrar.token)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_keep_the_server_from_starting() {
    let authority = Authority::new("root");
    let fresh = Fresh::make_with_tls(&authority).await;
    let folder = fresh.config.parent().unwrap().to_owned();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let start = || async {
        let config = Config::load(&fresh.config).unwrap();
        let server = Box::pin(run::Server::bind(config, run::Start::default())).await;
        server.map(drop).map_err(|error| error.to_string())
    };
    let refused = async |problem: &str| {
        let error = start().await.unwrap_err();
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("PRIVATE"), "{error}");
    };
    let (good_certificate, good_key) = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
    for mode in [0o640, 0o604, 0o644] {
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        refused(&format!("others may read it (mode {mode:o}); `chmod 600` it")).await;
    }
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, authority.server().key_pem).unwrap();
    refused("cannot be used: ").await;
    std::fs::write(&key, &good_certificate).unwrap();
    refused("there is no private key in PEM").await;
    std::fs::write(&key, vec![b'x'; 200 << 10]).unwrap();
    refused("it has more than 131072 bytes").await;
    std::fs::write(&key, &good_key).unwrap();
    std::fs::write(&certificate, &good_key).unwrap();
    refused("there is no certificate in PEM").await;
    std::fs::remove_file(&certificate).unwrap();
    refused("No such file").await;
    std::fs::write(&certificate, &good_certificate).unwrap();
    start().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_registers_over_tls_with_an_authority_of_its_own() {
    let authority = Authority::new("root");
    let server = Server::start_in(Fresh::make_with_tls(&authority).await).await;
    let world = World::in_server(server).await;
    let folder = tempfile::TempDir::new().unwrap();
    let (trusted, bundle) = (folder.path().join("trusted.pem"), folder.path().join("roots.pem"));
    std::fs::write(&trusted, &authority.pem).unwrap();
    std::fs::write(&bundle, Authority::new("of the workloads").pem).unwrap();
    let attorn = |line: &str| {
        let mut command = tokio::process::Command::new(attorn_tests::process::binary());
        command.args(["--json", "--server", &world.reach.url]).args(line.split(' ')).kill_on_drop(true);
        command.env("SSL_CERT_FILE", &trusted).env("ATTORN_TOKEN", &world.staff.registrar.token);
        async move {
            let done = command.output().await.unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            serde_json::from_slice::<Value>(&done.stdout).unwrap()
        }
    };
    let register = format!("trust-domain register example.org --bundle {}", bundle.display());
    let domain = attorn(&register).await;
    assert_eq!((domain["id"].as_str(), domain["x509_roots"].as_array().map(Vec::len)), (Some("example.org"), Some(1)));
    let id = "spiffe://example.org/bot";
    let agent = attorn(&format!("agent identity add support-bot {id} --method x509,jwt --instance pod-2")).await;
    let identity = json!({ "subject": { "spiffe": id }, "instance": "pod-2", "methods": ["x509", "jwt"] });
    assert_eq!(agent["identities"], json!([identity]));
    let agent = attorn(&format!("agent identity revoke support-bot {id}")).await;
    assert_eq!(agent["identities"], json!([]));
    // A bundle in the SPIFFE format is told apart by its first character.
    let jwk = world.bot.jwk();
    let key = json!({ "use": "jwt-svid", "kid": "k1", "kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"] });
    std::fs::write(&bundle, json!({ "keys": [key] }).to_string()).unwrap();
    let domain = attorn(&register.replace("register", "update")).await;
    assert_eq!((domain["x509_roots"].clone(), domain["jwt_keys"].clone()), (json!([]), json!(["k1"])));
    let list = attorn("trust-domain list --limit 1").await;
    assert_eq!(list["trust_domains"], json!([domain]));
    assert!(attorn("trust-domain revoke example.org").await["revoked_at_ms"].is_u64());
}
