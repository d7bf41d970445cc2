//! `attorn.toml`: only what the process needs to start. All else is recorded state, set through the
//! API. Unknown keys are refused; paths are relative to the file.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use attorn_artifact::WorkerLimits;
use attorn_log::LogId;
use serde::Deserialize;

mod apart;
mod witnesses;

use crate::http::connections::CONNECTIONS_MAX;

pub use witnesses::{Witness, Witnesses};

/// How many decisions may wait for their policies, where the file does not say.
const EVALUATION_QUEUE_DEFAULT: i64 = 1_024;
/// More would only wait longer than a request's time.
const EVALUATION_QUEUE_MAX: usize = 65_536;

/// How often each agent may call in a second, where the file does not say.
const AGENT_REQUESTS_PER_S_DEFAULT: i64 = 200;
/// More is no limit at all.
const AGENT_REQUESTS_PER_S_MAX: u32 = 1_000_000;

/// How many connections one address may have, where the file does not say: an eighth of all.
const CONNECTIONS_PER_ADDRESS_DEFAULT: usize = CONNECTIONS_MAX / 8;

/// Seconds of CPU time that compiling one policy may be given.
const COMPILE_CPU_S: RangeInclusive<u64> = 1..=3_600;
/// Bytes of memory that it may be given.
const COMPILE_MEMORY_BYTES: RangeInclusive<u64> = (256 << 20)..=(64 << 30);

/// What the process needs to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The URL under which agents reach this server, without a path and a final slash. Proofs are
    /// compared with it, never with what a request's headers say.
    pub public_url: String,
    /// Where the store and the components are.
    pub data_dir: PathBuf,
    /// The file that holds the root key. Keep it outside of the data directory and its backups.
    pub root_key: PathBuf,
    /// Where the keys of users are, one file each. Keep it outside of the data directory and its backups: whoever
    /// removes a user's key there has erased the user.
    pub user_keys: PathBuf,
    /// Where the newest checkpoint of the audit log is kept, so that an older data directory is seen. Keep it outside
    /// of the data directory and its backups.
    pub high_water: PathBuf,
    /// The id of the audit log in that directory: another log's directory is refused.
    pub log_id: LogId,
    /// Who speaks TLS.
    pub tls: Tls,
    /// How many decisions may wait for a thread that runs their policies. One more is turned away with
    /// a 503.
    pub evaluation_queue_max: usize,
    /// What compiling one policy may use, in a process of its own.
    pub compile: WorkerLimits,
    /// How often each agent may call in a second; twice as often at once.
    pub agent_requests_per_s_max: NonZeroU32,
    /// How many connections one address may have at a time; behind a proxy all come from its.
    pub connections_per_address_max: usize,
    /// Whether anybody may read the checkpoints and hashes of the audit log. Its entries always need an auditor.
    pub public_log: bool,
    /// Who cosigns the checkpoints of the audit log.
    pub witnesses: Witnesses,
}

/// Who speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Nobody: only for loopback.
    None,
    /// This server.
    Server {
        /// The file with its certificate and those that lead to its root, in PEM.
        certificate: PathBuf,
        /// The file with the certificate's private key, in PEM; nobody else may read it.
        key: PathBuf,
    },
    /// A reverse proxy at one of these addresses.
    Proxy {
        /// Connections from anywhere else are closed.
        trusted_proxies: Vec<IpAddr>,
    },
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML of the right shape.
    #[error("`{path}` is no configuration: {problem}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// A value cannot be.
    #[error("`{key}` in `{path}`: {problem}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// What it names, or the file itself, goes with the data.
    #[error("`{key}` in `{path}`: `{inner}` is within the data directory, `{dir}`")]
    Within {
        /// Which file.
        path: PathBuf,
        /// Which key names it; `data_dir`, if it is the file itself.
        key: &'static str,
        /// What is within the data directory.
        inner: PathBuf,
        /// The data directory.
        dir: PathBuf,
    },
}

