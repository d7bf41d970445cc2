//! How far the server's time has come, noted every few seconds: a start goes on from there.

use attorn_core::{TimeMs, TimeSpan};
use serde::{Deserialize, Serialize};

use super::clock::SpanWire;
use super::codec::{self, Record, RecordError};
use crate::key::Key;

/// The server's time at one moment of one boot of the machine, and what of it was never counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockMarkRecord {
    /// Which boot: what Linux calls it.
    pub boot: Box<str>,
    /// The moment, in milliseconds since boot.
    pub since_boot_ms: u64,
    /// The server's time then.
    pub at: TimeMs,
    /// Whether the wall clock was ever believed since the boot. Until then the server's time is only known to be no
    /// earlier than this.
    pub settled: bool,
    /// How much of that time passed by a word of the wall clock, and not by the time since boot.
    pub uncounted_ms: u64,
    /// In how many milliseconds from the moment on what was not counted is believed nonetheless.
    pub believed_in_ms: u64,
    /// The longest of the times that were left out since time was set back last.
    pub leap: TimeSpan,
    /// No token that was issued until then is exchanged.
    pub tokens_after: TimeMs,
}

impl Record for ClockMarkRecord {
    fn key(&self) -> Key {
        Key::clock_mark()
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&MarkWire {
            boot: self.boot.clone(),
            since_boot_ms: self.since_boot_ms,
            at_ms: self.at.0,
            settled: self.settled,
            uncounted_ms: self.uncounted_ms,
            believed_in_ms: self.believed_in_ms,
            leap: self.leap.into(),
            tokens_after_ms: self.tokens_after.0,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: MarkWire| {
            Ok(Self {
                boot: wire.boot,
                since_boot_ms: wire.since_boot_ms,
                at: TimeMs(wire.at_ms),
                settled: wire.settled,
                uncounted_ms: wire.uncounted_ms,
                believed_in_ms: wire.believed_in_ms,
                leap: wire.leap.into(),
                tokens_after: TimeMs(wire.tokens_after_ms),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkWire {
    boot: Box<str>,
    since_boot_ms: u64,
    at_ms: u64,
    settled: bool,
    uncounted_ms: u64,
    believed_in_ms: u64,
    leap: SpanWire,
    tokens_after_ms: u64,
}
