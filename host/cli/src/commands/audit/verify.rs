//! `attorn audit verify`.
//!
//! Whose log it is follows from the key alone, so it says where the key came from.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use attorn_log::{CheckpointVerifier, RECEIPT_MAGIC, Receipt, Trust, Verified, VerifyError, verify_export};
use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::Output;

const KEY_FILE_BYTES_MAX: u64 = 1024;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn audit verify                                  downloads the server's log, and verifies it
  attorn audit verify --file log.txt --key \"$(cat log.key)\"
  attorn audit verify --receipt receipt.txt --key log.key")]
pub(crate) struct Verify {
    /// Verify this export, without asking any server
    #[arg(long, value_name = "EXPORT", conflicts_with = "receipt")]
    file: Option<PathBuf>,
    /// Verify this receipt, without asking any server
    #[arg(long, value_name = "FILE", requires = "key")]
    receipt: Option<PathBuf>,
    /// The key that is trusted, as `attorn audit key` printed it once, or a file that holds it
    #[arg(long, value_name = "VKEY|FILE")]
    key: Option<String>,
}

/// Why the key is believed.
#[derive(Clone, Copy)]
enum Believed {
    Given,
    FromFile,
    FromServer,
}

impl Believed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::FromFile => "from_file",
            Self::FromServer => "from_server",
        }
    }

    const fn caution(self) -> Option<&'static str> {
        match self {
            Self::Given => None,
            Self::FromFile => {
                Some("the key is the one in the file: this shows that the file is whole, not whose log it is")
            }
            Self::FromServer => {
                Some("the key is the server's own: keep it (`attorn audit key`), and give it with `--key` next time")
            }
        }
    }
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let trusted = self.key.as_deref().map(key).transpose()?;
        if let (Some(path), Some(trusted)) = (&self.receipt, &trusted) {
            return receipt(&context.output, path, trusted);
        }
        if let Some(path) = &self.file {
            let fail = |error: std::io::Error| Failure::file("read", path, &error);
            let mut file = BufReader::new(File::open(path).map_err(fail)?);
            if file.fill_buf().map_err(fail)?.starts_with(RECEIPT_MAGIC.as_bytes()) {
                return Err(Failure::usage(format!("`{}` is a receipt, not an export", path.display()))
                    .with_help("`--receipt` verifies it, and takes `--key`"));
            }
            let done = verify_export(file, trusted.as_ref());
            return report(&context.output, done, if trusted.is_some() { Believed::Given } else { Believed::FromFile });
        }
        let (trusted, believed) = match trusted {
            Some(trusted) => (trusted, Believed::Given),
            None => (key(&context.anybody()?.text("/v1/audit/key").await?)?, Believed::FromServer),
        };
        let mut file = tempfile::tempfile().map_err(|error| Failure::of(&error))?;
        context.operator()?.download("/v1/audit/export", &mut file).await?;
        file.flush().and_then(|()| file.rewind()).map_err(|error| Failure::of(&error))?;
        report(&context.output, verify_export(BufReader::new(file), Some(&trusted)), believed)
    }
}

/// A key, or the name of a file that holds one. Every key has a `+`.
fn key(text: &str) -> Result<CheckpointVerifier, Failure> {
    let held = if text.contains('+') { text.to_owned() } else { read_text(Path::new(text), KEY_FILE_BYTES_MAX)? };
    held.trim_ascii().parse().map_err(|error: attorn_log::KeyError| {
        let Failure { message, .. } = Failure::of(&error);
        Failure::usage(format!("the key is none: {message}")).with_help("`attorn audit key` prints a server's")
    })
}

fn report(output: &Output, done: Result<Verified, VerifyError>, believed: Believed) -> Result<Exit, Failure> {
    let verified = match done {
        Ok(verified) => verified,
        Err(error @ VerifyError::Read(_)) => return Err(Failure::of(&error)),
        Err(error) => return Err(failed(output, error.index(), Failure::verification(&error))),
    };
    let believed = match (verified.trust, believed) {
        (Trust::Given, believed) => believed,
        (Trust::FromFile, _) => Believed::FromFile,
    };
    let checkpoint = verified.checkpoint.checkpoint();
    if output.json {
        output.json(&json!({
            "verified": true,
            "origin": checkpoint.origin.to_string(),
            "entries": verified.entries,
            "root": checkpoint.root.to_string(),
            "key": verified.key.to_string(),
            "key_source": believed.as_str(),
        }))?;
        return Ok(Exit::Done);
    }
    output.line(format!("verified  {} with {} entries", checkpoint.origin, verified.entries));
    output.line(format!("root      {}", checkpoint.root));
    output.line(format!("key       {}", verified.key));
    if let Some(caution) = believed.caution() {
        output.note(caution);
    }
    Ok(Exit::Done)
}

fn receipt(output: &Output, path: &Path, trusted: &CheckpointVerifier) -> Result<Exit, Failure> {
    let bytes_max = u64::try_from(Receipt::BYTES_MAX).unwrap_or(u64::MAX);
    let text = read_text(path, bytes_max)?;
    let logged = match Receipt::parse(&text).and_then(|receipt| receipt.verify(trusted)) {
        Ok(logged) => logged,
        Err(error) => return Err(failed(output, None, Failure::verification(&error))),
    };
    if output.json {
        output.json(&json!({
            "verified": true,
            "entry": logged.entry.at.to_string(),
            "body": serde_json::from_str::<serde_json::Value>(logged.entry.body.as_str()).ok(),
            "size": logged.checkpoint.size,
        }))?;
        return Ok(Exit::Done);
    }
    output.line(format!("verified  entry {} is in the log of {} entries", logged.entry.at, logged.checkpoint.size));
    output.line(format!("body      {}", logged.entry.body.as_str()));
    Ok(Exit::Done)
}

/// Programs read on standard output what people read on standard error.
fn failed(output: &Output, entry: Option<u64>, failure: Failure) -> Failure {
    if output.json {
        // That it could not be written is no worse than that it does not verify.
        let _ = output.json(&json!({ "verified": false, "entry": entry, "problem": failure.message }));
    }
    failure.with_help("keep the file: it is evidence; `attorn audit export` gets the log anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_a_usage_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.key");
        std::fs::write(&path, "nothing\n").unwrap();
        for text in ["a+b+c", path.to_str().unwrap()] {
            let failure = key(text).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.starts_with("the key is none: "), "{failure}");
        }
        assert_eq!(key("no such file").unwrap_err().exit, Exit::Error);
    }

    #[tokio::test]
    async fn a_receipt_is_not_taken_for_an_export() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("receipt.txt");
        std::fs::write(&path, format!("{RECEIPT_MAGIC}\nextra AA==\n")).unwrap();
        let server = "http://127.0.0.1:7400".parse().unwrap();
        let context = Context { server, token_file: None, output: Output::new(false) };
        let failure = Verify { file: Some(path), receipt: None, key: None }.run(&context).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.help.as_deref(), Some("`--receipt` verifies it, and takes `--key`"));
    }

    #[test]
    fn what_does_not_verify_ends_with_its_own_exit_code_and_names_the_entry() {
        let output = Output::new(false);
        let failure = report(&output, Err(VerifyError::Changed { index: 12 }), Believed::Given).unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::VerificationFailed, "entry 12 was changed"));
        let unread = VerifyError::Read(std::io::Error::other("disk on fire"));
        assert_eq!(report(&output, Err(unread), Believed::Given).unwrap_err().exit, Exit::Error);
    }
}
