//! Many policies: the same component with settings of their own, compiled once into a cache, from which
//! each measurement loads them as a server does that starts again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use attorn_artifact::{Cache, CacheKey};
use attorn_engine::{Activation, Compiler, Engine, EngineConfig};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::load;
use crate::Length;

const CACHE_BYTES_MAX: u64 = 8 << 30;
/// After so many it says how far it is.
const SAY_EVERY: usize = 100;

/// A cache with policies in it.
pub(super) struct Library(TempDir);

impl Library {
    /// Compile as many as the largest measurement wants.
    pub(super) fn make(length: Length) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(super::config(), directory.path());
        let (count, started) = (length.policies[length.policies.len() - 1], Instant::now());
        for n in 0..count {
            drop(load(&engine, &settings(n), &Activation::Snapshot));
            if (n + 1) % SAY_EVERY == 0 || n + 1 == count {
                eprintln!("compiled {} of {count} policies after {:.0?}", n + 1, started.elapsed());
            }
        }
        Self(directory)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

/// An engine that compiles in this process, and what it compiles ends up in this directory.
pub(super) fn engine(config: EngineConfig, directory: &Path) -> Engine {
    let key = CacheKey::new(Zeroizing::new([7; 32]));
    let cache = Cache::open(directory.join("cache"), key, CACHE_BYTES_MAX).unwrap();
    Engine::with_compiler(config, Compiler { worker: None, cache: Some(cache), leftovers: None }).unwrap()
}

/// The settings of one of the policies. All allow what is asked here.
pub(super) fn settings(n: usize) -> String {
    let rule = |action: &str, resource_type: &str| serde_json::json!({ "actions": [action], "resource_types": [resource_type] });
    serde_json::json!({ "allow": [rule("faq.read", "article"), rule(&format!("a{n}.read"), "other")] }).to_string()
}
