//! Who is told over HTTP of what is to be approved.

use std::fmt;

use attorn_core::{TimeMs, WebhookId};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A receiver of messages.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Its id.
    pub id: WebhookId,
    /// Where messages are sent.
    pub url: String,
    /// Whether that may be this machine.
    pub loopback: bool,
    /// The secret that signs them, wrapped by the root key.
    pub wrapped: Vec<u8>,
    /// When it was registered.
    pub created_at: TimeMs,
    /// When it was revoked, if it was. It stays so.
    pub revoked_at: Option<TimeMs>,
}

impl WebhookRecord {
    /// The most bytes of a URL.
    pub const URL_BYTES_MAX: usize = 1_024;
}

impl fmt::Debug for WebhookRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRecord").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

impl Record for WebhookRecord {
    fn key(&self) -> Key {
        Key::webhook(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&WebhookWire {
            id: Text(self.id.clone()),
            url: self.url.clone(),
            loopback: self.loopback,
            wrapped: BASE64.encode(&self.wrapped),
            created_at_ms: self.created_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: WebhookWire| {
            Ok(Self {
                id: wire.id.0,
                url: wire.url,
                loopback: wire.loopback,
                wrapped: BASE64.decode(wire.wrapped.as_bytes()).map_err(|_| "`wrapped` is not base64")?,
                created_at: TimeMs(wire.created_at_ms),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookWire {
    id: Text<WebhookId>,
    url: String,
    loopback: bool,
    wrapped: String,
    created_at_ms: u64,
    revoked_at_ms: Option<u64>,
}
