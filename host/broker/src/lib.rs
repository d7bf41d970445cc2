//! Credential kinds: what is made outside of a recorded grant, renewed, ended, and looked for; and services that are
//! called for a recorded grant, with a secret that its holder never sees.
//!
//! A kind takes nothing but [`attorn_store::Recorded`] grants, so nothing is issued before its record is durable. It
//! keeps no record itself: that a lease is recorded before anything exists outside, and what becomes of it, is the
//! server's. Nothing here decides, serves, or reads the store.

pub mod address;
pub mod backoff;
pub mod breaker;
mod fault;
mod kind;
pub mod postgresql;
pub mod proxy;
pub mod tls;

pub use fault::Fault;
pub use kind::{CredentialKind, Ended, KindError, Outside, Whose};
