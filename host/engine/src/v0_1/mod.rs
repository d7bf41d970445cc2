//! Version `0.1.0` of the policy contract: its bindings, and the way between them and the domain.
//!
//! Nothing outside this module knows the bindings. Another version of the contract gets a module of
//! its own beside this one.

mod context;
mod declared;
mod verdict;

use attorn_core::Known;
use attorn_core::counter::COUNT_MAX;
use wasmtime::component::{self, Component, ComponentExportIndex, InstancePre, Linker, WasmStr};
use wasmtime::{Store, StoreContextMut, format_err};

use bindings::attorn::policy::log::Level;
pub(crate) use bindings::exports::attorn::policy::policy as raw;

use crate::log::LogLevel;
use crate::sandbox::Held;

pub(crate) use context::Prepared;
pub(crate) use declared::{description, requirements};
pub(crate) use verdict::verdict;

/// The version.
pub(crate) const VERSION: &str = "0.1.0";
/// The one interface that a component may import.
pub(crate) const IMPORT: &str = "attorn:policy/log@0.1.0";
/// The one interface that it must export.
pub(crate) const EXPORT: &str = "attorn:policy/policy@0.1.0";
/// The function of it that every decision calls.
const EVALUATE: &str = "evaluate";

/// The largest number that goes either way: up to here a language whose only numbers are doubles reads and
/// writes every whole one.
const NUMBER_MAX: u64 = COUNT_MAX;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "policy-component",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// A compiled component whose imports and exports are those of this version. What an instance needs is
/// resolved here, once.
pub(crate) struct Contract {
    prepared: InstancePre<Held>,
    indices: bindings::PolicyComponentIndices,
    evaluate: ComponentExportIndex,
}

/// A component in one sandbox, all of whose functions can be called.
pub(crate) struct Instance(bindings::PolicyComponent);

/// A component in one sandbox that stands as `init` left it, and is asked to evaluate and nothing else.
pub(crate) struct Initialised(component::Instance);

impl Contract {
    pub(crate) fn new(component: &Component) -> wasmtime::Result<Self> {
        let prepared = linker(component.engine())?.instantiate_pre(component)?;
        let indices = bindings::PolicyComponentIndices::new(&prepared)?;
        let interface = component.get_export_index(None, EXPORT);
        let evaluate = interface.and_then(|interface| component.get_export_index(Some(&interface), EVALUATE));
        let evaluate = evaluate.ok_or_else(|| format_err!("`{EXPORT}` has no `{EVALUATE}`"))?;
        Ok(Self { prepared, indices, evaluate })
    }

    pub(crate) fn runtime(&self) -> &wasmtime::Engine {
        self.prepared.engine()
    }

    /// An instance, and the runtime's own handle of it. The types of all its functions are checked.
    pub(crate) fn instantiate(&self, store: &mut Store<Held>) -> wasmtime::Result<(Instance, component::Instance)> {
        let handle = self.prepared.instantiate(&mut *store)?;
        Ok((Instance(self.indices.load(store, &handle)?), handle))
    }

    /// An instance of a snapshot. Only the type of `evaluate` is checked: that takes microseconds, and
    /// nothing else is called.
    pub(crate) fn instantiate_initialised(&self, store: &mut Store<Held>) -> wasmtime::Result<Initialised> {
        self.prepared.instantiate(store).map(Initialised)
    }
}

/// What a component may import: a log.
pub(crate) fn linker(runtime: &wasmtime::Engine) -> wasmtime::Result<Linker<Held>> {
    let mut linker = Linker::new(runtime);
    linker.instance(IMPORT)?.func_wrap("write", write_log)?;
    Ok(linker)
}

impl Initialised {
    pub(crate) fn evaluate(
        &self,
        contract: &Contract,
        store: &mut Store<Held>,
        context: &Prepared<'_>,
        known: &Known,
    ) -> wasmtime::Result<Result<raw::Verdict, String>> {
        context.lower(known, |context| {
            // INVARIANT: looked up for this very instance, so its type is checked by whoever calls it.
            let evaluate = self.0.get_typed_func::<(raw::Context<'_>,), (_,)>(&mut *store, contract.evaluate)?;
            evaluate.call(store, (context,)).map(|(answer,)| answer)
        })
    }
}

impl Instance {
    pub(crate) fn describe(&self, store: &mut Store<Held>) -> wasmtime::Result<raw::Description> {
        self.0.attorn_policy_policy().call_describe(store)
    }

    pub(crate) fn init(
        &self,
        store: &mut Store<Held>,
        settings: &str,
    ) -> wasmtime::Result<Result<raw::Requirements, String>> {
        self.0.attorn_policy_policy().call_init(store, settings)
    }

    pub(crate) fn evaluate(
        &self,
        store: &mut Store<Held>,
        context: &Prepared<'_>,
        known: &Known,
    ) -> wasmtime::Result<Result<raw::Verdict, String>> {
        context.lower(known, |context| self.0.attorn_policy_policy().call_evaluate(store, context))
    }
}

/// The import `log.write`. What does not fit is not even copied.
fn write_log(mut store: StoreContextMut<'_, Held>, (level, message): (Level, WasmStr)) -> wasmtime::Result<()> {
    let Some(room) = store.data().log.room() else {
        store.data_mut().log.write(level.into(), None);
        return Ok(());
    };
    let message = message.to_str(&store)?;
    let fitting = (message.len() as u64 <= room).then(|| message.into_owned());
    store.data_mut().log.write(level.into(), fitting);
    Ok(())
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_named_with_its_version() {
        assert_eq!(crate::CONTRACT, format!("attorn:policy@{VERSION}"));
    }
}
