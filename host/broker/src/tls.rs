//! TLS towards targets of every kind: it trusts the certificates that were registered and nobody else, or what the
//! machine trusts. What cannot be read is an error, and no connection.

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::kind::{KindError, NO_ROOTS, NO_TLS};

/// How to speak it, with these certificates in PEM, or what the machine trusts, which takes time to read.
pub(crate) fn config(roots_pem: Option<&str>) -> Result<ClientConfig, KindError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(unread)?;
    Ok(match roots_pem {
        Some(pem) => builder.with_root_certificates(roots(pem).map_err(unread)?),
        None => builder.with_platform_verifier().map_err(unread)?,
    }
    .with_no_client_auth())
}

/// Whom to trust is not known here, which is no fault of the target's.
pub(crate) fn unread(error: impl std::fmt::Display) -> KindError {
    KindError::misconfigured(format!("{NO_ROOTS}{error}"))
}

/// It will not go better before somebody changes something.
pub(crate) fn broken(error: impl std::fmt::Display) -> KindError {
    KindError::misconfigured(format!("{NO_TLS}{error}"))
}

/// Why a handshake failed. What is wrong with a certificate stays so; all else may pass.
pub(crate) fn not_spoken(error: &io::Error) -> KindError {
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => broken(error),
        _ => KindError::unreachable(format!("{NO_TLS}{error}")),
    }
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
        assert_eq!(error.to_string(), "the certificates to be trusted cannot be read: there is no certificate in it");
        assert!(error.is_of_target() && !error.is_temporary());
        // Whoever has to mend that looks here, and not at the target.
        assert_eq!((error.fault(), error.fault().is_answer()), (crate::Fault::Roots, false));
    }

    #[test]
    fn a_certificate_that_is_not_believed_stays_so_and_a_broken_handshake_may_pass() {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for (error, stays) in [
            (io::Error::new(io::ErrorKind::InvalidData, unknown), true),
            (io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError), false),
            (io::Error::from(io::ErrorKind::UnexpectedEof), false),
        ] {
            let error = not_spoken(&error);
            assert_eq!((error.fault(), error.stays()), (crate::Fault::Tls, stays), "{error}");
            assert!(error.is_of_target());
        }
    }
}
