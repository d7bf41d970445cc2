//! Certificates and keys that cannot be shown, and what is never shown of those that can.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};

use super::*;
use crate::{Authentication, Client, Error};

/// A certificate and its key, both in PEM.
fn made(algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn good() -> (String, String) {
    made(&PKCS_ECDSA_P256_SHA256)
}

#[track_caller]
fn refused(chain: &str, key: &str, expect: &str) {
    let error = AgentCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
    assert!(!error.contains("PRIVATE"), "{error}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let (chain, key) = good();
    let broken = chain.replacen("MII", "!!!", 1);
    assert_ne!(broken, chain);
    for text in ["", "certificate", &key, &chain[..chain.len() / 2], &broken] {
        refused(text, &key, "the certificate is not one or several certificates in PEM");
    }
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(empty, &key, "is of no kind that TLS can use");
}

#[test]
fn what_is_no_key_is_refused() {
    let (chain, key) = good();
    for text in ["", "key", &chain, &key[..key.len() / 2], r#"{"kty":"EC"}"#] {
        refused(&chain, text, "is no private key in PEM");
    }
    let empty = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let error = AgentCertificate::from_pem(chain.as_bytes(), empty.as_bytes()).unwrap_err();
    assert!(matches!(error, CertificateError::Unusable), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (chain, _) = good();
    for (_, other) in [good(), made(&PKCS_ED25519)] {
        refused(&chain, &other, "the private key is not the certificate's");
    }
    // The agent's own comes first.
    let (other, key) = good();
    refused(&format!("{chain}{other}"), &key, "the private key is not the certificate's");
}

#[test]
fn a_chain_with_its_key_is_taken_also_from_one_text() {
    for (chain, key) in [good(), made(&PKCS_ED25519)] {
        let (signer, _) = good();
        let whole = format!("{key}{chain}{signer}");
        for (chain, key) in [(&chain, &key), (&whole, &key), (&whole, &whole)] {
            let certificate = AgentCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
            // 32 bytes of SHA-256.
            assert_eq!(certificate.thumbprint().len(), 43);
            assert_eq!(format!("{certificate:?}"), format!("AgentCertificate({})", certificate.thumbprint()));
            let shown = format!("{:?}", Authentication::from(certificate));
            assert!(shown.starts_with("AgentCertificate("), "{shown}");
        }
    }
}

#[test]
fn authorities_are_certificates() {
    let (chain, key) = good();
    let certificate = AgentCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    for text in ["", "authorities", &key] {
        let error = certificate.clone().trusting(text.as_bytes()).unwrap_err();
        assert!(matches!(error, CertificateError::NotAnAuthority), "{error}");
    }
    certificate.trusting(chain.as_bytes()).unwrap();
}

#[test]
fn files_are_read_if_nobody_else_may_read_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let [chain, key, none] = ["svid.pem", "svid.key", "none"].map(|name| directory.path().join(name));
    let (chain_pem, key_pem) = good();
    fs::write(&chain, chain_pem).unwrap();
    fs::write(&key, &key_pem).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o644] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let error = AgentCertificate::load(&chain, &key).unwrap_err();
        let CertificateError::File { path, source: FileError::Exposed(found) } = error else { panic!("{error}") };
        assert_eq!((path, found), (key.clone(), mode));
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    AgentCertificate::load(&chain, &key).unwrap();
    for (chain, key) in [(&none, &key), (&chain, &none)] {
        let error = AgentCertificate::load(chain, key).unwrap_err();
        let CertificateError::File { path, source: FileError::Read(_) } = error else { panic!("{error}") };
        assert_eq!(path, none);
    }
    fs::write(&key, key_pem.repeat(2_000)).unwrap();
    let error = AgentCertificate::load(&chain, &key).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot use `{}`", key.display()));
    let CertificateError::File { source: FileError::TooLong(FILE_BYTES_MAX), .. } = error else { panic!("{error}") };
}

#[test]
fn a_certificate_is_shown_over_tls_only_and_makes_no_proofs() {
    let (chain, key) = good();
    let certificate = AgentCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let error = Client::new("http://127.0.0.1:7400", certificate.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`http://127.0.0.1:7400` cannot be the server's URL: a certificate is shown over https only"
    );
    let client = Client::new("https://127.0.0.1:7400", certificate).unwrap();
    let error = client.proof_for("GET", "https://faq.example/", b"", "token").unwrap_err();
    assert!(matches!(error, Error::NoKey), "{error}");
}
