//! `/proxy/{target}/…`: what goes on and what does not, with hostile agents on one side and a hostile service on the other.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod agents;
mod approved;
mod behalf;
mod commands;
mod counted;
mod decided;
mod faults;
mod scene;
mod services;
mod targets;
mod upstream;
