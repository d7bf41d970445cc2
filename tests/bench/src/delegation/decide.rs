//! Decisions by chains of 0, 1, 4 and 8 delegations: tried up to the commit, and whole over HTTP.

use std::time::Instant;

use attorn_core::{AgentId, KeyThumbprint};
use serde_json::{Value, json};

use super::host::HOPS_MAX;
use super::scene::Scene;
use crate::figure::{Figures, float, median, rounded};
use crate::load::Order;
use crate::{Length, cpu, http, parts};

const DEPTHS: [usize; 4] = [0, 1, DEPTH_USUAL, HOPS_MAX];
/// The deepest by default.
const DEPTH_USUAL: usize = 4;
/// Of the evaluations in a batch of the engine's, one decision for so many.
const EVALUATIONS_PER_DECISION: usize = 5;

/// Microseconds of one decision up to its commit.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_field_names, reason = "units stand last in names, and these have the same")]
struct Steps {
    parse_us: f64,
    gather_us: f64,
    bounds_us: f64,
    evaluate_us: f64,
    record_us: f64,
    /// All of them, by the clock.
    whole_us: f64,
    /// All of them, of this process.
    cpu_us: f64,
}

/// Decisions up to their commit, and signatures, in turns.
pub(super) async fn rehearsed(scene: &Scene, length: Length, figures: &mut Figures) {
    let decisions = (length.engine_evaluations / EVALUATIONS_PER_DECISION).max(10);
    let (mut taken, mut signatures) = ([const { Vec::new() }; DEPTHS.len()], Vec::new());
    for batch in 0..=length.engine_batches {
        let mut took = Vec::new();
        for depth in DEPTHS {
            took.push(batch_of(scene, depth, decisions).await);
        }
        let signed = parts::signatures(decisions);
        // The first of each warms up.
        if batch > 0 {
            taken.iter_mut().zip(took).for_each(|(taken, took)| taken.push(took));
            signatures.push(signed);
        }
    }
    let taken = taken.map(|taken| Steps::median(&taken));
    let [sign_us, verify_us] = [0, 1].map(|which| {
        let of = |both: &(f64, f64)| if which == 0 { both.0 } else { both.1 };
        median(signatures.iter().map(of).collect())
    });
    for (depth, steps) in DEPTHS.into_iter().zip(&taken) {
        let mut raw = steps.raw();
        raw["batches"] = length.engine_batches.into();
        raw["decisions_per_batch"] = decisions.into();
        figures.add(&format!("delegation.uncommitted_{depth}"), steps.whole_us, "us", &raw);
    }
    let usual = taken[DEPTHS.iter().position(|depth| *depth == DEPTH_USUAL).unwrap()];
    let mut raw = usual.raw();
    raw["decision_us"] = rounded(usual.whole_us).into();
    raw["verify_us"] = rounded(verify_us).into();
    raw["sign_us"] = rounded(sign_us).into();
    raw["cpu_over_signature"] = rounded(usual.cpu_us / verify_us).into();
    raw["with_proof_and_token"] = rounded((verify_us + usual.whole_us + sign_us) / verify_us).into();
    raw["depth"] = DEPTH_USUAL.into();
    figures.add("delegation.decision_over_signature", usual.whole_us / verify_us, "ratio", &raw);
}

async fn batch_of(scene: &Scene, depth: usize, decisions: usize) -> Steps {
    let (machine, ask) = scene.asking(depth);
    let (agent, body): (AgentId, _) = (machine.id.parse().unwrap(), ask.to_string());
    let jwk: attorn_identity::Jwk = machine.key.public_jwk().parse().unwrap();
    let key: KeyThumbprint = jwk.thumbprint().clone();
    let mut steps = Steps::default();
    let (before, began) = (cpu::process_us(), Instant::now());
    for _ in 0..decisions {
        let one = scene.host.rehearsals().decide(&agent, &key, body.as_bytes()).await.unwrap();
        assert_eq!(one.decision, "allow", "at depth {depth}");
        let us = |duration: std::time::Duration| duration.as_secs_f64() * 1e6 / float(decisions as u64);
        steps.parse_us += us(one.parse);
        steps.gather_us += us(one.gather);
        steps.bounds_us += us(one.bounds);
        steps.evaluate_us += us(one.evaluate);
        steps.record_us += us(one.record);
    }
    steps.whole_us = began.elapsed().as_secs_f64() * 1e6 / float(decisions as u64);
    steps.cpu_us = (cpu::process_us() - before) / float(decisions as u64);
    steps
}

impl Steps {
    fn median(batches: &[Self]) -> Self {
        let of = |read: fn(&Self) -> f64| median(batches.iter().map(read).collect());
        Self {
            parse_us: of(|one| one.parse_us),
            gather_us: of(|one| one.gather_us),
            bounds_us: of(|one| one.bounds_us),
            evaluate_us: of(|one| one.evaluate_us),
            record_us: of(|one| one.record_us),
            whole_us: of(|one| one.whole_us),
            cpu_us: of(|one| one.cpu_us),
        }
    }

    fn raw(&self) -> Value {
        json!({
            "parse_us": rounded(self.parse_us),
            "gather_us": rounded(self.gather_us),
            "bounds_us": rounded(self.bounds_us),
            "evaluate_us": rounded(self.evaluate_us),
            "record_us": rounded(self.record_us),
            "cpu_us": rounded(self.cpu_us),
        })
    }
}

/// The same decisions whole, made and recorded.
pub(super) async fn over_http(scene: &Scene, length: Length, figures: &mut Figures) {
    let keys = tempfile::TempDir::new().unwrap();
    // There are eight of them, and each has to be shorter than the one of `bench http`.
    let length = Length { load_ms: length.load_ms / 2, ..length };
    for connections in [1, http::CONNECTIONS_OF_PARTS] {
        for depth in DEPTHS {
            let (machine, ask) = scene.asking(depth);
            let key = keys.path().join(format!("{}.key", machine.id));
            if !key.exists() {
                machine.key.save(&key).unwrap();
            }
            let order = Order {
                address: scene.host.fresh.reach.url.trim_start_matches("http://").to_owned(),
                url: format!("{}/v1/decisions", scene.host.fresh.reach.url),
                key,
                nonce: machine.fresh_nonce().await,
                body: ask.to_string(),
                connections,
                requests: 0,
                expect: r#""decision":"allow""#.into(),
                written: None,
            };
            let (outcome, cpu_us) = http::measured(&order, std::process::id(), length).await;
            http::print(&format!("delegation.decisions_{depth}_{connections}"), connections, &outcome, cpu_us, figures);
        }
    }
}
