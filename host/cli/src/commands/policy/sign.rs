//! `attorn policy sign`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use attorn_toolchain::sign::{self, SignError};
use clap::Args;
use serde_json::json;

use super::{local, new_key};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{exposed, read_text};
use crate::output::Output;

/// Sign a policy's component, in the format of minisign, without a server. What no policy can be is refused, as by
/// `attorn policy inspect`.
#[derive(Debug, Args)]
#[command(
    after_help = "The signature is of the component's bytes, and not of the settings that it is pushed with. A signature that is there is
replaced.

Examples:
  attorn policy sign policy.wasm --key release.key
  attorn policy sign policy.wasm --key release.key --password-file password.txt --out policy.wasm.minisig"
)]
pub(crate) struct Sign {
    /// The WebAssembly component
    file: PathBuf,
    /// The secret key, as `attorn policy new-key` and `minisign -G` make it; nobody but its owner may read it
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// The first line of this file is the password of the key
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the signature goes; beside the component, with `.minisig`, if it is not said
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let component = super::read_component(&self.file)?;
        let key = read_text(&self.key, sign::KEY_BYTES_MAX)?;
        let password = new_key::password(self.password_file.as_deref())?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| Failure::of(&error))?.as_secs();
        let signed = sign::sign(&component, &key, password.as_deref(), &name, now_s);
        // What is no secret key may be read by everybody.
        if !matches!(signed, Err(SignError::NoKey)) {
            self.ensure_private()?;
        }
        let (signature, public) = signed.map_err(|error| self.not_signed(&error))?;
        let out = self.out.unwrap_or_else(|| new_key::beside(&self.file, "minisig"));
        std::fs::write(&out, signature).map_err(|error| Failure::file("write", &out, &error))?;
        let digest = blake3::hash(&component).to_hex().to_string();
        if output.json {
            let wire = json!({ "signature": out.display().to_string(), "digest": digest, "key": public.id().to_string(), "public_key": public.as_str() });
            return output.json(&wire).map(|()| Exit::Done);
        }
        output.line(format!("signed {digest} with the key {}: {}", public.id(), out.display()));
        Ok(Exit::Done)
    }

    /// Whoever could read the key could sign, and whoever reads the signature could not tell.
    fn ensure_private(&self) -> Result<(), Failure> {
        let Some(mode) = exposed(&self.key)? else { return Ok(()) };
        let error = attorn_agent::FileError::Exposed(mode);
        let help = format!("`chmod 600 {}`; if others may have read it, make another key", self.key.display());
        Err(Failure::file("use", &self.key, &error).with_help(help))
    }

    fn not_signed(&self, error: &SignError) -> Failure {
        let failure = match error {
            SignError::NoPolicy(error) => return local::not_loaded(error),
            SignError::Failed(_) => return Failure::of(error),
            _ => Failure::file("use", &self.key, error),
        };
        match error {
            SignError::NeedsPassword => failure.with_help("`--password-file FILE`, whose first line is its password"),
            SignError::NeedsNoPassword => failure.with_help("leave out `--password-file`"),
            SignError::NoKey => failure.with_help("`attorn policy new-key FILE` makes one"),
            _ => failure,
        }
    }
}
