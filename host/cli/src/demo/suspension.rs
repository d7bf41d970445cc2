//! An operator suspends the bot: the very next request is denied.

use attorn_agent::{Decision, Request};
use attorn_api::agents::{Agent, AgentState, ChangeState};

use super::Stage;
use super::registry::ANSWER_QUESTIONS;
use crate::failure::Failure;

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.narrator.part("The bot is suspended");
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let bot = stage.bot()?;
    let read = Request::new("faq.read", "article/42", ANSWER_QUESTIONS);

    let why = ChangeState { reason: Some("it writes odd answers".into()) };
    let agent: Agent = registrar.post("/v1/agents/support-bot/suspend", &why).await?;
    stage.narrator.step("the registrar suspends support-bot", "suspended", agent.state == AgentState::Suspended)?;
    let answer = bot.decide(&read).await;
    let denied = matches!(&answer, Ok(decision @ Decision::Deny { .. }) if decision.has_reason("agent_suspended"));
    stage.narrator.answered("its very next request: faq.read article/42", &answer, denied)?;

    let agent: Agent = registrar.post("/v1/agents/support-bot/resume", &ChangeState::default()).await?;
    stage.narrator.step("the registrar resumes it", "active", agent.state == AgentState::Active)?;
    let answer = bot.decide(&read).await;
    let allowed = matches!(answer, Ok(Decision::Allow { .. }));
    stage.narrator.answered("faq.read article/42", &answer, allowed)
}
