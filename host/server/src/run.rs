//! A running server: open the store, load keys and policies, listen.

pub(crate) mod error;
mod others;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_artifact::{Cache, Worker};
use attorn_core::BoundsLimits;
use attorn_engine::{Compiler, Engine, EngineConfig};
use attorn_identity::{AssertionGuard, Nonces, ReplayGuard, ReplayLimits, RootKey};
use attorn_store::records::Record as _;
use attorn_store::{Batch, OpenError, Ours, Store};
use governor::clock::MonotonicClock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::active::ActivePolicies;
use crate::app::App;
use crate::approvals::ApprovalLimits;
use crate::approvals::page::Visits;
use crate::approvals::webhooks::{self, Webhooks};
use crate::clock::start::{Began, STARTED, SetBack};
use crate::clock::{WallClock, keep};
use crate::config::{Config, Tls};
use crate::decisions::pause::Pauses;
use crate::decisions::rehearse::Rehearsals;
use crate::decisions::shadow::{self, Shadows};
use crate::http::connections::{self, Connections};
use crate::http::failure::{Failure, causes};
use crate::http::listen::Deadlines;
use crate::http::rates::Rates;
use crate::http::strangers::Strangers;
use crate::http::tls::ServerCertificate;
use crate::http::{dispatch, listen};
use crate::loads::Loads;
use crate::metrics::Metrics;
use crate::oauth::ciba::AuthRequests;
use crate::parsed_keys::{ByVersion, ParsedKeys};
use crate::policy_logs::PolicyLogs;
use crate::providers::ProviderKeyring;
use crate::providers::backchannel::{self, Backchannels};
use crate::published::{self, Published};
use crate::queries::{self, Queries};
use crate::refusals::Refusals;
use crate::replays::Replays;
use crate::targets::live::Targets;
use crate::token_keys::TokenKeys;
use crate::users::erase;
use crate::users::keys::UserKeys;
use crate::{data, entry, high_water, keys, leases, most_seen, private_file, reaper, refusals, rotate, routes};

pub use error::ServeError;

/// Where compiled policies are kept, within the data directory.
pub(crate) const CACHE_DIRECTORY: &str = "cache";
/// How many bytes of them.
const CACHE_BYTES_MAX: u64 = 4 << 30;

/// The longest file that a root key is read from.
const ROOT_KEY_BYTES_MAX: u64 = 4 << 10;

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
    /// How long approvals count, and how many there may be. The binary starts with the usual ones.
    pub approvals: ApprovalLimits,
    /// Wall time of all policies of one request, in microseconds; the engine's usual if it is not said, as the binary
    /// starts. On a machine that is busy with something else a policy may be kept waiting for longer than that.
    pub request_wall_us_max: Option<u64>,
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

    /// Wait until the store fails; for ever, if it does not. It needs nothing of the server, which may hang with the
    /// store: whoever runs the process ends it some time after this.
    pub fn store_failed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.app.store.has_failed()
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
        let ending = tokio::spawn(leases::queue::run(Arc::clone(&app)));
        let prompting = tokio::spawn(backchannel::queue::run(Arc::clone(&app)));
        let sweeping = tokio::spawn(leases::sweep::run(Arc::clone(&app)));
        let telling = tokio::spawn(webhooks::run(Arc::clone(&app)));
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
        let admission = listen::Admission {
            tls: app.config.tls.clone(),
            acceptor,
            strangers: Arc::clone(&app.strangers),
            connections: Arc::clone(&app.connections),
            deadlines: Deadlines::USUAL,
        };
        listen::serve(listener, router, admission, stop).await;
        if let Some(fresh) = fresh {
            fresh.abort();
        }
        reaper.abort();
        ending.abort();
        sweeping.abort();
        telling.abort();
        prompting.abort();
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
        let Start { accept_clock, wall, compile_worker, limits, approvals, request_wall_us_max } = start;
        others::warn(&config);
        let root = Arc::new(root_key(&config)?);
        let certificate = certificate(&config.tls)?;
        let store = store(&config, &keys::ours(&root, &config))?;
        if !keys::opened_by(&root, &store).await? {
            return Err(ServeError::WrongRootKey { path: config.root_key, dir: config.data_dir });
        }
        let log_signer = keys::log_signer(&root, &store).await?;
        // Before anything is committed.
        most_seen::check(&config, &store, &log_signer).await?;
        let directory = config.data_dir.join(CACHE_DIRECTORY);
        let cache = Cache::open(directory, keys::cache_key(&root, &store).await?, CACHE_BYTES_MAX);
        let cache = cache.map_err(|error| ServeError::Start(error.to_string()))?;
        let engine = engine(&config, (compile_worker, request_wall_us_max), cache)?;
        let names = keys::names_key(&root, &store).await?;
        let Began { clock, started_at, eras, set_back } = Began::of(&store, accept_clock, wall).await?;
        let user_keys = Arc::new(user_keys(&config, Arc::clone(&root))?);
        erase::finish(&store, &user_keys).await?;
        let active = ActivePolicies::load(&store, &engine).await?;
        let published = Published::open(&config, &log_signer.verifier(), &store)?;
        let now = clock.now();
        let app = Arc::new(App {
            metrics: Metrics::new(clock.now(), engine.info().wasmtime_version),
            policy_logs: PolicyLogs::new(clock.now()),
            refusals: Refusals::new(now),
            strangers: Arc::new(Strangers::new().map_err(Failure::internal)?),
            connections: Arc::new(Connections::new(connections::places_max(), config.connections_per_address_max)),
            agent_rates: Rates::new("agent", config.agent_requests_per_s_max, MonotonicClock),
            // Nobody clicks faster than an agent may ask.
            user_rates: Rates::new("user", config.agent_requests_per_s_max, MonotonicClock),
            room_rates: Rates::new("agent", NonZeroU32::MIN, MonotonicClock),
            clock,
            era: Arc::default(),
            active,
            loads: Loads::default(),
            pauses: Pauses::default(),
            shadows: Shadows::new(),
            simulating: tokio::sync::Mutex::default(),
            replays: Replays::new(engine.info().evaluator_threads),
            engine,
            nonces: Nonces::new().map_err(Failure::internal)?,
            keys: ParsedKeys::new(),
            issuer_keys: ByVersion::default(),
            domain_keys: ByVersion::default(),
            providers: ProviderKeyring::default(),
            backchannels: Backchannels::new(config.listen),
            auth_requests: AuthRequests::default(),
            queries: Queries::new(),
            replay: ReplayGuard::new(ReplayLimits::default()).map_err(Failure::internal)?,
            assertions: AssertionGuard::new(ReplayLimits::default(), started_at, eras).map_err(Failure::internal)?,
            published,
            log_signer,
            names,
            unread: keys::of_this_run()?,
            token_keys: TokenKeys::load(Arc::clone(&root), &store, limits.grant_ms_max, now).await?,
            user_keys,
            root,
            targets: Targets::new(),
            limits,
            approvals,
            webhooks: Webhooks::new(),
            visits: Visits::default(),
            store,
            config,
        });
        let address = app.config.listen;
        let listening = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local_addr, listener) = listening.map_err(|source| ServeError::Listen { address, source })?;
        app.published.begin(&app).await?;
        say_started(&app, accept_clock, set_back).await?;
        app.published.advance(&app).await?;
        high_water::begin(&app).await;
        Ok(Self { app, listener, certificate, local_addr })
    }
}

