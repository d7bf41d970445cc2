//! A PostgreSQL of whoever starts it: in a directory of its own, on loopback. All that is not the demo starts one so; what
//! is in it, and what it is told beside, is the caller's.
//!
//! The demo is a command of the product, which finds what people have and says what is missing.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, Config, NoTls};

/// Says where the programs of PostgreSQL are.
pub const VARIABLE: &str = "ATTORN_POSTGRESQL";
/// Where Debian puts them.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";
/// Who may do everything there, and as whom the programs run where somebody is root.
pub const SUPERUSER: &str = "postgres";
/// Of the superuser of a database that lives as long as whoever started it.
const PASSWORD: &str = "superuser";
const COMMAND: Duration = Duration::from_mins(1);
const START: Duration = Duration::from_secs(30);

/// A database.
pub struct Postgresql {
    /// Where it answers, on the loopback.
    pub port: u16,
    directory: TempDir,
    server: Option<Child>,
}

/// Where its programs are: what [`VARIABLE`] says, or where Debian puts version 15.
pub fn programs() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| DEBIAN.into(), PathBuf::from)
}

impl Postgresql {
    /// A new one in this directory, which does not run yet. What is in the directory is given to whoever runs it.
    pub async fn make(directory: TempDir) -> Self {
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if is_root() {
            run(Command::new("chown").arg("-R").arg(format!("{SUPERUSER}:")).arg(directory.path())).await;
        }
        let mut initdb = program("initdb");
        initdb.arg("--pgdata").arg(directory.path().join("data")).arg("--pwfile").arg(password);
        run(initdb.args(["--auth=scram-sha-256", "--username", SUPERUSER, "--encoding=UTF8", "--locale=C"])).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, directory, server: None }
    }

    /// Start it with these settings beside its own, and wait until it answers.
    pub async fn start(&mut self, settings: &[String]) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = program("postgres");
        command.arg("-D").arg(self.data());
        let own =
            [format!("port={}", self.port), "listen_addresses=127.0.0.1".into(), "unix_socket_directories=".into()];
        for setting in own.iter().chain(settings) {
            command.arg("-c").arg(setting);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        self.server = Some(command.spawn().unwrap());
        let began = Instant::now();
        while self.connect("postgres", SUPERUSER, PASSWORD).await.is_err() {
            assert!(began.elapsed() < START, "the database does not answer: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait until it has ended, when it was told to.
    pub async fn ended(&mut self) {
        self.server.take().unwrap().wait().await.unwrap();
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// All that it wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Sign in.
    ///
    /// # Errors
    ///
    /// Why nobody can.
    pub async fn connect(&self, database: &str, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(database).user(user).password(password);
        let (client, connection) = config.connect_timeout(Duration::from_secs(5)).connect(NoTls).await?;
        // It ends with its client, or when the database ends it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// As its superuser, in this database.
    pub async fn superuser(&self, database: &str) -> Client {
        self.connect(database, SUPERUSER, PASSWORD).await.unwrap()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// One of its programs. None of them runs as root.
fn program(name: &str) -> Command {
    let path = programs().join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", SUPERUSER, "--regid", SUPERUSER, "--clear-groups"]).arg(path);
    command
}

async fn run(command: &mut Command) {
    let output = tokio::time::timeout(COMMAND, command.kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end within {COMMAND:?}")).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
