//! Receipts by the index of their entry, made as the server makes them.

use attorn_log::{CheckpointVerifier, Entry, PublishedFiles as _, Receipt, SignedCheckpoint};
use attorn_store::Store;
use serde_json::json;

use super::label;
use super::scene::Scene;
use crate::Length;
use crate::durable::scrambled;
use crate::figure::{Figures, median, quantile, rounded, timed};

/// How often each is asked for when it is warm.
const ROUNDS: usize = 5;

/// Measure, and print. A server has run since the log grew, so a checkpoint is of all of it.
pub(super) async fn measure(scene: &Scene, size: u64, length: Length, figures: &mut Figures) {
    let (verifier, checkpoint) = checkpoint(scene).await;
    let store = scene.store();
    let covered = u128::from(checkpoint.checkpoint().size);
    let indexes: Vec<u64> = (0..length.asks).map(|n| u64::try_from((scrambled(n) >> 32) % covered).unwrap()).collect();
    let one = |index| receipt(&store, index, &checkpoint);
    let took_ms = |index: &u64| timed(1, || drop(std::hint::black_box(one(*index)))) / 1e3;
    let first: Vec<f64> = indexes.iter().map(took_ms).collect();
    let mut warm = Vec::new();
    for _ in 0..ROUNDS {
        warm.extend(indexes.iter().map(took_ms));
    }
    let bytes = indexes.iter().map(|index| one(*index).len()).max();
    let text = one(indexes[0]);
    assert_eq!(Receipt::parse(&text).unwrap().verify(&verifier).unwrap().entry.at.index, indexes[0]);
    let raw = json!({
        "p50_ms": rounded(median(warm.clone())),
        "first_p50_ms": rounded(median(first.clone())),
        "first_p99_ms": rounded(quantile(first, 0.99)),
        "receipts": indexes.len(),
        "rounds": ROUNDS,
        "bytes_max": bytes,
        "entries": checkpoint.checkpoint().size,
    });
    figures.add(&format!("audit.receipt_p99_ms_at_{}", label(size)), quantile(warm, 0.99), "ms", &raw);
}

async fn checkpoint(scene: &Scene) -> (CheckpointVerifier, SignedCheckpoint) {
    let log = scene.stopped_log().await;
    let note = log.read("checkpoint", SignedCheckpoint::NOTE_BYTES_MAX).unwrap().unwrap();
    (log.verifier().clone(), log.verifier().verify(&note).unwrap())
}

fn receipt(store: &Store, index: u64, checkpoint: &SignedCheckpoint) -> String {
    let entry = Entry::parse(&store.entry(index).unwrap().unwrap()).unwrap();
    let proof = store.inclusion_proof(index, checkpoint.checkpoint().size).unwrap();
    Receipt::new(&entry, proof, checkpoint).to_string()
}
