//! Who vouches for a component: a public key of minisign, and what one of its signatures says.
//!
//! The format is that of <https://jedisct1.github.io/minisign/>, as its `-S` writes it since 0.10: Ed25519 over the
//! BLAKE2b-512 digest of the bytes, and over that signature with the trusted comment. Signatures over the bytes
//! themselves, as older versions make them, are refused. Here is nothing that signs.

use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::VerifyingKey;
use thiserror::Error;

/// What stands before the first line's text.
const COMMENT: &str = "untrusted comment: ";

/// How many bytes a secret key has.
const SECRET_BYTES: usize = 158;

/// A public key of minisign.
#[derive(Clone, PartialEq, Eq)]
pub struct SignerKey {
    key: minisign_verify::PublicKey,
    text: String,
    id: KeyId,
    point: [u8; 32],
}

/// What minisign names a key by: eight random bytes, in hexadecimal digits as it prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

/// A signature whose form is right. Whether it is good, [`SignerKey::verify`] says.
pub struct ComponentSignature {
    signature: minisign_verify::Signature,
    key: KeyId,
}

/// Why a text is no public key that signatures are verified with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignerKeyError {
    /// Its form is wrong.
    #[error("it is no public key of minisign")]
    Malformed,
    /// It is the other half.
    #[error("it is a secret key, which stays where it is")]
    Secret,
    /// Signatures of it prove nothing.
    #[error("it is a key whose signatures anybody can make")]
    Weak,
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Its form is wrong.
    #[error("it is no signature of minisign, or is cut off")]
    Malformed,
    /// It is of the bytes and not of their digest.
    #[error("it is made in minisign's old way, over the bytes and not over their digest")]
    Legacy,
    /// Another key made it.
    #[error("it is of the key `{signature}`, and not of `{key}`")]
    OtherKey {
        /// The key that the signature names.
        signature: KeyId,
        /// The key that it was verified with.
        key: KeyId,
    },
    /// It is of other bytes, or somebody changed it.
    #[error("it is not of these bytes by the key `{0}`, or its trusted comment was changed")]
    Mismatch(KeyId),
}

impl SignerKey {
    /// The most bytes of a text that is read as a key.
    pub const BYTES_MAX: usize = 4 << 10;

    /// Read a key: the line of it alone, or both lines of the file.
    ///
    /// # Errors
    ///
    /// When it is no such key, or one that is of no use.
    pub fn parse(text: &str) -> Result<Self, SignerKeyError> {
        if text.len() > Self::BYTES_MAX {
            return Err(SignerKeyError::Malformed);
        }
        let text = match text.trim().lines().collect::<Vec<_>>().as_slice() {
            [line] => *line,
            [comment, line] if comment.starts_with(COMMENT) => *line,
            _ => return Err(SignerKeyError::Malformed),
        };
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| SignerKeyError::Malformed)?;
        if bytes.len() == SECRET_BYTES {
            return Err(SignerKeyError::Secret);
        }
        let (head, id, point) = (bytes.get(..2), bytes.get(2..10), bytes.get(10..));
        let (Some(b"Ed"), Some(id), Some(point)) = (head, id, point) else { return Err(SignerKeyError::Malformed) };
        let id = KeyId(id.try_into().map_err(|_| SignerKeyError::Malformed)?);
        let point: [u8; 32] = point.try_into().map_err(|_| SignerKeyError::Malformed)?;
        let checked = VerifyingKey::from_bytes(&point).map_err(|_| SignerKeyError::Malformed)?;
        if checked.is_weak() {
            return Err(SignerKeyError::Weak);
        }
        let key = minisign_verify::PublicKey::from_base64(text).map_err(|_| SignerKeyError::Malformed)?;
        Ok(Self { key, text: text.to_owned(), id, point })
    }

    /// What minisign names it by.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether the two cannot be told apart by what they sign: it is the same key, under whatever id, or the same id.
    /// Nothing that is signed vouches for the id that stands beside it.
    #[must_use]
    pub fn is_taken_for(&self, other: &Self) -> bool {
        self.id == other.id || self.point == other.point
    }

    /// The key as one line, as `minisign -P` takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// See whether this key made the signature, and of these bytes.
    ///
    /// # Errors
    ///
    /// When it did not.
    pub fn verify(&self, bytes: &[u8], signature: &ComponentSignature) -> Result<(), SignatureError> {
        self.key.verify(bytes, &signature.signature, false).map_err(|error| match error {
            minisign_verify::Error::UnexpectedKeyId => {
                SignatureError::OtherKey { signature: signature.key, key: self.id }
            }
            minisign_verify::Error::UnexpectedAlgorithm => SignatureError::Legacy,
            _ => SignatureError::Mismatch(self.id),
        })
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignerKey").field(&self.text).finish()
    }
}

