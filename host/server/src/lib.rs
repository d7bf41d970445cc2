//! The server of Attorn: the HTTP API, and the wiring of everything behind it.
//!
//! What is decided is decided in `attorn_core`, what is evaluated in `attorn_engine`, what is kept in
//! `attorn_store`. Here a request goes through them, in one function: `decisions::decide`.

mod active;
mod app;
mod approvals;
mod audit;
mod clock;
pub mod config;
pub mod data;
mod decisions;
mod delegations;
mod entry;
pub mod epochs;
mod facts;
mod freeze;
mod grants;
mod high_water;
mod holders;
mod http;
pub mod init;
mod keys;
mod leases;
mod loads;
mod logout;
mod lost_records;
mod me;
mod metrics;
mod most_seen;
mod oauth;
mod parsed_keys;
mod policies;
mod policy_logs;
mod private_file;
mod providers;
mod proxy;
mod public;
mod published;
mod queries;
mod random;
mod reaper;
mod refusals;
mod registry;
mod replays;
pub mod restore;
pub mod rotate;
mod routes;
pub mod run;
mod simulations;
mod streamed;
mod targets;
mod token_keys;
mod users;

pub use approvals::ApprovalLimits;
pub use attorn_store::{far, is_caught};
pub use clock::WallClock;
pub use config::{Config, ConfigError, Tls};
pub use decisions::rehearse::{Rehearsals, Rehearsed};
pub use high_water::HighWaterError;
pub use published::PublishedError;
pub use published::offline::{StoppedLog, VerifiedStore};
pub use routes::openapi_document;
pub use users::key_files::{CopiedKeys, copy_user_keys};
