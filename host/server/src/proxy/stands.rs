//! Whether the grant of a request that is on its way still stands. Whoever ends something looks for nothing, so this
//! looks: after every write that may have ended something (`Store::endings`).
//!
//! That a grant expires ends no answer: it says until when one may begin.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_broker::proxy::Ended;
use attorn_core::{Grant, GrantId, TargetId, TargetState};
use attorn_store::records::{GrantRecord, TargetRecord};
use attorn_store::{Key, Recorded};

use crate::app::App;
use crate::grants;
use crate::http::failure::Failure;
use crate::users::kept;

/// How long after a look the next comes at the earliest: so many writes are one look.
const PAUSE: Duration = Duration::from_millis(100);

/// Comes when the grant stands no more, or its target is not active.
pub(super) fn ended(app: &Arc<App>, target: &TargetId, grant: &Recorded<Grant>) -> Ended {
    let (app, target, id) = (Arc::clone(app), target.clone(), grant.get().id);
    Box::pin(async move {
        let mut endings = app.store.endings();
        loop {
            endings.borrow_and_update();
            match stands(&app, &target, &id).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => {
                    tracing::warn!(grant = %id, why = failure.internal, "cannot see whether a grant stands; what it allowed ends");
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
            // The store that fails ends the server.
            if endings.changed().await.is_err() {
                return;
            }
        }
    })
}

async fn stands(app: &App, target: &TargetId, id: &GrantId) -> Result<bool, Failure> {
    let target = app.store.record::<TargetRecord>(&Key::target(target)).await?;
    if target.is_none_or(|target| target.value.state != TargetState::Active) {
        return Ok(false);
    }
    let Some(record) = app.store.record::<GrantRecord>(&Key::grant(id)).await? else { return Ok(false) };
    // None where its user was erased.
    let Some(grant) = kept::read_grant(app, &record.value).await? else { return Ok(false) };
    match grants::stands(app, &grant, record.value.revoked_at).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.problem.code == ProblemCode::GrantInactive => Ok(false),
        Err(other) => Err(other),
    }
}
