//! The engine: threads that evaluate, and the queue before them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use attorn_artifact::{Cancel, Progress};
use attorn_core::{Digest, EvaluationContext, Failure, Known, PolicyId, PolicyLimits};
use tokio::sync::oneshot;

use crate::classes::Runtimes;
use crate::compile::Compiler;
use crate::config::{EngineConfig, EngineError};
use crate::evaluate::evaluate;
use crate::evaluation::Evaluation;
use crate::load::{LoadError, LoadRequest, Loader, load};
use crate::policy::LoadedPolicy;
use crate::queue::{Queue, QueueCounts};
use crate::runtime::{EngineInfo, configuration};
use crate::swap::SwapWatch;
use crate::v0_1::Prepared;

/// The stack of a thread that evaluates: what a policy may use, and enough for the host's own.
const STACK_BYTES: usize = 2 << 20;

/// Loads policies and evaluates them.
pub struct Engine {
    config: EngineConfig,
    configuration: Digest,
    runtimes: Runtimes,
    compiler: Compiler,
    queue: Arc<Queue<Job>>,
    /// See [`Loader`].
    compiling: Mutex<()>,
    trying: Mutex<()>,
    loads: Loads,
}

/// How many loads came to what.
#[derive(Default)]
struct Loads {
    from_cache: AtomicU64,
    compiled: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// What the engine has counted since it was started, and how many wait now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineCounts {
    /// Requests that wait for their evaluations.
    pub waiting: usize,
    /// Requests that were turned away because too many waited.
    pub turned_away: u64,
    /// Policies that were loaded from the cache of machine code.
    pub loads_from_cache: u64,
    /// Policies that were compiled.
    pub loads_compiled: u64,
    /// Policies that were refused.
    pub loads_refused: u64,
    /// Loads that came to nothing through no fault of the policy.
    pub loads_failed: u64,
}

/// Too many requests are waiting already. Nothing was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many evaluations are waiting")]
pub struct Busy;

/// One policy to be asked, and what was looked up for it alone.
#[derive(Debug, Clone)]
pub struct Question {
    /// The policy.
    pub policy: LoadedPolicy,
    /// One fact for each template and one counter for each declaration of its requirements.
    pub known: Known,
}

struct Job {
    questions: Vec<Question>,
    /// What was answered so far.
    evaluations: Vec<Evaluation>,
    context: Arc<EvaluationContext>,
    deadline: Instant,
    answer: oneshot::Sender<Vec<Evaluation>>,
}

