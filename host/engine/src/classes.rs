//! Pools by class of component: one for small programs, one for interpreters, one for large runtimes.
//! What fits none of them runs where each evaluation maps memories of its own, which is slower.

use attorn_core::{ComponentClass, PolicyLimits};

use crate::config::{EngineConfig, EngineError};
use crate::runtime::{EngineInfo, Runtime};

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
            let memory_bytes_max = PolicyLimits::of_class(*class).memory_bytes_max;
            let pool = EngineConfig {
                instance_memory_bytes_max: memory_bytes_max.min(config.instance_memory_bytes_max),
                ..*config
            };
            pools.push((*class, Runtime::start(&pool)?));
        }
        Ok(Self { pools, on_demand: Runtime::on_demand(config, false)?, metered: Runtime::on_demand(config, true)? })
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
