//! How far long work is: one line on a terminal that changes, and goes when the work is done.
//!
//! Nothing is shown to programs, nor where nobody sees it. What is done with a data directory says by itself how far it
//! is ([`Bar::watch`]); whoever asks a server, or reads an export, counts and says so ([`Bar::step`]).

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::output::Output;

/// How often the line changes.
const EVERY: Duration = Duration::from_millis(100);
/// How wide the bar is.
const WIDTH: u64 = 30;

/// The line. It is cleared when this is dropped.
pub(crate) struct Bar {
    /// When it was written last; none if nobody sees it, or it has ended.
    shown: Mutex<Option<Instant>>,
}

impl Bar {
    pub(crate) fn new(output: &Output) -> Self {
        let shown = !output.json && std::io::stderr().is_terminal();
        Self { shown: Mutex::new(shown.then(Instant::now)) }
    }

    /// Say how much is done, of how much; 0 where that is not known.
    pub(crate) fn step(&self, done: u64, of: u64, what: impl fmt::Display) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = shown.as_mut().filter(|at| at.elapsed() >= EVERY) {
            *at = Instant::now();
            eprint!("\r\x1b[K{}", line(done, of, what));
        }
    }

    /// The same at once, for what takes long to come to its next step.
    pub(crate) fn begin(&self, done: u64, of: u64, what: impl fmt::Display) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = shown.as_mut() {
            *at = Instant::now();
            eprint!("\r\x1b[K{}", line(done, of, what));
        }
    }

    /// Take the line away before something else is printed. The next step brings it back.
    pub(crate) fn clear(&self) {
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            eprint!("\r\x1b[K");
        }
    }

    /// Clear it. What is said after that is not shown.
    pub(crate) fn end(&self) {
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(done: u64, of: u64, what: impl fmt::Display) -> String {
    if of == 0 {
        return format!("{done} {what}");
    }
    // Much may come while it is counted.
    let filled = usize::try_from(u128::from(done.min(of)) * u128::from(WIDTH) / u128::from(of)).unwrap_or(0);
    let (filled, empty) = ("#".repeat(filled), ".".repeat(30_usize.saturating_sub(filled)));
    format!("[{filled}{empty}] {done} of {of} {what}")
}

#[cfg(target_os = "linux")]
mod watched {
    use std::sync::Arc;

    use attorn_server::far::FAR;
    use tracing::field::{Field, Visit};
    use tracing::level_filters::LevelFilter;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::{Bar, Output};

    /// A line that changes with what work on a data directory says, as long as this lives.
    pub(crate) struct Watched(Arc<Bar>);

    impl Bar {
        /// Show how far whatever is done with a data directory is, until what comes back is dropped. A process that
        /// has a log already shows nothing.
        pub(crate) fn watch(output: &Output) -> Watched {
            let bar = Arc::new(Self::new(output));
            let _ = tracing::subscriber::set_global_default(Listens(Arc::clone(&bar)));
            Watched(bar)
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            self.0.end();
        }
    }

    /// Takes the events that say how far something is, and no others.
    struct Listens(Arc<Bar>);

    impl Subscriber for Listens {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.is_event() && metadata.target() == FAR
        }

        fn max_level_hint(&self) -> Option<LevelFilter> {
            Some(LevelFilter::TRACE)
        }

        fn event(&self, event: &Event<'_>) {
            let mut far = Far::default();
            event.record(&mut far);
            self.0.step(far.done, far.of, far.what);
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[derive(Default)]
    struct Far {
        what: String,
        done: u64,
        of: u64,
    }

    impl Visit for Far {
        fn record_u64(&mut self, field: &Field, value: u64) {
            match field.name() {
                "done" => self.done = value,
                "of" => self.of = value,
                _ => {}
            }
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "what" {
                value.clone_into(&mut self.what);
            }
        }

        fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_and_never_beyond_its_width() {
        for (done, of, expect) in [
            (0, 10, "[..............................] 0 of 10 entries"),
            (5, 10, "[###############...............] 5 of 10 entries"),
            (12, 10, "[##############################] 12 of 10 entries"),
            (
                u64::MAX,
                u64::MAX,
                "[##############################] 18446744073709551615 of 18446744073709551615 entries",
            ),
            (7, 0, "7 entries"),
        ] {
            assert_eq!(line(done, of, "entries"), expect);
        }
    }
}
