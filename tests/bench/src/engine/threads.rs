//! Two evaluator threads in one engine against two processes with a thread each: whether threads of one
//! engine stand in each other's way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_engine::{Activation, Engine, EngineConfig};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Here, TOGETHER, evaluate, load};
use crate::child::{self, Child};
use crate::figure::{float, median, rounded};
use crate::policy;

/// How many threads, and how many processes.
const THREADS: usize = 2;
/// How many requests wait or run for each thread, so that none ever is without work.
const REQUESTS_PER_THREAD: usize = 3;
/// How often each way is measured.
const ROUNDS: usize = 5;

/// What a process has to do.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// Threads that evaluate.
    threads: usize,
    /// As in the engine's configuration.
    pagemap_scan: bool,
    /// For how long.
    for_ms: u64,
}

/// What a process has done.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    evaluations: u64,
    elapsed_us: u64,
}

impl Done {
    fn per_second(&self) -> f64 {
        float(self.evaluations) * 1e6 / float(self.elapsed_us)
    }
}

/// Measure, and print.
pub(super) fn measure(here: &mut Here<'_>) {
    let order = |threads| Order { threads, pagemap_scan: here.config.pagemap_scan, for_ms: here.length.load_ms / 2 };
    let (mut threads, mut processes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        threads.push(together(1, &order(THREADS)));
        processes.push(together(THREADS, &order(1)));
    }
    let (threads, processes) = (median(threads), median(processes));
    let raw = json!({
        "threads_per_s": rounded(threads),
        "processes_per_s": rounded(processes),
        "threads": THREADS,
        "policies_per_request": TOGETHER,
        "rounds": ROUNDS,
    });
    here.add("threads_over_processes", threads / processes, "ratio", raw);
}

/// Evaluations in a second, over so many processes that begin at once.
fn together(processes: usize, order: &Order) -> f64 {
    let mut children: Vec<_> = (0..processes).map(|_| Child::start("evaluator", order)).collect();
    children.iter_mut().for_each(Child::go);
    children.into_iter().map(|child| child.answer::<Done>().per_second()).sum()
}

/// Be one of the processes.
pub(crate) fn run() {
    let Order { threads, pagemap_scan, for_ms } = child::order();
    let config = EngineConfig { evaluator_threads: threads, pagemap_scan, ..super::config() };
    let engine = Engine::new(config).unwrap();
    let (loaded, context) = (load(&engine, &policy::settings(), &Activation::Snapshot), Arc::new(policy::context()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let for_time = |duration: Duration| {
        let started = Instant::now();
        let asking = || async {
            let mut evaluations = 0;
            while started.elapsed() < duration {
                evaluate(&engine, vec![loaded.clone(); TOGETHER], &context).await;
                evaluations += TOGETHER as u64;
            }
            evaluations
        };
        let asking = join_all((0..threads * REQUESTS_PER_THREAD).map(|_| asking()));
        let evaluations = runtime.block_on(asking).into_iter().sum();
        Done { evaluations, elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap() }
    };
    // It warms up before it says that it is ready.
    for_time(Duration::from_millis(for_ms / 10));
    child::ready();
    child::answer(&for_time(Duration::from_millis(for_ms)));
}
