//! Evaluations: ours in a fresh sandbox against bare wasmtime doing the same work.
//!
//! Both are measured in three ways. *Alone* is one policy a request, with the hop from the task that
//! asks to an evaluator thread and back; it is set against bare wasmtime without any hop, and against
//! bare wasmtime behind a bare one. *Of 16* shares one hop among 16 policies. *Further* is what each
//! policy of a request adds beyond the first: all that is around an evaluation but the hop.

use std::sync::Arc;

use attorn_core::EvaluationContext;
use attorn_engine::{Activation, Engine, EngineConfig, LoadedPolicy};
use serde_json::json;
use tokio::runtime::Runtime;

use super::hop::Hop;
use super::{Here, TOGETHER, evaluate, init_each_time, load};
use crate::figure::{float, median, rounded, timed};
use crate::floor::Floor;
use crate::{Length, policy};

/// Measure, and print.
pub(super) fn measure(engine: &Engine, here: &mut Here<'_>) {
    for (name, activation) in [("init", init_each_time()), ("snapshot", Activation::Snapshot)] {
        let compared = Compared::of(engine, here.length, &here.config, &activation);
        compared.print(name, here);
    }
}

/// What bare wasmtime takes from a snapshot, in microseconds.
pub(super) fn floor_us(engine: &Engine, length: Length) -> f64 {
    Compared::of(engine, length, &super::config(), &Activation::Snapshot).floor_us
}

/// What one evaluation takes, in microseconds.
#[expect(clippy::struct_field_names, reason = "units stand last in names, and these have the same")]
struct Compared {
    /// Ours, one policy a request.
    alone_us: f64,
    /// Ours, each of [`TOGETHER`] policies of one request.
    together_us: f64,
    /// Bare wasmtime.
    floor_us: f64,
    /// Bare wasmtime on a thread of its own.
    floor_hop_us: f64,
    /// To such a thread and back, with nothing done there.
    empty_hop_us: f64,
}

impl Compared {
    /// Batches of all take turns, so that whatever else the machine does hits all.
    fn of(engine: &Engine, length: Length, config: &EngineConfig, activation: &Activation) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (context, settings) = (Arc::new(policy::context()), policy::settings());
        let snapshot = *activation == Activation::Snapshot;
        let floor = || Floor::new(config, engine.info(), &policy::component(), &settings, snapshot);
        let (loaded, floor, floor_hop, empty_hop) =
            (load(engine, &settings, activation), floor(), Hop::to(floor()), Hop::empty());
        let mut taken = [const { Vec::new() }; 5];
        for batch in 0..=length.engine_batches {
            let calls = length.engine_evaluations;
            let took = [
                timed(calls, || ask(&runtime, engine, &loaded, 1, &context)),
                timed(calls / TOGETHER, || ask(&runtime, engine, &loaded, TOGETHER, &context)),
                timed(calls, || floor.evaluate(&context)),
                timed(calls, || runtime.block_on(floor_hop.there_and_back())),
                timed(calls, || runtime.block_on(empty_hop.there_and_back())),
            ];
            // The first of each warms up.
            if batch > 0 {
                taken.iter_mut().zip(took).for_each(|(taken, took)| taken.push(took));
            }
        }
        let [alone_us, together_us, floor_us, floor_hop_us, empty_hop_us] = taken.map(median);
        let together_us = together_us / float(TOGETHER as u64);
        Self { alone_us, together_us, floor_us, floor_hop_us, empty_hop_us }
    }

    /// What each further policy of a request adds.
    fn further_us(&self) -> f64 {
        let together = float(TOGETHER as u64);
        together.mul_add(self.together_us, -self.alone_us) / (together - 1.0)
    }

    fn print(&self, name: &str, here: &mut Here<'_>) {
        let (length, together) = (here.length, format!("fresh_of_{TOGETHER}_over_floor_{name}"));
        for (bench, ours_us, floor_us) in [
            (format!("fresh_over_floor_{name}"), self.alone_us, self.floor_us),
            (format!("fresh_over_floor_hop_{name}"), self.alone_us, self.floor_hop_us),
            (together, self.together_us, self.floor_us),
            (format!("fresh_further_over_floor_{name}"), self.further_us(), self.floor_us),
        ] {
            let raw = json!({
                "ours_us": rounded(ours_us),
                "floor_us": rounded(floor_us),
                "empty_hop_us": rounded(self.empty_hop_us),
                "batches": length.engine_batches,
                "evaluations_per_batch": length.engine_evaluations,
            });
            here.add(&bench, ours_us / floor_us, "ratio", raw);
        }
    }
}

fn ask(runtime: &Runtime, engine: &Engine, loaded: &LoadedPolicy, policies: usize, context: &Arc<EvaluationContext>) {
    runtime.block_on(evaluate(engine, vec![loaded.clone(); policies], context));
}
