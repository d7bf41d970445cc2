//! Keys with which this server says who it is where it is a client of providers. Their private halves are wrapped and
//! elsewhere: see [`super::KeyMaterialRecord`].

use attorn_core::{JsonText, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError};
use crate::batch::Batch;
use crate::key::Key;

/// Such a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderClientKeyRecord {
    /// Which version of the key material it is.
    pub version: u32,
    /// Its public half, a JWK as JSON text.
    pub jwk: JsonText,
    /// When it was made, and published.
    pub made_at: TimeMs,
    /// From when on it signs: providers have seen it by then.
    pub signs_from: TimeMs,
    /// Until when it is published; without an end until another takes its place.
    pub published_until: Option<TimeMs>,
}

impl ProviderClientKeyRecord {
    /// Whether providers find it.
    #[must_use]
    pub fn is_published(&self, now: TimeMs) -> bool {
        self.published_until.is_none_or(|until| now < until)
    }

    /// Replace it, or record it, with what finds it when its time is over.
    pub fn put(&self, batch: &mut Batch) {
        if let Some(until) = self.published_until {
            batch.put.push((Key::expiry(until, &self.key()), Vec::new()));
        }
        batch.put_record(self);
    }
}

impl Record for ProviderClientKeyRecord {
    fn key(&self) -> Key {
        Key::provider_client_key(self.version)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ProviderClientKeyWire {
            version: self.version,
            jwk: self.jwk.as_str().to_owned(),
            made_at_ms: self.made_at.0,
            signs_from_ms: self.signs_from.0,
            published_until_ms: self.published_until.map(|until| until.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ProviderClientKeyWire| {
            Ok(Self {
                version: wire.version,
                jwk: JsonText::from_canonical(wire.jwk),
                made_at: TimeMs(wire.made_at_ms),
                signs_from: TimeMs(wire.signs_from_ms),
                published_until: wire.published_until_ms.map(TimeMs),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderClientKeyWire {
    version: u32,
    jwk: String,
    made_at_ms: u64,
    signs_from_ms: u64,
    published_until_ms: Option<u64>,
}
