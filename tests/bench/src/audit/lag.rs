//! How far the index is behind while decisions are made.
//!
//! Somebody asks again and again how many entries there are and how many of them the index has. An entry that was not
//! there when that was asked, and was the next time, became durable after the first of both was sent; and the index had
//! it at the latest when the answer came that says so. What lies between is the most that it can have taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use attorn_tests::people::Operator;
use attorn_tests::world::ask;
use serde_json::json;

use super::scene::Scene;
use super::serving::reach;
use crate::durable::CALLERS;
use crate::figure::{Figures, float, rounded};
use crate::load::Order;
use crate::{Length, http};

/// How long is waited before it is asked again.
const PAUSE: Duration = Duration::from_millis(5);

/// What one answer said, and between which moments that was true.
struct Seen {
    sent: Instant,
    got: Instant,
    entries: u64,
    indexed: u64,
}

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, length: Length, figures: &mut Figures) {
    let process = scene.start().await;
    let (bot, reach) = (&scene.cast.bot, &scene.fresh.reach);
    let key = scene.fresh.dir.path().join("bot.key");
    bot.key.save(&key).unwrap();
    let order = Order {
        address: reach.url.trim_start_matches("http://").to_owned(),
        url: format!("{}/v1/decisions", reach.url),
        key,
        nonce: bot.fresh_nonce().await,
        body: ask().to_string(),
        connections: CALLERS[2],
        requests: 0,
        expect: r#""decision":"allow""#.into(),
        written: None,
    };
    let ended = AtomicBool::new(false);
    let (seen, (outcome, _)) = tokio::join!(watch(&scene.cast.staff.auditor, &ended), async {
        let measured = http::measured(&order, process.id(), length).await;
        ended.store(true, Ordering::Relaxed);
        measured
    });
    scene.stop(process).await;
    let (mut lags, mut later) = (lags(&seen), Vec::new());
    lags.sort_unstable();
    let entries: u64 = lags.iter().map(|(_, entries)| entries).sum();
    let mut so_far = 0;
    for (lag, count) in &lags {
        so_far += count;
        later.push((lag.as_secs_f64(), float(so_far) / float(entries)));
    }
    let at = |share: f64| later.iter().find(|(_, so_far)| *so_far >= share).map_or(0.0, |(lag, _)| *lag);
    let longest = seen.iter().map(|seen| seen.got - seen.sent).max().unwrap_or_default();
    let (load, requests) = outcome;
    let raw = json!({
        "p50_s": rounded(at(0.5)),
        "max_s": rounded(at(1.0)),
        "entries": entries,
        "decisions_per_s": (float(requests as u64) * 1e6 / float(load.elapsed_us)).round(),
        "connections": CALLERS[2],
        "times_asked": seen.len(),
        "longest_answer_s": rounded(longest.as_secs_f64()),
    });
    figures.add("audit.index_lag_p99_s", at(0.99), "s", &raw);
}

/// Ask until the load has ended and the index has everything.
async fn watch(auditor: &Operator, ended: &AtomicBool) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        let (has_ended, sent) = (ended.load(Ordering::Relaxed), Instant::now());
        let (entries, indexed) = reach(auditor).await;
        seen.push(Seen { sent, got: Instant::now(), entries, indexed });
        if has_ended && indexed == entries {
            return seen;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The most that it took, and for how many entries.
fn lags(seen: &[Seen]) -> Vec<(Duration, u64)> {
    let mut lags = Vec::new();
    for pair in seen.windows(2) {
        // Those that came between may have got into the index one after the other.
        let mut from = pair[0].entries;
        for later in seen.iter().filter(|later| later.sent >= pair[1].sent) {
            let reached = later.indexed.min(pair[1].entries);
            if reached > from {
                lags.push((later.got - pair[0].sent, reached - from));
                from = reached;
            }
            if from >= pair[1].entries {
                break;
            }
        }
    }
    lags
}
