//! Every route of the API is called without the right that it needs: with nothing, with foreign and dead
//! tokens, with every duty but the one, with the other kind of machine's proof. Nothing may change.
//!
//! The rows come from the server's own OpenAPI document, so that a new route without a row fails here.
// Long because: what a right call of each route looks like stands in one place.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use attorn_api::approvals::Approval;
use attorn_api::delegations::Delegation;
use attorn_core::Duty;
use attorn_identity::{OperatorToken, OperatorTokenKind};
use attorn_tests::behalf::pairs;
use attorn_tests::oauth::{Client, Parameters, form, token_request};
use attorn_tests::provider::{KeyKind, ProviderKey};
use attorn_tests::svids::Authority;
use attorn_tests::world::{ask, blake3_hex, read_only_settings, server_registration};
use attorn_tests::{Answer, Behalf, Call, Machine, Operator};
use serde_json::{Value, json};

/// The routes that anybody may call. Whoever adds one thinks twice.
const PUBLIC: [&str; 12] = [
    "/.well-known/client-jwks.json",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    // Whoever comes there signs in at their provider.
    "/approve/signed-in",
    "/approve/{id}",
    "/approve/{id}",
    "/healthz",
    "/readyz",
    "/v1/audit/key",
    "/v1/backchannel-logout",
    "/v1/openapi.json",
];

struct Route {
    operation: String,
    access: String,
    method: String,
    path: String,
}

fn routes() -> Vec<Route> {
    let document = attorn_server::openapi_document();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let text = |name: &str| operation[name].as_str().unwrap().to_owned();
            let (operation, access) = (text("operationId"), text("x-attorn-access"));
            routes.push(Route { operation, access, method: method.to_uppercase(), path: path.clone() });
        }
    }
    routes
}

/// What there is to be harmed, so that a call that gets through does harm.
struct Victims {
    thumbprint: String,
    component: Vec<u8>,
    grant: attorn_api::decisions::Grant,
    decision_id: String,
    /// What operators are asked to approve.
    approval: Approval,
    issuer: String,
    delegation: Delegation,
    /// A token of Alice's that nobody has exchanged yet, and one with which she sees what she delegated.
    subject_token: String,
    logout_token: String,
    user_token: String,
    newcomer: Machine,
    /// The key that signs tokens.
    kid: String,
    /// A token of that grant.
    token: String,
    /// The bot and the service as OAuth clients.
    clients: [Client; 2],
}

impl Victims {
    async fn of(world: &Behalf) -> Self {
        let decided = world.bot.decide(&ask()).await;
        let approval = challenged(world).await;
        world.activate("read-only", attorn_tests::components::bytes("read-only"), read_only_settings()).await;
        let clients = [Client::new(&world.reach, "support-client"), Client::new(&world.reach, "client-faq")];
        let registrar = &world.staff.registrar;
        let mut agent = attorn_tests::world::agent_registration(&world.bot);
        (agent["id"], agent["keys"]) = ("support-client".into(), json!([clients[0].key.registration("pod-1")]));
        registrar.post("/v1/agents", &agent).await.expect(201);
        let server = clients[1].server_registration("https://client-faq.example", "client-article");
        registrar.post("/v1/resource-servers", &server).await.expect(201);
        let jwks: Value = world.reach.send(Call::get("/.well-known/jwks.json")).await.json();
        world.staff.admin.hire("victim", &[Duty::Auditor]).await;
        world
            .push("idle", attorn_tests::components::bytes("read-only"), read_only_settings(), json!({}))
            .await
            .expect(201);
        let domain = json!({ "id": "example.org", "bundle": { "pem": Authority::new("root").pem } });
        registrar.post("/v1/trust-domains", &domain).await.expect(201);
        registrar.post("/v1/workload-issuers", &workload_issuer("cluster")).await.expect(201);
        registrar.post("/v1/targets", &target("shop", "order")).await.expect(201);
        registrar.post("/v1/targets", &service("crm", "note")).await.expect(201);
        let backchannel = json!({ "client_id": "attorn", "client_authentication": "private_key_jwt" });
        registrar.post("/v1/providers/main/backchannel", &backchannel).await.expect(200);
        registrar.post("/v1/approval-webhooks", &webhook("chat")).await.expect(201);
        let signer = policy_signer("release", "RWT1T3wJB/3rmIZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uh");
        world.staff.policy_weakener.post("/v1/policy-signers", &signer).await.expect(201);
        Self {
            thumbprint: world.bot.key.thumbprint().to_owned(),
            component: b"\0asm\x0d\0\x01\0not put before".to_vec(),
            grant: decided.grant.unwrap(),
            decision_id: decided.decision_id,
            approval,
            issuer: world.provider.issuer.clone(),
            delegation: world.delegated().await,
            subject_token: world.token(json!({ "jti": "another" })),
            logout_token: world.provider.logout_token(json!({ "sid": "another" })),
            user_token: world.provider.user_token(json!({})),
            kid: jwks["keys"][0]["kid"].as_str().unwrap().into(),
            token: decided.credential.unwrap().access_token,
            clients,
            newcomer: Machine::new(&world.reach, "newcomer"),
        }
    }

