//! The compile worker: this program as a child process, which compiles one component and ends.
//!
//! Compilers are large, and what they read is hostile: they may panic, take minutes, or take all memory.
//! In a process of its own that costs the child's life and nothing else. The parent writes one frame to
//! the child's input and reads one from its output; what the child writes to its standard error are the
//! names of the steps that it takes, and its last words.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::frame::{self, FrameError};
use crate::limits::WorkerLimits;
use crate::parts::Parts;

/// How long a worker may take to end once it has answered.
const GRACE: Duration = Duration::from_secs(5);
/// How often the parent looks whether it should stop waiting.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Lines of the child's standard error that name a step begin with this.
const STEP_MARK: &str = "step ";
/// How much of the child's last words is kept.
const LAST_WORDS_BYTES_MAX: u64 = 4 << 10;

/// How to start a compile worker.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The program; usually this very one.
    pub program: PathBuf,
    /// What makes it a compile worker; its limits follow as further arguments.
    pub arguments: Vec<String>,
    /// The whole of its environment.
    pub environment: &'static [(&'static str, &'static str)],
    /// What it may use.
    pub limits: WorkerLimits,
}

/// Says to a compilation that nobody wants it any more.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Nobody wants it any more.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether nobody wants it any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which step a compilation is at.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<String>>);

