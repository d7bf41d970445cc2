//! Who is asked is a setting of the policy: now it is a group at Alice's provider. A member signs in, reads what is asked
//! on a page of the server's, and says yes; she who has it asked for her is no member for that.

use attorn_agent::{Decision, Request};
use attorn_api::decisions::ApprovalReference;

use super::{APPROVED_MAX, Asks, BOT, Cast, approval, asks_at_provider, euros, limits, refund, refunds};
use crate::demo::acts::evidence;
use crate::demo::acts::people::ALSO_OF_ALICE;
use crate::demo::acts::scene::Scene;
use crate::demo::components::Components;
use crate::failure::Failure;

/// The group at the provider: Alice and Bob are in it.
const GROUP: &str = "staff";

/// What was refunded before.
const BEFORE: u64 = 10_500;

/// What the last part comes back to: entries of the log.
pub(super) struct Told {
    challenged: u64,
    approved: u64,
}

pub(super) async fn play(scene: &mut Scene<'_>, cast: &Cast, components: &Components) -> Result<Told, Failure> {
    scene.narrator.part("Now a group is asked: somebody of staff says yes");
    asks_at_provider(scene, Asks::OnPage).await?;
    scene.put_in_force(&limits(components, GROUP)).await?;
    let max = euros(APPROVED_MAX);
    scene
        .narrator
        .say(format!("     for each user and agent: up to 50.00 EUR in all; up to {max} if one of {GROUP} approves"));
    let cents = 6_000;
    let request = refund(ALSO_OF_ALICE, cents, &cast.root)?;
    let asked = format!("{BOT} asks to refund {} of {ALSO_OF_ALICE}", euros(cents));
    let (approval, challenged) = approval::challenged(scene, &asked, &request, GROUP).await?;
    let page = page(scene, &approval)?;
    let opened = cast.people.provider.opens("alice", &page, None).await?;
    let as_told = opened.status == 404 && !opened.shown.contains(&approval.code);
    let asked = "Alice is of staff, too, and signs in there: it is asked for her, so she is not the one to ask";
    scene.narrator.step(asked, format!("the page says nothing (HTTP {})", opened.status), as_told)?;
    bob_approves(scene, cast, (&approval, &page), cents).await?;
    let decision = approval::settled(scene, "the bot asks again", &request).await?;
    let Decision::Allow { grant, decided, .. } = decision else {
        return Err(Failure::new("what the group approved was not allowed"));
    };
    refunds::done(scene, cast, &grant, &euros(BEFORE + cents)).await?;
    again(scene, &request).await?;
    Ok(Told { challenged, approved: decided.entry.index })
}

/// Where members answer. It is no secret: whoever passes it on passes on nothing else.
fn page(scene: &Scene<'_>, approval: &ApprovalReference) -> Result<String, Failure> {
    let page = approval.page.clone().ok_or_else(|| Failure::new("there is no page for the group"))?;
    let came = format!("it shows the code {} and a link, {page}", approval.code);
    scene.narrator.step("the bot has to wait, and says so", came, true)?;
    Ok(page)
}

async fn bob_approves(
    scene: &Scene<'_>,
    cast: &Cast,
    (approval, page): (&ApprovalReference, &str),
    cents: u64,
) -> Result<(), Failure> {
    let opened = cast.people.provider.opens("bob", page, Some("approve")).await?;
    let says = [approval.code.as_str(), BOT, "invoice.refund", ALSO_OF_ALICE, &cents.to_string()];
    let missing = says.iter().find(|one| !opened.shown.contains(**one));
    let came = missing.map_or_else(
        || {
            format!(
                "{}: may {BOT} invoice.refund {ALSO_OF_ALICE} with {cents} cents, and why it is asked",
                approval.code
            )
        },
        |one| format!("the page does not say `{one}`"),
    );
    scene.narrator.step(
        "Bob of staff signs in at the provider, and reads on the page what is asked",
        came,
        missing.is_none(),
    )?;
    let said = opened.said.unwrap_or_default();
    let as_told = said.contains("You have approved this");
    scene.narrator.step(
        "he compares the code, and says yes",
        if as_told { "You have approved this" } else { &said },
        as_told,
    )
}

/// That was one refund.
async fn again(scene: &mut Scene<'_>, request: &Request) -> Result<(), Failure> {
    let asked = format!("{BOT} asks for the very same again");
    scene.denied(&asked, (BOT, request), "over_limit").await?;
    Ok(())
}

pub(super) async fn proves(scene: &Scene<'_>, told: Told) -> Result<(), Failure> {
    let asks = format!("asks for 1 of group `{GROUP}`");
    let says = ["challenge", "spend-limit/2 challenge (above_limit)", &asks];
    evidence::show(scene, told.challenged, "why it had to wait, and for which group", &says).await?;
    let by = format!("of group `{GROUP}`");
    let says = ["allow", "approved by user psn_", &by, "billing used it, use 1"];
    evidence::show(scene, told.approved, "who of them approved it, by a pseudonym", &says).await
}
