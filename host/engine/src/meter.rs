//! How much memory and table space one evaluation has, summed over all its memories and tables.

use attorn_core::PolicyLimits;
use wasmtime::{ResourceLimiter, format_err};

use crate::config::MEMORIES_PER_COMPONENT_MAX;
use crate::runtime::{CORE_INSTANCES_PER_COMPONENT_MAX, TABLES_PER_COMPONENT_MAX};

/// Counts, and stops a policy that asks for more than its share.
#[derive(Debug)]
pub(crate) struct Meter {
    memory: Account,
    tables: Account,
}

impl Meter {
    pub(crate) fn new(limits: &PolicyLimits) -> Self {
        Self { memory: Account::new(limits.memory_bytes_max), tables: Account::new(limits.table_elements_max) }
    }

    /// Bytes over all memories. Memories never shrink, so this is also the most there were.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.used
    }

    /// Whether the policy asked for more than it may have.
    pub(crate) fn exceeded(&self) -> bool {
        self.memory.exceeded || self.tables.exceeded
    }
}

#[derive(Debug)]
struct Account {
    used: u64,
    max: u64,
    exceeded: bool,
}

impl Account {
    const fn new(max: u64) -> Self {
        Self { used: 0, max, exceeded: false }
    }

    /// Growth beyond the limit is an error, which traps: what fails is the evaluation, and no policy
    /// gets to decide under half its data. Growth that the module itself rules out only fails.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit: &str) -> wasmtime::Result<bool> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let used = self.used.saturating_add(more);
        if used > self.max {
            self.exceeded = true;
            return Err(format_err!("it asked for {used} {unit}, and {} is the most", self.max));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.memory.grow(current, desired, maximum, "bytes of memory")
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The host has no more memory, or the module asked for more than memories can have.
        self.memory.exceeded = true;
        Err(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.tables.grow(current, desired, maximum, "table elements")
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.exceeded = true;
        Err(error)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_PER_COMPONENT_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_COMPONENT_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_COMPONENT_MAX as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meter(memory_bytes_max: u64) -> Meter {
        Meter::new(&PolicyLimits { memory_bytes_max, ..PolicyLimits::NATIVE })
    }

    #[test]
    fn two_memories_share_one_limit() {
        let mut meter = meter(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        let error = meter.memory_growing(0, 60, None).unwrap_err();
        assert_eq!(error.to_string(), "it asked for 120 bytes of memory, and 100 is the most");
        assert!(meter.exceeded());
        assert_eq!(meter.memory_bytes(), 60);
    }

    #[test]
    fn growth_that_the_module_rules_out_costs_nothing() {
        let mut meter = meter(100);
        assert!(!meter.memory_growing(10, 60, Some(50)).unwrap());
        assert!(!meter.exceeded());
        assert_eq!(meter.memory_bytes(), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit(steps in prop::collection::vec((0..4_usize, 0..400_usize), 0..40)) {
            let mut meter = meter(1_000);
            let mut sizes = [0_usize; 4];
            for (memory, more) in steps {
                let desired = sizes[memory] + more;
                let sum = sizes.iter().sum::<usize>() + more;
                let granted = meter.memory_growing(sizes[memory], desired, None).unwrap_or(false);
                prop_assert_eq!(granted, sum <= 1_000);
                if granted {
                    sizes[memory] = desired;
                }
            }
            prop_assert_eq!(meter.memory_bytes(), sizes.iter().sum::<usize>() as u64);
        }
    }
}
