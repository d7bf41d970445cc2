//! Wrapped keys. What is stored is ciphertext; who can unwrap it is not known here.

use std::fmt;

use attorn_core::LabelName;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::{Key, KeyPurpose};

/// One version of a key, wrapped.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMaterialRecord {
    /// What the key is for.
    pub purpose: KeyPurpose,
    /// Which of the keys of that purpose.
    pub id: LabelName,
    /// Which version of it.
    pub version: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for KeyMaterialRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterialRecord({}, {} bytes)", self.key(), self.wrapped.len())
    }
}

impl Record for KeyMaterialRecord {
    fn key(&self) -> Key {
        Key::key_material(self.purpose, &self.id, self.version)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&KeyMaterialWire {
            purpose: self.purpose,
            id: Text(self.id.clone()),
            version: self.version,
            wrapped: BASE64.encode(&self.wrapped),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: KeyMaterialWire| {
            let wrapped =
                BASE64.decode(wire.wrapped.as_bytes()).map_err(|_| "the wrapped key is not base64".to_owned())?;
            Ok(Self { purpose: wire.purpose, id: wire.id.0, version: wire.version, wrapped })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyMaterialWire {
    #[serde(with = "PurposeWire")]
    purpose: KeyPurpose,
    id: Text<LabelName>,
    version: u32,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "KeyPurpose", rename_all = "snake_case")]
enum PurposeWire {
    TokenSigning,
    Log,
    CacheMac,
    Names,
    ProviderClient,
}
