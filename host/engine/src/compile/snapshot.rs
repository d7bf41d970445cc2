//! A component as it stands after `init`: its memories and globals, written back into the component.
//!
//! `wasmtime-wizer` rewrites a component so that everything it holds can be read from outside; after
//! `init` has run in it, what was read becomes the initial state of a component that is otherwise the
//! same. What cannot be carried over (tables that were written to, parts of other shapes) is refused by
//! wizer with a text, which operators are shown; such a component has `init` run before each evaluation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::Store;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use crate::sandbox::{Held, Sandbox};
use crate::text;

/// The most bytes of why there is no snapshot.
const REASON_BYTES_MAX: usize = 512;

/// A component that can be read from outside, and what reading it takes.
pub(super) struct Instrumented<'a> {
    context: ComponentContext<'a>,
    /// The component.
    pub(super) component: Vec<u8>,
}

impl<'a> Instrumented<'a> {
    /// Rewrite a component, or say why that cannot be done.
    pub(super) fn new(component: &'a [u8]) -> Result<Self, String> {
        let rewritten = catch_unwind(AssertUnwindSafe(|| Wizer::new().instrument_component(component)));
        let rewritten = rewritten.map_err(|_| "the rewriter panicked".to_owned())?;
        let (context, component) = rewritten.map_err(|error| reason(&format!("{error:#}")))?;
        Ok(Self { context, component })
    }

    /// The component as it stands in this sandbox.
    pub(super) fn snapshot(&self, sandbox: &mut Sandbox, instance: Instance) -> Result<Vec<u8>, String> {
        sandbox.lift_limits();
        let mut exposed = Exposed { store: &mut sandbox.store, instance, failed: None };
        let taken = catch_unwind(AssertUnwindSafe(|| {
            let wizer = Wizer::new();
            let taking = pin!(wizer.snapshot_component(&self.context, &mut exposed));
            // Nothing in it ever waits.
            match taking.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(taken) => taken.map_err(|error| format!("{error:#}")),
                Poll::Pending => Err("taking the snapshot did not end".to_owned()),
            }
        }));
        let taken = taken.unwrap_or_else(|_| Err("taking the snapshot panicked".to_owned()));
        match exposed.failed {
            Some(why) => Err(reason(&why)),
            None => taken.map_err(|why| reason(&why)),
        }
    }
}

fn reason(text: &str) -> String {
    text::bounded(text, REASON_BYTES_MAX)
}

/// An instance whose state is read through what the rewriting added. Its interface has no errors, so the
/// first one is kept here, and what is read then counts for nothing.
struct Exposed<'a> {
    store: &'a mut Store<Held>,
    instance: Instance,
    failed: Option<String>,
}

impl Exposed<'_> {
    fn call<R, T>(&mut self, instance: &str, func: &str, read: impl FnOnce(&Store<Held>, R) -> T) -> Option<T>
    where
        R: Lift + 'static,
    {
        match self.try_call(instance, func, read) {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.get_or_insert_with(|| format!("its state cannot be read: {error:#}"));
                None
            }
        }
    }

    fn try_call<R, T>(
        &mut self,
        instance: &str,
        func: &str,
        read: impl FnOnce(&Store<Held>, R) -> T,
    ) -> wasmtime::Result<T>
    where
        R: Lift + 'static,
    {
        let missing = || wasmtime::format_err!("`{instance}` or its `{func}` is missing");
        let (_, within) = self.instance.get_export(&mut *self.store, None, instance).ok_or_else(missing)?;
        let (_, index) = self.instance.get_export(&mut *self.store, Some(&within), func).ok_or_else(missing)?;
        let func = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, index)?;
        let (value,) = func.call(&mut *self.store, ())?;
        Ok(read(self.store, value))
    }
}

impl ComponentInstanceState for Exposed<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        self.call(instance, func, |store, list: WasmList<u8>| contents(list.as_le_slice(store)));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func, |_, value| value).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func, |_, value| value).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call(instance, func, |_, value: f32| value.to_bits()).unwrap_or_default()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call(instance, func, |_, value: f64| value.to_bits()).unwrap_or_default()
    }
}
