//! Builds policy components out of Rust crates.
//!
//! [`WasmTarget::find`] finds a standard library for WebAssembly, or gets one; [`build`] compiles
//! crates against it, makes components of what comes out, and refuses those that import more than a
//! policy may. Everything runs in child processes, whose environment and output are bounded here.
//!
//! It neither runs nor tests a component, and knows nothing of the other languages.

mod compile;
mod encode;
mod error;
pub mod process;
mod target;
mod tools;
pub mod whole;

pub use compile::{Artifacts, BuildRequest, Component, build, package_name};
pub use encode::component_of_wat;
pub use error::BuildError;
pub use target::{WasmTarget, install_by_apt};
