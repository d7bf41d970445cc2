//! Starting from a snapshot against parsing the settings each time, with few rules and with many.

use std::sync::Arc;

use attorn_engine::{Activation, Engine};
use serde_json::json;

use super::{Here, TOGETHER, evaluate, init_each_time, load};
use crate::figure::{float, median, rounded, timed};
use crate::policy;

/// Measure, and print.
pub(super) fn measure(engine: &Engine, here: &mut Here<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = Arc::new(policy::context());
    for rules in [10, 1_000] {
        let settings = policy::settings_of(rules);
        let ways = [Activation::Snapshot, init_each_time()].map(|activation| load(engine, &settings, &activation));
        let mut taken = [Vec::new(), Vec::new()];
        for batch in 0..=here.length.engine_batches {
            for (way, taken) in ways.iter().zip(&mut taken) {
                // Many rules take hundreds of times longer to parse than a snapshot takes to start.
                let calls = here.length.engine_evaluations / 10 / TOGETHER;
                let policies = || vec![way.clone(); TOGETHER];
                let took_us = timed(calls, || runtime.block_on(evaluate(engine, policies(), &context)));
                // The first of each warms up.
                if batch > 0 {
                    taken.push(took_us / float(TOGETHER as u64));
                }
            }
        }
        let [snapshot_us, parsing_us] = taken.map(median);
        let raw = json!({
            "parsing_us": rounded(parsing_us),
            "snapshot_us": rounded(snapshot_us),
            "settings_bytes": settings.len(),
            "policies_per_request": TOGETHER,
            "batches": here.length.engine_batches,
        });
        here.add(&format!("parsing_over_snapshot_{rules}_rules"), parsing_us / snapshot_us, "ratio", raw);
    }
}
