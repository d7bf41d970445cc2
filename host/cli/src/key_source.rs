//! The public key of what is registered: of a key that is made now, or from a file.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use attorn_agent::{AgentKey, Algorithm};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::failure::Failure;
use crate::parse;

/// The longest public key file that is read, in bytes.
const JWK_BYTES_MAX: u64 = 4096;

/// Where the key comes from. Whether there has to be one is for the command to say: a group of its own that is
/// required has [`KEY_SOURCES`] in it.
#[derive(Debug, Args)]
#[group(id = "key_source", multiple = false)]
pub(crate) struct KeySource {
    /// Make a key, and keep its private half in this new file
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,
    /// Register this public key, a JWK
    #[arg(long, value_name = "PUB.jwk")]
    key_file: Option<PathBuf>,
}

/// The arguments of a [`KeySource`].
pub(crate) const KEY_SOURCES: [&str; 2] = ["new_key", "key_file"];

/// How a new key signs.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    Eddsa,
}

/// A public key to register, and the file that was made for its private half.
pub(crate) struct RegisteredKey {
    pub(crate) jwk: Value,
    made: Option<PathBuf>,
}

impl KeySource {
    /// Whether a key was named at all.
    pub(crate) const fn is_given(&self) -> bool {
        self.new_key.is_some() || self.key_file.is_some()
    }

    /// Read the key, or make one. The file is written before anything is registered: a key that is
    /// registered and lost would be worse than a file that is in nobody's way.
    pub(crate) fn obtain(&self, algorithm: KeyAlgorithm) -> Result<RegisteredKey, Failure> {
        if let Some(path) = &self.new_key {
            let key = AgentKey::generate(match algorithm {
                KeyAlgorithm::Es256 => Algorithm::Es256,
                KeyAlgorithm::Eddsa => Algorithm::EdDsa,
            })?;
            key.save(path).map_err(|error| Failure::key_file("make", path, &error))?;
            let jwk = serde_json::from_str(key.public_jwk()).map_err(|error| Failure::of(&error))?;
            return Ok(RegisteredKey { jwk, made: Some(path.clone()) });
        }
        let path = self.key_file.as_deref().unwrap_or_else(|| Path::new(""));
        let jwk = public_jwk(&read_text(path, JWK_BYTES_MAX)?)
            .map_err(|problem| Failure::usage(format!("`{}` is no public key: {problem}", path.display())))?;
        Ok(RegisteredKey { jwk, made: None })
    }
}

impl RegisteredKey {
    /// Give what came of the registration, and take back the file if the server refused.
    pub(crate) fn settle<T>(self, done: Result<T, Failure>) -> Result<T, Failure> {
        if let (Err(Failure { code: Some(code), .. }), Some(path)) = (&done, &self.made)
            && code.status() < 500
        {
            // If it cannot be removed, a key that is registered nowhere stays behind.
            let _ = std::fs::remove_file(path);
        }
        done
    }

    /// Where the private half is, in words, if it was made here.
    pub(crate) fn where_it_is(&self) -> Option<String> {
        self.made.as_ref().map(|path| format!("its private key is in `{}`, and nowhere else", path.display()))
    }
}

/// A file's text, if it is not longer than this.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    let fail = |error: &dyn std::error::Error| Failure::file("read", path, error);
    let mut text = String::new();
    let file = File::open(path).map_err(|error| fail(&error))?;
    file.take(bytes_max + 1).read_to_string(&mut text).map_err(|error| fail(&error))?;
    if text.len() as u64 > bytes_max {
        return Err(Failure::new(format!("`{}` has more than {bytes_max} bytes", path.display())));
    }
    Ok(text)
}

/// Whether others than its owner may read or write a file, and with what mode.
pub(crate) fn exposed(path: &Path) -> Result<Option<u32>, Failure> {
    let mode = std::fs::metadata(path).map_err(|error| Failure::file("read", path, &error))?.mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// The text of a file that holds a secret: nobody else may read it, as with keys.
pub(crate) fn private_text(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    if let Some(mode) = exposed(path)? {
        let failure = Failure::new(format!(
            "others may read or write `{}`, which holds a secret: its mode is {mode:03o}",
            path.display()
        ));
        return Err(failure.with_help(format!("`chmod 600 {}`", path.display())));
    }
    read_text(path, bytes_max)
}

/// A file's bytes, or those of standard input for `-`, if they are not more than this.
pub(crate) fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let fail = |error: &dyn std::error::Error| Failure::file("read", path, error);
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| fail(&error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::new(format!("`{}` has more than {bytes_max} bytes", path.display())));
    }
    Ok(bytes)
}

/// What comes on standard input, cut off where it is longer than this.
pub(crate) fn stdin_text(bytes_max: u64) -> Result<String, Failure> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(bytes_max);
    input.read_to_string(&mut text).map_err(|error| Failure::of(&error))?;
    Ok(text)
}

fn public_jwk(text: &str) -> Result<Value, String> {
    let jwk: Value = parse::strict_json(text)?;
    match jwk.as_object() {
        None => Err("it is no JSON object".into()),
        Some(members) if members.contains_key("d") || members.contains_key("k") => {
            Err("it holds a private key, which stays where it is; leave out its member `d`".into())
        }
        Some(_) => Ok(jwk),
    }
}

#[cfg(test)]
mod tests {
    use attorn_api::ProblemCode::{AlreadyExists, Timeout};

    use super::*;

    #[test]
    fn private_keys_are_never_sent() {
        for (text, problem) in [
            (r#"{"kty":"EC","d":"secret"}"#, "it holds a private key"),
            (r#"{"kty":"oct","k":"secret"}"#, "it holds a private key"),
            (r#"{"kty":"EC","kty":"OKP"}"#, "stands twice"),
            ("[]", "it is no JSON object"),
            ("-----BEGIN PUBLIC KEY-----", "invalid number"),
        ] {
            let error = public_jwk(text).unwrap_err();
            assert!(error.contains(problem) && !error.contains("secret"), "{error}");
        }
        assert!(public_jwk(r#"{"kty":"EC"}"#).is_ok());
    }

    #[test]
    fn a_key_file_goes_when_the_server_refuses_and_stays_when_nobody_knows() {
        let directory = tempfile::tempdir().unwrap();
        for (at, (code, stays)) in
            [(Some(AlreadyExists), false), (Some(Timeout), true), (None, true)].into_iter().enumerate()
        {
            let path = directory.path().join(at.to_string());
            let source = KeySource { new_key: Some(path.clone()), key_file: None };
            let key = source.obtain(KeyAlgorithm::Es256).unwrap();
            assert!(path.exists() && key.jwk.get("d").is_none());
            assert!(key.settle::<()>(Err(Failure { code, ..Failure::new("it is so") })).is_err());
            assert_eq!(path.exists(), stays);
        }
    }

    #[test]
    fn long_files_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long");
        std::fs::write(&path, "x".repeat(11)).unwrap();
        assert!(read_text(&path, 10).unwrap_err().message.ends_with("has more than 10 bytes"));
        assert_eq!(read_text(&path, 11).unwrap().len(), 11);
    }
}
