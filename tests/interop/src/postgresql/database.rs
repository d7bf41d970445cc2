//! A PostgreSQL that the test stops, freezes and kills as it likes.

use attorn_tests::postgresql::Postgresql;
use attorn_tests::wait::until_within;
use tempfile::TempDir;
use tokio::process::Command;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::openssl::{Authority, P256, Wanted};
use crate::tools;

const COMMAND: std::time::Duration = std::time::Duration::from_mins(1);

/// A database.
pub(crate) struct Database {
    pub(crate) port: u16,
    /// Who signed its certificate, which is for `localhost`.
    pub(crate) roots_pem: String,
    /// Its major version, as 16.
    pub(crate) major: u32,
    server: Postgresql,
}

impl Database {
    /// A new one, which runs.
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::root(directory.path(), "authority").await;
        let wanted = Wanted { key: P256, extensions: "subjectAltName=DNS:localhost\n", days: "1" };
        let certified = authority.sign("server", &wanted).await;
        tools::write_private(&directory.path().join("tls.key"), &certified.key_pem);
        std::fs::write(directory.path().join("tls.crt"), certified.pem).unwrap();
        let server = Postgresql::make(directory).await;
        let mut database = Self { port: server.port, roots_pem: authority.pem(), major: 0, server };
        database.run().await;
        let version = first_column(&database.superuser("postgres").await, "SHOW server_version_num").await.unwrap();
        database.major = version[0].parse::<u32>().unwrap() / 10_000;
        database
    }

    /// Start it again.
    pub(crate) async fn run(&mut self) {
        let directory = self.server.directory().display();
        let settings = [
            "fsync=off".into(),
            "max_connections=60".into(),
            "log_statement=all".into(),
            "ssl=on".into(),
            format!("ssl_cert_file={directory}/tls.crt"),
            format!("ssl_key_file={directory}/tls.key"),
        ];
        self.server.start(&settings).await;
    }

    /// SIGQUIT: what a crash is to a database.
    pub(crate) async fn crash(&mut self) {
        self.signal("QUIT").await;
        self.server.ended().await;
    }

    /// SIGKILL, for all of its processes: nobody of them gets to say or write anything more.
    pub(crate) async fn kill(&mut self) {
        // So that none is begun while they are looked for.
        self.signal("STOP").await;
        let processes = self.signal("KILL").await;
        self.server.ended().await;
        // Nobody waits for those that it started, and none is begun again while one of them still has its memory.
        let all_ended = async || processes.iter().all(|pid| has_ended(pid));
        until_within(COMMAND, "all that was killed has ended", all_ended).await;
    }

    /// Nobody is let in and nothing is answered, and connections stay.
    pub(crate) async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// It goes on.
    pub(crate) async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// A signal for the one that listens and all that it started. Gives what it started.
    async fn signal(&self, name: &str) -> Vec<String> {
        let pid = std::fs::read_to_string(self.server.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        let mut children = Command::new("pgrep");
        children.args(["-P", &pid]);
        let children = tools::run(children, "", COMMAND).await.stdout;
        let all = if name == "QUIT" { "" } else { &children };
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(&pid).args(all.split_whitespace());
        tools::run(kill, "", COMMAND).await;
        children.split_whitespace().map(str::to_owned).collect()
    }

    /// All that it wrote to its log.
    pub(crate) fn log(&self) -> String {
        self.server.log()
    }

    /// Sign in.
    pub(crate) async fn connect(
        &self,
        database: &str,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        self.server.connect(database, user, password).await
    }

    /// As its superuser, in this database.
    pub(crate) async fn superuser(&self, database: &str) -> Client {
        self.server.superuser(database).await
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

/// Whether a process is gone, or only waits for somebody to ask how it ended.
fn has_ended(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().all(|line| !line.starts_with("State:") || line.contains('Z'))
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
