//! Policies in OCI registries: what `attorn policy publish` puts into Debian's `docker-registry`, by `attorn policy pull` and
//! on the registry's disk; and `wkg` of the Bytecode Alliance, which pulls what we publish, and the other way round.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use attorn_tests::components;
use attorn_tests::process::binary;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::openssl::{Authority, P256, Wanted};
use crate::steps::Steps;
use crate::tools::{self, Said, Tools};

const COMMAND: Duration = Duration::from_mins(2);
const START: Duration = Duration::from_secs(30);

const USERNAME: &str = "alice";
const PASSWORD: &str = "open sesame";
/// The password as `htpasswd -B` has it.
const HTPASSWD: &str = "alice:$2b$05$3LzPQAQvXVXM8YxDnp85V.r5SwZHKfTll2NTtnaAgFLU2iWM8bAB.\n";

/// `docker-registry`, which ends with this.
struct Registry {
    port: u16,
    directory: TempDir,
    _child: Child,
}

/// Whether there is TLS, and somebody has to sign in.
enum Guard {
    None,
    All,
}

/// A directory with `policy.wasm`, its signature and keys.
struct Stage(TempDir);

/// Play all but `wkg`.
pub(crate) async fn play(_: &Tools, steps: &mut Steps) {
    let stage = steps.take("a policy is signed, and docker-registry runs", Stage::set()).await;
    let open = Registry::start(Guard::None).await;
    steps.take("what is published is there byte for byte, and is pulled", stage.published(&open)).await;
    steps.take("signatures of two keys stand beside it", stage.signed_twice(&open)).await;
    steps.take("what was changed on its disk is refused", stage.changed(&open)).await;
    let guarded = Registry::start(Guard::All).await;
    steps.take("with TLS and names: who signs in is let in, by each way", stage.guarded(&guarded)).await;
}

/// Play `wkg`.
pub(crate) async fn play_wkg(tools: &Tools, steps: &mut Steps) {
    let stage = steps.take("a policy is signed, and docker-registry runs", Stage::set()).await;
    let open = Registry::start(Guard::None).await;
    steps.take("wkg pulls what attorn published", stage.for_wkg(&open, &tools.wkg)).await;
    steps.take("attorn pulls what wkg pushed", stage.of_wkg(&open, &tools.wkg)).await;
    steps.take("attorn refuses what wkg pushed and is no policy", stage.no_policy_of_wkg(&open, &tools.wkg)).await;
}

