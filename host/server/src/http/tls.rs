//! TLS that the server speaks itself: versions 1.2 and 1.3, its certificate read anew when the files
//! change, client certificates asked for and never demanded.
//!
//! The handshake proves that a client holds the key of the certificate that it shows, and nothing else: any
//! certificate gets through. Whether somebody trusts it is decided for each request, against what is
//! registered at that moment; here nothing is known of trust domains. Sessions are not resumed, so that
//! every connection has proved its certificate's key itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::private_file;

/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_mins(1);
/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// The certificates that a client showed, its own first, each as DER; its key was proved. Nobody trusts
/// them yet.
#[derive(Debug, Clone)]
pub(crate) struct ClientCertificates(pub(crate) Arc<[Vec<u8>]>);

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read `{path}`: {why}")]
    File { path: PathBuf, why: String },
    #[error("`{certificate}` and `{key}` cannot be used: {why}")]
    Unusable { certificate: PathBuf, key: PathBuf, why: String },
}

/// The server's certificate and its key, as the files had them when they were looked at last.
#[derive(Debug)]
pub(crate) struct ServerCertificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    digest: [u8; 32],
    certified: Arc<CertifiedKey>,
}

impl ServerCertificate {
    /// Read the files.
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = read(certificate, key, None)?.ok_or_else(|| unusable(certificate, key, "they are empty"))?;
        Ok(Self { certificate: certificate.into(), key: key.into(), current: RwLock::new(current) })
    }

    /// Look at the files, and take what is in them if it is other than before; whether it was.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let before = self.current.read().unwrap_or_else(PoisonError::into_inner).digest;
        let Some(current) = read(&self.certificate, &self.key, Some(before))? else { return Ok(false) };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(true)
    }

    /// Look at the files for ever. What cannot be used changes nothing: half of a change may be there, and
    /// the rest a minute later.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let this = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || this.reload()).await {
                Ok(Ok(true)) => tracing::info!("the certificate was read anew"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the certificate cannot be read anew; the old one stays"),
                Err(error) => tracing::warn!(%error, "the certificate was not looked at"),
            }
        }
    }

    /// What makes connections of sockets.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.certificate, &self.key, error))?;
        let resolver: Arc<Self> = Arc::clone(self);
        let mut config = config.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        // Without it (RFC 7627), a TLS 1.2 connection could be made to look like another one's.
        config.require_ems = true;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

/// What the files hold; none if that is what was there before.
fn read(certificate: &Path, key: &Path, before: Option<[u8; 32]>) -> Result<Option<Current>, TlsError> {
    let file = |path: &Path, why: String| TlsError::File { path: path.into(), why };
    let chain_pem = private_file::read_public(certificate, FILE_BYTES_MAX).map_err(|why| file(certificate, why))?;
    let key_pem: Zeroizing<Vec<u8>> = private_file::read(key, FILE_BYTES_MAX).map_err(|why| file(key, why))?;
    let digest = Sha256::new().chain_update(Sha256::digest(&chain_pem)).chain_update(Sha256::digest(&*key_pem));
    let digest: [u8; 32] = digest.finalize().into();
    if before == Some(digest) {
        return Ok(None);
    }
    let fail = |why: String| unusable(certificate, key, why);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain_pem).collect();
    let chain = chain.map_err(|error| fail(error.to_string()))?;
    if chain.is_empty() {
        return Err(fail("there is no certificate in PEM".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| fail("there is no private key in PEM".into()))?;
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    let certified = Arc::new(certified.map_err(|error| fail(error.to_string()))?);
    certified.keys_match().map_err(|error| fail(error.to_string()))?;
    Ok(Some(Current { digest, certified }))
}

fn unusable(certificate: &Path, key: &Path, why: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable { certificate: certificate.into(), key: key.into(), why: why.to_string() }
}

/// Lets every certificate through whose key the client holds.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
