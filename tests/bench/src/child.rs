//! A copy of this program, or another one, that measures in a process of its own. It gets an order as a line of JSON, says
//! when it is ready, waits until it may begin, and answers with a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Such a process, from outside.
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Start one in this role, and wait until it is ready.
    pub(crate) fn start(role: &str, order: &impl Serialize) -> Self {
        Self::of(Command::new(std::env::current_exe().unwrap()).arg(role), order)
    }

    /// Start this one, and wait until it is ready.
    pub(crate) fn of(command: &mut Command, order: &impl Serialize) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut child = Self { process, input, output };
        writeln!(child.input, "{}", serde_json::to_string(order).unwrap()).unwrap();
        assert_eq!(child.line(), "ready", "{command:?} failed");
        child
    }

    /// It may begin.
    pub(crate) fn go(&mut self) {
        writeln!(self.input, "go").unwrap();
    }

    /// Ask it once more, and wait for its answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, line: &str) -> T {
        writeln!(self.input, "{line}").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Wait for its answer, and for its end.
    pub(crate) fn answer<T: DeserializeOwned>(mut self) -> T {
        let line = self.line();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "a process of the measurement ended with {status}");
        serde_json::from_str(&line).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// What this process has to do.
pub(crate) fn order<T: DeserializeOwned>() -> T {
    serde_json::from_str(&input_line()).unwrap()
}

/// Say that it is ready, and wait until it may begin.
pub(crate) fn ready() {
    println!("ready");
    input_line();
}

/// Say what came of it.
pub(crate) fn answer(answer: &impl Serialize) {
    println!("{}", serde_json::to_string(answer).unwrap());
}

fn input_line() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line
}
