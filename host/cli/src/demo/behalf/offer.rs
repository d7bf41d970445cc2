//! The bot hands one task to another agent: less than it has, and no token changes hands.

use attorn_agent::Delegation;
use attorn_api::ProblemCode;

use super::acting::{may, short};
use super::{Behalf, OF_ALICE, client, denied, reads, refused, request};
use crate::demo::Stage;
use crate::failure::Failure;

/// Give what the other agent got.
pub(super) async fn play(stage: &mut Stage<'_>, act: &Behalf, root: &Delegation) -> Result<Delegation, Failure> {
    stage.narrator.part("The bot hands on one task");
    let bot = client(stage, "support-bot")?;
    let came = bot.offer(root, "reader", [("invoice.*", OF_ALICE)]).await;
    refused(stage, "the bot offers reader more than it has: invoice.*", came, ProblemCode::InvalidField)?;
    let child = bot.offer(root, "reader", [("invoice.read", OF_ALICE)]).await?;
    let came = format!("delegation {}…: {}", short(child.id()), may(&child));
    let as_told = child.recorded().parent.as_deref() == Some(root.id()) && !child.is_active();
    stage.narrator.step(format!("the bot offers reader to invoice.read {OF_ALICE}"), came, as_told)?;
    let read = request("invoice.read", OF_ALICE, &child);
    let asked = format!("reader asks to invoice.read {OF_ALICE} before it has accepted");
    denied(stage, &asked, "reader", &read, "delegation_not_accepted").await?;
    let accepted = client(stage, "reader")?.accept(child.id()).await?;
    stage.narrator.step("reader accepts, with a proof of its own", "accepted", accepted.is_active())?;

    let who = format!("{} by reader through support-bot", act.alice);
    reads(stage, act, "reader", &child, &who).await?;
    let pay = request("invoice.pay", OF_ALICE, &child);
    let asked = format!("reader asks to invoice.pay {OF_ALICE}, which its ceiling and the bot's delegation cover");
    denied(stage, &asked, "reader", &pay, "outside_delegation").await?;
    Ok(child)
}
