//! The audit log: what it costs a decision, and what it answers when it is long.
//!
//! Decisions are of the size that they have: a real server makes one, and all others differ from it in ids, agent,
//! resource, time and what is random ([`decisions`]). Of ten, nine allow and one denies. No request carries an
//! idempotency key, whose record would be more bytes for all that are compared.
//!
//! **Commits** ([`commits`]), at 1, 16 and 256 callers, everything on the disk that the build is on. All get the same
//! decisions, made before the time runs; they take turns, and the median counts.
//!
//! - `audit.commits_per_s_*`: the store. It checks the versions that a decision rests on, links, hashes, journals.
//! - `audit.append_per_s_*`: the bytes of entry, record, grant and index row, appended to a file in groups, synced.
//! - `audit.sled_per_s_*`: the same keys and bytes, one sled transaction for each group, flushed, `fdatasync`ed.
//! - `audit.commits_over_bare_sled_256`: the first over the last. Aim: at least 0.8.
//! - `audit.cost_over_commit_256`: the log's share of the writer's CPU time over the rest of it. Aim: at most 0.25.
//!   The writer itself reads the CPU clock of its thread before and after it makes the entries of a group: envelopes,
//!   links, leaves, the nodes of the tree. That is where the work is done, with the caches as they are then; the same
//!   work alone in a loop would look cheaper. In the rest is all else of that thread, in the kernel too: looking up
//!   versions, the journal and its sync, the engine, the answers. The bytes of entries are stored there, which
//!   any store of them would do. Tiles are no part of the writer: they are made when somebody asks.
//!
//! **A long log**: the store of that server is filled by 256 callers to 10³, 10⁵, 10⁶ entries. Where a figure ends in
//! `_at_1e6`, it is of the log of that size.
//!
//! - `audit.open_s_at_*`: opening the store after it was closed, the files in the page cache.
//! - `audit.disk_bytes_per_decision`: what the data directory grew by, over the decisions that it grew by. The journal
//!   and base copies are in it; grants are not reaped. It is taken when the records of decisions are in plain files.
//! - `audit.filed_s_at_*`: how long a server over the filled log took until all full bundles of entries, and the records
//!   of their decisions, were in plain files, from its start. What is in the engine until then costs memory and disk
//!   twice, so both are measured after it.
//! - `audit.receipt_p99_ms_at_*` ([`receipts`]): entry read, parsed, its proof made, the receipt written, as the server
//!   does it, without HTTP. Warm: each was asked for once before. Aim at 10⁶: at most 0.1 ms. When each is asked for
//!   the first time stands beside it.
//! - `audit.query_*_p99_ms_at_*` ([`serving`]): one page of 50 over HTTP from a server in a process of its own.
//! - `audit.memory_bytes_at_*`: what that process has resident after these queries and as many receipts. It should be
//!   flat from 10⁵ to 10⁶: `audit.memory_growth`.
//! - `audit.index_per_s_at_*`: entries that the index takes in, when it has all of a fill to catch up with.
//! - `audit.index_lag_p99_s` ([`lag`]): from durable to found by the index, while 256 connections ask for decisions over
//!   HTTP. Aim: at most 1 s. Each is the most that it can have been, as seen by somebody who asks again and again.
//! - `audit.export_s` and `audit.verify_s` ([`verify`]): the commands `attorn audit export --dir` and `verify --dir` over
//!   the longest log, from start to end of the process, files in the page cache. Aim for 10⁶ entries: 4 s.
//!   `audit.verify_parts_us` says where the time goes: each part alone, on one thread, for one entry.
//! - `audit.verify_store_s`: `attorn audit verify --config`, which also walks through all that the store has.

mod commits;
mod decisions;
mod lag;
mod receipts;
mod scene;
mod serving;
mod verify;

use std::sync::Arc;

use serde_json::json;

use crate::Length;
use crate::figure::{Figures, float, median};
use decisions::Decisions;
use scene::Scene;

/// How often a store is opened for one figure.
const OPENINGS: usize = 3;

/// Measure, and print.
pub(crate) async fn measure(length: Length, figures: &mut Figures) {
    let scene = Scene::new().await;
    let decisions = Arc::new(Decisions::of(&scene.store()).await);
    commits::measure(&decisions, length, figures).await;
    let mut grown: Vec<(u64, u64, u64)> = Vec::new();
    for size in length.log_sizes {
        scene.fill(&decisions, size).await;
        let open_s: Vec<f64> = (0..OPENINGS).map(|_| crate::figure::timed(1, || drop(scene.store())) / 1e6).collect();
        let (filled, of_filled) = scene.disk_bytes();
        let resident = serving::measure(&scene, size, length, figures).await;
        let (closed, parts) = scene.disk_bytes();
        let raw = json!({ "openings": OPENINGS, "disk_bytes": closed, "of_it": parts,
            "disk_bytes_before_filing": filled, "of_it_before_filing": of_filled });
        figures.add(&format!("audit.open_s_at_{}", label(size)), median(open_s), "s", &raw);
        receipts::measure(&scene, size, length, figures).await;
        grown.push((size, closed, resident));
    }
    grow(&grown, decisions.bytes(), figures);
    lag::measure(&scene, length, figures).await;
    verify::measure(&scene, length, figures).await;
}

/// What the last two sizes differ by.
fn grow(grown: &[(u64, u64, u64)], bytes: f64, figures: &mut Figures) {
    let &[.., (few, disk_few, resident_few), (many, disk_many, resident_many)] = grown else { return };
    let per_decision = float(disk_many.saturating_sub(disk_few)) / float(many - few);
    let raw = json!({ "of_its_own": bytes.round(), "few": few, "many": many });
    figures.add("audit.disk_bytes_per_decision", per_decision, "bytes", &raw);
    let raw = json!({ "few": few, "many": many, "few_bytes": resident_few, "many_bytes": resident_many });
    figures.add("audit.memory_growth", float(resident_many) / float(resident_few), "ratio", &raw);
}

/// How a size stands in the names of figures.
fn label(size: u64) -> String {
    let zeros = size.checked_ilog10().unwrap_or(0);
    if 10_u64.pow(zeros) == size { format!("1e{zeros}") } else { size.to_string() }
}
