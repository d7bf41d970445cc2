//! The bot hands on one task, and the one who takes it tries more.

use attorn_agent::Delegation;

use super::{BOT, Cast, HELPER, euros, read, refund, refunds};
use crate::demo::acts::people::{ALSO_OF_ALICE, OF_ALICE};
use crate::demo::acts::scene::Scene;
use crate::demo::behalf::{may, short};
use crate::failure::Failure;

/// Give what it got.
pub(super) async fn play(scene: &mut Scene<'_>, cast: &Cast) -> Result<Delegation, Failure> {
    scene.narrator.part("A sub-agent tries more than it was given");
    let helper = scene.agent(HELPER)?;
    let offered = scene.agent(BOT)?.offer(&cast.root, HELPER, [("invoice.read", OF_ALICE)]).await?;
    let child = helper.accept(offered.id()).await?;
    let came = format!("delegation {}…: {}", short(child.id()), may(&child));
    scene.narrator.step(format!("{BOT} hands one task to {HELPER}, which accepts"), came, child.is_active())?;
    let asked = format!("{HELPER} asks to invoice.read {OF_ALICE}");
    refunds::allowed(scene, &asked, HELPER, &read(OF_ALICE, &child)).await?;

    let asked = format!("it asks to refund {} of {OF_ALICE}, which its own ceiling covers", euros(100));
    scene.denied(&asked, (HELPER, &refund(OF_ALICE, 100, &child)?), "outside_delegation").await?;
    let asked = format!("it asks to invoice.read {ALSO_OF_ALICE}, which is Alice's, too");
    scene.denied(&asked, (HELPER, &read(ALSO_OF_ALICE, &child)), "outside_delegation").await?;
    let asked = format!("it names the bot's delegation instead of its own, to refund {}", euros(100));
    scene.denied(&asked, (HELPER, &refund(OF_ALICE, 100, &cast.root)?), "delegation_unknown").await?;
    Ok(child)
}
