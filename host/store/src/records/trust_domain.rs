//! Trust domains: whose signatures say who a workload is.
//!
//! That roots are certificates and keys are keys was checked before they came here.

use attorn_core::{JsonText, TimeMs, TrustDomain};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::batch::VALUE_BYTES_MAX;
use crate::key::Key;

/// A SPIFFE trust domain as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDomainRecord {
    id: TrustDomain,
    x509_roots: Vec<Vec<u8>>,
    jwt_keys: Vec<TrustedJwtKey>,
    created_at: TimeMs,
    /// When its roots and keys became what they are.
    pub changed_at: TimeMs,
    /// When it was revoked, if it was.
    pub revoked_at: Option<TimeMs>,
}

/// A key that signs JWT-SVIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedJwtKey {
    /// The name by which tokens choose it.
    pub kid: String,
    /// The public key, a JWK as JSON text.
    pub jwk: JsonText,
}

/// Why a trust domain cannot be recorded so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustDomainRecordError {
    /// It would vouch for nobody.
    #[error("a trust domain has at least one root or key")]
    Empty,
    /// It has too many roots or keys.
    #[error("{have} {what}, and there may be {most}", most = TrustDomainRecord::ROOTS_MAX)]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        have: usize,
    },
    /// It has too many bytes.
    #[error("the {what} have {bytes} bytes, and {most} is the most")]
    TooLarge {
        /// What has.
        what: &'static str,
        /// How many.
        bytes: usize,
        /// How many there may be.
        most: usize,
    },
    /// Two keys have one name.
    #[error("two keys are named `{0}`")]
    KidTwice(String),
}

impl TrustDomainRecord {
    /// The most roots that a trust domain has, and the most keys.
    pub const ROOTS_MAX: usize = 16;
    /// The most bytes of all its roots.
    pub const ROOTS_BYTES_MAX: usize = 32 << 10;
    /// The most bytes of all its keys and their names.
    pub const JWT_KEYS_BYTES_MAX: usize = 14 << 10;

    /// A trust domain with these roots, each the DER of a certificate.
    ///
    /// # Errors
    ///
    /// [`TrustDomainRecordError`] when roots or keys are none at all, too many or too large, or two keys have one name.
    pub fn new(
        id: TrustDomain,
        x509_roots: Vec<Vec<u8>>,
        jwt_keys: Vec<TrustedJwtKey>,
        created_at: TimeMs,
    ) -> Result<Self, TrustDomainRecordError> {
        let record = Self { id, x509_roots, jwt_keys, created_at, changed_at: created_at, revoked_at: None };
        record.fits()
    }

    /// The same trust domain with other roots and keys.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn changed(
        &self,
        x509_roots: Vec<Vec<u8>>,
        jwt_keys: Vec<TrustedJwtKey>,
        at: TimeMs,
    ) -> Result<Self, TrustDomainRecordError> {
        let changed = Self { x509_roots, jwt_keys, changed_at: at, ..self.clone() };
        changed.fits()
    }

    /// JSON escapes what a key's text has in it, so what is written may be longer than the parts.
    fn fits(self) -> Result<Self, TrustDomainRecordError> {
        self.check()?;
        let (bytes, most) = (self.encode().len(), VALUE_BYTES_MAX - 1_024);
        if bytes > most {
            return Err(TrustDomainRecordError::TooLarge { what: "roots and keys as they are written", bytes, most });
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), TrustDomainRecordError> {
        if self.x509_roots.is_empty() && self.jwt_keys.is_empty() {
            return Err(TrustDomainRecordError::Empty);
        }
        for (what, have) in [("roots", self.x509_roots.len()), ("keys", self.jwt_keys.len())] {
            if have > Self::ROOTS_MAX {
                return Err(TrustDomainRecordError::TooMany { what, have });
            }
        }
        let roots = self.x509_roots.iter().map(Vec::len).sum();
        let keys = self.jwt_keys.iter().map(|key| key.kid.len() + key.jwk.as_str().len()).sum();
        for (what, bytes, most) in [("roots", roots, Self::ROOTS_BYTES_MAX), ("keys", keys, Self::JWT_KEYS_BYTES_MAX)] {
            if bytes > most {
                return Err(TrustDomainRecordError::TooLarge { what, bytes, most });
            }
        }
        let twice = |at: usize| self.jwt_keys[..at].iter().any(|other| other.kid == self.jwt_keys[at].kid);
        match (0..self.jwt_keys.len()).find(|&at| twice(at)) {
            Some(at) => Err(TrustDomainRecordError::KidTwice(self.jwt_keys[at].kid.clone())),
            None => Ok(()),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &TrustDomain {
        &self.id
    }

    /// The certificates that it signs X.509-SVIDs under, each as DER.
    #[must_use]
    pub fn x509_roots(&self) -> &[Vec<u8>] {
        &self.x509_roots
    }

    /// The keys that it signs JWT-SVIDs with.
    #[must_use]
    pub fn jwt_keys(&self) -> &[TrustedJwtKey] {
        &self.jwt_keys
    }

    /// When it was registered.
    #[must_use]
    pub const fn created_at(&self) -> TimeMs {
        self.created_at
    }
}

impl Record for TrustDomainRecord {
    fn key(&self) -> Key {
        Key::trust_domain(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        let key = |key: &TrustedJwtKey| JwtKeyWire { kid: key.kid.clone(), jwk: key.jwk.as_str().to_owned() };
        codec::encode(&TrustDomainWire {
            id: Text(self.id.clone()),
            x509_roots: self.x509_roots.iter().map(|root| BASE64.encode(root)).collect(),
            jwt_keys: self.jwt_keys.iter().map(key).collect(),
            created_at_ms: self.created_at.0,
            changed_at_ms: self.changed_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: TrustDomainWire| {
            let root = |text: String| BASE64.decode(text.as_bytes()).map_err(|error| error.to_string());
            let jwt_key = |key: JwtKeyWire| TrustedJwtKey { kid: key.kid, jwk: JsonText::from_canonical(key.jwk) };
            let record = Self {
                id: wire.id.0,
                x509_roots: wire.x509_roots.into_iter().map(root).collect::<Result<_, _>>()?,
                jwt_keys: wire.jwt_keys.into_iter().map(jwt_key).collect(),
                created_at: TimeMs(wire.created_at_ms),
                changed_at: TimeMs(wire.changed_at_ms),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
            };
            record.check().map(|()| record).map_err(|error| error.to_string())
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustDomainWire {
    id: Text<TrustDomain>,
    x509_roots: Vec<String>,
    jwt_keys: Vec<JwtKeyWire>,
    created_at_ms: u64,
    changed_at_ms: u64,
    revoked_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtKeyWire {
    kid: String,
    jwk: String,
}