    /// A call of this route that would be right if the caller were.
    fn call(&self, route: &Route) -> Call {
        let id = match route.path.split('/').nth(2).unwrap_or_default() {
            "operators" => "victim",
            "agents" => "support-bot",
            "resource-servers" => "faq",
            "providers" => "main",
            "policies" if matches!(route.operation.as_str(), "activatePolicy" | "revokePolicyVersion") => "idle",
            "policies" => "read-only",
            "grants" => &self.grant.id,
            "delegations" | "own-delegations" | "me" => &self.delegation.id,
            "users" => &self.delegation.user,
            "sessions" => &self.delegation.session,
            "trust-domains" => "example.org",
            "workload-issuers" => "cluster",
            "targets" if route.operation == "replaceTargetSecret" => "crm",
            "targets" => "shop",
            "approvals" => &self.approval.id,
            _ if route.path.starts_with("/approve/") => &self.approval.id,
            "approval-webhooks" => "chat",
            "policy-signers" => "release",
            // There is none without a database.
            "leases" => "lse_00000000000000000000000000000000",
            _ => "",
        };
        let path = (route.path.replace("{id}", id))
            .replace("{thumbprint}", if route.path.contains("token-keys") { &self.kid } else { &self.thumbprint })
            .replace("{digest}", &blake3_hex(&self.component))
            .replace("{index}", if route.path.starts_with("/log/") { "000.p/1" } else { "0" })
            .replace("{epoch}", "1")
            .replace("{level}", "0")
            .replace("{segment}", "0")
            .replace("{version}", "1")
            .replace("{decision_id}", &self.decision_id)
            .replace("{target}/{path}", "crm/v2/orders/1");
        let call = Call::new(&route.method, path);
        let call = if route.path.starts_with("/proxy/") {
            call.header(attorn_api::FOR_HEADER, attorn_tests::world::PURPOSE)
        } else {
            call
        };
        match self.body(&route.operation) {
            Body::None => call,
            Body::Json(body) => call.json(body.to_string()),
            Body::Component => call.body("application/wasm", self.component.clone()),
            Body::Form(parameters) => Call { path: call.path, ..form(&route.path, &parameters) },
        }
    }

    /// The same call by an OAuth client that authenticates: another kind's than the route's, or the right one.
    async fn client_call(&self, route: &Route, client: &Client) -> Call {
        let Body::Form(parameters) = self.body(&route.operation) else { panic!("{} takes no form", route.path) };
        let all: Vec<_> = [client.authentication(), parameters].concat();
        form(&route.path, &all).header("DPoP", client.proof(&route.path, &client.nonce().await))
    }

