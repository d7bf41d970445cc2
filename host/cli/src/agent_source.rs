//! As which agent a command asks: with its key, or with its certificate.

use std::path::PathBuf;

use attorn_agent::{AgentCertificate, AgentKey, Authentication, CertificateError, FileError};
use clap::{ArgGroup, Args};

use crate::failure::Failure;

/// As which agent a command asks.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("agent_source").required(true).args(["key", "certificate"])))]
pub(crate) struct AgentSource {
    /// The agent's key file
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Instead of a key, the agent's certificate (X.509-SVID) with those that lead to its root, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM; nobody else may read it
    #[arg(long, value_name = "FILE", requires = "certificate", conflicts_with = "key")]
    certificate_key: Option<PathBuf>,
}

impl AgentSource {
    /// Read the files.
    pub(crate) fn obtain(&self) -> Result<Authentication, Failure> {
        match (&self.key, &self.certificate, &self.certificate_key) {
            (Some(key), None, None) => {
                AgentKey::load(key).map(Into::into).map_err(|error| Failure::key_file("use", key, &error))
            }
            (None, Some(certificate), Some(key)) => {
                AgentCertificate::load(certificate, key).map(Into::into).map_err(|error| refused(&error))
            }
            // The command line is parsed so that none of these comes.
            _ => Err(Failure::usage("an agent's `--key`, or its `--certificate` and `--certificate-key`, are needed")),
        }
    }
}

fn refused(error: &CertificateError) -> Failure {
    let failure = Failure::of(error);
    match error {
        CertificateError::File { path, source: FileError::Exposed(_) } => {
            failure.with_help(format!("`chmod 600 {}`", path.display()))
        }
        CertificateError::Mismatch => {
            failure.with_help("the agent's own certificate comes first, before those that lead to its root")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_cannot_be_shown_come_with_a_way_out() {
        let path = PathBuf::from("svid.key");
        for (error, help) in [
            (CertificateError::File { path, source: FileError::Exposed(0o644) }, Some("`chmod 600 svid.key`")),
            (
                CertificateError::Mismatch,
                Some("the agent's own certificate comes first, before those that lead to its root"),
            ),
            (CertificateError::NotAKey, None),
        ] {
            assert_eq!(refused(&error).help.as_deref(), help, "{error}");
        }
    }
}
