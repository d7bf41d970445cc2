//! From a token to the grant that it was issued from.

use attorn_identity::UnverifiedToken;
use attorn_store::Key;
use attorn_store::records::GrantRecord;

use crate::app::App;
use crate::grants::{self, Known};
use crate::http::failure::Failure;

/// The grant that this token was issued from; none if no key of ours that counts signed it, or its user was erased.
/// Whether the grant still stands is for the caller to ask.
pub(super) async fn grant(app: &App, token: &str) -> Result<Option<Known>, Failure> {
    let Ok(token) = UnverifiedToken::parse(token) else { return Ok(None) };
    let Some(key) = app.token_keys.verifying(token.key()) else { return Ok(None) };
    let Ok(id) = token.verify(&key, &app.config.public_url) else { return Ok(None) };
    let Some(stored) = app.store.record::<GrantRecord>(&Key::grant(&id)).await? else { return Ok(None) };
    let known = grants::known(app, stored).await?;
    Ok(known.filter(|known| known.grant.signed_by == *key.thumbprint()))
}
