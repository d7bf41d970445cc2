//! Trust domains and agents' identities are registered, changed and revoked; what cannot be is refused, with
//! nothing recorded.

use attorn_tests::refusal::{Who, refused};
use attorn_tests::svids::Authority;
use attorn_tests::world::agent_registration;
use attorn_tests::{Call, Machine, World};
use serde_json::{Value, json};

const ID: &str = "spiffe://example.org/support/bot";

fn identity(subject: &str) -> Value {
    json!({ "subject": { "spiffe": subject }, "instance": "pod-2", "methods": ["x509", "jwt"] })
}

async fn world() -> World {
    let world = World::without_policy().await;
    let body = json!({ "id": "example.org", "bundle": { "pem": Authority::new("root").pem } });
    world.staff.registrar.post("/v1/trust-domains", &body).await.expect(201);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_domain_is_registered_changed_and_revoked() {
    let world = world().await;
    let registrar = &world.staff.registrar;
    let first: Value = registrar.get("/v1/trust-domains/example.org").await.json();
    let key = json!({
        "use": "jwt-svid", "kid": "k1", "kty": "EC", "crv": "P-256",
        "x": world.bot.jwk()["x"], "y": world.bot.jwk()["y"],
    });
    let bundle = json!({ "bundle": { "spiffe": { "keys": [key], "spiffe_refresh_hint": 300 } } });
    let changed: Value = registrar.post("/v1/trust-domains/example.org/update", &bundle).await.expect(200).json();
    assert_eq!((changed["x509_roots"].clone(), changed["jwt_keys"].clone()), (json!([]), json!(["k1"])));
    assert_eq!(changed["created_at_ms"], first["created_at_ms"]);
    let list: Value = registrar.get("/v1/trust-domains").await.json();
    assert_eq!(list, json!({ "trust_domains": [changed], "next": null }));
    let revoked: Value = registrar.act("/v1/trust-domains/example.org/revoke").await.expect(200).json();
    assert!(revoked["revoked_at_ms"].is_u64());

    let entries = world.entries().await;
    let about = |kind: &str| {
        let entry = entries.iter().find(|entry| entry["type"] == kind);
        entry.map(|entry| (entry["operator"].clone(), entry["about"].clone()))
    };
    let root = first["x509_roots"][0].clone();
    let registered = json!({ "id": "example.org", "x509_roots": [root], "jwt_keys": [] });
    assert_eq!(about("trust_domain_registered"), Some(("registrar".into(), registered)));
    let changed = json!({ "id": "example.org", "x509_roots": [], "jwt_keys": ["k1"] });
    assert_eq!(about("trust_domain_changed"), Some(("registrar".into(), changed)));
    assert_eq!(
        about("trust_domain_revoked"),
        Some(("registrar".into(), json!({ "id": "example.org", "reason": null })))
    );

    // It is over, and its name stays taken.
    let update = Call::post("/v1/trust-domains/example.org/update", &bundle);
    refused(&world, Who::Registrar, update, 409, "invalid_state").await;
    let revoke = Call::new("POST", "/v1/trust-domains/example.org/revoke");
    refused(&world, Who::Registrar, revoke, 409, "invalid_state").await;
    let again = json!({ "id": "example.org", "bundle": { "pem": Authority::new("root").pem } });
    refused(&world, Who::Registrar, Call::post("/v1/trust-domains", &again), 409, "already_exists").await;
    let add = Call::post("/v1/agents/support-bot/identities", &identity(ID));
    refused(&world, Who::Registrar, add, 409, "invalid_state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_domains_that_cannot_be() {
    let world = world().await;
    let pem = Authority::new("root").pem;
    let leaf = Authority::new("root").svid(ID, |_| {}).pem;
    let register = |id: &str, bundle: Value| Call::post("/v1/trust-domains", &json!({ "id": id, "bundle": bundle }));
    for id in ["", "Example.net", "spiffe://example.net", "example.net/a", "*", &"d".repeat(256)] {
        refused(&world, Who::Registrar, register(id, json!({ "pem": pem })), 422, "invalid_field").await;
    }
    for bundle in [
        json!({ "pem": "" }),
        json!({ "pem": leaf }),
        json!({ "pem": format!("{pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") }),
        json!({ "spiffe": {} }),
        json!({ "spiffe": { "keys": [] } }),
        json!({ "spiffe": { "keys": [{ "use": "jwt-svid", "kid": "k", "kty": "oct", "k": "AAAA" }] } }),
        json!({ "pem": (0..17).map(|_| Authority::new("root").pem).collect::<String>() }),
    ] {
        let problem = refused(&world, Who::Registrar, register("example.net", bundle), 422, "invalid_field").await;
        assert!(problem.detail.starts_with("`bundle`: "), "{problem}");
    }
    for bundle in [json!({}), json!({ "pem": pem, "spiffe": {} }), json!(pem), json!({ "der": "AAAA" })] {
        refused(&world, Who::Registrar, register("example.net", bundle), 400, "invalid_body").await;
    }
    for path in ["/v1/trust-domains/example.net/update", "/v1/trust-domains/example.net/revoke"] {
        let call = Call::post(path, &json!({ "bundle": { "pem": pem } }));
        refused(&world, Who::Registrar, call, 404, "not_found").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_one_agents_for_ever() {
    let world = world().await;
    let registrar = &world.staff.registrar;
    let agent: Value = registrar.post("/v1/agents/support-bot/identities", &identity(ID)).await.expect(200).json();
    assert_eq!(agent["identities"], json!([identity(ID)]));
    let add = || Call::post("/v1/agents/support-bot/identities", &identity(ID));
    refused(&world, Who::Registrar, add(), 409, "identity_taken").await;

    // Another agent gets it neither when it is registered nor later, nor after it was revoked.
    let newcomer = Machine::new(&world.reach, "newcomer");
    let mut body = agent_registration(&newcomer);
    body["identities"] = json!([identity(ID)]);
    refused(&world, Who::Registrar, Call::post("/v1/agents", &body), 409, "identity_taken").await;
    let subject = json!({ "subject": { "spiffe": ID } });
    let agent: Value = registrar.post("/v1/agents/support-bot/identities/revoke", &subject).await.expect(200).json();
    assert_eq!(agent["identities"], json!([]));
    refused(&world, Who::Registrar, Call::post("/v1/agents", &body), 409, "identity_taken").await;
    let revoke = Call::post("/v1/agents/support-bot/identities/revoke", &subject);
    refused(&world, Who::Registrar, revoke, 404, "not_found").await;

    // The agent itself may get it back; one with an identity needs no key.
    registrar.send(add()).await.expect(200);
    (body["identities"], body["keys"]) = (json!([identity("spiffe://example.org/newcomer")]), json!([]));
    registrar.post("/v1/agents", &body).await.expect(201);

    let kinds = ["agent_identity_added", "agent_identity_revoked", "agent_identity_added"];
    let entries = world.entries().await;
    let of_identities: Vec<_> =
        entries.iter().filter(|entry| kinds.iter().any(|kind| entry["type"] == *kind)).collect();
    assert_eq!(of_identities.iter().map(|entry| entry["type"].clone()).collect::<Vec<_>>(), kinds);
    let added = json!({ "subject": ID, "instance": "pod-2", "methods": ["x509", "jwt"] });
    assert_eq!(of_identities[0]["about"], json!({ "id": "support-bot", "identity": added }));
    assert_eq!(of_identities[1]["about"], json!({ "id": "support-bot", "subject": ID }));
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_that_cannot_be() {
    let world = world().await;
    let add = |body: &Value| Call::post("/v1/agents/support-bot/identities", body);
    let changed = |name: &str, value: Value| {
        let mut body = identity(ID);
        body[name] = value;
        body
    };
    for body in [
        identity("spiffe://example.org"),
        identity("spiffe://example.org/"),
        identity("spiffe://example.org/a/../b"),
        identity("https://example.org/bot"),
        changed("instance", "*".into()),
        changed("methods", json!([])),
        changed("methods", json!(["x509", "jwt", "jwt"])),
    ] {
        refused(&world, Who::Registrar, add(&body), 422, "invalid_field").await;
    }
    for body in [
        changed("methods", json!(["password"])),
        changed("subject", json!(ID)),
        changed("subject", json!({ "email": "alice@example.org" })),
        changed("expires_at_ms", 1.into()),
    ] {
        refused(&world, Who::Registrar, add(&body), 400, "invalid_body").await;
    }
    // Its trust domain has to be there.
    refused(&world, Who::Registrar, add(&identity("spiffe://example.net/bot")), 404, "not_found").await;
    let nobody = Call::post("/v1/agents/nobody/identities", &identity(ID));
    refused(&world, Who::Registrar, nobody, 404, "not_found").await;
    let registrar = &world.staff.registrar;
    for number in 0..16 {
        let body = identity(&format!("spiffe://example.org/{number}"));
        registrar.send(add(&body)).await.expect(200);
    }
    refused(&world, Who::Registrar, add(&identity(ID)), 422, "invalid_field").await;
    let mut body = agent_registration(&Machine::new(&world.reach, "newcomer"));
    (body["identities"], body["keys"]) = (json!([]), json!([]));
    refused(&world, Who::Registrar, Call::post("/v1/agents", &body), 422, "invalid_field").await;
    registrar.post("/v1/agents/support-bot/retire", &json!({})).await.expect(200);
    refused(&world, Who::Registrar, add(&identity(ID)), 409, "invalid_state").await;
}
