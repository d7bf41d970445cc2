//! A running server: open the store, load keys and policies, listen.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use attorn_artifact::{Cache, Worker};
use attorn_core::{BoundsLimits, TimeMs, TimeSpan};
use attorn_engine::{Compiler, Engine, EngineConfig};
use attorn_identity::{AssertionGuard, Nonces, ReplayGuard, ReplayLimits, RootKey};
use attorn_store::records::{ClockMarkRecord, ClockRecord, Record as _};
use attorn_store::{Batch, Key, OpenError, Require, Store, Versioned};
use governor::clock::MonotonicClock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::active::ActivePolicies;
use crate::app::App;
use crate::clock::{Clock, DRIFT_MS_MAX, MARKED_EVERY_MS, STOPPED_MS_MAX, WallClock, keep};
use crate::config::{Config, Tls};
use crate::decisions::pause::Pauses;
use crate::decisions::rehearse::Rehearsals;
use crate::decisions::shadow::{self, Shadows};
use crate::high_water::{self, HighWaterError};
use crate::http::failure::{Failure, causes};
use crate::http::rates::Rates;
use crate::http::strangers::Strangers;
use crate::http::tls::ServerCertificate;
use crate::http::{dispatch, listen};
use crate::loads::Loads;
use crate::metrics::Metrics;
use crate::parsed_keys::ParsedKeys;
use crate::policy_logs::PolicyLogs;
use crate::providers::ProviderKeyring;
use crate::published::{self, Published};
use crate::queries::{self, Queries};
use crate::refusals::Refusals;
use crate::token_keys::TokenKeys;
use crate::users::erase;
use crate::users::keys::UserKeys;
use crate::{entry, keys, private_file, reaper, refusals, routes};

/// Where compiled policies are kept, within the data directory.
const CACHE_DIRECTORY: &str = "cache";
/// How many bytes of them.
const CACHE_BYTES_MAX: u64 = 4 << 30;

/// What the first entry of each run says.
const STARTED: &str = "server_started";
/// More entries than this are never there before the first run.
const ENTRIES_OF_INIT_MAX: usize = 32;
/// The longest file that a root key is read from.
const ROOT_KEY_BYTES_MAX: u64 = 4 << 10;

/// What to do when the root key is not there, or another.
const ROOT_KEY_HELP: &str = "`root_key` in attorn.toml names the file that `attorn init` made together with the store";

/// Why a server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The root key cannot be read.
    #[error("cannot read the root key `{path}`: {why}")]
    RootKey {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The root key belongs to another store.
    #[error("the root key `{}` opens no key of the store in `{}`: it belongs to another, or the store is damaged",
        path.display(), dir.display())]
    WrongRootKey {
        /// Which file.
        path: PathBuf,
        /// The store's directory.
        dir: PathBuf,
    },
    /// Another process has the store open.
    #[error("cannot start: the store in `{}` is in use", dir.display())]
    InUse {
        /// The store's directory.
        dir: PathBuf,
    },
    /// What the store consists of cannot be relied on.
    #[error("cannot start: {0}")]
    Damaged(String),
    /// The store's journal cannot be relied on.
    #[error("cannot start: {0}")]
    JournalDamaged(String),
    /// The data directory is not the newest.
    #[error("cannot start: {0}")]
    HighWater(#[from] HighWaterError),
    /// It cannot start.
    #[error("cannot start: {0}")]
    Start(String),
    /// The store failed while it ran. Nothing was acknowledged since.
    #[error("the store has failed, and nothing can be recorded any more: {0}")]
    StoreFailed(String),
}

impl ServeError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
                Some("something listens there already: end it, or change `listen` and `public_url` in attorn.toml")
            }
            Self::WrongRootKey { .. } => Some(ROOT_KEY_HELP),
            Self::RootKey { path, .. } if !path.exists() => Some(ROOT_KEY_HELP),
            Self::InUse { .. } => {
                Some("another `attorn serve` runs on it: end that one, or name another configuration (`--config`)")
            }
            Self::Damaged(_) => Some(
                "`attorn repair` makes the store's files anew from base copy and journal; what is there is moved aside",
            ),
            Self::JournalDamaged(_) => Some(
                "there is no repair for a journal: copy the data directory, and see whether `attorn restore` has a \
                 newer backup than you can do without",
            ),
            Self::HighWater(error) => Some(error.help()),
            Self::Listen { .. } | Self::RootKey { .. } | Self::Start(_) | Self::StoreFailed(_) => None,
        }
    }
}

