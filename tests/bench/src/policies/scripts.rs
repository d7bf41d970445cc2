//! A policy in TypeScript with few rules and with many. Settings are read once, so what is left is to look at all of them.

use std::sync::Arc;

use attorn_engine::Engine;
use serde_json::json;

use super::{built, directory};
use crate::engine::{TOGETHER, evaluate, load_of};
use crate::figure::{Figures, float, median, rounded, timed};
use crate::{Length, policy};

/// Measure, and print.
pub(super) fn measure(engine: &Engine, length: Length, figures: &mut Figures) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = Arc::new(policy::context());
    let component = built(&directory("tests/bench/policies/rules"));
    let settings = [10, 1_000].map(settings_of);
    let loaded = settings.clone().map(|settings| load_of(engine, "rules", &component, &settings));
    let mut taken = [Vec::new(), Vec::new()];
    for batch in 0..=length.engine_batches {
        for (policy, taken) in loaded.iter().zip(&mut taken) {
            let calls = length.engine_evaluations / 10 / TOGETHER;
            let policies = || vec![policy.clone(); TOGETHER];
            let took_us = timed(calls, || runtime.block_on(evaluate(engine, policies(), &context)));
            // The first of each warms up.
            if batch > 0 {
                taken.push(took_us / float(TOGETHER as u64));
            }
        }
    }
    let [few_us, many_us] = taken.map(median);
    let raw = json!({
        "rules_10_us": rounded(few_us),
        "rules_1000_us": rounded(many_us),
        "settings_bytes": settings[1].len(),
        "policies_per_request": TOGETHER,
        "batches": length.engine_batches,
    });
    figures.add("policies.typescript_1000_over_10_rules", many_us / few_us, "ratio", &raw);
}

/// So many rules, of which the last allows: all of them are looked at.
fn settings_of(rules: usize) -> String {
    let rule = |at: usize| {
        let action = if at == rules { "faq.read".to_owned() } else { format!("accounts.a{at}.read") };
        json!({ "action": action, "resource_type": "article" })
    };
    json!({ "rules": (1..=rules).map(rule).collect::<Vec<_>>() }).to_string()
}
