//! What most tests begin with: a support bot that answers questions, a service that keeps the articles,
//! and, when asked for, the policy that lets the one read the other.

use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Output};

use attorn_api::audit::{Entry, EntryList};
use attorn_api::decisions::DecisionAnswer;
use attorn_api::policies::{PolicyVersion, SetChanged};
use serde_json::{Value, json};

use crate::components;
use crate::http::{Answer, Call, Reach};
use crate::machines::Machine;
use crate::people::Staff;
use crate::process::binary;
use crate::server::Server;

/// The purpose that the bot pursues on its own authority.
pub const PURPOSE: &str = "answer-questions";
/// The purpose that it pursues only for a user.
pub const PURPOSE_WITH_USER: &str = "serve-customers";

/// Who there is beside the staff.
pub struct Cast {
    /// How to reach the server.
    pub reach: Reach,
    /// Who administers it.
    pub staff: Staff,
    /// The support bot.
    pub bot: Machine,
    /// The service that keeps articles.
    pub faq: Machine,
}

/// A server in this process, and who there is.
pub struct World {
    /// The server.
    pub server: Server,
    cast: Cast,
}

impl World {
    /// Bot and service are registered; no policy is in force.
    pub async fn without_policy() -> Self {
        Self::in_server(Server::start().await).await
    }

    /// The same in this server.
    pub async fn in_server(server: Server) -> Self {
        let cast = Cast::register(&server.reach, &server.staff).await;
        Self { server, cast }
    }

    /// The bot may read articles.
    pub async fn new() -> Self {
        Self::new_in(Server::start().await).await
    }

    /// The same in this server.
    pub async fn new_in(server: Server) -> Self {
        let world = Self::in_server(server).await;
        world.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
        world
    }
}

impl Deref for World {
    type Target = Cast;

    fn deref(&self) -> &Cast {
        &self.cast
    }
}

impl Cast {
    /// Register the bot and the service.
    pub async fn register(reach: &Reach, staff: &Staff) -> Self {
        let (bot, faq) = (Machine::new(reach, "support-bot"), Machine::new(reach, "faq"));
        let cast = Self { reach: reach.clone(), staff: staff.clone(), bot, faq };
        cast.staff.registrar.post("/v1/agents", &agent_registration(&cast.bot)).await.expect(201);
        let body = server_registration(&cast.faq, "https://faq.example", &["article"]);
        cast.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
        cast
    }

