//! The bot asks: what it may do, what a policy denies, what is beyond it.

use attorn_agent::{AgentKey, Algorithm, Client, Decision, Request, ResourceServerClient};
use attorn_api::grants::{Effect, ReportEffect, UseGrant};
use serde_json::json;

use super::Stage;
use super::registry::ANSWER_QUESTIONS;
use super::resource_server::Answered;
use crate::failure::Failure;

/// What the part about the audit log comes back to.
pub(super) struct Told {
    /// The entry of the allow.
    pub(super) allowed_entry: u64,
    /// The entry of the denied write.
    pub(super) denied_entry: u64,
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Told, Failure> {
    let allowed_entry = reads(stage).await?;
    counts(stage).await?;
    stage.narrator.part("The bot asks for more");
    let bot = stage.bot()?;

    let answer = bot.decide(&Request::new("faq.write", "article/42", ANSWER_QUESTIONS)).await;
    let denied_entry = answer.as_ref().map_or(0, |decision| decision.decided().entry.index);
    let by_policy = |decision: &Decision| {
        decision.decided().reasons.iter().any(|reason| reason.policy.as_deref() == Some("read-only"))
    };
    let denied = matches!(&answer, Ok(decision @ Decision::Deny { .. }) if by_policy(decision));
    stage.narrator.answered("it asks to faq.write article/42, which its ceiling covers", &answer, denied)?;

    let answer = bot.decide(&Request::new("account.read", "account/7", ANSWER_QUESTIONS)).await;
    let denied = matches!(&answer, Ok(decision @ Decision::Deny { .. }) if decision.has_reason("outside_ceiling"));
    stage.narrator.answered("it asks to account.read account/7, beyond its ceiling", &answer, denied)?;
    Ok(Told { allowed_entry, denied_entry })
}

/// The way of a credential: issued, shown, and worth nothing for anything else.
async fn reads(stage: &mut Stage<'_>) -> Result<u64, Failure> {
    stage.narrator.part("The bot reads an article");
    let bot = stage.bot()?;
    let request =
        Request::new("faq.read", "article/42", ANSWER_QUESTIONS).arguments(&json!({ "section": "billing" }))?;
    let answer = bot.decide(&request).await;
    stage.narrator.answered(
        "support-bot asks to faq.read article/42 with {\"section\":\"billing\"}",
        &answer,
        matches!(answer, Ok(Decision::Allow { .. })),
    )?;
    let Ok(Decision::Allow { credential, decided, .. }) = answer else { return Err(Failure::new("no credential")) };

    let token = &credential.access_token;
    let stranger = Client::new(stage.host.url(), AgentKey::generate(Algorithm::EdDsa)?)?;
    let billing = "/article/42?section=billing";
    for (asked, who, path, expect) in [
        ("somebody who stole the credential shows it, with a key of their own", &stranger, billing, (401, "bad_proof")),
        ("the bot shows it for other arguments", &bot, "/article/42?section=salaries", (403, "other_arguments")),
        ("the bot shows it for another article", &bot, "/article/43?section=billing", (403, "other_resource")),
        ("the bot shows it for what it was granted", &bot, billing, (200, "article 42, for support-bot")),
        ("the bot shows it a second time", &bot, billing, (403, "grant_spent")),
    ] {
        let Answered { status, says } = stage.faq.read(who, path, token).await?;
        let came = format!("the FAQ service: {status} {says}");
        stage.narrator.step(asked, came, (status, says.as_str()) == expect)?;
    }
    Ok(decided.entry.index)
}

/// A service that wants each use counted by the server, and its effect in the log.
async fn counts(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let answer = stage.bot()?.decide(&Request::new("faq.read", "article/7", ANSWER_QUESTIONS)).await;
    let allowed = matches!(answer, Ok(Decision::Allow { .. }));
    stage.narrator.answered("support-bot asks to faq.read article/7", &answer, allowed)?;
    let Ok(Decision::Allow { grant, .. }) = answer else { return Err(Failure::new("no grant")) };

    let key = AgentKey::load(&stage.directory.join("keys").join("faq.key"))?;
    let service = ResourceServerClient::new(stage.host.url(), key)?;
    let intended = UseGrant {
        action: grant.action.clone(),
        resource: grant.resource.clone(),
        arguments_digest: grant.arguments_digest.clone(),
    };
    let counted = service.use_grant(&grant.id, &intended).await?;
    let came = format!("use {}, {} left, entry {}", counted.use_number, counted.uses_left, counted.entry.index);
    stage.narrator.step("the FAQ service has the grant's use counted, before it acts", came, counted.uses_left == 0)?;
    let report = ReportEffect { use_number: counted.use_number, effect: Effect::Done, note: None };
    let recorded = service.report_effect(&grant.id, &report).await?;
    let came = format!("recorded, entry {}", recorded.entry.index);
    stage.narrator.step("it acts, and reports the effect: done", came, recorded.effect == Effect::Done)?;
    let again = service.use_grant(&grant.id, &intended).await;
    let spent = again.as_ref().err().and_then(attorn_agent::Error::problem).map(|problem| problem.code);
    let came = spent.map_or_else(|| "no refusal".to_owned(), |code| format!("refused: {code}"));
    stage.narrator.tally.refused += 1;
    stage.narrator.step("it has another use counted", came, spent == Some(attorn_api::ProblemCode::GrantSpent))
}
