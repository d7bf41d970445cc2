//! TLS towards targets of every kind: it trusts the certificates that were registered and nobody else, or what the
//! machine trusts. What cannot be read is an error, and no connection.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::kind::KindError;

/// How to speak it, with these certificates in PEM, or what the machine trusts, which takes time to read.
pub(crate) fn config(roots_pem: Option<&str>) -> Result<ClientConfig, KindError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(broken)?;
    Ok(match roots_pem {
        Some(pem) => builder.with_root_certificates(roots(pem).map_err(broken)?),
        None => builder.with_platform_verifier().map_err(broken)?,
    }
    .with_no_client_auth())
}

/// It will not go better before somebody changes something.
pub(crate) fn broken(error: impl std::fmt::Display) -> KindError {
    KindError::misconfigured(format!("TLS cannot be spoken: {error}"))
}

/// Certificates in PEM.
///
/// # Errors
///
/// What is wrong with them.
pub fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("it is no PEM: {error}"))?;
        store.add(certificate).map_err(|error| format!("it holds what is no certificate of an authority: {error}"))?;
    }
    if store.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_are_none_are_refused() {
        assert_eq!(roots("").unwrap_err(), "there is no certificate in it");
        assert!(roots("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert!(roots("-----BEGIN CERTIFICATE-----\n!\n").is_err());
        // Nothing is spoken that trusts nobody.
        let error = config(Some("")).unwrap_err();
        assert_eq!(error.to_string(), "TLS cannot be spoken: there is no certificate in it");
        assert!(error.is_of_target() && !error.is_temporary());
    }
}
