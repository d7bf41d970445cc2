//! Alice and Bob, the provider at which they sign in, and what is whose.

use attorn_agent::ResourceServerClient;
use attorn_api::facts::{SetFact, SetFacts};
use attorn_api::providers::Provider;
use attorn_api::users::{Entitlement, NameUser, User};
use serde_json::{Map, Value, json};

use super::database::Database;
use super::scene::{Ended, Scene, leave_out};
use crate::demo::behalf::{AUDIENCE, USERS_AUDIENCE};
use crate::demo::narrator::Narrator;
use crate::demo::provider::{Scripts, SignInProvider};
use crate::demo::registry::SERVE_CUSTOMERS;
use crate::failure::Failure;

/// What the provider is called here.
pub(super) const PROVIDER: &str = "sign-in";

/// How to get what runs it.
const HELP: &str = "With Node 20.9 or later (https://nodejs.org), `cargo xtask demo` plays it, too; by hand: \
    (cd tests/interop/node && npm ci)";

/// The client of the provider that the agent of the acts is.
pub(super) const CLIENT: &str = "assistant";

/// Alice's invoices, and Bob's.
pub(super) const OF_ALICE: &str = "invoice/17";
pub(super) const ALSO_OF_ALICE: &str = "invoice/19";
pub(super) const OF_BOB: &str = "invoice/18";

/// Who there is.
pub(super) struct People {
    pub(super) provider: SignInProvider,
    /// The server's ids of them.
    pub(super) alice: String,
    pub(super) bob: String,
}

/// What they can let an agent do: a scope of the provider's, what it is in words, and the action that it is here.
pub(super) struct Scope {
    pub(super) name: &'static str,
    pub(super) action: &'static str,
}

/// What runs the provider at which Alice does this. Without it there is no user, and so nothing of the act is left.
pub(super) fn provider(
    narrator: &mut Narrator<'_>,
    scripts: Result<Scripts, String>,
    alice: &str,
) -> Result<Scripts, Ended> {
    const ALL: &str = "all of it";
    scripts.map_err(|missing| {
        leave_out(narrator, ALL, &format!("Alice {alice} at a real provider here, but {missing}"), HELP);
        (narrator.tally, vec![ALL])
    })
}

impl People {
    /// Start the provider, and trust it: its client is this agent. It is told where to find our keys, if it is to ask
    /// users for us.
    pub(super) async fn arrive(
        scene: &Scene<'_>,
        scripts: Scripts,
        agent: &str,
        scopes: &[Scope],
    ) -> Result<Self, Failure> {
        let keys = format!("{}/.well-known/client-jwks.json", scene.host.url());
        let provider = SignInProvider::start(scripts, &scene.directory.join("provider.log"), Some(&keys)).await?;
        let came = format!("it listens on {}", provider.issuer());
        scene.narrator.step("a provider that is not ours: npm oidc-provider, in a Node of its own", came, true)?;
        trust(scene, &provider, agent, scopes).await?;
        entitle(scene, &provider, scopes).await?;
        let [alice, bob] = [person(scene, &provider, "alice").await?, person(scene, &provider, "bob").await?];
        Ok(Self { provider, alice, bob })
    }

    /// The service that keeps the invoices says whose they are.
    pub(super) async fn own(&self, scene: &Scene<'_>, billing: &ResourceServerClient) -> Result<(), Failure> {
        let owners = [(OF_ALICE, &self.alice), (ALSO_OF_ALICE, &self.alice), (OF_BOB, &self.bob)];
        let facts = owners.map(|(invoice, user)| SetFact {
            name: format!("resource/{invoice}/owner"),
            value: Value::from(user.as_str()),
            expires_at_ms: None,
        });
        let said = billing.set_facts(&SetFacts { facts: facts.into() }).await?;
        let asked =
            format!("the billing service says whose they are: {OF_ALICE} and {ALSO_OF_ALICE} Alice's, {OF_BOB} Bob's");
        scene.narrator.step(asked, format!("{} facts", said.set), said.set == 3)
    }

    /// The same in the database.
    pub(super) async fn keep(&self, database: &Database) -> Result<(), Failure> {
        let Self { alice, bob, .. } = self;
        let rows = format!(
            "INSERT INTO invoices VALUES (17, '{alice}', 'shoes', 8900), (18, '{bob}', 'a coat', 24900), \
             (19, '{alice}', 'a hat', 3500)"
        );
        let kept = database.superuser().await?.run(&rows).await;
        kept.map_err(|why| Failure::new(format!("the invoices cannot be kept: {why}")))
    }
}

/// What tokens of this provider mean.
async fn trust(scene: &Scene<'_>, provider: &SignInProvider, agent: &str, scopes: &[Scope]) -> Result<(), Failure> {
    let mapped = scopes.iter().map(|scope| {
        let permission = json!({ "action": scope.action, "resource": "invoice/*" });
        (scope.name.to_owned(), json!({ "purposes": [SERVE_CUSTOMERS], "permissions": [permission] }))
    });
    let configuration = json!({
        "id": PROVIDER,
        "issuer": provider.issuer(),
        "audience": AUDIENCE,
        "algorithms": ["ES256"],
        "token_type": "at+jwt",
        "names_agent_by": "client_id",
        "clients": { CLIENT: agent },
        "scopes": mapped.collect::<Map<_, _>>(),
        "groups_claim": "groups",
        "user_audience": USERS_AUDIENCE,
        "user_clients": ["portal"],
    });
    let trusted: Provider = scene.registrar()?.post("/v1/providers", &configuration).await?;
    let scopes = scopes.iter().map(|scope| format!("`{}` is {}", scope.name, scope.action));
    let scopes = scopes.collect::<Vec<_>>().join(", ");
    let asked = format!("the registrar trusts it: its client `{CLIENT}` is {agent}, its scope {scopes}");
    scene.narrator.step(asked, "registered", trusted.revoked_at_ms.is_none())
}

async fn entitle(scene: &Scene<'_>, provider: &SignInProvider, scopes: &[Scope]) -> Result<(), Failure> {
    let permissions = scopes.iter().map(|scope| json!({ "action": scope.action, "resource": "invoice/*" }));
    let body = json!({ "holder": { "everyone": provider.issuer() }, "permissions": permissions.collect::<Vec<_>>() });
    let set: Entitlement = scene.registrar()?.post("/v1/entitlements", &body).await?;
    let asked = "the registrar says that its users may do that themselves: no agent has more than its user";
    scene.narrator.step(asked, "set", set.permissions.len() == scopes.len())
}

/// The server's id of one of the provider's users.
async fn person(scene: &Scene<'_>, provider: &SignInProvider, name: &str) -> Result<String, Failure> {
    let named = NameUser { provider: PROVIDER.into(), subject: provider.subject(name)?.to_owned() };
    let user: User = scene.registrar()?.post("/v1/users", &named).await?;
    // It goes into statements of SQL.
    if !user.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(Failure::new("the server's id of a user is none"));
    }
    Ok(user.id)
}
