//! Telling operators of what they are asked to approve: a signed message to each registered webhook.
//!
//! A decision puts a note into a bounded queue and goes on (`asked`). A task of its own sends (`run`): each webhook has
//! its own few messages under way, each of which is tried again until its approval has lapsed. What has no room is
//! dropped and counted: approvals are recorded, and whoever asks for them finds them.
//!
//! Who was told stands in memory alone. After a start each approval that still waits is told to each webhook, whether it
//! was before or not, as that has places for it; receivers know a message by its id.

pub(crate) mod routes;
mod send;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use attorn_api::approvals::WebhookMessage;
use attorn_core::{ApprovalId, ApprovalState, ApproverRole, WebhookId};
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
        Ok((webhooks, approvals)) => {
            for webhook in webhooks {
                let told = tell_again(Arc::clone(&app), (places(&mut room, &webhook), webhook), approvals.clone());
                under_way.spawn(told);
            }
        }
        Err(failure) => tracing::warn!(why = failure.internal, "cannot tell of approvals that wait since before"),
    }
    while let Some(message) = waiting.recv().await {
        while under_way.try_join_next().is_some() {}
        send_to_all(&app, &message, (&mut under_way, &mut room)).await;
    }
}

/// The webhooks that are told, and what waits since before the start.
async fn left(app: &App) -> Result<(Vec<WebhookRecord>, Vec<ApprovalId>), Failure> {
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::OpenApproval), None, QUEUE_MAX).await?;
    let approvals = page.items.iter().filter_map(|(key, _)| key.named_approval()).collect();
    let webhooks = all(app).await?;
    Ok((webhooks.into_iter().filter(|webhook| webhook.revoked_at.is_none()).collect(), approvals))
}

/// Tell one webhook of these approvals, as it has places for them: of what waits since before nothing is dropped, and no
/// webhook waits for another.
async fn tell_again(app: Arc<App>, (places, webhook): (Arc<Semaphore>, WebhookRecord), approvals: Vec<ApprovalId>) {
    let (webhook, mut under_way) = (Arc::new(webhook), JoinSet::new());
    for id in approvals {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // Somebody may have answered it meanwhile.
        let message = match waits(&app, &id).await {
            Ok(Some(message)) => message,
            Ok(None) => continue,
            Err(failure) => {
                app.metrics.webhook(WebhookEvent::Dropped);
                tracing::warn!(approval = %id, why = failure.internal, "cannot tell of an approval that waits");
                continue;
            }
        };
        let (app, webhook) = (Arc::clone(&app), Arc::clone(&webhook));
        under_way.spawn(async move {
            send::until_taken(&app, &webhook, &message).await;
            drop(place);
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// The message about an approval, if operators are asked for it now.
async fn waits(app: &App, id: &ApprovalId) -> Result<Option<WebhookMessage>, Failure> {
    let found = app.store.record::<ApprovalRecord>(&Key::approval(id)).await?;
    let pending = |found: &_| super::state(app, found, app.clock.now()) == ApprovalState::Pending;
    let found = found.filter(pending).filter(|found| asks_for(&found.value, ApproverRole::Operator));
    let Some(found) = found else { return Ok(None) };
    Ok(Some(message(&found.value, page::link(app, &found.value).await?)))
}

type Room = BTreeMap<WebhookId, Arc<Semaphore>>;

/// The places of a webhook: so many messages to it are under way.
fn places(room: &mut Room, webhook: &WebhookRecord) -> Arc<Semaphore> {
    Arc::clone(room.entry(webhook.id.clone()).or_insert_with(|| Arc::new(Semaphore::new(UNDER_WAY_MAX))))
}

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
        let Ok(place) = places(room, &webhook).try_acquire_owned() else {
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