    fn body(&self, operation: &str) -> Body {
        match operation {
            "registerOperator" => Body::Json(json!({ "id": "intruder", "duties": ["admin"] })),
            "registerAgent" => Body::Json(attorn_tests::world::agent_registration(&self.newcomer)),
            "registerResourceServer" => {
                let mut server = self.another_newcomer();
                server.id = "intruder".into();
                Body::Json(server_registration(&server, "https://intruder.example", &["intrusion"]))
            }
            "registerProvider" => Body::Json(provider("intruder", "http://127.0.0.1:1/intruder")),
            "updateProvider" => Body::Json(provider("main", &self.issuer)),
            "createDelegation" => Body::Json(
                json!({ "subject_token": self.subject_token, "purpose": attorn_tests::world::PURPOSE_WITH_USER }),
            ),
            "offerDelegation" => {
                Body::Json(json!({ "to_agent": "helper", "permissions": pairs(&[("account.read", "account/*")]) }))
            }
            "approve" | "refuse" => Body::Json(json!({ "digest": self.approval.digest, "reason": "a test" })),
            "registerPolicySigner" => {
                Body::Json(policy_signer("intruder", "RWTsmb7hVyD7wJosfBw1B+96SWh5L0MFYQSQ23iHFYfbAH64ZIqe5VHn"))
            }
            "registerApprovalWebhook" => Body::Json(webhook("intruder")),
            "revokeOwnDelegation"
            | "revokeDelegation"
            | "revokeMyDelegation"
            | "revokeAllMine"
            | "revokeOfUser"
            | "eraseUser"
            | "revokeSession"
            | "revokeOperator"
            | "revokeResourceServer"
            | "revokeProvider"
            | "removeBackchannel"
            | "revokeTrustDomain"
            | "revokeApprovalWebhook"
            | "revokeWorkloadIssuer"
            | "revokeGrant"
            | "revokePolicyVersion"
            | "revokePolicySigner"
            | "requirePolicySignatures"
            | "liftPolicySignatures"
            | "freeze"
            | "suspendTarget"
            | "resumeTarget"
            | "retireTarget"
            | "thaw" => Body::Json(json!({ "reason": "a test" })),
            "acceptClock" => Body::Json(json!({ "stands": "ahead", "apart_ms": 6_000 })),
            "registerUser" => Body::Json(json!({ "provider": "main", "subject": "carol" })),
            "findUser" => Body::Json(json!({ "provider": "main", "subject": "alice" })),
            "setEntitlement" => {
                Body::Json(json!({ "holder": { "everyone": self.issuer }, "permissions": pairs(&[("*", "*")]) }))
            }
            "deleteEntitlement" => Body::Json(json!({ "holder": { "everyone": self.issuer } })),
            "rotateProviderClientKey" => Body::Json(json!({ "overlap_ms": 60_000, "reason": "a test" })),
            "voteOnPage" => Body::Form(
                [("token", "t"), ("digest", self.approval.digest.as_str()), ("say", "approve")]
                    .map(|(name, value)| (name, value.to_owned()))
                    .to_vec(),
            ),
            "setBackchannel" => {
                Body::Json(json!({ "client_id": "intruder", "client_authentication": "private_key_jwt" }))
            }
            "checkToken" => Body::Json(json!({ "token": "a.b.c" })),
            "suspendAgent" | "resumeAgent" | "retireAgent" | "rotateTokenKey" => {
                Body::Json(json!({ "reason": "a test" }))
            }
            "changeAgentCeiling" => {
                Body::Json(json!({ "ceiling": attorn_tests::world::agent_registration(&self.newcomer)["ceiling"] }))
            }
            "addAgentKey" => Body::Json(self.another_newcomer().key_registration("pod-2")),
            "addAgentIdentity" => Body::Json(json!({
                "subject": { "spiffe": "spiffe://example.org/bot" }, "instance": "pod-2", "methods": ["x509"],
            })),
            "revokeAgentIdentity" => Body::Json(json!({ "subject": { "spiffe": "spiffe://example.org/bot" } })),
            "registerTrustDomain" => {
                Body::Json(json!({ "id": "example.net", "bundle": { "pem": Authority::new("intruder").pem } }))
            }
            "updateTrustDomain" => Body::Json(json!({ "bundle": { "pem": Authority::new("intruder").pem } })),
            "registerWorkloadIssuer" => Body::Json(workload_issuer("intruder")),
            "updateWorkloadIssuer" => {
                let registration = workload_issuer("intruder");
                Body::Json(json!({ "algorithms": registration["algorithms"], "jwks": registration["jwks"] }))
            }
            "replaceTargetSecret" => Body::Json(json!({ "secret": "another secret".replace(' ', "-") })),
            "registerTarget" => Body::Json(target("intruder", "parcel")),
            "checkTarget" => Body::Json(json!({ "end_unknown": true })),
            "putComponent" => Body::Component,
            "pushVersion" => {
                let component = blake3_hex(&attorn_tests::components::bytes("read-only"));
                Body::Json(json!({ "component": component, "settings": read_only_settings() }))
            }
            "activatePolicy" => Body::Json(json!({ "version": 1 })),
            "rollBackPolicy" => Body::Json(json!({})),
            "changeActiveSet" => Body::Json(json!({ "policies": { "idle": 1 } })),
            "setFacts" | "setOwnFacts" => {
                Body::Json(json!({ "facts": [{ "name": "resource/article/42/owner", "value": "intruder" }] }))
            }
            "deleteFacts" | "deleteOwnFacts" => Body::Json(json!({ "names": ["resource/article/42/owner"] })),
            "createDecision" => Body::Json(ask()),
            "retireTokenKey" => Body::Json(json!({ "compromised": true })),
            "backchannelLogout" => Body::Form(vec![("logout_token", self.logout_token.clone())]),
            "createBackchannelRequest" => Body::Form(vec![
                ("scope", "openid".into()),
                ("login_hint", self.delegation.user.clone()),
                (
                    "authorization_details",
                    json!([{
                        "type": "attorn_action", "actions": ["account.read"], "identifier": "account/1",
                        "purpose": attorn_tests::world::PURPOSE_WITH_USER, "delegation": self.delegation.id,
                    }])
                    .to_string(),
                ),
            ]),
            "createToken" => Body::Form(token_request(&detail())),
            "introspectToken" | "revokeToken" => Body::Form(vec![("token", self.token.clone())]),
            "replayDecision" => Body::Json(json!({ "decision_id": self.decision_id })),
            "replayHistory" => Body::Json(json!({ "a": { "base": "recorded" }, "b": { "base": "active" } })),
            "simulate" => Body::Json(json!({ "agent": "support-bot", "request": ask() })),
            "useGrant" => Body::Json(attorn_tests::world::use_of(&self.grant)),
            "reportEffect" => Body::Json(json!({ "use_number": 1, "effect": "done" })),
            "listFacts"
            | "listApprovals"
            | "listApprovalWebhooks"
            | "showApprovalPage"
            | "endSignIn"
            | "showProviderClientKeys"
            | "showApproval"
            | "showApprovalArguments"
            | "showApprovalState"
            | "acceptDelegation"
            | "listOwnDelegations"
            | "listDelegations"
            | "showDelegation"
            | "showDelegationTree"
            | "listMyDelegations"
            | "showUser"
            | "listEntitlements"
            | "showFreeze"
            | "listPolicyLogs"
            | "showMetrics"
            | "renewOperator"
            | "revokeAgentKey"
            | "listProviders"
            | "showProvider"
            | "showBackchannel"
            | "checkBackchannel"
            | "showClientJwks"
            | "listWorkloadIssuers"
            | "showWorkloadIssuer"
            | "deactivatePolicy"
            | "listOperators"
            | "listAgents"
            | "listLoads"
            | "cancelLoad"
            | "showAgent"
            | "listResourceServers"
            | "showResourceServer"
            | "listTrustDomains"
            | "showTrustDomain"
            | "listPolicies"
            | "listPolicySigners"
            | "showPolicySigner"
            | "showPolicySignatures"
            | "showPolicy"
            | "showActiveSet"
            | "listGrants"
            | "showGrant"
            | "listEntries"
            | "streamEntries"
            | "showEntry"
            | "showReceipt"
            | "showLogEpochs"
            | "listEpochEntries"
            | "showEpochEntry"
            | "showEpochReceipt"
            | "exportEpoch"
            | "showDecision"
            | "showCheckpoint"
            | "showDecisionReceipt"
            | "showPublishedCheckpoint"
            | "showEarlierCheckpoints"
            | "showTile"
            | "showEntryBundle"
            | "exportLog"
            | "listTokenKeys"
            | "showServerMetadata"
            | "showResourceMetadata"
            | "showLogKey"
            | "showJwks"
            | "showOpenApi"
            | "showHealth"
            | "showReadiness"
            | "listTargets"
            | "showTarget"
            | "rotateTarget"
            | "listLeases"
            | "showLease"
            | "revokeLease"
            | "renewLease"
            | "proxyGet"
            | "proxyPost"
            | "proxyPut"
            | "proxyPatch"
            | "proxyDelete"
            | "showClock" => Body::None,
            other => panic!("the operation `{other}` has no row here: say what a call of it looks like"),
        }
    }

