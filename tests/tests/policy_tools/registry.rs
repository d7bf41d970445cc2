//! `attorn policy publish` and `pull`, with registries that are honest, broken, or hostile.

mod access;
mod publish;
mod pull;
mod signatures;
mod stub;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use attorn_tests::components;
use attorn_tests::process::binary;
use serde_json::{Value, json};
use tempfile::TempDir;

use stub::{MANIFEST, Registry};

const WASM: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// What a command ended with, and said.
struct Ended {
    code: i32,
    out: String,
    said: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), said: text(output.stderr) }
    }

    #[track_caller]
    fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.said);
        self.out
    }

    /// That it was refused, for this, and said the way out where there is one.
    #[track_caller]
    fn refused(self, code: i32, error: &str, help: &str) {
        let Self { code: ended, out, said } = self;
        assert_eq!((ended, out.as_str()), (code, ""), "{error}: {said}");
        assert!(said.starts_with("error: ") && said.contains(error) && said.contains(help), "{error}: {said}");
        assert_eq!(said.contains("help: "), !help.is_empty(), "{error}: {said}");
    }
}

/// A directory with `policy.wasm`, `policy.wasm.minisig` and `release.key`, in which nothing leads to a server, a registry or
/// a configuration of Docker's.
struct Desk(TempDir);

impl Desk {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn new() -> Self {
        Self(super::signed())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("policy").args(arguments).current_dir(self.path());
        for name in
            ["ATTORN_TOKEN", "ATTORN_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"]
        {
            command.env_remove(name);
        }
        command.env("DOCKER_CONFIG", self.path().join("docker"));
        command
    }

    fn attorn(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Publish `policy.wasm` without TLS.
    fn publish(&self, reference: &str, more: &[&str]) -> Ended {
        self.attorn(&[&["publish", "policy.wasm", reference, "--plain-http"], more].concat())
    }

    fn pull(&self, reference: &str, more: &[&str]) -> Ended {
        self.attorn(&[&["pull", reference, "--plain-http"], more].concat())
    }

    /// Pull, and see that it is refused and leaves nothing behind.
    #[track_caller]
    fn pull_refused(&self, reference: &str, more: &[&str], (code, error, help): (i32, &str, &str)) {
        let before = self.files();
        self.pull(reference, more).refused(code, error, help);
        assert_eq!(self.files(), before, "{error}");
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A manifest of a component.
fn manifest(registry: &Registry, component: &[u8]) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": registry.put_blob(CONFIG, b"{}"),
        "layers": [registry.put_blob(WASM, component)],
    })
}

#[test]
fn what_is_published_is_pulled_with_its_signature() {
    for lists_referrers in [false, true] {
        let (desk, registry) = (Desk::new(), Registry::start());
        registry.kept(|kept| kept.lists_referrers = lists_referrers);
        let out = desk.publish(&registry.at(":1.0.0"), &["--json"]).good();
        let published: Value = serde_json::from_str(&out).unwrap();
        let listed_by = if lists_referrers { "registry" } else { "tag" };
        assert_eq!(published["signature"]["listed_by"], listed_by, "{out}");
        let digest = published["digest"].as_str().unwrap();
        let at = registry.at(&format!("@{digest}"));
        assert_eq!((&published["reference"], &published["tag"]), (&at.clone().into(), &"1.0.0".into()));
        assert_eq!(published["component"], blake3::hash(&components::bytes("read-only")).to_hex().as_str());

        let pulled = Desk::empty();
        pulled.write("release.pub", desk.read("release.key.pub"));
        let key = ["--public-key", "release.pub"];
        let out = pulled.pull(&registry.at(":1.0.0"), &key).good();
        assert!(
            out.starts_with(&format!("pulled {at}\n")) && out.contains("\nverified: signed with the key "),
            "{out}"
        );
        assert_eq!(pulled.files(), ["read-only.wasm", "read-only.wasm.minisig", "release.pub"]);
        assert_eq!(pulled.read("read-only.wasm"), desk.read("policy.wasm"));
        assert_eq!(pulled.read("read-only.wasm.minisig"), desk.read("policy.wasm.minisig"));
        pulled.attorn(&["verify", "read-only.wasm", "--public-key", "release.pub"]).good();

        // By digest, without a key: what is there is replaced, and nobody claims that it was verified.
        pulled.write("p.wasm", "old");
        let out = pulled.pull(&at, &["-o", "p.wasm", "--json"]).good();
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&said["signature"]["verified"], &said["file"]), (&false.into(), &"p.wasm".into()), "{out}");
        assert_eq!((&said["digest"], &said["name"]), (&digest.into(), &"read-only".into()), "{out}");
        assert_eq!(pulled.read("p.wasm"), desk.read("policy.wasm"));
        let out = pulled.pull(&at, &["--out", "q.wasm", "--unsigned"]).good();
        assert!(out.ends_with("no signature\n"), "{out}");
        assert!(!pulled.files().contains(&"q.wasm.minisig".to_owned()));
    }
}

#[test]
fn one_component_has_one_digest_and_is_sent_once() {
    let (desk, registry) = (Desk::new(), Registry::start());
    let first = desk.publish(&registry.at(":1"), &[]).good();
    registry.kept(|kept| kept.asked.clear());
    fs::rename(desk.path().join("policy.wasm"), desk.path().join("renamed.wasm")).unwrap();
    let again = ["publish", "renamed.wasm", &registry.at(":2"), "--plain-http", "--signature", "policy.wasm.minisig"];
    let second = desk.attorn(&again).good();
    assert_eq!(first, second);
    registry.kept(|kept| {
        assert!(kept.asked.iter().all(|(asked, _)| !asked.starts_with("POST")), "{:?}", kept.asked);
        // The same signature is in the list once.
        let list = kept.manifests.iter().find(|(name, _)| name.starts_with("sha256-")).unwrap();
        let list: Value = serde_json::from_slice(&list.1.1).unwrap();
        assert_eq!(list["manifests"].as_array().unwrap().len(), 1);
    });
}