impl From<OpenError> for ServeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse { dir } => Self::InUse { dir },
            error @ OpenError::Journal(_) => Self::JournalDamaged(causes(&error)),
            error if error.is_damage() => Self::Damaged(causes(&error)),
            error => Self::Start(causes(&error)),
        }
    }
}

impl From<Failure> for ServeError {
    fn from(failure: Failure) -> Self {
        Self::Start(failure.internal.unwrap_or(failure.problem.detail))
    }
}

/// How to start.
#[derive(Debug, Default)]
pub struct Start {
    /// Accept a wall clock that stands before the last record: time is set back, and all grants and delegations that
    /// there are end.
    pub accept_clock: bool,
    /// The wall clock. The binary reads the machine's.
    pub wall: WallClock,
    /// Compiles policies in a process of its own. Without one they are compiled in this process, which a
    /// hostile component can then end.
    pub compile_worker: Option<Worker>,
    /// What no policy can lift. Operators have no say in it: the binary starts with the usual ones.
    pub limits: BoundsLimits,
}

/// A server that listens and does not serve yet.
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    /// Only if it speaks TLS itself.
    certificate: Option<Arc<ServerCertificate>>,
    local_addr: SocketAddr,
}

impl Server {
    /// Open everything and listen.
    ///
    /// # Errors
    ///
    /// When the root key, the store, the engine or the address cannot be had.
    pub async fn bind(config: Config, start: Start) -> Result<Self, ServeError> {
        // What opening holds on to is large, and nobody's caller should carry it.
        Box::pin(Self::open(config, start)).await
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Decisions that are tried without being made, to measure them.
    #[must_use]
    pub fn rehearsals(&self) -> Rehearsals {
        Rehearsals::of(Arc::clone(&self.app))
    }

    /// Serve until `stop` is there, or the store fails; then let what is in flight end.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { app, listener, certificate, .. } = self;
        let reaper = tokio::spawn(reaper::run(Arc::clone(&app)));
        let summaries = tokio::spawn(refusals::run(Arc::clone(&app)));
        let shadows = tokio::spawn(shadow::run(Arc::clone(&app)));
        let publishing = tokio::spawn(published::run(Arc::clone(&app)));
        let witnessing = tokio::spawn(published::witnesses::run(Arc::clone(&app)));
        let (stop_high_water, stopped) = oneshot::channel();
        let high_water = tokio::spawn(high_water::run(Arc::clone(&app), stopped));
        let marks = tokio::spawn(keep::run(Arc::clone(&app)));
        let indexing = tokio::spawn(queries::follow::run(Arc::clone(&app)));
        let router = dispatch::router(&app, &routes::all());
        let acceptor = certificate.as_ref().map(ServerCertificate::acceptor).transpose();
        let acceptor = acceptor.map_err(|error| ServeError::Start(error.to_string()))?;
        let fresh = certificate.map(|certificate| tokio::spawn(certificate.keep_fresh()));
        let failed = app.store.failed();
        let stop = async {
            tokio::select! {
                () = stop => {}
                _ = failed => {}
            }
            // Or they would be waited for.
            app.queries.stop();
        };
        listen::serve(listener, router, listen::Admission { tls: app.config.tls.clone(), acceptor }, stop).await;
        if let Some(fresh) = fresh {
            fresh.abort();
        }
        reaper.abort();
        shadows.abort();
        refusals::end(&app, &summaries).await;
        keep::end(&app, &marks).await;
        publishing.abort();
        witnessing.abort();
        // So that nothing that was acknowledged waits for the next start to be signed.
        if let Err(failure) = app.published.advance(&app).await {
            tracing::error!(why = failure.internal, "cannot publish a last checkpoint");
        }
        drop(stop_high_water);
        // It says itself what it could not do.
        let _ = high_water.await;
        indexing.abort();
        app.store.failure().map_or(Ok(()), |why| Err(ServeError::StoreFailed(causes(&*why))))
    }

