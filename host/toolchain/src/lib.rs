//! Tools for those who write policies: what they make, what they use it on, and what it says.
//!
//! [`cases`] runs a policy's behaviour, written down as data, in the real engine; [`bench`](mod@bench) says how long that takes;
//! [`once`] asks about one context; [`look`] says what a component is from outside. [`template`] makes a new policy, [`project`] builds
//! it in one of the [`language`]s, and [`doctor`] says what is missing for that; [`sign`] vouches for what came of it, and
//! [`oci`] is what stands of it in registries. [`bundle`] makes settings of the
//! policies of OPA, and [`opa_test`] asks the rules that test them. Compiling itself is
//! `attorn_build`'s; nothing here talks to a server, and nothing here prints.

pub mod bench;
pub mod bundle;
pub mod cases;
pub mod doctor;
pub mod language;
pub mod look;
pub mod oci;
pub mod once;
pub mod opa_test;
pub mod project;
pub mod section;
pub mod sign;
pub mod template;

pub use attorn_build::{process, whole};
pub use attorn_identity::{ComponentSignature, SignatureError, SignerKey, SignerKeyError};
pub use language::user_cache;