impl Progress {
    /// The name of the step; empty before the first.
    #[must_use]
    pub fn step(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It is at this step now.
    pub fn set(&self, step: &str) {
        step.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Why a worker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be started or talked to.
    #[error("the compile worker cannot be run: {0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("compiling took more than {0} s")]
    Wall(u64),
    /// It used too much CPU time.
    #[error("compiling took more than {0} s of CPU time")]
    Cpu(u64),
    /// It asked for too much memory.
    #[error("compiling took more than {0} bytes of memory")]
    Memory(u64),
    /// Nobody wanted the answer any more.
    #[error("compiling was cancelled")]
    Cancelled,
    /// It ended in another way.
    #[error("the compiler failed ({status}): {last_words}")]
    Died {
        /// How.
        status: ExitStatus,
        /// The end of what it wrote to its standard error.
        last_words: String,
    },
    /// What it answered is not to be understood.
    #[error("the compile worker's answer is damaged: {0}")]
    Answer(#[from] FrameError),
}

impl Worker {
    /// Let a worker do this. It blocks until there is an answer, or there will be none.
    pub fn ask(&self, parts: &[&[u8]], progress: &Progress, cancel: &Cancel) -> Result<Parts, WorkerError> {
        let WorkerLimits { memory_bytes_max, cpu_s_max, .. } = self.limits;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args(["--memory-bytes-max", &memory_bytes_max.to_string(), "--cpu-s-max", &cpu_s_max.to_string()])
            // No secret of the server's environment, and no variable that changes what a compiler does.
            .env_clear()
            .envs(self.environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Whatever it may start dies with it, and no key pressed at a terminal reaches it.
            .process_group(0)
            .spawn()?;
        let waited = self.wait(&mut child, parts, progress, cancel);
        let status = child.wait()?;
        let (frame, last_words) = waited?;
        if status.success() { Ok(Parts::trusted(frame?)) } else { Err(self.why(status, last_words)) }
    }

    /// What came out of it, once its output has ended.
    #[expect(clippy::type_complexity, reason = "two outputs of one child, named where they are taken apart")]
    fn wait(
        &self,
        child: &mut Child,
        parts: &[&[u8]],
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(Result<Vec<Vec<u8>>, FrameError>, String), WorkerError> {
        let until = Instant::now() + self.limits.wall();
        let group = Group::of(child);
        let (Some(mut input), Some(mut output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(WorkerError::Io(io::Error::other("a pipe is missing")));
        };
        let (done, ended) = mpsc::channel();
        thread::scope(|scope| {
            let words = scope.spawn(|| listen(errors, progress));
            scope.spawn(move || {
                // A child that died does not read on; how it died says more than the broken pipe.
                let _ = frame::write(&mut input, parts);
            });
            scope.spawn(move || done.send(frame::read(&mut output)));
            let frame = loop {
                match ended.recv_timeout(LOOK_EVERY) {
                    Ok(frame) => break Ok(frame),
                    Err(mpsc::RecvTimeoutError::Disconnected) => {
                        break Err(WorkerError::Io(io::Error::other("its output was lost")));
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) if cancel.is_cancelled() => break Err(WorkerError::Cancelled),
                    Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() >= until => {
                        break Err(WorkerError::Wall(self.limits.wall_s_max));
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
            };
            // Its pipes end with it and all that it started, and with them the threads that this scope waits
            // for. One that has answered has a moment to end by itself, so that its status says how.
            let ends_by = Instant::now() + GRACE;
            while frame.is_ok() && Instant::now() < ends_by && group.runs() {
                thread::sleep(LOOK_EVERY / 10);
            }
            group.kill();
            let last_words = words.join().unwrap_or_default();
            Ok((frame?, last_words))
        })
    }

    fn why(&self, status: ExitStatus, last_words: String) -> WorkerError {
        use rustix::process::Signal;
        use std::os::unix::process::ExitStatusExt as _;
        let signal = status.signal();
        if signal == Some(Signal::XCPU.as_raw()) {
            return WorkerError::Cpu(self.limits.cpu_s_max);
        }
        // The words of Rust's standard library and of the system when there is no memory, before it aborts.
        let no_memory = ["memory allocation of", "Cannot allocate memory"].iter().any(|said| last_words.contains(said));
        if signal == Some(Signal::ABORT.as_raw()) && no_memory {
            return WorkerError::Memory(self.limits.memory_bytes_max);
        }
        WorkerError::Died { status, last_words }
    }
}

/// A worker, and all processes that it may have started.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw))
    }

    /// Whether the worker itself has not ended. It is not waited for: until it is, its number is nobody
    /// else's, and [`Self::kill`] hits nobody else.
    fn runs(&self) -> bool {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.0.is_some_and(|worker| matches!(waitid(WaitId::Pid(worker), look), Ok(None)))
    }

    /// End them all. Whoever has ended already is not there to be found.
    fn kill(&self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Follow the steps, and keep the end of everything else.
fn listen(errors: impl Read, progress: &Progress) -> String {
    let mut last_words = Vec::new();
    let mut lines = BufReader::new(errors);
    let mut line = Vec::new();
    // A line that never ends is taken in pieces.
    while matches!(lines.by_ref().take(LAST_WORDS_BYTES_MAX).read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        match text.strip_prefix(STEP_MARK) {
            Some(step) => progress.set(step.trim_end()),
            None => last_words.extend_from_slice(&line),
        }
        let over = last_words.len().saturating_sub(usize::try_from(LAST_WORDS_BYTES_MAX).unwrap_or(usize::MAX));
        last_words.drain(..over);
        line.clear();
    }
    String::from_utf8_lossy(&last_words).trim().to_owned()
}

/// Be the worker: take the limits upon this process, read one request, and write one answer. `step` is
/// for `work` to say how far it is.
pub fn serve(
    limits: WorkerLimits,
    work: impl FnOnce(&Parts, &mut dyn FnMut(&str)) -> Vec<Vec<u8>>,
) -> Result<(), WorkerError> {
    limits.apply()?;
    let request = Parts::trusted(frame::read(&mut io::stdin().lock())?);
    let answer = work(&request, &mut |step| eprintln!("{STEP_MARK}{step}"));
    let parts: Vec<&[u8]> = answer.iter().map(Vec::as_slice).collect();
    frame::write(&mut io::stdout().lock(), &parts)?;
    io::stdout().lock().flush()?;
    Ok(())
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
