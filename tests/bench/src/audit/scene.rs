//! A server's directory, whose log is filled while the server does not run.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use attorn_server::{Config, StoppedLog};
use attorn_store::Store;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask};
use attorn_tests::{Process, Staff};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::decisions::Decisions;
use crate::durable::{CALLERS, drive};
use crate::{http, policy};

/// How long a server may take to stop.
const STOP: Duration = Duration::from_mins(2);

/// The directory, and who there is.
pub(super) struct Scene {
    pub(super) fresh: Fresh,
    pub(super) cast: Cast,
    config: Config,
}

impl Scene {
    /// A server has decided once, and stopped.
    pub(super) async fn new() -> Self {
        let fresh = Fresh::make_in(&http::directory()).await;
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        cast.activate("read-only", policy::component(), attorn_tests::world::read_only_settings()).await;
        assert!(cast.bot.decide(&ask()).await.grant.is_some());
        let config = Config::load(&fresh.config).unwrap();
        let scene = Self { fresh, cast, config };
        scene.stop(process).await;
        scene
    }

    /// Start a server in a process of its own, as the binary does.
    pub(super) async fn start(&self) -> Process {
        Process::start(&self.fresh.config, &self.fresh.reach).await
    }

    /// Stop it, and wait until all of it is on disk.
    pub(super) async fn stop(&self, process: Process) {
        let id = Pid::from_raw(process.id().cast_signed()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        let (status, said) = process.ended(STOP).await.unwrap();
        assert!(status.success(), "{status}: {said}");
    }

    /// The store, while no server runs.
    pub(super) fn store(&self) -> Store {
        Store::open(&self.config.data_dir, &attorn_server::data::ours(&self.config).unwrap()).unwrap()
    }

    /// The log as it was published, while no server runs.
    pub(super) async fn stopped_log(&self) -> StoppedLog {
        StoppedLog::open(&self.config).await.unwrap()
    }

    /// Have so many entries in the log.
    pub(super) async fn fill(&self, decisions: &Arc<Decisions>, size: u64) {
        let (began, store) = (Instant::now(), Arc::new(self.store()));
        let from = store.log_head().unwrap().size;
        let (decisions, require, committing) = (Arc::clone(decisions), decisions.require(), Arc::clone(&store));
        let make = move |n: u64| (from + n < size).then(|| decisions.batch(from + n, &require));
        let commit = move |batch| {
            let store = Arc::clone(&committing);
            async move { drop(store.commit(batch).await.unwrap()) }
        };
        drive(CALLERS[2], Duration::MAX, make, commit).await;
        eprintln!("{size} entries after {:.1?}", began.elapsed());
    }

    /// What the data directory takes on the disk, and what of it each part of the store.
    pub(super) fn disk_bytes(&self) -> (u64, Value) {
        let dir = &self.config.data_dir;
        let part = |name: &str| bytes_below(&dir.join(name));
        let parts = json!({ "engine": part("store"), "journal": part("journal"), "base": part("base"),
            "entries": part("log"), "records": part("records") });
        (bytes_below(dir), parts)
    }
}

/// What is not there takes nothing: directories come with the first file, and files go while this looks.
fn bytes_below(dir: &Path) -> u64 {
    let found = |result: io::Result<u64>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        result => result.unwrap(),
    };
    let of = |entry: fs::DirEntry| {
        let metadata = entry.metadata()?;
        Ok(if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.blocks() * 512 })
    };
    let below = || Ok(fs::read_dir(dir)?.map(|entry| found(entry.and_then(of))).sum());
    found(below())
}
