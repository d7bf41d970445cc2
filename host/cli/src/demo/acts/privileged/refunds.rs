//! Small refunds pass, and are counted: what matters is their sum.

use attorn_agent::{Decision, Request};
use attorn_api::decisions::Grant;
use attorn_api::grants::{Effect, ReportEffect, UseGrant};

use super::{BOT, Cast, euros, refund};
use crate::demo::acts::evidence;
use crate::demo::acts::people::{OF_ALICE, OF_BOB};
use crate::demo::acts::scene::Scene;
use crate::failure::Failure;

/// Give the entry of one of them.
pub(super) async fn play(scene: &mut Scene<'_>, cast: &Cast) -> Result<u64, Failure> {
    scene.narrator.part("Small refunds pass, and are counted");
    let mut last = 0;
    let mut sum = 0;
    for cents in [2_000, 2_500] {
        sum += cents;
        let asked = format!("{BOT} asks to refund {} of {OF_ALICE}", euros(cents));
        let (grant, entry) = allowed(scene, &asked, BOT, &refund(OF_ALICE, cents, &cast.root)?).await?;
        done(scene, cast, &grant, &euros(sum)).await?;
        last = entry;
    }
    let asked = format!("it asks to refund {} of {OF_BOB}, which is Bob's", euros(100));
    scene.denied(&asked, (BOT, &refund(OF_BOB, 100, &cast.root)?), "denied_by_policy").await?;
    Ok(last)
}

/// An agent asks for a token, and gets it: the grant, and the decision's entry.
pub(super) async fn allowed(
    scene: &mut Scene<'_>,
    asked: &str,
    agent: &str,
    request: &Request,
) -> Result<(Grant, u64), Failure> {
    let as_told = |decision: &Decision| matches!(decision, Decision::Allow { .. });
    match scene.ask(asked, (agent, request), as_told).await? {
        Decision::Allow { grant, decided, .. } => Ok((grant, decided.entry.index)),
        _ => Err(Failure::new("there is no token")),
    }
}

/// The service counts the use, does it, and says so.
pub(super) async fn done(scene: &Scene<'_>, cast: &Cast, grant: &Grant, in_all: &str) -> Result<(), Failure> {
    let counted = cast.billing.use_grant(&grant.id, &intended(grant)).await?;
    let report = ReportEffect { use_number: counted.use_number, effect: Effect::Done, note: None };
    let recorded = cast.billing.report_effect(&grant.id, &report).await?;
    let came = format!("use {}, {} left; done, entry {}", counted.use_number, counted.uses_left, recorded.entry.index);
    let asked = format!("the billing service has the use counted, refunds, and reports ({in_all} in all)");
    scene.narrator.step(asked, came, counted.uses_left == 0 && recorded.effect == Effect::Done)
}

/// What the service is about to do.
pub(super) fn intended(grant: &Grant) -> UseGrant {
    UseGrant {
        action: grant.action.clone(),
        resource: grant.resource.clone(),
        arguments_digest: grant.arguments_digest.clone(),
    }
}

pub(super) async fn proves(scene: &Scene<'_>, entry: u64) -> Result<(), Failure> {
    let says = ["spend-limit/1 allow (within_limit)", "own-data/1 allow (own)", "billing used it, use 1"];
    evidence::show(scene, entry, "a small refund: two policies allowed it, and it was done", &says).await
}
