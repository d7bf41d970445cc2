//! Pools by class of component: one for small programs, one for interpreters, one for large runtimes.
//! What fits none of them runs where each evaluation maps memories of its own, which is slower.

use std::time::Duration;

use attorn_core::{ComponentClass, PolicyLimits};

use crate::config::{EngineConfig, EngineError};
use crate::runtime::{EngineInfo, Runtime};
use crate::ticker;

/// All the places where policies run.
#[derive(Debug)]
pub(crate) struct Runtimes {
    pools: Vec<(ComponentClass, Runtime)>,
    on_demand: Runtime,
    metered: Runtime,
}

impl Runtimes {
    pub(crate) fn start(config: &EngineConfig) -> Result<Self, EngineError> {
        let mut pools = Vec::with_capacity(ComponentClass::ALL.len());
        for class in ComponentClass::ALL {
            pools.push((*class, Runtime::start(&share(config, *class))?));
        }
        let (on_demand, metered) = (Runtime::on_demand(config, false)?, Runtime::on_demand(config, true)?);
        let runtimes = Self { pools, on_demand, metered };
        // INVARIANT: nothing runs where no epoch ticks, for it would never be interrupted.
        ticker::start(runtimes.all(), Duration::from_micros(config.epoch_tick_us)).map_err(EngineError::Thread)?;
        Ok(runtimes)
    }

    fn all(&self) -> impl Iterator<Item = &wasmtime::Engine> + '_ {
        let pools = self.pools.iter().map(|(_, runtime)| runtime);
        pools.chain([&self.on_demand, &self.metered]).map(|runtime| &runtime.engine)
    }

    /// How memories are made clean; the same in all pools.
    pub(crate) fn info(&self) -> &EngineInfo {
        self.pools.first().map_or(&self.on_demand.info, |(_, runtime)| &runtime.info)
    }

    /// The pools whose memories are this large, from the smallest.
    pub(crate) fn with_room(
        &self,
        memory_bytes: u64,
    ) -> impl Iterator<Item = (ComponentClass, &wasmtime::Engine)> + '_ {
        self.pools
            .iter()
            .filter(move |(_, runtime)| runtime.info.pooling() && memory_bytes <= runtime.memory_bytes_max)
            .map(|(class, runtime)| (*class, &runtime.engine))
    }

    /// Where there is no pool.
    pub(crate) const fn on_demand(&self) -> &wasmtime::Engine {
        &self.on_demand.engine
    }

    /// Where what policies do is counted.
    pub(crate) const fn metered(&self) -> &wasmtime::Engine {
        &self.metered.engine
    }
}

/// What one of the pools may use: memories of its class's size, and its share of what stays resident.
fn share(config: &EngineConfig, class: ComponentClass) -> EngineConfig {
    let memory_bytes_max = PolicyLimits::of_class(class).memory_bytes_max;
    EngineConfig {
        instance_memory_bytes_max: memory_bytes_max.min(config.instance_memory_bytes_max),
        pool_resident_bytes_max: config.pool_resident_bytes_max / ComponentClass::ALL.len() as u64,
        ..*config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::resident_bytes_per_memory;

    #[test]
    fn all_pools_together_stay_within_the_budget() {
        for pool_resident_bytes_max in [0, 1 << 20, 100_000_000, 1 << 40] {
            let config = EngineConfig { pool_resident_bytes_max, ..EngineConfig::for_host().unwrap() };
            let of_pool = |class: &ComponentClass| {
                let share = share(&config, *class);
                resident_bytes_per_memory(&share) * u64::from(share.pool_instances)
            };
            let resident: u64 = ComponentClass::ALL.iter().map(of_pool).sum();
            assert!(resident <= pool_resident_bytes_max, "{resident} of {pool_resident_bytes_max}");
        }
        let usual = EngineConfig::for_host().unwrap();
        assert!(resident_bytes_per_memory(&share(&usual, ComponentClass::Native)) >= 4 << 20);
    }
}
