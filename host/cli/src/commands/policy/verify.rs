//! `attorn policy verify`.

use std::path::{Path, PathBuf};

use attorn_toolchain::{ComponentSignature, SignatureError, SignerKey};
use clap::Args;
use serde_json::json;

use super::new_key;
use super::push::no_directory;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_bytes;
use crate::output::Output;

/// The most bytes of a component that is read, which is the most that a server takes.
const COMPONENT_BYTES_MAX: u64 = 32 << 20;

/// See whether a key signed these bytes, without a server.
#[derive(Debug, Args)]
#[command(after_help = "Whether it is a policy, `attorn policy inspect` says.

Examples:
  attorn policy verify policy.wasm --public-key release.key.pub
  attorn policy verify policy.wasm --public-key RWT1T3wJB/3rmIZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uh --json

Ends with 0 if the key signed it, 5 if it did not or nobody signed it, 1 if something cannot be read, and 2 if what is
given is no public key.")]
pub(crate) struct Verify {
    /// The WebAssembly component
    file: PathBuf,
    /// The public key of whoever signed: the key itself, or a file that holds it
    #[arg(long, value_name = "KEY|FILE.pub")]
    public_key: String,
    /// The signature; beside the component, with `.minisig`, if it is not said
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let key = public_key(&self.public_key)?;
        no_directory(&self.file)?;
        let component = read_bytes(&self.file, COMPONENT_BYTES_MAX)?;
        let is_named = self.signature.is_some();
        let path = self.signature.unwrap_or_else(|| new_key::beside(&self.file, "minisig"));
        if !is_named && matches!(path.try_exists(), Ok(false)) {
            return Err(unsigned(&self.file, &path));
        }
        let bytes = read_bytes(&path, ComponentSignature::BYTES_MAX as u64)?;
        // What is no text is no signature.
        let signature = ComponentSignature::parse(&String::from_utf8_lossy(&bytes));
        let verified = signature.and_then(|signature| key.verify(&component, &signature).map(|()| signature));
        let signature = verified.map_err(|error| not_verified(&path, &error))?;
        let digest = blake3::hash(&component).to_hex().to_string();
        if output.json {
            let wire = json!({ "verified": true, "digest": digest, "key": key.id().to_string(), "trusted_comment": signature.trusted_comment() });
            return output.json(&wire).map(|()| Exit::Done);
        }
        output.line(format!("verified {digest}: signed with the key {}", key.id()));
        // minisign puts a tab between its parts.
        output.line(format!("comment  {}", signature.trusted_comment().replace('\t', "  ")));
        Ok(Exit::Done)
    }
}

/// Nobody signed it, as far as can be seen here.
fn unsigned(component: &Path, signature: &Path) -> Failure {
    let (component, signature) = (component.display(), signature.display());
    let failure = Failure::unverified(format!("`{component}` is not signed: there is no `{signature}`"));
    let help = format!(
        "`attorn policy sign {component} --key FILE` signs it; a signature elsewhere is named by `--signature FILE`"
    );
    failure.with_help(help)
}

fn not_verified(path: &Path, error: &SignatureError) -> Failure {
    let failure = Failure::file("accept", path, error);
    let failure = Failure { exit: Exit::VerificationFailed, ..failure };
    match error {
        SignatureError::Legacy => failure.with_help("`attorn policy sign`, or `minisign -S` since 0.10, makes another"),
        _ => failure,
    }
}

/// A public key, or that of a file.
pub(super) fn public_key(text: &str) -> Result<SignerKey, Failure> {
    let parsed = match SignerKey::parse(text) {
        // No file of this name, and it begins as keys do: it was meant as one, and may be the secret half.
        Err(error) if text.starts_with("RW") && !Path::new(text).exists() => Err((error, "what was given".to_owned())),
        Err(_) => {
            let bytes = read_bytes(Path::new(text), SignerKey::BYTES_MAX as u64)?;
            SignerKey::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| (error, format!("`{text}`")))
        }
        Ok(key) => Ok(key),
    };
    parsed.map_err(|(error, named)| {
        Failure::usage(format!("{named} is no public key: {error}"))
            .with_help("the second line of a `.pub` file, or the file: `attorn policy new-key` makes one")
    })
}
