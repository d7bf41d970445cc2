//! Policies in OCI registries: how they are named there ([`Reference`]), and what stands there ([`manifest`], [`signature`]).
//!
//! A component is an artifact as `wkg` of the Bytecode Alliance writes and reads it: a manifest of the [image
//! specification], version 1.1, with a [config of its own](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/)
//! and one layer, the component's bytes as they are. Its signature is an artifact beside it that names it as its *subject*.
//!
//! Nothing here talks to a registry. What comes from one is read as what a stranger wrote.
//!
//! [image specification]: https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md

mod digest;
pub mod manifest;
mod reference;
pub mod signature;

pub use digest::{Digest, DigestError};
pub use reference::{Reference, ReferenceError};
