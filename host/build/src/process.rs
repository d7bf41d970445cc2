//! Running a child process: never longer than its time, its output line by line, and whatever it started with it.
//!
//! It is a process group of its own, so that what it started is ended with it. A signal from the terminal does not reach
//! it: a program that is interrupted says so by [`interrupt`].

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines of its standard error that are kept for the error message.
const LINES_KEPT_MAX: usize = 60;
/// Bytes of one line; what is longer is taken for two.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Lines that may wait for whoever shows them; the process waits, then.
const LINES_WAITING_MAX: usize = 1024;
/// Bytes of its standard output that are kept; what is asked for here is a path or a few lines.
const STDOUT_BYTES_MAX: u64 = 64 << 10;
const POLL: Duration = Duration::from_millis(50);
/// Of what was ended because somebody wants this program to end.
const INTERRUPTED: &str = "was interrupted";

/// Why a process did not do what it was to do.
#[derive(Debug)]
pub struct Failed {
    problem: String,
    /// The last lines of its standard error, and those of its standard output.
    lines: VecDeque<String>,
}

impl Failed {
    /// What happened, without the output.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.problem
    }

    /// What happened, and all that was kept of the output.
    #[must_use]
    pub fn in_full(&self) -> String {
        let lines = self.lines.iter().flat_map(|line| ["\n", line]);
        [self.problem.as_str()].into_iter().chain(lines).collect()
    }
}

impl fmt::Display for Failed {
    /// One line: what happened, and the first line that calls itself an error, or else the last one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        let is_error = |line: &&String| line.starts_with("error") || line.starts_with("E: ");
        match self.lines.iter().find(is_error).or(self.lines.back()) {
            Some(line) => write!(f, ": {line}"),
            None => Ok(()),
        }
    }
}

/// What runs now.
struct Running {
    processes: Vec<u32>,
    interrupted: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { processes: Vec::new(), interrupted: false });

impl Running {
    fn now() -> MutexGuard<'static, Self> {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&mut self, process: u32) {
        self.processes.retain(|running| *running != process);
    }
}

/// End all that runs here with whatever it started, and start nothing any more: somebody wants this program to end.
pub fn interrupt() {
    let mut running = Running::now();
    running.interrupted = true;
    running.processes.iter().for_each(|process| kill_group(*process));
}

/// Whether somebody did.
fn is_interrupted() -> bool {
    Running::now().interrupted
}

/// Run `command` for at most `time_max`, hand each line of its standard error to `progress`, and give
/// back its standard output. There is nothing to read for it.
///
/// # Errors
///
/// When it cannot be started, does not end in time, or ends with an error.
pub fn run(command: &mut Command, time_max: Duration, progress: &mut dyn FnMut(&str)) -> Result<String, Failed> {
    run_reading(command, Stdio::null(), time_max, progress)
}

/// The same for a command that reads this.
///
/// # Errors
///
/// Those of [`run`].
pub fn run_reading(
    command: &mut Command,
    stdin: Stdio,
    time_max: Duration,
    progress: &mut dyn FnMut(&str),
) -> Result<String, Failed> {
    let shown = shown(command);
    let failed = |problem: String, lines| Failed { problem: format!("`{shown}` {problem}"), lines };
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = {
        let mut running = Running::now();
        if running.interrupted {
            return Err(failed(INTERRUPTED.to_owned(), VecDeque::new()));
        }
        let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = spawned.map_err(|error| failed(format!("could not be started: {error}"), VecDeque::new()))?;
        running.processes.push(child.id());
        child
    };

    let end = Instant::now() + time_max;
    let (lines, stdout) = outputs(&mut child);
    let mut kept = VecDeque::new();
    let ended = loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                progress(&line);
                if kept.len() == LINES_KEPT_MAX {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break wait(&mut child, end),
        }
        if Instant::now() >= end {
            break Ok(None);
        }
    };
    // Who closed its standard error may hold its standard output open yet, or have left that to what it started.
    let said = |stdout: &Receiver<String>| match stdout.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Err(RecvTimeoutError::Timeout) => None,
        said => Some(said.unwrap_or_default()),
    };
    let (status, text) = match ended.map(|status| status.and_then(|status| Some((status, said(&stdout)?)))) {
        Ok(Some(ended)) => ended,
        late => {
            stop(&mut child);
            if is_interrupted() {
                return Err(failed(INTERRUPTED.to_owned(), kept));
            }
            let problem = match late {
                Err(error) => format!("could not be waited for: {error}"),
                _ => format!("did not end within {} s", time_max.as_secs()),
            };
            return Err(failed(problem, kept));
        }
    };
    if !status.success() && is_interrupted() {
        return Err(failed(INTERRUPTED.to_owned(), kept));
    }
    if !status.success() {
        // Some tools say on their standard output what is wrong.
        kept.extend(text.lines().take(LINES_KEPT_MAX).map(str::to_owned));
        return Err(failed(format!("ended with {status}"), kept));
    }
    Ok(text)
}

