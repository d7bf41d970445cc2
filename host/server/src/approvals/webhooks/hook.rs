//! One webhook: what it is being told, and whether it is still to be told of more.
//!
//! It has a few places for messages that are under way. What finds none is not lost: the webhook is *behind* then, and
//! as places come free, what waits is looked through from the beginning (`catch_up`). What was told, or begun, is not
//! begun again.

use std::collections::BTreeMap;
use std::sync::Arc;

use attorn_api::approvals::WebhookMessage;
use attorn_core::{ApprovalId, ApprovalState, TimeMs};
use attorn_store::records::{ApprovalRecord, WebhookRecord};
use attorn_store::{Key, KeyKind, KeyPrefix};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::{message, send};
use crate::app::App;
use crate::approvals::{page, state};
use crate::http::failure::Failure;

/// How many messages to one webhook are under way.
const UNDER_WAY_MAX: usize = 16;
/// How many approvals are looked at in one step.
const PAGE: usize = 64;

/// A webhook, as long as it is not revoked.
pub(super) struct Hook {
    record: Arc<WebhookRecord>,
    places: Arc<Semaphore>,
    /// It has taken a message: whatever waits to be tried again need not wait.
    answers: Arc<Notify>,
    /// What was told or is under way, and until when that is of use.
    begun: BTreeMap<ApprovalId, TimeMs>,
    behind: Option<Behind>,
}

/// How far it was looked for what it still has to be told.
#[derive(Default)]
struct Behind {
    after: Option<Key>,
    /// Something found no place since that began.
    again: bool,
}

impl Hook {
    pub(super) fn new(record: WebhookRecord) -> Self {
        let (record, places) = (Arc::new(record), Arc::new(Semaphore::new(UNDER_WAY_MAX)));
        Self { record, places, answers: Arc::default(), begun: BTreeMap::new(), behind: None }
    }

    pub(super) const fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Something was not begun that it is to be told.
    pub(super) fn falls_behind(&mut self) {
        match &mut self.behind {
            Some(behind) => behind.again = true,
            None => self.behind = Some(Behind::default()),
        }
    }

    /// Begin to tell it of an approval, if there is a place.
    pub(super) fn begin(&mut self, app: &Arc<App>, message: &WebhookMessage, under_way: &mut JoinSet<()>) -> bool {
        let Ok(approval) = message.approval.parse::<ApprovalId>() else { return true };
        if self.begun.contains_key(&approval) {
            return true;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return false };
        let now = app.clock.now();
        self.begun.retain(|_, until| *until > now);
        self.begun.insert(approval, TimeMs(message.expires_at_ms));
        let (app, record, answers) = (Arc::clone(app), Arc::clone(&self.record), Arc::clone(&self.answers));
        let message = message.clone();
        under_way.spawn(async move {
            send::until_taken(&app, (&record, &answers), (approval, &message)).await;
            drop(place);
        });
        true
    }

    /// Look through what waits, as far as there are places.
    pub(super) async fn catch_up(&mut self, app: &Arc<App>, under_way: &mut JoinSet<()>) -> Result<(), Failure> {
        while let Some(behind) = &self.behind {
            if self.places.available_permits() == 0 {
                return Ok(());
            }
            let page = app.store.scan(&KeyPrefix::kind(KeyKind::OpenApproval), behind.after.as_ref(), PAGE).await?;
            for (key, _) in page.items {
                if let Some(message) = waits(app, &key).await?
                    && !self.begin(app, &message, under_way)
                {
                    return Ok(());
                }
                self.comes_to(key);
            }
            match page.next {
                Some(next) => self.comes_to(next),
                None => self.behind = self.behind.take().filter(|behind| behind.again).map(|_| Behind::default()),
            }
        }
        Ok(())
    }

    fn comes_to(&mut self, key: Key) {
        if let Some(behind) = &mut self.behind {
            behind.after = Some(key);
        }
    }
}

/// The message about an approval that waits for somebody; none if this one does not.
async fn waits(app: &App, key: &Key) -> Result<Option<WebhookMessage>, Failure> {
    let Some(id) = key.named_approval() else { return Ok(None) };
    let Some(found) = app.store.record::<ApprovalRecord>(&Key::approval(&id)).await? else { return Ok(None) };
    let pending = state(app, &found, app.clock.now()).await? == ApprovalState::Pending;
    if !pending {
        return Ok(None);
    }
    Ok(Some(message(&found.value, page::link(app, &found.value).await?)))
}
