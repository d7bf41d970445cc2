//! Authorities, and the certificates that they sign: for the server, and for workloads, right and wrong.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Who signs certificates.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate, in PEM.
    pub pem: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
    /// Its private key, in PEM.
    pub key_pem: String,
}

impl Authority {
    /// One that vouches for itself, for long.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    /// The certificate of a server on loopback.
    pub fn server(&self) -> Certified {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// A workload's certificate, changed in what the test wants to be wrong.
    pub fn svid(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        self.sign(&svid_params(id, change))
    }

    fn sign(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Certified { pem: certificate.pem(), der: certificate.der().to_vec(), key_pem: key.serialize_pem() }
    }
}

/// A workload's certificate that nobody but itself vouches for.
pub fn self_signed(id: &str) -> Certified {
    let key = KeyPair::generate().unwrap();
    let certificate = svid_params(id, |_| {}).self_signed(&key).unwrap();
    Certified { pem: certificate.pem(), der: certificate.der().to_vec(), key_pem: key.serialize_pem() }
}

fn svid_params(id: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(id)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    params
}

/// A URI among a certificate's names.
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}
