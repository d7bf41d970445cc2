use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::KeyPair;
use tempfile::TempDir;

use super::*;

struct Files {
    _dir: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let files = Self { _dir: dir, certificate, key };
        let (pem, key_pem) = pair();
        files.write(Some(&pem), Some(&key_pem));
        files
    }

    fn write(&self, certificate: Option<&str>, key: Option<&str>) {
        if let Some(certificate) = certificate {
            std::fs::write(&self.certificate, certificate).unwrap();
        }
        if let Some(key) = key {
            std::fs::write(&self.key, key).unwrap();
            std::fs::set_permissions(&self.key, Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn load(&self) -> Result<ServerCertificate, TlsError> {
        ServerCertificate::load(&self.certificate, &self.key)
    }
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["attorn.example".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn shown(certificate: &ServerCertificate) -> Vec<u8> {
    certificate.current.read().unwrap().certified.cert[0].to_vec()
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[test]
fn a_new_certificate_is_taken_as_soon_as_both_files_are_there() {
    let files = Files::new();
    let certificate = files.load().unwrap();
    let old = shown(&certificate);
    assert!(!certificate.reload().unwrap(), "nothing changed");
    let (next, next_key) = pair();
    files.write(Some(&next), None);
    let error = certificate.reload().unwrap_err().to_string();
    assert!(error.contains("cannot be used"), "{error}");
    assert_eq!(shown(&certificate), old, "half of a change was taken");
    files.write(None, Some(&next_key));
    assert!(certificate.reload().unwrap());
    assert_eq!(shown(&certificate), der(&next));
    assert!(!certificate.reload().unwrap());
    std::fs::remove_file(&files.key).unwrap();
    assert!(certificate.reload().is_err());
    files.write(None, Some(&next_key));
    std::fs::set_permissions(&files.key, Permissions::from_mode(0o644)).unwrap();
    let error = certificate.reload().unwrap_err().to_string();
    assert!(error.contains("others may read it (mode 644)"), "{error}");
    assert_eq!(shown(&certificate), der(&next));
}

#[test]
fn what_is_no_pair_is_refused_and_not_shown() {
    let files = Files::new();
    let (other, other_key) = pair();
    for (certificate, key) in [
        (Some(&*other), None),
        (None, Some("")),
        (None, Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
    ] {
        files.write(certificate, key);
        let error = files.load().unwrap_err().to_string();
        assert!(!error.contains("AAAA") && !error.contains("BEGIN"), "{error}");
    }
    files.write(Some(&other), Some(&other_key));
    files.load().unwrap();
    files.write(Some(&other_key), None);
    assert!(files.load().unwrap_err().to_string().contains("there is no certificate in PEM"));
}