    async fn open(config: Config, start: Start) -> Result<Self, ServeError> {
        let Start { accept_clock, wall, compile_worker, limits } = start;
        let root = Arc::new(root_key(&config)?);
        let certificate = certificate(&config.tls)?;
        let store = Store::open(&config.data_dir, &config.log_id)?;
        if !keys::opened_by(&root, &store).await? {
            return Err(ServeError::WrongRootKey { path: config.root_key, dir: config.data_dir });
        }
        let log_signer = keys::log_signer(&root, &store).await?;
        // Before anything is committed.
        high_water::check(&config.high_water, &store, &log_signer)?;
        let directory = config.data_dir.join(CACHE_DIRECTORY);
        let cache = Cache::open(directory, keys::cache_key(&root, &store).await?, CACHE_BYTES_MAX);
        let cache = cache.map_err(|error| ServeError::Start(error.to_string()))?;
        let worker = compile_worker.map(|worker| Worker { limits: config.compile, ..worker });
        let compiler = Compiler { worker, cache: Some(cache) };
        let queue_jobs_max = config.evaluation_queue_max;
        let engine = EngineConfig::for_host().map(|host| EngineConfig { queue_jobs_max, ..host });
        let engine = engine.and_then(|config| Engine::with_compiler(config, compiler));
        let engine = Arc::new(engine.map_err(|error| ServeError::Start(error.to_string()))?);
        let names = keys::names_key(&root, &store).await?;
        let Began { clock, started_at, eras, set_back } = Began::of(&store, accept_clock, wall).await?;
        let user_keys = Arc::new(user_keys(&config, Arc::clone(&root))?);
        erase::finish(&store, &user_keys).await?;
        let active = ActivePolicies::load(&store, &engine).await?;
        let log_signer = keys::log_signer(&root, &store).await?;
        let published = Published::open(&config, &log_signer.verifier(), &store).map_err(ServeError::Start)?;
        let now = clock.now();
        let app = Arc::new(App {
            metrics: Metrics::new(clock.now(), engine.info().wasmtime_version),
            policy_logs: PolicyLogs::new(clock.now()),
            refusals: Refusals::new(now),
            strangers: Strangers::new(),
            agent_rates: Rates::new("agent", config.agent_requests_per_s_max, MonotonicClock),
            // Nobody clicks faster than an agent may ask.
            user_rates: Rates::new("user", config.agent_requests_per_s_max, MonotonicClock),
            clock,
            era: Arc::default(),
            active,
            loads: Loads::default(),
            pauses: Pauses::default(),
            shadows: Shadows::new(),
            simulating: tokio::sync::Mutex::default(),
            engine,
            nonces: Nonces::new().map_err(Failure::internal)?,
            keys: ParsedKeys::new(),
            providers: ProviderKeyring::default(),
            queries: Queries::new(),
            replay: ReplayGuard::new(ReplayLimits::default()).map_err(Failure::internal)?,
            assertions: AssertionGuard::new(ReplayLimits::default(), started_at, eras).map_err(Failure::internal)?,
            published,
            log_signer,
            names,
            token_keys: TokenKeys::load(root, &store, limits.grant_ms_max, now).await?,
            user_keys,
            limits,
            store,
            config,
        });
        let address = app.config.listen;
        let listening = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local_addr, listener) = listening.map_err(|source| ServeError::Listen { address, source })?;
        let mut batch = Batch::new(app.clock.now());
        let members = json!({ "version": env!("CARGO_PKG_VERSION"), "clock_accepted_by_hand": accept_clock,
            "set_back_from_ms": set_back.as_ref().map(|set_back| set_back.from.0) });
        batch.entries.push(entry::body(batch.now, STARTED, members)?);
        batch.put_record(&app.clock.mark());
        let sets_back = set_back.is_some();
        if let Some(SetBack { record, require, .. }) = set_back {
            batch.require.push((record.key(), require));
            batch.put_record(&record);
        }
        let committed = app.store.commit(batch).await.map_err(Failure::from)?;
        if sets_back {
            app.clock.end_before(committed.version);
        }
        app.published.advance(&app).await?;
        Ok(Self { app, listener, certificate, local_addr })
    }
}

/// The server's time as this run begins.
struct Began {
    clock: Clock,
    /// What was issued until then may have been accepted by an earlier run; none if there was none.
    started_at: Option<TimeMs>,
    /// The times that come again because time was set back.
    eras: Vec<TimeSpan>,
    /// Whether it is set back by this very start.
    set_back: Option<SetBack>,
}

/// That a start sets time back.
struct SetBack {
    from: TimeMs,
    record: ClockRecord,
    require: Require,
}

