//! The bootstrap token: `attorn init` prints it, it makes the first admin, and then it is dead.

use attorn_core::{Digest, LabelName};
use attorn_store::{Key, Store, Versioned};

use crate::http::failure::Failure;

/// Where the digest of the bootstrap token stands while it lives.
pub(crate) fn key() -> Result<Key, Failure> {
    "bootstrap-token".parse::<LabelName>().map(|name| Key::meta(&name)).map_err(Failure::internal)
}

/// The digest of the bootstrap token while it lives.
pub(crate) async fn digest(store: &Store) -> Result<Option<Versioned<Digest>>, Failure> {
    let Some(stored) = store.get(&key()?).await? else { return Ok(None) };
    let text = std::str::from_utf8(&stored.value).map_err(Failure::internal)?;
    let digest = text.parse::<Digest>().map_err(Failure::internal)?;
    Ok(Some(Versioned { value: digest, version: stored.version, entries: stored.entries }))
}
