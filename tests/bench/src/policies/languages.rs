//! `spend-limit` in each language that it is written in, over a policy that does nothing, and in TypeScript over one that
//! is empty there.

use std::fs;
use std::path::Path;
use std::time::Instant;

use attorn_core::PolicyLimits;
use attorn_engine::{Engine, class_of};
use attorn_toolchain::bench::{self, Measured};
use attorn_toolchain::cases::Side;
use attorn_toolchain::language::Language;
use serde_json::{Value, json};

use super::{built, directory};
use crate::Length;
use crate::engine::load_of;
use crate::figure::{Figures, float, median, rounded};

/// Where it is.
const POLICY: &str = "plugins/spend-limit";

/// Measure, and print.
pub(super) fn measure(engine: &Engine, length: Length, figures: &mut Figures) {
    let rounds = u32::try_from(length.engine_evaluations).unwrap() / 2;
    // What is a text is measured beside its own engine, and is no language of this policy.
    for &language in Language::ALL.iter().filter(|language| !language.is_text()) {
        let component = match language {
            // The one that is shipped.
            Language::Rust => attorn_tests::components::bytes("spend-limit"),
            _ => built(&directory(POLICY).join(language.as_str())),
        };
        let name = language.as_str();
        let measured = on_cases(engine, &component, None, rounds);
        let mut raw = raw(&measured);
        raw["component_bytes"] = json!(component.len());
        raw["ready_ms"] = json!(rounded(ready_ms(engine, &component)));
        figures.add(&format!("policies.{name}_over_floor"), over(&measured), "ratio", &raw);
        if language == Language::TypeScript {
            let empty = built(&directory("tests/bench/policies/empty"));
            let measured = on_cases(engine, &component, Some(&empty), rounds);
            figures.add("policies.typescript_over_empty", over(&measured), "ratio", &self::raw(&measured));
        }
    }
}

fn on_cases(engine: &Engine, component: &[u8], beside: Option<&[u8]>, rounds: u32) -> Measured {
    let side = |component| Side { component, limits: PolicyLimits::of_class(class_of(component)) };
    let cases = directory(POLICY).join("cases");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let measured = bench::measure_beside(engine, (side(component), beside.map(side)), &cases, rounds, |_, _| {});
    runtime.block_on(measured).unwrap()
}

/// Of the cases, the middle one: by how much one takes longer than the other.
fn over(measured: &Measured) -> f64 {
    median(measured.cases.iter().map(|case| case.policy.p50_us / case.reference.p50_us).collect())
}

fn raw(measured: &Measured) -> Value {
    let of = |time: fn(&bench::CaseMeasured) -> f64| rounded(median(measured.cases.iter().map(time).collect()));
    json!({
        "policy_us": of(|case| case.policy.p50_us),
        "beside_us": of(|case| case.reference.p50_us),
        "policy_p99_us": of(|case| case.policy.p99_us),
        "beside_p99_us": of(|case| case.reference.p99_us),
        "cases": measured.cases.len(),
        "from_snapshots": measured.cases.iter().filter(|case| case.snapshot).count(),
        "rounds": measured.rounds,
    })
}

/// How long it takes to be compiled and started under the settings of its first cases, in milliseconds.
fn ready_ms(engine: &Engine, component: &[u8]) -> f64 {
    let settings = settings_of(&directory(POLICY).join("cases/limits.json"));
    let took = (0..3).map(|_| {
        let started = Instant::now();
        load_of(engine, "spend-limit", component, &settings);
        float(u64::try_from(started.elapsed().as_micros()).unwrap()) / 1_000.0
    });
    median(took.collect())
}

fn settings_of(cases: &Path) -> String {
    let cases: Value = serde_json::from_slice(&fs::read(cases).unwrap()).unwrap();
    cases["settings"].to_string()
}
