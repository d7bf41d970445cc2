//! `attorn init`: a fresh directory with configuration, root key, store, keys and bootstrap token.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_api::audit::EntryType;
use attorn_identity::{OperatorToken, OperatorTokenKind, RootKey};
use attorn_log::LogId;
use attorn_store::{Batch, Require, Store};
use serde_json::json;

use crate::config::{Config, ConfigError};
use crate::entry;
use crate::http::failure::Failure;
use crate::keys;
use crate::registry::bootstrap;

/// What a fresh directory is made of.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The directory; it is made, and must be empty if it is there.
    pub dir: PathBuf,
    /// Where the server will listen.
    pub listen: std::net::SocketAddr,
    /// The URL under which agents will reach it; `http://` and the address if there is none.
    pub public_url: Option<String>,
}

/// What was made.
pub struct InitReport {
    /// The configuration file.
    pub config_path: PathBuf,
    /// The root key's file.
    pub root_key_path: PathBuf,
    /// The audit log's id.
    pub log_id: String,
    /// The token that makes the first admin. It is nowhere else.
    pub bootstrap_token: OperatorToken,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something in the directory.
    #[error("`{0}` is not empty; nothing was changed")]
    NotEmpty(PathBuf),
    /// A file or directory cannot be made.
    #[error("cannot make `{path}`")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The options make no configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be made.
    #[error("cannot make the store: {0}")]
    Store(String),
}

/// Make a fresh directory.
///
/// # Errors
///
/// When the directory is not empty, or something cannot be written. Half-made files stay for whoever
/// wants to look; a second try refuses the directory.
pub async fn init(options: &InitOptions) -> Result<InitReport, InitError> {
    let dir = &options.dir;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Io { path, source }
    };
    let public_url = options.public_url.clone().unwrap_or_else(|| format!("http://{}", options.listen));
    let (config_path, root_key_path) = (dir.join("attorn.toml"), dir.join("root.key"));
    let log_id = log_id().map_err(|failure| InitError::Store(why(failure)))?;
    let text = config_text(&options.listen.to_string(), &public_url, &log_id);
    // What could never be served leaves nothing behind.
    let config = Config::parse(&text, &config_path)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
    if std::fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
        return Err(InitError::NotEmpty(dir.clone()));
    }
    let root = RootKey::generate().map_err(|error| InitError::Store(error.to_string()))?;
    write_private(&root_key_path, root.file_text().as_bytes()).map_err(io(&root_key_path))?;
    write_private(&config_path, text.as_bytes()).map_err(io(&config_path))?;
    let bootstrap_token = make_store(&config, &root).await.map_err(|failure| InitError::Store(why(failure)))?;
    Ok(InitReport { config_path, root_key_path, log_id: log_id.to_string(), bootstrap_token })
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn config_text(listen: &str, public_url: &str, log_id: &LogId) -> String {
    format!(
        "# What the server needs to start. All else is set through its API.\n\
         \n\
         # Where to listen. Beyond loopback only with tls = \"server\" or \"proxy\".\n\
         listen = \"{listen}\"\n\
         # The URL under which agents reach the server: proofs are compared with it.\n\
         public_url = \"{public_url}\"\n\
         # Paths are relative to this file. Keep the root key out of backups of the data.\n\
         data_dir = \"data\"\n\
         root_key = \"root.key\"\n\
         # The keys of users, one file each: whoever removes one has erased its user. Keep them apart, too.\n\
         user_keys = \"user-keys\"\n\
         # The newest checkpoint of the audit log, by which an older data directory is seen. Apart from it, too.\n\
         high_water = \"high-water\"\n\
         # The audit log in that data directory.\n\
         log_id = \"{log_id}\"\n\
         # \"none\" for loopback; \"server\" when this server speaks TLS, with the certificate and key in PEM:\n\
         # tls_certificate = \"tls.crt\"\n\
         # tls_key = \"tls.key\"\n\
         # \"proxy\" when a reverse proxy speaks TLS; then name it:\n\
         # trusted_proxies = [\"192.0.2.1\"]\n\
         tls = \"none\"\n\
         # How many decisions may wait for their policies; one more is turned away with a 503.\n\
         evaluation_queue_max = 1024\n\
         # How often each agent may call in a second, and twice as often at once; else it reads a 429.\n\
         agent_requests_per_s_max = 200\n\
         # How many connections one address may have at a time, of 4,096 in all; behind a proxy, leave it out.\n\
         connections_per_address_max = 512\n\
         # What compiling one policy may use, in a process of its own.\n\
         compile_cpu_s_max = 120\n\
         compile_memory_bytes_max = 3221225472\n\
         # Whether anybody may read checkpoints and hashes of the audit log (/log/); entries need an auditor.\n\
         public_log = false\n\
         # Witnesses cosign the log's checkpoints; say how many are enough, and then name them all:\n\
         # witness_quorum = 1\n\
         # [[witness]]\n\
         # key = \"witness.example/w1+12345678+BAAA...\"\n\
         # url = \"https://witness.example/\"\n"
    )
}

fn log_id() -> Result<LogId, Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(Failure::internal)?;
    format!("log-{}", data_encoding::HEXLOWER.encode(&random)).parse().map_err(Failure::internal)
}

fn why(failure: Failure) -> String {
    failure.internal.unwrap_or(failure.problem.detail)
}

async fn make_store(config: &Config, root: &RootKey) -> Result<OperatorToken, Failure> {
    let store = Store::create(&config.data_dir, keys::ours(root, config)).map_err(|error| Failure::caused(&error))?;
    let token = OperatorToken::generate(OperatorTokenKind::Bootstrap).map_err(Failure::internal)?;
    let mut batch = Batch::new(keys::wall_now());
    let members = json!({ "log_id": config.log_id.as_str(), "version": env!("CARGO_PKG_VERSION") });
    batch.entries.push(entry::body(batch.now, EntryType::Initialised, members)?);
    keys::generate(root, &mut batch)?;
    batch.require.push((bootstrap::key()?, Require::Absent));
    batch.put.push((bootstrap::key()?, token.digest().to_string().into_bytes()));
    store.commit(batch).await?;
    Ok(token)
}
