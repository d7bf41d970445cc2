//! A PostgreSQL of its own in a directory of its own, on loopback: started, stopped, frozen and killed by the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::openssl::{Authority, P256, Wanted};
use crate::tools;

/// Where Debian puts its programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const SUPERUSER: &str = "postgres";
/// Of the superuser of a database that lives as long as the test.
const PASSWORD: &str = "superuser";
const COMMAND: Duration = Duration::from_mins(1);
const START: Duration = Duration::from_secs(30);

/// A database.
pub(crate) struct Database {
    pub(crate) port: u16,
    /// Who signed its certificate, which is for `localhost`.
    pub(crate) roots_pem: String,
    directory: TempDir,
    server: Option<Child>,
}

impl Database {
    /// A new one, which runs.
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let authority = Authority::root(directory.path(), "authority").await;
        let wanted = Wanted { key: P256, extensions: "subjectAltName=DNS:localhost\n", days: "1" };
        let certified = authority.sign("server", &wanted).await;
        tools::write_private(&directory.path().join("tls.key"), &certified.key_pem);
        std::fs::write(directory.path().join("tls.crt"), certified.pem).unwrap();
        own(directory.path()).await;
        let mut initdb = program("initdb").await;
        initdb.arg("--pgdata").arg(directory.path().join("data")).arg("--pwfile").arg(password);
        initdb.args(["--auth=scram-sha-256", "--username", SUPERUSER, "--no-sync", "--encoding=UTF8", "--locale=C"]);
        tools::run(initdb, "", COMMAND).await.good();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut database = Self { port, roots_pem: authority.pem(), directory, server: None };
        database.run().await;
        database
    }

    /// Start it again.
    pub(crate) async fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = program("postgres").await;
        command.arg("-D").arg(self.directory.path().join("data"));
        for setting in [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            "unix_socket_directories=".into(),
            "fsync=off".into(),
            "max_connections=60".into(),
            "log_statement=all".into(),
            "ssl=on".into(),
            format!("ssl_cert_file={}", self.directory.path().join("tls.crt").display()),
            format!("ssl_key_file={}", self.directory.path().join("tls.key").display()),
        ] {
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

    /// SIGQUIT: what a crash is to a database.
    pub(crate) async fn crash(&mut self) {
        self.signal("QUIT").await;
        self.server.take().unwrap().wait().await.unwrap();
    }

    /// SIGKILL, for all of its processes: nobody of them gets to say or write anything more.
    pub(crate) async fn kill(&mut self) {
        // So that none is begun while they are looked for.
        self.signal("STOP").await;
        self.signal("KILL").await;
        self.server.take().unwrap().wait().await.unwrap();
    }

    /// Nobody is let in and nothing is answered, and connections stay.
    pub(crate) async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// It goes on.
    pub(crate) async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// A signal for the one that listens and all that it started.
    async fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.directory.path().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        let mut children = Command::new("pgrep");
        children.args(["-P", &pid]);
        let children = tools::run(children, "", COMMAND).await.stdout;
        let all = if name == "QUIT" { String::new() } else { children };
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(&pid).args(all.split_whitespace());
        tools::run(kill, "", COMMAND).await;
    }

    /// All that it wrote to its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Sign in.
    pub(crate) async fn connect(
        &self,
        database: &str,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(database).user(user).password(password);
        let (client, connection) = config.connect_timeout(Duration::from_secs(5)).connect(NoTls).await?;
        // It ends with its client, or when the database ends it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// As its superuser, in this database.
    pub(crate) async fn superuser(&self, database: &str) -> Client {
        self.connect(database, SUPERUSER, PASSWORD).await.unwrap()
    }

    /// Run statements in the database of the test, as its superuser.
    pub(crate) async fn sql(&self, statements: &str) {
        self.superuser("shop").await.batch_execute(statements).await.unwrap();
    }

    /// The first column of what a question is answered with.
    pub(crate) async fn ask(&self, question: &str) -> Vec<String> {
        first_column(&self.superuser("shop").await, question).await.unwrap()
    }
}

/// The first column of what a question is answered with.
pub(crate) async fn first_column(client: &Client, question: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let messages = client.simple_query(question).await?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}

async fn is_root() -> bool {
    let mut id = Command::new("id");
    id.arg("-u");
    tools::run(id, "", COMMAND).await.good().trim() == "0"
}

/// One of its programs. None of them runs as root.
async fn program(name: &str) -> Command {
    let path = Path::new(PROGRAMS).join(name);
    if !is_root().await {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", SUPERUSER, "--regid", SUPERUSER, "--clear-groups"]).arg(path);
    command
}

/// Give a directory to whoever runs the programs.
async fn own(directory: &Path) {
    if is_root().await {
        let mut chown = Command::new("chown");
        chown.arg("-R").arg(format!("{SUPERUSER}:{SUPERUSER}")).arg(directory);
        tools::run(chown, "", COMMAND).await.good();
    }
}
