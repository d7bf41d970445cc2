//! Workload issuers are registered, changed and revoked, by the command line, too; what cannot be is refused, with
//! nothing recorded. No issuer is a provider's and a workload's at once.

use attorn_tests::provider::{KeyKind, ProviderKey, with};
use attorn_tests::refusal::{Who, refused};
use attorn_tests::world::agent_registration;
use attorn_tests::{Call, Machine, World};
use serde_json::{Value, json};

const PATH: &str = "/v1/workload-issuers";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:billing:invoice-bot";
const IDENTITIES: &str = "/v1/agents/support-bot/identities";

fn jwk(kid: &str) -> Value {
    ProviderKey::generate(KeyKind::Es256, kid).jwk()
}

fn registration(changes: Value) -> Value {
    let jwks = json!({ "keys": [jwk("k1")] });
    with(json!({ "id": "cluster", "issuer": ISSUER, "algorithms": ["ES256"], "jwks": jwks }), changes)
}

fn identity(issuer: &str, subject: &str) -> Value {
    let subject = json!({ "workload": { "issuer": issuer, "subject": subject } });
    json!({ "subject": subject, "instance": "pod-2", "methods": ["jwt"] })
}

fn provider(id: &str, issuer: &str) -> Value {
    json!({
        "id": id, "issuer": issuer, "audience": "https://attorn.example", "algorithms": ["ES256"],
        "token_type": "at+jwt", "names_agent_by": "client_id", "clients": { "bot-client": "support-bot" },
    })
}

