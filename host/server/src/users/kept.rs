//! What is kept of somebody: sealed under their key from the first write on, since the file below keeps old bytes.
//! Where there is no user, all stays readable.
//!
//! Whoever wants to read it asks for the user's key first; that key is nobody's any more once its user was erased.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::{Grant, JsonText, UserId};
use attorn_identity::UserKey;
use attorn_store::Key;
use attorn_store::records::{ErasureRecord, GrantRecord, Kept, Sealed, UserRecord};
use zeroize::Zeroizing;

use super::{open, seal};
use crate::app::App;
use crate::http::failure::Failure;

/// The user whom something is about, and their key.
pub(crate) type Whose<'a> = Option<(&'a UserId, &'a UserKey)>;

/// A text, as it is kept in this place.
pub(crate) fn text(whose: Whose<'_>, place: &Key, text: JsonText) -> Result<Kept<JsonText>, Failure> {
    Ok(match whose {
        None => Kept::Plain(text),
        Some((user, key)) => Kept::Sealed { user: user.clone(), sealed: seal(key, place, text.as_str().as_bytes())? },
    })
}

/// A new grant, as it is kept.
pub(crate) fn grant(whose: Whose<'_>, grant: &Grant) -> Result<GrantRecord, Failure> {
    let Some((user, key)) = whose else { return Ok(GrantRecord::plain(grant.clone())) };
    let bytes = Zeroizing::new(GrantRecord::encode_grant(grant));
    let sealed = seal(key, &Key::grant(&grant.id), &bytes)?;
    Ok(GrantRecord { id: grant.id, grant: Kept::Sealed { user: user.clone(), sealed }, revoked_at: None })
}

/// A text that is kept in this place; none if its user was erased.
pub(crate) async fn read_text(app: &App, place: &Key, kept: Kept<JsonText>) -> Result<Option<JsonText>, Failure> {
    let (user, sealed) = match kept {
        Kept::Plain(text) => return Ok(Some(text)),
        Kept::Sealed { user, sealed } => (user, sealed),
    };
    let Some(bytes) = read(app, place, (&user, &sealed)).await? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(Failure::internal)?;
    Ok(Some(JsonText::from_canonical(text)))
}

/// A grant that is kept; none if its user was erased.
pub(crate) async fn read_grant(app: &App, record: &GrantRecord) -> Result<Option<Grant>, Failure> {
    let (user, sealed) = match &record.grant {
        Kept::Plain(grant) => return Ok(Some((**grant).clone())),
        Kept::Sealed { user, sealed } => (user, sealed),
    };
    let place = Key::grant(&record.id);
    let Some(bytes) = read(app, &place, (user, sealed)).await? else { return Ok(None) };
    GrantRecord::decode_grant(&place, &bytes).map(Some).map_err(Failure::internal)
}

/// What is sealed for this place; none if its user was erased.
pub(crate) async fn read(
    app: &App,
    place: &Key,
    (user, sealed): (&UserId, &Sealed),
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let Some(key) = key(app, user).await? else { return Ok(None) };
    open(&key, place, sealed).map(Some)
}

/// The key of a user; none if they were erased, whatever files are there.
pub(crate) async fn key(app: &App, user: &UserId) -> Result<Option<Arc<UserKey>>, Failure> {
    if app.store.record::<UserRecord>(&Key::user(user)).await?.is_none() {
        return Ok(None);
    }
    app.user_keys.of(user).await
}

/// What is asked for can be read by nobody any more.
pub(crate) fn erased(detail: impl Into<String>) -> Failure {
    Failure::of(ProblemCode::UserErased, detail).with_help("nothing brings it back; the audit log still verifies")
}

/// Why there is no such user: because they were erased, or because nobody ever had the id.
pub(crate) async fn gone(app: &App, user: &UserId) -> Result<Failure, Failure> {
    let erasure = app.store.record::<ErasureRecord>(&Key::erasure(user)).await?;
    Ok(match erasure {
        Some(_) => erased(format!("the user `{user}` was erased")),
        None => Failure::not_found("user", user),
    })
}
