//! Users: found by their provider's name for them, read with their key, and what they may do.
//!
//! What is stored about a user can be read with that user's key alone. A user whose key was destroyed is nobody.

pub(crate) mod entitled;
pub(crate) mod entitlements;
pub(crate) mod erase;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod kept;
pub(crate) mod key_files;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod person;
pub(crate) mod routes;
pub(crate) mod sessions;

use std::sync::Arc;

use attorn_core::UserId;
use attorn_identity::UserKey;
use attorn_store::records::{Record as _, Sealed, UserBody, UserRecord};
use attorn_store::{Batch, CommitError, Committed, Key, Versioned};
use zeroize::Zeroizing;

use crate::app::App;
use crate::http::failure::Failure;

/// A user, and what is known of them.
pub(crate) struct KnownUser {
    pub(crate) record: Versioned<UserRecord>,
    pub(crate) body: UserBody,
    pub(crate) key: Arc<UserKey>,
    /// Not recorded yet, and neither is their key on disk.
    pub(crate) is_new: bool,
}

impl KnownUser {
    /// Commit a batch that rests on this user; none if something changed meanwhile. The key of a new user is on disk
    /// before it, and goes again if it is known that nothing was recorded.
    pub(crate) async fn commit(&self, app: &App, batch: Batch) -> Result<Option<Committed>, Failure> {
        let id = &self.record.value.id;
        if self.is_new {
            app.user_keys.put(id, &self.key).await?;
        }
        let committed = app.store.commit(batch).await;
        // Of a store that failed nobody knows what is on disk.
        let recorded = matches!(committed, Ok(_) | Err(CommitError::Failed(_)));
        if self.is_new && !recorded {
            app.user_keys.forget(id);
        }
        match committed {
            Ok(committed) => Ok(Some(committed)),
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// The record of this user with another body.
    pub(crate) fn with_body(&self, body: &UserBody, revocations: u64) -> Result<UserRecord, Failure> {
        let UserRecord { id, created_at, .. } = self.record.value.clone();
        record(&self.key, id, created_at, revocations, body)
    }
}

/// The record of a user, sealed with their key.
pub(crate) fn record(
    key: &UserKey,
    id: UserId,
    created_at: attorn_core::TimeMs,
    revocations: u64,
    body: &UserBody,
) -> Result<UserRecord, Failure> {
    let sealed = seal(key, &Key::user(&id), &body.encode())?;
    Ok(UserRecord { id, created_at, revocations, sealed })
}

/// A user; none if there is no such user, or none any more.
pub(crate) async fn known(app: &App, id: &UserId) -> Result<Option<KnownUser>, Failure> {
    let Some(record) = app.store.record::<UserRecord>(&Key::user(id)).await? else { return Ok(None) };
    let Some(key) = app.user_keys.of(id).await? else { return Ok(None) };
    let place = record.value.key();
    let body = UserBody::decode(&place, &open(&key, &place, &record.value.sealed)?).map_err(Failure::internal)?;
    Ok(Some(KnownUser { record, body, key, is_new: false }))
}

/// Seal bytes for the place where they will stand.
pub(crate) fn seal(key: &UserKey, place: &Key, bytes: &[u8]) -> Result<Sealed, Failure> {
    key.seal(&place.to_string(), bytes).map(Sealed).map_err(Failure::internal)
}

/// Seal why something was ended that stands in this place: in a place of its own beside it.
pub(crate) fn seal_reason(key: &UserKey, place: &Key, reason: &str) -> Result<Sealed, Failure> {
    key.seal(&reason_place(place), reason.as_bytes()).map(Sealed).map_err(Failure::internal)
}

/// Open what [`seal_reason`] sealed.
pub(crate) fn open_reason(key: &UserKey, place: &Key, sealed: &Sealed) -> Result<String, Failure> {
    let reason = key.open(&reason_place(place), &sealed.0).map_err(Failure::internal)?;
    String::from_utf8(reason.to_vec()).map_err(Failure::internal)
}

fn reason_place(place: &Key) -> String {
    format!("{place} reason")
}

/// Open what stands in this place.
pub(crate) fn open(key: &UserKey, place: &Key, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Failure> {
    key.open(&place.to_string(), &sealed.0).map_err(Failure::internal)
}
