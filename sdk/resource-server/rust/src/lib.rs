#![doc = include_str!("../README.md")]

mod keys;
mod refused;
mod server;
mod spent;

#[cfg(test)]
mod fake_server;

pub use attorn_agent::key::{AgentKey, KeyError};
pub use attorn_agent::{Error, FileError};
pub use attorn_api::audit::EntryReference;
pub use attorn_api::grants::Effect;

pub use refused::{Refusal, Refused};
pub use server::{Accepted, ResourceServer, ServiceError, ServiceRequest, UserAtProvider, Uses};
