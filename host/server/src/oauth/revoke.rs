//! `POST /oauth/revoke` (RFC 7009): an agent gives up a token of its own, and with it the grant.

use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_api::oauth::OAuthCode;
use attorn_store::{Batch, CommitError, Key, Require};
use serde_json::json;

use super::granted;
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::moved;

/// How often it is tried anew because the grant changed meanwhile.
const ATTEMPTS_MAX: usize = 8;

/// One durable write: after its acknowledgement no use counts. What is no token of ours, or was revoked
/// before, is revoked in any sense that matters (RFC 7009, section 2.2).
pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (agent, token) = (&call.agent()?.agent.value.agent().id, call.form()?.needed("token")?);
    for _ in 0..ATTEMPTS_MAX {
        let Some(known) = granted::grant(&app, token).await? else { return Ok(done()) };
        let (grant, mut stored) = (&known.grant, known.record);
        if grant.agent != *agent {
            let detail = "the token was issued to another client";
            return Err(Failure::oauth(OAuthCode::UnauthorizedClient, detail));
        }
        if stored.value.revoked_at.is_some() {
            return Ok(done());
        }
        let mut batch = Batch::new(app.clock.now());
        let about = json!({ "grant": grant.id.to_string(), "decision_id": grant.decision.to_string() });
        let members = json!({ "agent": agent.as_str(), "about": about });
        batch.entries.push(entry::body(batch.now, EntryType::GrantRevoked, members)?);
        batch.require.push((Key::grant(&grant.id), Require::Version(stored.version)));
        stored.value.revoked_at = Some(batch.now);
        batch.put_record(&stored.value);
        match app.store.commit(batch).await {
            Ok(_) => return Ok(done()),
            Err(CommitError::Conflict(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(moved())
}

/// The answer has no content that means anything.
fn done() -> Reply {
    Reply::json_text("{}")
}
