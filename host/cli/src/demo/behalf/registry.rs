//! Who there is now: a provider, its users, a service that keeps invoices, and an agent for small tasks.

use std::collections::BTreeMap;

use attorn_agent::{AgentKey, Algorithm, ResourceServerClient};
use attorn_api::agents::{self, RegisterAgent, RegisterKey};
use attorn_api::facts::{SetFact, SetFacts};
use attorn_api::providers::Provider;
use attorn_api::resource_servers::{self, RegisterResourceServer};
use attorn_api::users::{Entitlement, NameUser, User};
use serde_json::{Value, json};

use super::{AUDIENCE, Behalf, OF_ALICE, OF_BOB, USERS_AUDIENCE};
use crate::demo::Stage;
use crate::demo::components::Components;
use crate::demo::policies::{NewPolicy, PATIENT_LIMITS, put_in_force};
use crate::demo::provider::{Scripts, SignInProvider};
use crate::demo::registry::{KEY_LIFE, SERVE_CUSTOMERS, for_users, jwk};
use crate::demo::resource_server::Service;
use crate::failure::Failure;

/// What the provider is called here.
const PROVIDER: &str = "sign-in";

pub(super) async fn play(stage: &mut Stage<'_>, scripts: Scripts, components: &Components) -> Result<Behalf, Failure> {
    stage.narrator.part("On Alice's behalf: who there is now");
    let provider = SignInProvider::start(scripts, &stage.directory.join("provider.log"), None).await?;
    let came = format!("it listens on {}", provider.issuer());
    stage.narrator.step("a provider that is not ours: npm oidc-provider, in a Node of its own", came, true)?;
    trust(stage, &provider).await?;
    entitle(stage, &provider).await?;
    let [alice, bob] = [person(stage, &provider, "alice").await?, person(stage, &provider, "bob").await?];
    let billing = bill(stage, [(OF_ALICE, &alice), (OF_BOB, &bob)]).await?;
    reader(stage).await?;
    let own_data = NewPolicy {
        id: "own-data",
        component: &components.own_data,
        settings: json!({ "allow": [{ "actions": ["invoice.read", "invoice.pay"], "resource_types": ["invoice"] }] }),
        action: "invoice.*",
        limits: PATIENT_LIMITS,
    };
    put_in_force(&stage.narrator, (&stage.host, &stage.operators), &own_data).await?;
    Ok(Behalf { provider, billing, alice })
}

/// What tokens of this provider mean.
async fn trust(stage: &mut Stage<'_>, provider: &SignInProvider) -> Result<(), Failure> {
    let scope = |action: &str| json!({ "purposes": [SERVE_CUSTOMERS], "permissions": [{ "action": action, "resource": "invoice/*" }] });
    let configuration = json!({
        "id": PROVIDER,
        "issuer": provider.issuer(),
        "audience": AUDIENCE,
        "algorithms": ["ES256"],
        "token_type": "at+jwt",
        "names_agent_by": "client_id",
        "clients": { "assistant": "support-bot" },
        "scopes": { "invoices": scope("invoice.read"), "payments": scope("invoice.pay") },
        "groups_claim": "groups",
        "user_audience": USERS_AUDIENCE,
        "user_clients": ["portal"],
    });
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let trusted: Provider = registrar.post("/v1/providers", &configuration).await?;
    stage.narrator.step(
        "the registrar trusts it: its client `assistant` is support-bot, its scopes are reading and paying invoices",
        "registered; what no scope maps to delegates nothing",
        trusted.revoked_at_ms.is_none(),
    )
}

async fn entitle(stage: &mut Stage<'_>, provider: &SignInProvider) -> Result<(), Failure> {
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let body = json!({
        "holder": { "everyone": provider.issuer() },
        "permissions": [{ "action": "invoice.*", "resource": "invoice/*" }],
    });
    let set: Entitlement = registrar.post("/v1/entitlements", &body).await?;
    let asked = "the registrar says what its users may do themselves: invoice.* on invoice/*";
    stage.narrator.step(asked, "set; an agent never has more than its user", set.permissions.len() == 1)
}

/// The server's id of one of the provider's users.
async fn person(stage: &mut Stage<'_>, provider: &SignInProvider, name: &str) -> Result<String, Failure> {
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let named = NameUser { provider: PROVIDER.into(), subject: provider.subject(name)?.to_owned() };
    let user: User = registrar.post("/v1/users", &named).await?;
    Ok(user.id)
}

/// The service that keeps the invoices, and says whose they are.
async fn bill(stage: &mut Stage<'_>, owners: [(&str, &str); 2]) -> Result<Service, Failure> {
    let billing = Service::start(stage.host.url(), "invoice", "invoice.read").await?;
    let key = AgentKey::generate(Algorithm::EdDsa)?;
    key.save(&stage.directory.join("keys").join("billing.key"))?;
    let body = RegisterResourceServer {
        id: "billing".into(),
        audience: billing.url().into(),
        resource_types: vec!["invoice".into()],
        jwk: jwk(&key)?,
        counts_uses: resource_servers::UseCounting::Remembers,
    };
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let _: resource_servers::ResourceServer = registrar.post("/v1/resource-servers", &body).await?;
    let owner = |(invoice, user): (&str, &str)| SetFact {
        name: format!("resource/{invoice}/owner"),
        value: Value::from(user),
        expires_at_ms: None,
    };
    let facts = SetFacts { facts: owners.map(owner).into() };
    let said = ResourceServerClient::new(stage.host.url(), key)?.set_facts(&facts).await?;
    let asked = format!("the billing service says whose they are: {OF_ALICE} is Alice's, {OF_BOB} is Bob's");
    stage.narrator.step(asked, format!("{} facts", said.set), said.set == 2)?;
    Ok(billing)
}

/// An agent for small tasks, whose ceiling is wider than what it will get.
async fn reader(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let key = AgentKey::generate(Algorithm::Es256)?;
    key.save(&stage.directory.join("keys").join("reader.key"))?;
    let body = RegisterAgent {
        id: "reader".into(),
        owner: "support-team".into(),
        labels: BTreeMap::new(),
        ceiling: BTreeMap::from([(SERVE_CUSTOMERS.into(), for_users())]),
        identities: Vec::new(),
        grant_ms_max: 60_000,
        keys: vec![RegisterKey { instance: "demo".into(), jwk: jwk(&key)?, expires_at_ms: KEY_LIFE.ends_at_ms() }],
    };
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let agent: agents::Agent = registrar.post("/v1/agents", &body).await?;
    let asked = "the registrar registers the agent reader, which may at most read and pay invoices for users";
    stage.narrator.step(asked, "registered", agent.ceiling == body.ceiling)
}
