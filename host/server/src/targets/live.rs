//! What is known of targets while the server runs: how each behaves, and what connects to it. None of it is durable.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use attorn_api::ProblemCode;
use attorn_broker::KindError;
use attorn_broker::backoff::Backoff;
use attorn_broker::breaker::{Breaker, Leave};
use attorn_broker::postgresql::Postgresql;
use attorn_broker::proxy::Proxy;
use attorn_core::{AgentId, PostgresqlSettings, TargetId, TargetKind};
use attorn_store::Versioned;
use attorn_store::records::TargetRecord;
use tokio::sync::{Notify, Semaphore};

use super::{misconfigured, secret, unavailable};
use crate::app::App;
use crate::http::failure::Failure;
use crate::metrics::ProxyMetrics;
use crate::random;

/// How many logins are made in one target at once.
const ISSUES_AT_ONCE: usize = 8;
/// How long whoever asks waits until logins and leases were compared for the first time.
const FIRST_COMPARISON: Duration = Duration::from_secs(3);
/// How long until that is done again, for whatever came to exist there against all that should hold.
const COMPARE_ANEW_MS: u64 = 10 * 60 * 1000;
/// How long until it is looked again whether what is kept for ending logins is good.
const CARE_MS: u64 = 5_000;
/// How long until that is tried again where it could not be done.
const COMPARE_AGAIN: Backoff = Backoff { first_ms: 500, most_ms: 10_000 };

/// All targets that anybody has asked for since the start.
pub(crate) struct Targets {
    live: Mutex<HashMap<TargetId, Arc<Live>>>,
    /// Told when something is due that was not before.
    pub(crate) wake: Notify,
    /// Those that were told another password since somebody asked: what waits for another attempt there need not wait.
    let_in: Mutex<BTreeSet<TargetId>>,
    standing: [AtomicU64; 3],
}

/// How many leases there are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) open: u64,
    pub(crate) overdue: u64,
    pub(crate) irrevocable: u64,
}

/// One target.
pub(crate) struct Live {
    id: TargetId,
    began: Instant,
    /// Of making and renewing.
    breaker: Mutex<Breaker>,
    /// Whose request was answered too late, of those since it last answered in time.
    late_for: Mutex<Option<AgentId>>,
    /// Of ending, so that nothing that agents ask for keeps anything from being ended.
    endings: Mutex<Breaker>,
    /// Whether what is wrong with it stays until an operator mends it, as far as is known.
    to_be_mended: AtomicBool,
    /// Whatever is found of it in the moment when it is retired, nobody mends it.
    pub(super) is_retired: AtomicBool,
    comparing: Mutex<Comparing>,
    pub(crate) issues: Arc<Semaphore>,
    /// Whether somebody ends its leases.
    pub(crate) running: AtomicBool,
    /// Whether its logins were compared with the leases since the start. Before that none is made.
    compared: AtomicBool,
    compared_first: Notify,
    care: Mutex<Care>,
    database: Mutex<Option<(u64, Arc<Postgresql>)>>,
    proxy: Mutex<Option<(u64, Arc<Proxy>)>>,
    /// None before it is called for an agent.
    proxied: OnceLock<Arc<ProxyMetrics>>,
}

/// How often it was tried in vain to compare logins with leases, and when that is done again.
#[derive(Default)]
struct Comparing {
    runs: bool,
    failures: u32,
    again_ms: u64,
}

/// When what is kept for ending logins is looked after again.
#[derive(Default)]
struct Care {
    runs: bool,
    again_ms: u64,
}

/// Leave to ask a target that did not answer lately, which one has at a time. Whoever drops it asks no more: a probe of
/// whom nothing was heard is another's.
pub(crate) struct Probe(Arc<Live>);

impl Drop for Probe {
    fn drop(&mut self) {
        lock(&self.0.breaker).not_asked(self.0.now_ms());
    }
}

impl Targets {
    pub(crate) fn new() -> Self {
        Self { live: Mutex::default(), wake: Notify::new(), let_in: Mutex::default(), standing: Default::default() }
    }

    /// What is known of a target.
    pub(crate) fn live(&self, id: &TargetId) -> Arc<Live> {
        Arc::clone(lock(&self.live).entry(id.clone()).or_insert_with(|| Arc::new(Live::new(id.clone()))))
    }

    /// This one has let its administrator in by another password: whatever failed there before says nothing any more.
    pub(crate) fn lets_in(&self, app: &App, id: &TargetId) {
        let live = self.live(id);
        live.came(app, None);
        live.came_of_ending(app, None);
        lock(&self.let_in).insert(id.clone());
    }

    /// Those of which that was said since this was asked last.
    pub(crate) fn let_in_lately(&self) -> BTreeSet<TargetId> {
        std::mem::take(&mut *lock(&self.let_in))
    }

    /// How many are not asked now.
    pub(crate) fn broken(&self) -> usize {
        lock(&self.live).values().filter(|live| live.breaks()).count()
    }

