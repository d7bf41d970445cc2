//! The root key, and wrapping other keys with it: each is sealed ([`crate::seal`]) with its kind, id and version as what it
//! is about, so that no wrapped key can be put in another's place.
//!
//! Where the root key's file lives, and who may read it, is the caller's business.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::random::NoRandomness;
use crate::seal::{OVERHEAD_BYTES, SealKey};

/// The longest key that is wrapped, in bytes.
pub const WRAPPED_KEY_BYTES_MAX: usize = 16 * 1024;

const AAD_CONTEXT: &[u8] = b"attorn wrapped key v1";

const IMPRINT_CONTEXT: &str = "attorn state imprint v1";

/// Why a key cannot be wrapped or unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// A root key's file holds something else.
    #[error("a root key is one line of 44 characters of base64, which are 32 bytes")]
    RootKeyForm,
    /// The key is longer than [`WRAPPED_KEY_BYTES_MAX`].
    #[error("a key of more than 16384 bytes is not wrapped")]
    TooLong,
    /// The cryptographic library failed to encrypt.
    #[error("the key could not be wrapped")]
    NotWrapped,
    /// It was wrapped with another root key, or as another key, or was changed since.
    #[error("the wrapped key is not one of this root key, kind, id and version, or it is damaged")]
    NotUnwrapped,
}

/// Which key is wrapped. It cannot be unwrapped as any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLabel<'a> {
    /// What the key is for.
    pub kind: &'a str,
    /// Which of that kind.
    pub id: &'a str,
    /// Which version of it.
    pub version: u32,
}

impl KeyLabel<'_> {
    /// Each part with its length before it, so that no two labels read the same.
    fn associated_data(&self) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let mut bytes = AAD_CONTEXT.to_vec();
        for part in [self.kind.as_bytes(), self.id.as_bytes(), &version] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// The key that wraps all others. It lives outside of the data directory and its backups.
pub struct RootKey(SealKey);

impl RootKey {
    /// A new root key.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn generate() -> Result<Self, NoRandomness> {
        SealKey::generate().map(Self)
    }

    /// The text of its file, with the end of the line.
    #[must_use]
    pub fn file_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        BASE64.encode_append(self.0.bytes(), &mut text);
        text.push('\n');
        text
    }

    /// The secret by which a store's state is known to be ours. It is no wrapped key: whoever opens the store has to have
    /// it before anything that stands there is believed.
    #[must_use]
    pub fn imprint_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(IMPRINT_CONTEXT, self.0.bytes()))
    }

    /// Wrap a key. The same key wrapped twice gives different bytes.
    ///
    /// # Errors
    ///
    /// [`WrapError::TooLong`], [`WrapError::NotWrapped`]
    pub fn wrap(&self, label: KeyLabel<'_>, key: &[u8]) -> Result<Vec<u8>, WrapError> {
        if key.len() > WRAPPED_KEY_BYTES_MAX {
            return Err(WrapError::TooLong);
        }
        self.0.seal(&label.associated_data(), key).map_err(|_| WrapError::NotWrapped)
    }

    /// Unwrap a key.
    ///
    /// # Errors
    ///
    /// [`WrapError::NotUnwrapped`]
    pub fn unwrap(&self, label: KeyLabel<'_>, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        if wrapped.len() > WRAPPED_KEY_BYTES_MAX + OVERHEAD_BYTES {
            return Err(WrapError::NotUnwrapped);
        }
        self.0.open(&label.associated_data(), wrapped).map_err(|_| WrapError::NotUnwrapped)
    }
}

impl FromStr for RootKey {
    type Err = WrapError;

    fn from_str(text: &str) -> Result<Self, WrapError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let bytes = Zeroizing::new(BASE64.decode(line.as_bytes()).map_err(|_| WrapError::RootKeyForm)?);
        let key = <&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| WrapError::RootKeyForm)?;
        Ok(Self(SealKey::from_bytes(Zeroizing::new(*key))))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    const LABEL: KeyLabel<'_> = KeyLabel { kind: "token", id: "k1", version: 1 };

    #[test]
    fn other_root_key_files_are_refused() {
        let good = RootKey::generate().unwrap().file_text();
        let line = good.trim_end();
        for text in ["", "\n", &line[..43], &format!("{line}\n\n"), &format!("{line}\r\n"), &format!(" {line}")] {
            assert_eq!(text.parse::<RootKey>().unwrap_err(), WrapError::RootKeyForm, "{text}");
        }
        for text in [&"A".repeat(44), &format!("{}=", "A".repeat(39)), &format!("{}B=", "A".repeat(42))] {
            assert_eq!(text.parse::<RootKey>().unwrap_err(), WrapError::RootKeyForm, "{text}");
        }
        let one = good.parse::<RootKey>().unwrap();
        assert_eq!(line.parse::<RootKey>().unwrap().0.bytes(), one.0.bytes());
        assert_eq!(format!("{one:?}"), "RootKey([redacted])");
    }

    #[test]
    fn what_is_wrapped_under_another_label_does_not_unwrap() {
        let root = RootKey::generate().unwrap();
        let wrapped = root.wrap(LABEL, b"secret").unwrap();
        for label in [
            KeyLabel { kind: "log", ..LABEL },
            KeyLabel { id: "k2", ..LABEL },
            KeyLabel { version: 2, ..LABEL },
            KeyLabel { kind: "tokenk", id: "1", ..LABEL },
            KeyLabel { kind: "", id: "tokenk1", ..LABEL },
        ] {
            assert_eq!(root.unwrap(label, &wrapped).unwrap_err(), WrapError::NotUnwrapped, "{label:?}");
        }
        assert!(RootKey::generate().unwrap().unwrap(LABEL, &wrapped).is_err());
        assert_eq!(root.unwrap(LABEL, &wrapped).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn damaged_bytes_do_not_unwrap() {
        let root = RootKey::generate().unwrap();
        let wrapped = root.wrap(LABEL, b"secret").unwrap();
        for at in 0..wrapped.len() {
            assert!(root.unwrap(LABEL, &wrapped[..at]).is_err(), "{at}");
            for bit in 0..8 {
                let mut damaged = wrapped.clone();
                damaged[at] ^= 1 << bit;
                assert!(root.unwrap(LABEL, &damaged).is_err(), "{at} {bit}");
            }
        }
        assert!(root.unwrap(LABEL, &[&wrapped[..], &[0]].concat()).is_err());
        assert!(root.unwrap(LABEL, &vec![1; WRAPPED_KEY_BYTES_MAX + 30]).is_err());
        assert_eq!(root.wrap(LABEL, &vec![0; WRAPPED_KEY_BYTES_MAX + 1]), Err(WrapError::TooLong));
    }

    #[test]
    fn the_same_key_is_never_wrapped_to_the_same_bytes() {
        let root = RootKey::generate().unwrap();
        assert_ne!(root.wrap(LABEL, b"secret").unwrap(), root.wrap(LABEL, b"secret").unwrap());
    }

    #[test]
    fn what_was_stored_once_unwraps_for_ever() {
        let root: RootKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n".parse().unwrap();
        let wrapped =
            HEXLOWER.decode(b"01a0a1a2a3a4a5a6a7a8a9aaab957d1f5f20bf79a10dd636d679e67ff3512c122581f5").unwrap();
        assert_eq!(root.unwrap(LABEL, &wrapped).unwrap().as_slice(), b"secret");
    }
}
