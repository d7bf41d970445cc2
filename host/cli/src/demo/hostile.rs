//! Strangers, replays and changed requests: nobody gets as far as a decision.

use std::time::SystemTime;

use attorn_agent::{AgentKey, Algorithm, Client, Request};
use attorn_api::ProblemCode;

use super::Stage;
use super::raw::{self, Came, Sent};
use super::registry::ANSWER_QUESTIONS;
use crate::failure::Failure;

/// Proofs of before the restart.
pub(super) struct Proofs {
    /// One that was accepted.
    pub(super) accepted: Sent,
    /// One that was made and never sent.
    pub(super) unused: Sent,
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Proofs, Failure> {
    stage.narrator.part("Strangers, replays, and changed requests");
    let stranger = Client::new(stage.host.url(), AgentKey::generate(Algorithm::Es256)?)?;
    let answer = stranger.decide(&Request::new("faq.read", "article/42", ANSWER_QUESTIONS)).await;
    let problem = answer.as_ref().err().and_then(attorn_agent::Error::problem).map(|problem| problem.code);
    let asked = "a stranger with a key of their own asks to faq.read article/42";
    stage.narrator.answered(asked, &answer, problem == Some(ProblemCode::UnknownKey))?;

    let url = decisions_url(stage);
    let without_nonce = sent(stage, body(42), None)?;
    let came = raw::send(&url, &without_nonce).await?;
    refused(stage, "the bot proves a request without the server's nonce", &came, ProblemCode::UseDpopNonce)?;
    let nonce = came.nonce.ok_or_else(|| Failure::new("the server gave no nonce"))?;

    let accepted = sent(stage, body(42), Some(&nonce))?;
    let came = raw::send(&url, &accepted).await?;
    stage.narrator.tally.allowed += u64::from(came.status == 200);
    stage.narrator.step("the bot proves it with the nonce", came.describe(), came.status == 200)?;
    let came = raw::send(&url, &accepted).await?;
    refused(stage, "somebody sends the same bytes and the same proof again", &came, ProblemCode::ProofReplayed)?;

    let good = sent(stage, body(42), Some(&nonce))?;
    let changed = Sent { body: body(43), ..good };
    let came = raw::send(&url, &changed).await?;
    refused(stage, "somebody puts article/43 under a good proof for article/42", &came, ProblemCode::ProofInvalid)?;
    let unused = sent(stage, body(42), Some(&nonce))?;
    Ok(Proofs { accepted, unused })
}

pub(super) fn decisions_url(stage: &Stage<'_>) -> String {
    format!("{}/v1/decisions", stage.host.url())
}

/// A request that has to be refused with this code.
pub(super) fn refused(stage: &mut Stage<'_>, asked: &str, came: &Came, code: ProblemCode) -> Result<(), Failure> {
    stage.narrator.tally.refused += 1;
    stage.narrator.step(asked, came.describe(), came.status == 401 && came.code == Some(code))
}

fn sent(stage: &Stage<'_>, body: Vec<u8>, nonce: Option<&str>) -> Result<Sent, Failure> {
    let proof = stage.bot_key()?.prove("POST", &decisions_url(stage), &body, nonce, SystemTime::now())?;
    Ok(Sent { proof, body })
}

fn body(article: u32) -> Vec<u8> {
    format!(r#"{{"action":"faq.read","resource":"article/{article}","purpose":"{ANSWER_QUESTIONS}"}}"#).into_bytes()
}
