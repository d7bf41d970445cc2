//! Programs that are not ours: run to their end, and what they said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Where things are.
pub(crate) struct Tools {
    /// The directory of the scripts.
    pub(crate) scripts: PathBuf,
    /// Python, with the packages that the scripts need.
    pub(crate) python: PathBuf,
    /// Where Keycloak is kept.
    pub(crate) keycloak_cache: PathBuf,
    /// The directory with the programs that were built with Go.
    pub(crate) go: PathBuf,
    /// The directory of the SDKs.
    pub(crate) sdks: PathBuf,
    /// Python, with what tests of the SDKs need.
    pub(crate) sdk_python: PathBuf,
    /// `wkg` of the Bytecode Alliance; there only where its part is played.
    pub(crate) wkg: PathBuf,
}

impl Tools {
    /// A script for Node.
    pub(crate) fn node(&self, script: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.scripts.join("node").join(script));
        command
    }

    /// A script for Python, which leaves nothing in the tree.
    pub(crate) fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-B").arg(self.scripts.join(script));
        command
    }
}

/// What a program said.
pub(crate) struct Said {
    /// Its exit code, if it had one.
    pub(crate) code: Option<i32>,
    /// Its output.
    pub(crate) stdout: String,
    /// Its errors.
    pub(crate) stderr: String,
}

impl Said {
    /// Its output, if it ended well.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Run a program to its end, with this as its input. It is killed if it takes longer, and when nobody waits any
/// more.
pub(crate) async fn run(mut command: Command, input: &str, within: Duration) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let shown = shown(&command);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("`{shown}` does not start: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let told = async move {
        // Who ends without reading has said why.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let ended = async { tokio::join!(told, child.wait_with_output()).1.unwrap() };
    let Ok(output) = tokio::time::timeout(within, ended).await else {
        panic!("`{shown}` did not end within {within:?}");
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// A file with this text that only its owner reads.
pub(crate) fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Program and first argument: what follows may be a secret.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = [command.get_program()].into_iter().chain(command.get_args().take(2));
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