impl ConfigError {
    /// What to do about it, where its message does not say that.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Within { key, .. } if *key == "data_dir" => Some(
                "a new key of the log and a restore replace the data directory: give it one of its own that this file is not \
                 in, and while no server runs, move the data there",
            ),
            Self::Within { .. } => Some(
                "keep it apart from the data, which a new key of the log and a restore replace: while no server runs, \
                 move it out of the data directory and change the setting that names it",
            ),
            Self::Read { .. } | Self::Malformed { .. } | Self::Invalid { .. } => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    public_url: String,
    data_dir: PathBuf,
    root_key: PathBuf,
    #[serde(default = "user_keys_default")]
    user_keys: PathBuf,
    #[serde(default = "high_water_default")]
    high_water: PathBuf,
    log_id: String,
    tls: String,
    #[serde(default)]
    trusted_proxies: Vec<IpAddr>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default = "agent_requests_default")]
    agent_requests_per_s_max: i64,
    connections_per_address_max: Option<i64>,
    #[serde(default = "evaluation_queue_default")]
    evaluation_queue_max: i64,
    #[serde(default = "compile_cpu_default")]
    compile_cpu_s_max: u64,
    #[serde(default = "compile_memory_default")]
    compile_memory_bytes_max: u64,
    #[serde(default)]
    public_log: bool,
    #[serde(default)]
    witness: Vec<witnesses::File>,
    #[serde(default)]
    witness_quorum: i64,
}

impl Config {
    /// Read `attorn.toml`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is not of the right shape, would listen beyond loopback without TLS, or names something
    /// within the data directory.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let config = Self::parse(&text, path)?;
        apart::check(&config, path)?;
        Ok(config)
    }

    /// Read the text of a file that would stand at `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ConfigError::Malformed { path: path.into(), problem: line_of(&error, text) })?;
        let invalid = |key, problem: String| Err(ConfigError::Invalid { path: path.into(), key, problem });
        if let Err(problem) = check_public_url(&file.public_url) {
            return invalid("public_url", problem);
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let tls = match tls(&file, folder) {
            Ok(tls) => tls,
            Err((key, problem)) => return invalid(key, problem),
        };
        let log_id = match file.log_id.parse::<LogId>() {
            Ok(log_id) => log_id,
            Err(problem) => return invalid("log_id", problem.to_string()),
        };
        let within = |waiting: &usize| (1..=EVALUATION_QUEUE_MAX).contains(waiting);
        let Some(evaluation_queue_max) = usize::try_from(file.evaluation_queue_max).ok().filter(within) else {
            let problem = format!("`{}` is not between 1 and {EVALUATION_QUEUE_MAX}", file.evaluation_queue_max);
            return invalid("evaluation_queue_max", problem);
        };
        let rate = u32::try_from(file.agent_requests_per_s_max).ok().filter(|rate| *rate <= AGENT_REQUESTS_PER_S_MAX);
        let Some(agent_requests_per_s_max) = rate.and_then(NonZeroU32::new) else {
            let problem =
                format!("`{}` is not between 1 and {AGENT_REQUESTS_PER_S_MAX}", file.agent_requests_per_s_max);
            return invalid("agent_requests_per_s_max", problem);
        };
        let connections_per_address_max = match connections(&file, &tls) {
            Ok(connections) => connections,
            Err(problem) => return invalid("connections_per_address_max", problem),
        };
        for (field, value, range) in [
            ("compile_cpu_s_max", file.compile_cpu_s_max, COMPILE_CPU_S),
            ("compile_memory_bytes_max", file.compile_memory_bytes_max, COMPILE_MEMORY_BYTES),
        ] {
            if !range.contains(&value) {
                let (min, max) = (range.start(), range.end());
                return invalid(field, format!("`{value}` is not between {min} and {max}"));
            }
        }
        let witnesses = match Witnesses::of(&file.witness, file.witness_quorum) {
            Ok(witnesses) => witnesses,
            Err((key, problem)) => return invalid(key, problem),
        };
        let compile = WorkerLimits {
            memory_bytes_max: file.compile_memory_bytes_max,
            cpu_s_max: file.compile_cpu_s_max,
            // A busy machine is not the policy's fault.
            wall_s_max: file.compile_cpu_s_max.saturating_mul(2).max(WorkerLimits::USUAL.wall_s_max),
        };
        Ok(Self {
            listen: file.listen,
            public_url: file.public_url,
            data_dir: folder.join(file.data_dir),
            root_key: folder.join(file.root_key),
            user_keys: folder.join(file.user_keys),
            high_water: folder.join(file.high_water),
            log_id,
            tls,
            evaluation_queue_max,
            compile,
            agent_requests_per_s_max,
            connections_per_address_max,
            public_log: file.public_log,
            witnesses,
        })
    }
}

