//! The whole log, exported and verified by the commands that auditors use, and where that time goes.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use attorn_log::segments::json_line;
use attorn_log::tiles::Bundle;
use attorn_log::tree::leaf_hash;
use attorn_log::{Entry, Tile, TileKind, TreeBuilder};
use attorn_tests::process::binary;
use serde_json::json;

use super::scene::Scene;
use crate::figure::{Figures, float, median, rounded};
use crate::{Length, cpu};

/// Of how many entries the parts are measured.
const SAMPLE: usize = 50_000;

/// How long a command took.
struct Took {
    wall_s: f64,
    cpu_s: f64,
}

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, length: Length, figures: &mut Figures) {
    let (dir, key) = (scene.fresh.dir.path().join("exported"), scene.fresh.dir.path().join("log.key"));
    let process = scene.start().await;
    let text = scene.cast.staff.auditor.get("/v1/audit/key").await.expect(200).text();
    std::fs::write(&key, text).unwrap();
    let (dir_text, key_text) = (dir.to_str().unwrap(), key.to_str().unwrap());
    let export = run(scene, &["export", "--dir", dir_text]);
    scene.stop(process).await;
    let entries = entries(&dir);
    let raw = json!({ "entries": entries, "client_cpu_s": rounded(export.cpu_s) });
    figures.add("audit.export_s", export.wall_s, "s", &raw);
    let mut turns = Vec::new();
    for _ in 0..length.turns {
        turns.push(run(scene, &["verify", "--dir", dir_text, "--key", key_text]));
    }
    let of = |read: fn(&Took) -> f64| median(turns.iter().map(read).collect());
    let raw = json!({
        "cpu_s": rounded(of(|took| took.cpu_s)),
        "entries": entries,
        "turns": turns.iter().map(|took| rounded(took.wall_s)).collect::<Vec<_>>(),
        "processors": std::thread::available_parallelism().unwrap(),
    });
    figures.add("audit.verify_s", of(|took| took.wall_s), "s", &raw);
    parts(&dir, entries, figures);
    let config = scene.fresh.config.to_str().unwrap();
    let stopped = run(scene, &["verify", "--config", config, "--key", key_text, "--alone"]);
    let raw = json!({ "cpu_s": rounded(stopped.cpu_s), "entries": entries });
    figures.add("audit.verify_store_s", stopped.wall_s, "s", &raw);
}

fn run(scene: &Scene, arguments: &[&str]) -> Took {
    let mut command = Command::new(binary());
    command.arg("audit").args(arguments);
    command.env("ATTORN_URL", &scene.fresh.reach.url).env("ATTORN_TOKEN", &scene.cast.staff.auditor.token);
    command.env("XDG_STATE_HOME", scene.fresh.dir.path().join("state"));
    let (before, began) = (cpu::of_children_us(), Instant::now());
    let output = command.output().unwrap();
    let took = Took { wall_s: began.elapsed().as_secs_f64(), cpu_s: (cpu::of_children_us() - before) / 1e6 };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

/// How many entries the exported log has: the second line of its checkpoint.
fn entries(dir: &Path) -> u64 {
    let note = std::fs::read_to_string(dir.join("checkpoint")).unwrap();
    note.lines().nth(1).unwrap().parse().unwrap()
}

/// Each part of verifying alone, on this thread.
fn parts(dir: &Path, entries: u64, figures: &mut Figures) {
    let began = Instant::now();
    let (mut sample, mut bytes) = (Vec::new(), 0);
    for tile in Tile::all(entries) {
        let file = std::fs::read(dir.join(tile.to_string())).unwrap();
        bytes += file.len() as u64;
        if tile.kind() == TileKind::Entries && sample.len() < SAMPLE {
            let mut bundle = Bundle::new(&file);
            sample.extend((0..tile.width()).map(|_| bundle.next_entry().unwrap().to_vec()));
        }
    }
    let lines = std::fs::read(dir.join("entries.jsonl")).unwrap().len() as u64;
    let read_us = began.elapsed().as_secs_f64() * 1e6 / float(entries);
    let parsed: Vec<Entry> = sample.iter().map(|bytes| Entry::parse(bytes).unwrap()).collect();
    let parse_us = each_us(&sample, |bytes| Entry::parse(bytes).unwrap());
    let link_us = each_us(&parsed, Entry::link);
    let leaf_us = each_us(&sample, |bytes: &Vec<u8>| leaf_hash(bytes));
    let json_us = each_us(&sample, |bytes| json_line(bytes).unwrap());
    let (leaf, mut tree) = (leaf_hash(b""), TreeBuilder::new());
    let tree_us = each_us(&sample, |_| tree.push(leaf).unwrap());
    let raw = json!({
        "parse_us": rounded(parse_us),
        "link_us": rounded(link_us),
        "leaf_us": rounded(leaf_us),
        "tree_us": rounded(tree_us),
        "line_us": rounded(json_us),
        "read_us": rounded(read_us),
        "bytes_per_entry": rounded(float(bytes + lines) / float(entries)),
        "sample": sample.len(),
    });
    let all_us = parse_us + link_us + leaf_us + tree_us + json_us + read_us;
    figures.add("audit.verify_parts_us", all_us, "us", &raw);
}

/// CPU microseconds of this thread for each.
fn each_us<T, R>(all: &[T], mut work: impl FnMut(&T) -> R) -> f64 {
    let before = cpu::thread_us();
    for one in all {
        black_box(work(one));
    }
    (cpu::thread_us() - before) / float(all.len() as u64)
}
