//! The server of the story: a child process that can be started, stopped and killed.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output as Finished, Stdio};
use std::time::{Duration, Instant};

use attorn_agent::ServerUrl;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::context::Token;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// How long the server may take until it is ready, and until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server.
pub(super) struct Host {
    executable: PathBuf,
    config: PathBuf,
    log: PathBuf,
    server: ServerUrl,
    url: String,
    child: Option<Child>,
}

impl Host {
    /// Where the server of this demo logs to.
    pub(super) fn log_path(directory: &Path) -> PathBuf {
        directory.join("server.log")
    }

    /// Make an empty server with `attorn init`; with it comes the bootstrap token.
    pub(super) async fn init(directory: &Path) -> Result<(Self, Token), Failure> {
        let executable = std::env::current_exe().map_err(|error| Failure::of(&error))?;
        // Nobody else is to take the port before the server does. If somebody does, the server says so.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.map_err(|error| Failure::of(&error))?;
        let (dir, url) = (directory.join("server"), format!("http://{address}"));
        let mut host = Self {
            executable,
            config: dir.join("attorn.toml"),
            log: Self::log_path(directory),
            server: url.parse()?,
            url,
            child: None,
        };
        let dir = dir.display().to_string();
        let made = host.attorn(&["--json", "init", "--dir", &dir, "--listen", &address.to_string()], None).await?;
        let report: Value = serde_json::from_slice(&made.stdout).map_err(|_| said("`attorn init` failed", &made))?;
        let bootstrap = report["bootstrap_token"].as_str().unwrap_or_default().parse()?;
        host.start().await?;
        Ok((host, bootstrap))
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap_or(0)
    }

    /// A client of the API.
    pub(super) fn client(&self, token: Option<&Token>) -> Result<OperatorClient, Failure> {
        OperatorClient::new(self.server.clone(), token.cloned())
    }

    /// Run this very command with these arguments, against this server.
    pub(super) async fn attorn(&self, arguments: &[&str], token: Option<&Token>) -> Result<Finished, Failure> {
        let mut command = self.command();
        if let Some(token) = token {
            command.env("ATTORN_TOKEN", token.expose());
        }
        command.args(arguments).stdin(Stdio::null()).output().await.map_err(|error| Failure::of(&error))
    }

    /// Start the server, and wait until it is ready.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| Failure::file("write", &self.log, &error))?;
        let mut command = self.command();
        command.arg("serve").arg("--config").arg(&self.config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        // Ctrl-C is for the story, which ends the server in its own way.
        command.process_group(0);
        let child = self.child.insert(command.spawn().map_err(|error| Failure::of(&error))?);
        let (client, started) = (OperatorClient::new(self.server.clone(), None)?, Instant::now());
        loop {
            if let Some(status) = child.try_wait().map_err(|error| Failure::of(&error))? {
                return Err(Failure::new(format!("the server ended before it was ready: {status}")));
            }
            match client.get::<Value>("/readyz").await {
                Ok(_) => return Ok(()),
                Err(failure) if started.elapsed() > PATIENCE => return Err(failure),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// End the server at once, as a power cut or the kernel's memory killer would.
    pub(super) async fn kill(&mut self) -> Result<ExitStatus, Failure> {
        let child = self.child.as_mut().ok_or_else(not_running)?;
        child.start_kill().map_err(|error| Failure::of(&error))?;
        let status = child.wait().await.map_err(|error| Failure::of(&error))?;
        self.child = None;
        Ok(status)
    }

    /// Ask the server to stop, and wait until it has.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus, Failure> {
        let child = self.child.as_mut().ok_or_else(not_running)?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).ok_or_else(not_running)?;
        kill_process(id, Signal::TERM).map_err(|error| Failure::of(&error))?;
        let status = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = status.map_err(|_| Failure::new("the server does not stop"))?;
        self.child = None;
        status.map_err(|error| Failure::of(&error))
    }

    /// Wait until the server ends by itself.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus, Failure> {
        let child = self.child.as_mut().ok_or_else(not_running)?;
        child.wait().await.map_err(|error| Failure::of(&error))
    }

    /// What whoever runs the demo has in their environment is meant for another server.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.env("ATTORN_URL", &self.url).env_remove("ATTORN_TOKEN");
        // What a command remembers belongs to the story, and not to whoever watches it.
        command.env("XDG_STATE_HOME", self.config.with_file_name("state"));
        command
    }
}

fn not_running() -> Failure {
    Failure::new("the server is not running")
}

/// A failure with what a child process said.
pub(super) fn said(what: &str, finished: &Finished) -> Failure {
    let stderr = String::from_utf8_lossy(&finished.stderr);
    Failure::new(format!("{what} ({}): {}", finished.status, stderr.trim_end()))
}
