//! Works on prompts that are due: puts the question, or polls for what came of it. It goes by the index of due times
//! alone, so after a crash it goes on where it was.
//!
//! Each provider has a few places, a breaker, and waits that grow, so that one that is dead or slow holds up nobody else's
//! users; of its places each agent has some, and agents take turns. What becomes of a prompt is decided in `steps`.

use std::sync::Arc;
use std::time::Duration;

use attorn_core::{AgentId, ApprovalId, ProviderId, TimeMs};
use attorn_store::records::{PromptBody, PromptRecord, ProviderRecord, Record as _};
use attorn_store::{Key, KeyKind, KeyPrefix, Versioned};

use super::answer::{self, Expected};
use super::problem::Problem;
use super::prompts::{self, Side};
use super::protocol::{Polled, Question};
use super::steps::{self, End, Heard, Step};
use super::wanted::{self, Left, Needs};
use crate::app::App;
use crate::approvals::vote::Evidence;
use crate::http::failure::Failure;
use crate::providers::token_digest;
use crate::random;
use crate::registry;
use crate::users::{open, seal};

/// How often it looks for what is due.
const TICK: Duration = Duration::from_millis(250);
/// How many prompts of one provider are read at a time, and about how many in one round.
const PAGE: usize = 256;
const DUE_MAX: usize = 4_096;

/// Work on what is due, for ever.
pub(crate) async fn run(app: Arc<App>) {
    let mut endings = app.store.endings();
    let (mut providers, mut known) = (Vec::new(), false);
    loop {
        if !known || endings.has_changed().unwrap_or(false) {
            endings.borrow_and_update();
            match all_providers(&app).await {
                Ok(found) => (providers, known) = (found, true),
                Err(failure) => tracing::warn!(why = failure.internal, "cannot read the providers"),
            }
        }
        for provider in &providers {
            if let Err(failure) = begin(&app, provider).await {
                tracing::warn!(%provider, why = failure.internal, "cannot see which prompts are due");
            }
        }
        let _ = tokio::time::timeout(TICK, app.backchannels.wake.notified()).await;
    }
}

async fn all_providers(app: &App) -> Result<Vec<ProviderId>, Failure> {
    let providers: Vec<ProviderRecord> = registry::all(&app.store, KeyKind::Provider).await?;
    Ok(providers.into_iter().map(|provider| provider.id).collect())
}

/// Begin to work on what is due at a provider, as far as there are places.
async fn begin(app: &Arc<App>, provider: &ProviderId) -> Result<(), Failure> {
    for (agent, approval) in app.backchannels.turns(provider, due(app, provider).await?) {
        let Some(working) = app.backchannels.begin(provider, (agent, approval)) else { continue };
        let live = app.backchannels.live(provider);
        // The next round asks again.
        let Some(place) = live.enter() else { return Ok(()) };
        let app = Arc::clone(app);
        tokio::spawn(async move {
            let came = one(&app, &approval).await;
            let worked = came.is_ok();
            let answered = came.unwrap_or_else(|failure| {
                tracing::warn!(%approval, why = failure.internal, "cannot work on a prompt");
                None
            });
            live.came(answered);
            drop((working, place));
            if worked {
                app.backchannels.wake.notify_one();
            }
        });
    }
    Ok(())
}

/// The prompts of a provider that are due, the earliest first, each with its agent.
async fn due(app: &App, provider: &ProviderId) -> Result<Vec<(AgentId, ApprovalId)>, Failure> {
    let now = app.clock.now();
    let (mut due, mut after) = (Vec::new(), None);
    loop {
        let page = app.store.scan(&KeyPrefix::prompts_due(provider), after.as_ref(), PAGE).await?;
        for (key, stored) in &page.items {
            match key.prompt_that_is_due() {
                Some((at, approval)) if at <= now => due.push((agent(&stored.value)?, approval)),
                _ => return Ok(due),
            }
        }
        after = page.next;
        if after.is_none() || due.len() >= DUE_MAX {
            return Ok(due);
        }
    }
}

fn agent(stored: &[u8]) -> Result<AgentId, Failure> {
    let text = std::str::from_utf8(stored).map_err(Failure::internal)?;
    text.parse().map_err(Failure::internal)
}

/// Do what is due for one prompt. Says whether the provider answered, if it was asked anything.
async fn one(app: &App, approval: &ApprovalId) -> Result<Option<bool>, Failure> {
    let Some(found) = app.store.record::<PromptRecord>(&Key::prompt(approval)).await? else { return Ok(None) };
    let now = app.clock.now();
    if found.value.due_at > now {
        return Ok(None);
    }
    let wanted = match wanted::of(app, &found.value).await? {
        Left::Waits(wanted) => wanted,
        Left::Denied(reason) => {
            prompts::came(app, &found, Step::Ends(End::Denied(reason))).await?;
            return Ok(None);
        }
        Left::Nothing => {
            prompts::close(app, &found).await?;
            return Ok(None);
        }
    };
    if now >= found.value.expires_at {
        prompts::came(app, &found, Step::Ends(End::Expired)).await?;
        return Ok(None);
    }
    let side = match Side::of(app, &found.value).await? {
        Ok(side) => side,
        Err(problem) => {
            prompts::came(app, &found, Step::Ends(End::Failed(problem))).await?;
            return Ok(None);
        }
    };
    match &found.value.started {
        None => ask(app, found, (&side, &wanted)).await,
        Some(_) => poll(app, &found, &side).await,
    }
}

