//! Users are asked for approvals at their provider (`OpenID` Connect CIBA, poll mode), which is in this process and says
//! what the test says; and they sign in there to answer on a page.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod agents;
mod configuration;
mod groups;
mod groups_attacks;
mod groups_refusals;
mod keys;
mod page;
mod page_refusals;
mod prompts;
mod several;
mod silence;
mod standing;