    fn another_newcomer(&self) -> Machine {
        Machine::new(&attorn_tests::Reach::new("http://127.0.0.1:1"), &self.newcomer.id)
    }
}

fn policy_signer(id: &str, public_key: &str) -> Value {
    json!({ "id": id, "public_key": public_key })
}

/// A webhook where nobody answers.
fn webhook(id: &str) -> Value {
    json!({ "id": id, "url": "http://127.0.0.1:1/hook", "loopback": true })
}

/// What an operator is asked to approve.
async fn challenged(world: &Behalf) -> Approval {
    world.activate("careful", attorn_tests::components::bytes("challenge"), json!({})).await;
    let asked = world.bot.decide(&ask()).await.approval.unwrap();
    world.deactivate("careful").await.expect(200);
    let approver = world.staff.admin.hire("an-approver", &[Duty::Approver]).await;
    approver.get(format!("/v1/approvals/{}", asked.id)).await.expect(200).json()
}

fn provider(id: &str, issuer: &str) -> Value {
    json!({
        "id": id, "issuer": issuer, "audience": "https://attorn.example", "algorithms": ["ES256"],
        "token_type": "at+jwt", "names_agent_by": "client_id", "clients": { "bot-client": "support-bot" },
    })
}

/// A target where nobody answers.
fn target(id: &str, resource_type: &str) -> Value {
    json!({ "id": id, "resource_types": [resource_type], "password": "not one", "postgresql": {
        "host": "127.0.0.1", "port": 1, "database": "shop", "admin": "attorn",
        "rules": [{ "action": "*", "resource": "*", "roles": ["reader"] }],
        "connections_max": 1, "leases_max": 1, "leases_per_agent_max": 1, "lease_ms_max": 60_000 } })
}