/// Put the question. That it is put is recorded before.
async fn ask(
    app: &App,
    found: Versioned<PromptRecord>,
    (side, wanted): (&Side, &Needs),
) -> Result<Option<bool>, Failure> {
    if !steps::may_ask(&found.value) {
        prompts::came(app, &found, Step::Ends(End::Failed(Problem::AskedInVain))).await?;
        return Ok(None);
    }
    let client = side.client(app).await?;
    let endpoints = match client.endpoints().await {
        Ok(endpoints) => endpoints,
        Err(problem) => return not_asked(app, &found, problem).await,
    };
    // Of what they would say yes to, only the agent would have told them.
    if !endpoints.shows_details && !side.backchannel.code_only {
        return not_asked(app, &found, Problem::CannotShow).await;
    }
    let next = steps::asking(&found.value, app.clock.now());
    // As long as all stands that the question is for.
    let rests_on = [&wanted.rests_on[..], &side.rests_on[..]].concat();
    let Some(found) = prompts::on(app, &found, next, (None, &rests_on)).await? else { return Ok(Some(true)) };
    let question = Question {
        login_hint: &side.login_hint,
        code: &wanted.code,
        expires_in_s: (found.value.expires_at.ms_since(found.value.started_at) / 1_000).max(1),
        detail: endpoints.shows_details.then_some(wanted.detail.as_str()),
    };
    match client.ask(&endpoints.authentication, &question, app.clock.now()).await {
        Ok(started) => {
            let token_endpoint = endpoints.token.to_string();
            let body = PromptBody { request_id: started.request_id.clone(), token_endpoint };
            let sealed = seal(&side.key, &found.value.key(), &body.encode())?;
            let step = steps::asked(&found.value, app.clock.now(), &started, sealed);
            prompts::came(app, &found, step).await?;
            Ok(Some(true))
        }
        Err(problem) => not_asked(app, &found, problem).await,
    }
}

async fn not_asked(app: &App, found: &Versioned<PromptRecord>, problem: Problem) -> Result<Option<bool>, Failure> {
    let provider = &found.value.provider;
    tracing::warn!(%provider, why = problem.code(), "a user could not be asked at their provider");
    let step = steps::not_asked(&found.value, app.clock.now(), problem, random::number());
    prompts::came(app, found, step).await?;
    Ok(Some(!problem.is_temporary()))
}

/// See what came of it. A poll that was held back for as long as anybody waits says nothing of the provider.
async fn poll(app: &App, found: &Versioned<PromptRecord>, side: &Side) -> Result<Option<bool>, Failure> {
    let prompt = &found.value;
    let Some(sealed) = &prompt.started else { return Ok(None) };
    let mut evidence = Evidence { provider: prompt.provider.clone(), token: None };
    let place = prompt.key();
    let body = PromptBody::decode(&place, &open(&side.key, &place, sealed)?).map_err(Failure::internal)?;
    let came = match super::metadata::endpoint(&side.provider.issuer, &body.token_endpoint) {
        Ok(endpoint) => {
            let client = side.client(app).await?;
            let polled = client.poll(&endpoint, &body.request_id, app.clock.now()).await;
            looked_at(app, side, polled, (&body.request_id, prompt.started_at), &mut evidence).await
        }
        Err(problem) => Heard::Failed(problem),
    };
    if let Heard::Failed(problem) = came {
        let provider = &prompt.provider;
        tracing::warn!(%provider, why = problem.code(), "a provider's answer about a user was no answer");
    }
    match steps::polled(prompt, app.clock.now(), came, random::number()) {
        steps::Polled::Said(say) => wanted::vote(app, (found, side), (say, &evidence)).await?,
        steps::Polled::Step(step) => prompts::came(app, found, step).await?,
    }
    Ok(match came {
        Heard::Failed(Problem::TimedOut) => None,
        Heard::Failed(problem) => Some(!problem.is_temporary()),
        _ => Some(true),
    })
}

/// An ID token is a yes only if it is what it should be.
async fn looked_at(
    app: &App,
    side: &Side,
    polled: Polled,
    (request_id, at): (&str, TimeMs),
    evidence: &mut Evidence,
) -> Heard {
    match polled {
        Polled::Pending => Heard::Pending,
        Polled::SlowDown => Heard::SlowDown,
        Polled::Denied => Heard::Refused,
        Polled::Expired => Heard::Expired,
        Polled::Failed(problem) => Heard::Failed(problem),
        Polled::IdToken(token) => {
            let asked = Expected { client: &side.backchannel.client, subject: &side.subject, request_id, at };
            match answer::verify(app, &side.provider, &token, &asked).await {
                Ok(issued_at) => {
                    evidence.token = Some((token_digest(&token), issued_at));
                    Heard::Approved
                }
                Err(problem) => Heard::Failed(problem),
            }
        }
    }
}
