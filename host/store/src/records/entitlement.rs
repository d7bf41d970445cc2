//! Entitlements: what a user, a group or everyone of a provider may do themselves. What stands for one user
//! names that user's resources, so it is sealed under the user's key.

use attorn_core::{EntitlementHolder, EntitlementPattern, Issuer, TimeMs, UserId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Sealed, Text};
use crate::key::Key;

/// What a holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntitlementRecord {
    /// Whose right it is.
    pub holder: EntitlementHolder,
    /// What it is.
    pub patterns: EntitlementPatterns,
    /// When it was set.
    pub set_at: TimeMs,
}

/// Patterns, readable or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntitlementPatterns {
    /// Those of a group or of everyone.
    Plain(Vec<EntitlementPattern>),
    /// Those of one user: see [`EntitlementPatterns::encode`].
    Sealed(Sealed),
}

impl EntitlementPatterns {
    /// The most patterns of one holder.
    pub const COUNT_MAX: usize = 64;

    /// The bytes that are sealed for one user.
    #[must_use]
    pub fn encode(patterns: &[EntitlementPattern]) -> Vec<u8> {
        codec::encode(&patterns.iter().map(PatternWire::of).collect::<Vec<_>>())
    }

    /// Read bytes that were sealed for this key.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if they are something else, or of another format.
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Vec<EntitlementPattern>, RecordError> {
        codec::decode_body(key, bytes, |wires: Vec<PatternWire>| wires.into_iter().map(|wire| wire.0).collect())
    }
}

impl Record for EntitlementRecord {
    fn key(&self) -> Key {
        Key::entitlement(&self.holder)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&EntitlementWire {
            holder: match &self.holder {
                EntitlementHolder::User(user) => HolderWire::User(Text(user.clone())),
                EntitlementHolder::Group { issuer, name } => {
                    HolderWire::Group { issuer: Text(issuer.clone()), name: name.clone() }
                }
                EntitlementHolder::Everyone(issuer) => HolderWire::Everyone(Text(issuer.clone())),
            },
            patterns: match &self.patterns {
                EntitlementPatterns::Plain(patterns) => {
                    PatternsWire::Plain(patterns.iter().map(PatternWire::of).collect())
                }
                EntitlementPatterns::Sealed(sealed) => PatternsWire::Sealed(sealed.clone()),
            },
            set_at_ms: self.set_at.0,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: EntitlementWire| {
            Ok(Self {
                holder: match wire.holder {
                    HolderWire::User(user) => EntitlementHolder::User(user.0),
                    HolderWire::Group { issuer, name } => EntitlementHolder::Group { issuer: issuer.0, name },
                    HolderWire::Everyone(issuer) => EntitlementHolder::Everyone(issuer.0),
                },
                patterns: match wire.patterns {
                    PatternsWire::Plain(wires) => {
                        EntitlementPatterns::Plain(wires.into_iter().map(|wire| wire.0).collect())
                    }
                    PatternsWire::Sealed(sealed) => EntitlementPatterns::Sealed(sealed),
                },
                set_at: TimeMs(wire.set_at_ms),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntitlementWire {
    holder: HolderWire,
    patterns: PatternsWire,
    set_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum HolderWire {
    User(Text<UserId>),
    Group { issuer: Text<Issuer>, name: String },
    Everyone(Text<Issuer>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PatternsWire {
    Plain(Vec<PatternWire>),
    Sealed(Sealed),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "PairWire", into = "PairWire")]
struct PatternWire(EntitlementPattern);

/// Action and resource, as they were written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairWire {
    action: String,
    resource: String,
}

impl PatternWire {
    fn of(pattern: &EntitlementPattern) -> Self {
        Self(pattern.clone())
    }
}

impl From<PatternWire> for PairWire {
    fn from(PatternWire(pattern): PatternWire) -> Self {
        Self { action: pattern.action.to_string(), resource: pattern.resource().to_owned() }
    }
}

impl TryFrom<PairWire> for PatternWire {
    type Error = attorn_core::ParseError;

    fn try_from(wire: PairWire) -> Result<Self, Self::Error> {
        EntitlementPattern::parse(&wire.action, &wire.resource).map(Self)
    }
}
