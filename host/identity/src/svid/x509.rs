//! X.509-SVIDs, as the X509-SVID specification (sections 2 to 5) says.
//!
//! Paths are built by `webpki`, as for any TLS connection; what SPIFFE asks beyond that is checked here,
//! on the fields that `x509-parser` reads.

use attorn_core::{KeyThumbprint, SpiffeId, TimeMs, TrustDomain};
use data_encoding::BASE64URL_NOPAD;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, Error as WebpkiError, KeyUsage};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::SvidError;

/// The most certificates of a chain that are looked at.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

/// The most bytes that they have together.
pub const CHAIN_BYTES_MAX: usize = 32 << 10;

/// A chain of certificates whose first has the form of an X.509-SVID. Nothing in it can be believed yet.
#[derive(Debug)]
pub struct UnverifiedX509Svid {
    chain: Vec<CertificateDer<'static>>,
    spiffe_id: SpiffeId,
    thumbprint: KeyThumbprint,
    not_before: TimeMs,
    not_after: TimeMs,
}

/// Who a certificate is of: its own trust domain said so. Only [`UnverifiedX509Svid::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Svid {
    spiffe_id: SpiffeId,
    thumbprint: KeyThumbprint,
    expires_at: TimeMs,
}

impl X509Svid {
    /// Who.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The certificate's thumbprint as RFC 8705 (section 3.1) writes it: `x5t#S256`.
    #[must_use]
    pub const fn thumbprint(&self) -> &KeyThumbprint {
        &self.thumbprint
    }

    /// From when on the certificate does not count any more.
    #[must_use]
    pub const fn expires_at(&self) -> TimeMs {
        self.expires_at
    }
}

impl UnverifiedX509Svid {
    /// Read a chain, each certificate as DER, the workload's own first.
    ///
    /// # Errors
    ///
    /// What the first certificate is not, the first of: a certificate, the name of one workload, no
    /// authority's, for signatures, for clients.
    pub fn parse<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, SvidError> {
        let chain: Vec<_> =
            chain.into_iter().take(CHAIN_CERTIFICATES_MAX + 1).map(CertificateDer::from_slice).collect();
        let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
        if chain.len() > CHAIN_CERTIFICATES_MAX || bytes > CHAIN_BYTES_MAX {
            return Err(SvidError::Malformed("the chain is too long"));
        }
        let leaf = chain.first().ok_or(SvidError::Malformed("the chain is empty"))?;
        let certificate = certificate(leaf)?;
        let spiffe_id = workload(&certificate)?;
        check_usage(&certificate)?;
        let validity = certificate.validity();
        let thumbprint = thumbprint(leaf)?;
        let (not_before, not_after) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
        let chain = chain.into_iter().map(CertificateDer::into_owned).collect();
        Ok(Self { chain, spiffe_id, thumbprint, not_before, not_after })
    }

    /// Whom the certificate names. Nobody vouched for it yet.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Check that this trust domain vouches for it now. `roots` are the certificates that the trust domain
    /// has registered, each as DER.
    ///
    /// # Errors
    ///
    /// What does not hold, the first of: trust domain, validity, chain.
    pub fn verify(
        self,
        trust_domain: &TrustDomain,
        roots: &[impl AsRef<[u8]>],
        now: TimeMs,
    ) -> Result<X509Svid, SvidError> {
        if self.spiffe_id.trust_domain() != trust_domain {
            return Err(SvidError::ForeignTrustDomain);
        }
        if now < self.not_before {
            return Err(SvidError::NotYetValid);
        }
        if now >= self.not_after {
            return Err(SvidError::Expired);
        }
        self.check_chain(trust_domain, roots, now)?;
        Ok(X509Svid { spiffe_id: self.spiffe_id, thumbprint: self.thumbprint, expires_at: self.not_after })
    }

    fn check_chain(
        &self,
        trust_domain: &TrustDomain,
        roots: &[impl AsRef<[u8]>],
        now: TimeMs,
    ) -> Result<(), SvidError> {
        let (leaf, signers) = self.chain.split_first().ok_or(SvidError::Malformed("the chain is empty"))?;
        for signer in signers {
            check_signer(&certificate(signer)?, trust_domain)?;
        }
        // A root that has expired stands behind nobody; path building does not look at that.
        let roots: Vec<CertificateDer<'_>> =
            roots.iter().map(|root| CertificateDer::from_slice(root.as_ref())).collect();
        let counts = |root: &&CertificateDer<'_>| certificate(root).is_ok_and(|root| is_valid_at(&root, now));
        let anchors: Vec<_> =
            roots.iter().filter(counts).filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| SvidError::Malformed("webpki cannot read it"))?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.0));
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        leaf.verify_for_usage(algorithms, &anchors, signers, time, KeyUsage::client_auth(), None, None)
            .map(drop)
            .map_err(|error| match error {
                WebpkiError::CertExpired { .. } => SvidError::Expired,
                WebpkiError::CertNotValidYet { .. } => SvidError::NotYetValid,
                _ => SvidError::UntrustedChain,
            })
    }
}

