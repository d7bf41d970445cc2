//! What bad registrations, components and settings get: a problem with a stable code, and nothing changed.

use attorn_tests::components;
use attorn_tests::refusal::{TRICKS, Who, refused};
use attorn_tests::world::{agent_registration, blake3_hex, read_only_settings, server_registration};
use attorn_tests::{Call, Machine, World};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_keys_in_what_operators_send() {
    let world = World::new().await;
    let newcomer = Machine::new(&world.reach, "newcomer");
    let agent = agent_registration(&newcomer).to_string();
    let settings = |settings: &str| {
        let component = blake3_hex(&components::bytes("read-only"));
        format!(r#"{{"component":"{component}","settings":{settings}}}"#)
    };
    let rule = r#"{"actions":["faq.read"],"resource_types":["article"]}"#;
    let wider = r#"{"actions":["faq.write"],"resource_types":["article"]}"#;
    let push = "/v1/policies/another/versions";
    for (who, path, body) in [
        (Who::Registrar, "/v1/agents", agent.replacen('{', r#"{"owner":"somebody","#, 1)),
        (Who::Registrar, "/v1/agents", agent.replacen(r#""team":"#, r#""team":"payments","team":"#, 1)),
        (
            Who::Registrar,
            "/v1/agents",
            agent.replacen(
                r#""answer-questions":"#,
                r#""answer-questions":{"user":"without","permissions":[{"action":"*","resource":"*"}]},"answer-questions":"#,
                1,
            ),
        ),
        (Who::Registrar, "/v1/agents", agent.replacen(r#""kty":"#, r#""kty":"EC","kty":"#, 1)),
        (Who::PolicyAdmin, push, settings(&format!(r#"{{"allow":[{wider}],"allow":[{rule}]}}"#))),
        (Who::PolicyAdmin, push, settings(&format!(r#"{{"allow":[{rule}],"grant_seconds_max":10.00000000000000055}}"#))),
    ] {
        refused(&world, who, Call::new("POST", path).json(body), 400, "invalid_body").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_in_the_ids_of_what_is_registered() {
    let world = World::new().await;
    let newcomer = Machine::new(&world.reach, "newcomer");
    let agent = agent_registration(&newcomer);
    let server = server_registration(&newcomer, "https://new.example", &["thing"]);
    for trick in TRICKS {
        let mut bodies = Vec::new();
        let mut variant = |who: Who, path: &'static str, whole: &Value, change: &dyn Fn(&mut Value)| {
            let mut body = whole.clone();
            change(&mut body);
            bodies.push((who, path, body));
        };
        variant(Who::Registrar, "/v1/agents", &agent, &|body| body["id"] = trick.into());
        variant(Who::Registrar, "/v1/agents", &agent, &|body| body["labels"] = json!({ trick: "x" }));
        variant(Who::Registrar, "/v1/agents", &agent, &|body| body["keys"][0]["instance"] = trick.into());
        let purpose = agent["ceiling"]["answer-questions"].clone();
        variant(Who::Registrar, "/v1/agents", &agent, &|body| body["ceiling"] = json!({ trick: purpose }));
        variant(Who::Registrar, "/v1/resource-servers", &server, &|body| body["id"] = trick.into());
        variant(Who::Registrar, "/v1/resource-servers", &server, &|body| body["resource_types"] = json!([trick]));
        let operator = json!({ "id": "newcomer", "duties": ["auditor"] });
        variant(Who::Admin, "/v1/operators", &operator, &|body| body["id"] = trick.into());
        variant(Who::Admin, "/v1/operators", &operator, &|body| body["duties"] = json!([trick]));
        // These two alphabets are wider: `/` is in them, and `*` alone is a pattern.
        if !trick.contains('/') && trick != "a" {
            variant(Who::Registrar, "/v1/agents", &agent, &|body| body["owner"] = trick.into());
            variant(Who::Registrar, "/v1/resource-servers", &server, &|body| body["audience"] = trick.into());
        }
        if trick != "*" {
            let permission = |name: &str| {
                let mut permission = json!({ "action": "faq.read", "resource": "article/42" });
                permission[name] = trick.into();
                json!({ "p": { "user": "without", "permissions": [permission] } })
            };
            variant(Who::Registrar, "/v1/agents", &agent, &|body| body["ceiling"] = permission("action"));
            variant(Who::Registrar, "/v1/agents", &agent, &|body| body["ceiling"] = permission("resource"));
        }
        for (who, path, body) in bodies {
            refused(&world, who, Call::post(path, &body), 422, "invalid_field").await;
        }
    }
    world.staff.registrar.post("/v1/agents", &agent).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_cannot_be() {
    let world = World::new().await;
    let newcomer = Machine::new(&world.reach, "newcomer");
    let agent = agent_registration(&newcomer);
    let now = attorn_tests::machines::now_ms();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = agent.clone();
        change(&mut body);
        body
    };
    let key = newcomer.key_registration("pod-1");
    for body in [
        changed(&|body| body["keys"] = json!([])),
        changed(&|body| body["keys"] = json!([key, key])),
        changed(&|body| body["ceiling"] = json!({})),
        changed(&|body| body["ceiling"]["answer-questions"]["permissions"] = json!([])),
        changed(&|body| body["grant_ms_max"] = 999.into()),
        changed(&|body| body["grant_ms_max"] = 60_001.into()),
        changed(&|body| body["keys"][0]["expires_at_ms"] = 0.into()),
        changed(&|body| body["keys"][0]["expires_at_ms"] = (now - 1).into()),
        changed(&|body| body["keys"][0]["expires_at_ms"] = (1_u64 << 53).into()),
        changed(&|body| body["keys"][0]["jwk"] = json!({})),
        changed(&|body| body["keys"][0]["jwk"]["crv"] = "P-384".into()),
        changed(&|body| body["keys"][0]["jwk"]["x"] = "AA".into()),
        changed(&|body| body["keys"][0]["jwk"]["d"] = "AA".into()),
        changed(&|body| body["keys"][0]["jwk"] = json!({ "kty": "oct", "k": "AAAA" })),
        changed(&|body| body["labels"]["team"] = "x".repeat(257).into()),
        changed(&|body| body["labels"]["team"] = "a\u{7}".into()),
        changed(&|body| body["labels"] = (0..33).map(|n| (format!("l{n}"), json!("x"))).collect()),
    ] {
        refused(&world, Who::Registrar, Call::post("/v1/agents", &body), 422, "invalid_field").await;
    }
    for body in [
        changed(&|body| body["grant_ms_max"] = (-1).into()),
        changed(&|body| body["state"] = "active".into()),
        changed(&|body| body["ceiling"]["answer-questions"]["user"] = "maybe".into()),
    ] {
        refused(&world, Who::Registrar, Call::post("/v1/agents", &body), 400, "invalid_body").await;
    }
    let long = json!({ "reason": "x".repeat(257) });
    refused(&world, Who::Registrar, Call::post("/v1/agents/support-bot/suspend", &long), 422, "invalid_field").await;
    let taken = server_registration(&newcomer, "https://new.example", &["thing", "article"]);
    refused(&world, Who::Registrar, Call::post("/v1/resource-servers", &taken), 409, "resource_type_taken").await;
    let taken = server_registration(&Machine::new(&world.reach, "faq"), "https://new.example", &["thing"]);
    refused(&world, Who::Registrar, Call::post("/v1/resource-servers", &taken), 409, "already_exists").await;
    let mut taken = server_registration(&world.bot, "https://new.example", &["thing"]);
    taken["id"] = "new".into();
    refused(&world, Who::Registrar, Call::post("/v1/resource-servers", &taken), 409, "key_taken").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn components_that_are_no_policy() {
    let world = World::new().await;
    let component = components::bytes("read-only");
    let put =
        Call::new("PUT", format!("/v1/components/{}", "0".repeat(64))).body("application/wasm", component.clone());
    refused(&world, Who::PolicyAdmin, put, 422, "invalid_field").await;
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let half = component[..component.len() / 2].to_vec();
    // What is plainly something else is not even kept.
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("garbage", b"\x7fELF and so on".to_vec()),
        ("a list of users", b"root:x:0:0:root:/root:/bin/bash\n".to_vec()),
        ("half a head", b"\0asm\x0d\0".to_vec()),
        ("a core module", wat("(module)")),
    ] {
        let digest = blake3_hex(&bytes);
        let call = Call::new("PUT", format!("/v1/components/{digest}")).body("application/wasm", bytes);
        let problem = refused(&world, Who::PolicyAdmin, call, 422, "component_rejected").await;
        assert!(problem.detail.starts_with("the component failed the step `parse`: "), "{what}: {problem}");
        assert!(problem.help.is_some(), "{what}");
        assert!(!world.server.data_dir().join("blobs").join(digest).exists(), "{what} was kept");
    }
    for (what, bytes) in [
        ("the head of a component alone", b"\0asm\x0d\0\x01\0".to_vec()),
        ("half a component", half),
        ("an empty component", wat("(component)")),
        ("another world", wat(r#"(component (component $c) (export "other:thing/policy@1.0.0" (component $c)))"#)),
        (
            "WASI",
            wat(r#"(component (import "wasi:cli/environment@0.2.0" (instance
                (export "get-arguments" (func (result (list string)))))))"#),
        ),
        ("an import that nobody has", wat(r#"(component (import "host:shell/run" (func (param "command" string))))"#)),
    ] {
        let call = Call::post(
            "/v1/policies/odd/versions",
            &json!({ "component": world.put(bytes).await, "settings": read_only_settings() }),
        );
        let problem = refused(&world, Who::PolicyAdmin, call, 422, "component_rejected").await;
        assert!(!problem.detail.is_empty(), "{what}");
    }
    let missing = json!({ "component": "0".repeat(64), "settings": {} });
    let missing =
        refused(&world, Who::PolicyAdmin, Call::post("/v1/policies/odd/versions", &missing), 404, "not_found");
    assert!(missing.await.help.is_some());
    // A component that was refused makes no policy.
    refused(&world, Who::PolicyAdmin, Call::get("/v1/policies/odd"), 404, "not_found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_a_policy_in_canonical_form() {
    let world = World::without_policy().await;
    let component = world.put(components::bytes("error_in_init")).await;
    let settings = r#"{ "b" : 1.50e1, "a": [ "\u0041", null ] }"#;
    let body = format!(r#"{{"component":"{component}","settings":{settings}}}"#);
    let call = Call::new("POST", "/v1/policies/odd/versions").json(body);
    let problem = refused(&world, Who::PolicyAdmin, call, 422, "settings_rejected").await;
    assert!(problem.detail.contains(r#"{"a":["A",null],"b":15}"#), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_selectors_that_cannot_be() {
    let world = World::new().await;
    let component = world.put(components::bytes("read-only")).await;
    let push = |settings: Value, extra: Value| {
        let mut body = json!({ "component": component, "settings": settings });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Call::post("/v1/policies/odd/versions", &body)
    };
    for settings in [
        json!({}),
        json!(null),
        json!([]),
        json!({ "allow": [] }),
        json!({ "allow": [{ "actions": ["faq.*"], "resource_types": ["article"] }] }),
        json!({ "allow": [{ "actions": ["faq.read"], "resource_types": [] }] }),
        json!({ "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }], "else": "allow" }),
        json!({ "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }], "grant_seconds_max": 0 }),
    ] {
        refused(&world, Who::PolicyAdmin, push(settings, json!({})), 422, "settings_rejected").await;
    }
    for extra in [
        json!({ "selector": { "actions": ["*.read"] } }),
        json!({ "selector": { "resource_types": ["article/42"] } }),
        json!({ "selector": { "resource_types": vec!["article"; 65] } }),
        json!({ "limits": { "cpu_us_max": 0, "wall_us_max": 20_000, "memory_bytes_max": 1 << 20 } }),
        json!({ "limits": { "cpu_us_max": 5_000, "wall_us_max": 5_000_000, "memory_bytes_max": 1 << 20 } }),
        json!({ "limits": { "cpu_us_max": 5_000, "wall_us_max": 20_000, "memory_bytes_max": 1_u64 << 40 } }),
    ] {
        refused(&world, Who::PolicyAdmin, push(read_only_settings(), extra), 422, "invalid_field").await;
    }
    for extra in [json!({ "mode": "off" }), json!({ "limits": {} }), json!({ "required": "yes" })] {
        refused(&world, Who::PolicyAdmin, push(read_only_settings(), extra), 400, "invalid_body").await;
    }
    let activate = Call::post("/v1/policies/read-only/activate", &json!({ "version": 7 }));
    refused(&world, Who::PolicyAdmin, activate, 404, "not_found").await;
}
