//! A provider that is not ours, npm `oidc-provider`, and Alice at her browser: scripts of `tests/interop/node`, run
//! by Node.
//!
//! What the scripts say of tokens is believed here, and by nobody else: Attorn gets the tokens and keys from the
//! provider as from any.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::failure::Failure;

/// How long one of the scripts may take until it has said something.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest line that is read from one of them, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The first version of Node that the packages are for.
const NODE_MAJOR_MIN: u32 = 20;

/// The scripts, and a Node that can run them.
pub(super) struct Scripts {
    directory: PathBuf,
}

/// A provider, while it runs.
pub(super) struct SignInProvider {
    scripts: Scripts,
    ready: Ready,
    // It ends when its input does, which is with this.
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// What it says when it is ready.
#[derive(Deserialize)]
struct Ready {
    issuer: String,
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
struct Account {
    name: String,
    subject: String,
}

/// What a client gets when a user has signed in and consented.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) id_token: String,
}

/// What somebody sees who follows the link of an approval, and what is said to their answer.
#[derive(Deserialize)]
pub(super) struct Opened {
    pub(super) status: u16,
    pub(super) shown: String,
    pub(super) said: Option<String>,
}

impl Scripts {
    /// Find them, or say what is missing.
    pub(super) async fn find(named: Option<&Path>) -> Result<Self, String> {
        let directory = named.map_or_else(beside_executable, Path::to_owned);
        if !directory.join("provider.mjs").is_file() {
            return Err(format!("the scripts of `{}` are not there", directory.display()));
        }
        let version = Command::new("node").arg("--version").stdin(Stdio::null()).output().await;
        let version = version.map_err(|error| format!("Node cannot be run (`node --version`: {error})"))?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        if major(&version).is_none_or(|major| major < NODE_MAJOR_MIN) {
            return Err(format!("this Node is too old: {version}"));
        }
        if !directory.join("node_modules/oidc-provider/package.json").is_file() {
            return Err("the packages of Node are not installed".into());
        }
        // The scripts are named by their whole path, so that they find their packages from anywhere.
        let directory = std::path::absolute(directory).map_err(|error| error.to_string())?;
        Ok(Self { directory })
    }

    fn node(&self, script: &str) -> Command {
        let mut node = Command::new("node");
        // Ctrl-C is for the story, which ends them in its own way.
        node.arg(self.directory.join(script)).kill_on_drop(true).process_group(0);
        // What somebody set for programs of their own is not to change this one.
        node.env_remove("NODE_OPTIONS");
        node
    }
}

impl SignInProvider {
    /// Start it on a free port; its error output goes to this file. It asks users for whoever has the keys that this URL
    /// gives, if there is one.
    pub(super) async fn start(scripts: Scripts, log: &Path, asks_for: Option<&str>) -> Result<Self, Failure> {
        let file = File::create_new(log).map_err(|error| Failure::file("make", log, &error))?;
        let mut node = scripts.node("provider.mjs");
        if let Some(keys) = asks_for {
            node.arg("--approvals-jwks").arg(keys);
        }
        let mut child = node
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|error| Failure::of(&error))?;
        let output = child.stdout.take().ok_or_else(|| Failure::new("the provider has no output"))?;
        let mut lines = BufReader::new(output);
        let ready = line(&mut lines)
            .await
            .map_err(|failure| failure.with_help(format!("what it says of it is in `{}`", log.display())))?;
        Ok(Self { scripts, ready, child, lines })
    }

    /// Tell it to do something, and give what it says to that.
    pub(super) async fn tell(&mut self, command: &Value) -> Result<Value, Failure> {
        let input = self.child.stdin.as_mut().ok_or_else(|| Failure::new("the provider has no input"))?;
        input.write_all(format!("{command}\n").as_bytes()).await.map_err(|error| Failure::of(&error))?;
        let said: Value = line(&mut self.lines).await?;
        if said["done"] == command["do"] { Ok(said) } else { Err(Failure::new(format!("the provider says {said}"))) }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.ready.issuer
    }