    /// Put a component, and say its digest.
    pub async fn put(&self, component: Vec<u8>) -> String {
        let digest = blake3_hex(&component);
        let call = Call::new("PUT", format!("/v1/components/{digest}")).body("application/wasm", component);
        let answer = self.staff.policy_admin.send(call).await;
        assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.text());
        digest
    }

    /// Push a version of a policy, with whatever beside component and settings the test wants.
    pub async fn push(&self, id: &str, component: Vec<u8>, settings: Value, extra: Value) -> Answer {
        let mut body = json!({ "component": self.put(component).await, "settings": settings });
        if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
            body.extend(extra);
        }
        self.staff.policy_admin.post(format!("/v1/policies/{id}/versions"), &body).await
    }

    /// Push a version of a policy and put it in force, with the time that it may need on a busy machine.
    pub async fn activate(&self, id: &str, component: Vec<u8>, settings: Value) -> SetChanged {
        let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 1_000_000, "memory_bytes_max": 16 << 20 });
        self.activate_with(id, component, settings, json!({ "limits": limits })).await
    }

    /// As [`Self::activate`], with selector, limits or `required`.
    pub async fn activate_with(&self, id: &str, component: Vec<u8>, settings: Value, extra: Value) -> SetChanged {
        let version: PolicyVersion = self.push(id, component, settings, extra).await.expect(201).json();
        let body = json!({ "version": version.version });
        self.staff.policy_replacer.post(format!("/v1/policies/{id}/activate"), &body).await.expect(200).json()
    }

    /// Take a policy out of force.
    pub async fn deactivate(&self, id: &str) -> Answer {
        self.staff.policy_weakener.act(format!("/v1/policies/{id}/deactivate")).await
    }

    /// `attorn audit` as the auditor runs it, who keeps in this directory what was seen.
    #[must_use]
    pub fn audit(&self, state: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.arg("audit").args(arguments);
        command.env("ATTORN_URL", &self.reach.url).env("ATTORN_TOKEN", &self.staff.auditor.token);
        command.env("XDG_STATE_HOME", state).output().unwrap()
    }

    /// How many entries the audit log has.
    pub async fn log_size(&self) -> u64 {
        self.staff.auditor.get("/v1/audit/entries?limit=1").await.json::<EntryList>().size
    }

    /// All entries of the audit log: what each says.
    pub async fn entries(&self) -> Vec<Value> {
        let mut bodies = Vec::new();
        let mut from = Some(0);
        while let Some(at) = from {
            let list: EntryList = self.staff.auditor.get(format!("/v1/audit/entries?from={at}&limit=200")).await.json();
            bodies.extend(list.entries.iter().map(|entry| serde_json::from_str(entry.body.get()).unwrap()));
            from = list.next;
        }
        bodies
    }

    /// The entry of a decision: what it says.
    pub async fn entry_of(&self, answer: &DecisionAnswer) -> Value {
        let path = format!("/v1/audit/entries/{}", answer.entry.index);
        let entry: Entry = self.staff.auditor.get(path).await.json();
        let body: Value = serde_json::from_str(entry.body.get()).unwrap();
        assert_eq!(body["decision_id"], answer.decision_id);
        body
    }

    /// The whole record of a decision.
    pub async fn record_of(&self, answer: &DecisionAnswer) -> Value {
        self.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.json()
    }

    /// Use a grant of the standard request, as the service that it is for.
    pub async fn use_grant(&self, grant: &attorn_api::decisions::Grant) -> Answer {
        self.faq.post(format!("/v1/grants/{}/uses", grant.id), &use_of(grant)).await
    }
}

/// The use that a grant is for.
pub fn use_of(grant: &attorn_api::decisions::Grant) -> Value {
    json!({ "action": grant.action, "resource": grant.resource, "arguments_digest": grant.arguments_digest })
}

/// What the bot asks when nothing else is said.
pub fn ask() -> Value {
    json!({
        "action": "faq.read",
        "resource": "article/42",
        "purpose": PURPOSE,
        "arguments": { "section": "billing" },
    })
}

/// The same with some members changed.
pub fn ask_with(changes: Value) -> Value {
    let mut ask = ask();
    if let (Some(ask), Value::Object(changes)) = (ask.as_object_mut(), changes) {
        ask.extend(changes);
    }
    ask
}

/// Settings under which `read-only` lets articles be read.
pub fn read_only_settings() -> Value {
    json!({ "allow": [{ "actions": ["faq.read", "faq.list"], "resource_types": ["article"] }] })
}

/// The registration of an agent that may read and write articles, and read accounts for a user.
pub fn agent_registration(agent: &Machine) -> Value {
    json!({
        "id": agent.id,
        "owner": "support@example.org",
        "labels": { "team": "support" },
        "ceiling": {
            PURPOSE: { "user": "without", "permissions": [
                { "action": "faq.*", "resource": "article/*" },
                { "action": "faq.read", "resource": "orphan/*" },
            ] },
            PURPOSE_WITH_USER: { "user": "with", "permissions": [{ "action": "account.read", "resource": "account/*" }] },
        },
        "keys": [agent.key_registration("pod-1")],
    })
}

/// The registration of a resource server.
pub fn server_registration(server: &Machine, audience: &str, resource_types: &[&str]) -> Value {
    json!({ "id": server.id, "audience": audience, "resource_types": resource_types, "jwk": server.jwk(),
        "counts_uses": "reports" })
}

/// The BLAKE3 digest of bytes, as the API writes it.
pub fn blake3_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
