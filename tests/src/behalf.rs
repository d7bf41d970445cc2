//! A user, their provider, and agents that act on their behalf: what tests of delegations begin with.
//!
//! Alice signs in at a provider in this process; the support bot and two helpers are registered for a purpose with
//! a user; everyone of the provider may read the accounts that bear their id; and a policy allows all that the
//! bounds let through, so that a test sees the bounds.

use std::ops::Deref;

use attorn_api::decisions::DecisionAnswer;
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_api::users::User;
use attorn_core::Duty;
use serde_json::{Value, json};

use crate::components;
use crate::http::{Answer, Call};
use crate::machines::Machine;
use crate::people::Operator;
use crate::provider::{KeyKind, Provider, with};
use crate::world::{PURPOSE_WITH_USER, World};

/// Who there is.
pub struct Behalf {
    /// The server and whoever has no user.
    pub world: World,
    /// The provider.
    pub provider: Provider,
    /// An agent that is named by `helper-client`.
    pub helper: Machine,
    /// Another, named by `second-client`.
    pub second: Machine,
    /// The service that keeps accounts.
    pub bank: Machine,
    /// Who may erase users.
    pub eraser: Operator,
}

impl Deref for Behalf {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// What Alice may consent to, where a test does not say otherwise: reading and paying accounts.
fn recorded() -> Value {
    let consent = |action: &str| json!({ "purposes": [PURPOSE_WITH_USER], "permissions": [{ "action": action, "resource": "account/*" }] });
    json!({
        "clients": { "bot-client": "support-bot", "helper-client": "helper", "second-client": "second" },
        "scopes": { "accounts": consent("account.read"), "payments": consent("account.pay") },
        "groups_claim": "groups",
        "claims": ["customer"],
    })
}

impl Behalf {
    /// All of them, registered.
    pub async fn new() -> Self {
        Self::with_provider(json!({})).await
    }

    /// As [`Self::new`], with another configuration of the provider.
    pub async fn with_provider(changes: Value) -> Self {
        Box::pin(Self::in_world(World::without_policy().await, changes)).await
    }

    /// The same in this world.
    pub async fn in_world(world: World, changes: Value) -> Self {
        let (helper, second) = (Machine::new(&world.reach, "helper"), Machine::new(&world.reach, "second"));
        let provider = Provider::start(KeyKind::Es256).await;
        let bank = Machine::new(&world.reach, "bank");
        let eraser = Box::pin(world.staff.admin.hire("eraser", &[Duty::Eraser])).await;
        let scene = Self { world, provider, helper, second, bank, eraser };
        let registrar = &scene.staff.registrar;
        for agent in [&scene.helper, &scene.second] {
            registrar.post("/v1/agents", &registration(agent, "account.*", "account/*")).await.expect(201);
        }
        let body = crate::world::server_registration(&scene.bank, "https://bank.example", &["account"]);
        registrar.post("/v1/resource-servers", &body).await.expect(201);
        let body = scene.provider.configuration("main", with(recorded(), changes));
        registrar.post("/v1/providers", &body).await.expect(201);
        scene.entitle(json!({ "everyone": scene.provider.issuer }), &[("account.*", "account/{user.id}/*")]).await;
        scene.activate("allow", components::bytes("allow_all"), json!({})).await;
        scene
    }

    /// Erase a user.
    pub async fn erase(&self, user: &str) -> Answer {
        self.eraser.post(format!("/v1/users/{user}/erase"), &json!({})).await
    }

    /// Set what a holder may do.
    pub async fn entitle(&self, holder: Value, permissions: &[(&str, &str)]) {
        let body = json!({ "holder": holder, "permissions": pairs(permissions) });
        self.staff.registrar.post("/v1/entitlements", &body).await.expect(200);
    }

    /// An access token of Alice's for the bot, with changes to its claims.
    pub fn token(&self, claims: Value) -> String {
        let usual = json!({ "client_id": "bot-client", "scope": "accounts payments" });
        self.provider.mint(&self.provider.header(), &with(with(self.provider.claims(), usual), claims))
    }

    /// The bot exchanges a token.
    pub async fn exchange(&self, token: &str) -> Answer {
        exchange(&self.bot, token).await
    }

    /// What Alice delegates to the bot.
    pub async fn delegated(&self) -> Delegation {
        let made: DelegationMade = self.exchange(&self.token(json!({}))).await.expect(201).json();
        made.delegation
    }

    /// The same by another token, of a sign-in a little later.
    pub async fn delegated_again(&self) -> Delegation {
        let made: DelegationMade = self.exchange(&self.token(later_login().await)).await.expect(201).json();
        made.delegation
    }

    /// Offer a part of a delegation, and have it accepted.
    pub async fn offered(&self, from: &Machine, parent: &Delegation, to: &Machine) -> Delegation {
        let body = json!({ "to_agent": to.id, "permissions": pairs(&[("account.read", "account/*")]) });
        let path = format!("/v1/delegations/{}/offer", parent.id);
        let offered: DelegationMade = from.post(path, &body).await.expect(201).json();
        let path = format!("/v1/delegations/{}/accept", offered.delegation.id);
        let made: DelegationMade = to.send(Call::new("POST", path)).await.expect(200).json();
        made.delegation
    }

    /// What an agent asks by a delegation: to read an account of its user.
    pub fn ask(&self, delegation: &Delegation) -> Value {
        ask_by(delegation, "account.read", &format!("account/{}/giro", delegation.user))
    }

    /// An agent asks to read an account of the user's.
    pub async fn read(&self, agent: &Machine, delegation: &Delegation) -> DecisionAnswer {
        agent.decide(&self.ask(delegation)).await
    }

    /// Alice, as operators see her; only once she was seen.
    pub async fn alice(&self) -> User {
        let name = json!({ "provider": "main", "subject": "alice" });
        self.staff.registrar.post("/v1/users/find", &name).await.expect(200).json()
    }
}

/// The claims of a login that is clearly later than what happened before this was called: by more than clocks may
/// differ.
pub async fn later_login() -> Value {
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let at_s = crate::machines::now_ms() / 1_000 + 5;
    json!({ "auth_time": at_s, "iat": at_s, "sid": format!("session-{at_s}") })
}

/// An agent exchanges a token of a user's.
pub async fn exchange(agent: &Machine, token: &str) -> Answer {
    let body = json!({ "subject_token": token, "purpose": PURPOSE_WITH_USER });
    agent.post("/v1/delegations", &body).await
}

/// What an agent asks by a delegation.
pub fn ask_by(delegation: &Delegation, action: &str, resource: &str) -> Value {
    json!({
        "action": action, "resource": resource, "purpose": PURPOSE_WITH_USER, "delegation": delegation.id,
    })
}

/// Permissions as the API writes them.
pub fn pairs(permissions: &[(&str, &str)]) -> Value {
    permissions.iter().map(|(action, resource)| json!({ "action": action, "resource": resource })).collect()
}

/// The registration of an agent that may do one thing for users.
pub fn registration(agent: &Machine, action: &str, resource: &str) -> Value {
    json!({
        "id": agent.id,
        "owner": "support@example.org",
        "ceiling": { PURPOSE_WITH_USER: { "user": "with", "permissions": pairs(&[(action, resource)]) } },
        "keys": [agent.key_registration("pod-1")],
    })
}