    /// What it calls the user of this name in `sub`.
    pub(super) fn subject(&self, name: &str) -> Result<&str, Failure> {
        let account = self.ready.accounts.iter().find(|account| account.name == name);
        account.map(|account| &*account.subject).ok_or_else(|| Failure::new(format!("the provider knows no {name}")))
    }

    /// Alice signs in on the provider's pages and consents to seeing and paying for this client and audience.
    pub(super) async fn alice_signs_in(&self, client: &str, audience: &str) -> Result<Tokens, Failure> {
        self.signs_in("alice", (client, audience), "invoices payments").await
    }

    /// A user signs in on the provider's pages and consents to these scopes, for this client and audience.
    pub(super) async fn signs_in(
        &self,
        user: &str,
        (client, audience): (&str, &str),
        scopes: &str,
    ) -> Result<Tokens, Failure> {
        let mut node = self.scripts.node("login.mjs");
        for (name, value) in [
            ("--issuer", self.issuer()),
            ("--client", client),
            ("--user", user),
            ("--scope", scopes),
            ("--audience", audience),
            ("--consent", "yes"),
        ] {
            node.arg(name).arg(value);
        }
        json("login.mjs", &finished(node, user).await?)
    }

    /// A user follows the link of an approval, signs in where it leads, and answers `approve` or `refuse`, or looks only.
    pub(super) async fn opens(&self, user: &str, page: &str, say: Option<&str>) -> Result<Opened, Failure> {
        let mut node = self.scripts.node("approve.mjs");
        node.arg("--page").arg(page).arg("--issuer").arg(self.issuer()).arg("--user").arg(user);
        if let Some(say) = say {
            node.arg("--say").arg(say);
        }
        json("approve.mjs", &finished(node, user).await?)
    }
}

/// What a script of somebody's way over pages prints, when it has come to its end.
async fn finished(mut node: Command, user: &str) -> Result<Vec<u8>, Failure> {
    let finished = tokio::time::timeout(PATIENCE, node.stdin(Stdio::null()).output()).await;
    let finished = finished.map_err(|_| Failure::new("signing in takes too long"))?;
    let finished = finished.map_err(|error| Failure::of(&error))?;
    if !finished.status.success() {
        return Err(super::host::said(&format!("{user} could not sign in"), &finished));
    }
    Ok(finished.stdout)
}

/// The next line of the provider's.
async fn line<T: DeserializeOwned>(lines: &mut BufReader<ChildStdout>) -> Result<T, Failure> {
    let mut text = String::new();
    let mut next = lines.take(LINE_BYTES_MAX);
    let read = tokio::time::timeout(PATIENCE, next.read_line(&mut text)).await;
    read.map_err(|_| Failure::new("the provider says nothing"))?.map_err(|error| Failure::of(&error))?;
    json("provider.mjs", text.as_bytes())
}

/// What a script prints. It holds tokens, so that nothing of it gets into an error.
fn json<T: DeserializeOwned>(script: &str, text: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(text).map_err(|_| Failure::new(format!("`{script}` did not say what it says otherwise")))
}

/// `tests/interop/node`, seen from `target/<profile>/attorn`.
fn beside_executable() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let root = executable.ancestors().nth(3).unwrap_or_else(|| Path::new("."));
    root.join("tests").join("interop").join("node")
}

/// The 20 of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_read() {
        for (version, expect) in [("v20.20.2", Some(20)), ("v9", Some(9)), ("20.1", None), ("vx.1", None), ("", None)] {
            assert_eq!(major(version), expect, "{version}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Scripts::find(Some(directory.path())).await.err().unwrap();
        assert!(missing.starts_with("the scripts of `") && missing.ends_with("are not there"), "{missing}");
    }
}
