//! Names and passwords: given, or as `docker login` left them.
//!
//! Docker's `config.json` is read as Docker reads it: the credential helper of this registry, then the helper for all, then what
//! stands in the file itself. Nothing of it is ever shown, neither what is right nor what cannot be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use attorn_toolchain::oci::Reference;
use data_encoding::{BASE64, BASE64_NOPAD};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::failure::Failure;
use crate::key_source::read_bytes;

/// The longest `config.json`, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// The longest answer of a helper, in bytes.
const HELPER_BYTES_MAX: u64 = 64 << 10;
/// How long a helper may take: some ask their owner.
const HELPER_TIMEOUT: Duration = Duration::from_mins(1);

/// The name under which Docker keeps what is for its own registry.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The name that says that the password is a token of another kind.
const IDENTITY_TOKEN: &str = "<token>";

/// What to do where nothing of Docker's will do.
const GIVEN_HELP: &str = "`--username NAME --password-file FILE`";

/// Where credentials come from.
pub(super) enum Source {
    /// The command line.
    Given(Credentials),
    /// Docker's configuration.
    Docker,
}

/// A name and a password. There is no way to print them.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

/// Which of the two cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The name.
    Username,
    /// The password.
    Password,
}

impl Unfit {
    pub(super) const fn problem(self) -> &'static str {
        match self {
            Self::Username => "a name with a `:` in it, or none, cannot be sent",
            Self::Password => "it is empty",
        }
    }
}

/// What `config.json` says of credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// What a helper says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl Credentials {
    pub(super) fn new(username: &str, password: &str) -> Result<Self, Unfit> {
        if username.is_empty() || username.contains(':') || username.chars().any(char::is_control) {
            return Err(Unfit::Username);
        }
        if password.is_empty() {
            return Err(Unfit::Password);
        }
        Ok(Self { username: username.to_owned(), password: password.to_owned() })
    }

    /// As they are sent (RFC 7617).
    pub(super) fn basic(&self) -> Result<HeaderValue, Failure> {
        let encoded = BASE64.encode(format!("{}:{}", self.username, self.password).as_bytes());
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|error| Failure::of(&error))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Source {
    /// Those for a registry; nothing if nobody left any.
    pub(super) async fn obtain(&self, reference: &Reference) -> Result<Option<Credentials>, Failure> {
        match self {
            Self::Given(Credentials { username, password }) => {
                Ok(Some(Credentials { username: username.clone(), password: password.clone() }))
            }
            Self::Docker => match config_path() {
                Some(path) => of_docker(&path, reference).await,
                None => Ok(None),
            },
        }
    }
}

fn config_path() -> Option<PathBuf> {
    let directory = std::env::var_os("DOCKER_CONFIG").filter(|directory| !directory.is_empty()).map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME").filter(|home| !home.is_empty())?).join(".docker"));
    Some(directory.or_else(home)?.join("config.json"))
}

async fn of_docker(path: &Path, reference: &Reference) -> Result<Option<Credentials>, Failure> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let bytes = read_bytes(path, CONFIG_BYTES_MAX)?;
    // What the parser says of a text may repeat it.
    let config: Config = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(format!("`{}` is not as Docker writes it: line {}", path.display(), error.line()))
            .with_help(GIVEN_HELP)
    })?;
    let registry = reference.registry();
    let key = if DOCKER_HUB.contains(&registry.as_str()) { DOCKER_HUB_KEY } else { &registry };
    let own = config.cred_helpers.iter().find(|(name, _)| is_of(name, &registry));
    if let Some((name, helper)) = own {
        return of_helper(helper, name).await;
    }
    if let Some(helper) = config.creds_store.filter(|helper| !helper.is_empty())
        && let Some(found) = of_helper(&helper, key).await?
    {
        return Ok(Some(found));
    }
    let entry = config.auths.into_iter().find(|(name, _)| is_of(name, &registry));
    entry.map_or(Ok(None), |(_, entry)| of_entry(path, entry))
}

/// Whether an entry is for a registry, and not for a part of it or another.
fn is_of(name: &str, registry: &str) -> bool {
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let is_hub = |host: &str| DOCKER_HUB.contains(&host);
    matches!(path.trim_end_matches('/'), "" | "v1" | "v2") && (host == registry || is_hub(host) && is_hub(registry))
}

fn of_entry(path: &Path, entry: Entry) -> Result<Option<Credentials>, Failure> {
    let odd = || {
        Failure::new(format!("what `{}` has for this registry cannot be used", path.display())).with_help(GIVEN_HELP)
    };
    if let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) {
        let encoding = if auth.ends_with('=') { BASE64 } else { BASE64_NOPAD };
        let decoded = encoding.decode(auth.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(odd)?;
        let (username, password) = decoded.split_once(':').ok_or_else(odd)?;
        if username != IDENTITY_TOKEN && !password.is_empty() {
            return Credentials::new(username, password.trim_end_matches('\0')).map(Some).map_err(|_| odd());
        }
        return Err(identity_token());
    }
    if entry.identitytoken.is_some_and(|token| !token.is_empty()) {
        return Err(identity_token());
    }
    match (entry.username, entry.password) {
        (Some(username), Some(password)) => Credentials::new(&username, &password).map(Some).map_err(|_| odd()),
        // A helper has the rest, or nobody.
        _ => Ok(None),
    }
}

