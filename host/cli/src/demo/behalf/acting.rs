//! Alice consents, and the bot does what is hers.

use attorn_agent::{Delegation, Request};
use attorn_api::ProblemCode;

use super::{AUDIENCE, Act, OF_ALICE, OF_BOB, client, denied, reads, refused, request};
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

pub(super) async fn play(stage: &mut Stage<'_>, act: &Act) -> Result<Told, Failure> {
    stage.narrator.part("Alice lets the bot act for her");
    let alone = Request::new("invoice.read", OF_ALICE, SERVE_CUSTOMERS);
    let asked = format!("before she does, support-bot asks to invoice.read {OF_ALICE}");
    denied(stage, &asked, "support-bot", &alone, "purpose_needs_user").await?;

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
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// What may be done by a delegation.
pub(super) fn may(delegation: &Delegation) -> String {
    let permissions = delegation.permissions().iter().map(|one| format!("{} {}", one.action, one.resource));
    permissions.collect::<Vec<_>>().join(", ")
}
