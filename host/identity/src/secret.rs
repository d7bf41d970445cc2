//! Operators' bearer tokens. The server keeps only digests, by which it finds whose token it is.
//!
//! Nothing here knows operators or their duties.

use std::fmt;
use std::str::FromStr;

use attorn_core::Digest;
use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::{NoRandomness, random};

const RANDOM_BYTES: usize = 32;

/// The tokens' digest may be stored; its context keeps it apart from every other use of BLAKE3.
const DIGEST_CONTEXT: &str = "attorn operator token digest v1";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorTokenKind {
    /// An operator's own.
    Operator,
    /// The one that makes the first operator, once.
    Bootstrap,
}

impl OperatorTokenKind {
    const ALL: [Self; 2] = [Self::Operator, Self::Bootstrap];

    /// What tokens of this kind begin with, so that scanners for leaked secrets find them.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Operator => "attorn_op_",
            Self::Bootstrap => "attorn_boot_",
        }
    }
}

/// A text is not an operator's token. The text is not repeated: it may be a secret all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operator's token is `attorn_op_` or `attorn_boot_` and 43 characters of base64url")]
pub struct NotAnOperatorToken;

/// A token of 256 random bits. It is wiped when it is dropped, and never printed by `Debug`.
pub struct OperatorToken {
    kind: OperatorTokenKind,
    text: Zeroizing<String>,
}

impl OperatorToken {
    /// A new token.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn generate(kind: OperatorTokenKind) -> Result<Self, NoRandomness> {
        let bytes = random::<RANDOM_BYTES>()?;
        // Room for all of it, so that no half of the secret stays behind in a buffer that was too small.
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(kind.prefix());
        BASE64URL_NOPAD.encode_append(bytes.as_slice(), &mut text);
        Ok(Self { kind, text })
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> OperatorTokenKind {
        self.kind
    }

    /// What is stored in its place: a BLAKE3 digest. A slow hash is of no use, for nobody guesses 256
    /// random bits.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(blake3::derive_key(DIGEST_CONTEXT, self.text.as_bytes()))
    }

    /// The token itself, to be shown to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl FromStr for OperatorToken {
    type Err = NotAnOperatorToken;

    fn from_str(text: &str) -> Result<Self, NotAnOperatorToken> {
        let (kind, random) = OperatorTokenKind::ALL
            .into_iter()
            .find_map(|kind| text.strip_prefix(kind.prefix()).map(|random| (kind, random)))
            .ok_or(NotAnOperatorToken)?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(random.as_bytes()).map_err(|_| NotAnOperatorToken)?);
        if bytes.len() != RANDOM_BYTES {
            return Err(NotAnOperatorToken);
        }
        Ok(Self { kind, text: Zeroizing::new(text.to_owned()) })
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorToken({}[redacted])", self.kind.prefix())
    }
}

/// Whether two digests are equal, in a time that does not tell where they differ.
#[must_use]
pub fn digests_match(one: &Digest, other: &Digest) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_texts_are_refused_and_not_repeated() {
        let a = "A".repeat(43);
        for text in [
            String::new(),
            "attorn_op_".to_owned(),
            format!("attorn_op_{}", &a[1..]),
            format!("attorn_op_{a}A"),
            format!("attorn_op_{a}="),
            format!("attorn_op_{}B", &a[1..]),
            format!("attorn_op_{}/", &a[1..]),
            format!("attorn_OP_{a}"),
            format!("attorn_xx_{a}"),
            format!(" attorn_op_{a}"),
            format!("attorn_op_{a}\n"),
            a.clone(),
        ] {
            let error = text.parse::<OperatorToken>().unwrap_err();
            assert!(!error.to_string().contains(&a[1..]), "{error}");
        }
    }

    #[test]
    fn tokens_differ_and_parse_again() {
        for kind in OperatorTokenKind::ALL {
            let token = OperatorToken::generate(kind).unwrap();
            let again: OperatorToken = token.expose().parse().unwrap();
            assert_eq!(again.kind(), kind);
            assert_eq!(again.expose(), token.expose());
            assert!(digests_match(&again.digest(), &token.digest()));
            let other = OperatorToken::generate(kind).unwrap();
            assert!(!digests_match(&other.digest(), &token.digest()));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let token = OperatorToken::generate(OperatorTokenKind::Operator).unwrap();
        assert_eq!(format!("{token:?}"), "OperatorToken(attorn_op_[redacted])");
    }

    #[test]
    fn the_stored_digest_stays_the_same() {
        let token: OperatorToken = format!("attorn_op_{}", "A".repeat(43)).parse().unwrap();
        assert_eq!(token.digest().to_string(), "ee070637853d89a398dc87ff44ced5df0ca9b6cd0733642ce2864c08022ffab4");
    }
}
