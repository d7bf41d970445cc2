//! Alice consents, and the bot does what is hers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attorn_agent::{Delegation, Request};
use attorn_api::ProblemCode;
use attorn_api::agents::{Agent, AgentState};

use super::{AUDIENCE, Behalf, OF_ALICE, OF_BOB, client, denied, reads, refused, request};
use crate::demo::Stage;
use crate::demo::registry::SERVE_CUSTOMERS;
use crate::failure::Failure;

/// What comes back later.
pub(super) struct Told {
    /// What Alice let the bot do.
    pub(super) delegation: Delegation,
    /// The token by which she did.
    pub(super) access_token: String,
}

/// How long after an agent's suspension a token for it is clearly of a later time: 5 s, by which clocks may differ, and
/// one more, because tokens say whole seconds.
const CLEARLY_LATER_MS: u64 = 6_100;

pub(super) async fn play(stage: &mut Stage<'_>, act: &Behalf) -> Result<Told, Failure> {
    stage.narrator.part("Alice lets the bot act for her");
    let alone = Request::new("invoice.read", OF_ALICE, SERVE_CUSTOMERS);
    let asked = format!("before she does, support-bot asks to invoice.read {OF_ALICE}");
    denied(stage, &asked, "support-bot", &alone, "purpose_needs_user").await?;

    let_some_time_pass(stage).await?;
    let tokens = act.provider.alice_signs_in("assistant", AUDIENCE).await?;
    let as_told = tokens.access_token != tokens.id_token;
    let asked = "Alice signs in on the provider's pages and lets `assistant` see and pay her invoices";
    stage.narrator.step(asked, "the bot has an access token for Attorn, and an ID token", as_told)?;
    let bot = client(stage, "support-bot")?;
    let came = bot.delegate(&tokens.id_token, SERVE_CUSTOMERS).await;
    refused(stage, "the bot brings the ID token", came, ProblemCode::SubjectTokenRefused)?;
    let came = client(stage, "reader")?.delegate(&tokens.access_token, SERVE_CUSTOMERS).await;
    refused(stage, "reader brings the bot's access token", came, ProblemCode::SubjectTokenRefused)?;
    let delegation = bot.delegate(&tokens.access_token, SERVE_CUSTOMERS).await?;
    let as_told = delegation.user() == act.alice && delegation.is_active();
    let index = delegation.entry().map_or(0, |entry| entry.index);
    let came = format!("delegation {}…: {}; entry {index}", short(delegation.id()), may(&delegation));
    stage.narrator.step("the bot brings the access token", came, as_told)?;

    reads(stage, act, "support-bot", &delegation, &format!("{} by support-bot", act.alice)).await?;
    let asked = format!("support-bot asks to invoice.read {OF_BOB}, which is Bob's");
    denied(stage, &asked, "support-bot", &request("invoice.read", OF_BOB, &delegation), "denied_by_policy").await?;
    Ok(Told { delegation, access_token: tokens.access_token })
}

/// The beginning of an id.
pub(in crate::demo) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// What may be done by a delegation.
pub(in crate::demo) fn may(delegation: &Delegation) -> String {
    let permissions = delegation.permissions().iter().map(|one| format!("{} {}", one.action, one.resource));
    permissions.collect::<Vec<_>>().join(", ")
}

/// Wait until a token that is issued now is clearly later than the bot's suspension before.
async fn let_some_time_pass(stage: &Stage<'_>) -> Result<(), Failure> {
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let agent: Agent = registrar.get("/v1/agents/support-bot").await?;
    let suspensions = agent.history.iter().filter(|change| change.state == AgentState::Suspended);
    let Some(last) = suspensions.map(|change| change.at_ms).max() else { return Ok(()) };
    let until = UNIX_EPOCH + Duration::from_millis(last + CLEARLY_LATER_MS);
    let left = until.duration_since(SystemTime::now()).unwrap_or_default();
    if !left.is_zero() {
        let s = left.as_secs_f64();
        stage.narrator.say(format!("   (the bot was suspended just before; {s:.1} s until a sign-in counts as later)"));
        tokio::time::sleep(left).await;
    }
    Ok(())
}
