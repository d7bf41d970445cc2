//! Key files that are refused, and what comes back from one that was saved.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// RFC 8037, appendix A.1.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

const BOTH: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

#[track_caller]
fn refused(text: &str, expect: &str) {
    let error = AgentKey::parse(text.as_bytes()).unwrap_err();
    assert!(error.to_string().contains(expect), "{text}: {error}");
}

#[test]
fn other_files_are_refused() {
    let secret = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    for text in [
        "",
        "[]",
        "-----BEGIN PRIVATE KEY-----",
        r#"["OKP","Ed25519","a",null,"b"]"#,
        &ED25519.replace(&format!(r#""d":"{secret}","#), ""),
        &ED25519.replace('}', r#","d":"AAAA"}"#),
        &ED25519.replace('}', r#","kid":"a"}"#),
        &ED25519.replace('}', r#","y":"AAAA"}"#),
        &ED25519.replace("OKP", "EC"),
        &ED25519.replace("Ed25519", "Ed448"),
        &ED25519.replace(secret, &secret[1..]),
        &ED25519.replace(secret, &format!("{secret}=")),
    ] {
        refused(text, "is not a private JWK");
    }
}

#[test]
fn halves_of_two_keys_are_refused() {
    refused(&ED25519.replace("nWGx", "nWGy"), "do not belong together");
    refused(&ED25519.replace("11qY", "11qZ"), "do not belong together");
    let [one, other] = [(); 2].map(|()| AgentKey::generate(Algorithm::Es256).unwrap().file_text().unwrap());
    let (public, _) = one.split_once(r#","d""#).unwrap();
    let (_, private) = other.split_once(r#","d""#).unwrap();
    refused(&format!(r#"{public},"d"{private}"#), "do not belong together");
    let zero = BASE64URL_NOPAD.encode(&[0; 32]);
    refused(&format!(r#"{public},"d":"{zero}"}}"#), "do not belong together");
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    AgentKey::generate(Algorithm::EdDsa).unwrap().save(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(AgentKey::load(&path), Err(KeyError::File(FileError::Exposed(found))) if found == mode),
            "{mode:o}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(AgentKey::load(&path).is_ok());
}

#[test]
fn a_file_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    fs::write(&path, "mine").unwrap();
    let error = AgentKey::generate(Algorithm::Es256).unwrap().save(&path).unwrap_err();
    assert_eq!(error.to_string(), "the key file cannot be written");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    fs::write(&path, " ".repeat(5_000)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(AgentKey::load(&path), Err(KeyError::File(FileError::TooLong(KEY_FILE_BYTES_MAX)))));
    assert!(matches!(AgentKey::load(&path.join("none")), Err(KeyError::File(FileError::Read(_)))));
}

#[test]
fn what_was_saved_loads_and_only_its_owner_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    for algorithm in BOTH {
        let path = directory.path().join(algorithm.as_str());
        let key = AgentKey::generate(algorithm).unwrap();
        key.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = AgentKey::load(&path).unwrap();
        assert_eq!(again.algorithm(), algorithm);
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert_eq!(*again.file_text().unwrap(), *key.file_text().unwrap());
        assert_eq!(format!("{again:?}"), format!("AgentKey({})", key.thumbprint()));
    }
}

#[test]
fn the_rfc_s_key_has_the_rfc_s_thumbprint() {
    let key = AgentKey::parse(ED25519.as_bytes()).unwrap();
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
