//! Who there is: Alice, who signs in at a provider in this process; eight agents that hand what she delegates from one
//! to the next; an agent that is an OAuth client; and the service that keeps her ledger.
//!
//! Every agent may read ledgers for a user, and for another purpose without one, so that a chain of any length and none
//! at all ask for the same.

use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_tests::oauth::Client;
use attorn_tests::provider::{KeyKind, Provider, with};
use attorn_tests::world::{PURPOSE, PURPOSE_WITH_USER};
use attorn_tests::{Call, Machine, Staff};
use serde_json::{Value, json};

use super::host::{HOPS_MAX, Host};

/// What each of them may do.
const ACTION: &str = "account.read";

/// All of them, registered.
pub(super) struct Scene {
    pub(super) host: Host,
    pub(super) staff: Staff,
    pub(super) provider: Provider,
    /// Alice delegates to the first, each gives it on to the next.
    pub(super) agents: Vec<Machine>,
    /// What each was given.
    pub(super) chain: Vec<Delegation>,
    /// The agent that exchanges tokens.
    pub(super) client: Client,
    /// The service.
    pub(super) ledger: Client,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let host = Host::start(&crate::http::directory()).await;
        let reach = host.fresh.reach.clone();
        let staff = Staff::hire(&reach, &host.fresh.bootstrap_token).await;
        let provider = Provider::start(KeyKind::Es256).await;
        let agents = (1..=HOPS_MAX).map(|n| Machine::new(&reach, &format!("hop-{n}"))).collect();
        let (client, ledger) = (Client::new(&reach, "oauth-bot"), Client::new(&reach, "ledger"));
        let mut scene = Self { host, staff, provider, agents, chain: Vec::new(), client, ledger };
        scene.register().await;
        scene.chain = scene.chain_of("chain", HOPS_MAX).await;
        scene
    }

    async fn register(&self) {
        let registrar = &self.staff.registrar;
        for agent in &self.agents {
            let body = registration(&agent.id, &agent.key_registration("pod-1"));
            registrar.post("/v1/agents", &body).await.expect(201);
        }
        let body = registration(&self.client.id, &self.client.key.registration("pod-1"));
        registrar.post("/v1/agents", &body).await.expect(201);
        let body = self.ledger.server_registration("https://ledger.example", "ledger");
        registrar.post("/v1/resource-servers", &body).await.expect(201);
        let consent = json!({ "purposes": [PURPOSE_WITH_USER], "permissions": permissions() });
        let body = self.provider.configuration(
            "main",
            json!({ "clients": { "hop-client": "hop-1", "oauth-client": "oauth-bot" }, "scopes": { "ledgers": consent } }),
        );
        registrar.post("/v1/providers", &body).await.expect(201);
        let own = json!([{ "action": ACTION, "resource": "ledger/{user.id}/*" }]);
        let body = json!({ "holder": { "everyone": self.provider.issuer }, "permissions": own });
        registrar.post("/v1/entitlements", &body).await.expect(200);
        self.activate().await;
    }

    /// A policy that allows everything: `read-only` denies whoever acts for a user, and what policies take is
    /// measured elsewhere.
    async fn activate(&self) {
        let component = attorn_tests::components::bytes("allow_all");
        let digest = attorn_tests::world::blake3_hex(&component);
        let call = Call::new("PUT", format!("/v1/components/{digest}")).body("application/wasm", component);
        self.staff.policy_admin.send(call).await.expect(201);
        let body = json!({ "component": digest, "settings": {} });
        self.staff.policy_admin.post("/v1/policies/allow/versions", &body).await.expect(201);
        let body = json!({ "version": 1 });
        self.staff.policy_replacer.post("/v1/policies/allow/activate", &body).await.expect(200);
    }

    /// An access token of Alice's for a client, told apart by this name. All of them say the same of her, so that
    /// what is known of her stays as it is.
    pub(super) fn token(&self, client: &str, name: &str, issued_at_s: u64) -> String {
        let changes = json!({ "client_id": client, "scope": "ledgers", "jti": name, "iat": issued_at_s,
            "auth_time": issued_at_s - 10 });
        self.provider.mint(&self.provider.header(), &with(self.provider.claims(), changes))
    }

    /// A chain of so many delegations of its own.
    pub(super) async fn chain_of(&self, name: &str, hops: usize) -> Vec<Delegation> {
        let now_s = attorn_tests::machines::now_ms() / 1_000;
        let token = self.token("hop-client", name, now_s);
        let body = json!({ "subject_token": token, "purpose": PURPOSE_WITH_USER });
        let made: DelegationMade = self.agents[0].post("/v1/delegations", &body).await.expect(201).json();
        let mut chain = vec![made.delegation];
        for (from, to) in self.agents.iter().zip(&self.agents[1..hops]) {
            let parent = &chain.last().unwrap().id;
            let body = json!({ "to_agent": to.id, "permissions": permissions() });
            let path = format!("/v1/delegations/{parent}/offer");
            let offered: DelegationMade = from.post(path, &body).await.expect(201).json();
            let path = format!("/v1/delegations/{}/accept", offered.delegation.id);
            let made: DelegationMade = to.send(Call::new("POST", path)).await.expect(200).json();
            chain.push(made.delegation);
        }
        chain
    }

    /// Alice's id.
    pub(super) fn alice(&self) -> &str {
        &self.chain[0].user
    }

    /// What is asked about, always.
    pub(super) fn resource(&self) -> String {
        format!("ledger/{}/1", self.alice())
    }

    /// Who asks by a chain of so many delegations, and what: to read Alice's ledger. The first asks without any.
    pub(super) fn asking(&self, hops: usize) -> (&Machine, Value) {
        match hops.checked_sub(1) {
            None => {
                let ask = json!({ "action": ACTION, "resource": self.resource(), "purpose": PURPOSE });
                (&self.agents[0], ask)
            }
            Some(last) => (&self.agents[last], self.ask_by(&self.chain[last].id)),
        }
    }

    /// To read Alice's ledger by this delegation.
    pub(super) fn ask_by(&self, delegation: &str) -> Value {
        json!({ "action": ACTION, "resource": self.resource(), "purpose": PURPOSE_WITH_USER, "delegation": delegation })
    }
}

/// What is delegated at each hop.
pub(super) fn permissions() -> Value {
    json!([{ "action": ACTION, "resource": "ledger/*" }])
}

fn registration(id: &str, key: &Value) -> Value {
    json!({
        "id": id,
        "owner": "support@example.org",
        "labels": { "team": "support" },
        "ceiling": {
            PURPOSE: { "user": "without", "permissions": permissions() },
            PURPOSE_WITH_USER: { "user": "with", "permissions": permissions() },
        },
        "keys": [key],
    })
}
