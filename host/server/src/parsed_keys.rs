//! Public keys, parsed once: checking that a point is on its curve takes as long as much of a decision.
//!
//! Whether a key is registered, and whose, is not known here; that is read anew for every proof, and
//! only then is the key looked up. A thumbprint names one key for ever, so nothing here grows stale. Keys of those who
//! vouch for others stand in their records, and are parsed once for each version of such a record.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use attorn_core::KeyThumbprint;
use attorn_identity::{JwkError, PublicKey};

use crate::http::failure::Failure;

/// How many keys are kept. When there are more, all are forgotten and parsed again as they come.
const KEYS_MAX: usize = 10_000;

/// Registered keys that have been used.
pub(crate) struct ParsedKeys(RwLock<HashMap<KeyThumbprint, PublicKey>>);

impl ParsedKeys {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(HashMap::new()))
    }

    /// The key of a registered JWK with this thumbprint.
    pub(crate) fn of(&self, thumbprint: &KeyThumbprint, jwk: &str) -> Result<PublicKey, Failure> {
        if let Some(key) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(thumbprint) {
            return Ok(key.clone());
        }
        let key: PublicKey = jwk.parse().map_err(|error: JwkError| Failure::caused(&error))?;
        if key.thumbprint() != thumbprint {
            return Err(Failure::internal(format_args!("the stored key of `{thumbprint}` is another")));
        }
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(thumbprint.clone(), key.clone());
        Ok(key)
    }
}

/// What was made of a record's text, by the record's id, for the version that it has now. There are no more than
/// records that somebody registered.
pub(crate) struct ByVersion<T>(RwLock<HashMap<String, (u64, Arc<T>)>>);

impl<T> Default for ByVersion<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> ByVersion<T> {
    /// What was made of this version, or is made of it now.
    pub(crate) fn of(
        &self,
        id: &str,
        version: u64,
        parse: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<Arc<T>, Failure> {
        if let Some((of, parsed)) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id)
            && *of == version
        {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Arc::new(parse()?);
        // Whoever read the record before it changed may put the old version back. The next one puts that right.
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(id.to_owned(), (version, Arc::clone(&parsed)));
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_parsed_once_and_another_version_anew() {
        let keys = ByVersion::default();
        let never = || -> Result<u32, Failure> { panic!("it was parsed again") };
        assert_eq!(*keys.of("cluster", 3, || Ok(1)).unwrap(), 1);
        assert_eq!(*keys.of("cluster", 3, never).unwrap(), 1);
        assert_eq!(*keys.of("other", 3, || Ok(2)).unwrap(), 2);
        assert_eq!(*keys.of("cluster", 4, || Ok(3)).unwrap(), 3);
        assert_eq!(*keys.of("cluster", 4, never).unwrap(), 3);
        assert_eq!(*keys.of("other", 3, never).unwrap(), 2);
        // Whoever read the record before it changed gets what that version says.
        assert_eq!(*keys.of("cluster", 3, || Ok(1)).unwrap(), 1);
        assert_eq!(*keys.of("cluster", 4, || Ok(3)).unwrap(), 3);
    }

    #[test]
    fn what_cannot_be_parsed_is_not_kept() {
        let keys = ByVersion::default();
        assert!(keys.of("cluster", 3, || Err(Failure::internal("no keys"))).is_err());
        assert_eq!(*keys.of("cluster", 3, || Ok(1)).unwrap(), 1);
    }
}
