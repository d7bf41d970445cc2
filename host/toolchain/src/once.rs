//! One policy, asked about one context.

use std::sync::Arc;

use attorn_api::json::canonical;
use attorn_artifact::{Cancel, Progress};
use attorn_core::context::{Counter, Fact};
use attorn_core::verdict::Reason;
use attorn_core::{Known, Outcome, ParseError, PolicyLimits, Terms, Verdict};
use attorn_engine::{Busy, Engine, Evaluation, LoadError, LoadRequest, LoadedPolicy, Question};

use crate::cases::{self, ContextWire, Given, Said};

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The context or the settings are not as they should be.
    #[error("{what}: {problem}")]
    Invalid {
        /// Which of the two.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The policy does not load, or refuses its settings.
    #[error(transparent)]
    NotLoaded(#[from] LoadError),
    /// The engine had no room for an evaluation.
    #[error("the engine is busy")]
    Busy(#[from] Busy),
    /// The policy's name cannot be a policy's id.
    #[error("no policy can have this name")]
    Name(#[from] ParseError),
}

/// What came of asking.
#[derive(Debug)]
pub struct Answer {
    /// What it says, as a case would expect it: one JSON object.
    pub said: String,
    /// The same, with what it used and what it logged.
    pub evaluation: Evaluation,
    /// What the context gave it of the facts that it asks for.
    pub facts: Vec<Fact>,
    /// The same of counters.
    pub counters: Vec<Counter>,
    /// The policy under these settings.
    pub policy: LoadedPolicy,
}

/// How an answer is to be taken by whoever asked for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It allows.
    Allow,
    /// It wants somebody's yes.
    Challenge,
    /// It denies, or failed, which denies.
    Deny,
    /// It has nothing to say.
    Abstain,
}

impl Answer {
    /// The reasons that its verdict gives, each with what it means here.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match &self.evaluation.outcome {
            Outcome::Verdict(Verdict::Allow { reasons, .. } | Verdict::Deny { reasons }) => reasons,
            Outcome::Verdict(Verdict::Challenge { reason, .. }) => std::slice::from_ref(reason),
            Outcome::Verdict(Verdict::Abstain) | Outcome::Failed(_) => &[],
        }
    }

    /// On what terms it allows, now or once it is approved.
    #[must_use]
    pub const fn terms(&self) -> Option<&Terms> {
        match &self.evaluation.outcome {
            Outcome::Verdict(Verdict::Allow { terms, .. } | Verdict::Challenge { terms, .. }) => Some(terms),
            Outcome::Verdict(Verdict::Deny { .. } | Verdict::Abstain) | Outcome::Failed(_) => None,
        }
    }

    /// What the answer comes to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match &self.evaluation.outcome {
            Outcome::Verdict(Verdict::Allow { .. }) => Kind::Allow,
            Outcome::Verdict(Verdict::Challenge { .. }) => Kind::Challenge,
            Outcome::Verdict(Verdict::Deny { .. }) | Outcome::Failed(_) => Kind::Deny,
            Outcome::Verdict(Verdict::Abstain) => Kind::Abstain,
        }
    }
}

/// Ask a component about one context, which is written as that of a case, in JSON or YAML by the name of its
/// file. Fuel is counted, so the time that it takes is longer than in a decision.
///
/// # Errors
///
/// When the context or the settings are invalid, the component does not load, or the context gives a fact or
/// a counter that the policy does not ask for.
pub async fn ask(
    engine: &Engine,
    component: &[u8],
    settings: &str,
    (file, context): (&str, &[u8]),
    limits: PolicyLimits,
) -> Result<Answer, OnceError> {
    let invalid = |what| move |problem: String| OnceError::Invalid { what, problem };
    let settings = canonical(settings).map_err(|error| invalid("settings")(error.to_string()))?;
    let (context, given) = context_of(file, context).map_err(invalid("context"))?;
    let policy = load(engine, component, settings.as_str(), limits)?;
    let known = given.known(policy.requirements(), &context).map_err(invalid("context"))?;
    let Known { facts, counters } = known.clone();
    let question = Question { policy: policy.clone(), known };
    let evaluations = engine.evaluate(vec![question], Arc::new(context)).await?;
    let evaluation = evaluations.into_iter().next().ok_or(Busy)?;
    let said = Said::outcome(&evaluation.outcome).in_full().unwrap_or_default();
    Ok(Answer { said, evaluation, facts, counters, policy })
}

/// A policy whose instructions are counted, and that has more time than in a decision.
pub(crate) fn load(
    engine: &Engine,
    component: &[u8],
    settings: &str,
    limits: PolicyLimits,
) -> Result<LoadedPolicy, OnceError> {
    let request = LoadRequest {
        name: "under-test".parse()?,
        component,
        settings,
        limits: PolicyLimits { wall_us_max: cases::WALL_US_MAX, ..limits },
        metered: true,
        without_snapshot: false,
    };
    Ok(engine.load_watched(request, &Progress::default(), &Cancel::default())?)
}

fn context_of(file: &str, bytes: &[u8]) -> Result<(attorn_core::EvaluationContext, Given), String> {
    let text = cases::read_text(file, bytes)?;
    // For duplicate keys and numbers that two readers would read differently.
    canonical(&text).map_err(|error| error.to_string())?;
    let wire: ContextWire = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    wire.parse()
}
