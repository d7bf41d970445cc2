//! How many commits a second become durable. It measures; it promises nothing on a busy machine.

use std::sync::Arc;
use std::time::Instant;

use attorn_core::TimeMs;
use attorn_log::EntryBody;

use crate::batch::Batch;
use crate::fixtures::{meta, new_store};
use crate::key::Key;

const SECONDS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it alone, with --release and --nocapture"]
async fn durable_commits_per_second() {
    for callers in [1, 16, 256] {
        let (_dir, store) = new_store();
        let store = Arc::new(store);
        let start = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|caller: u64| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut done = 0;
                    while start.elapsed().as_secs() < SECONDS {
                        let n = caller * 1_000_000 + done;
                        for absent in 0..4 {
                            store.get(&meta(n + absent)).await.unwrap();
                        }
                        store.commit(like_a_decision(n)).await.unwrap();
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        println!("{callers} callers: {} durable commits/s", sum / SECONDS);
    }
}

fn like_a_decision(n: u64) -> Batch {
    let mut batch = Batch::new(TimeMs(0));
    batch.put.push((meta(n), vec![7; 300]));
    batch.put.push((Key::expiry(TimeMs(n), &meta(n)), Vec::new()));
    batch.entries.push(EntryBody::parse(&format!("{{\"text\":\"{}\"}}", "x".repeat(350))).unwrap());
    batch
}
