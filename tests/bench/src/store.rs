//! Durable commits: the store, beside what it could be made of, each bare and with the same bytes, by 1, 16 and
//! 256 callers. One thread writes groups in all of them.
//!
//! - `append`: to a file of zeros, synced.
//! - `engine_synced`: one sled transaction, flushed and synced in each group.
//! - `journal_first`: appended and synced, then one sled transaction, which is flushed and synced behind, each
//!   second.
//! - `commit`: the store itself, which also checks, links, hashes and keeps a tree.

use std::sync::Arc;
use std::time::Duration;

use attorn_core::{DecisionId, GrantId, TimeMs};
use attorn_log::EntryBody;
use attorn_store::{Batch, Key, Store};
use serde_json::json;
use tempfile::TempDir;

use crate::durable::{Appended, CALLERS, Engine, Measured, Tree, Writes, bare, drive, scrambled};
use crate::figure::Figures;
use crate::{Length, http};

const ENTRY_BYTES: usize = 400;
const GRANT_BYTES: usize = 300;

pub(crate) async fn measure(length: Length, figures: &mut Figures) {
    let lasts = Duration::from_millis(length.load_ms);
    let mut ratio = Vec::new();
    for callers in CALLERS {
        let dir = || TempDir::new_in(http::directory()).unwrap();
        let (append, synced, first, store) = (dir(), dir(), dir(), dir());
        let mut add = |name: &str, measured: &Measured| {
            figures.add(&format!("store.{name}_per_s_{callers}"), measured.per_s, "commits/s", &measured.raw());
        };
        let mut file = Appended::make(append.path());
        add("append", &bare(callers, lasts, |n| Some(writes(n)), move |group| file.append(group)).await);
        let mut engine = Engine::open(synced.path());
        let engine_synced = bare(
            callers,
            lasts,
            |n| Some(writes(n)),
            move |group| {
                engine.apply(group);
                engine.sync();
            },
        );
        let engine_synced = engine_synced.await;
        add("engine_synced", &engine_synced);
        let (mut file, mut engine) = (Appended::make(first.path()), Engine::open(first.path()));
        let behind = engine.sync_behind();
        let journal_first = bare(
            callers,
            lasts,
            |n| Some(writes(n)),
            move |group| {
                file.append(group);
                engine.apply(group);
                let _ = &behind;
            },
        );
        add("journal_first", &journal_first.await);
        let opened = Arc::new(Store::create(store.path(), crate::ours()).unwrap());
        let commit = drive(
            callers,
            lasts,
            |n| Some(batch(n)),
            move |batch| {
                let store = Arc::clone(&opened);
                async move { drop(store.commit(batch).await.unwrap()) }
            },
        );
        let commit = commit.await;
        add("commit", &commit);
        ratio.push((callers, commit.per_s, engine_synced.per_s));
    }
    for (callers, commit, synced) in ratio {
        let raw = json!({ "commit": commit, "engine_synced": synced });
        figures.add(&format!("store.commit_over_engine_synced_{callers}"), commit / synced, "ratio", &raw);
    }
}

/// Bytes that no disk makes smaller.
fn noise(n: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).step_by(16).flat_map(|at| scrambled(n * 1_000 + at).to_be_bytes()).take(bytes).collect()
}

fn writes(n: u64) -> Writes {
    let grant = (Tree::State, scrambled(n).to_be_bytes().to_vec(), noise(n, GRANT_BYTES));
    vec![(Tree::Entries, n.to_be_bytes().to_vec(), noise(n, ENTRY_BYTES)), grant]
}

fn batch(n: u64) -> Batch {
    let random = scrambled(n).to_be_bytes();
    let mut batch = Batch::new(TimeMs(1_767_323_045_678));
    // An entry is text: as many bytes of it.
    let padding: String = noise(n, ENTRY_BYTES).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    batch
        .entries
        .push(EntryBody::of(&json!({ "id": DecisionId::from_random(random).to_string(), "of": padding })).unwrap());
    batch.put.push((Key::grant(&GrantId::from_random(random)), noise(n, GRANT_BYTES)));
    batch
}
