//! What a policy wrote to its log. It is bounded, and the policy can read none of it back.

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// What it says. The policy wrote it: escape it where it is shown.
    pub message: String,
}

/// How much a message matters to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For whoever debugs the policy.
    Debug,
    /// For whoever operates it.
    Info,
    /// Something is odd, and the policy went on.
    Warn,
    /// Something is wrong.
    Error,
}

impl LogLevel {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The log of one evaluation. The first message that does not fit closes it, so that what is kept is
/// always the beginning.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    lines: Vec<LogLine>,
    bytes_left: u64,
    closed: bool,
}

impl LogBuffer {
    /// What a message costs beside its own bytes, so that empty ones are bounded too.
    const LINE_BYTES: u64 = 16;

    pub(crate) const fn new(bytes_max: u64) -> Self {
        Self { lines: Vec::new(), bytes_left: bytes_max, closed: false }
    }

    /// How long the next message may be, if there may be one.
    pub(crate) fn room(&self) -> Option<u64> {
        if self.closed { None } else { self.bytes_left.checked_sub(Self::LINE_BYTES) }
    }

    /// Append a message, or close the log if it does not fit.
    pub(crate) fn write(&mut self, level: LogLevel, message: Option<String>) {
        let fitting = self.room().zip(message).filter(|(room, message)| message.len() as u64 <= *room);
        match fitting {
            Some((room, message)) => {
                self.bytes_left = room - message.len() as u64;
                self.lines.push(LogLine { level, message });
            }
            None => self.closed = true,
        }
    }

    /// The lines, and whether any were dropped.
    pub(crate) fn into_parts(self) -> (Vec<LogLine>, bool) {
        (self.lines, self.closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes_max: u64, messages: &[&str], kept: usize) {
        let mut log = LogBuffer::new(bytes_max);
        for message in messages {
            log.write(LogLevel::Info, Some((*message).to_owned()));
        }
        let (lines, dropped) = log.into_parts();
        assert_eq!(lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), messages[..kept]);
        assert_eq!(dropped, kept < messages.len());
    }

    #[test]
    fn the_first_message_that_does_not_fit_closes_it() {
        check(0, &[""], 0);
        check(16, &["", ""], 1);
        check(40, &["12345678", ""], 2);
        check(40, &["123456789", ""], 1);
        check(100, &["a", &"b".repeat(99), "c"], 1);
        check(1_000, &["a", "b", "c"], 3);
    }
}
