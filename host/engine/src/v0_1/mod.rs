//! Version `0.1.0-draft` of the policy contract: its bindings, and the way between them and the domain.
//!
//! Nothing outside this module knows the bindings. Another version of the contract gets a module of
//! its own beside this one.

mod context;
mod declared;
mod verdict;

use attorn_core::Known;
use attorn_core::counter::COUNT_MAX;
use wasmtime::component::{self, Component, Linker, WasmStr};
use wasmtime::{Store, StoreContextMut};

use bindings::attorn::policy::log::Level;
pub(crate) use bindings::exports::attorn::policy::policy as raw;

use crate::log::LogLevel;
use crate::sandbox::Held;

pub(crate) use context::Prepared;
pub(crate) use declared::{description, requirements};
pub(crate) use verdict::verdict;

/// The version.
pub(crate) const VERSION: &str = "0.1.0-draft";
/// The one interface that a component may import.
pub(crate) const IMPORT: &str = "attorn:policy/log@0.1.0-draft";
/// The one interface that it must export.
pub(crate) const EXPORT: &str = "attorn:policy/policy@0.1.0-draft";

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
pub(crate) struct Contract(bindings::PolicyComponentPre<Held>);

/// A component in one sandbox.
pub(crate) struct Instance(bindings::PolicyComponent);

impl Contract {
    pub(crate) fn new(component: &Component) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(component.engine());
        linker.instance(IMPORT)?.func_wrap("write", write_log)?;
        bindings::PolicyComponentPre::new(linker.instantiate_pre(component)?).map(Self)
    }

    pub(crate) fn runtime(&self) -> &wasmtime::Engine {
        self.0.engine()
    }

    /// An instance, and the runtime's own handle of it.
    pub(crate) fn instantiate(&self, store: &mut Store<Held>) -> wasmtime::Result<(Instance, component::Instance)> {
        let handle = self.0.instance_pre().instantiate(&mut *store)?;
        Ok((Instance(bindings::PolicyComponent::new(store, &handle)?), handle))
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
