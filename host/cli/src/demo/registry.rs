//! Who accepts, and who asks: the FAQ service and the support bot are registered.

use std::collections::BTreeMap;

use attorn_agent::{AgentKey, Algorithm};
use attorn_api::agents::{self, Permission, PurposeCeiling, RegisterAgent, RegisterKey, UserPresence};
use attorn_api::resource_servers::{self, RegisterResourceServer};

use super::{Stage, bot_key_path};
use crate::failure::Failure;
use crate::parse::Span;

/// The bot's main purpose.
pub(super) const ANSWER_QUESTIONS: &str = "answer-questions";

/// The purpose for which it will meet the policy that loops.
pub(super) const REPORTING: &str = "reporting";

/// The purpose that it pursues only for users.
pub(super) const SERVE_CUSTOMERS: &str = "serve-customers";

/// How long keys are registered for.
pub(super) const KEY_LIFE: Span = Span { ms: 24 * 3_600_000 };

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.narrator.part("Who accepts, and who asks");
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;

    let key = AgentKey::generate(Algorithm::EdDsa)?;
    key.save(&stage.directory.join("keys").join("faq.key"))?;
    let body = RegisterResourceServer {
        id: "faq".into(),
        audience: stage.faq.url().into(),
        resource_types: vec!["article".into()],
        jwk: jwk(&key)?,
        counts_uses: resource_servers::UseCounting::Reports,
    };
    let server: resource_servers::ResourceServer = registrar.post("/v1/resource-servers", &body).await?;
    let came = format!("its key is {}…", &server.key_thumbprint[..8.min(server.key_thumbprint.len())]);
    let asked = format!("the registrar registers the FAQ service at {} for articles", stage.faq.url());
    stage.narrator.step(asked, came, server.key_thumbprint == key.thumbprint())?;

    let key = AgentKey::generate(Algorithm::Es256)?;
    key.save(&bot_key_path(&stage.directory))?;
    let body = RegisterAgent {
        id: "support-bot".into(),
        owner: "support-team".into(),
        labels: BTreeMap::from([("stage".into(), "demo".into())]),
        ceiling: BTreeMap::from([
            (ANSWER_QUESTIONS.into(), without_user(&["faq.read", "faq.write"])),
            (REPORTING.into(), without_user(&["report.run"])),
            (SERVE_CUSTOMERS.into(), for_users()),
        ]),
        grant_ms_max: 60_000,
        keys: vec![RegisterKey { instance: "demo".into(), jwk: jwk(&key)?, expires_at_ms: KEY_LIFE.ends_at_ms() }],
        identities: Vec::new(),
    };
    let agent: agents::Agent = registrar.post("/v1/agents", &body).await?;
    let as_told = agent.ceiling == body.ceiling && agent.state == agents::AgentState::Active;
    let asked = "the registrar registers support-bot, which may at most faq.read and faq.write article/*, \
                 and read and pay invoices for users";
    stage.narrator.step(asked, "registered; the bot alone has its private key", as_told)
}

fn without_user(actions: &[&str]) -> PurposeCeiling {
    let permission = |action: &&str| Permission { action: (*action).into(), resource: "article/*".into() };
    PurposeCeiling { user: UserPresence::Without, permissions: actions.iter().map(permission).collect() }
}

/// What an agent may do for users: read and pay invoices.
pub(super) fn for_users() -> PurposeCeiling {
    let permission = |action: &str| Permission { action: action.into(), resource: "invoice/*".into() };
    let permissions = ["invoice.read", "invoice.pay"].map(permission).into();
    PurposeCeiling { user: UserPresence::With, permissions }
}

pub(super) fn jwk(key: &AgentKey) -> Result<serde_json::Value, Failure> {
    serde_json::from_str(key.public_jwk()).map_err(|error| Failure::of(&error))
}
