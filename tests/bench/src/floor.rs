//! The floor: bare wasmtime doing the same work. A fresh instance out of the pool, `init` with the
//! settings, the context built and handed over, `evaluate`, and the instance given back.
//!
//! It is configured as the engine is. No limits are set, no time is taken, and nothing of what comes
//! back is checked but that it allows.

use attorn_core::EvaluationContext;
use attorn_engine::{EngineConfig, EngineInfo, MemoryReset};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "policy-component",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bindings::attorn::policy::log;
use bindings::exports::attorn::policy::policy as wit;

struct Data;

impl log::Host for Data {
    fn write(&mut self, _: log::Level, message: String) {
        std::hint::black_box(message);
    }
}

/// A component, ready to be instantiated.
pub(crate) struct Floor {
    engine: Engine,
    prepared: bindings::PolicyComponentPre<Data>,
    settings: String,
}

impl Floor {
    /// Compile it under the configuration of an engine.
    pub(crate) fn new(config: &EngineConfig, info: &EngineInfo, component: &[u8], settings: &str) -> Self {
        let engine = Engine::new(&wasmtime_config(config, info)).unwrap();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::<Data>::new(&engine);
        log::add_to_linker::<_, HasSelf<Data>>(&mut linker, |data| data).unwrap();
        let prepared = bindings::PolicyComponentPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, prepared, settings: settings.to_owned() }
    }

    /// One evaluation, which has to allow.
    pub(crate) fn evaluate(&self, context: &EvaluationContext) {
        let mut store = Store::new(&self.engine, Data);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.prepared.instantiate(&mut store).unwrap();
        let policy = instance.attorn_policy_policy();
        policy.call_init(&mut store, &self.settings).unwrap().unwrap();
        let verdict = with_context(context, |context| policy.call_evaluate(&mut store, context).unwrap().unwrap());
        assert!(matches!(verdict, wit::Verdict::Allow(_)), "the policy did not allow");
    }
}

/// All of the engine's configuration that makes a difference in time.
fn wasmtime_config(config: &EngineConfig, info: &EngineInfo) -> Config {
    let mut wasmtime = Config::new();
    wasmtime
        .concurrency_support(false)
        .shared_memory(false)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(config.instance_memory_bytes_max);
    if matches!(info.memory_reset, MemoryReset::OnDemand) {
        return wasmtime;
    }
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(config.pool_instances)
        .total_component_instances(config.pool_instances)
        .max_memory_size(usize::try_from(config.instance_memory_bytes_max).unwrap())
        .table_elements(usize::try_from(config.instance_table_elements_max).unwrap())
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .pagemap_scan(Enabled::No);
    if let MemoryReset::PagemapScan { resident_bytes_max } = info.memory_reset {
        pool.linear_memory_keep_resident(usize::try_from(resident_bytes_max).unwrap())
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
    }
    wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime
}

/// The context as the contract has it.
fn with_context<T>(context: &EvaluationContext, go: impl FnOnce(wit::Context<'_>) -> T) -> T {
    let request = &context.request;
    let labels: Vec<(&str, &str)> =
        context.agent.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (resource_type, digest) = (request.resource.resource_type(), request.arguments_digest.to_string());
    go(wit::Context {
        phase: wit::Phase::Decide,
        time: context.time.0,
        caller: wit::Caller {
            method: wit::AuthenticationMethod::Dpop,
            key_thumbprint: context.caller.key_thumbprint.as_str(),
        },
        agent: wit::Agent {
            id: context.agent.id.as_str(),
            instance: context.instance.as_str(),
            owner: context.agent.owner.as_str(),
            labels: &labels,
        },
        user: None,
        delegations: &[],
        request: wit::Request {
            action: request.action.as_str(),
            resource: request.resource.as_str(),
            resource_type: resource_type.as_str(),
            resource_id: request.resource.id(),
            purpose: request.purpose.as_str(),
            session: None,
            arguments: request.arguments.as_str(),
            arguments_digest: &digest,
            claimed_properties: request.claims.as_str(),
        },
        facts: &[],
        approvals: &[],
        counters: &[],
        enforcement_point: None,
        extensions: &[],
    })
}
