//! An agent's certificate with its key, as its trust domain gave them: an X.509-SVID in PEM.
//!
//! Both are read once. Whether a certificate has expired, and what it names, is for the server to say; here it is only
//! seen to that a connection can show it. Nothing is fetched from a workload API, and nothing is renewed.

use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::file::{self, FileError};

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is not read.
    #[error("cannot use `{path}`")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: FileError,
    },
    /// There is no certificate, or something that is none.
    #[error("the certificate is not one or several certificates in PEM")]
    NotACertificate,
    /// There is no private key.
    #[error("the certificate's key is no private key in PEM")]
    NotAKey,
    /// A key of a kind that TLS does not know here, or a certificate that cannot be read.
    #[error("the certificate or its key is of no kind that TLS can use")]
    Unusable,
    /// The key is another one's.
    #[error("the private key is not the certificate's")]
    Mismatch,
    /// There is no certificate among those who are to be trusted.
    #[error("the trusted authorities are not one or several certificates in PEM")]
    NotAnAuthority,
}

/// An agent's certificate with those that lead to its root, and its private key.
#[derive(Clone)]
pub struct AgentCertificate {
    identity: Identity,
    thumbprint: String,
    /// Who may have signed the server's certificate; none for those whom the system trusts.
    authorities: Option<Vec<Certificate>>,
}

impl AgentCertificate {
    /// Read both from PEM: the chain with the agent's own certificate first, and its private key in PKCS #8, SEC 1 or
    /// PKCS #1. What else stands in either is passed over, so that both may be the same text.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotACertificate`], [`CertificateError::NotAKey`], [`CertificateError::Unusable`],
    /// [`CertificateError::Mismatch`]
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = certificates(chain).ok_or(CertificateError::NotACertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NotAKey)?;
        let thumbprint = chain.first().map(|own| BASE64URL_NOPAD.encode(&Sha256::digest(own))).unwrap_or_default();
        let identity = Identity::from_pem(pem(&chain, &key).as_bytes()).map_err(|_| CertificateError::Unusable)?;
        check(chain, key)?;
        Ok(Self { identity, thumbprint, authorities: None })
    }

    /// Read both from their files. Nobody but its owner may read the key's.
    ///
    /// # Errors
    ///
    /// [`CertificateError::File`], and as for [`Self::from_pem`].
    pub fn load(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let of = |path: &Path| {
            let path = path.to_owned();
            |source| CertificateError::File { path, source }
        };
        let chain_pem = file::read(chain, FILE_BYTES_MAX).map_err(of(chain))?;
        let key_pem = file::read_secret(key, FILE_BYTES_MAX).map_err(of(key))?;
        Self::from_pem(&chain_pem, &key_pem)
    }

    /// The same, for a server whose certificate one of these authorities signed, and nobody else: certificates in PEM.
    /// Otherwise whom the system trusts is trusted.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotAnAuthority`]
    pub fn trusting(mut self, authorities: &[u8]) -> Result<Self, CertificateError> {
        let authorities = certificates(authorities).ok_or(CertificateError::NotAnAuthority)?;
        let authorities = authorities.iter().map(|der| Certificate::from_der(der));
        let authorities = authorities.collect::<Result<_, _>>().map_err(|_| CertificateError::NotAnAuthority)?;
        self.authorities = Some(authorities);
        Ok(self)
    }

    /// The certificate's thumbprint (RFC 8705, section 3.1), to which the server binds what the agent gets: `x5t#S256`.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A client whose connections show it.
    pub(crate) fn shown_by(&self, http: ClientBuilder) -> ClientBuilder {
        let http = http.https_only(true).identity(self.identity.clone());
        match &self.authorities {
            Some(authorities) => http.tls_certs_only(authorities.iter().cloned()),
            None => http,
        }
    }
}

impl fmt::Debug for AgentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentCertificate({})", self.thumbprint)
    }
}

/// Certificates, at least one.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

/// Whether key and certificate belong together. A connection would only break, and say less.
fn check(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), CertificateError> {
    let fail = |error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
        _ => CertificateError::Unusable,
    };
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(fail)?;
    certified.keys_match().map_err(fail)
}

/// The chain and the key, and nothing else: the HTTP client would take every certificate for one of the chain.
fn pem(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let parts = chain.iter().map(|one| ("CERTIFICATE", one.as_ref())).chain([(label, key.secret_der())]);
    let bytes: usize = parts.clone().map(|(_, der)| 2 * der.len() + 128).sum();
    // Room for all of it, so that no copy of the secret stays behind when the text grows.
    let mut text = Zeroizing::new(String::with_capacity(bytes));
    for (label, der) in parts {
        for piece in ["-----BEGIN ", label, "-----\n"] {
            text.push_str(piece);
        }
        BASE64.encode_append(der, &mut text);
        for piece in ["\n-----END ", label, "-----\n"] {
            text.push_str(piece);
        }
    }
    text
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