impl fmt::Display for KeyId {
    /// The number that the bytes are, the lowest byte first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl ComponentSignature {
    /// The most bytes of a text that is read as a signature.
    pub const BYTES_MAX: usize = 8 << 10;

    /// Read what stands in a `.minisig` file.
    ///
    /// # Errors
    ///
    /// When its form is wrong, or is that of an older version.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let lines: Vec<_> = text.trim_end().lines().collect();
        let [comment, line, _, _] = lines.as_slice() else { return Err(SignatureError::Malformed) };
        if text.len() > Self::BYTES_MAX || !comment.starts_with(COMMENT) {
            return Err(SignatureError::Malformed);
        }
        let bytes = BASE64.decode(line.as_bytes()).map_err(|_| SignatureError::Malformed)?;
        let key = bytes.get(2..10).and_then(|id| id.try_into().ok()).ok_or(SignatureError::Malformed)?;
        match bytes.get(..2) {
            Some(b"ED") => {}
            Some(b"Ed") => return Err(SignatureError::Legacy),
            _ => return Err(SignatureError::Malformed),
        }
        let signature = minisign_verify::Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
        Ok(Self { signature, key: KeyId(key) })
    }

    /// The key that made it, as it says itself.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// What the signer said of it. It is theirs only if the signature is good.
    #[must_use]
    pub fn trusted_comment(&self) -> &str {
        self.signature.trusted_comment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with Debian's minisign 0.11: `minisign -G -W`, `minisign -S -W -t …`, and `-S -l` for the old way.
    const BYTES: &[u8] = b"attorn test policy";
    const KEY: &str = "RWT1T3wJB/3rmIZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uh";
    const OTHER: &str = "RWTsmb7hVyD7wJosfBw1B+96SWh5L0MFYQSQ23iHFYfbAH64ZIqe5VHn";
    const SECRET: &str = "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA9U98CQf965iSvNF2UYyqv2g1gobhYV/hhyO6QNfnZAKIDaeQCmk08oZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uhAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUT1T3wJB/3rmEzDhBJRgEH45MubIk+X81YAwnGLCYoSIjai87jsodCWRtvhio/cdVgtcDcYDnb3JQF4p5I3xXF0J/BT+LxfPQ0=
trusted comment: timestamp:1 file:policy.wasm
Xs+kBb1Ll0WtBkHQdH9w51muv/VjQhG2aNQr4sL16LrxVPPtdHSniAl11u2laARydXHRNQK49jYOXkC1uRqHCg==
";
    const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWT1T3wJB/3rmI8FnpL46qUloymHiHRgEoLco3r6umdMkx7splilLoMRFkKPqPCxVADQvshtk6ilEplpOamdk67wobD2v6c2Rwc=
trusted comment: timestamp:1
ZDdUJ+GLT2IqiJUxm+Wy/3FpL69iSAPB9wYfKEvNT+gTDdWYnZjn0xPzrTLatfRqtLzk1RsLT4J16nxjgZv8AA==
";

    fn verify(key: &str, bytes: &[u8], signature: &str) -> Result<(), SignatureError> {
        SignerKey::parse(key).unwrap().verify(bytes, &ComponentSignature::parse(signature)?)
    }

    #[test]
    fn what_is_wrong_in_one_thing_is_refused() {
        let id = |key: &str| SignerKey::parse(key).unwrap().id();
        let other = SignatureError::OtherKey { signature: id(KEY), key: id(OTHER) };
        let mismatch = SignatureError::Mismatch(id(KEY));
        assert_eq!(verify(OTHER, BYTES, SIGNATURE), Err(other));
        assert_eq!(verify(KEY, b"attorn test policz", SIGNATURE), Err(mismatch));
        assert_eq!(verify(KEY, b"", SIGNATURE), Err(mismatch));
        assert_eq!(verify(KEY, BYTES, &SIGNATURE.replace("file:policy", "file:Policy")), Err(mismatch));
        assert_eq!(verify(KEY, BYTES, &SIGNATURE.replace("RqHCg==", "RqHCA==")), Err(mismatch));
        assert_eq!(verify(KEY, BYTES, LEGACY), Err(SignatureError::Legacy));
        // The old way under the new name.
        let renamed = LEGACY.replacen("RWT1", "RUT1", 1);
        assert_eq!(verify(KEY, BYTES, &renamed), Err(mismatch));
    }

    #[test]
    fn what_is_cut_off_or_longer_is_no_signature() {
        let whole = SIGNATURE.trim_end();
        for end in 0..whole.len() {
            assert_eq!(verify(KEY, BYTES, &whole[..end]), Err(SignatureError::Malformed), "{end}");
        }
        for text in [
            format!("{SIGNATURE}more\n"),
            format!("\n{SIGNATURE}"),
            SIGNATURE.replacen("untrusted comment: ", "", 1),
            SIGNATURE.replacen("RUT1", "RVT1", 1),
            format!("untrusted comment: {}\n{SIGNATURE}", "x".repeat(ComponentSignature::BYTES_MAX)),
            SIGNATURE.replacen("minisign", &"x".repeat(ComponentSignature::BYTES_MAX), 1),
        ] {
            assert_eq!(verify(KEY, BYTES, &text), Err(SignatureError::Malformed), "{text}");
        }
    }

    #[test]
    fn keys_are_public_ed25519_keys_of_use() {
        let weak = BASE64.encode(&[&b"Ed"[..], &[7; 8], &[1], &[0; 31]].concat());
        for (text, error) in [
            ("", SignerKeyError::Malformed),
            (&KEY[..52], SignerKeyError::Malformed),
            (&KEY.replacen("RW", "RU", 1), SignerKeyError::Malformed),
            (&format!("{KEY}\n{KEY}"), SignerKeyError::Malformed),
            (&format!("{KEY}{}", " ".repeat(SignerKey::BYTES_MAX)), SignerKeyError::Malformed),
            (SECRET, SignerKeyError::Secret),
            (&weak, SignerKeyError::Weak),
        ] {
            assert_eq!(SignerKey::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_key_under_another_id_is_the_same_key() {
        let key = |text: &str| SignerKey::parse(text).unwrap();
        let with = |id: &str, point: &str| {
            let (id, point) = (BASE64.decode(id.as_bytes()).unwrap(), BASE64.decode(point.as_bytes()).unwrap());
            key(&BASE64.encode(&[&id[..10], &point[10..]].concat()))
        };
        assert!(key(KEY).is_taken_for(&with(OTHER, KEY)) && key(KEY).is_taken_for(&with(KEY, OTHER)));
        assert!(key(KEY).is_taken_for(&key(KEY)) && !key(KEY).is_taken_for(&key(OTHER)));
    }

    #[test]
    fn what_minisign_signed_is_good() {
        assert_eq!(verify(KEY, BYTES, SIGNATURE), Ok(()));
        assert_eq!(verify(KEY, BYTES, &SIGNATURE.replace('\n', "\r\n")), Ok(()));
        let file = format!("untrusted comment: minisign public key 98EBFD07097C4FF5\n{KEY}\n");
        let key = SignerKey::parse(&file).unwrap();
        assert_eq!((key.id().to_string().as_str(), key.as_str()), ("98EBFD07097C4FF5", KEY));
        let signature = ComponentSignature::parse(SIGNATURE).unwrap();
        assert_eq!((signature.key(), signature.trusted_comment()), (key.id(), "timestamp:1 file:policy.wasm"));
    }
}
