//! Facts: what operators and resource servers say, and policies rest on. What they say about a user is sealed.

use std::fmt;
use std::str::FromStr;

use attorn_core::{Digest, FactName, JsonText, OperatorId, ResourceServerId, TimeMs};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::codec::{self, Kept, KeptWire, Record, RecordError, Text};
use crate::key::Key;

/// A fact as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRecord {
    /// Its name.
    pub name: FactName,
    /// What is said; sealed if the fact is about a user.
    pub said: Kept<FactBody>,
    /// Who says so.
    pub set_by: FactSource,
    /// When they said so.
    pub set_at: TimeMs,
    /// From when on it does not count any more; none for one that stands until it is deleted.
    pub expires_at: Option<TimeMs>,
}

/// What a fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactBody {
    /// The value, one canonical JSON text of at most [`Self::VALUE_BYTES_MAX`] bytes.
    pub value: JsonText,
    /// What keeps the digest of the value from being guessed.
    pub salt: FactSalt,
}

/// 16 random bytes, drawn anew whenever a fact is set. They stand in the record and never in an entry:
/// values are short and come from small sets, so whoever reads only the log could try them all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FactSalt([u8; 16]);

impl FactSalt {
    /// Bytes that the caller drew at random.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for FactSalt {
    /// 32 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for FactSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactSalt(…)")
    }
}

impl FromStr for FactSalt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a salt is 32 lower-case hex digits")
    }
}

/// Who says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactSource {
    /// An operator.
    Operator(OperatorId),
    /// A resource server, about a resource of its own.
    ResourceServer(ResourceServerId),
}

impl fmt::Display for FactSource {
    /// `operator/…` or `resource-server/…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(id) => write!(f, "operator/{id}"),
            Self::ResourceServer(id) => write!(f, "resource-server/{id}"),
        }
    }
}

impl FactRecord {
    /// Whether it counts at this time.
    #[must_use]
    pub fn counts_at(&self, now: TimeMs) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

impl FactBody {
    /// The most bytes of a value.
    pub const VALUE_BYTES_MAX: usize = 4 << 10;

    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&BodyWire::of(self))
    }

    /// Read bytes that were sealed for this key.
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, RecordError> {
        codec::decode_body(key, bytes, BodyWire::body)
    }

    /// What the log says of the value: BLAKE3 in the mode that derives keys, with the context
    /// `attorn fact value v1`, over the 16 bytes of the salt and then the value.
    #[must_use]
    pub fn value_digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("attorn fact value v1");
        hasher.update(&self.salt.0).update(self.value.as_str().as_bytes());
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl Record for FactRecord {
    fn key(&self) -> Key {
        Key::fact(&self.name)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&FactWire {
            name: Text(self.name.clone()),
            said: KeptWire::of(&self.said, BodyWire::of),
            set_by: match &self.set_by {
                FactSource::Operator(id) => SourceWire::Operator(Text(id.clone())),
                FactSource::ResourceServer(id) => SourceWire::ResourceServer(Text(id.clone())),
            },
            set_at_ms: self.set_at.0,
            expires_at_ms: self.expires_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: FactWire| {
            let said = wire.said.kept(BodyWire::body);
            if let Kept::Plain(FactBody { value, .. }) = &said
                && value.as_str().len() > FactBody::VALUE_BYTES_MAX
            {
                return Err(format!("its value has {} bytes", value.as_str().len()));
            }
            Ok(Self {
                name: wire.name.0,
                said,
                set_by: match wire.set_by {
                    SourceWire::Operator(id) => FactSource::Operator(id.0),
                    SourceWire::ResourceServer(id) => FactSource::ResourceServer(id.0),
                },
                set_at: TimeMs(wire.set_at_ms),
                expires_at: wire.expires_at_ms.map(TimeMs),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactWire {
    name: Text<FactName>,
    said: KeptWire<BodyWire>,
    set_by: SourceWire,
    set_at_ms: u64,
    expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyWire {
    value: String,
    salt: Text<FactSalt>,
}

impl BodyWire {
    fn of(body: &FactBody) -> Self {
        Self { value: body.value.as_str().to_owned(), salt: Text(body.salt) }
    }

    fn body(self) -> FactBody {
        FactBody { value: JsonText::from_canonical(self.value), salt: self.salt.0 }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceWire {
    Operator(Text<OperatorId>),
    ResourceServer(Text<ResourceServerId>),
}
