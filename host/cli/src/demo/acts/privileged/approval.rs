//! A larger refund waits until Alice says yes on her own device, to exactly this; a no is a no, and beyond a limit
//! nobody is asked.

use std::time::{Duration, Instant};

use attorn_agent::{Decision, Request};
use attorn_api::decisions::ApprovalReference;
use serde_json::{Value, json};

use super::{APPROVED_MAX, BOT, Cast, euros, refund, refunds};
use crate::demo::acts::evidence;
use crate::demo::acts::people::{OF_ALICE, People};
use crate::demo::acts::scene::Scene;
use crate::failure::Failure;

/// How long her provider may take until it has asked her, and we until we know what she said.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is looked what her device shows.
const LOOK: Duration = Duration::from_millis(100);

/// What the last part comes back to: entries of the log.
pub(super) struct Told {
    challenged: u64,
    approved: u64,
}

pub(super) async fn play(scene: &mut Scene<'_>, cast: &mut Cast) -> Result<Told, Failure> {
    scene.narrator.part("A larger one waits for Alice");
    let cents = 6_000;
    let request = refund(OF_ALICE, cents, &cast.root)?;
    let asked = format!("{BOT} asks to refund {} of {OF_ALICE}: more than 50.00 in all", euros(cents));
    let (approval, challenged) = challenged(scene, &asked, &request, "user").await?;
    let came = format!("it shows her the code {}", approval.code);
    scene.narrator.step("the bot has to wait, and says so to Alice", came, !approval.code.is_empty())?;
    asked_on_her_device(scene, &mut cast.people, &approval, cents).await?;
    says(scene, &mut cast.people, "yes").await?;
    let decision = settled(scene, "the bot asks again, when that has come", &request).await?;
    let Decision::Allow { grant, decided, .. } = decision else {
        return Err(Failure::new("what she approved was not allowed"));
    };
    refunds::done(scene, cast, &grant, &euros(4_500 + cents)).await?;
    scene.narrator.part("Her yes was to one refund, a no is a no, and beyond the limit nobody is asked");
    let asked = format!("{BOT} asks for the very same again");
    let (again, _) = self::challenged(scene, &asked, &request, "user").await?;
    let came = format!("her yes is spent; the code is {} now", again.code);
    scene.narrator.step("it has to wait again", came, again.id != approval.id && again.code != approval.code)?;
    asked_on_her_device(scene, &mut cast.people, &again, cents).await?;
    says(scene, &mut cast.people, "no").await?;
    let decision = settled(scene, "the bot asks again", &request).await?;
    let refused = decision.has_reason("approval_refused");
    scene.narrator.step("and what it is told", "approval_refused: she is not asked again for a while", refused)?;
    let beyond = refund(OF_ALICE, APPROVED_MAX, &cast.root)?;
    let asked = format!("{BOT} asks to refund {}: more than 200.00 in all", euros(APPROVED_MAX));
    scene.denied(&asked, (BOT, &beyond), "over_limit").await?;
    Ok(Told { challenged, approved: decided.entry.index })
}

/// The bot asks, and is told to wait for one of this role.
pub(super) async fn challenged(
    scene: &mut Scene<'_>,
    asked: &str,
    request: &Request,
    role: &str,
) -> Result<(ApprovalReference, u64), Failure> {
    let as_told = |decision: &Decision| {
        matches!(decision, Decision::Challenge { approvers, approval: Some(_), .. }
            if approvers.iter().all(|one| one.role == role && one.count == 1))
    };
    match scene.ask(asked, (BOT, request), as_told).await? {
        Decision::Challenge { approval: Some(approval), decided, .. } => Ok((approval, decided.entry.index)),
        _ => Err(Failure::new("there is no approval to wait for")),
    }
}

/// Her device shows the code that the bot shows, and what it is about.
async fn asked_on_her_device(
    scene: &Scene<'_>,
    people: &mut People,
    approval: &ApprovalReference,
    cents: u64,
) -> Result<(), Failure> {
    let began = Instant::now();
    let shown = loop {
        let said = people.provider.tell(&json!({ "do": "asked", "user": "alice" })).await?;
        let all = said["asked"].as_array().cloned().unwrap_or_default();
        if let Some(one) = all.into_iter().find(|one| one["message"] == approval.code.as_str()) {
            break one;
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::new("Alice's provider does not ask her"));
        }
        tokio::time::sleep(LOOK).await;
    };
    let detail = &shown["details"][0];
    let arguments = detail["arguments"].as_str().unwrap_or_default();
    let as_told = detail["approval"] == approval.id.as_str()
        && detail["action"] == "invoice.refund"
        && detail["resource"] == OF_ALICE
        && arguments.contains(&cents.to_string());
    let came = format!(
        "{}: may {} {} {} with {arguments}?",
        approval.code,
        text(&detail["agent"]),
        text(&detail["action"]),
        text(&detail["resource"])
    );
    scene.narrator.step("Alice's device asks her, by her provider", came, as_told)
}

async fn says(scene: &Scene<'_>, people: &mut People, what: &str) -> Result<(), Failure> {
    people.provider.tell(&json!({ "do": "answer", "user": "alice", "says": what })).await?;
    scene.narrator.step(format!("she compares the code, and says {what}"), "her provider signs that it was her", true)
}

/// What is decided when whoever is asked has answered.
pub(super) async fn settled(scene: &mut Scene<'_>, asked: &str, request: &Request) -> Result<Decision, Failure> {
    let answer = scene.agent(BOT)?.decide_when_approved(request, PATIENCE, |_| {}).await;
    let settled = matches!(answer, Ok(Decision::Allow { .. } | Decision::Deny { .. }));
    scene.narrator.answered(asked, &answer, settled)?;
    Ok(answer?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

pub(super) async fn proves(scene: &Scene<'_>, told: Told) -> Result<(), Failure> {
    let says = ["challenge", "spend-limit/1 challenge (above_limit)", "asks for 1 user"];
    evidence::show(scene, told.challenged, "why it had to wait, and for whom", &says).await?;
    let says = ["allow", "approved by user psn_", "billing used it, use 1"];
    evidence::show(scene, told.approved, "who approved it, which agent did it, by what authority", &says).await
}
