//! What becomes of a prompt when something came of it: pure, so that every way is a row of a test.
//!
//! A prompt goes on until the user said yes or no, the provider said that it will not do, or its time is over. A provider
//! that is slow, away, or says `slow_down` for ever is asked on, ever more rarely, and gains nobody a yes.

use attorn_broker::backoff::Backoff;
use attorn_core::reason::HostReason;
use attorn_core::{Say, TimeMs};
use attorn_store::records::{PromptRecord, Sealed};

use super::problem::Problem;
use super::protocol::{self, Started};

/// How long a question may be on its way before it is taken for lost: longer than putting one takes.
const QUESTION_MS: u64 = 30_000;
/// How often the user may be asked for one approval, where nobody knows whether the question arrived.
const STARTS_MAX: u32 = 2;
/// How long until the next attempt after one that failed.
const WAIT: Backoff = Backoff { first_ms: 1_000, most_ms: 30_000 };

/// What a poll came to, when its ID token was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The user has not answered.
    Pending,
    /// Neither have they, and polls come too often.
    SlowDown,
    /// They said no.
    Refused,
    /// They said yes.
    Approved,
    /// They did not answer in time.
    Expired,
    /// Something else.
    Failed(Problem),
}

/// What becomes of a prompt that nobody has answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on like this.
    On(PromptRecord),
    /// It ends.
    Ends(End),
}

/// What becomes of a prompt after a poll.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Polled {
    /// The user said this.
    Said(Say),
    /// Nothing yet, or nothing any more.
    Step(Step),
}

/// Why a prompt ends without a vote of the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its time is over.
    Expired,
    /// It will not come to anything.
    Failed(Problem),
    /// What is asked for would be denied, whatever the user says.
    Denied(HostReason),
    /// The user answered, and the approval did not wait for that any more.
    InVain,
}

impl End {
    /// A stable code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Failed(problem) => problem.code(),
            Self::Denied(reason) => reason.code(),
            Self::InVain => "answered_in_vain",
        }
    }
}

/// The same prompt, whose question is on its way. It is recorded before anything is sent.
pub(super) fn asking(prompt: &PromptRecord, now: TimeMs) -> PromptRecord {
    let due_at = now.plus_ms(QUESTION_MS);
    PromptRecord { starts: prompt.starts + 1, started_at: now, due_at, ..prompt.clone() }
}

/// Whether the question may be put once more: whoever was asked too often is not pushed until they say yes.
pub(super) const fn may_ask(prompt: &PromptRecord) -> bool {
    prompt.starts < STARTS_MAX
}

/// What becomes of it when the question could not even be put.
pub(super) fn not_asked(prompt: &PromptRecord, now: TimeMs, problem: Problem, random: u64) -> Step {
    if problem.is_temporary() { later(prompt, now, random) } else { Step::Ends(End::Failed(problem)) }
}

/// What becomes of it when the provider has answered the question; what it said is sealed already.
pub(super) fn asked(prompt: &PromptRecord, now: TimeMs, started: &Started, sealed: Sealed) -> Step {
    let interval_ms = started.interval_s.saturating_mul(1_000);
    let over = now.plus_ms(started.expires_in_s.saturating_mul(1_000));
    let expires_at = prompt.expires_at.min(over);
    let next = PromptRecord { started: Some(sealed), interval_ms, failures: 0, expires_at, ..prompt.clone() };
    due(next, now, interval_ms)
}

/// What becomes of it when it was polled for.
pub(super) fn polled(prompt: &PromptRecord, now: TimeMs, came: Heard, random: u64) -> Polled {
    let calm = || PromptRecord { failures: 0, ..prompt.clone() };
    let step = match came {
        Heard::Refused => return Polled::Said(Say::Refuse),
        Heard::Approved => return Polled::Said(Say::Approve),
        // A provider may hold a poll back until the user has answered, for longer than anybody waits here.
        Heard::Pending | Heard::Failed(Problem::TimedOut) => due(calm(), now, prompt.interval_ms),
        Heard::SlowDown => {
            let interval_ms = protocol::slower(prompt.interval_ms / 1_000).saturating_mul(1_000);
            due(PromptRecord { interval_ms, ..calm() }, now, interval_ms)
        }
        Heard::Expired => Step::Ends(End::Expired),
        Heard::Failed(problem) if problem.is_temporary() => later(prompt, now, random),
        Heard::Failed(problem) => Step::Ends(End::Failed(problem)),
    };
    Polled::Step(step)
}

fn later(prompt: &PromptRecord, now: TimeMs, random: u64) -> Step {
    let failures = prompt.failures.saturating_add(1);
    let wait_ms = WAIT.wait_ms(failures, random).max(prompt.interval_ms);
    due(PromptRecord { failures, ..prompt.clone() }, now, wait_ms)
}

/// When its time is over it is due in any case, to be closed.
fn due(prompt: PromptRecord, now: TimeMs, wait_ms: u64) -> Step {
    if now >= prompt.expires_at {
        return Step::Ends(End::Expired);
    }
    let due_at = now.plus_ms(wait_ms).min(prompt.expires_at);
    Step::On(PromptRecord { due_at, ..prompt })
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
