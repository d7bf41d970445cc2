//! Trust bundles: what a trust domain gives to those who verify its SVIDs.
//!
//! Either the SPIFFE bundle format (SPIFFE Trust Domain and Bundle, section 4), a JWK Set, or certificates
//! in PEM. Nothing is fetched here: an operator brings it.

use attorn_core::TrustDomain;
use data_encoding::BASE64;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::SvidError;
use super::jwt_key::{JwtSvidKey, JwtSvidKeyError, WireKey};
use super::x509::check_root;

/// The longest bundle that is read, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 64 << 10;

/// The most roots and keys that are looked at.
const KEYS_MAX: usize = 64;

/// Why a bundle is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is too long.
    #[error("it has more than 65536 bytes, or more than 64 roots and keys")]
    TooLong,
    /// It is no PEM.
    #[error("it is not PEM with nothing but certificates")]
    NotPem,
    /// It is no bundle.
    #[error("it is not a SPIFFE bundle, a JSON object with a list of `keys`")]
    NotABundle,
    /// A root of it is none.
    #[error("root {number} cannot be one: {error}")]
    Root {
        /// Which, from 1.
        number: usize,
        /// Why.
        error: SvidError,
    },
    /// A key of it is none.
    #[error("key {number} cannot be one: {error}")]
    Key {
        /// Which of the keys of the bundle, from 1.
        number: usize,
        /// Why.
        error: JwtSvidKeyError,
    },
}

/// What a trust domain gives to those who verify its SVIDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustBundle {
    /// Certificates, each as DER.
    pub x509_roots: Vec<Vec<u8>>,
    /// Keys of JWT-SVIDs.
    pub jwt_keys: Vec<JwtSvidKey>,
}

#[derive(Deserialize)]
struct WireBundle {
    keys: Vec<WireKey>,
}

impl TrustBundle {
    /// Read certificates in PEM.
    ///
    /// # Errors
    ///
    /// When something in it is not the certificate of an authority that may sign for this trust domain.
    pub fn from_pem(pem: &str, trust_domain: &TrustDomain) -> Result<Self, BundleError> {
        if pem.len() > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLong);
        }
        // What else stands in the file, a private key perhaps, was not meant to be here.
        let (all, ours) = (pem.matches("-----BEGIN ").count(), pem.matches("-----BEGIN CERTIFICATE-----").count());
        if all != ours || all == 0 {
            return Err(BundleError::NotPem);
        }
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let certificates = certificates.map_err(|_| BundleError::NotPem)?;
        if certificates.len() != all {
            return Err(BundleError::NotPem);
        }
        let mut bundle = Self::default();
        for (at, certificate) in certificates.iter().enumerate() {
            bundle.add_root(certificate, at + 1, trust_domain)?;
        }
        Ok(bundle)
    }

    /// Read a bundle in the SPIFFE format. Keys for other uses are passed over, as the format says.
    ///
    /// # Errors
    ///
    /// When it is no bundle, or a root or key in it cannot be one.
    pub fn from_spiffe(json: &str, trust_domain: &TrustDomain) -> Result<Self, BundleError> {
        if json.len() > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLong);
        }
        let wire: WireBundle = serde_json::from_str(json).map_err(|_| BundleError::NotABundle)?;
        let mut bundle = Self::default();
        for (at, key) in wire.keys.iter().enumerate() {
            match key.public_key_use.as_deref() {
                Some("x509-svid") => bundle.add_root(&x5c(key, at + 1)?, at + 1, trust_domain)?,
                Some("jwt-svid") => bundle
                    .add_key(JwtSvidKey::of_wire(key).map_err(|error| BundleError::Key { number: at + 1, error })?)?,
                _ => {}
            }
        }
        Ok(bundle)
    }

    fn add_root(&mut self, der: &[u8], number: usize, trust_domain: &TrustDomain) -> Result<(), BundleError> {
        check_root(der, trust_domain).map_err(|error| BundleError::Root { number, error })?;
        if !self.x509_roots.iter().any(|root| root == der) {
            self.x509_roots.push(der.to_vec());
        }
        if self.x509_roots.len() > KEYS_MAX { Err(BundleError::TooLong) } else { Ok(()) }
    }

    fn add_key(&mut self, key: JwtSvidKey) -> Result<(), BundleError> {
        self.jwt_keys.push(key);
        if self.jwt_keys.len() > KEYS_MAX { Err(BundleError::TooLong) } else { Ok(()) }
    }
}

/// The one certificate of a key for X.509-SVIDs.
fn x5c(key: &WireKey, number: usize) -> Result<Vec<u8>, BundleError> {
    let problem = |what| BundleError::Root { number, error: SvidError::Malformed(what) };
    let Some([certificate]) = key.x5c.as_deref() else {
        return Err(problem("its `x5c` is not one certificate"));
    };
    BASE64.decode(certificate.as_bytes()).map_err(|_| problem("its `x5c` is not base64"))
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
