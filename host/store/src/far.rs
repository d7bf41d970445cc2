//! How far long work is, for whoever waits for it and sees it: backups, repairs, walks.
//!
//! It is said as an event of `tracing` with the target [`FAR`], which costs next to nothing where nobody listens, as in
//! a server. Nothing is decided by it, nothing waits for it, and nothing of what is worked on stands in it but counts.

/// The target of these events. Their fields are `what`, a text, and `done` and `of`, numbers.
pub const FAR: &str = "attorn::far";

/// Say how much of it is done, of how much; 0 where that is not known.
pub fn say(what: &'static str, done: u64, of: u64) {
    tracing::trace!(target: FAR, what, done, of);
}