fn user_keys_default() -> PathBuf {
    "user-keys".into()
}

fn high_water_default() -> PathBuf {
    "high-water".into()
}

/// Who speaks TLS; or which key of the file is wrong, and how.
fn tls(file: &File, folder: &Path) -> Result<Tls, (&'static str, String)> {
    if file.tls != "proxy" && !file.trusted_proxies.is_empty() {
        return Err(("trusted_proxies", "they mean something only with tls = \"proxy\"".into()));
    }
    for (key, path) in [("tls_certificate", &file.tls_certificate), ("tls_key", &file.tls_key)] {
        match (file.tls.as_str(), path) {
            ("server", None) => return Err((key, "tls = \"server\" needs this file".into())),
            ("server", Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err((key, "it means something only with tls = \"server\"".into())),
        }
    }
    match (file.tls.as_str(), &file.tls_certificate, &file.tls_key) {
        ("none", ..) if !file.listen.ip().is_loopback() => {
            let problem = format!(
                "`{}` is beyond loopback, and nobody would speak TLS; say tls = \"server\", or put a proxy in front \
                 and say tls = \"proxy\" and trusted_proxies = [\"its address\"]",
                file.listen
            );
            Err(("listen", problem))
        }
        ("none", ..) => Ok(Tls::None),
        ("server", Some(certificate), Some(key)) if file.public_url.starts_with("https://") => {
            Ok(Tls::Server { certificate: folder.join(certificate), key: folder.join(key) })
        }
        ("server", ..) => {
            Err(("public_url", format!("`{}` is not https, and tls = \"server\" speaks nothing else", file.public_url)))
        }
        ("proxy", ..) if file.trusted_proxies.is_empty() => {
            Err(("trusted_proxies", "tls = \"proxy\" needs the proxies' addresses".into()))
        }
        ("proxy", ..) => Ok(Tls::Proxy { trusted_proxies: file.trusted_proxies.clone() }),
        (other, ..) => Err(("tls", format!("`{other}` is neither \"none\" nor \"server\" nor \"proxy\""))),
    }
}

/// How many connections one address may have; or what is wrong with what the file says.
fn connections(file: &File, tls: &Tls) -> Result<usize, String> {
    let Some(said) = file.connections_per_address_max else {
        return Ok(match tls {
            // Who is whose is known to the proxy alone.
            Tls::Proxy { .. } => CONNECTIONS_MAX,
            Tls::None | Tls::Server { .. } => CONNECTIONS_PER_ADDRESS_DEFAULT,
        });
    };
    let connections = usize::try_from(said).ok().filter(|said| (1..=CONNECTIONS_MAX).contains(said));
    connections.ok_or_else(|| format!("`{said}` is not between 1 and {CONNECTIONS_MAX}"))
}

const fn agent_requests_default() -> i64 {
    AGENT_REQUESTS_PER_S_DEFAULT
}

const fn evaluation_queue_default() -> i64 {
    EVALUATION_QUEUE_DEFAULT
}

const fn compile_cpu_default() -> u64 {
    WorkerLimits::USUAL.cpu_s_max
}

const fn compile_memory_default() -> u64 {
    WorkerLimits::USUAL.memory_bytes_max
}

/// Where in the text it is malformed, and why, in one line.
fn line_of(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    // What is missing is missing from the whole.
    // What is missing stands on no line.
    let span = error.span().filter(|_| !message.starts_with("missing field"));
    match span.and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

fn check_public_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(authority) = rest else {
        return Err(format!("`{url}` begins with neither https:// nor http://"));
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if authority.is_empty() || authority.len() > 255 || !authority.chars().all(allowed) {
        return Err(format!("`{url}` is not a scheme, a lower-case host and perhaps a port, without path or slash"));
    }
    // Clients refuse it, too.
    if url.starts_with("http://") && !is_loopback(authority) {
        return Err(format!("`{url}` cannot be the server's URL: plain http is used only on loopback; use https"));
    }
    Ok(())
}

/// Whether a host, with or without a port, is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
