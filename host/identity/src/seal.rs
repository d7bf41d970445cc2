//! Sealing bytes with a key of ours: AES-256-GCM under a random nonce, bound to what the bytes are about, so that nothing
//! that was sealed can be put in another's place.
//!
//! How long the key lives, and how long what is sealed may be, is the caller's business. What one key has sealed so often
//! that random nonces meet (2^32 times) is not counted here.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::random::{NoRandomness, random};

/// The first byte of what is sealed: this form, and no other.
const FORM: u8 = 1;

const TAG_BYTES: usize = 16;

/// How many more bytes are sealed than there were.
pub(crate) const OVERHEAD_BYTES: usize = 1 + NONCE_LEN + TAG_BYTES;

/// What was to be sealed or opened cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The cryptographic library failed to encrypt.
    #[error("it could not be sealed")]
    NotSealed,
    /// It was sealed with another key, or in another place, or was changed since.
    #[error("it was not sealed with this key for this place, or it is damaged")]
    NotOpened,
}

/// A key that seals. It vouches for nothing else, and it is no key that wraps others
/// ([`RootKey`](crate::wrap::RootKey)).
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn generate() -> Result<Self, NoRandomness> {
        random().map(Self)
    }

    pub(crate) const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seal these bytes, which are about this. The same bytes sealed twice give different ones.
    ///
    /// # Errors
    ///
    /// [`SealError::NotSealed`]
    pub fn seal(&self, about: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        // Room for the tag, so that no copy of a secret stays behind when the buffer grows.
        let mut sealed = Zeroizing::new(Vec::with_capacity(bytes.len() + TAG_BYTES));
        sealed.extend_from_slice(bytes);
        let nonce = self
            .cipher()
            .and_then(|cipher| cipher.seal_in_place_append_tag(Aad::from(about), &mut *sealed).ok())
            .ok_or(SealError::NotSealed)?;
        Ok([&[FORM][..], nonce.as_ref(), &sealed].concat())
    }

    /// What was sealed about this.
    ///
    /// # Errors
    ///
    /// [`SealError::NotOpened`]
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let error = SealError::NotOpened;
        let (nonce, sealed) = sealed.strip_prefix(&[FORM]).and_then(<[u8]>::split_first_chunk).ok_or(error)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let count = self
            .cipher()
            .ok_or(error)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), &mut opened)
            .map_err(|_| error)?
            .len();
        opened.truncate(count);
        Ok(opened)
    }

    fn cipher(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.as_slice()).ok()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_about_the_same_and_undamaged() {
        let key = SealKey::generate().unwrap();
        let sealed = key.seal(b"one", b"secret").unwrap();
        assert_eq!(sealed.len(), b"secret".len() + OVERHEAD_BYTES);
        for about in [&b""[..], b"on", b"one1", b"two"] {
            assert_eq!(key.open(about, &sealed).unwrap_err(), SealError::NotOpened, "{about:?}");
        }
        assert!(SealKey::generate().unwrap().open(b"one", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(b"one", &damaged).is_err() && key.open(b"one", &sealed[..at]).is_err(), "{at}");
        }
        assert_ne!(key.seal(b"one", b"secret").unwrap(), sealed);
        assert_eq!(key.open(b"one", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(format!("{key:?}"), "SealKey([redacted])");
    }
}