    /// How many were found last to be so that an operator has to mend them.
    pub(crate) fn misconfigured(&self) -> usize {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        lock(&self.live).values().filter(|live| is(&live.to_be_mended) && !is(&live.is_retired)).count()
    }

    /// What was counted for those that were called for agents, in the order of their ids.
    pub(crate) fn proxied(&self) -> Vec<(TargetId, Arc<ProxyMetrics>)> {
        let live = lock(&self.live);
        let counted = live.iter().filter_map(|(id, live)| Some((id.clone(), Arc::clone(live.proxied.get()?))));
        let mut counted: Vec<_> = counted.collect();
        counted.sort_by(|(one, _), (other, _)| one.cmp(other));
        counted
    }

    /// So many leases were found.
    pub(crate) fn stands(&self, Standing { open, overdue, irrevocable }: Standing) {
        for (at, count) in self.standing.iter().zip([open, overdue, irrevocable]) {
            at.store(count, Ordering::Relaxed);
        }
    }

    /// How many leases were found last.
    pub(crate) fn standing(&self) -> Standing {
        let [open, overdue, irrevocable] = [0, 1, 2].map(|at: usize| self.standing[at].load(Ordering::Relaxed));
        Standing { open, overdue, irrevocable }
    }
}

impl Live {
    fn new(id: TargetId) -> Self {
        Self {
            id,
            began: Instant::now(),
            breaker: Mutex::default(),
            late_for: Mutex::default(),
            endings: Mutex::default(),
            to_be_mended: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
            comparing: Mutex::default(),
            issues: Arc::new(Semaphore::new(ISSUES_AT_ONCE)),
            running: AtomicBool::new(false),
            compared: AtomicBool::new(false),
            compared_first: Notify::new(),
            care: Mutex::default(),
            database: Mutex::default(),
            proxy: Mutex::default(),
            proxied: OnceLock::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether to end something there now.
    pub(crate) fn ask_to_end(&self) -> Leave {
        lock(&self.endings).ask(self.now_ms())
    }

    /// Whether nothing is ended there now.
    pub(crate) fn ends_nothing(&self) -> bool {
        lock(&self.endings).closed_for_ms(self.now_ms()).is_some()
    }

    /// What came of ending something.
    pub(crate) fn came_of_ending(&self, app: &App, error: Option<&KindError>) {
        self.heard(app, &self.endings, error);
    }

    /// Whether nobody asks it now.
    pub(crate) fn breaks(&self) -> bool {
        lock(&self.breaker).closed_for_ms(self.now_ms()).is_some()
    }

    /// There was nothing to end after all.
    pub(crate) fn nothing_to_end(&self) {
        lock(&self.endings).not_asked(self.now_ms());
    }

    /// Whether to compare its logins with the leases now: for the first time, or because that was long ago. Whoever is
    /// told so says when it has.
    pub(crate) fn begin_comparing(&self) -> bool {
        let mut comparing = lock(&self.comparing);
        let begins = !comparing.runs && self.now_ms() >= comparing.again_ms;
        comparing.runs |= begins;
        begins
    }

    /// It was done, or tried in vain.
    pub(crate) fn end_comparing(&self, done: bool) {
        let mut comparing = lock(&self.comparing);
        let failures = if done { 0 } else { comparing.failures.saturating_add(1) };
        let wait = if done { COMPARE_ANEW_MS } else { COMPARE_AGAIN.wait_ms(failures, random::number()) };
        *comparing = Comparing { runs: false, failures, again_ms: self.now_ms().saturating_add(wait) };
    }

    /// What came of asking it. What is one credential's fault is not the target's: it answered.
    pub(crate) fn came(&self, app: &App, error: Option<&KindError>) {
        if error.is_none() {
            *lock(&self.late_for) = None;
        }
        // What is one grant's says nothing of others.
        self.stays_so(error.is_some_and(|error| error.is_of_target() && error.stays()));
        self.heard(app, &self.breaker, error);
    }

    /// Whether what is wrong with it stays until an operator mends it.
    pub(crate) fn stays_so(&self, stays: bool) {
        self.to_be_mended.store(stays, Ordering::Relaxed);
    }

    /// What an agent reads of one that is not asked now.
    pub(crate) fn not_lately(&self) -> Failure {
        self.not_now("the target did not answer lately; nothing was decided")
    }

    /// Nothing can be asked of it now: what an agent reads.
    fn not_now(&self, detail: &str) -> Failure {
        if self.to_be_mended.load(Ordering::Relaxed) {
            return misconfigured(&self.id, "the target cannot be used as it is; nothing was decided");
        }
        unavailable(detail)
    }

    /// It did not answer this agent in time. What one agent asks may be slow in itself, so that counts once until another
    /// had to wait, too.
    pub(crate) fn came_late(&self, app: &App, agent: &AgentId, error: &KindError) {
        let before = lock(&self.late_for).replace(agent.clone());
        if before.as_ref() != Some(agent) {
            self.heard(app, &self.breaker, Some(error));
        }
    }

    fn heard(&self, app: &App, breaker: &Mutex<Breaker>, error: Option<&KindError>) {
        let mut breaker = lock(breaker);
        match error {
            Some(error) if error.is_of_target() => breaker.bad(self.now_ms(), random::number()),
            _ => {
                if breaker.good() {
                    app.targets.wake.notify_one();
                }
            }
        }
    }

    /// Whether its logins were compared with the leases.
    pub(crate) fn is_compared(&self) -> bool {
        self.compared.load(Ordering::Acquire)
    }

    /// They were.
    pub(crate) fn was_compared(&self) {
        self.compared.store(true, Ordering::Release);
        self.compared_first.notify_waiters();
    }

    /// See that it can be asked for a login.
    pub(crate) async fn ready(self: &Arc<Self>, app: &App, waits: bool) -> Result<Option<Probe>, Failure> {
        self.wait_until_compared(app, waits).await?;
        self.asking()
    }

    /// Leave to ask it, if it answered lately; a guard if others wait for what comes of it.
    pub(crate) fn asking(self: &Arc<Self>) -> Result<Option<Probe>, Failure> {
        let leave = lock(&self.breaker).ask(self.now_ms());
        match leave {
            Leave::Ask => Ok(None),
            Leave::Probe => Ok(Some(Probe(Arc::clone(self)))),
            Leave::Wait(_) => Err(self.not_lately()),
        }
    }

    async fn wait_until_compared(&self, app: &App, waits: bool) -> Result<(), Failure> {
        let looked = self.compared_first.notified();
        if waits && !self.is_compared() {
            app.targets.wake.notify_one();
            let _ = tokio::time::timeout(FIRST_COMPARISON, looked).await;
        }
        if self.is_compared() {
            return Ok(());
        }
        Err(self.not_now("the target could not be looked at since the server was started; nothing was decided"))
    }

    /// What connects to it, as it is registered now.
    pub(crate) fn database(&self, app: &App, target: &Versioned<TargetRecord>) -> Result<Arc<Postgresql>, Failure> {
        let mut kept = lock(&self.database);
        if let Some((version, database)) = &*kept
            && *version == target.version
        {
            return Ok(Arc::clone(database));
        }
        let record = &target.value;
        let settings = database_settings(record)?.clone();
        let passwords = secret::all(&app.root, record)?;
        let log_id = app.store.log_head()?.log_id.to_string();
        let database = Postgresql::new(settings, passwords, app.config.listen, log_id);
        // A registration that changes leaves it what it keeps for ending logins.
        let database = Arc::new(match &*kept {
            Some((_, earlier)) => database.after(earlier),
            None => database,
        });
        *kept = Some((target.version, Arc::clone(&database)));
        // What was wrong may have been the registration.
        self.stays_so(false);
        Ok(database)
    }

    /// What is counted of calls to it.
    pub(crate) fn counted(&self) -> Arc<ProxyMetrics> {
        Arc::clone(self.proxied.get_or_init(Arc::default))
    }

    /// What is to be looked after now of what connects to it. Whoever is told so says when that was done.
    pub(crate) fn begin_care(&self) -> Option<Arc<Postgresql>> {
        let kept = lock(&self.database).as_ref().map(|(_, database)| Arc::clone(database))?;
        let mut care = lock(&self.care);
        let begins = !care.runs && self.now_ms() >= care.again_ms;
        care.runs |= begins;
        begins.then_some(kept)
    }

    /// It was looked after.
    pub(crate) fn end_care(&self) {
        *lock(&self.care) = Care { runs: false, again_ms: self.now_ms().saturating_add(CARE_MS) };
    }

    /// Nothing is made or ended there any more: keep no connections.
    pub(crate) fn forget(&self) {
        *lock(&self.database) = None;
    }

    /// What calls it, as it is registered now.
    pub(crate) fn proxy(&self, app: &App, target: &Versioned<TargetRecord>) -> Result<Arc<Proxy>, Failure> {
        let mut kept = lock(&self.proxy);
        if let Some((version, proxy)) = &*kept
            && *version == target.version
        {
            return Ok(Arc::clone(proxy));
        }
        let record = &target.value;
        let settings = record.settings.proxy();
        let settings = settings.ok_or_else(|| another_kind(record, TargetKind::Proxy))?.clone();
        let secret = secret::all(&app.root, record)?.into_iter().next();
        let secret = secret.ok_or_else(|| Failure::internal("a target has no secret"))?;
        let proxy = Arc::new(Proxy::new(settings, secret, app.config.listen));
        *kept = Some((target.version, Arc::clone(&proxy)));
        Ok(proxy)
    }
}

/// The settings of a target in which logins are made.
pub(crate) fn database_settings(target: &TargetRecord) -> Result<&PostgresqlSettings, Failure> {
    target.settings.postgresql().ok_or_else(|| another_kind(target, TargetKind::Postgresql))
}

/// The target is of another kind than this is for.
pub(crate) fn another_kind(target: &TargetRecord, kind: TargetKind) -> Failure {
    let detail = format!("target `{}` is of the kind `{}`; this is for `{kind}`", target.id, target.settings.kind());
    Failure::of(ProblemCode::InvalidState, detail)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
