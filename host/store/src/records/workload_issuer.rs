//! Workload issuers: whose tokens say who a workload is, beside SPIFFE's trust domains. A Kubernetes cluster is one,
//! and so is a cloud.
//!
//! That keys are keys was checked before they came here.

use std::collections::BTreeSet;

use attorn_core::{Digest, Issuer, IssuerAlgorithm, JsonText, TimeMs, WorkloadIssuerId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A workload issuer as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadIssuerRecord {
    id: WorkloadIssuerId,
    issuer: Issuer,
    algorithms: BTreeSet<IssuerAlgorithm>,
    jwks: JsonText,
    created_at: TimeMs,
    /// When its keys became what they are.
    pub changed_at: TimeMs,
    /// When it was revoked, if it was.
    pub revoked_at: Option<TimeMs>,
}

/// A workload issuer has too many bytes, with its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the workload issuer comes to {bytes} bytes as it is recorded, and {most} is the most",
    most = WorkloadIssuerRecord::BYTES_MAX
)]
pub struct WorkloadIssuerTooLarge {
    /// How many the record would have.
    pub bytes: usize,
}

impl WorkloadIssuerRecord {
    /// The most bytes of a record.
    pub const BYTES_MAX: usize = 48 << 10;

    /// An issuer whose tokens are signed in these ways by these keys, a JWK Set.
    ///
    /// # Errors
    ///
    /// [`WorkloadIssuerTooLarge`]
    pub fn new(
        id: WorkloadIssuerId,
        issuer: Issuer,
        (algorithms, jwks): (BTreeSet<IssuerAlgorithm>, JsonText),
        created_at: TimeMs,
    ) -> Result<Self, WorkloadIssuerTooLarge> {
        Self { id, issuer, algorithms, jwks, created_at, changed_at: created_at, revoked_at: None }.fits()
    }

    /// The same issuer with other keys.
    ///
    /// # Errors
    ///
    /// [`WorkloadIssuerTooLarge`]
    pub fn changed(
        &self,
        (algorithms, jwks): (BTreeSet<IssuerAlgorithm>, JsonText),
        at: TimeMs,
    ) -> Result<Self, WorkloadIssuerTooLarge> {
        Self { algorithms, jwks, changed_at: at, ..self.clone() }.fits()
    }

    fn fits(self) -> Result<Self, WorkloadIssuerTooLarge> {
        let bytes = self.encode().len();
        if bytes > Self::BYTES_MAX { Err(WorkloadIssuerTooLarge { bytes }) } else { Ok(self) }
    }

    /// Its id. It stays taken when the issuer is revoked.
    #[must_use]
    pub const fn id(&self) -> &WorkloadIssuerId {
        &self.id
    }

    /// What its tokens say in `iss`, byte by byte. It never changes.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// How its tokens may be signed.
    #[must_use]
    pub const fn algorithms(&self) -> &BTreeSet<IssuerAlgorithm> {
        &self.algorithms
    }

    /// The keys that it signs with, a JWK Set.
    #[must_use]
    pub const fn jwks(&self) -> &JsonText {
        &self.jwks
    }

    /// When it was registered.
    #[must_use]
    pub const fn created_at(&self) -> TimeMs {
        self.created_at
    }
}

impl Record for WorkloadIssuerRecord {
    fn key(&self) -> Key {
        Key::workload_issuer(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&WorkloadIssuerWire {
            id: Text(self.id.clone()),
            issuer: Text(self.issuer.clone()),
            algorithms: self.algorithms.iter().copied().map(Text).collect(),
            jwks: self.jwks.as_str().to_owned(),
            created_at_ms: self.created_at.0,
            changed_at_ms: self.changed_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: WorkloadIssuerWire| {
            Ok(Self {
                id: wire.id.0,
                issuer: wire.issuer.0,
                algorithms: wire.algorithms.into_iter().map(|algorithm| algorithm.0).collect(),
                jwks: JsonText::from_canonical(wire.jwks),
                created_at: TimeMs(wire.created_at_ms),
                changed_at: TimeMs(wire.changed_at_ms),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
            })
        })
    }
}

/// Which workload issuer tokens name in `iss`. There is one for each text, so that no two share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadIssuerNameRecord {
    /// What tokens say.
    pub issuer: Issuer,
    /// Who that is.
    pub id: WorkloadIssuerId,
}

impl WorkloadIssuerNameRecord {
    /// What stands in the key: BLAKE3 in the mode that derives keys, with the context `attorn workload issuer v1`,
    /// over the issuer's bytes.
    #[must_use]
    pub fn digest_of(issuer: &str) -> Digest {
        Digest::from_bytes(blake3::derive_key("attorn workload issuer v1", issuer.as_bytes()))
    }
}

impl Record for WorkloadIssuerNameRecord {
    fn key(&self) -> Key {
        Key::workload_issuer_name(&Self::digest_of(self.issuer.as_str()))
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&WorkloadIssuerNameWire { issuer: Text(self.issuer.clone()), id: Text(self.id.clone()) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: WorkloadIssuerNameWire| Ok(Self { issuer: wire.issuer.0, id: wire.id.0 }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadIssuerWire {
    id: Text<WorkloadIssuerId>,
    issuer: Text<Issuer>,
    algorithms: Vec<Text<IssuerAlgorithm>>,
    jwks: String,
    created_at_ms: u64,
    changed_at_ms: u64,
    revoked_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadIssuerNameWire {
    issuer: Text<Issuer>,
    id: Text<WorkloadIssuerId>,
}