/// A service that is called, where nobody answers.
fn service(id: &str, resource_type: &str) -> Value {
    json!({ "id": id, "resource_types": [resource_type], "secret": "not-a-secret", "proxy": {
        "origin": "http://127.0.0.1:1", "secret_header": "x-api-key",
        "routes": [{ "method": "GET", "path": "/v2/notes/{id}", "action": "note.read",
            "resource": format!("{resource_type}/{{id}}") }],
        "request_bytes_max": 1, "response_bytes_max": 1, "head_ms_max": 1, "idle_ms_max": 1, "total_ms_max": 1,
        "requests_max": 1 } })
}

fn workload_issuer(id: &str) -> Value {
    let key = ProviderKey::generate(KeyKind::Es256, "first").jwk();
    json!({ "id": id, "issuer": format!("https://{id}.example"), "algorithms": ["ES256"], "jwks": { "keys": [key] } })
}

enum Body {
    None,
    Json(Value),
    Component,
    Form(Parameters),
}

/// What the bot asks for at the OAuth endpoint.
fn detail() -> Value {
    let ask = ask();
    json!({ "type": "attorn_action", "actions": [ask["action"]], "identifier": ask["resource"],
        "purpose": ask["purpose"], "arguments": ask["arguments"] })
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, route: &Route, who: &str) {
    let problem = answer.problem();
    let got = (answer.status, problem.code.as_str());
    assert_eq!(got, (status, code), "{} {} as {who}: {problem}", route.method, route.path);
}

