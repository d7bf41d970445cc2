//! Keys that sign tokens, and those that did. Their private halves are wrapped and elsewhere: see
//! [`super::KeyMaterialRecord`].

use attorn_core::{JsonText, KeyThumbprint, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A key that signs tokens, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeyRecord {
    /// Its name: `kid` in tokens.
    pub thumbprint: KeyThumbprint,
    /// Which version of the key material it is.
    pub version: u32,
    /// Its public half, a JWK as JSON text.
    pub jwk: JsonText,
    /// When it was made.
    pub made_at: TimeMs,
    /// Whether it signs.
    pub state: TokenKeyState,
}

/// Whether a key signs tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKeyState {
    /// It does. There is one such key.
    Signing,
    /// Not any more. What it signed lives as long as it would have.
    Retired {
        /// Since when.
        at: TimeMs,
    },
    /// Somebody else may have it. Nothing that it signed counts any more.
    Compromised {
        /// Since when.
        at: TimeMs,
    },
}

impl Record for TokenKeyRecord {
    fn key(&self) -> Key {
        Key::token_key(&self.thumbprint)
    }

    fn encode(&self) -> Vec<u8> {
        let (state, ended_at) = match self.state {
            TokenKeyState::Signing => (StateWire::Signing, None),
            TokenKeyState::Retired { at } => (StateWire::Retired, Some(at)),
            TokenKeyState::Compromised { at } => (StateWire::Compromised, Some(at)),
        };
        codec::encode(&TokenKeyWire {
            thumbprint: Text(self.thumbprint.clone()),
            version: self.version,
            jwk: self.jwk.as_str().to_owned(),
            made_at_ms: self.made_at.0,
            state,
            ended_at_ms: ended_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: TokenKeyWire| {
            let state = match (wire.state, wire.ended_at_ms.map(TimeMs)) {
                (StateWire::Signing, None) => TokenKeyState::Signing,
                (StateWire::Retired, Some(at)) => TokenKeyState::Retired { at },
                (StateWire::Compromised, Some(at)) => TokenKeyState::Compromised { at },
                _ => return Err("a key that signs has not ended, and one that does not has".to_owned()),
            };
            Ok(Self {
                thumbprint: wire.thumbprint.0,
                version: wire.version,
                jwk: JsonText::from_canonical(wire.jwk),
                made_at: TimeMs(wire.made_at_ms),
                state,
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKeyWire {
    thumbprint: Text<KeyThumbprint>,
    version: u32,
    jwk: String,
    made_at_ms: u64,
    state: StateWire,
    ended_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateWire {
    Signing,
    Retired,
    Compromised,
}
