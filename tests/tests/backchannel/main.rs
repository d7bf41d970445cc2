//! Users are asked for approvals at their provider (`OpenID` Connect CIBA, poll mode), which is in this process and says
//! what the test says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod agents;
mod configuration;
mod prompts;
mod several;
mod silence;
