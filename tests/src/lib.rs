//! What the end-to-end tests share: a server, the people who administer it, the machines that call it,
//! and requests as bytes, so that wrong ones can be sent, too.
//!
//! The tests themselves stand in `tests/`, one file for each subject. Nothing here knows the server's
//! types beyond its configuration and start: all else goes over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "a test kit fails by panicking, and its values are asserted on"
)]

pub mod behalf;
pub mod components;
pub mod device;
pub mod events;
pub mod files;
pub mod hostile;
pub mod http;
pub mod machines;
pub mod metrics;
pub mod oauth;
pub mod people;
pub mod postgresql;
pub mod process;
pub mod provider;
pub mod refusal;
pub mod replays;
pub mod server;
pub mod svids;
pub mod wait;
pub mod witness;
pub mod world;

pub use behalf::Behalf;
pub use http::{Answer, Call, Reach};
pub use machines::Machine;
pub use metrics::Metrics;
pub use people::{Operator, Staff};
pub use process::Process;
pub use provider::Provider;
pub use server::Server;
pub use wait::{found, until};
pub use witness::Witness;
pub use world::World;
