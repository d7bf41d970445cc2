//! The power fails: a file system of our own, on a loop device, is ended without writing anything back, while
//! another process commits to a store on it. Then it is mounted again, and everything that was acknowledged
//! must be there.
//!
//! What the disk itself keeps in its cache is not lost here, so this is milder than a real power cut.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attorn_log::Entry;

use crate::boot::Boot;
use crate::commit::Store;
use crate::disk::{Disk, say};
use crate::error::StorageError;
use crate::fixtures::{add, batch, body, counter, meta, ours};
use crate::follower::Pace;
use crate::journal::SegmentBytes;
use crate::setup::Setup;
use crate::steps::{Step, Steps};

const WRITERS: usize = 16;
const ROUNDS: u64 = 5;
/// Room for 20 rounds on a fast machine, in an image with holes: twelve of them wrote 142,165 deeds and filled 512 MiB.
const DISK_MIB: u64 = 2_048;
/// How long it may take to fill a small disk.
const FULL_WAIT: Duration = Duration::from_mins(2);
/// How long a step may take on a disk that gets full.
const FULL_LIMIT: Duration = Duration::from_secs(3);
/// What the writer reads from its environment.
const DIR: &str = "ATTORN_POWER_CUT_DIR";
const FIRST: &str = "ATTORN_POWER_CUT_FIRST";
const WAY: &str = "ATTORN_POWER_CUT_WAY";
/// The machine goes on, so it is told which boot it should be.
const BOOT: &str = "ATTORN_POWER_CUT_BOOT";

/// How the writer runs its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a server does.
    Usual,
    /// With everything that comes behind coming much more often.
    Hurried,
    /// The same, and not waiting long for a disk that hangs.
    Impatient,
    /// Without syncing the journal: what must be found out.
    NoSync,
}

impl Way {
    const ALL: [Self; 4] = [Self::Usual, Self::Hurried, Self::Impatient, Self::NoSync];

    fn setup(self) -> Setup {
        let hurried = Pace {
            sync_after: Duration::from_millis(40),
            sync_bytes: 1 << 20,
            ahead_bytes_max: 16 << 20,
            base_bytes: 1 << 20,
            segments: SegmentBytes { min: 64 << 10, max: 1 << 20 },
            bundle_retry: Duration::from_secs(1),
        };
        match self {
            Self::Usual => Setup::usual(),
            Self::Hurried => Setup { pace: hurried, ..Setup::usual() },
            Self::Impatient => Setup { steps: Arc::new(Impatient), pace: hurried, ..Setup::usual() },
            Self::NoSync => Setup { steps: Arc::new(NoSync), ..Setup::usual() },
        }
    }
}

struct Impatient;

impl Steps for Impatient {
    fn take(&self, _: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        act()
    }

    fn limit(&self, _: Step) -> Duration {
        FULL_LIMIT
    }
}

struct NoSync;

impl Steps for NoSync {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        if step == Step::Sync { Ok(()) } else { act() }
    }
}

/// Commit from many tasks until the disk is gone, and print each number when it is acknowledged.
#[test]
#[ignore = "it is the process that the power cut ends, and is started by the other tests here"]
fn writer() {
    let Ok(dir) = std::env::var(DIR) else { panic!("{DIR} is not set: this is no test by itself") };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let way = std::env::var(WAY).unwrap();
    let way = Way::ALL.into_iter().find(|known| format!("{known:?}") == way).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let boot = std::env::var(BOOT).map_or_else(|_| Boot::of_machine(), |boot| Boot::named(&boot));
        let setup = Setup { boot, ..way.setup() };
        let store = Arc::new(Store::open_with(Path::new(&dir), &ours(), setup).unwrap());
        let next = Arc::new(AtomicU64::new(first));
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (store, next) = (Arc::clone(&store), Arc::clone(&next));
                tokio::spawn(async move {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        let deed = batch(|batch| {
                            batch.put.push((meta(n), vec![b'x'; 300]));
                            batch.add.push(add(0, 1, u64::MAX));
                            batch.entries.push(body(n));
                        });
                        if store.commit(deed).await.is_err() {
                            return;
                        }
                        let _ = writeln!(std::io::stdout(), "ack {n}");
                        // As if each checkpoint were on disk at once.
                        if let (Way::Hurried, Ok(head)) = (way, store.log_head()) {
                            store.bundle_through(head.size);
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

fn start_writer(dir: &Path, first: u64, way: Way, boot: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "power_cut_tests::writer", "--ignored", "--nocapture"]);
    command.env(DIR, dir).env(FIRST, first.to_string()).env(WAY, format!("{way:?}"));
    command.envs(boot.map(|boot| (BOOT, boot)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Let it write for a while, cut, and read what it had been told.
fn write_until_cut(disk: &mut Disk, first: u64, way: Way, after: Duration) -> BTreeSet<u64> {
    // Each cut ends a boot.
    let mut writer = start_writer(&disk.mount.join("data"), first, way, Some(&format!("boot-{first}")));
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let number = |line: &str| line.strip_prefix("ack ").and_then(|n| n.parse::<u64>().ok());
    let mut acknowledged = BTreeSet::new();
    while acknowledged.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("the writer ended before it began")).unwrap();
        acknowledged.extend(number(&line));
    }
    let reader = std::thread::spawn(move || {
        // A line that the end tore in two is no acknowledgement.
        lines.map_while(Result::ok).filter_map(|line| number(&line)).collect::<BTreeSet<_>>()
    });
    std::thread::sleep(after);
    disk.cut();
    writer.kill().unwrap();
    writer.wait().unwrap();
    acknowledged.extend(reader.join().unwrap());
    disk.unmount().unwrap();
    disk.mount().unwrap();
    acknowledged
}

/// Let it write until the disk is full and it ends by itself, and read what it had been told.
pub(crate) fn write_until_full(dir: &Path) -> BTreeSet<u64> {
    let mut writer = start_writer(dir, 0, Way::Impatient, None);
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let number = |line: String| line.strip_prefix("ack ").and_then(|n| n.parse::<u64>().ok());
        lines.map_while(Result::ok).filter_map(number).collect::<BTreeSet<_>>()
    });
    let mut waited = Duration::ZERO;
    while writer.try_wait().unwrap().is_none() {
        if waited > FULL_WAIT {
            writer.kill().unwrap();
            panic!("it hangs with a disk that is full");
        }
        std::thread::sleep(Duration::from_millis(100));
        waited += Duration::from_millis(100);
    }
    reader.join().unwrap()
}

/// What was found afterwards.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Whether somebody had to ask for a repair.
    repaired: bool,
    /// How often the engine was made anew.
    remade: usize,
    pub(crate) deeds: BTreeSet<u64>,
}

