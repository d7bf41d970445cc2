//! Tools for those who write policies: what they use, what they use it on, and what it says.
//!
//! Today that is [`cases`]: a policy's behaviour written down as data, and run in the real engine.
//! Building components is `attorn_build`'s; nothing here talks to a server.

pub mod cases;
