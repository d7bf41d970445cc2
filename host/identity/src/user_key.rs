//! The key of one user: it seals what is stored about them, makes the pseudonyms by which the audit log speaks
//! of them, and commitments to what it may not say. Who destroys the key makes all three meaningless, and the
//! log still verifies.
//!
//! Where keys are kept, and how they are wrapped there, is not known here.

use std::fmt;

use attorn_core::Digest;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::random::{NoRandomness, random};
use crate::seal::SealError;

/// The first byte of what is sealed: this form, and no other.
const FORM: u8 = 1;
const TAG_BYTES: usize = 16;
const AAD_CONTEXT: &[u8] = b"attorn sealed v1";
const SEAL_CONTEXT: &str = "attorn user seal v1";
const PSEUDONYM_CONTEXT: &str = "attorn user pseudonym v1";
const COMMITMENT_CONTEXT: &str = "attorn user commitment v1";

/// What a pseudonym stands for. The same text of two kinds has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PseudonymKind {
    /// The user.
    User,
    /// One of their sessions.
    Session,
    /// The id of a resource that an agent wanted something of for them.
    Resource,
}

impl PseudonymKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Resource => "resource",
        }
    }
}

/// The key of one user, ready to use. It is wiped when it is dropped.
pub struct UserKey {
    secret: Zeroizing<[u8; 32]>,
    seal: Zeroizing<[u8; 32]>,
    pseudonym: Zeroizing<[u8; 32]>,
    commitment: Zeroizing<[u8; 32]>,
}

impl UserKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn generate() -> Result<Self, NoRandomness> {
        random().map(Self::of)
    }

    /// The key that these bytes are.
    #[must_use]
    pub fn of(secret: Zeroizing<[u8; 32]>) -> Self {
        let derive = |context| Zeroizing::new(blake3::derive_key(context, secret.as_slice()));
        let (seal, pseudonym, commitment) =
            (derive(SEAL_CONTEXT), derive(PSEUDONYM_CONTEXT), derive(COMMITMENT_CONTEXT));
        Self { secret, seal, pseudonym, commitment }
    }

    /// Its bytes, to be wrapped and kept.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Seal bytes that stand in this place; they open in no other.
    ///
    /// # Errors
    ///
    /// [`SealError::NotSealed`]
    pub fn seal(&self, place: &str, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Zeroizing::new(Vec::with_capacity(bytes.len() + TAG_BYTES));
        sealed.extend_from_slice(bytes);
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(Aad::from(associated_data(place)), &mut *sealed)
            .map_err(|_| SealError::NotSealed)?;
        Ok([&[FORM][..], nonce.as_ref(), &sealed].concat())
    }

    /// Open what was sealed for this place.
    ///
    /// # Errors
    ///
    /// [`SealError::NotOpened`]
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let error = SealError::NotOpened;
        let (nonce, sealed) =
            sealed.strip_prefix(&[FORM]).and_then(<[u8]>::split_first_chunk::<NONCE_LEN>).ok_or(error)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let bytes = self
            .cipher()
            .map_err(|_| error)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(associated_data(place)), &mut opened)
            .map_err(|_| error)?
            .len();
        opened.truncate(bytes);
        Ok(opened)
    }

    /// The name by which the log speaks of something of this user: `psn_` and 32 hex digits. The same each time,
    /// and nothing without the key.
    #[must_use]
    pub fn pseudonym(&self, kind: PseudonymKind, text: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.pseudonym);
        hasher.update(kind.as_str().as_bytes()).update(&[0]).update(text.as_bytes());
        format!("psn_{}", HEXLOWER.encode(&hasher.finalize().as_bytes()[..16]))
    }

    /// What the log says of bytes that it may not say: they can be shown to be those, and not be guessed.
    #[must_use]
    pub fn commitment(&self, what: &str, bytes: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.commitment);
        hasher.update(what.as_bytes()).update(&[0]).update(bytes);
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, self.seal.as_slice()).map_err(|_| SealError::NotSealed)
    }
}

fn associated_data(place: &str) -> Vec<u8> {
    [AAD_CONTEXT, &(place.len() as u64).to_be_bytes(), place.as_bytes()].concat()
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey([redacted])")
    }
}

/// The key under which users and sessions are found by their providers' names: whoever has the store and not
/// this key cannot ask it whether somebody is in it.
pub struct NamesKey(Zeroizing<[u8; 32]>);

impl NamesKey {
    /// The key that these bytes are.
    #[must_use]
    pub const fn of(secret: Zeroizing<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// The keyed hash of a name of this kind at an issuer.
    #[must_use]
    pub fn hash(&self, kind: &str, issuer: &str, name: &str) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [kind, issuer, name] {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for NamesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamesKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> UserKey {
        UserKey::of(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_in_its_place_only() {
        let sealed = key(1).seal("user/usr_1", b"alice").unwrap();
        assert_eq!(key(2).open("user/usr_1", &sealed), Err(SealError::NotOpened));
        assert_eq!(key(1).open("user/usr_2", &sealed), Err(SealError::NotOpened));
        assert_eq!(key(1).open("", &sealed), Err(SealError::NotOpened));
        for at in 0..sealed.len() {
            assert!(key(1).open("user/usr_1", &sealed[..at]).is_err(), "{at}");
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key(1).open("user/usr_1", &damaged).is_err(), "{at}");
        }
        assert_eq!(key(1).open("user/usr_1", &sealed).unwrap().as_slice(), b"alice");
        assert_ne!(sealed, key(1).seal("user/usr_1", b"alice").unwrap());
    }

    #[test]
    fn pseudonyms_differ_by_key_kind_and_text() {
        let of = |byte, kind, text| key(byte).pseudonym(kind, text);
        let one = of(1, PseudonymKind::User, "usr_1");
        assert_eq!(one, of(1, PseudonymKind::User, "usr_1"));
        assert!(one.strip_prefix("psn_").is_some_and(|hex| hex.len() == 32));
        assert_ne!(one, of(2, PseudonymKind::User, "usr_1"));
        assert_ne!(one, of(1, PseudonymKind::Session, "usr_1"));
        assert_ne!(one, of(1, PseudonymKind::User, "usr_2"));
        assert_ne!(key(1).commitment("a", b"x"), key(2).commitment("a", b"x"));
        assert_ne!(key(1).commitment("a", b"x"), key(1).commitment("b", b"x"));
    }

    #[test]
    fn what_is_made_of_a_key_stays_the_same() {
        assert_eq!(key(1).pseudonym(PseudonymKind::User, "usr_1"), "psn_c13d0b3187729fc30eebd9f765242fe0");
        let names = NamesKey::of(Zeroizing::new([1; 32]));
        assert_ne!(names.hash("user", "ab", "c"), names.hash("user", "a", "bc"));
        assert_ne!(names.hash("user", "a", "b"), names.hash("session", "a", "b"));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", key(1)), "UserKey([redacted])");
    }
}
