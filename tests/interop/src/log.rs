//! The audit log, read by `fsck` of transparency-dev/tessera and cosigned by `litewitness` of torchwood: both know
//! the standards (C2SP) and nothing of us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use attorn_tests::files::copy_dir;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::wait::until_within;
use attorn_tests::{Call, Process, Staff};
use data_encoding::BASE64;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::steps::Steps;
use crate::tools::{self, Tools};

/// More than a bundle, and not a whole number of them.
const ENTRIES: u64 = 300;
const COMMAND: Duration = Duration::from_mins(1);
const FSCK_SECONDS: &str = "10";
const WITNESS: &str = "witness.example/litewitness";

/// What makes a log known to `litewitness`. Its own command for that cannot be built everywhere.
const ADD_LOG: &str = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL)')
db.execute('CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin))')
db.execute('INSERT INTO log VALUES (?, 0, ?)', (sys.argv[2], '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='))
db.execute('INSERT INTO key VALUES (?, ?)', (sys.argv[2], sys.argv[3]))
db.commit()";
const SEEN: &str = "import sqlite3, sys
print(*sqlite3.connect(sys.argv[1]).execute('SELECT tree_size, tree_hash FROM log').fetchone())";

/// Play all of it.
pub(crate) async fn play(tools: &Tools, steps: &mut Steps) {
    let directory = TempDir::new().unwrap();
    let agent = steps.take("ssh-agent holds the witness's key", SshAgent::start(directory.path())).await;
    let address = attorn_tests::server::free_address().to_string();
    let toml = format!(
        "public_log = true\nwitness_quorum = 1\n[[witness]]\nkey = \"{}\"\nurl = \"http://{address}/\"\n",
        agent.vkey
    );
    let fresh = Fresh::make().await.configure("public_log = false", &toml);
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let log_key = key(&fresh).await;
    let witness = Litewitness::start(tools, directory.path(), &agent, &address, &log_key);
    let witness = steps.take("litewitness starts and is told of the log", witness).await;
    let log = Log { fresh, staff, directory };
    let size = steps.take("it cosigns checkpoints as the log grows", log.is_witnessed(ENTRIES)).await;
    steps.take("fsck re-derives the root from the server", log.fsck_server(tools)).await;
    steps.take("fsck re-derives it from an export, and not from a changed one", log.fsck_export(tools)).await;
    steps.take("a fork of the log is refused", log.forks(process, size, &witness)).await;
    drop((witness, agent));
}

async fn key(fresh: &Fresh) -> String {
    fresh.reach.send(Call::get("/v1/audit/key")).await.expect(200).text().trim().to_owned()
}

struct Log {
    fresh: Fresh,
    staff: Staff,
    // Removed last.
    directory: TempDir,
}

impl Log {
    async fn grow(&self, entries: u64) {
        for n in 0..entries {
            let fact = json!({ "facts": [{ "name": "resource/article/1/n", "value": n.to_string() }] });
            self.staff.registrar.post("/v1/facts", &fact).await.expect(200);
        }
    }

    /// The size of the checkpoint that anybody is shown, which `litewitness` cosigned.
    async fn shown(&self) -> u64 {
        let note = self.fresh.reach.send(Call::get("/log/checkpoint")).await.expect(200).text();
        assert!(note.contains(&format!("\u{2014} {WITNESS} ")), "{note}");
        note.lines().nth(1).unwrap().parse().unwrap()
    }

    async fn is_witnessed(&self, entries: u64) -> u64 {
        self.staff.auditor.get("/v1/audit/checkpoint?wait=witnessed").await.expect(200);
        let first = self.shown().await;
        self.grow(entries).await;
        self.staff.auditor.get("/v1/audit/checkpoint?wait=witnessed").await.expect(200);
        let size = self.shown().await;
        assert!(size >= first + entries, "{first} {size}");
        size
    }

    /// Whether `fsck` is content. It ends with 0 either way, and where an early bundle is wrong it does not end.
    async fn fsck(&self, tools: &Tools, url: &str) -> bool {
        let path = self.directory.path().join("log.key");
        fs::write(&path, key(&self.fresh).await).unwrap();
        let mut command = Command::new("timeout");
        command
            .arg(FSCK_SECONDS)
            .arg(tools.go.join("fsck"))
            .arg("--ui=false")
            .arg(format!("--storage_url={url}"))
            .arg("--public_key")
            .arg(path);
        command.arg(format!("--bearer_token={}", self.staff.auditor.token));
        let said = tools::run(command, "", COMMAND).await;
        said.stderr.contains("Successfully fsck'd log with size ")
    }

    async fn fsck_server(&self, tools: &Tools) {
        assert!(self.fsck(tools, &format!("{}/log/", self.fresh.reach.url)).await);
    }

