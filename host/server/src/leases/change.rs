//! What becomes of a lease: each change is one batch that names the version that it changes, with an entry wherever it
//! goes a step further.

use attorn_api::audit::EntryType;
use attorn_broker::KindError;
use attorn_core::{Grant, LeaseId, LeaseState, TargetState, TimeMs};
use attorn_store::records::{GrantRecord, LeaseRecord, TargetRecord};
use attorn_store::{Batch, CommitError, Key, Recorded, Require, Versioned};
use serde_json::{Value, json};

use crate::app::App;
use crate::http::failure::Failure;
use crate::registry::moved;
use crate::targets::unavailable;
use crate::{entry, grants};

/// How often a change is made anew because another came between. Attempts to end a lease are counted in its record.
const ROUNDS_MAX: usize = 8;

/// Why a lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its time is over.
    Expired,
    /// Its grant stands no more.
    GrantInactive,
    /// Its target was retired.
    TargetRetired,
    /// An operator ends it.
    Operator,
    /// It could not be made.
    IssueFailed,
    /// It was made, and its grant did not stand any more, or the store had no room.
    NotRecorded,
    /// Nobody says what came of making it: the server was stopped meanwhile.
    Interrupted,
}

impl Why {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::GrantInactive => "grant_inactive",
            Self::TargetRetired => "target_retired",
            Self::Operator => "operator",
            Self::IssueFailed => "issue_failed",
            Self::NotRecorded => "not_recorded",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One change, and what the log says of it, if it says anything.
pub(crate) struct Change {
    pub(crate) next: LeaseRecord,
    pub(crate) said: Option<(EntryType, Value)>,
}

/// A lease, if there is one.
pub(crate) async fn find(app: &App, id: &LeaseId) -> Result<Option<Versioned<LeaseRecord>>, Failure> {
    Ok(app.store.record(&Key::lease(id)).await?)
}

/// Make a change that depends on how the lease stands; none if nothing is to change.
pub(crate) async fn make(
    app: &App,
    id: &LeaseId,
    change: impl Fn(&LeaseRecord, TimeMs) -> Option<Change>,
) -> Result<Option<LeaseRecord>, Failure> {
    for _ in 0..ROUNDS_MAX {
        let Some(found) = find(app, id).await? else { return Ok(None) };
        let mut batch = Batch::new(app.clock.now());
        let Some(Change { next, said }) = change(&found.value, batch.now) else { return Ok(None) };
        batch.require.push((Key::lease(id), Require::Version(found.version)));
        if let Some((kind, members)) = said {
            batch.entries.push(entry::body(batch.now, kind, with_lease(&next, members))?);
        }
        found.value.becomes(&next, &mut batch);
        match app.store.commit(batch).await {
            Ok(_) => return Ok(Some(next)),
            Err(CommitError::Conflict(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(moved())
}

/// Have a lease ended from now on. One that is being ended already stays as it is.
pub(crate) async fn end(app: &App, id: &LeaseId, why: Why) -> Result<(), Failure> {
    end_saying(app, id, (why, None), json!({})).await
}

/// The same, with more that its entry says.
pub(crate) async fn end_saying(
    app: &App,
    id: &LeaseId,
    (why, error): (Why, Option<&KindError>),
    members: Value,
) -> Result<(), Failure> {
    let text = error.map(ToString::to_string);
    let lasting = error.map(|error| cut(&error.lasting()));
    let change = |lease: &LeaseRecord, now| {
        let next = ending(lease, now, text.as_deref())?;
        let mut members = members.clone();
        (members["why"], members["error"]) = (why.as_str().into(), json!(lasting));
        Some(Change { next, said: Some((EntryType::LeaseRevoking, members)) })
    };
    make(app, id, change).await?;
    app.targets.wake.notify_one();
    Ok(())
}

/// What a lease becomes that is to be ended.
pub(crate) fn ending(lease: &LeaseRecord, now: TimeMs, error: Option<&str>) -> Option<LeaseRecord> {
    let begins = matches!(lease.state, LeaseState::Intended | LeaseState::Issued);
    begins.then(|| LeaseRecord {
        state: LeaseState::Revoking,
        due_at: now,
        last_error: error.map(cut),
        ..lease.clone()
    })
}

/// Record that the login was made. The commit names the grant and all that it hangs on: whoever ends one of them ends
/// this, too, before it was shown.
pub(crate) async fn issued(app: &App, grant: &Recorded<Grant>, lease: &LeaseRecord) -> Result<(), Failure> {
    let key = Key::grant(&lease.grant);
    for _ in 0..ROUNDS_MAX {
        let stored = app.store.record::<GrantRecord>(&key).await?;
        let stored = stored.ok_or_else(|| Failure::internal(format_args!("grant {} is gone", lease.grant)))?;
        let still = grants::active(app, grant.get(), stored.value.revoked_at).await?;
        let target = app.store.record::<TargetRecord>(&Key::target(&lease.target)).await?;
        let target = target.filter(|target| target.value.state != TargetState::Retired);
        let target = target.ok_or_else(|| unavailable("the target was retired meanwhile"))?;
        let mut batch = Batch::new(app.clock.now());
        batch.require.extend(still);
        batch.require.push((key.clone(), Require::Version(stored.version)));
        batch.require.push((Key::target(&lease.target), Require::Version(target.version)));
        batch.require.push((Key::lease(&lease.id), Require::Version(grant.version())));
        let next = LeaseRecord { state: LeaseState::Issued, due_at: lease.expires_at, ..lease.clone() };
        batch.entries.push(entry::body(batch.now, EntryType::LeaseIssued, with_lease(&next, json!({})))?);
        lease.becomes(&next, &mut batch);
        match app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(moved())
}

/// What every entry about a lease names.
pub(crate) fn with_lease(lease: &LeaseRecord, mut members: Value) -> Value {
    members["lease"] = lease.id.to_string().into();
    members["grant"] = lease.grant.to_string().into();
    members["agent"] = lease.agent.as_str().into();
    members["target"] = lease.target.as_str().into();
    members["name"] = lease.name.as_str().into();
    members
}

/// What went wrong, as it is kept.
pub(crate) fn cut(error: &str) -> String {
    let mut end = error.len().min(LeaseRecord::ERROR_BYTES_MAX);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    error[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("a{}", "\u{fc}".repeat(400));
        assert_eq!(cut(&long).len(), 511);
    }
}
