//! Steps: what is done, how long it took, and how to repeat the one that failed.

use std::fmt;
use std::time::{Duration, Instant};

use crate::run::Invocation;

/// How many of the slowest steps the summary names.
const SLOWEST_MAX: usize = 5;

/// The steps that a task has taken so far.
pub(crate) struct Steps {
    started: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// None yet; the clock runs from here.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// Run a program as one step. Its output goes straight to the terminal.
    pub(crate) fn command(&mut self, name: &str, invocation: &Invocation) -> Result<(), Failed> {
        self.step(name, &invocation.to_string(), || invocation.run())
    }

    /// Do some work as one step. `repeat` is the command that does this step alone.
    pub(crate) fn step(
        &mut self,
        name: &str,
        repeat: &str,
        work: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), Failed> {
        eprintln!("\n==> {name}: {repeat}");
        let started = Instant::now();
        let outcome = work();
        let took = started.elapsed();
        match outcome {
            Ok(()) => {
                eprintln!("<== {name}: done in {}", Seconds(took));
                self.done.push((name.to_owned(), took));
                Ok(())
            }
            Err(why) => Err(Failed { step: Some((name.to_owned(), took)), repeat: Some(repeat.to_owned()), why }),
        }
    }

    /// Say which steps took longest, and how long all of it took.
    pub(crate) fn summary(&self) {
        let mut slowest = self.done.clone();
        slowest.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        eprintln!("\nslowest steps:");
        for (name, took) in slowest.iter().take(SLOWEST_MAX) {
            eprintln!("  {:>9}  {name}", Seconds(*took).to_string());
        }
        eprintln!("all {} steps passed in {}", self.done.len(), Seconds(self.started.elapsed()));
    }
}

/// A step that failed, as the person who ran it reads it.
#[derive(Debug)]
pub(crate) struct Failed {
    step: Option<(String, Duration)>,
    repeat: Option<String>,
    why: String,
}

impl Failed {
    /// Something was wrong before the first step.
    pub(crate) fn before_any_step(why: &str) -> Self {
        Self { step: None, repeat: None, why: why.to_owned() }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some((name, took)) => write!(f, "failed: step `{name}` after {}: {}", Seconds(*took), self.why)?,
            None => write!(f, "failed: {}", self.why)?,
        }
        match &self.repeat {
            Some(command) => write!(f, "\nrepeat it with: {command}"),
            None => Ok(()),
        }
    }
}

/// A duration as people read it: `0.4 s`, `7 min 12 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.as_secs();
        if whole < 60 {
            f.pad(&format!("{:.1} s", self.0.as_secs_f64()))
        } else {
            f.pad(&format!("{} min {} s", whole / 60, whole % 60))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let mut steps = Steps::start();
        let failed = steps.step("lints", "cargo clippy", || Err("exit status 101".to_owned())).unwrap_err();
        let text = failed.to_string();
        assert!(text.starts_with("failed: step `lints` after 0.0 s: exit status 101"), "{text}");
        assert!(text.ends_with("\nrepeat it with: cargo clippy"), "{text}");
        assert!(steps.done.is_empty());
    }

    #[test]
    fn durations_read_well() {
        for (ms, text) in [(0, "0.0 s"), (440, "0.4 s"), (59_900, "59.9 s"), (432_000, "7 min 12 s")] {
            assert_eq!(Seconds(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
