//! Our server in a process of its own, and whoever is registered there: an agent that acts for Alice and Bob, the
//! service that keeps their invoices, and two policies.

use std::process::Stdio;
use std::time::Duration;

use attorn_api::decisions::DecisionAnswer;
use attorn_api::delegations::{Delegation, DelegationList, DelegationMade};
use attorn_api::users::User;
use attorn_tests::behalf::pairs;
use attorn_tests::oauth::Client;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::Cast;
use attorn_tests::{Answer, Process, Staff, components};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::provider::Kind;
use crate::tools::{self, Said};

/// What the agent is registered for with a user.
pub(crate) const PURPOSE_WITH_USER: &str = "serve-customers";
/// And without one.
pub(crate) const PURPOSE: &str = "keep-books";
/// What the service's tokens are for.
pub(crate) const AUDIENCE: &str = "https://billing.example";
/// Alice's invoice.
pub(crate) const ALICES: &str = "invoice/17";
/// Bob's invoice.
pub(crate) const BOBS: &str = "invoice/18";

const COMMAND: Duration = Duration::from_secs(20);

/// The server, and who there is.
pub(crate) struct Attorn {
    /// Operators, and a bot and a service beside.
    pub(crate) cast: Cast,
    /// The agent that users act through.
    pub(crate) agent: Client,
    /// The service that keeps invoices.
    pub(crate) billing: Client,
    // Ends before its directory is removed.
    _process: Process,
    fresh: Fresh,
}

impl Attorn {
    /// Start one in this directory: nothing stands there beyond staff, agents and services.
    pub(crate) async fn start(fresh: Fresh) -> Self {
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        let client = |id| Client::new(&fresh.reach, id);
        let (agent, billing) = (client("assistant-bot"), client("billing"));
        let attorn = Self { cast, agent, billing, _process: process, fresh };
        attorn.register(&attorn.agent).await;
        attorn.register(&attorn.client("courier-bot")).await;
        let body = json!({ "id": "billing", "audience": AUDIENCE, "resource_types": ["invoice"], "counts_uses": "reports",
            "jwk": attorn.billing.key.jwk });
        attorn.cast.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
        attorn.activate().await;
        attorn
    }

    /// A directory for its files.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.fresh.dir.path()
    }

    /// Somebody with a new key, who is not registered.
    pub(crate) fn client(&self, id: &str) -> Client {
        Client::new(&self.fresh.reach, id)
    }

    /// Register an agent that may do all with invoices, with a user and without.
    pub(crate) async fn register(&self, agent: &Client) {
        let ceiling =
            |user: &str| json!({ "user": user, "permissions": [{ "action": "invoice.*", "resource": "invoice/*" }] });
        let body = json!({
            "id": agent.id,
            "owner": "support@example.org",
            "ceiling": { PURPOSE: ceiling("without"), PURPOSE_WITH_USER: ceiling("with") },
            "keys": [agent.key.registration("pod-1")],
        });
        self.cast.staff.registrar.post("/v1/agents", &body).await.expect(201);
    }

    /// For a user, agents do what the user's own data is about; without one, they read.
    async fn activate(&self) {
        let rule = |actions: &[&str]| json!({ "allow": [{ "actions": actions, "resource_types": ["invoice"] }] });
        let only = |user: &str| json!({ "selector": { "user": user } });
        let own_data = rule(&["invoice.read", "invoice.pay"]);
        self.cast.activate_with("own-data", components::bytes("own-data"), own_data, only("with")).await;
        let read_only = rule(&["invoice.read"]);
        self.cast.activate_with("read-only", components::bytes("read-only"), read_only, only("without")).await;
    }

    /// Trust a provider: everyone there may read invoices, and who is in its group `billing` may pay them.
    pub(crate) async fn trust(&self, kind: &Kind, issuer: &str) {
        let registrar = &self.cast.staff.registrar;
        registrar.post("/v1/providers", &kind.configuration(issuer)).await.expect(201);
        let group = json!({ "group": { "issuer": issuer, "name": "billing" } });
        for (holder, action) in [(json!({ "everyone": issuer }), "invoice.read"), (group, "invoice.pay")] {
            let body = json!({ "holder": holder, "permissions": pairs(&[(action, "invoice/*")]) });
            registrar.post("/v1/entitlements", &body).await.expect(200);
        }
    }

    /// Register the user whom this token is about, before anything is delegated, as the owner of an invoice.
    pub(crate) async fn own(&self, access_token: &str, resource: &str) -> User {
        let name = json!({ "provider": "main", "subject": claims(access_token)["sub"] });
        let user: User = self.cast.staff.registrar.post("/v1/users", &name).await.expect(201).json();
        self.owns(&user.id, resource).await;
        user
    }

    /// Say that an invoice is a user's.
    pub(crate) async fn owns(&self, user: &str, resource: &str) {
        let fact = json!({ "name": format!("resource/{resource}/owner"), "value": user });
        self.cast.staff.registrar.post("/v1/facts", &json!({ "facts": [fact] })).await.expect(200);
    }

    /// The agent brings a user's token.
    pub(crate) async fn exchange(&self, access_token: &str) -> Answer {
        let body = json!({ "subject_token": access_token, "purpose": PURPOSE_WITH_USER });
        self.agent.post_json("/v1/delegations", &body).await
    }

    /// What a user's token delegates to the agent.
    pub(crate) async fn delegated(&self, access_token: &str) -> Delegation {
        self.exchange(access_token).await.expect(201).json::<DelegationMade>().delegation
    }

    /// The agent asks to do something by a delegation.
    pub(crate) async fn ask(&self, delegation: &Delegation, action: &str, resource: &str) -> DecisionAnswer {
        let body = json!({ "action": action, "resource": resource, "purpose": PURPOSE_WITH_USER,
            "delegation": delegation.id });
        self.agent.post_json("/v1/decisions", &body).await.expect(200).json()
    }

    /// Why the agent may not; nothing if it may.
    pub(crate) async fn denied(&self, delegation: &Delegation, action: &str, resource: &str) -> Vec<String> {
        let answer = self.ask(delegation, action, resource).await;
        answer.reasons.into_iter().map(|reason| reason.code).collect()
    }

    /// What an operator sees of a delegation.
    pub(crate) async fn standing(&self, id: &str) -> String {
        let list = self.cast.staff.registrar.get("/v1/delegations?agent=assistant-bot&limit=200").await;
        let list: DelegationList = list.expect(200).json();
        let found = list.delegations.into_iter().find(|delegation| delegation.id == id);
        found.unwrap_or_else(|| panic!("`{id}` is not listed")).standing
    }

    /// `attorn provider check` of a token, as a registrar calls it.
    pub(crate) async fn check(&self, token: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(binary());
        command.args(["--server", &self.cast.reach.url, "provider", "check", "-"]).args(arguments);
        command.env("ATTORN_TOKEN", &self.cast.staff.registrar.token).stderr(Stdio::piped());
        tools::run(command, token, COMMAND).await
    }
}

/// What a token says, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A token of what a user's sign-in brought.
pub(crate) fn token<'a>(login: &'a Value, name: &str) -> &'a str {
    login[name].as_str().unwrap_or_else(|| panic!("there is no `{name}`"))
}