async fn world() -> World {
    let world = World::without_policy().await;
    world.staff.registrar.post(PATH, &registration(json!({}))).await.expect(201);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_issuer_is_registered_changed_and_revoked() {
    let world = World::without_policy().await;
    let registrar = &world.staff.registrar;
    let mut key = jwk("k1");
    let kept = key.clone();
    key["x5c"] = json!(["AAAA"]);
    let body = registration(json!({ "jwks": { "keys": [key] } }));
    let first: Value = registrar.post(PATH, &body).await.expect(201).json();
    let shown = json!({
        "id": "cluster", "issuer": ISSUER, "algorithms": ["ES256"], "keys": ["k1"], "created_at_ms": first["created_at_ms"],
        "changed_at_ms": first["created_at_ms"], "revoked_at_ms": null,
    });
    assert_eq!(first, shown);
    let update = json!({ "algorithms": ["ES256", "RS256"], "jwks": { "keys": [jwk("k2"), jwk("k3")] } });
    let changed: Value = registrar.post(format!("{PATH}/cluster/update"), &update).await.expect(200).json();
    assert_eq!((&changed["keys"], &changed["algorithms"]), (&json!(["k2", "k3"]), &json!(["ES256", "RS256"])));
    assert_eq!((&changed["created_at_ms"], &changed["issuer"]), (&first["created_at_ms"], &json!(ISSUER)));
    assert_eq!(registrar.get(format!("{PATH}/cluster")).await.json::<Value>(), changed);
    assert_eq!(registrar.get(PATH).await.json::<Value>(), json!({ "workload_issuers": [changed], "next": null }));
    let revoked: Value =
        registrar.post(format!("{PATH}/cluster/revoke"), &json!({ "reason": "it moved" })).await.expect(200).json();
    assert!(revoked["revoked_at_ms"].is_u64());

    let entries = world.entries().await;
    let about = |kind: &str| {
        let entry = entries.iter().find(|entry| entry["type"] == kind).unwrap();
        assert_eq!(entry["operator"], "registrar");
        entry["about"].clone()
    };
    let expect = json!({ "id": "cluster", "issuer": ISSUER, "algorithms": ["ES256"], "jwks": { "keys": [kept] } });
    assert_eq!(about("workload_issuer_registered"), expect);
    assert_eq!(about("workload_issuer_changed")["jwks"]["keys"][1]["kid"], "k3");
    assert_eq!(about("workload_issuer_revoked"), json!({ "id": "cluster", "reason": "it moved" }));

    // It is over, and its id and issuer stay taken.
    let update = Call::post(format!("{PATH}/cluster/update"), &update);
    refused(&world, Who::Registrar, update, 409, "invalid_state").await;
    let revoke = Call::new("POST", format!("{PATH}/cluster/revoke"));
    refused(&world, Who::Registrar, revoke, 409, "invalid_state").await;
    for changes in [json!({ "issuer": "https://other.example" }), json!({ "id": "other" })] {
        let again = Call::post(PATH, &registration(changes));
        refused(&world, Who::Registrar, again, 409, "already_exists").await;
    }
    let add = Call::post(IDENTITIES, &identity(ISSUER, SUBJECT));
    refused(&world, Who::Registrar, add, 409, "invalid_state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workload_issuers_that_cannot_be() {
    let world = world().await;
    let fresh = |changes: Value| {
        let fresh = with(registration(json!({})), json!({ "id": "fresh", "issuer": "https://fresh.example" }));
        Call::post(PATH, &with(fresh, changes))
    };
    for changes in [
        json!({ "id": "Fresh" }),
        json!({ "id": "" }),
        json!({ "issuer": "" }),
        json!({ "issuer": "https://a.example/*" }),
        json!({ "issuer": "i".repeat(257) }),
        json!({ "algorithms": [] }),
        json!({ "algorithms": ["HS256"] }),
        json!({ "algorithms": ["none"] }),
    ] {
        refused(&world, Who::Registrar, fresh(changes), 422, "invalid_field").await;
    }
    let mut private = jwk("k");
    private["d"] = "AAAA".into();
    let many: Vec<_> = (0..17).map(|number| jwk(&number.to_string())).collect();
    for jwks in [
        json!({}),
        json!([]),
        json!({ "keys": [] }),
        json!({ "keys": [private] }),
        json!({ "keys": [{ "kty": "oct", "kid": "k", "k": "c2VjcmV0" }] }),
        json!({ "keys": [with(jwk("k"), json!({ "kid": null }))] }),
        json!({ "keys": [jwk("k"), jwk("k")] }),
        json!({ "keys": many }),
    ] {
        let problem = refused(&world, Who::Registrar, fresh(json!({ "jwks": jwks })), 422, "invalid_field").await;
        assert!(problem.detail.starts_with("`jwks`: "), "{problem}");
    }
    for changes in [json!({ "jwks": null }), json!({ "algorithms": null }), json!({ "jwks_uri": "https://a.example" })]
    {
        refused(&world, Who::Registrar, fresh(changes), 400, "invalid_body").await;
    }
    refused(&world, Who::Registrar, fresh(json!({ "x": "y".repeat(96 << 10) })), 413, "body_too_large").await;
    for path in ["update", "revoke"] {
        let body = json!({ "algorithms": ["ES256"], "jwks": { "keys": [jwk("k")] } });
        let call = Call::post(format!("{PATH}/nobody/{path}"), &body);
        refused(&world, Who::Registrar, call, 404, "not_found").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_issuer_is_a_provider_s_and_a_workload_s() {
    let world = world().await;
    let registrar = &world.staff.registrar;
    registrar.post("/v1/providers", &provider("main", "https://sso.example")).await.expect(201);
    let of_users = || Call::post(PATH, &registration(json!({ "id": "users", "issuer": "https://sso.example" })));
    let problem = refused(&world, Who::Registrar, of_users(), 409, "already_exists").await;
    assert!(problem.detail.contains("provider of users `main`"), "{problem}");
    let of_workloads = || Call::post("/v1/providers", &provider("workloads", ISSUER));
    let problem = refused(&world, Who::Registrar, of_workloads(), 409, "already_exists").await;
    assert!(problem.detail.contains("workload issuer `cluster`"), "{problem}");
    // Nor after either was revoked.
    registrar.act("/v1/providers/main/revoke").await.expect(200);
    registrar.act(format!("{PATH}/cluster/revoke")).await.expect(200);
    refused(&world, Who::Registrar, of_users(), 409, "already_exists").await;
    refused(&world, Who::Registrar, of_workloads(), 409, "already_exists").await;
    // A slash makes another of it.
    registrar.post("/v1/providers", &provider("workloads", &format!("{ISSUER}/"))).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_one_agent_s_for_ever() {
    let world = world().await;
    let registrar = &world.staff.registrar;
    let add = |body: &Value| Call::post(IDENTITIES, body);
    let ours = identity(ISSUER, SUBJECT);
    for (name, value) in [("methods", json!(["x509"])), ("methods", json!(["jwt", "x509"]))] {
        let body = with(ours.clone(), json!({ name: value }));
        let problem = refused(&world, Who::Registrar, add(&body), 422, "invalid_field").await;
        assert!(problem.detail.contains("cannot be shown as `x509`"), "{problem}");
    }
    for subject in ["", "a b", "system:*", "\u{430}", &"s".repeat(256)] {
        refused(&world, Who::Registrar, add(&identity(ISSUER, subject)), 422, "invalid_field").await;
    }
    for body in [
        with(ours.clone(), json!({ "subject": { "workload": SUBJECT } })),
        with(ours.clone(), json!({ "subject": { "workload": { "issuer": ISSUER } } })),
        with(ours.clone(), json!({ "subject": { "workload": { "issuer": ISSUER, "subject": SUBJECT, "uid": "1" } } })),
    ] {
        refused(&world, Who::Registrar, add(&body), 400, "invalid_body").await;
    }
    for issuer in ["https://elsewhere.example", &format!("{ISSUER}/"), "cluster"] {
        refused(&world, Who::Registrar, add(&identity(issuer, SUBJECT)), 404, "not_found").await;
    }
    let agent: Value = registrar.post(IDENTITIES, &ours).await.expect(200).json();
    assert_eq!(agent["identities"], json!([ours]));

    // Another agent gets it neither now nor after it was revoked; this one gets it back.
    let mut body = agent_registration(&Machine::new(&world.reach, "newcomer"));
    body["identities"] = json!([ours]);
    let register = || Call::post("/v1/agents", &body);
    refused(&world, Who::Registrar, register(), 409, "identity_taken").await;
    let subject = json!({ "subject": ours["subject"] });
    registrar.post(format!("{IDENTITIES}/revoke"), &subject).await.expect(200);
    refused(&world, Who::Registrar, register(), 409, "identity_taken").await;
    registrar.post(IDENTITIES, &ours).await.expect(200);
    let entries = world.entries().await;
    let added = entries.iter().find(|entry| entry["type"] == "agent_identity_added").unwrap();
    assert_eq!(added["about"]["identity"]["subject"], format!("{ISSUER} {SUBJECT}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_all_of_it() {
    let world = World::without_policy().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, json!({ "keys": [ProviderKey::generate(KeyKind::Rs256, "k1").jwk()] }).to_string()).unwrap();
    let attorn = |line: &str| {
        let mut command = tokio::process::Command::new(attorn_tests::process::binary());
        command.args(["--json", "--server", &world.reach.url]).args(line.split(' ')).kill_on_drop(true);
        command.env("ATTORN_TOKEN", &world.staff.registrar.token);
        async move {
            let done = command.output().await.unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            serde_json::from_slice::<Value>(&done.stdout).unwrap()
        }
    };
    let keys = format!("--jwks {}", file.display());
    let issuer = attorn(&format!("workload-issuer register cluster --issuer {ISSUER} {keys}")).await;
    assert_eq!((&issuer["algorithms"], &issuer["keys"]), (&json!(["RS256"]), &json!(["k1"])));
    let subject = format!("--workload-issuer {ISSUER} --subject {SUBJECT}");
    let agent = attorn(&format!("agent identity add support-bot {subject} --instance pod-2")).await;
    assert_eq!(agent["identities"], json!([identity(ISSUER, SUBJECT)]));
    let agent = attorn(&format!("agent identity revoke support-bot {subject}")).await;
    assert_eq!(agent["identities"], json!([]));
    let issuer = attorn(&format!("workload-issuer update cluster {keys} --algorithm RS256,PS256")).await;
    assert_eq!(issuer["algorithms"], json!(["PS256", "RS256"]));
    assert_eq!(attorn("workload-issuer show cluster").await, issuer);
    assert_eq!(attorn("workload-issuer list --limit 1").await["workload_issuers"], json!([issuer]));
    assert!(attorn("workload-issuer revoke cluster").await["revoked_at_ms"].is_u64());
}
