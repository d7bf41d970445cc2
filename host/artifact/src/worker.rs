//! The compile worker: this program as a child process, which compiles one component and ends.
//!
//! Compilers are large, and what they read is hostile: they may panic, take minutes, or take all memory.
//! In a process of its own that costs the child's life and nothing else. The parent writes one frame to
//! the child's input and reads one from its output; what the child writes to its standard error are the
//! names of the steps that it takes, and its last words.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::frame::{self, FrameError};
use crate::limits::WorkerLimits;
use crate::parts::Parts;

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

    fn is_cancelled(&self) -> bool {
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
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let waited = self.wait(&mut child, parts, progress, cancel);
        if waited.is_err() {
            // It may have ended by itself; then there is nobody to kill.
            let _ = child.kill();
        }
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
            if frame.is_err() {
                // Its pipes end with it, and with them the threads that this scope waits for.
                let _ = child.kill();
            }
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
        // The words of Rust's standard library when an allocation fails, before it aborts.
        if signal == Some(Signal::ABORT.as_raw()) && last_words.contains("memory allocation of") {
            return WorkerError::Memory(self.limits.memory_bytes_max);
        }
        WorkerError::Died { status, last_words }
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