/// The first entry of this run, with all that the start has found.
async fn say_started(app: &App, accept_clock: bool, set_back: Option<SetBack>) -> Result<(), ServeError> {
    let mut batch = Batch::new(app.clock.now());
    batch.entries.extend(rotate::kept(&app.store, batch.now)?);
    let members = json!({ "version": env!("CARGO_PKG_VERSION"), "clock_accepted_by_hand": accept_clock,
        "set_back_from_ms": set_back.as_ref().map(|set_back| set_back.from.0) });
    batch.entries.push(entry::body(batch.now, STARTED, members)?);
    batch.put_record(&app.clock.mark());
    for remade in app.store.remade()? {
        batch.entries.push(data::remade(&app.store, batch.now, &remade)?);
    }
    app.store.say_remade(&mut batch)?;
    if let Some(gone) = app.published.gone() {
        tracing::error!(%gone, "what was published of the audit log is gone");
        batch.entries.push(entry::body(batch.now, EntryType::PublishedGone, gone.members())?);
    }
    if let Some(members) = app.published.history_gone(app.log_signer.verifier().origin().epoch) {
        batch.entries.push(entry::body(batch.now, EntryType::PublishedGone, members)?);
    }
    let sets_back = set_back.is_some();
    if let Some(SetBack { record, require, .. }) = set_back {
        batch.require.push((record.key(), require));
        batch.put_record(&record);
    }
    let committed = app.store.commit(batch).await.map_err(Failure::from)?;
    app.store.remade_is_said()?;
    if sets_back {
        app.clock.end_before(committed.version);
    }
    Ok(())
}

fn engine(
    config: &Config,
    (worker, request_wall_us_max): (Option<Worker>, Option<u64>),
    cache: Cache,
) -> Result<Arc<Engine>, ServeError> {
    let worker = worker.map(|worker| Worker { limits: config.compile, ..worker });
    let compiler = Compiler { worker, cache: Some(cache), leftovers: None };
    let queue_jobs_max = config.evaluation_queue_max;
    let config = EngineConfig::for_host().map(|host| {
        let request_wall_us_max = request_wall_us_max.unwrap_or(host.request_wall_us_max);
        EngineConfig { queue_jobs_max, request_wall_us_max, ..host }
    });
    let engine = config.and_then(|config| Engine::with_compiler(config, compiler));
    Ok(Arc::new(engine.map_err(|error| ServeError::Start(error.to_string()))?))
}

/// Open the store. Only where its files are not relied on, and are made anew, it has to be known how long it was.
fn store(config: &Config, ours: &Ours) -> Result<Store, ServeError> {
    let opened = match Store::open(&config.data_dir, ours) {
        Err(OpenError::CutOff { .. }) => Store::open_or_remake(&config.data_dir, ours, most_seen::look(config)?),
        opened => opened,
    };
    opened.map_err(|error| ServeError::of_store(error, config))
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

fn certificate(tls: &Tls) -> Result<Option<Arc<ServerCertificate>>, ServeError> {
    let Tls::Server { certificate, key } = tls else { return Ok(None) };
    let loaded = ServerCertificate::load(certificate, key).map_err(|error| ServeError::Start(error.to_string()))?;
    Ok(Some(Arc::new(loaded)))
}
