//! A server over a long log: how fast its index catches up, how long its files take, what queries take, what memory it
//! has.

use std::time::{Duration, Instant};

use attorn_api::audit::EntryList;
use attorn_tests::metrics::Metrics;
use attorn_tests::people::Operator;
use serde_json::json;

use super::decisions::agent;
use super::label;
use super::scene::Scene;
use crate::durable::scrambled;
use crate::figure::{Figures, float, median, quantile, rounded};
use crate::{Length, memory};

/// How often it is asked whether the index has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is said how many bundles are left.
const SAID_EVERY: Duration = Duration::from_secs(30);
/// Longer than the files of any size take that is measured.
const FILED_WITHIN: Duration = Duration::from_hours(2);
/// Pages that are asked for before it counts.
const WARM_UP: u64 = 20;

/// Measure, and print. What the server had resident at the end comes back.
pub(super) async fn measure(scene: &Scene, size: u64, length: Length, figures: &mut Figures) -> u64 {
    let began = Instant::now();
    let process = scene.start().await;
    let ready_s = began.elapsed().as_secs_f64();
    caught_up(scene, size, ready_s, figures).await;
    filed(scene, size, began, figures).await;
    let catching_up = memory::peak_bytes_of(process.id()).unwrap();
    scene.stop(process).await;
    // What is resident should tell of queries, and not of the catching up.
    let process = scene.start().await;
    index_is_there(scene).await;
    queries(scene, size, length, figures).await;
    receipts(scene, size, length, figures).await;
    let resident = memory::resident_bytes_of(process.id()).unwrap();
    let raw = json!({ "peak_bytes": memory::peak_bytes_of(process.id()), "peak_catching_up_bytes": catching_up });
    figures.add(&format!("audit.memory_bytes_at_{}", label(size)), float(resident), "bytes", &raw);
    scene.stop(process).await;
    resident
}

/// How many entries the log has, and how many of them the index has.
pub(super) async fn reach(auditor: &Operator) -> (u64, u64) {
    let metrics = Metrics::of(auditor).await;
    let count = |name: &str| metrics.count(name, &[]).unwrap() as u64;
    let (size, lag) = (count("attorn_audit_log_entries"), count("attorn_audit_index_lag_entries"));
    (size, size.saturating_sub(lag))
}

async fn caught_up(scene: &Scene, size: u64, ready_s: f64, figures: &mut Figures) {
    let auditor = &scene.cast.staff.auditor;
    let (began, (_, from)) = (Instant::now(), reach(auditor).await);
    index_is_there(scene).await;
    let (entries, took_s) = (size.saturating_sub(from), began.elapsed().as_secs_f64());
    let raw = json!({ "entries": entries, "took_s": rounded(took_s), "ready_s": rounded(ready_s) });
    figures.add(&format!("audit.index_per_s_at_{}", label(size)), float(entries) / took_s, "entries/s", &raw);
}

async fn index_is_there(scene: &Scene) {
    loop {
        let (entries, indexed) = reach(&scene.cast.staff.auditor).await;
        if indexed == entries {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Wait until all that a checkpoint covers is in plain files. Until then the engine has it too, in memory and on the
/// disk, and is still read and written for it: what is measured meanwhile tells of the fill, and not of the size.
async fn filed(scene: &Scene, size: u64, began: Instant, figures: &mut Figures) {
    let (from, mut said) = (unfiled(scene).await, Instant::now());
    loop {
        let left = unfiled(scene).await;
        if left == 0 {
            break;
        }
        assert!(began.elapsed() < FILED_WITHIN, "{left} of {from} bundles are not in files after {FILED_WITHIN:?}");
        if said.elapsed() > SAID_EVERY {
            said = Instant::now();
            eprintln!("{left} of {from} bundles are not in files yet, after {:.0?}", began.elapsed());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let raw = json!({ "bundles_when_indexed": from });
    figures.add(&format!("audit.filed_s_at_{}", label(size)), began.elapsed().as_secs_f64(), "s", &raw);
}

async fn unfiled(scene: &Scene) -> u64 {
    let metrics = Metrics::of(&scene.cast.staff.auditor).await;
    metrics.count("attorn_store_unfiled_bundles", &[]).unwrap() as u64
}

async fn queries(scene: &Scene, size: u64, length: Length, figures: &mut Figures) {
    let somewhere = |n: u64| (scrambled(n) >> 32) % u128::from(size / 2);
    let newest = |n: u64| format!("agent={}&order=newest", agent(n));
    let denied = |n: u64| format!("decision=deny&from={}", somewhere(n));
    let both = |n: u64| format!("agent={}&decision=deny&from={}", agent(n), somewhere(n));
    let kinds: [(&str, &dyn Fn(u64) -> String); 3] =
        [("agent", &newest), ("decision", &denied), ("agent_and_decision", &both)];
    for (name, query) in kinds {
        let (mut took_ms, mut found) = (Vec::new(), 0);
        for n in 0..WARM_UP + length.asks {
            let path = format!("/v1/audit/entries?{}", query(n));
            let began = Instant::now();
            let answer = scene.cast.staff.auditor.get(path).await.expect(200);
            if n >= WARM_UP {
                took_ms.push(began.elapsed().as_secs_f64() * 1e3);
                found += answer.json::<EntryList>().entries.len() as u64;
            }
        }
        let raw = json!({ "p50_ms": rounded(median(took_ms.clone())), "pages": length.asks,
            "entries_per_page": rounded(float(found) / float(length.asks)) });
        let name = format!("audit.query_{name}_p99_ms_at_{}", label(size));
        figures.add(&name, quantile(took_ms, 0.99), "ms", &raw);
    }
}

async fn receipts(scene: &Scene, size: u64, length: Length, figures: &mut Figures) {
    let mut took_ms = Vec::new();
    for n in 0..length.asks {
        let index = (scrambled(n) >> 32) % u128::from(size);
        let began = Instant::now();
        scene.cast.staff.auditor.get(format!("/v1/audit/entries/{index}/receipt")).await.expect(200);
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let raw = json!({ "p50_ms": rounded(median(took_ms.clone())), "receipts": length.asks });
    let name = format!("audit.receipt_over_http_p99_ms_at_{}", label(size));
    figures.add(&name, quantile(took_ms, 0.99), "ms", &raw);
}
