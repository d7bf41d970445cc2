//! What came of a use of a grant, as an entry: that the service answered, that nobody knows, or that nothing was sent.
//!
//! That it was used stands in the batch of the decision. An entry of a use without one of its effect means that nobody
//! knows either: the server ended between the two.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::audit::EntryType;
use attorn_broker::proxy::{Cut, End, SendError, Told};
use attorn_core::{AgentId, DecisionId, Grant, GrantId, TargetId};
use attorn_store::{Batch, Key, Recorded, Require};
use serde_json::json;
use tokio::runtime::Handle;

use crate::app::App;
use crate::entry;
use crate::http::failure::Failure;
use crate::metrics::{ProxyMetrics, ProxyOutcome};

/// The one use of a grant, of which the effect is recorded once.
#[derive(Clone)]
pub(super) struct Effects {
    app: Arc<App>,
    about: Arc<About>,
    counted: Arc<ProxyMetrics>,
}

struct About {
    target: TargetId,
    agent: AgentId,
    grant: GrantId,
    decision: DecisionId,
    resource_server: String,
    request_bytes: usize,
}

impl Effects {
    pub(super) fn of(
        app: &Arc<App>,
        (target, counted): (&TargetId, Arc<ProxyMetrics>),
        grant: &Recorded<Grant>,
        request_bytes: usize,
    ) -> Self {
        let grant = grant.get();
        let about = About {
            target: target.clone(),
            agent: grant.agent.clone(),
            grant: grant.id,
            decision: grant.decision,
            resource_server: grant.resource_server.to_string(),
            request_bytes,
        };
        Self { app: Arc::clone(app), about: Arc::new(about), counted }
    }

    /// Which target was asked.
    pub(super) fn target(&self) -> &TargetId {
        &self.about.target
    }

    /// The answer began so long after its request was begun to be sent.
    pub(super) fn began(&self, took: Duration) {
        self.counted.answered_after(took);
    }

    /// What is told of the end of the answer. It is recorded by a task of its own: nobody waits for that.
    pub(super) fn told(&self) -> Told {
        let (effects, runtime) = (self.clone(), Handle::current());
        Box::new(move |end| {
            effects.counted.came(match end.cut {
                None => ProxyOutcome::Answered,
                Some(Cut::Secret) => ProxyOutcome::CutSecret,
                Some(_) => ProxyOutcome::Cut,
            });
            effects.leaks(&end);
            effects.counted.carried(effects.about.request_bytes as u64, end.bytes);
            runtime.spawn(async move { effects.record("done", Some(end), None).await });
        })
    }

    /// A service that answers with the secret has to be mended, and whoever watches the server has to hear of it.
    fn leaks(&self, end: &End) {
        let About { target, decision, .. } = &*self.about;
        if end.cut == Some(Cut::Secret) {
            tracing::warn!(%target, %decision, "a service answered with its secret: the answer was cut off");
        }
        if end.secret_in_header {
            tracing::warn!(%target, %decision, "a service answered with its secret in a header, which was left out");
        }
    }

    /// There was no answer.
    pub(super) async fn failed(&self, error: &SendError) {
        let (effect, outcome) = match error {
            SendError::NotSent(_) | SendError::Ended(_) => ("not_sent", ProxyOutcome::NotSent),
            SendError::Late(_) | SendError::Broken(_) | SendError::HungUp(_) => ("unknown", ProxyOutcome::Unknown),
        };
        self.counted.came(outcome);
        if matches!(error, SendError::Late(_) | SendError::Broken(_)) {
            self.counted.carried(self.about.request_bytes as u64, 0);
        }
        self.record(effect, None, Some(error.why().to_string())).await;
    }

    async fn record(&self, effect: &'static str, end: Option<End>, why: Option<String>) {
        if let Err(failure) = self.commit(effect, end, why).await {
            let grant = &self.about.grant;
            tracing::warn!(%grant, why = failure.internal, problem = %failure.problem, "what came of a use was not recorded");
        }
    }

    async fn commit(&self, effect: &'static str, end: Option<End>, why: Option<String>) -> Result<(), Failure> {
        let (app, about) = (&self.app, &self.about);
        let mut batch = Batch::new(app.clock.now());
        let members = json!({ "agent": about.agent.as_str(), "grant": about.grant.to_string(), "decision_id": about.decision.to_string(),
            "target": about.target.as_str(), "resource_server": about.resource_server, "use_number": 1,
            "effect": effect, "status": end.map(|end| end.status.as_u16()), "request_bytes": about.request_bytes,
            "response_bytes": end.map(|end| end.bytes), "cut": end.and_then(|end| end.cut).map(Cut::as_str),
            "secret_in_header": end.is_some_and(|end| end.secret_in_header), "note": why });
        batch.entries.push(entry::body(batch.now, EntryType::GrantEffect, members)?);
        let key = Key::grant_effect(&about.grant, 1);
        batch.require.push((key.clone(), Require::Absent));
        batch.put.push((key, effect.into()));
        app.store.commit(batch).await?;
        Ok(())
    }
}
