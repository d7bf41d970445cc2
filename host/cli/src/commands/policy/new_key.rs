//! `attorn policy new-key`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use attorn_toolchain::sign::new_key;
use clap::Args;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::Output;
use crate::private;

/// The longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1 << 10;

/// Make a key pair of minisign, to sign policies with, without a server. The secret half is not encrypted unless there is
/// a password.
#[derive(Debug, Args)]
#[command(after_help = "What is there is never overwritten. `minisign` signs with the key, too.

Examples:
  attorn policy new-key release.key
  attorn policy new-key release.key --password-file password.txt")]
pub(crate) struct NewKey {
    /// Where the secret half goes, for its owner alone; the public one goes to the same name with `.pub`
    file: PathBuf,
    /// Encrypt it with the first line of this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl NewKey {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let password = password(self.password_file.as_deref())?;
        let public = beside(&self.file, "pub");
        let made = new_key(password.as_deref()).map_err(|error| Failure::of(&error))?;
        let fail = |path: &Path, error| Failure::new_file(path, &error);
        // The public half first: what is left of a failure is then no secret.
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&public).map_err(|error| fail(&public, error))?;
        let written = file.write_all(made.public.as_bytes()).map_err(|error| fail(&public, error)).and_then(|()| {
            let secret = private::new_file(&self.file);
            let written =
                secret.and_then(|mut file| file.write_all(made.secret.as_bytes()).and_then(|()| file.sync_all()));
            written.map_err(|error| fail(&self.file, error))
        });
        if let Err(failure) = written {
            // A public key without its other half is in nobody's way but the next try's.
            let _ = std::fs::remove_file(&public);
            return Err(failure);
        }
        if output.json {
            let wire = json!({ "secret_key": self.file.display().to_string(), "public_key": public.display().to_string(), "id": made.key.id().to_string() });
            return output.json(&wire).map(|()| Exit::Done);
        }
        output.line(format!("made {} and {}", self.file.display(), public.display()));
        output.line(format!("public key  {}", made.key.as_str()));
        Ok(Exit::Done)
    }
}

/// The first line of a file, if one is named.
pub(super) fn password(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(path) = file else { return Ok(None) };
    let text = read_text(path, PASSWORD_BYTES_MAX)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
        _ => Err(Failure::usage(format!("the first line of `{}` is empty", path.display()))
            .with_help("the password is that line; without `--password-file` there is none")),
    }
}

/// The file's name with something more behind it.
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
