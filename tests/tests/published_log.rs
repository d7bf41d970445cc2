//! The log as it is published: tiles as C2SP has them, checkpoints that never go back, receipts, and answers that wait.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;

use attorn_api::decisions::DecisionAnswer;
use attorn_log::tiles::Bundle;
use attorn_log::tree::leaf_hash;
use attorn_log::{Checkpoint, CheckpointVerifier, Entry, Receipt, SignedCheckpoint};
use attorn_server::config::Config;
use attorn_server::run;
use attorn_tests::files::copy_dir;
use attorn_tests::server::Fresh;
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{Answer, Call, Server, World};
use serde_json::json;

async fn key(world: &World) -> CheckpointVerifier {
    world.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap()
}

async fn get(world: &World, path: &str) -> Answer {
    world.staff.auditor.get(format!("/log/{path}")).await
}

/// The published checkpoint, as soon as it counts this many entries.
async fn reaches(world: &World, size: u64) -> Checkpoint {
    world.staff.auditor.get("/v1/audit/checkpoint?wait=checkpointed").await.expect(200);
    let note = get(world, "checkpoint").await.expect(200);
    assert_eq!(note.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(note.header("cache-control"), Some("no-store"));
    let checkpoint = key(world).await.verify(&note.body).unwrap().checkpoint().clone();
    assert!(checkpoint.size >= size, "{checkpoint:?}");
    checkpoint
}

/// Fill the log with acts of the registrar.
async fn grow(world: &World, entries: u64) {
    let size = world.log_size().await;
    for n in size..entries {
        let fact = json!({ "facts": [{ "name": "resource/article/1/n", "value": n.to_string() }] });
        world.staff.registrar.post("/v1/facts", &fact).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_hold_what_the_checkpoint_signs() {
    let world = World::new().await;
    grow(&world, 300).await;
    let Checkpoint { size, .. } = reaches(&world, 300).await;
    let mut leaves = Vec::new();
    for (path, begin, width) in
        [("tile/entries/000", 0, 256), (&*format!("tile/entries/001.p/{}", size - 256), 256, size - 256)]
    {
        let bundle = get(&world, path).await.expect(200);
        assert_eq!(bundle.header("content-type"), Some("application/octet-stream"));
        let kept = if width == 256 { "private, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(bundle.header("cache-control"), Some(kept), "{path}");
        let mut entries = Bundle::new(&bundle.body);
        for index in begin..begin + width {
            let bytes = entries.next_entry().unwrap();
            assert_eq!(Entry::parse(bytes).unwrap().at.index, index);
            leaves.push(leaf_hash(bytes));
        }
        entries.end().unwrap();
    }
    let hashes = |answer: Answer| answer.expect(200).body;
    let full = get(&world, "tile/0/000").await;
    assert_eq!(full.header("cache-control"), Some("private, max-age=31536000, immutable"));
    let bytes: Vec<u8> = leaves.iter().flat_map(|hash| hash.0).collect();
    assert_eq!(hashes(full), bytes[..256 * 32]);
    assert_eq!(hashes(get(&world, &format!("tile/0/001.p/{}", size - 256)).await), bytes[256 * 32..]);
    assert_eq!(hashes(get(&world, "tile/0/000.p/7").await), bytes[..7 * 32]);
    assert_eq!(get(&world, "tile/0/000.p/7").await.header("cache-control"), Some("no-store"));
    assert_eq!(get(&world, "tile/1/000.p/1").await.expect(200).body.len(), 32);
    let earlier = get(&world, "checkpoints/0").await;
    assert_eq!(earlier.header("cache-control"), Some("no-store"));
    let earlier = earlier.expect(200).text();
    let notes = attorn_log::segments::notes(&earlier);
    assert_eq!(notes.len(), 1, "{earlier}");
    assert!(key(&world).await.verify(notes[0].as_bytes()).unwrap().checkpoint().size >= 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_that_are_none_are_not_found() {
    let world = World::new().await;
    let Checkpoint { size, .. } = reaches(&world, 1).await;
    assert!(size < 255);
    for path in [
        "tile/0/000",
        &format!("tile/0/000.p/{}", size + 1),
        &format!("tile/entries/000.p/{}", size + 1),
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/-1",
        "tile/0/000.p/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/8/000.p/1",
        "tile/63/000.p/1",
        "tile/64/000.p/1",
        "tile/00/000.p/1",
        "tile/-1/000.p/1",
        "tile/data/000.p/1",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
        "tile/0/%2e%2e/000.p/1",
        "tile/entries/000.p/1%00",
        "tile/entries/entries/000.p/1",
        "checkpoints/1",
        "checkpoints/00",
        "checkpoints/-1",
        "checkpoints/18446744073709551615",
        "checkpoints/18446744073709551616",
    ] {
        get(&world, path).await.refused(404, "not_found");
    }
    for path in [
        "tile/0",
        "tile/entries",
        "tile/0/",
        "entries/000.p/1",
        "checkpoint/",
        "checkpoints",
        "checkpoints/",
        "checkpoints/0/0",
    ] {
        get(&world, path).await.refused(404, "no_such_route");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_and_hashes_are_public_where_that_is_configured_and_entries_never() {
    let fresh = Fresh::make().await.configure("public_log = false", "public_log = true");
    let world = World::new_in(Server::start_in(fresh).await).await;
    reaches(&world, 1).await;
    let anybody = async |path: &str| world.reach.send(Call::get(format!("/log/{path}"))).await;
    for path in ["checkpoint", "checkpoints/0", "tile/0/000.p/1"] {
        anybody(path).await.expect(200);
    }
    anybody("tile/entries/000.p/1").await.refused(401, "unauthenticated");
    world.staff.registrar.get("/log/tile/entries/000.p/1").await.refused(403, "missing_duty");
    grow(&world, 256).await;
    reaches(&world, 256).await;
    assert_eq!(anybody("tile/0/000").await.header("cache-control"), Some("public, max-age=31536000, immutable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_until_it_is_checkpointed() {
    let world = World::new().await;
    let decided: DecisionAnswer = world.bot.post("/v1/decisions?wait=checkpointed", &ask()).await.expect(200).json();
    let note = get(&world, "checkpoint").await.expect(200);
    let verifier = key(&world).await;
    assert!(verifier.verify(&note.body).unwrap().checkpoint().size > decided.entry.index);
    // Without asking, it comes within seconds.
    let later = world.bot.decide(&ask_with(json!({ "resource": "article/43" }))).await;
    for _ in 0..200 {
        let note = get(&world, "checkpoint").await.expect(200);
        if verifier.verify(&note.body).unwrap().checkpoint().size > later.entry.index {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    unreachable!("no checkpoint came");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_waited_for_is_refused_before_anything_is_decided() {
    let world = World::new().await;
    let size = world.log_size().await;
    for wait in ["", "durable", "Checkpointed", "checkpointed&wait=checkpointed", "witnessed"] {
        world.bot.post(format!("/v1/decisions?wait={wait}"), &ask()).await.refused(400, "invalid_query");
        for path in ["checkpoint", "entries/0/receipt"] {
            let path = format!("/v1/audit/{path}?wait={wait}");
            world.staff.auditor.get(path).await.refused(400, "invalid_query");
        }
    }
    assert_eq!(world.log_size().await, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_had_by_index_and_by_decision() {
    let world = World::new().await;
    let decided = world.bot.decide(&ask()).await;
    let verifier = key(&world).await;
    let by_decision = format!("/v1/audit/decisions/{}/receipt", decided.decision_id);
    for path in [format!("/v1/audit/entries/{}/receipt", decided.entry.index), by_decision.clone()] {
        for wait in ["", "?wait=checkpointed"] {
            let text = world.staff.auditor.get(format!("{path}{wait}")).await.expect(200).text();
            let logged = Receipt::parse(&text).unwrap().verify(&verifier).unwrap();
            assert_eq!(logged.entry.at.index, decided.entry.index);
            assert!(logged.entry.body.as_str().contains(&decided.decision_id));
        }
    }
    let unknown = format!("/v1/audit/decisions/dec_{}/receipt", "0".repeat(32));
    world.staff.auditor.get(unknown).await.refused(404, "not_found");
    world.staff.registrar.get(by_decision).await.refused(403, "missing_duty");
}

async fn start(config: &Path) -> Result<(), String> {
    let config = Config::load(config).unwrap();
    let server = Box::pin(run::Server::bind(config, run::Start::default())).await;
    server.map(drop).map_err(|error| error.to_string())
}

/// An older copy of the store is put back; the checkpoints know better.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_behind_its_checkpoints_does_not_start() {
    let fresh = Fresh::make().await;
    start(&fresh.config).await.unwrap();
    // The store with its journal and base copies: by itself it would be brought forward from these.
    let (parts, old) = (["store", "journal", "base"], fresh.dir.path().join("old"));
    for part in parts.map(Path::new).into_iter().filter(|part| fresh.data_dir().join(part).exists()) {
        copy_dir(&fresh.data_dir().join(part), &old.join(part));
    }
    for _ in 0..2 {
        start(&fresh.config).await.unwrap();
    }
    let note = std::fs::read_to_string(fresh.data_dir().join("log/1/checkpoint")).unwrap();
    let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
    for part in parts.map(|part| fresh.data_dir().join(part)).iter().filter(|part| part.exists()) {
        std::fs::remove_dir_all(part).unwrap();
    }
    copy_dir(&old, &fresh.data_dir());
    // It would say the same before.
    std::fs::remove_file(fresh.data_dir().with_file_name("high-water")).unwrap();
    let why = start(&fresh.config).await.unwrap_err();
    let expect = format!(
        "the checkpoints in `{}`: one counts {size} entries, and the log has {}: entries are lost, or the \
         store is an older copy",
        fresh.data_dir().join("log/1").display(),
        size - 2
    );
    assert_eq!(why, expect);
    // Nor when the log has grown past it meanwhile, and is another.
    let log = fresh.data_dir().join("log");
    let (aside, newer) = (fresh.dir.path().join("aside"), note.clone());
    std::fs::rename(&log, &aside).unwrap();
    for _ in 0..3 {
        start(&fresh.config).await.unwrap();
    }
    std::fs::write(fresh.data_dir().join("log/1/checkpoint"), newer).unwrap();
    let why = start(&fresh.config).await.unwrap_err();
    assert!(
        why.ends_with(&format!("one signs other {size} first entries than the log has: the log was changed")),
        "{why}"
    );
    std::fs::write(fresh.data_dir().join("log/1/checkpoint"), "nonsense").unwrap();
    let why = start(&fresh.config).await.unwrap_err();
    assert!(why.contains("`checkpoint`: the checkpoint is no signed note"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_only_grow() {
    let world = World::new().await;
    let verifier = key(&world).await;
    let mut newest: Option<SignedCheckpoint> = None;
    for n in 0..20 {
        world.bot.decide(&ask_with(json!({ "resource": format!("article/{n}") }))).await;
        let path = if n % 2 == 0 { "/v1/audit/checkpoint" } else { "/log/checkpoint" };
        let checkpoint = verifier.verify(&world.staff.auditor.get(path).await.expect(200).body).unwrap();
        if let Some(before) = &newest {
            let (before, now) = (before.checkpoint(), checkpoint.checkpoint());
            assert!(before.size < now.size || before == now, "{before:?} {now:?}");
        }
        newest = Some(checkpoint);
    }
}
