//! The floor: bare wasmtime doing the same work. A fresh instance out of the pool, `init` with the
//! settings, the context built and handed over, `evaluate`, and the instance given back.
//!
//! It is configured as the engine is. No limits are set, no time is taken, and nothing of what comes
//! back is checked but that it allows.

use attorn_core::EvaluationContext;
use attorn_engine::{EngineConfig, EngineInfo, MemoryReset};
use futures_util::FutureExt as _;
use wasmtime::component::{Component, HasSelf, Instance, Lift, Linker, WasmList};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

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
    snapshot: bool,
}

impl Floor {
    /// Compile it under the configuration of an engine: as it came, or a snapshot taken after `init`.
    pub(crate) fn new(
        config: &EngineConfig,
        info: &EngineInfo,
        component: &[u8],
        settings: &str,
        snapshot: bool,
    ) -> Self {
        let engine = Engine::new(&wasmtime_config(config, info)).unwrap();
        let taken = if snapshot { snapshot_after_init(&engine, component, settings) } else { component.to_vec() };
        let component = Component::new(&engine, taken).unwrap();
        let prepared = prepared(&engine, &component);
        Self { engine, prepared, settings: settings.to_owned(), snapshot }
    }

    /// One evaluation, which has to allow.
    pub(crate) fn evaluate(&self, context: &EvaluationContext) {
        let mut store = Store::new(&self.engine, Data);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.prepared.instantiate(&mut store).unwrap();
        let policy = instance.attorn_policy_policy();
        if !self.snapshot {
            policy.call_init(&mut store, &self.settings).unwrap().unwrap();
        }
        let verdict = with_context(context, |context| policy.call_evaluate(&mut store, context).unwrap().unwrap());
        assert!(matches!(verdict, wit::Verdict::Allow(_)), "the policy did not allow");
    }
}

fn prepared(engine: &Engine, component: &Component) -> bindings::PolicyComponentPre<Data> {
    let mut linker = Linker::<Data>::new(engine);
    log::add_to_linker::<_, HasSelf<Data>>(&mut linker, |data| data).unwrap();
    bindings::PolicyComponentPre::new(linker.instantiate_pre(component).unwrap()).unwrap()
}

/// The component as `init` leaves it.
fn snapshot_after_init(engine: &Engine, component: &[u8], settings: &str) -> Vec<u8> {
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(component).unwrap();
    let prepared = prepared(engine, &Component::new(engine, instrumented).unwrap());
    let mut store = Store::new(engine, Data);
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = prepared.instance_pre().instantiate(&mut store).unwrap();
    let policy = bindings::PolicyComponent::new(&mut store, &instance).unwrap();
    policy.attorn_policy_policy().call_init(&mut store, settings).unwrap().unwrap();
    store.set_hostcall_fuel(usize::MAX);
    let mut state = State { store, instance };
    wizer.snapshot_component(&context, &mut state).now_or_never().unwrap().unwrap()
}

/// An instance whose state wizer reads.
struct State {
    store: Store<Data>,
    instance: Instance,
}

impl State {
    fn call<R: Lift + 'static, T>(&mut self, within: &str, func: &str, read: impl FnOnce(&Store<Data>, R) -> T) -> T {
        let (_, within) = self.instance.get_export(&mut self.store, None, within).unwrap();
        let (_, func) = self.instance.get_export(&mut self.store, Some(&within), func).unwrap();
        let func = self.instance.get_typed_func::<(), (R,)>(&mut self.store, func).unwrap();
        let (value,) = func.call(&mut self.store, ()).unwrap();
        read(&self.store, value)
    }
}

impl ComponentInstanceState for State {
    async fn call_func_ret_list_u8(&mut self, within: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        self.call(within, func, |store, list: WasmList<u8>| contents(list.as_le_slice(store)));
    }

    async fn call_func_ret_s32(&mut self, within: &str, func: &str) -> i32 {
        self.call(within, func, |_, value| value)
    }

    async fn call_func_ret_s64(&mut self, within: &str, func: &str) -> i64 {
        self.call(within, func, |_, value| value)
    }

    async fn call_func_ret_f32(&mut self, within: &str, func: &str) -> u32 {
        self.call(within, func, |_, value: f32| value.to_bits())
    }

    async fn call_func_ret_f64(&mut self, within: &str, func: &str) -> u64 {
        self.call(within, func, |_, value: f64| value.to_bits())
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
