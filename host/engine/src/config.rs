//! What an engine may use of its host. Nothing here is about a single policy; that is
//! [`PolicyLimits`](attorn_core::PolicyLimits).

use std::io;
use std::thread;

/// How many memories a component may have in one instance, and how many slots of the pool one
/// evaluation may therefore take.
pub(crate) const MEMORIES_PER_COMPONENT_MAX: u32 = 4;

/// What an engine may use. All of it is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads that evaluate, and do nothing else. More than the host has cores make decisions slower.
    pub evaluator_threads: usize,
    /// Requests that may wait for a thread. One more is turned away at once.
    pub queue_jobs_max: usize,
    /// Memories that are kept ready; at least four for each evaluator thread, and four for loading.
    pub pool_instances: u32,
    /// Bytes of those memories that may stay resident between evaluations, over all of them.
    pub pool_resident_bytes_max: u64,
    /// Whether memories may be cleaned by scanning for the pages that were written, on hosts where that
    /// is safe. Without, all pages are given back to the host each time, which is slower: for comparing.
    pub pagemap_scan: bool,
    /// The largest memory limit that a policy may be given, in bytes.
    pub instance_memory_bytes_max: u64,
    /// The largest table limit that a policy may be given, in elements.
    pub instance_table_elements_max: u64,
    /// How often running policies are checked for their time, in microseconds.
    pub epoch_tick_us: u64,
    /// Wall time of all policies of one request, from the moment it is queued, in microseconds.
    pub request_wall_us_max: u64,
}

impl EngineConfig {
    /// A thread for each core, and what goes with it.
    ///
    /// # Errors
    ///
    /// When the host does not say how many cores there are.
    pub fn for_host() -> Result<Self, EngineError> {
        let evaluator_threads = thread::available_parallelism().map_err(EngineError::Cores)?.get();
        let pool_instances = pool_instances_min(evaluator_threads).max(32);
        Ok(Self {
            evaluator_threads,
            queue_jobs_max: 1_024,
            pool_instances,
            pool_resident_bytes_max: u64::from(pool_instances) * (16 << 20),
            pagemap_scan: true,
            instance_memory_bytes_max: 128 << 20,
            instance_table_elements_max: 20_000,
            epoch_tick_us: 1_000,
            request_wall_us_max: 250_000,
        })
    }

    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let positive = [
            ("evaluator_threads", self.evaluator_threads > 0),
            ("queue_jobs_max", self.queue_jobs_max > 0),
            ("instance_memory_bytes_max", self.instance_memory_bytes_max > 0),
            ("instance_table_elements_max", self.instance_table_elements_max > 0),
        ];
        if let Some((field, _)) = positive.into_iter().find(|(_, ok)| !ok) {
            return Err(EngineError::Config { field, problem: "it must be 1 or more".into() });
        }
        let pool_min = pool_instances_min(self.evaluator_threads);
        if self.pool_instances < pool_min {
            let problem = format!("{} evaluator threads need {pool_min} or more", self.evaluator_threads);
            return Err(EngineError::Config { field: "pool_instances", problem });
        }
        for (field, value, min, max) in [
            ("epoch_tick_us", self.epoch_tick_us, 100, 100_000),
            ("request_wall_us_max", self.request_wall_us_max, 1_000, 60_000_000),
        ] {
            if !(min..=max).contains(&value) {
                return Err(EngineError::Config { field, problem: format!("it must be between {min} and {max}") });
            }
        }
        Ok(())
    }
}

/// So many that no evaluation ever finds the pool empty: each thread evaluates one policy at a time,
/// and one more policy may be tried while it is loaded.
fn pool_instances_min(evaluator_threads: usize) -> u32 {
    u32::try_from(evaluator_threads).unwrap_or(u32::MAX).saturating_add(1).saturating_mul(MEMORIES_PER_COMPONENT_MAX)
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The host does not say how many cores there are.
    #[error("the number of cores is unknown")]
    Cores(#[source] io::Error),
    /// A field of the configuration is out of its range.
    #[error("`{field}` is out of range: {problem}")]
    Config {
        /// Which.
        field: &'static str,
        /// What would be in range.
        problem: String,
    },
    /// The WebAssembly runtime does not start.
    #[error("the WebAssembly runtime does not start: {0}")]
    Runtime(String),
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(change: impl FnOnce(&mut EngineConfig), message: &str) {
        let mut config = EngineConfig::for_host().unwrap();
        change(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn nonsense_is_refused() {
        refused(|config| config.evaluator_threads = 0, "`evaluator_threads` is out of range: it must be 1 or more");
        refused(|config| config.queue_jobs_max = 0, "`queue_jobs_max` is out of range: it must be 1 or more");
        for wall in [0, u64::MAX] {
            let message = "`request_wall_us_max` is out of range: it must be between 1000 and 60000000";
            refused(|config| config.request_wall_us_max = wall, message);
        }
        refused(
            |config| (config.evaluator_threads, config.pool_instances) = (3, 15),
            "`pool_instances` is out of range: 3 evaluator threads need 16 or more",
        );
        refused(
            |config| config.evaluator_threads = usize::MAX,
            &format!("`pool_instances` is out of range: {} evaluator threads need {} or more", usize::MAX, u32::MAX),
        );
        refused(
            |config| config.epoch_tick_us = 0,
            "`epoch_tick_us` is out of range: it must be between 100 and 100000",
        );
    }

    #[test]
    fn the_default_is_in_range() {
        EngineConfig::for_host().unwrap().check().unwrap();
    }
}
