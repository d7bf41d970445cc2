//! Public keys, parsed once: checking that a point is on its curve takes as long as much of a decision.
//!
//! Whether a key is registered, and whose, is not known here; that is read anew for every proof, and
//! only then is the key looked up. A thumbprint names one key for ever, so nothing here grows stale.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

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
