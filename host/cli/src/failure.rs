//! What went wrong, as people read it: `error: …`, then `help: …` where there is a way out.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use attorn_api::{Problem, ProblemCode};
use attorn_core::ParseError;

use crate::exit::Exit;
use crate::output::harmless;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// The server's stable code, if it refused.
    pub(crate) code: Option<ProblemCode>,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Error, message: message.into(), help: None, code: None }
    }

    /// The arguments mean nothing.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message) }
    }

    /// A log or receipt does not verify.
    pub(crate) fn verification(error: &dyn Error) -> Self {
        Self { exit: Exit::VerificationFailed, ..Self::of(error) }
    }

    /// What came or was kept is not what was signed or named.
    pub(crate) fn unverified(message: impl Into<String>) -> Self {
        Self { exit: Exit::VerificationFailed, ..Self::new(message) }
    }

    /// An error and its sources, joined.
    pub(crate) fn of(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Some libraries repeat their source.
            if !message.ends_with(&text) {
                let _ = write!(message, ": {text}");
            }
            source = error.source();
        }
        Self::new(message)
    }

    /// A key file cannot be read or made.
    pub(crate) fn key_file(what: &str, path: &Path, error: &attorn_agent::KeyError) -> Self {
        use attorn_agent::FileError::{Exposed, Read};
        use attorn_agent::KeyError::{File, Write};

        let failure = Self::file(what, path, error);
        match error {
            File(Read(source)) if source.kind() == ErrorKind::NotFound => {
                failure.with_help("`attorn agent register … --new-key FILE` makes one")
            }
            Write(source) if source.kind() == ErrorKind::AlreadyExists => failure.with_help(NOT_OVERWRITTEN_HELP),
            File(Exposed(_)) => failure.with_help(format!("`chmod 600 {}`", path.display())),
            _ => failure,
        }
    }

    /// A new file cannot be made.
    pub(crate) fn new_file(path: &Path, error: &std::io::Error) -> Self {
        let failure = Self::file("write", path, error);
        match error.kind() {
            ErrorKind::AlreadyExists => failure.with_help(NOT_OVERWRITTEN_HELP),
            ErrorKind::NotFound => failure.with_help("the directory that it goes into has to be there"),
            _ => failure,
        }
    }

    /// Something about a file went wrong.
    pub(crate) fn file(what: &str, path: &Path, error: &dyn Error) -> Self {
        let Self { message, .. } = Self::of(error);
        Self::new(format!("cannot {what} `{}`: {message}", path.display()))
    }

    /// The same, with a way out.
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Print it to standard error. If that is closed, nobody wants to know.
    pub(crate) fn print(&self) {
        let _ = writeln!(std::io::stderr(), "{self}");
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", harmless(&self.message))?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {}", harmless(help)),
            None => Ok(()),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let in_log = || {
            let id = problem.request_id.as_deref().filter(|_| problem.status >= 500)?;
            Some(format!("the server's log says more under the request id `{id}`"))
        };
        let help = problem.help.clone().or_else(in_log);
        let exit = match problem.code {
            // What the server itself says is not as it was signed does not verify.
            ProblemCode::LogDamaged => Exit::VerificationFailed,
            // What was to be sent on to a service was decided, and is recorded.
            ProblemCode::Denied => Exit::Deny,
            ProblemCode::ApprovalNeeded => Exit::Challenge,
            _ => Exit::Error,
        };
        Self { exit, help, code: Some(problem.code), ..Self::new(problem.to_string()) }
    }
}

impl From<attorn_agent::Error> for Failure {
    fn from(error: attorn_agent::Error) -> Self {
        match error {
            attorn_agent::Error::Problem(problem) => (*problem).into(),
            attorn_agent::Error::ApprovalNeeded(needed) => needed.problem.into(),
            attorn_agent::Error::Connection { ref server, .. } => Self::of(&error).with_help(unreachable_help(server)),
            attorn_agent::Error::Json { .. } | attorn_agent::Error::Unsendable { .. } => {
                Self { exit: Exit::Usage, ..Self::of(&error) }
            }
            // What the connection says of it is nothing but that; why it was cut off, the log has.
            attorn_agent::Error::CutOff { .. } => Self::new(error.to_string()).with_help(
                "what came is no whole answer; `attorn audit show` of its decision says why it was cut off, to an auditor",
            ),
            other => Self::of(&other),
        }
    }
}

impl From<attorn_agent::KeyError> for Failure {
    fn from(error: attorn_agent::KeyError) -> Self {
        Self::of(&error)
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::usage(error.to_string()).with_help(error.help())
    }
}