impl Began {
    async fn of(store: &Store, accept_clock: bool, wall: WallClock) -> Result<Self, ServeError> {
        let marked = store.record::<ClockMarkRecord>(&Key::clock_mark()).await.map_err(Failure::from)?;
        let earlier = store.record::<ClockRecord>(&Key::clock()).await.map_err(Failure::from)?;
        let is_first = !has_run(store)?;
        let (marked, mut came_to) = (marked.map(|marked| marked.value), latest_record(store)?);
        let marked_boot = marked.as_ref().map(|marked| marked.boot.clone());
        came_to = marked.as_ref().map_or(came_to, |marked| marked.at.max(came_to));
        // Whoever starts for the first time has nothing to lose.
        let ahead_ms_max = if is_first { u64::MAX } else { STOPPED_MS_MAX };
        let clock = Clock::start(wall, marked, came_to, ahead_ms_max);
        let (mut eras, mut require) = (Vec::new(), Require::Absent);
        if let Some(Versioned { value, version, .. }) = earlier {
            clock.end_before(version);
            (eras, require) = (value.eras, Require::Version(version));
        }
        let reading = clock.reading();
        let mut set_back = None;
        if accept_clock && reading.server.ms_since(reading.wall) > DRIFT_MS_MAX {
            let (mark, all) = clock.back(reading.wall, &eras);
            clock.go_on_from(mark);
            eras = all;
            let record = ClockRecord { by: None, at: reading.wall, eras: eras.clone() };
            set_back = Some(SetBack { from: reading.server, record, require });
        }
        // A run that was cut off by the end of a boot may have gone on for some seconds after it marked its time. Where
        // time is set back, those are in the era.
        let is_known =
            set_back.is_some() || marked_boot.is_some_and(|boot| !boot.is_empty() && boot == clock.mark().boot);
        let cut_off = if is_known { TimeMs(0) } else { came_to.plus_ms(MARKED_EVERY_MS) };
        let started_at = (!is_first).then(|| clock.now().max(cut_off));
        Ok(Self { clock, started_at, eras, set_back })
    }
}

fn user_keys(config: &Config, root: Arc<RootKey>) -> Result<UserKeys, ServeError> {
    let directory = config.user_keys.clone();
    UserKeys::open(directory.clone(), root)
        .map_err(|error| ServeError::Start(format!("cannot use `{}`: {error}", directory.display())))
}

pub(crate) fn root_key(config: &Config) -> Result<RootKey, ServeError> {
    let path = config.root_key.clone();
    let fail = |why: String| ServeError::RootKey { path: path.clone(), why };
    let text = private_file::read(&path, ROOT_KEY_BYTES_MAX).map_err(&fail)?;
    let text = std::str::from_utf8(&text).map_err(|error| fail(error.to_string()))?;
    text.parse().map_err(|error: attorn_identity::WrapError| fail(error.to_string()))
}

/// Whether the server has run before: its first entry of each run stands among the first that there are.
fn has_run(store: &Store) -> Result<bool, ServeError> {
    if !store.earlier_epochs().is_empty() {
        return Ok(true);
    }
    let first = store.entries(0, ENTRIES_OF_INIT_MAX).map_err(Failure::from)?;
    if first.len() == ENTRIES_OF_INIT_MAX {
        return Ok(true);
    }
    for stored in first {
        let entry = attorn_log::Entry::parse(&stored.bytes).map_err(Failure::internal)?;
        let body: serde_json::Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
        if body["type"] == STARTED {
            return Ok(true);
        }
    }
    Ok(false)
}

fn certificate(tls: &Tls) -> Result<Option<Arc<ServerCertificate>>, ServeError> {
    let Tls::Server { certificate, key } = tls else { return Ok(None) };
    let loaded = ServerCertificate::load(certificate, key).map_err(|error| ServeError::Start(error.to_string()))?;
    Ok(Some(Arc::new(loaded)))
}

/// The time of the newest entry.
fn latest_record(store: &Store) -> Result<TimeMs, ServeError> {
    let size = store.log_head().map_err(Failure::from)?.size;
    let Some(last) = size.checked_sub(1) else { return Ok(TimeMs(0)) };
    let bytes = store.entry(last).map_err(Failure::from)?;
    let bytes = bytes.ok_or_else(|| ServeError::Start(format!("the log has no entry {last}")))?;
    let entry = attorn_log::Entry::parse(&bytes).map_err(Failure::internal)?;
    let body: serde_json::Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
    Ok(TimeMs(body["time_ms"].as_u64().unwrap_or(0)))
}
