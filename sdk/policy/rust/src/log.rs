//! A write-only log for the policy's author. What is written is kept with the decision record, within
//! the policy's `log_bytes_max`; it never reaches the agent.
//!
//! On WebAssembly it goes to the host, elsewhere to standard error. Log from `evaluate`: what is
//! written before belongs to no decision, and may be lost.

use crate::bindings::attorn::policy::log::Level;

/// For whoever debugs the policy.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// For whoever operates it.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Something is odd, and the policy went on.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Something is wrong; usually an error or a deny follows.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str) {
    crate::bindings::attorn::policy::log::write(level, message);
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}