impl Registry {
    async fn start(guard: Guard) -> Self {
        let directory = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let mut http = json!({ "addr": format!("127.0.0.1:{port}") });
        let mut auth = json!({});
        if let Guard::All = guard {
            let authority = Authority::root(directory.path(), "authority").await;
            let wanted = Wanted { key: P256, extensions: "subjectAltName=DNS:localhost\n", days: "1" };
            let certified = authority.sign("server", &wanted).await;
            std::fs::write(at("tls.crt"), certified.pem).unwrap();
            std::fs::write(at("tls.key"), certified.key_pem).unwrap();
            std::fs::write(at("htpasswd"), HTPASSWD).unwrap();
            http["tls"] = json!({ "certificate": at("tls.crt"), "key": at("tls.key") });
            auth = json!({ "htpasswd": { "realm": "attorn", "path": at("htpasswd") } });
        }
        // What is JSON is YAML.
        let config = json!({
            "version": 0.1, "log": { "level": "warn" }, "http": http, "auth": auth,
            "storage": { "filesystem": { "rootdirectory": at("data") } },
        });
        std::fs::write(at("config.yml"), config.to_string()).unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(at("config.yml")).stdin(Stdio::null()).kill_on_drop(true);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let log = || std::fs::read_to_string(at("log")).unwrap_or_default();
            assert!(began.elapsed() < START, "docker-registry does not answer: {}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { port, directory, _child: child }
    }

    fn at(&self, rest: &str) -> String {
        format!("localhost:{}/acme/policies/read-only{rest}", self.port)
    }

    /// Where it keeps bytes.
    fn blob(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.directory.path().join("data/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)))
}

impl Stage {
    async fn set() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        std::fs::write(stage.path().join("policy.wasm"), components::bytes("read-only")).unwrap();
        stage.attorn(&["new-key", "release.key"]).await.good();
        stage.attorn(&["sign", "policy.wasm", "--key", "release.key"]).await.good();
        stage
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env("DOCKER_CONFIG", self.path().join("docker")).env("HOME", self.path());
        command
    }

    async fn attorn(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(&binary());
        command.arg("policy").args(arguments);
        tools::run(command, "", COMMAND).await
    }

    /// Publish or pull without TLS.
    async fn plain(&self, arguments: &[&str]) -> Said {
        self.attorn(&[arguments, &["--plain-http"]].concat()).await
    }

    async fn wkg(&self, wkg: &Path, arguments: &[&str]) -> Said {
        let mut command = self.command(wkg);
        command.arg("oci").args(arguments);
        tools::run(command, "", COMMAND).await
    }

    async fn published(&self, registry: &Registry) {
        let out = self.plain(&["publish", "policy.wasm", &registry.at(":1.0.0"), "--json"]).await.good();
        let published: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(published["signature"]["listed_by"], "tag", "this registry knows no referrers: {out}");
        let digest = published["digest"].as_str().unwrap();
        let manifest = std::fs::read(registry.blob(digest)).unwrap();
        assert_eq!(sha256(&manifest), digest);
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        assert_eq!(std::fs::read(registry.blob(layer)).unwrap(), self.read("policy.wasm"));
        for at in [registry.at(":1.0.0"), registry.at(&format!("@{digest}"))] {
            let key = ["pull", &at, "-o", "pulled.wasm", "--public-key", "release.key.pub"];
            let said = self.plain(&key).await.good();
            assert!(said.contains("verified: signed with the key "), "{said}");
            assert_eq!(self.read("pulled.wasm"), self.read("policy.wasm"));
            assert_eq!(self.read("pulled.wasm.minisig"), self.read("policy.wasm.minisig"));
        }
        assert_eq!(self.plain(&["pull", &registry.at(":2.0.0")]).await.code, Some(1));
        let other = format!("@{}", sha256(b"nothing"));
        assert_eq!(self.plain(&["pull", &registry.at(&other)]).await.code, Some(1));
    }

    async fn signed_twice(&self, registry: &Registry) {
        self.attorn(&["new-key", "second.key"]).await.good();
        self.attorn(&["sign", "policy.wasm", "--key", "second.key", "--out", "second.minisig"]).await.good();
        let at = registry.at(":1.0.0");
        self.plain(&["publish", "policy.wasm", &at, "--signature", "second.minisig"]).await.good();
        for (key, signature) in [("release.key.pub", "policy.wasm.minisig"), ("second.key.pub", "second.minisig")] {
            self.plain(&["pull", &at, "-o", "pulled.wasm", "--public-key", key]).await.good();
            assert_eq!(self.read("pulled.wasm.minisig"), self.read(signature));
        }
        self.attorn(&["new-key", "stranger.key"]).await.good();
        let stranger = ["pull", &at, "-o", "pulled.wasm", "--public-key", "stranger.key.pub"];
        assert_eq!(self.plain(&stranger).await.code, Some(5));
    }

    async fn changed(&self, registry: &Registry) {
        let path = registry.blob(&sha256(&self.read("policy.wasm")));
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bad).unwrap();
        let said = self.plain(&["pull", &registry.at(":1.0.0"), "-o", "changed.wasm", "--unsigned"]).await;
        assert!(said.code == Some(5) && said.stderr.contains("the component that came is"), "{}", said.stderr);
        assert!(!self.path().join("changed.wasm").exists());
        std::fs::write(&path, good).unwrap();
    }

    async fn guarded(&self, registry: &Registry) {
        let at = registry.at(":1.0.0");
        let roots = registry.directory.path().join("authority.crt");
        let publish = |more: &[&str], roots: &Path| {
            let mut command = self.command(&binary());
            command.args(["policy", "publish", "policy.wasm", &at]).args(more).env("SSL_CERT_FILE", roots);
            tools::run(command, PASSWORD, COMMAND)
        };
        let nobody = self.path().join("none.crt");
        std::fs::write(&nobody, Authority::root(self.path(), "nobody").await.pem()).unwrap();
        let given = ["--username", USERNAME, "--password-file", "-"];
        let said = publish(&given, &nobody).await;
        assert!(said.code == Some(1) && said.stderr.contains("could not be reached"), "{}", said.stderr);
        let said = publish(&[], &roots).await;
        assert!(said.code == Some(1) && said.stderr.contains("wants credentials"), "{}", said.stderr);
        std::fs::write(self.path().join("wrong"), "not this one").unwrap();
        let said = publish(&["--username", USERNAME, "--password-file", "wrong"], &roots).await;
        assert!(said.code == Some(1) && said.stderr.contains("does not take the credentials"), "{}", said.stderr);
        let said = publish(&given, &roots).await;
        assert!(!said.stderr.contains(PASSWORD));
        let published = said.good();
        // As `docker login` leaves it.
        let auth = data_encoding::BASE64.encode(format!("{USERNAME}:{PASSWORD}").as_bytes());
        let config = json!({ "auths": { format!("localhost:{}", registry.port): { "auth": auth } } });
        std::fs::create_dir_all(self.path().join("docker")).unwrap();
        std::fs::write(self.path().join("docker/config.json"), config.to_string()).unwrap();
        assert_eq!(publish(&[], &roots).await.good(), published);
        let mut pull = self.command(&binary());
        pull.args(["policy", "pull", &at, "-o", "guarded.wasm", "--public-key", "release.key.pub"]);
        pull.env("SSL_CERT_FILE", &roots);
        tools::run(pull, "", COMMAND).await.good();
        assert_eq!(self.read("guarded.wasm"), self.read("policy.wasm"));
    }

    async fn for_wkg(&self, registry: &Registry, wkg: &Path) {
        let at = registry.at(":1.0.0");
        self.plain(&["publish", "policy.wasm", &at]).await.good();
        let host = format!("localhost:{}", registry.port);
        self.wkg(wkg, &["pull", &at, "--insecure", &host, "-o", "by-wkg.wasm"]).await.good();
        assert_eq!(self.read("by-wkg.wasm"), self.read("policy.wasm"));
    }

    async fn of_wkg(&self, registry: &Registry, wkg: &Path) {
        let (at, host) = (registry.at(":wkg"), format!("localhost:{}", registry.port));
        self.wkg(wkg, &["push", &at, "policy.wasm", "--insecure", &host]).await.good();
        let said = self.plain(&["pull", &at, "-o", "of-wkg.wasm"]).await.good();
        assert!(said.ends_with("no signature\n"), "{said}");
        assert_eq!(self.read("of-wkg.wasm"), self.read("policy.wasm"));
        let key = ["pull", &at, "-o", "of-wkg.wasm", "--public-key", "release.key.pub"];
        assert_eq!(self.plain(&key).await.code, Some(5));
    }

    async fn no_policy_of_wkg(&self, registry: &Registry, wkg: &Path) {
        let (at, host) = (registry.at(":other"), format!("localhost:{}", registry.port));
        // The smallest component that there is.
        std::fs::write(self.path().join("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        self.wkg(wkg, &["push", &at, "empty.wasm", "--insecure", &host]).await.good();
        let said = self.plain(&["pull", &at, "-o", "other.wasm"]).await;
        assert!(said.code == Some(1) && !self.path().join("other.wasm").exists(), "{}{}", said.stdout, said.stderr);
    }
}
