//! Users are asked for approvals at their provider, on their own device (`OpenID` Connect Client-Initiated Backchannel
//! Authentication Core 1.0, poll mode). This server is the client.
//!
//! A prompt is recorded in the batch that records its approval as wanted, before anything is sent; [`queue`] puts the
//! question to the provider, and polls until the user said yes or no or it is too late. It works from an index of what is
//! due, so after a crash it goes on where it was. A yes counts when the provider's ID token names the very user whose
//! delegation it is (`answer`). What does not end in a yes or a no of theirs ends in nothing: nobody has approved.
//!
//! As the same client this server has users sign in for the approval page ([`sign_in`]), where the provider is set so.
//!
//! What is spoken is in `protocol`, which is pure; who speaks is in `client`. Whether an approval is enough for anything
//! is not known here.

mod answer;
pub(crate) mod check;
mod client;
pub(crate) mod configuration;
mod live;
mod metadata;
pub(crate) mod own_key;
pub(crate) mod own_key_routes;
mod problem;
mod prompts;
mod protocol;
pub(crate) mod queue;
pub(crate) mod sign_in;
mod steps;
mod wanted;

pub(crate) use live::Backchannels;
pub(crate) use problem::Problem;
pub(crate) use wanted::prompt;
