//! Whether anything can be swapped out, looked at again and again.
//!
//! Where memories are cleaned by scanning for pages that were written (see [`crate::runtime`]), a page
//! that was swapped out is missed, and the next evaluation would read what the one before wrote. So an
//! engine that scans stops evaluating once there is swap: each evaluation is a failure, which denies,
//! until the server has started anew and cleans in another way. Nothing here changes how it cleans.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_mins(1);
/// What the kernel says of places to swap to.
const SWAPS: &str = "/proc/swaps";

/// Whether there is swap now. What cannot be read counts as an error, not as none.
pub(crate) fn is_active_now() -> io::Result<bool> {
    fs::read_to_string(SWAPS).map(|swaps| is_active(&swaps))
}

/// `/proc/swaps` is one line of headings, and one line for each place to swap to.
fn is_active(swaps: &str) -> bool {
    swaps.lines().skip(1).any(|line| !line.trim().is_empty())
}

/// Remembers whether there ever was swap since the engine started.
#[derive(Debug)]
pub(crate) struct SwapWatch {
    swaps: PathBuf,
    seen: AtomicBool,
}

impl SwapWatch {
    /// Watch for as long as somebody holds this.
    pub(crate) fn start() -> io::Result<Arc<Self>> {
        let watch = Arc::new(Self::of(SWAPS.into()));
        let watched = Arc::downgrade(&watch);
        thread::Builder::new().name("attorn-swap".into()).stack_size(64 << 10).spawn(move || run(&watched))?;
        Ok(watch)
    }

    const fn of(swaps: PathBuf) -> Self {
        Self { swaps, seen: AtomicBool::new(false) }
    }

    /// Whether memories can have been left unclean.
    pub(crate) fn seen(&self) -> bool {
        self.seen.load(Ordering::Acquire)
    }

    fn look(&self) {
        let active = fs::read_to_string(&self.swaps).map_or(true, |swaps| is_active(&swaps));
        if active && !self.seen.swap(true, Ordering::AcqRel) {
            tracing::error!(
                "swap was turned on, where memories of policies cannot be cleaned; all is denied until the server is started anew"
            );
        }
    }
}

fn run(watched: &Weak<SwapWatch>) {
    while let Some(watch) = watched.upgrade() {
        watch.look();
        drop(watch);
        thread::sleep(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADINGS: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn swap_is_seen() {
        assert!(!is_active(HEADINGS));
        assert!(!is_active(""));
        assert!(is_active(&format!("{HEADINGS}/dev/sda2  partition\t8388604\t\t0\t\t-2\n")));
    }

    #[test]
    fn swap_that_was_turned_on_is_never_forgotten() {
        let path = std::env::temp_dir().join(format!("attorn-swaps-{}", std::process::id()));
        let watch = SwapWatch::of(path.clone());
        fs::write(&path, HEADINGS).unwrap();
        watch.look();
        assert!(!watch.seen());
        fs::write(&path, format!("{HEADINGS}/swapfile file 1 0 -2\n")).unwrap();
        watch.look();
        assert!(watch.seen());
        fs::write(&path, HEADINGS).unwrap();
        watch.look();
        assert!(watch.seen(), "pages that were swapped out meanwhile are still unclean");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_read_counts_as_swap() {
        let watch = SwapWatch::of("/nowhere/swaps".into());
        watch.look();
        assert!(watch.seen());
    }
}
