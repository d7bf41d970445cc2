//! What it costs to pass a context of four hops and forty claims: as the records that the contract has,
//! against one JSON text that the policy parses.
//!
//! No second contract is needed for that. A policy that reads one text gets a context with nothing in it
//! but what every request has, and the text as the claimed properties; what that context costs by itself
//! is measured, too, and can be taken off. Everything runs in the real engine, in fresh sandboxes, and what
//! was read is compared with what there is.
//!
//! Figures are printed and judge nothing.

use std::sync::Arc;
use std::time::Instant;

use attorn_core::{EvaluationContext, Known, Outcome, PolicyLimits, Verdict};
use attorn_engine::{Engine, LoadedPolicy, Question};
use tokio::runtime::Runtime;

use crate::chain;
use crate::contexts::Contexts;

/// How many evaluations one request asks for, so that the way to a thread of the engine weighs little.
const TOGETHER: u32 = 16;
const BATCHES: usize = 15;
/// What a batch aims at, so that it is long against a tick of the clock and the machine's other work.
const BATCH_US: f64 = 100_000.0;

/// A way to pass the context, and whether it is read.
struct Way {
    name: &'static str,
    context: Arc<EvaluationContext>,
    /// What the policy has to say.
    says: String,
    batches_us: Vec<f64>,
}

/// Measure one policy in all ways, which take turns, and print each.
pub(crate) fn measure(
    engine: &Engine,
    runtime: &Runtime,
    language: &str,
    component: &[u8],
    limits: PolicyLimits,
) -> Result<(), String> {
    let name = "measured".parse().map_err(|error| format!("{error}"))?;
    let policy = engine.load(name, component, "{}", limits).map_err(|error| chain(&error))?;
    let contexts = Contexts::new()?;
    let way = |name, context: &EvaluationContext, sum: u64| Way {
        name,
        context: Arc::new(context.clone()),
        says: sum.to_string(),
        batches_us: Vec::new(),
    };
    let mut ways = [
        way("small, nothing read", &contexts.small, 0),
        way("records, nothing read", &contexts.records, 0),
        way("text, nothing read", &contexts.text, 0),
        way("records, all read", &Contexts::reading("measure.records", &contexts.records)?, contexts.sum),
        way("text, all read", &Contexts::reading("measure.text", &contexts.text)?, contexts.sum),
    ];
    for at in 0..=BATCHES {
        for way in &mut ways {
            let took_us = way.batch(engine, runtime, &policy)?;
            // The first warms up.
            if at > 0 {
                way.batches_us.push(took_us);
            }
        }
    }
    let activation = &policy.report().activation;
    println!("{language}: us per evaluation, {BATCHES} batches of {BATCH_US} us, {activation:?}");
    for way in &mut ways {
        way.batches_us.sort_by(f64::total_cmp);
        let all: Vec<String> = way.batches_us.iter().map(|us| format!("{us:.2}")).collect();
        println!("  {:<22} median {:>9.2}  of {}", way.name, way.batches_us[BATCHES / 2], all.join(" "));
    }
    Ok(())
}

impl Way {
    /// Microseconds of one evaluation, over a batch of them.
    fn batch(&self, engine: &Engine, runtime: &Runtime, policy: &LoadedPolicy) -> Result<f64, String> {
        let (started, mut evaluations) = (Instant::now(), 0);
        loop {
            let question = Question { policy: policy.clone(), known: Known::default() };
            let asked = engine.evaluate(vec![question; TOGETHER as usize], Arc::clone(&self.context));
            for evaluation in runtime.block_on(asked).map_err(|error| chain(&error))? {
                match &evaluation.outcome {
                    Outcome::Verdict(Verdict::Deny { reasons }) if reasons[0].text == self.says => {}
                    other => return Err(format!("{}: {other:?}, not {}", self.name, self.says)),
                }
            }
            evaluations += TOGETHER;
            let took_us = started.elapsed().as_secs_f64() * 1e6;
            if took_us >= BATCH_US {
                return Ok(took_us / f64::from(evaluations));
            }
        }
    }
}
