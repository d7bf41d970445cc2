//! Decision records that are lost, with the file that they were in, and of which somebody has accepted that.

use attorn_core::TimeMs;
use attorn_log::Epoch;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError};
use crate::key::Key;

/// The lost records of one file. A file has those of 256 entries at the most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecordsRecord {
    /// The epoch of their entries.
    pub epoch: Epoch,
    /// Which bundle these are in.
    pub bundle: u64,
    /// The digest of each, over its key and its value.
    pub digests: Vec<[u8; 32]>,
    /// When it was accepted last that one is lost.
    pub at: TimeMs,
}

impl Record for LostRecordsRecord {
    fn key(&self) -> Key {
        Key::lost_records(self.epoch, self.bundle)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&LostRecordsWire {
            epoch: self.epoch.0,
            bundle: self.bundle,
            digests: BASE64.encode(self.digests.as_flattened()),
            at_ms: self.at.0,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: LostRecordsWire| {
            let bytes = BASE64.decode(wire.digests.as_bytes()).map_err(|_| "the digests are not base64".to_owned())?;
            let (digests, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err("a digest is cut off".to_owned());
            }
            let (epoch, digests) = (Epoch(wire.epoch), digests.to_vec());
            Ok(Self { epoch, bundle: wire.bundle, digests, at: TimeMs(wire.at_ms) })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LostRecordsWire {
    epoch: u64,
    bundle: u64,
    /// One after the other.
    digests: String,
    at_ms: u64,
}
