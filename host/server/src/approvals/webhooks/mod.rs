//! Telling operators of what they are asked to approve: a signed message to each registered webhook.
//!
//! A decision puts a note into a bounded queue and goes on (`asked`). A task of its own sends (`run`): each webhook has
//! its own few messages under way, each of which is tried again until its approval has lapsed. What has no room is
//! dropped and counted: approvals are recorded, and whoever asks for them finds them. What waits is sent once more
//! after a start; receivers know a message by its id.

pub(crate) mod routes;
mod send;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use attorn_api::approvals::WebhookMessage;
use attorn_core::{ApproverRole, WebhookId};
use attorn_store::records::{ApprovalRecord, Record as _, WebhookRecord};
use attorn_store::{Key, KeyKind, KeyPrefix, PAGE_ITEMS_MAX};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{asks_for, page};
use crate::app::App;
use crate::http::failure::Failure;
use crate::metrics::WebhookEvent;

/// The most webhooks that there are.
pub(crate) const WEBHOOKS_MAX: usize = 8;
/// How many notes wait.
const QUEUE_MAX: usize = 256;
/// How many messages to one webhook are under way.
const UNDER_WAY_MAX: usize = 16;

/// Where notes wait.
pub(crate) struct Webhooks {
    asked: mpsc::Sender<WebhookMessage>,
    waiting: Mutex<Option<mpsc::Receiver<WebhookMessage>>>,
}

impl Webhooks {
    pub(crate) fn new() -> Self {
        let (asked, waiting) = mpsc::channel(QUEUE_MAX);
        Self { asked, waiting: Mutex::new(Some(waiting)) }
    }

    /// Somebody is asked to approve something. This never waits.
    pub(crate) fn asked(&self, app: &App, record: &ApprovalRecord, page: Option<&str>) {
        let wanted = asks_for(record, ApproverRole::Operator);
        if wanted && self.asked.try_send(message(record, page.map(str::to_owned))).is_err() {
            app.metrics.webhook(WebhookEvent::Dropped);
        }
    }
}

/// It names agent and approval, and no person.
fn message(record: &ApprovalRecord, page: Option<String>) -> WebhookMessage {
    WebhookMessage {
        kind: "approval.requested".into(),
        requested_at_ms: record.created_at.0,
        approval: record.request.id.to_string(),
        code: record.code.clone(),
        agent: record.agent.to_string(),
        decision_id: record.decision.to_string(),
        expires_at_ms: record.request.expires_at.0,
        page,
    }
}

/// Send for ever.
pub(crate) async fn run(app: Arc<App>) {
    let waiting = app.webhooks.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut waiting) = waiting else { return };
    let (mut under_way, mut room) = (JoinSet::new(), BTreeMap::new());
    match left(&app).await {
        Ok(messages) => {
            for message in messages {
                send_to_all(&app, &message, (&mut under_way, &mut room)).await;
            }
        }
        Err(failure) => tracing::warn!(why = failure.internal, "cannot tell of approvals that wait since before"),
    }
    while let Some(message) = waiting.recv().await {
        while under_way.try_join_next().is_some() {}
        send_to_all(&app, &message, (&mut under_way, &mut room)).await;
    }
}

/// What waits since before the start.
async fn left(app: &App) -> Result<Vec<WebhookMessage>, Failure> {
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::OpenApproval), None, QUEUE_MAX).await?;
    let (mut messages, now) = (Vec::new(), app.clock.now());
    for id in page.items.iter().filter_map(|(key, _)| key.named_approval()) {
        let Some(found) = app.store.record::<ApprovalRecord>(&Key::approval(&id)).await? else { continue };
        let pending = super::state(app, &found, now) == attorn_core::ApprovalState::Pending;
        if pending && asks_for(&found.value, ApproverRole::Operator) {
            messages.push(message(&found.value, page::link(app, &found.value).await?));
        }
    }
    Ok(messages)
}

type Room = BTreeMap<WebhookId, Arc<Semaphore>>;

async fn send_to_all(app: &Arc<App>, message: &WebhookMessage, (under_way, room): (&mut JoinSet<()>, &mut Room)) {
    let webhooks = match all(app).await {
        Ok(webhooks) => webhooks,
        Err(failure) => {
            app.metrics.webhook(WebhookEvent::Dropped);
            tracing::warn!(why = failure.internal, "cannot read the webhooks");
            return;
        }
    };
    for webhook in webhooks.into_iter().filter(|webhook| webhook.revoked_at.is_none()) {
        let places = room.entry(webhook.id.clone()).or_insert_with(|| Arc::new(Semaphore::new(UNDER_WAY_MAX)));
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            app.metrics.webhook(WebhookEvent::Dropped);
            continue;
        };
        let (app, message) = (Arc::clone(app), message.clone());
        under_way.spawn(async move {
            send::until_taken(&app, &webhook, &message).await;
            drop(place);
        });
    }
}

/// All that there are, revoked ones too.
async fn all(app: &App) -> Result<Vec<WebhookRecord>, Failure> {
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::Webhook), None, PAGE_ITEMS_MAX).await?;
    let records = page.items.iter().map(|(key, stored)| WebhookRecord::decode(key, &stored.value));
    records.collect::<Result<_, _>>().map_err(Failure::internal)
}
