//! A decision up to its commit, to measure it: all that [`super::decide`] does from the parsed proof to the batch
//! that it would commit, each step timed.
//!
//! No proof is verified here, nothing is committed, and no token is signed.
//!
//! INVARIANT: what comes of it is times and a word. Grant, record and batch end here, so that nothing is permitted
//! that was not recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_api::ProblemCode;
use attorn_api::json::parse_body;
use attorn_core::context::AuthenticationMethod;
use attorn_core::{AgentId, Decision, Denied, KeyThumbprint};

use super::ask::{self, Ask};
use super::gather::{Gathered, gather};
use super::{evaluate, record};
use crate::app::App;
use crate::http::failure::Failure;
use crate::random;

/// Whoever holds this can try decisions of a running server without making any.
#[derive(Clone)]
pub struct Rehearsals {
    app: Arc<App>,
}

/// What came of one, and how long each step took.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsed {
    /// What it would have been: `allow`, `challenge` or `deny`.
    pub decision: &'static str,
    /// The body, parsed.
    pub parse: Duration,
    /// All that the decision rests on, read: the agent, who keeps the resource, the chain and its user.
    pub gather: Duration,
    /// The bounds.
    pub bounds: Duration,
    /// The policies, each in its sandbox, and what they come to.
    pub evaluate: Duration,
    /// Entry, record and grant, as they would be committed.
    pub record: Duration,
}

impl Rehearsed {
    /// All steps together.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.parse + self.gather + self.bounds + self.evaluate + self.record
    }
}

impl Rehearsals {
    pub(crate) const fn of(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Try what this agent, as if it had proved possession of this key, asks with this body of
    /// `POST /v1/decisions`.
    ///
    /// # Errors
    ///
    /// When no decision could have been made: why, as the agent would read it.
    pub async fn decide(&self, agent: &AgentId, key: &KeyThumbprint, body: &[u8]) -> Result<Rehearsed, String> {
        self.steps(agent, key, body).await.map_err(|failure| failure.problem.detail)
    }

    async fn steps(&self, agent: &AgentId, key: &KeyThumbprint, body: &[u8]) -> Result<Rehearsed, Failure> {
        let (app, mut lap) = (&*self.app, Lap(Instant::now()));
        let ask = Ask {
            agent: agent.clone(),
            method: AuthenticationMethod::Dpop,
            thumbprint: key.clone(),
            identity: None,
            wanted: ask::wanted(parse_body(body)?)?,
            idempotency: None,
        };
        let (parse, decision) = (lap.end(), random::decision_id()?);
        let gathered = match gather(app, &ask).await? {
            Gathered::Now(gathered) => gathered,
            Gathered::Earlier(_) => return Err(Failure::of(ProblemCode::InvalidState, "it was asked before")),
        };
        let (gather, now) = (lap.end(), app.clock.now());
        let within = gathered.check(now, app.limits);
        let bounds = lap.end();
        let made = match &within {
            Err(reason) => record::Made::by_bounds(now, Decision::Deny(Denied::by_host(*reason))),
            Ok(within) => evaluate::decide(app, (&ask, &gathered), within, decision).await?,
        };
        let evaluate = lap.end();
        drop(record::batch(&ask, (&gathered, gathered.veil(app)), within.as_ref().ok(), &made, decision, None)?);
        let record = lap.end();
        Ok(Rehearsed { decision: record::kind(&made.decision), parse, gather, bounds, evaluate, record })
    }
}

/// Times one step after the other.
struct Lap(Instant);

impl Lap {
    fn end(&mut self) -> Duration {
        let began = std::mem::replace(&mut self.0, Instant::now());
        self.0 - began
    }
}
