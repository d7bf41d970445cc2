//! Telling others of what is to be approved, by operators, by its user, or by members of a group: a signed message to each
//! registered webhook.
//!
//! A decision puts a note into a bounded queue and goes on (`asked`). A task of its own sends (`run`): each webhook has
//! its own few messages under way (`hook`), each of which is tried again until its approval waits no more (`send`). What
//! has no room is counted and told later, out of the approvals that are recorded. What waits is sent once more after a
//! start; receivers know a message by its id.

mod hook;
pub(crate) mod routes;
mod send;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attorn_api::approvals::WebhookMessage;
use attorn_core::WebhookId;
use attorn_store::KeyKind;
use attorn_store::records::{ApprovalRecord, WebhookRecord};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{asks_operators, asks_user, content};
use crate::app::App;
use crate::metrics::WebhookEvent;
use crate::registry;
use hook::Hook;

/// The most webhooks that there are.
pub(crate) const WEBHOOKS_MAX: usize = 8;
/// How many notes wait.
const QUEUE_MAX: usize = 256;
/// How often somebody who is behind is looked after, if nothing else happens.
const LOOK: Duration = Duration::from_secs(1);

/// Where notes wait.
pub(crate) struct Webhooks {
    asked: mpsc::Sender<WebhookMessage>,
    waiting: Mutex<Option<mpsc::Receiver<WebhookMessage>>>,
    /// Something had no room there.
    missed: AtomicBool,
}

impl Webhooks {
    pub(crate) fn new() -> Self {
        let (asked, waiting) = mpsc::channel(QUEUE_MAX);
        Self { asked, waiting: Mutex::new(Some(waiting)), missed: AtomicBool::new(false) }
    }

    /// Somebody is asked to approve something. This never waits.
    pub(crate) fn asked(&self, app: &App, record: &ApprovalRecord, page: Option<&str>) {
        if self.asked.try_send(message(record, page.map(str::to_owned))).is_err() {
            self.missed.store(true, Ordering::Release);
            app.metrics.webhook(WebhookEvent::Deferred);
        }
    }
}

/// It names agent and approval, and of a person no more than the id that they have here.
fn message(record: &ApprovalRecord, page: Option<String>) -> WebhookMessage {
    let (operators, groups) = (asks_operators(record), content::groups(record));
    let user = record.user().filter(|_| asks_user(record));
    let asks = [("operator", operators), ("user", user.is_some()), ("group", !groups.is_empty())];
    WebhookMessage {
        kind: "approval.requested".into(),
        requested_at_ms: record.created_at.0,
        approval: record.request.id.to_string(),
        code: record.code.clone(),
        agent: record.agent.to_string(),
        asks: asks.into_iter().filter(|(_, asks)| *asks).map(|(role, _)| role.to_owned()).collect(),
        groups,
        user: user.map(ToString::to_string),
        decision_id: record.decision.to_string(),
        expires_at_ms: record.request.expires_at.0,
        page,
    }
}

/// Send for ever.
pub(crate) async fn run(app: Arc<App>) {
    let waiting = app.webhooks.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut waiting) = waiting else { return };
    // What waits since before the start is told, too.
    let mut sender = Sender { hooks: BTreeMap::new(), under_way: JoinSet::new(), all_behind: true };
    loop {
        sender.all_behind |= app.webhooks.missed.swap(false, Ordering::AcqRel);
        sender.catch_up(&app).await;
        tokio::select! {
            message = waiting.recv() => match message {
                Some(message) => sender.tell(&app, &message).await,
                None => return,
            },
            Some(_) = sender.under_way.join_next() => {}
            () = tokio::time::sleep(LOOK), if sender.is_behind() => {}
        }
    }
}

/// All webhooks, and what is under way to them.
struct Sender {
    hooks: BTreeMap<WebhookId, Hook>,
    under_way: JoinSet<()>,
    /// Nobody knows which of them was not told of something.
    all_behind: bool,
}

impl Sender {
    fn is_behind(&self) -> bool {
        self.all_behind || self.hooks.values().any(Hook::is_behind)
    }

    async fn tell(&mut self, app: &Arc<App>, message: &WebhookMessage) {
        if !self.refreshed(app).await {
            app.metrics.webhook(WebhookEvent::Deferred);
            self.all_behind = true;
            return;
        }
        for hook in self.hooks.values_mut() {
            if !hook.begin(app, message, &mut self.under_way) {
                app.metrics.webhook(WebhookEvent::Deferred);
                hook.falls_behind();
            }
        }
    }

    async fn catch_up(&mut self, app: &Arc<App>) {
        if self.all_behind && self.refreshed(app).await {
            self.hooks.values_mut().for_each(Hook::falls_behind);
            self.all_behind = false;
        }
        for hook in self.hooks.values_mut() {
            if let Err(failure) = hook.catch_up(app, &mut self.under_way).await {
                tracing::warn!(why = failure.internal, "cannot tell of approvals that wait");
            }
        }
    }

    /// Know all webhooks as they are now. False if they cannot be read.
    async fn refreshed(&mut self, app: &App) -> bool {
        let records = match registry::all::<WebhookRecord>(&app.store, KeyKind::Webhook).await {
            Ok(records) => records,
            Err(failure) => {
                tracing::warn!(why = failure.internal, "cannot read the webhooks");
                return false;
            }
        };
        for record in records {
            if record.revoked_at.is_some() {
                self.hooks.remove(&record.id);
            } else if !self.hooks.contains_key(&record.id) {
                self.hooks.insert(record.id.clone(), Hook::new(record));
            }
        }
        true
    }
}
