//! What loading takes: the first time, with other settings, and from the cache.

use attorn_artifact::{Cache, CacheKey};
use attorn_engine::{Activation, Compiler, Engine, EngineConfig};
use serde_json::json;
use zeroize::Zeroizing;

use super::load;
use crate::Length;
use crate::figure::{Figures, median, rounded, timed};

const CACHE_BYTES_MAX: u64 = 1 << 30;

/// The first load of a component, the same with other settings, and the same again from the cache.
pub(super) fn measure(config: &EngineConfig, length: Length, figures: &mut Figures) {
    let (mut first, mut other, mut cached) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..length.loads {
        let directory = tempfile::tempdir().unwrap();
        let engine = || {
            let key = CacheKey::new(Zeroizing::new([7; 32]));
            let cache = Cache::open(directory.path().join("cache"), key, CACHE_BYTES_MAX).unwrap();
            Engine::with_compiler(*config, Compiler { worker: None, cache: Some(cache), leftovers: None }).unwrap()
        };
        let settings = |n: u64| format!(r#"{{"allow":[{{"actions":["faq.read"],"resource_types":["r{n}"]}}]}}"#);
        let snapshot = Activation::Snapshot;
        let running = engine();
        first.push(timed(1, || drop(load(&running, &settings(round), &snapshot))));
        other.push(timed(1, || drop(load(&running, &settings(round + length.loads), &snapshot))));
        let restarted = engine();
        cached.push(timed(1, || drop(load(&restarted, &settings(round), &snapshot))));
    }
    let (first_us, other_us, cached_us) = (median(first), median(other), median(cached));
    let raw = json!({ "first_us": rounded(first_us), "other_settings_us": rounded(other_us), "loads": length.loads });
    figures.add("engine.reactivate_over_first", other_us / first_us, "ratio", &raw);
    figures.add("engine.load_from_cache", cached_us / 1e3, "ms", &json!({ "loads": length.loads }));
}
