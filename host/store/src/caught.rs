//! Panics that become errors. The engine panics where it finds its files corrupt, and whoever asked for something gets an
//! error instead, which says of what and what to do.
//!
//! A panic is printed before anybody can catch it. Whoever runs the process asks [`is_caught`] which of them are said in
//! another way, and prints none of those; nothing is hidden here.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// How the engine's threads are named, whose panics come to whoever waits for them.
const ENGINES: &str = "sled-";

thread_local! {
    /// How many catch what this thread does.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic of this thread becomes an error, which is said by whoever gets it.
#[must_use]
pub fn is_caught() -> bool {
    CATCHING.get() > 0 || thread::current().name().is_some_and(|name| name.starts_with(ENGINES))
}

/// Do something that may panic, after which nobody relies on what it was done to.
pub(crate) fn caught<T>(act: impl FnOnce() -> T) -> thread::Result<T> {
    let _catching = Catching::begin();
    catch_unwind(AssertUnwindSafe(act))
}

struct Catching;

impl Catching {
    fn begin() -> Self {
        CATCHING.set(CATCHING.get() + 1);
        Self
    }
}

impl Drop for Catching {
    fn drop(&mut self) {
        CATCHING.set(CATCHING.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_caught_is_said_to_be() {
        assert!(!is_caught());
        let inner = caught(|| {
            assert!(caught(is_caught).unwrap() && is_caught());
            assert!(!thread::spawn(is_caught).join().unwrap(), "another thread is another's");
            unreachable!("a panic by the test");
        });
        assert!(inner.is_err() && !is_caught());
        let engine = thread::Builder::new().name("sled-io-0".to_owned()).spawn(is_caught).unwrap();
        assert!(engine.join().unwrap());
    }
}
