//! Durable decisions, beside what they could be written with.

use std::sync::Arc;
use std::time::Duration;

use attorn_store::{Batch, Store, WriterCpu};
use serde_json::json;
use tempfile::TempDir;

use super::decisions::Decisions;
use crate::durable::{Appended, CALLERS, Engine, Measured, Writes, bare, drive};
use crate::figure::{Figures, float, median, rounded};
use crate::{Length, http};

/// One turn of each.
struct Turn {
    append: Measured,
    sled: Measured,
    store: Measured,
    cpu: WriterCpu,
}

/// One of the three.
type Part = fn(&Turn) -> Measured;

/// Measure, and print.
pub(super) async fn measure(decisions: &Arc<Decisions>, length: Length, figures: &mut Figures) {
    let required = decisions.begin(&Store::create(dir().path(), crate::ours()).unwrap()).await;
    // Every store begins with the same batch, so all know the same versions.
    let made: Arc<Vec<Batch>> = Arc::new((0..length.commits_max).map(|n| decisions.batch(n, &required)).collect());
    let bytes = decisions.bytes();
    for callers in CALLERS {
        let mut turns = Vec::new();
        for _ in 0..length.turns {
            turns.push(turn(decisions, &made, callers, Duration::from_millis(length.load_ms)).await);
        }
        print(&turns, callers, bytes, figures);
    }
}

fn dir() -> TempDir {
    TempDir::new_in(http::directory()).unwrap()
}

async fn turn(decisions: &Arc<Decisions>, made: &Arc<Vec<Batch>>, callers: usize, lasts: Duration) -> Turn {
    let writes = || {
        let (decisions, made) = (Arc::clone(decisions), Arc::clone(made));
        move |n| -> Option<Writes> { Some(decisions.writes(n, made.get(usize::try_from(n).unwrap())?)) }
    };
    let (for_append, for_sled, for_store) = (dir(), dir(), dir());
    let mut file = Appended::make(for_append.path());
    let append = bare(callers, lasts, writes(), move |group| file.append(group)).await;
    let mut engine = Engine::open(for_sled.path());
    let sled = bare(callers, lasts, writes(), move |group| {
        engine.apply(group);
        engine.sync();
    });
    let sled = sled.await;
    let store = Arc::new(Store::create(for_store.path(), crate::ours()).unwrap());
    decisions.begin(&store).await;
    let (before, batches, committing) = (store.writer_cpu(), Arc::clone(made), Arc::clone(&store));
    let batches = move |n| batches.get(usize::try_from(n).unwrap()).cloned();
    let measured = drive(callers, lasts, batches, move |batch| {
        let store = Arc::clone(&committing);
        async move { drop(store.commit(batch).await.unwrap()) }
    });
    let measured = measured.await;
    // Its last group may have been answered before it was counted; there were hundreds.
    let after = store.writer_cpu();
    let since = |after: Duration, before| after.saturating_sub(before);
    let cpu = WriterCpu { log: since(after.log, before.log), whole: since(after.whole, before.whole) };
    Turn { append, sled, store: measured, cpu }
}

fn print(turns: &[Turn], callers: usize, bytes: f64, figures: &mut Figures) {
    let of = |read: &dyn Fn(&Turn) -> f64| median(turns.iter().map(read).collect());
    let parts: [(_, Part); 3] =
        [("append", |turn| turn.append), ("sled", |turn| turn.sled), ("commits", |turn| turn.store)];
    for (name, part) in parts {
        let raw = json!({
            "p50_ms": rounded(of(&|turn| part(turn).p50_ms)),
            "p99_ms": rounded(of(&|turn| part(turn).p99_ms)),
            "decision_bytes": bytes.round(),
            "turns": turns.len(),
        });
        figures.add(&format!("audit.{name}_per_s_{callers}"), of(&|turn| part(turn).per_s), "decisions/s", &raw);
    }
    let ratios: Vec<f64> = turns.iter().map(|turn| turn.store.per_s / turn.sled.per_s).collect();
    let raw = json!({
        "commits": of(&|turn| turn.store.per_s).round(),
        "sled": of(&|turn| turn.sled.per_s).round(),
        "turns": ratios.iter().copied().map(rounded).collect::<Vec<_>>(),
    });
    figures.add(&format!("audit.commits_over_bare_sled_{callers}"), median(ratios), "ratio", &raw);
    let each_us = |turn: &Turn, took: Duration| took.as_secs_f64() * 1e6 / float(turn.store.commits);
    let log_us = |turn: &Turn| each_us(turn, turn.cpu.log);
    let rest_us = |turn: &Turn| each_us(turn, turn.cpu.whole.saturating_sub(turn.cpu.log));
    let raw = json!({ "log_us": rounded(of(&log_us)), "rest_us": rounded(of(&rest_us)) });
    let share = of(&|turn| log_us(turn) / rest_us(turn));
    figures.add(&format!("audit.cost_over_commit_{callers}"), share, "ratio", &raw);
}