/// Open, as a server does, repair if that is due, and verify everything.
pub(crate) async fn look(dir: &Path) -> Result<Found, String> {
    let mut repaired = false;
    let store = match Store::open_or_remake(dir, &ours(), None) {
        Err(error) if error.is_repairable() => {
            Store::repair(dir, &ours()).map_err(|error| format!("{error:?}"))?;
            repaired = true;
            Store::open(dir, &ours())
        }
        opened => opened,
    };
    let store = store.map_err(|error| format!("{error:?}"))?;
    let mut found = Found { repaired, remade: store.remade().unwrap().len(), ..Found::default() };
    store.remade_is_said().unwrap();
    let integrity = store.verify_integrity().await.map_err(|error| format!("{error:?}"))?;
    let mut from = 0;
    loop {
        let entries = store.entries(from, 1_000).unwrap();
        let Some(last) = entries.last() else { break };
        from = last.index + 1;
        for entry in entries {
            let entry = Entry::parse(&entry.bytes).unwrap();
            let n = entry.body.as_str().trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap();
            assert!(found.deeds.insert(n), "deed {n} was done twice");
            assert!(store.get(&meta(n)).await.unwrap().is_some(), "deed {n} is torn");
        }
    }
    let deeds = found.deeds.len() as u64;
    assert_eq!((integrity.entries, integrity.values), (deeds, deeds + 1));
    assert_eq!(store.counter(&counter(0)).await.unwrap(), deeds);
    Ok(found)
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let Some(mut disk) = Disk::make_or_say_why(DISK_MIB) else { return };
    let rounds = std::env::var("ATTORN_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse::<u64>().ok());
    // A round takes longer than one of other tests.
    let rounds = rounds.map_or(ROUNDS, |rounds| (rounds * 2 / 5).max(1));
    let dir = disk.mount.join("data");
    drop(Store::create(&dir, ours()).unwrap());
    let (mut acknowledged, mut remade) = (BTreeSet::new(), 0);
    for round in 0..rounds {
        let way = if round % 2 == 0 { Way::Hurried } else { Way::Usual };
        let after = Duration::from_millis(300 + round * 617 % 1_500);
        let first = acknowledged.last().map_or(0, |last| last + 1_000);
        acknowledged.extend(write_until_cut(&mut disk, first, way, after));
        let found = look(&dir).await.unwrap_or_else(|why| panic!("round {round}, {way:?}: {why}"));
        let lost: Vec<_> = acknowledged.difference(&found.deeds).collect();
        assert!(lost.is_empty(), "round {round}, {way:?}: {} acknowledged deeds are lost: {lost:?}", lost.len());
        assert!(!found.repaired, "round {round}, {way:?}: the store did not start by itself");
        remade += found.remade;
    }
    let count = acknowledged.len();
    say(&format!(
        "{rounds} power cuts: {count} acknowledged, none lost; the engine made itself anew {remade} times, and nobody had to"
    ));
}

/// The proof that the test above can fail.
#[tokio::test]
async fn without_the_sync_a_power_cut_is_seen_to_lose_something() {
    let Some(mut disk) = Disk::make_or_say_why(DISK_MIB) else { return };
    let dir = disk.mount.join("data");
    drop(Store::create(&dir, ours()).unwrap());
    let acknowledged = write_until_cut(&mut disk, 0, Way::NoSync, Duration::from_millis(700));
    match look(&dir).await {
        Ok(found) => assert!(!acknowledged.is_subset(&found.deeds), "nothing was lost without a sync"),
        // The journal has less than the engine, or a hole.
        Err(why) => say(&format!("without a sync a power cut is seen: {why}")),
    }
}
