//! A server in a process of its own: the built binary `attorn`, which can be killed.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::http::{Call, Reach};

/// How long a start may take.
const START: Duration = Duration::from_mins(1);

/// The built binary. It stands beside the directory of the tests, and beside the benchmarks.
#[track_caller]
pub fn binary() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let directory = this.parent().unwrap();
    let profile = if directory.ends_with("deps") { directory.parent().unwrap() } else { directory };
    let binary = profile.join("attorn");
    assert!(binary.is_file(), "`{}` is not built; run cargo xtask test", binary.display());
    binary
}

/// A server in a process of its own. It is killed when this is dropped.
pub struct Process {
    child: Child,
    // A file and no pipe: nobody has to read it while the server runs.
    stderr: NamedTempFile,
}

impl Process {
    /// Start it and wait until it is ready.
    pub async fn start(config: &Path, reach: &Reach) -> Self {
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(config);
        Self::spawn(command, reach).await
    }

    /// As [`Self::start`], with no file ever becoming larger than this, in bytes: what a full disk does
    /// to it.
    pub async fn start_with_file_limit(config: &Path, reach: &Reach, file_bytes_max: u64) -> Self {
        let mut command = Command::new("prlimit");
        // Without the signal's default action, writing beyond the limit would end the process.
        command.arg(format!("--fsize={file_bytes_max}:{file_bytes_max}"));
        command.args(["env", "--ignore-signal=XFSZ"]).arg(binary()).arg("serve").arg("--config").arg(config);
        Self::spawn(command, reach).await
    }

    async fn spawn(mut command: Command, reach: &Reach) -> Self {
        let stderr = NamedTempFile::new().unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.reopen().unwrap()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let begin = Instant::now();
        while begin.elapsed() < START {
            if reach.try_send(Call::get("/readyz")).await.is_ok_and(|answer| answer.status == 200) {
                return Self { child, stderr };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended: {status} {}", std::fs::read_to_string(stderr.path()).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server was not ready after {START:?}");
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// SIGKILL, and wait until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Have it end what is in flight, and wait until it is gone.
    pub async fn stop(self) {
        let id = self.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(told.success());
        let (status, said) = self.ended(START).await.unwrap();
        assert!(status.success(), "{status} {said}");
    }

    /// Wait until it ends by itself; its exit status and what it wrote to its error output. It is
    /// killed if it takes longer than this.
    pub async fn ended(mut self, within: Duration) -> Option<(ExitStatus, String)> {
        let status = tokio::time::timeout(within, self.child.wait()).await.ok()?.unwrap();
        Some((status, std::fs::read_to_string(self.stderr.path()).unwrap()))
    }
}