#[test]
fn only_the_known_routes_are_public() {
    let mut public: Vec<String> = routes().into_iter().filter(|r| r.access == "public").map(|r| r.path).collect();
    public.sort();
    assert_eq!(public, PUBLIC);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_credentials_or_with_dead_ones_gets_in() {
    let world = Behalf::new().await;
    let victims = Victims::of(&world).await;
    let revoked = world.staff.admin.hire("revoked", Duty::ALL).await;
    world.staff.admin.act("/v1/operators/revoked/revoke").await.expect(200);
    let size = world.log_size().await;
    let foreign = |kind| OperatorToken::generate(kind).unwrap().expose().to_owned();
    let tokens = [
        ("a foreign token", foreign(OperatorTokenKind::Operator)),
        ("a foreign bootstrap token", foreign(OperatorTokenKind::Bootstrap)),
        ("a revoked operator", revoked.token.clone()),
        ("half a token", world.staff.admin.token[..world.staff.admin.token.len() - 4].to_owned()),
        ("no token at all", String::new()),
    ];
    for route in routes().iter().filter(|route| route.access != "public") {
        if route.access.starts_with("client:") {
            // An operator's token says nothing here, dead or alive.
            let tokens = tokens.iter().map(|(_, token)| victims.call(route).bearer(token));
            for call in tokens.chain([victims.call(route)]) {
                attorn_tests::oauth::refused(&world.reach.send(call).await, 401, "invalid_client");
            }
            continue;
        }
        let code = match route.access.as_str() {
            "user" => "user_unauthenticated",
            "agent" | "resource_server" => "proof_missing",
            _ => "unauthenticated",
        };
        refused(&world.reach.send(victims.call(route)).await, 401, code, route, "nobody");
        for (who, token) in &tokens {
            refused(&world.reach.send(victims.call(route).bearer(token)).await, 401, code, route, who);
        }
    }
    assert_eq!(world.log_size().await, size, "something was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_duty_implies_another() {
    let world = Behalf::new().await;
    let victims = Victims::of(&world).await;
    let mut others: Vec<(Duty, Operator)> = Vec::new();
    for duty in Duty::ALL {
        let rest: Vec<Duty> = Duty::ALL.iter().copied().filter(|other| other != duty).collect();
        let id = format!("all-but-{}", duty.as_str());
        others.push((*duty, world.staff.admin.hire(&id, &rest).await));
    }
    for route in &routes() {
        let Some(needed) = route.access.strip_prefix("operator:") else { continue };
        let operator = if needed.contains('|') {
            // Where one of several is enough, whoever lacks just one is let in.
            let rest: Vec<Duty> = Duty::ALL.iter().copied().filter(|duty| !is_enough(needed, *duty)).collect();
            &world.staff.admin.hire(&format!("none-for-{}", route.operation.to_lowercase()), &rest).await
        } else {
            &others.iter().find(|(duty, _)| is_enough(needed, *duty)).unwrap().1
        };
        let size = world.log_size().await;
        refused(&operator.send(victims.call(route)).await, 403, "missing_duty", route, &operator.id);
        assert_eq!(world.log_size().await, size, "something was recorded: {}", route.path);
    }
}

/// Whether an operator with this duty may call what says that it needs these, with `|` between.
fn is_enough(needed: &str, duty: Duty) -> bool {
    needed.split('|').any(|one| one == duty.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_machine_is_taken_for_another_kind() {
    let world = Behalf::new().await;
    let victims = Victims::of(&world).await;
    let stranger = Machine::new(&world.reach, "stranger");
    let size = world.log_size().await;
    for route in &routes() {
        let call = || victims.call(route);
        match route.access.as_str() {
            "public" => {}
            "client:agent" | "client:resource_server" => {
                let other = &victims.clients[usize::from(route.access == "client:agent")];
                let stranger = Client::new(&world.reach, &victims.clients[0].id);
                for client in [other, &stranger] {
                    let answer = world.reach.send(victims.client_call(route, client).await).await;
                    attorn_tests::oauth::refused(&answer, 401, "invalid_client");
                }
            }
            "agent" | "resource_server" => {
                let other = if route.access == "agent" { &world.faq } else { &world.bot };
                refused(&other.send(call()).await, 401, "unknown_key", route, "the other kind of machine");
                refused(&stranger.send(call()).await, 401, "unknown_key", route, "a stranger");
                refused(&world.staff.registrar.send(call()).await, 401, "proof_missing", route, "an operator");
            }
            access => {
                let code = if access == "user" { "user_unauthenticated" } else { "unauthenticated" };
                for machine in [&world.bot, &world.faq, &stranger] {
                    let who = machine.id.as_str();
                    refused(&machine.send(call()).await, 401, code, route, who);
                }
                // Neither a user nor the bot's token of that user's is an operator, nor the other way round.
                let token = if access == "user" { &victims.subject_token } else { &victims.user_token };
                refused(&world.reach.send(call().bearer(token)).await, 401, code, route, "another's token");
            }
        }
    }
    assert_eq!(world.log_size().await, size, "something was recorded");
}

/// Without this, a row that is wrong for another reason would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_needed_right_alone_is_enough() {
    let world = Behalf::new().await;
    let victims = Victims::of(&world).await;
    let mut holders: Vec<(Duty, Operator)> = Vec::new();
    for duty in Duty::ALL {
        let id = format!("only-{}", duty.as_str());
        holders.push((*duty, world.staff.admin.hire(&id, &[*duty]).await));
    }
    // What machines do comes first: the others revoke what it needs.
    let is_machine = |access: &str| matches!(access, "agent" | "resource_server") || access.starts_with("client:");
    let (machines, others): (Vec<_>, Vec<_>) = routes().into_iter().partition(|route| is_machine(&route.access));
    let (effects, machines): (Vec<_>, Vec<_>) =
        machines.into_iter().partition(|route| route.operation == "reportEffect");
    for route in machines.iter().chain(&effects).chain(&others) {
        if let Some(kind) = route.access.strip_prefix("client:") {
            let client = &victims.clients[usize::from(kind == "resource_server")];
            let answer = world.reach.send(victims.client_call(route, client).await).await;
            // The token is the bot's own, which is another client.
            let through = answer.status == 200 || route.operation == "revokeToken";
            assert!(through, "{}: {} {}", route.path, answer.status, answer.text());
            if route.operation == "revokeToken" {
                attorn_tests::oauth::refused(&answer, 400, "unauthorized_client");
            }
            continue;
        }
        let call = victims.call(route);
        if route.operation == "streamEntries" {
            // It has no end.
            let holder = holders.iter().find(|(duty, _)| *duty == Duty::Auditor).unwrap();
            assert_eq!(world.reach.open(&call.path, &holder.1.token, None).await.status().as_u16(), 200);
            continue;
        }
        let answer = match (route.access.as_str(), route.access.strip_prefix("operator:")) {
            ("public", _) => world.reach.send(call).await,
            ("agent", _) => world.bot.send(call).await,
            ("resource_server", _) => world.faq.send(call).await,
            ("user", _) => world.reach.send(call.bearer(&victims.user_token)).await,
            (_, needed) => {
                let needed = needed.unwrap();
                for (_, holder) in holders.iter().filter(|(duty, _)| is_enough(needed, *duty)).skip(1) {
                    holder.send(victims.call(route)).await.expect(200);
                }
                holders.iter().find(|(duty, _)| is_enough(needed, *duty)).unwrap().1.send(call).await
            }
        };
        // Some are in no state for it, or about nobody any more, because another row came before.
        let no_lease = answer.status == 404 && route.path.starts_with("/v1/leases/");
        // What a table has no row for was decided, and is denied.
        let decided = answer.status == 403 && route.path.starts_with("/proxy/") && answer.text().contains("dec_");
        // No page opens to whoever has not signed in.
        let shut = matches!(answer.status, 401 | 404) && route.path.starts_with("/approve/");
        let good = (200..300).contains(&answer.status) || matches!(answer.status, 409 | 410);
        let through = good || no_lease || decided || shut;
        assert!(through, "{} {}: {} {}", route.method, route.path, answer.status, answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bootstrap_token_makes_one_admin_and_dies() {
    let fresh = attorn_tests::server::Fresh::make().await;
    let config = attorn_server::Config::load(&fresh.config).unwrap();
    let server =
        Box::pin(attorn_server::run::Server::bind(config, attorn_server::run::Start::default())).await.unwrap();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let register = |id: &str, duties: Value| {
        let call = Call::post("/v1/operators", &json!({ "id": id, "duties": duties }));
        fresh.reach.send(call.bearer(&fresh.bootstrap_token))
    };
    register("first", json!(["registrar"])).await.refused(422, "invalid_field");
    register("first", json!([])).await.refused(422, "invalid_field");
    let with_it = |call: Call| fresh.reach.send(call.bearer(&fresh.bootstrap_token));
    // Who is there is seen with it; all else is for those whom it makes.
    with_it(Call::get("/v1/operators")).await.expect(200);
    for path in ["/v1/agents", "/v1/audit/entries", "/v1/freeze"] {
        let problem = with_it(Call::get(path)).await.refused(401, "unauthenticated");
        assert!(problem.detail.starts_with("the bootstrap token lists operators"), "{path}: {problem:?}");
        assert!(problem.help.is_some_and(|help| help.contains("operator renew NAME")), "{path}");
    }
    register("first", json!(["admin"])).await.expect(201);
    register("second", json!(["admin"])).await.refused(401, "unauthenticated");
    with_it(Call::get("/v1/operators")).await.refused(401, "unauthenticated");
    serving.abort();
}
