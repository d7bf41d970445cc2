//! Few, many and very many policies loaded: how long a start takes that finds all of them compiled, what
//! they take of memory, and what an evaluation takes when requests are spread over all.
//!
//! A process of its own does it, so that nothing that compiled is left in its memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use attorn_core::EvaluationContext;
use attorn_engine::{Activation, Engine, EngineConfig, LoadedPolicy};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Runtime;

use super::policies::{self, Library};
use super::{Here, evaluate, load};
use crate::child::{self, Child};
use crate::figure::{float, rounded};
use crate::memory::{self, Memory};
use crate::policy;

/// How many policies one request asks.
const APPLICABLE: [usize; 3] = [1, 4, 16];
/// From one request to the next, the policies that are asked are this far apart: a prime, so that all
/// get their turn.
const STRIDE: usize = 7_919;

/// What the process has to do.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    library: PathBuf,
    pagemap_scan: bool,
    /// How many policies, again and again more.
    policies: Vec<usize>,
    /// For each number of policies, and each number of those asked.
    requests: usize,
}

/// What it has seen with so many policies loaded.
#[derive(Debug, Serialize, Deserialize)]
struct Stage {
    policies: usize,
    /// Since the process began to make its engine, without what was asked meanwhile.
    loaded_us: u64,
    machine_code_bytes: u64,
    memory: Memory,
    asked: Vec<Asked>,
}

/// What requests took that ask so many policies.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    applicable: usize,
    p50_us: f64,
    p99_us: f64,
}

/// Measure, and print.
pub(super) fn measure(library: &Library, here: &mut Here<'_>) {
    let order = Order {
        library: library.path(),
        pagemap_scan: here.config.pagemap_scan,
        policies: here.length.policies.to_vec(),
        requests: here.length.requests,
    };
    let mut child = Child::start("loaded", &order);
    child.go();
    let stages: Vec<Stage> = child.answer();
    for stage in &stages {
        let Stage { policies, loaded_us, .. } = stage;
        // None of them was compiled, or the process would have ended.
        let raw = json!({ "policies": policies, "compiled": 0 });
        here.add(&format!("restart_{policies}_policies"), float(*loaded_us) / 1e3, "ms", raw);
        for Asked { applicable, p50_us, p99_us } in &stage.asked {
            let raw = json!({
                "p99_us": rounded(*p99_us),
                "p50_us_per_policy": rounded(p50_us / float(*applicable as u64)),
                "loaded": policies,
                "applicable": applicable,
                "requests": order.requests,
            });
            here.add(&format!("ask_{applicable}_of_{policies}"), *p50_us, "us (p50)", raw);
        }
    }
    if let [first, .., last] = stages.as_slice() {
        bytes_per_policy(first, last, here);
    }
}

fn bytes_per_policy(first: &Stage, last: &Stage, here: &mut Here<'_>) {
    let policies = float((last.policies - first.policies) as u64);
    let each = |of: fn(&Stage) -> u64| (float(of(last)) - float(of(first))) / policies;
    let raw = json!({
        "anonymous_bytes": rounded(each(|stage| stage.memory.anonymous_bytes)),
        "file_bytes": rounded(each(|stage| stage.memory.file_bytes)),
        "shared_bytes": rounded(each(|stage| stage.memory.shared_bytes)),
        "memfd_bytes": rounded(each(|stage| stage.memory.memfd_bytes)),
        "open_files": rounded(each(|stage| stage.memory.open_files)),
        "mappings": rounded(each(|stage| stage.memory.mappings)),
        "machine_code_bytes": rounded(each(|stage| stage.machine_code_bytes)),
        "resident_bytes_at_first": first.memory.resident_bytes(),
        "resident_bytes_at_last": last.memory.resident_bytes(),
        "policies": last.policies,
    });
    here.add("resident_bytes_per_policy", each(|stage| stage.memory.resident_bytes()), "bytes", raw);
}

/// Be the process.
pub(crate) fn run() {
    let Order { library, pagemap_scan, policies, requests } = child::order();
    child::ready();
    let config = EngineConfig { pagemap_scan, ..super::config() };
    let mut begun = Instant::now();
    let engine = policies::engine(config, &library);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = Arc::new(policy::context());
    let (mut loaded, mut loaded_us, mut machine_code_bytes) = (Vec::<LoadedPolicy>::new(), 0, 0);
    let stages = policies.into_iter().map(|count| {
        while loaded.len() < count {
            let policy = load(&engine, &policies::settings(loaded.len()), &Activation::Snapshot);
            assert!(policy.report().from_cache, "policy {} was compiled again", loaded.len());
            machine_code_bytes += policy.report().machine_code_bytes;
            loaded.push(policy);
        }
        loaded_us += u64::try_from(begun.elapsed().as_micros()).unwrap();
        let memory = memory::of_this_process();
        let applicable = APPLICABLE.into_iter().filter(|applicable| *applicable <= count);
        let asked = applicable.map(|applicable| spread(&runtime, &engine, &loaded, applicable, requests, &context));
        let stage = Stage { policies: count, loaded_us, machine_code_bytes, memory, asked: asked.collect() };
        begun = Instant::now();
        stage
    });
    child::answer(&stages.collect::<Vec<_>>());
}

/// Requests that ask so many policies each, and all policies in their turn.
fn spread(
    runtime: &Runtime,
    engine: &Engine,
    loaded: &[LoadedPolicy],
    applicable: usize,
    requests: usize,
    context: &Arc<EvaluationContext>,
) -> Asked {
    let mut took = Histogram::<u64>::new(3).unwrap();
    let warming_up = requests / 10;
    for n in 0..warming_up + requests {
        let asked = (0..applicable).map(|k| loaded[(n * applicable + k) * STRIDE % loaded.len()].clone()).collect();
        let started = Instant::now();
        runtime.block_on(evaluate(engine, asked, context));
        if n >= warming_up {
            took.record(u64::try_from(started.elapsed().as_nanos()).unwrap()).unwrap();
        }
    }
    let us_at = |quantile| float(took.value_at_quantile(quantile)) / 1e3;
    Asked { applicable, p50_us: us_at(0.5), p99_us: us_at(0.99) }
}
