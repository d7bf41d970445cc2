//! Keys and certificates that `openssl` makes and signs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attorn_tests::svids::Certified;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXUPPER};
use tokio::process::Command;

use crate::tools;

const COMMAND: Duration = Duration::from_secs(30);

/// P-256, as most workloads have it.
pub(crate) const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// RSA of 2048 bits.
pub(crate) const RSA: &[&str] = &["rsa:2048"];

const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";

/// What a certificate says, in the words of an `openssl` extension file, and for how long.
pub(crate) struct Wanted<'a> {
    /// The kind of its key.
    pub(crate) key: &'a [&'a str],
    /// Its extensions.
    pub(crate) extensions: &'a str,
    /// Days from now on.
    pub(crate) days: &'a str,
}

/// Who signs certificates. Its files stand in a directory of the caller's.
pub(crate) struct Authority {
    certificate: PathBuf,
    key: PathBuf,
    /// Its own certificate, and those of whoever signed for it, apart from the root.
    chain: String,
}

impl Authority {
    /// One that vouches for itself.
    pub(crate) async fn root(directory: &Path, name: &str) -> Self {
        let (certificate, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
        let mut command = request(&key, &certificate, P256);
        command.args(["-x509", "-days", "2", "-subj", &format!("/CN={name}")]);
        command.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        run(command).await;
        Self { certificate, key, chain: String::new() }
    }

    /// One that this one vouches for.
    pub(crate) async fn intermediate(&self, name: &str) -> Self {
        let wanted = Wanted { key: P256, extensions: AUTHORITY, days: "2" };
        let certified = self.sign(name, &wanted).await;
        Self { certificate: self.path(name, "crt"), key: self.path(name, "key"), chain: certified.pem }
    }

    /// Its certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        std::fs::read_to_string(&self.certificate).unwrap()
    }

    /// A certificate with a new key. Who signed it stands behind it, apart from the root.
    pub(crate) async fn sign(&self, name: &str, wanted: &Wanted<'_>) -> Certified {
        let [key, asked, extensions, signed] = ["key", "csr", "ext", "crt"].map(|ending| self.path(name, ending));
        let mut command = request(&key, &asked, wanted.key);
        command.args(["-subj", "/O=Example"]);
        run(command).await;
        std::fs::write(&extensions, wanted.extensions).unwrap();
        let mut command = Command::new("openssl");
        command.args(["x509", "-req", "-sha256", "-CAcreateserial", "-days", wanted.days]);
        for (name, path) in [
            ("-in", &asked),
            ("-CA", &self.certificate),
            ("-CAkey", &self.key),
            ("-extfile", &extensions),
            ("-out", &signed),
        ] {
            command.arg(name).arg(path);
        }
        run(command).await;
        let own = std::fs::read_to_string(&signed).unwrap();
        let der = BASE64.decode(own.lines().filter(|line| !line.starts_with("--")).collect::<String>().as_bytes());
        Certified {
            pem: format!("{own}{}", self.chain),
            der: der.unwrap(),
            key_pem: std::fs::read_to_string(&key).unwrap(),
        }
    }

    /// What RFC 8705 has as `x5t#S256` of a certificate that it signed, as `openssl` counts it.
    pub(crate) async fn thumbprint(&self, name: &str) -> String {
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(self.path(name, "crt"));
        let said = tools::run(command, "", COMMAND).await.good();
        let digits = said.trim().rsplit('=').next().unwrap().replace(':', "");
        BASE64URL_NOPAD.encode(&HEXUPPER.decode(digits.as_bytes()).unwrap())
    }

    /// What `openssl s_client` reads from a server, which it verifies by this authority, when it sends this.
    pub(crate) async fn talk(&self, address: &str, shown: (&Authority, &str), request: &str) -> String {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-verify_return_error", "-connect", address, "-CAfile"]);
        command.arg(&self.certificate);
        command.arg("-cert").arg(shown.0.path(shown.1, "crt")).arg("-key").arg(shown.0.path(shown.1, "key"));
        tools::run(command, request, COMMAND).await.good()
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.key.with_file_name(format!("{name}.{ending}"))
    }
}

fn request(key: &Path, out: &Path, kind: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-nodes", "-newkey"]).args(kind).arg("-keyout").arg(key).arg("-out").arg(out);
    command
}

async fn run(command: Command) {
    tools::run(command, "", COMMAND).await.good();
}