/// What to do when a file is in the way.
const NOT_OVERWRITTEN_HELP: &str = "what is there is never overwritten: name another file, or move that one away";

/// What to do when nobody answers at this URL.
pub(crate) fn unreachable_help(server: &str) -> String {
    if server.starts_with("https://") {
        return format!("{UNREACHABLE_HELP}; a server without TLS, on this machine, has a URL with `http://`");
    }
    UNREACHABLE_HELP.to_owned()
}

/// What to do when nobody is there.
const UNREACHABLE_HELP: &str =
    "is it running (`attorn serve`)? its URL is given by `--server` or ATTORN_URL, else it is http://127.0.0.1:7400";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: impl Into<Failure>, exit: Exit, expect: &str) {
        let failure = failure.into();
        assert_eq!((failure.exit, failure.to_string().as_str()), (exit, expect));
    }

    #[test]
    fn errors_come_with_a_way_out() {
        check(
            "../bot".parse::<attorn_core::AgentId>().unwrap_err(),
            Exit::Usage,
            "error: `../bot` is no agent id: it may not begin with `.`\n\
             help: lower-case letters, digits, `-` and `_`, a letter first, at most 64",
        );
        check(
            Problem::new(ProblemCode::NotFound, "there is no agent `x`").with_help("`attorn agent list`"),
            Exit::Error,
            "error: there is no agent `x` (not_found)\nhelp: `attorn agent list`",
        );
        let internal = Problem { request_id: Some("r1".into()), ..Problem::new(ProblemCode::Internal, "it failed") };
        check(
            internal,
            Exit::Error,
            "error: it failed (internal)\nhelp: the server's log says more under the request id `r1`",
        );
        let damaged = Problem::new(ProblemCode::LogDamaged, "`log/1/x` is missing").with_help("put it back");
        let expect = "error: `log/1/x` is missing (log_damaged)\nhelp: put it back";
        check(damaged, Exit::VerificationFailed, expect);
        for (code, exit) in [(ProblemCode::Denied, Exit::Deny), (ProblemCode::ApprovalNeeded, Exit::Challenge)] {
            check(Problem::new(code, "nothing was sent"), exit, &format!("error: nothing was sent ({code})"));
        }
        let refused = Problem { request_id: Some("r1".into()), ..Problem::new(ProblemCode::KeyTaken, "it is taken") };
        check(refused, Exit::Error, "error: it is taken (key_taken)");
    }

    #[test]
    fn files_that_cannot_be_used_come_with_a_way_out() {
        use attorn_agent::{FileError, KeyError};

        let (path, io) = (Path::new("bot.key"), |kind| std::io::Error::from(kind));
        for (failure, help) in [
            (
                Failure::key_file("use", path, &KeyError::File(FileError::Read(io(ErrorKind::NotFound)))),
                Some("`attorn agent register … --new-key FILE` makes one"),
            ),
            (Failure::key_file("use", path, &FileError::Read(io(ErrorKind::PermissionDenied)).into()), None),
            (Failure::key_file("use", path, &FileError::Exposed(0o644).into()), Some("`chmod 600 bot.key`")),
            (
                Failure::key_file("make", path, &KeyError::Write(io(ErrorKind::AlreadyExists))),
                Some(NOT_OVERWRITTEN_HELP),
            ),
            (Failure::key_file("make", path, &KeyError::Write(io(ErrorKind::StorageFull))), None),
            (Failure::new_file(path, &io(ErrorKind::AlreadyExists)), Some(NOT_OVERWRITTEN_HELP)),
            (
                Failure::new_file(path, &io(ErrorKind::NotFound)),
                Some("the directory that it goes into has to be there"),
            ),
        ] {
            assert_eq!(failure.help.as_deref(), help, "{failure}");
            assert!(failure.message.contains("`bot.key`"), "{failure}");
        }
    }

    #[test]
    fn who_speaks_tls_to_a_server_without_it_is_told() {
        assert!(!unreachable_help("http://127.0.0.1:7400").contains("without TLS"));
        assert!(unreachable_help("https://127.0.0.1:7400").ends_with("has a URL with `http://`"));
    }

    #[test]
    fn what_the_server_says_cannot_drive_the_terminal() {
        let problem = Problem::new(ProblemCode::NotFound, "\u{1b}[2Jgone\u{202e}\r\n");
        check(problem, Exit::Error, "error: \\u{1b}[2Jgone\\u{202e}\\r\\n (not_found)");
    }

    #[test]
    fn sources_are_joined_and_not_repeated() {
        let key = attorn_agent::KeyError::File(attorn_agent::FileError::Read(std::io::Error::other("disk on fire")));
        check(key, Exit::Error, "error: the file cannot be read: disk on fire");
    }
}
