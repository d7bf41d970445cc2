//! Waits until the files of a policy's directory change: sources, cases, settings.
//!
//! The operating system says when to look ([`notify`]); where it cannot, it is looked every second. What counts is what
//! the files are then: a build writes, too.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use attorn_toolchain::project;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::output::Output;

/// How long nothing may have changed before it is looked: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// How often it is looked where nobody says when, and where something may have been missed.
const EACH: Duration = Duration::from_secs(1);
/// The least time between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// More files than the sources of a policy have.
const FILES_MAX: usize = 10_000;
/// What a build makes, and other people's packages, at the top of the directory; and what of that is anywhere.
const MADE: &[&str] = &["target", "node_modules", "__pycache__", "policy.wasm", "policy.wasm.minisig"];
const PACKAGES: &[&str] = &["node_modules", "__pycache__"];
/// What a build makes, too, where a policy is a text.
const MADE_OF_TEXT: &str = project::SETTINGS;
/// What a build may write anew: that is no change by whoever writes the policy.
const LOCKS: &[&str] = &["Cargo.lock", "package-lock.json", "go.sum"];

/// What of a file tells that it was written: when, and how long it is.
type Stamp = (SystemTime, u64);
type Files = BTreeMap<PathBuf, Stamp>;

/// Watches a directory.
pub(super) struct Watch {
    dir: PathBuf,
    /// Settings that a build makes, which nobody changes.
    made: Option<PathBuf>,
    /// One more file, wherever it is.
    beside: Option<PathBuf>,
    seen: Files,
    woken: mpsc::Receiver<()>,
    /// None where nobody says when.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    pub(super) fn of(dir: &Path, beside: Option<PathBuf>, output: &Output) -> Result<Self, Failure> {
        let (wake, woken) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Whoever looks reads, and is not to be woken by that.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // Whoever is awake already needs no second waking.
                let _ = wake.try_send(());
            }
        });
        let watching = watcher.and_then(|mut watcher| {
            watcher.watch(dir, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        let watcher = watching.inspect_err(|error| output.note(format!("looking every second: {error}"))).ok();
        let made = project::builds_settings(dir).then(|| dir.join(MADE_OF_TEXT));
        let mut watch = Self { dir: dir.to_owned(), made, beside, seen: Files::new(), woken, _watcher: watcher };
        watch.seen = watch.files()?;
        Ok(watch)
    }

    /// What a build wrote is no change.
    pub(super) fn built(&mut self) -> Result<(), Failure> {
        let is_lock = |path: &Path| LOCKS.iter().any(|lock| path.file_name().is_some_and(|name| name == *lock));
        self.seen.extend(self.files()?.into_iter().filter(|(path, _)| is_lock(path)));
        Ok(())
    }

    /// Wait until anything is another than it was.
    pub(super) async fn changed(&mut self) -> Result<(), Failure> {
        loop {
            let files = self.files()?;
            if files != self.seen {
                tokio::time::sleep(QUIET).await;
                let settled = self.files()?;
                if settled == files {
                    self.seen = files;
                    return Ok(());
                }
                continue;
            }
            // Of a queue that ran over nobody says what was in it, so it is looked from time to time, too.
            let _ = tokio::time::timeout(EACH, self.woken.recv()).await;
            // However often that is, others have their turn.
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn files(&self) -> Result<Files, Failure> {
        let mut files = Files::new();
        list(&self.dir, true, &mut files).map_err(|error| Failure::file("read", &self.dir, &error))?;
        if let Some(stamp) = self.beside.as_deref().and_then(stamp) {
            files.extend(self.beside.clone().map(|path| (path, stamp)));
        }
        // By whatever name they are watched.
        if let Some(made) = self.made.as_deref().and_then(|made| made.canonicalize().ok()) {
            files.retain(|path, _| {
                path.file_name() != made.file_name() || path.canonicalize().ok().as_ref() != Some(&made)
            });
        }
        Ok(files)
    }
}

fn list(dir: &Path, is_top: bool, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_made = if is_top { MADE.iter() } else { PACKAGES.iter() }.any(|other| name == *other);
        if is_made || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("it holds more than {FILES_MAX} files")));
        }
        // Links are not followed: what they lead to may lead back.
        if entry.file_type()?.is_dir() {
            match list(&path, false, files) {
                // It is gone again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                listed => listed?,
            }
        } else if let Some(stamp) = stamp(&path) {
            files.insert(path, stamp);
        }
    }
    Ok(())
}

/// None for what is gone again.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_somebody_writes_is_a_change_and_what_a_build_writes_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for deeper in ["src", "src/__pycache__", "target", "node_modules", ".git"] {
            fs::create_dir(at(deeper)).unwrap();
        }
        fs::write(at("src/lib.rs"), "a").unwrap();
        let settings = tempfile::NamedTempFile::new().unwrap();
        let output = Output::new(true);
        let mut watch = Watch::of(dir.path(), Some(settings.path().to_owned()), &output).unwrap();
        let made = ["target/a", "node_modules/a", ".git/a", "policy.wasm", "policy.wasm.minisig", "Cargo.lock"];
        for name in made.into_iter().chain(["src/__pycache__/policy.pyc"]) {
            fs::write(at(name), "made").unwrap();
        }
        watch.built().unwrap();
        let longer = Duration::from_millis(1_500);
        assert!(tokio::time::timeout(longer, watch.changed()).await.is_err(), "a build is no change");
        for change in [
            &(|| fs::write(at("src/lib.rs"), "ab")) as &dyn Fn() -> io::Result<()>,
            &|| fs::write(at("cases.json"), "{}"),
            &|| fs::remove_file(at("cases.json")),
            &|| fs::write(at("Cargo.lock"), "locked"),
            &|| fs::write(settings.path(), "{}"),
        ] {
            change().unwrap();
            watch.changed().await.unwrap();
        }
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(watch.changed().await.unwrap_err().message.starts_with("cannot read `"), "nothing is left to watch");
    }
}
