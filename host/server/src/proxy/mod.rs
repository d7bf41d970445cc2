//! `/proxy/{target}/…`: a request of an agent's that goes on to a service, if it is allowed, with a secret that the agent
//! never sees. The whole way is [`call`].
//!
//! Authentication has happened before (`http::access`), the decision is made where all are (`decisions`), and what is sent
//! is sent by the broker, for nothing but a grant that the store has recorded.

mod answer;
mod effect;
#[cfg(test)]
mod fixtures;
mod parse;
mod stands;

use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_api::ProblemCode;
use attorn_api::decisions::DecisionKind;
use attorn_broker::KindError;
use attorn_broker::proxy::{Answered, Outgoing, Place, Proxy, SendError};
use attorn_core::{AgentId, Grant, TargetId, TargetState};
use attorn_store::records::TargetRecord;
use attorn_store::{Key, Recorded, Versioned};
use tokio::sync::oneshot;

use crate::app::App;
use crate::decisions;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::metrics::ProxyOutcome;
use crate::targets::live::Live;
use crate::targets::unavailable;
use effect::Effects;
use parse::Onward;

/// How long a request waits while as many are sent there as are sent at once.
const WAIT: Duration = Duration::from_secs(1);

/// Decide what a request comes to, record that, and only then send it on.
pub(crate) async fn call(app: Arc<App>, mut call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let target = target(&app, &call.path("target")?).await?;
    let live = app.targets.live(&target.value.id);
    let counted = live.counted();
    let refused = |_: &Failure| counted.came(ProxyOutcome::Refused);
    let proxy = live.proxy(&app, &target).inspect_err(refused)?;
    let onward = parse::onward(&call, &target, proxy.settings()).inspect_err(refused)?;
    let agent = call.agent()?.agent.value.agent().id.clone();
    let place = place(&live, &proxy, (&agent, &onward)).await;
    let place = place.inspect_err(|_| counted.came(ProxyOutcome::Unavailable)).map_err(sent_again)?;
    let Onward { wanted, outgoing } = onward;
    let (decided, grant) = decisions::made_onward(&app, &call, wanted).await.inspect_err(refused)?;
    let (Some(grant), Some(outgoing), Some(place)) = (grant, outgoing, place) else {
        let challenged = decided.decision == DecisionKind::Challenge;
        counted.came(if challenged { ProxyOutcome::Challenged } else { ProxyOutcome::Denied });
        return Err(answer::refused(decided));
    };
    debug_assert_eq!(decided.decision, DecisionKind::Allow, "only an allow yields a grant");
    let effects = Effects::of(&app, (&target.value.id, counted), &grant, outgoing.body.len());
    // Only whoever may ask tries whether a target answers again.
    let sent = match live.asking() {
        Ok(_asking) => {
            let sent = send((&app, &proxy, &effects), &grant, outgoing, (place, &mut call.hung_up)).await;
            heard(&app, &live, &agent, &sent);
            sent
        }
        Err(_) => Err(SendError::NotSent(KindError::not_now("the target did not answer lately"))),
    };
    match sent {
        Ok(answered) => answer::passed_on(&app, (&target.value, proxy.settings()), &decided, answered),
        Err(error) => {
            tracing::warn!(target = %target.value.id, why = %error.why(), "a request was not answered");
            effects.failed(&error).await;
            Err(answer::failed(&target.value.id, decided, &error))
        }
    }
}

/// What came of a request says whether the target answers.
fn heard(app: &App, live: &Live, agent: &AgentId, sent: &Result<Answered, SendError>) {
    match sent {
        Ok(_) => live.came(app, None),
        Err(SendError::NotSent(why)) => live.came(app, Some(why)),
        Err(SendError::Late(why)) => live.came_late(app, agent, why),
        // What one request makes of the service says nothing of others.
        Err(SendError::Ended(_) | SendError::Broken(_) | SendError::HungUp(_)) => {}
    }
}

/// Send it, unless whoever asked hangs up before the answer begins.
async fn send(
    (app, proxy, effects): (&Arc<App>, &Arc<Proxy>, &Effects),
    grant: &Recorded<Grant>,
    outgoing: Outgoing,
    (place, hung_up): (Place, &mut oneshot::Receiver<()>),
) -> Result<Answered, SendError> {
    let ended = stands::ended(app, effects.target(), grant);
    let (told, since) = (effects.told(), Instant::now());
    tokio::select! {
        answered = proxy.send(grant, outgoing, (place, ended, told)) => {
            answered.inspect(|_| effects.began(since.elapsed()))
        }
        _ = hung_up => Err(SendError::hung_up()),
    }
}

/// A target that is called, and is active. Others look like none.
async fn target(app: &App, id: &TargetId) -> Result<Versioned<TargetRecord>, Failure> {
    let found = app.store.record::<TargetRecord>(&Key::target(id)).await?;
    let found = found.filter(|found| found.value.settings.proxy().is_some());
    let found = found.ok_or_else(|| Failure::not_found("target that is called", id))?;
    if found.value.state == TargetState::Active {
        return Ok(found);
    }
    let detail = format!("the target `{id}` is {}", found.value.state.as_str());
    Err(Failure::of(ProblemCode::NoTarget, detail))
}

/// Nothing of a request that goes on is kept, so there is no key to ask under anew.
fn sent_again(failure: Failure) -> Failure {
    match failure.problem.code {
        ProblemCode::TargetUnavailable => failure.with_help("send it again later: nothing was sent"),
        _ => failure,
    }
}

/// A place among those who ask it at once, before anything is decided; none for what goes nowhere.
async fn place(live: &Live, proxy: &Proxy, (agent, onward): (&AgentId, &Onward)) -> Result<Option<Place>, Failure> {
    if onward.outgoing.is_none() {
        return Ok(None);
    }
    // Whoever may not ask does not wait for a place either.
    if live.breaks() {
        return Err(live.not_lately());
    }
    let place = tokio::time::timeout(WAIT, proxy.place(agent)).await.ok().flatten();
    let busy = || unavailable("the target is asked by as many as it may be at once; nothing was decided");
    place.ok_or_else(busy).map(Some)
}