/// Check that a certificate may sign for a trust domain.
pub(super) fn check_root(der: &[u8], trust_domain: &TrustDomain) -> Result<(), SvidError> {
    let root = certificate(der)?;
    let is_ca = root.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    if !is_ca {
        return Err(SvidError::Malformed("it is not the certificate of an authority"));
    }
    check_signer(&root, trust_domain)?;
    let der = CertificateDer::from_slice(der);
    webpki::anchor_from_trusted_cert(&der).map(drop).map_err(|_| SvidError::Malformed("webpki cannot read it"))
}

fn certificate(der: &[u8]) -> Result<X509Certificate<'_>, SvidError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(SvidError::Malformed("it is not one certificate in DER")),
    }
}

/// All URI names of a certificate.
fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<&'a str>, SvidError> {
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|_| SvidError::Malformed("its alternative names cannot be read"))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let uri = |name: &'a GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    };
    Ok(names.iter().filter_map(uri).collect())
}

/// The one workload that a certificate names.
fn workload(certificate: &X509Certificate<'_>) -> Result<SpiffeId, SvidError> {
    match uris(certificate)?[..] {
        [] => Err(SvidError::NoUriSan),
        [uri] => uri.parse().map_err(SvidError::BadSpiffeId),
        _ => Err(SvidError::ManyUriSans),
    }
}

/// Section 4: what a workload's key may be used for.
fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), SvidError> {
    let constraints = certificate.basic_constraints();
    let constraints = constraints.map_err(|_| SvidError::Malformed("its basic constraints cannot be read"))?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(SvidError::CaCertificate);
    }
    let usage = certificate.key_usage().map_err(|_| SvidError::Malformed("its key usage cannot be read"))?;
    let usage = usage.ok_or(SvidError::KeyUsage("it is not said"))?;
    if !usage.critical {
        return Err(SvidError::KeyUsage("it is not critical"));
    }
    if !usage.value.digital_signature() {
        return Err(SvidError::KeyUsage("it is not for signatures"));
    }
    if usage.value.key_cert_sign() || usage.value.crl_sign() {
        return Err(SvidError::KeyUsage("it is for signing certificates or revocation lists"));
    }
    let extended = certificate.extended_key_usage();
    let extended = extended.map_err(|_| SvidError::Malformed("its extended key usage cannot be read"))?;
    if extended.is_some_and(|extended| !extended.value.client_auth) {
        return Err(SvidError::ExtendedKeyUsage);
    }
    Ok(())
}

/// A signer that says what it signs for says this trust domain, and that it signs certificates.
fn check_signer(certificate: &X509Certificate<'_>, trust_domain: &TrustDomain) -> Result<(), SvidError> {
    let usage = certificate.key_usage().map_err(|_| SvidError::Malformed("a signer's key usage cannot be read"))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(SvidError::KeyUsage("a signer's is not for signing certificates"));
    }
    let own = format!("spiffe://{trust_domain}");
    let of_own =
        |uri: &&str| uri.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match uris(certificate)? {
        names if names.len() > 1 => Err(SvidError::ManyUriSans),
        names if names.iter().all(of_own) => Ok(()),
        _ => Err(SvidError::ForeignTrustDomain),
    }
}

fn is_valid_at(certificate: &X509Certificate<'_>, now: TimeMs) -> bool {
    let validity = certificate.validity();
    (time(validity.not_before.timestamp())..time(validity.not_after.timestamp())).contains(&now)
}

/// Before 1970 nothing was valid.
fn time(seconds: i64) -> TimeMs {
    TimeMs(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000))
}

fn thumbprint(der: &[u8]) -> Result<KeyThumbprint, SvidError> {
    // 32 bytes are always 43 characters of base64url, which is a thumbprint.
    let text = BASE64URL_NOPAD.encode(&Sha256::digest(der));
    text.parse().map_err(|_| SvidError::Malformed("it has no thumbprint"))
}

#[cfg(test)]
#[path = "x509_tests.rs"]
mod tests;
