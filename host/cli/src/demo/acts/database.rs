//! A PostgreSQL of the act's own: in a directory of its own, on loopback, for as long as the act is played.
//!
//! What it says is believed by whoever watches the demo, and by nobody else: Attorn knows it as any target.

mod programs;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use attorn_api::decisions::PostgresqlLogin;
use data_encoding::HEXLOWER;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Child;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::demo::host::said;
use crate::failure::Failure;

pub(super) use programs::{HELP, Programs};

/// Who may do everything there.
const SUPERUSER: &str = "postgres";

/// The database with the sample data.
pub(super) const NAME: &str = "shop";

/// How long it may take until it answers, and until it has ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// A database, while it runs.
pub(super) struct Database {
    pub(super) port: u16,
    pub(super) version: String,
    pub(super) major: u32,
    /// The password of the administrator by whom logins are made.
    pub(super) admin_password: String,
    /// And of the superuser.
    password: String,
    child: Child,
    _directory: TempDir,
}

/// Somebody who signed in.
pub(super) struct Session(Client);

impl Database {
    /// Make one and start it; what it has to say goes to this file.
    pub(super) async fn start(programs: &Programs, log: &Path) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("attorn-demo-database-").tempdir();
        let directory = directory.map_err(|error| Failure::of(&error))?;
        let password = random()?;
        make(programs, directory.path(), &password).await?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let port = port.map_err(|error| Failure::of(&error))?.port();
        let file = File::create_new(log).map_err(|error| Failure::file("make", log, &error))?;
        let mut command = programs.program("postgres", directory.path());
        command.arg("-D").arg(directory.path().join("data"));
        for setting in
            [format!("port={port}").as_str(), "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        {
            command.arg("-c").arg(setting);
        }
        let child = command.stdout(std::process::Stdio::null()).stderr(file).spawn();
        let child = child.map_err(|error| Failure::of(&error))?;
        let (version, major) = (programs.version.clone(), programs.major);
        let admin_password = random()?;
        let mut database = Self { port, version, major, admin_password, password, child, _directory: directory };
        database.ready(log).await?;
        Ok(database)
    }

    async fn ready(&mut self, log: &Path) -> Result<(), Failure> {
        let began = Instant::now();
        let failed = |what: String| Failure::new(what).with_help(format!("its log is `{}`", log.display()));
        loop {
            match self.connect("postgres", SUPERUSER, &self.password).await {
                Ok(first) => {
                    let made = first.run(&format!("CREATE DATABASE {NAME}")).await;
                    return made.map_err(|why| failed(format!("the database cannot be made: {why}")));
                }
                Err(why) if began.elapsed() > PATIENCE => {
                    return Err(failed(format!("the database does not answer: {why}")));
                }
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait().map_err(|error| Failure::of(&error))? {
                return Err(failed(format!("the database ended: {status}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn connect(&self, database: &str, user: &str, password: &str) -> Result<Session, String> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(database).user(user).password(password);
        let connected = config.connect_timeout(Duration::from_secs(5)).connect(NoTls).await;
        let (client, connection) = connected.map_err(|error| words(&error))?;
        // It ends with its client, or when the database ends it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Session(client))
    }

    /// Sign in with a login; or why not.
    pub(super) async fn sign_in(&self, login: &PostgresqlLogin) -> Result<Session, String> {
        let password = login.password.as_deref().unwrap_or_default();
        self.connect(&login.database, &login.user, password).await
    }

    /// As the superuser, who sees everything.
    pub(super) async fn superuser(&self) -> Result<Session, Failure> {
        let session = self.connect(NAME, SUPERUSER, &self.password).await;
        session.map_err(|why| Failure::new(format!("the superuser cannot sign in: {why}")))
    }

    /// How many logins of this name there are, or of any where none is said.
    pub(super) async fn logins(&self, named: Option<&str>) -> Result<usize, Failure> {
        let roles = self.superuser().await?.rows("SELECT rolname FROM pg_roles WHERE rolname ~ '^attorn_'").await;
        let roles = roles.map_err(Failure::new)?;
        Ok(roles.iter().filter(|role| named.is_none_or(|named| **role == named)).count())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What it kept is thrown away, so it need not finish anything.
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::QUIT).is_ok());
        let began = Instant::now();
        // Its directory goes after it. If it does not end, it is killed.
        while asked && began.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Session {
    /// The rows of what this is answered with, their columns joined; or why not.
    pub(super) async fn rows(&self, question: &str) -> Result<Vec<String>, String> {
        let messages = self.0.simple_query(question).await.map_err(|error| words(&error))?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                let columns = (0..row.len()).map(|at| row.get(at).unwrap_or("null"));
                Some(columns.collect::<Vec<_>>().join(" | "))
            }
            _ => None,
        };
        Ok(messages.iter().filter_map(row).collect())
    }

    /// Run statements; or why they cannot be.
    pub(super) async fn run(&self, statements: &str) -> Result<(), String> {
        self.0.batch_execute(statements).await.map_err(|error| words(&error))
    }

    /// Whether the database has ended it.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

/// What the database says is wrong.
fn words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| Failure::of(error).message, |error| error.message().to_owned())
}

/// A cluster in this directory, which whoever runs the programs owns.
async fn make(programs: &Programs, directory: &Path, password: &str) -> Result<(), Failure> {
    let path = directory.join("password");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(password.as_bytes()))
        .map_err(|error| Failure::file("write", &path, &error))?;
    if let Some(run_as) = programs.run_as {
        for path in [directory, &path] {
            let own = chown(path, Some(run_as.user), Some(run_as.group));
            own.map_err(|error| Failure::file("give away", path, &error))?;
        }
    }
    let mut initdb = programs.program("initdb", directory);
    initdb.arg("--pgdata").arg(directory.join("data")).arg("--pwfile").arg(&path);
    initdb.args(["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C", "--username", SUPERUSER]);
    let made = tokio::time::timeout(PATIENCE, initdb.output()).await;
    let made = made.map_err(|_| Failure::new("`initdb` takes too long"))?.map_err(|error| Failure::of(&error))?;
    if made.status.success() { Ok(()) } else { Err(said("`initdb` failed", &made)) }
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(error.to_string()))?;
    Ok(HEXLOWER.encode(&bytes))
}