impl Engine {
    /// Start an engine and its threads.
    ///
    /// # Errors
    ///
    /// When a field of the configuration is out of range, the runtime does not start, or a thread
    /// cannot be started.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        Self::with_compiler(config, Compiler::default())
    }

    /// The same, with a compiler in a process of its own, or a cache, or both.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn with_compiler(config: EngineConfig, compiler: Compiler) -> Result<Self, EngineError> {
        config.check()?;
        let engine = Self {
            config,
            configuration: configuration(&config),
            runtimes: Runtimes::start(&config)?,
            compiler,
            queue: Arc::new(Queue::new(config.queue_jobs_max)),
            compiling: Mutex::new(()),
            trying: Mutex::new(()),
            loads: Loads::default(),
        };
        // Where nothing is scanned, swap leaves nothing unclean.
        let scans = engine.info().pagemap_scan();
        let watch = scans.then(SwapWatch::start).transpose().map_err(EngineError::Thread)?;
        for n in 0..config.evaluator_threads {
            let (queue, watch) = (Arc::clone(&engine.queue), watch.clone());
            let slow_max = slow_max(&config);
            let run = move || {
                while let Some(job) = queue.pop(|job| job.can_go_on(slow_max)) {
                    let unclean = watch.as_ref().is_some_and(|watch| watch.seen());
                    work(job, &queue, slow_max, unclean);
                }
            };
            let thread = thread::Builder::new().name(format!("attorn-eval-{n}")).stack_size(STACK_BYTES).spawn(run);
            // The threads that did start go home when `engine` is dropped.
            thread.map_err(EngineError::Thread)?;
        }
        Ok(engine)
    }

    /// How the engine was set up on this host.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        self.runtimes.info()
    }

    /// A digest of all in its configuration that an outcome may depend on, wasmtime's version and the processor's
    /// features included. Where it is the same, the same policy says the same to the same context.
    #[must_use]
    pub const fn configuration(&self) -> Digest {
        self.configuration
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> EngineCounts {
        let QueueCounts { waiting, turned_away } = self.queue.counts();
        let Loads { from_cache, compiled, refused, failed } = &self.loads;
        let [loads_from_cache, loads_compiled, loads_refused, loads_failed] =
            [from_cache, compiled, refused, failed].map(|count| count.load(Ordering::Relaxed));
        EngineCounts { waiting, turned_away, loads_from_cache, loads_compiled, loads_refused, loads_failed }
    }

    /// Make a policy ready: inspect the component, compile it, and run `describe` and `init` in a
    /// sandbox.
    ///
    /// This blocks, for seconds with large components, and waits for other loads: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    ///
    /// When the component, the settings or the limits are not fit. The error names the step.
    pub fn load(
        &self,
        name: PolicyId,
        component: &[u8],
        settings: &str,
        limits: PolicyLimits,
    ) -> Result<LoadedPolicy, LoadError> {
        let request = LoadRequest { name, component, settings, limits, metered: false, without_snapshot: false };
        self.load_watched(request, &Progress::default(), &Cancel::default())
    }

    /// The same, for somebody who wants to see how far it is, or may stop waiting.
    ///
    /// # Errors
    ///
    /// As [`Engine::load`], or because it was cancelled.
    pub fn load_watched(
        &self,
        request: LoadRequest<'_>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<LoadedPolicy, LoadError> {
        let Self { runtimes, compiler, config, compiling, trying, .. } = self;
        let loaded = load(&Loader { runtimes, compiler, config, compiling, trying }, request, progress, cancel);
        let count = match &loaded {
            Ok(policy) if policy.report().from_cache => &self.loads.from_cache,
            Ok(_) => &self.loads.compiled,
            Err(LoadError::NotCompiled { .. } | LoadError::Cancelled) => &self.loads.failed,
            Err(_) => &self.loads.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        loaded
    }

    /// Ask policies about one context, in order, under one deadline. What comes back is one evaluation
    /// for each question, in the same order.
    ///
    /// The calling task only waits. If it stops waiting, what has not begun is not evaluated.
    ///
    /// # Errors
    ///
    /// [`Busy`] when the queue is full. That is known at once.
    pub async fn evaluate(
        &self,
        questions: Vec<Question>,
        context: Arc<EvaluationContext>,
    ) -> Result<Vec<Evaluation>, Busy> {
        let count = questions.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_micros(self.config.request_wall_us_max);
        let evaluations = Vec::with_capacity(count);
        self.queue.push(Job { questions, evaluations, context, deadline, answer }).map_err(|_| Busy)?;
        let not_run = || Evaluation::not_run(Failure::NotRunnable, "the evaluation was lost");
        Ok(answered.await.unwrap_or_else(|_| std::iter::repeat_with(not_run).take(count).collect()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).field("info", self.info()).finish_non_exhaustive()
    }
}

/// How many threads a slow policy may hold at a time.
fn slow_max(config: &EngineConfig) -> u32 {
    u32::try_from(config.evaluator_threads).unwrap_or(u32::MAX).saturating_sub(1).max(1)
}

impl Job {
    /// Whether the next policy may have a thread, which it then holds. What is late is answered at once.
    fn can_go_on(&self, slow_max: u32) -> bool {
        let Some(next) = self.questions.get(self.evaluations.len()) else { return true };
        let threads = &next.policy.loaded().threads;
        threads.enter(slow_max) || (self.is_late() && threads.enter(u32::MAX))
    }

    fn is_late(&self) -> bool {
        self.answer.is_closed() || Instant::now() >= self.deadline
    }
}

/// A thread that a policy holds. It is given back whatever happens.
struct Held<'a> {
    policy: &'a LoadedPolicy,
    queue: &'a Queue<Job>,
    /// None if nothing was run.
    wall_us: Option<u64>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.policy.loaded().threads.leave(self.wall_us) {
            self.queue.look_again();
        }
    }
}

/// Go on with a job whose next policy holds this thread. A panic loses the job and never the thread: the
/// asker is told when the sender is dropped.
fn work(job: Job, queue: &Queue<Job>, slow_max: u32, unclean: bool) {
    if catch_unwind(AssertUnwindSafe(|| work_unguarded(job, queue, slow_max, unclean))).is_err() {
        tracing::error!("a panic in the engine ended a request's evaluations, which denies");
    }
}

fn work_unguarded(mut job: Job, queue: &Queue<Job>, slow_max: u32, unclean: bool) {
    let shared = Arc::clone(&job.context);
    let context = Prepared::new(&shared);
    let mut entered = true;
    while let Some(question) = job.questions.get(job.evaluations.len()) {
        if !entered && !job.can_go_on(slow_max) {
            queue.put_back(job);
            return;
        }
        entered = false;
        let mut held = Held { policy: &question.policy, queue, wall_us: None };
        if job.answer.is_closed() {
            return;
        }
        let evaluation = if unclean {
            Evaluation::not_run(Failure::NotRunnable, "swap was turned on, and memories cannot be cleaned any more")
        } else {
            evaluate(question, &context, job.deadline)
        };
        held.wall_us = Some(evaluation.usage.wall_us).filter(|wall_us| *wall_us > 0);
        drop(held);
        job.evaluations.push(evaluation);
    }
    // Whoever asked may have stopped waiting; then nobody wants these.
    let _ = job.answer.send(job.evaluations);
}
