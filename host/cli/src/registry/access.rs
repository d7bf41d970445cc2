//! How a registry is reached, as it is said on the command line.

use std::path::PathBuf;

use attorn_toolchain::oci::{Reference, ReferenceError};
use clap::Args;

use super::credentials::{Credentials, Source, Unfit};
use super::way::Security;
use crate::failure::Failure;
use crate::key_source::read_bytes;

/// The longest password, in bytes: keys of cloud accounts are whole files.
const PASSWORD_BYTES_MAX: u64 = 16 << 10;

/// How a registry is reached, and as whom.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// As whom; else as `docker login` left it in `~/.docker/config.json` (or `DOCKER_CONFIG`), if it did
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// This file holds the password, or a token that stands for one; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// Speak HTTP without TLS, to a registry on this machine
    #[arg(long)]
    plain_http: bool,
}

/// The same, read.
pub(crate) struct Access {
    pub(super) credentials: Source,
    plain_http: bool,
}

impl AccessArgs {
    /// Read what was named.
    pub(crate) fn read(self) -> Result<Access, Failure> {
        let credentials = match (self.username, self.password_file) {
            (Some(username), Some(path)) => {
                let bytes = read_bytes(&path, PASSWORD_BYTES_MAX)?;
                let of_file = |problem: &str| Failure::usage(format!("`{}`: {problem}", path.display()));
                let text = String::from_utf8(bytes).map_err(|_| of_file("the password is no text"))?;
                let password =
                    text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                let credentials = Credentials::new(&username, password).map_err(|unfit| match unfit {
                    Unfit::Username => Failure::usage(format!("`--username`: {}", unfit.problem())),
                    Unfit::Password => of_file(unfit.problem()),
                });
                Source::Given(credentials?)
            }
            _ => Source::Docker,
        };
        Ok(Access { credentials, plain_http: self.plain_http })
    }
}

impl Access {
    /// Whether there is TLS.
    pub(super) fn security(&self, reference: &Reference) -> Result<Security, Failure> {
        match (self.plain_http, reference.is_loopback()) {
            (false, _) => Ok(Security::Tls),
            (true, true) => Ok(Security::Machine),
            (true, false) => Err(Failure::usage(format!(
                "`--plain-http` is for a registry on this machine, and `{}` is none",
                reference.registry()
            ))
            .with_help("leave it out; a certificate of your own goes to the machine's, or into SSL_CERT_FILE")),
        }
    }
}

/// A reference on the command line.
pub(crate) fn reference(text: &str) -> Result<Reference, String> {
    text.parse().map_err(|error: ReferenceError| format!("{error}; {}", error.help()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn args(username: &str, password_file: PathBuf) -> AccessArgs {
        AccessArgs { username: Some(username.into()), password_file: Some(password_file), plain_http: false }
    }

    #[test]
    fn a_password_that_is_none_is_refused_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        for (username, password, problem) in [
            ("alice", &b""[..], "password`: it is empty"),
            ("alice", b"\n", "it is empty"),
            ("alice", b"secret\xff", "is no text"),
            ("a:b", b"secret", "`--username`: a name with a `:`"),
            ("", b"secret", "`--username`: a name with a `:`"),
        ] {
            std::fs::write(&path, password).unwrap();
            let failure = args(username, path.clone()).read().err().unwrap();
            assert!(failure.exit == Exit::Usage && failure.message.contains(problem), "{failure}");
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
        std::fs::write(&path, "x".repeat(20_000)).unwrap();
        assert!(args("alice", path.clone()).read().err().unwrap().message.contains("more than 16384 bytes"));
        std::fs::write(&path, "{\n\"key\": 1\n}\r\n").unwrap();
        let Source::Given(given) = args("_json_key", path).read().unwrap().credentials else { unreachable!() };
        assert!(Some(given) == Credentials::new("_json_key", "{\n\"key\": 1\n}").ok());
    }

    #[test]
    fn without_tls_there_is_this_machine_alone() {
        let access = Access { credentials: Source::Docker, plain_http: true };
        for text in ["ghcr.io/a:1", "10.0.0.1:5000/a:1", "localhost.example/a:1", "registry:5000/a:1"] {
            let failure = access.security(&text.parse().unwrap()).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.contains("a registry on this machine"), "{failure}");
        }
        for text in ["localhost:5000/a:1", "127.0.0.1/a:1", "[::1]:5000/a:1"] {
            assert_eq!(access.security(&text.parse().unwrap()).unwrap(), Security::Machine);
        }
    }
}
