//! Machine code of one component, known to come from our own compiler.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;

/// The machine code of a component, as wasmtime serialises it.
///
/// INVARIANT: the bytes were put out by wasmtime's serialisation in this process, in a compile worker
/// that this process started or was started as, or were read from a file with this process's MAC.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact(Vec<u8>);

impl Artifact {
    /// Compile in this process.
    pub fn compile(engine: &Engine, component: &[u8]) -> wasmtime::Result<Self> {
        engine.precompile_component(component).map(Self)
    }

    /// The machine code of a component that this process compiled.
    pub fn of(component: &Component) -> wasmtime::Result<Self> {
        component.serialize().map(Self)
    }

    /// Whoever calls this vouches for the invariant.
    pub(crate) const fn trusted(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Load it. An engine of another version or configuration refuses it.
    #[expect(
        unsafe_code,
        reason = "machine code cannot be checked; that it is ours stands in the invariant of the type"
    )]
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` runs what it is given, so it asks for bytes that `serialize` or
        // `precompile_component` put out and that nobody has changed since. The type's invariant says the
        // first. The second holds because the bytes are in memory of this process alone, were verified
        // there, and are copied from there; no file is mapped that somebody could still write to.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Artifact({} bytes)", self.0.len())
    }
}