/// The lines of its standard error, and all of its standard output.
fn outputs(child: &mut Child) -> (Receiver<String>, Receiver<String>) {
    let (line_sender, lines) = mpsc::sync_channel(LINES_WAITING_MAX);
    let (stdout_sender, stdout) = mpsc::channel();
    if let (Some(child_stdout), Some(child_stderr)) = (child.stdout.take(), child.stderr.take()) {
        thread::spawn(move || send_lines(BufReader::new(child_stderr), &line_sender));
        thread::spawn(move || {
            let mut text = Vec::new();
            // A text that cannot be read is as good as an empty one: the caller finds nothing in it.
            let _ = child_stdout.take(STDOUT_BYTES_MAX).read_to_end(&mut text);
            let _ = stdout_sender.send(String::from_utf8_lossy(&text).into_owned());
        });
    }
    (lines, stdout)
}

fn send_lines(mut from: impl BufRead, to: &SyncSender<String>) {
    loop {
        let mut line = Vec::new();
        let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if !read.is_ok_and(|bytes| bytes > 0) || to.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err()
        {
            return;
        }
    }
}

/// How it ended, if it does in time.
fn wait(child: &mut Child, end: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        let ended = {
            // Until it was waited for, its number is nobody else's.
            let mut running = Running::now();
            let ended = child.try_wait()?;
            if ended.is_some() {
                running.remove(child.id());
            }
            ended
        };
        let left = end.saturating_duration_since(Instant::now());
        if ended.is_some() || left.is_zero() {
            return Ok(ended);
        }
        thread::sleep(POLL.min(left));
    }
}

/// End it, and all that it started and that has made no group of its own.
fn stop(child: &mut Child) {
    let mut running = Running::now();
    kill_group(child.id());
    // Either fails only if the child has ended by itself in the meantime.
    let _ = child.kill();
    let _ = child.wait();
    running.remove(child.id());
}

fn kill_group(process: u32) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw) {
        // Fails only if nobody is left in it. As long as somebody is, its number is nobody else's.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// The command as its user would type it, without its many options.
fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args().take(3));
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, time_max: Duration) -> (Result<String, String>, Vec<String>) {
        let mut lines = Vec::new();
        let ran = run(Command::new("sh").args(["-c", script]), time_max, &mut |line| lines.push(line.to_owned()));
        (ran.map_err(|failed| failed.to_string()), lines)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn what_is_not_there_is_an_error() {
        let failed = run(&mut Command::new("/nowhere/rustup"), LONG, &mut |_| {}).unwrap_err();
        assert!(failed.to_string().starts_with("`/nowhere/rustup` could not be started: "), "{failed}");
    }

    #[test]
    fn what_never_ends_is_ended() {
        let started = Instant::now();
        let (ran, _) = sh("sleep 60", Duration::from_millis(200));
        assert_eq!(ran.unwrap_err(), "`sh -c sleep 60` did not end within 0 s");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_closes_its_output_and_goes_on_is_ended() {
        for script in ["exec 2>&-; sleep 60", "exec 1>&- 2>&-; sleep 60", "exec 2>&-; sleep 60 & exit 0"] {
            let started = Instant::now();
            let (ran, _) = sh(script, Duration::from_millis(300));
            assert!(ran.unwrap_err().contains("did not end"), "{script}");
            assert!(started.elapsed() < Duration::from_secs(20), "{script}");
        }
    }

    #[test]
    fn what_it_started_is_ended_with_it() {
        let (directory, (ran, _)) = {
            let directory = tempfile::tempdir().unwrap();
            let late = directory.path().join("late");
            let script = format!("(sleep 1; : > '{}') & sleep 60", late.display());
            (directory, sh(&script, Duration::from_millis(200)))
        };
        assert!(ran.unwrap_err().contains("did not end"));
        thread::sleep(Duration::from_millis(1500));
        assert!(!directory.path().join("late").exists());
    }

    #[test]
    fn a_line_without_end_is_taken_in_parts() {
        let (ran, lines) = sh("head -c 200000 /dev/zero | tr '\\0' a >&2", LONG);
        assert_eq!(ran.unwrap(), "");
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [65536, 65536, 65536, 3392]);
    }

    #[test]
    fn what_is_to_be_read_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in");
        std::fs::write(&path, "given").unwrap();
        let file = std::fs::File::open(path).unwrap();
        assert_eq!(run_reading(&mut Command::new("cat"), file.into(), LONG, &mut |_| {}).unwrap(), "given");
    }

    #[test]
    fn what_never_stops_talking_is_ended() {
        let (ran, lines) = sh("while :; do echo more >&2; done", Duration::from_millis(300));
        assert!(ran.unwrap_err().contains("did not end"));
        assert!(!lines.is_empty());
    }

    #[test]
    fn a_failure_says_the_first_error() {
        let (ran, lines) = sh("echo info: a >&2; echo error: b >&2; echo c >&2; exit 3", LONG);
        assert!(ran.unwrap_err().ends_with(" ended with exit status: 3: error: b"));
        assert_eq!(lines, ["info: a", "error: b", "c"]);
    }

    #[test]
    fn a_failure_says_what_was_said_on_standard_output() {
        let ran = run(Command::new("sh").args(["-c", "echo 'error: a'; exit 3"]), LONG, &mut |_| {});
        assert_eq!(ran.unwrap_err().in_full(), "`sh -c echo 'error: a'; exit 3` ended with exit status: 3\nerror: a");
    }

    #[test]
    fn success_gives_standard_output() {
        assert_eq!(sh("echo out; echo err >&2", LONG), (Ok("out\n".into()), vec!["err".into()]));
    }
}
