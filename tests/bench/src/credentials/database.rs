//! A PostgreSQL of its own in a directory of its own, on loopback. It syncs what it commits.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, Config, NoTls};

use super::tools::POSTGRESQL;

const SUPERUSER: &str = "postgres";
const PASSWORD: &str = "superuser";
/// Of the administrator by whom the server makes logins.
pub(super) const ADMIN_PASSWORD: &str = "administrator";
const START: Duration = Duration::from_secs(30);

/// A database.
pub(super) struct Database {
    pub(super) port: u16,
    _directory: TempDir,
    _server: Child,
}

impl Database {
    /// A new one below this directory, which runs and has a role to give.
    pub(super) async fn start(parent: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("credentials").tempdir_in(parent).unwrap();
        let (data, password) = (directory.path().join("data"), directory.path().join("password"));
        std::fs::write(&password, PASSWORD).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            run(Command::new("chown").arg("-R").arg(format!("{SUPERUSER}:")).arg(directory.path())).await;
        }
        let mut initdb = program("initdb", is_root);
        initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password);
        run(initdb.args(["--auth=scram-sha-256", "--username", SUPERUSER, "--encoding=UTF8", "--locale=C"])).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut postgres = program("postgres", is_root);
        postgres.arg("-D").arg(&data);
        for setting in [format!("port={port}"), "listen_addresses=127.0.0.1".into(), "unix_socket_directories=".into()]
        {
            postgres.arg("-c").arg(setting);
        }
        let server = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let database = Self { port, _server: server.spawn().unwrap(), _directory: directory };
        let began = Instant::now();
        let superuser = loop {
            match database.connect(SUPERUSER, PASSWORD).await {
                Ok(client) => break client,
                Err(error) => assert!(began.elapsed() < START, "the database does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let roles = format!(
            "CREATE ROLE attorn LOGIN CREATEROLE IN ROLE pg_signal_backend PASSWORD '{ADMIN_PASSWORD}'; \
             CREATE ROLE reader"
        );
        superuser.batch_execute(&roles).await.unwrap();
        database
    }

    async fn connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname("postgres").user(user).password(password);
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with its client, or when the database ends it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// As the administrator by whom the server makes logins.
    pub(super) async fn administrator(&self) -> Client {
        self.connect("attorn", ADMIN_PASSWORD).await.unwrap()
    }
}

/// One of its programs. None of them runs as root.
fn program(name: &str, is_root: bool) -> Command {
    let path = Path::new(POSTGRESQL).join(name);
    if !is_root {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", SUPERUSER, "--regid", SUPERUSER, "--clear-groups"]).arg(path);
    command
}

async fn run(command: &mut Command) {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