    async fn fsck_export(&self, tools: &Tools) {
        let export = self.directory.path().join("export");
        self.attorn(&["audit", "export", "--dir", export.to_str().unwrap()]).await.good();
        let url = format!("file://{}/", export.display());
        assert!(self.fsck(tools, &url).await);
        for name in ["tile/entries/000", "tile/0/000"] {
            let whole = fs::read(export.join(name)).unwrap();
            let mut changed = whole.clone();
            *changed.last_mut().unwrap() ^= 1;
            fs::write(export.join(name), changed).unwrap();
            assert!(!self.fsck(tools, &url).await, "a changed `{name}` passed");
            fs::write(export.join(name), whole).unwrap();
        }
    }

    async fn attorn(&self, arguments: &[&str]) -> tools::Said {
        let mut command = Command::new(binary());
        command.args(arguments).env("ATTORN_URL", &self.fresh.reach.url);
        command.env("ATTORN_TOKEN", &self.staff.auditor.token);
        command.env("XDG_STATE_HOME", self.directory.path().join("state"));
        tools::run(command, "", COMMAND).await
    }

    /// The log is copied; the original goes on and is witnessed; the copy goes on otherwise, under the same key.
    async fn forks(&self, process: Process, size: u64, witness: &Litewitness) {
        let (data, copied) = (self.fresh.data_dir(), self.directory.path().join("copied"));
        process.kill().await;
        copy_dir(&data, &copied);
        let process = Process::start(&self.fresh.config, &self.fresh.reach).await;
        assert!(self.is_witnessed(10).await > size);
        let seen = witness.seen().await;
        process.kill().await;
        fs::remove_dir_all(&data).unwrap();
        copy_dir(&copied, &data);
        // Whoever can do this can take away the file beside it, too, which would tell.
        fs::remove_file(data.with_file_name("high-water")).unwrap();
        let process = Process::start(&self.fresh.config, &self.fresh.reach).await;
        self.grow(30).await;
        self.staff.auditor.get("/v1/audit/checkpoint?wait=witnessed").await.refused(503, "timeout");
        assert_eq!(self.shown().await, size, "a fork is shown as witnessed");
        assert_eq!(witness.seen().await, seen, "the witness took the fork");
        drop(process);
    }
}

/// `litewitness` signs with a key that an SSH agent holds.
struct SshAgent {
    socket: PathBuf,
    /// The key's fingerprint, as SSH has it.
    fingerprint: String,
    /// The witness's verifier key.
    vkey: String,
    _agent: Child,
}

impl SshAgent {
    async fn start(directory: &Path) -> Self {
        let (key, socket) = (directory.join("witness"), directory.join("agent"));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key);
        tools::run(command, "", COMMAND).await.good();
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let agent = command.spawn().unwrap();
        until(|| socket.exists()).await;
        let mut command = Command::new("ssh-add");
        command.arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket);
        tools::run(command, "", COMMAND).await.good();
        let mut command = Command::new("ssh-keygen");
        command.arg("-l").arg("-f").arg(&key);
        let said = tools::run(command, "", COMMAND).await.good();
        let fingerprint = said.split(' ').nth(1).unwrap().to_owned();
        // `ssh-ed25519 <base64> …`: the last 32 bytes are the key.
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let blob = BASE64.decode(public.split(' ').nth(1).unwrap().trim().as_bytes()).unwrap();
        let vkey = vkey(&blob[blob.len() - 32..]);
        Self { socket, fingerprint, vkey, _agent: agent }
    }
}

/// The verifier key of a witness of this name (`c2sp.org/signed-note`).
fn vkey(public: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};

    let key = [&[4], public].concat();
    let hash = Sha256::new().chain_update(WITNESS).chain_update(b"\n").chain_update(&key).finalize();
    format!("{WITNESS}+{}+{}", data_encoding::HEXLOWER.encode(&hash[..4]), BASE64.encode(&key))
}

struct Litewitness {
    database: PathBuf,
    _process: Child,
}

impl Litewitness {
    async fn start(tools: &Tools, directory: &Path, agent: &SshAgent, address: &str, log_key: &str) -> Self {
        let database = directory.join("litewitness.db");
        let origin = log_key.split('+').next().unwrap();
        let mut command = Command::new("python3");
        command.arg("-c").arg(ADD_LOG).arg(&database).args([origin, log_key]);
        tools::run(command, "", COMMAND).await.good();
        let errors = fs::File::create(directory.join("litewitness.log")).unwrap();
        let mut command = Command::new(tools.go.join("litewitness"));
        command.arg("-db").arg(&database).args(["-name", WITNESS, "-listen", address, "-key", &agent.fingerprint]);
        command.arg("-ssh-agent").arg(&agent.socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true);
        let process = command.spawn().unwrap_or_else(|error| panic!("litewitness does not start: {error}"));
        until(|| std::net::TcpStream::connect(address).is_ok()).await;
        Self { database, _process: process }
    }

    /// Size and root of what it has seen.
    async fn seen(&self) -> String {
        let mut command = Command::new("python3");
        command.arg("-c").arg(SEEN).arg(&self.database);
        tools::run(command, "", COMMAND).await.good()
    }
}

async fn until(there: impl Fn() -> bool) {
    until_within(COMMAND, "it starts", async || there()).await;
}