fn identity_token() -> Failure {
    Failure::new("what `docker login` left for this registry is an identity token, which is not taken here")
        .with_help(GIVEN_HELP)
}

/// What a credential helper has ([its protocol](https://github.com/docker/docker-credential-helpers)).
async fn of_helper(helper: &str, key: &str) -> Result<Option<Credentials>, Failure> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if helper.is_empty() || !helper.bytes().all(is_name) {
        return Err(Failure::new("the credential helper that Docker's `config.json` names has no name of one"));
    }
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| Failure::new(format!("`{program}` gives no credentials: {why}")).with_help(GIVEN_HELP);
    let (exit, said) = tokio::time::timeout(HELPER_TIMEOUT, ask_helper(&program, key))
        .await
        .map_err(|_| failed(format!("it did not end in {} s", HELPER_TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !exit.success() {
        // What the helpers of Docker say, word for word.
        let is_unknown = String::from_utf8_lossy(&said).contains("credentials not found");
        return if is_unknown { Ok(None) } else { Err(failed(format!("it ended with {exit}"))) };
    }
    let answer: Helped = serde_json::from_slice(&said).map_err(|_| failed("it does not speak as one".into()))?;
    if answer.username == IDENTITY_TOKEN {
        return Err(identity_token());
    }
    Credentials::new(&answer.username, &answer.secret)
        .map(Some)
        .map_err(|_| failed("it gives none that can be sent".into()))
}

async fn ask_helper(program: &str, key: &str) -> std::io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that reads nothing may have ended.
        let _ = input.write_all(format!("{key}\n").as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(HELPER_BYTES_MAX).read_to_end(&mut said).await?;
    }
    Ok((child.wait().await?, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `alice:secret-one`.
    const AUTH: &str = "YWxpY2U6c2VjcmV0LW9uZQ==";

    async fn found(config: &str, registry: &str) -> Result<Option<Credentials>, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        of_docker(&path, &format!("{registry}/acme/x:1").parse().unwrap()).await
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_and_not_shown() {
        for (config, problem) in [
            ("{", "is not as Docker writes it: line 1"),
            (r#"{"auths":"secret"}"#, "is not as Docker writes it: line 1"),
            (r#"{"auths":{"ghcr.io":{"auth":"secret!"}}}"#, "cannot be used"),
            (r#"{"auths":{"ghcr.io":{"auth":"c2VjcmV0"}}}"#, "cannot be used"),
            (r#"{"auths":{"ghcr.io":{"auth":"YWxpY2U6"}}}"#, "an identity token"),
            (r#"{"auths":{"ghcr.io":{"identitytoken":"secret"}}}"#, "an identity token"),
            (r#"{"credsStore":"../secret"}"#, "no name of one"),
            (r#"{"credHelpers":{"ghcr.io":"none-of-this-name"}}"#, "`docker-credential-none-of-this-name` gives no"),
        ] {
            let failure = found(config, "ghcr.io").await.err().unwrap();
            assert!(failure.message.contains(problem), "{config}: {failure}");
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }

    #[tokio::test]
    async fn what_docker_left_is_found_for_its_registry_alone() {
        let expect = |found: Result<Option<Credentials>, Failure>| {
            found.unwrap() == Credentials::new("alice", "secret-one").ok()
        };
        for (key, registry) in [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io", "ghcr.io"),
            ("https://ghcr.io/v2/", "ghcr.io"),
            ("localhost:5000", "localhost:5000"),
            (DOCKER_HUB_KEY, "docker.io"),
            (DOCKER_HUB_KEY, "registry-1.docker.io"),
        ] {
            for auth in [AUTH, AUTH.trim_end_matches('=')] {
                let config = format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}},"experimental":true}}"#);
                assert!(expect(found(&config, registry).await), "{key}");
            }
        }
        let plain = r#"{"auths":{"ghcr.io":{"username":"alice","password":"secret-one"}}}"#;
        assert!(expect(found(plain, "ghcr.io").await));
        for key in ["ghcr.io.example", "ghcr.io:5000", "x.ghcr.io", "ghcr.io/acme", "https://x/ghcr.io"] {
            let config = format!(r#"{{"auths":{{"{key}":{{"auth":"{AUTH}"}}}}}}"#);
            assert!(found(&config, "ghcr.io").await.unwrap().is_none(), "{key}");
        }
        assert!(found("{}", "ghcr.io").await.unwrap().is_none());
        assert!(found(r#"{"auths":{"ghcr.io":{}}}"#, "ghcr.io").await.unwrap().is_none());
    }
}
