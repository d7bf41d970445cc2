//! What a decision over HTTP is made of, each part bare and alone: signatures, and a durable commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use attorn_core::{DecisionId, GrantId, TimeMs};
use attorn_log::EntryBody;
use attorn_store::{Batch, Key, Require, Store};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::json;

use crate::cpu;
use crate::figure::float;

/// The bytes of what is signed: about those of a proof and of a token.
const MESSAGE_BYTES: usize = 500;
/// The bytes of a decision's entry, record and grant, about as the server writes them.
const ENTRY_BYTES: usize = 1_200;
const RECORD_BYTES: usize = 1_100;
const GRANT_BYTES: usize = 600;
/// How many commit at a time.
const CALLERS: usize = 16;

/// CPU microseconds of one ES256 signature and of one verification.
pub(crate) fn signatures(count: usize) -> (f64, f64) {
    let (random, message) = (SystemRandom::new(), [7; MESSAGE_BYTES]);
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let before = cpu::thread_us();
    for _ in 0..count {
        std::hint::black_box(pair.sign(&random, &message).unwrap());
    }
    let sign_us = (cpu::thread_us() - before) / float(count as u64);
    let signature = pair.sign(&random, &message).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    let before = cpu::thread_us();
    for _ in 0..count {
        public.verify(&message, signature.as_ref()).unwrap();
    }
    (sign_us, (cpu::thread_us() - before) / float(count as u64))
}

/// What bare commits cost.
pub(crate) struct Commits {
    /// CPU microseconds of one.
    pub(crate) cpu_us: f64,
    /// Commits in a second.
    pub(crate) per_second: f64,
}

/// Durable commits of decisions' size by 16 callers, and nothing else.
pub(crate) async fn commits(count: usize, directory: &std::path::Path) -> Commits {
    let directory = tempfile::TempDir::new_in(directory).unwrap();
    let store = Arc::new(Store::create(directory.path(), crate::ours()).unwrap());
    let (next, before, started) = (Arc::new(AtomicUsize::new(0)), cpu::process_us(), Instant::now());
    let tasks: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    store.commit(batch(n as u128)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (cpu_us, elapsed_s) = (cpu::process_us() - before, started.elapsed().as_secs_f64());
    Commits { cpu_us: cpu_us / float(count as u64), per_second: float(count as u64) / elapsed_s }
}

/// As a decision's: entry, record, grant, its place in the index of what expires, and the versions that
/// it rests on.
fn batch(n: u128) -> Batch {
    // Ids are random in the server, too.
    let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
    let (decision, grant) = (DecisionId::from_random(random), GrantId::from_random(random));
    let now = TimeMs(1_767_323_045_678);
    let mut batch = Batch::new(now);
    batch.entries.push(EntryBody::of(&json!({ "type": "decision", "padding": "x".repeat(ENTRY_BYTES) })).unwrap());
    batch.put.push((Key::decision(&decision), vec![b'x'; RECORD_BYTES]));
    batch.put.push((Key::grant(&grant), vec![b'x'; GRANT_BYTES]));
    batch.put.push((Key::expiry(now.plus_ms(60_000), &Key::grant(&grant)), Vec::new()));
    for name in ["agent", "active-set", "resource-type", "resource-server"] {
        batch.require.push((Key::meta(&name.parse().unwrap()), Require::Absent));
    }
    batch
}
