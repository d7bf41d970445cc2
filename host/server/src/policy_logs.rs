//! `GET /v1/policy-logs`: what policies wrote to their logs in recent decisions, shadow policies too.
//!
//! It is kept in memory only, and not for long: the newest lines, up to a number and a size. A policy that
//! writes much pushes out what others wrote, and whoever reads on is told how many lines they missed. What
//! is to be kept stands in the decision records.
//!
//! What was written about a user goes with the user: it is forgotten before their erasure is answered, and nobody writes
//! any more of them afterwards, as whoever does ([`PolicyLogs::writing`]) looks first whether they are still there.
//!
//! Who may read it is an auditor, as with those records: a policy can write down what it was asked about,
//! so whoever pushes policies would otherwise read requests without the duty for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attorn_api::policy_logs as api;
use attorn_core::{DecisionId, PolicyId, TimeMs, UserId};
use attorn_engine::{LogLevel, LogLine};
use attorn_store::Key;

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

/// How many lines are kept.
const LINES_MAX: usize = 4_096;
/// How many bytes all of them have at most, with what each takes beside its message.
const BYTES_MAX: usize = 1 << 20;
/// What a line takes beside its message.
const LINE_BYTES: usize = 128;
/// How many numbers of lines there are for each millisecond that the server runs: more than are written,
/// so that a run's numbers are greater than those of the runs before, and few enough for every JSON parser.
const NUMBERS_PER_MS: u64 = 1_000;

/// The newest lines of all policies.
pub(crate) struct PolicyLogs {
    ring: Mutex<Ring>,
    /// Held shared by whoever writes about a user, from before they look whether the user is there, and alone by whoever
    /// forgets one.
    writing: tokio::sync::RwLock<()>,
}

struct Ring {
    lines: VecDeque<Kept>,
    bytes: usize,
    /// The number of the first line of this run.
    first: u64,
    /// The number of the next line.
    next: u64,
}

struct Kept {
    time: TimeMs,
    policy: PolicyId,
    version: u32,
    decision: DecisionId,
    /// On whose behalf it was asked for.
    user: Option<UserId>,
    line: LogLine,
}

/// What stands in the place of what was written about a user who was erased.
const ERASED: &str = "(its user was erased)";

impl PolicyLogs {
    pub(crate) fn new(started: TimeMs) -> Self {
        let first = started.0.saturating_mul(NUMBERS_PER_MS);
        let ring = Ring { lines: VecDeque::new(), bytes: 0, first, next: first };
        Self { ring: Mutex::new(ring), writing: tokio::sync::RwLock::default() }
    }

    /// To be held by whoever writes about a user, while they look whether the user is there and write.
    pub(crate) async fn writing(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.writing.read().await
    }

    /// Keep what a policy wrote when it was asked about a decision that is recorded.
    pub(crate) fn keep(
        &self,
        time: TimeMs,
        (policy, version): (&PolicyId, u32),
        (decision, user): (DecisionId, Option<&UserId>),
        log: &[LogLine],
    ) {
        if log.is_empty() {
            return;
        }
        let mut ring = self.lock();
        for line in log {
            let (policy, user) = (policy.clone(), user.cloned());
            ring.push(Kept { time, policy, version, decision, user, line: line.clone() });
        }
    }

    /// Forget what was written about a user who is not there any more. The lines keep their numbers.
    pub(crate) async fn forget(&self, user: &UserId) {
        // Whoever found them there is done first.
        let _alone = self.writing.write().await;
        let ring = &mut *self.lock();
        for kept in ring.lines.iter_mut().filter(|kept| kept.user.as_ref() == Some(user)) {
            ring.bytes -= kept.bytes();
            (kept.line.message, kept.user) = (ERASED.to_owned(), None);
            ring.bytes += kept.bytes();
        }
    }

    /// The lines after this number, of this policy or of all.
    fn page(&self, after: Option<u64>, policy: Option<&PolicyId>, limit: usize) -> api::PolicyLogList {
        let ring = self.lock();
        let oldest = ring.oldest();
        let (from, lost, restarted) = match after {
            None => (oldest, 0, false),
            Some(after) if after >= ring.next || after.saturating_add(1) < ring.first => {
                (oldest, oldest - ring.first, true)
            }
            Some(after) => (oldest.max(after + 1), oldest.saturating_sub(after + 1), false),
        };
        let mut page =
            api::PolicyLogList { lines: Vec::new(), lost, restarted, next: ring.next.saturating_sub(1), more: false };
        for (sequence, kept) in (oldest..).zip(&ring.lines) {
            if sequence < from || policy.is_some_and(|policy| kept.policy != *policy) {
                continue;
            }
            if page.lines.len() == limit {
                page.more = true;
                page.next = page.lines.last().map_or(page.next, |line| line.sequence);
                break;
            }
            page.lines.push(kept.shown(sequence));
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing in here panics while it holds the lock.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The number of the oldest line that is kept.
    fn oldest(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    fn push(&mut self, kept: Kept) {
        self.bytes += kept.bytes();
        self.next += 1;
        self.lines.push_back(kept);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.line.message.len() + self.policy.as_str().len() + LINE_BYTES
    }

    fn shown(&self, sequence: u64) -> api::PolicyLogLine {
        api::PolicyLogLine {
            sequence,
            time_ms: self.time.0,
            policy: self.policy.to_string(),
            version: self.version,
            level: match self.line.level {
                LogLevel::Debug => api::LogLevel::Debug,
                LogLevel::Info => api::LogLevel::Info,
                LogLevel::Warn => api::LogLevel::Warn,
                LogLevel::Error => api::LogLevel::Error,
            },
            decision_id: self.decision.to_string(),
            message: self.line.message.clone(),
        }
    }
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (policy, after) = (call.query::<PolicyId>("policy")?, call.query::<u64>("after")?);
    if let Some(policy) = &policy
        && app.store.get(&Key::policy(policy)).await?.is_none()
    {
        return Err(Failure::not_found("policy", policy));
    }
    Reply::ok(&app.policy_logs.page(after, policy.as_ref(), call.limit()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 7_000;

    fn logs() -> PolicyLogs {
        PolicyLogs::new(TimeMs(FIRST / NUMBERS_PER_MS))
    }

    fn write(logs: &PolicyLogs, policy: &str, messages: &[&str]) {
        let line = |message: &&str| LogLine { level: LogLevel::Warn, message: (*message).to_owned() };
        let lines: Vec<LogLine> = messages.iter().map(line).collect();
        logs.keep(TimeMs(9), (&policy.parse().unwrap(), 3), (DecisionId::from_random([7; 16]), None), &lines);
    }

    /// What a page has: the lines' numbers from the first of the run, `lost`, `restarted`, `next`, `more`.
    #[track_caller]
    fn check(
        logs: &PolicyLogs,
        (after, policy, limit): (Option<u64>, Option<&str>, usize),
        numbers: &[u64],
        rest: (u64, bool, u64, bool),
    ) {
        let policy: Option<PolicyId> = policy.map(|policy| policy.parse().unwrap());
        let page = logs.page(after.map(|after| after.wrapping_add(FIRST)), policy.as_ref(), limit);
        let found: Vec<u64> = page.lines.iter().map(|line| line.sequence - FIRST).collect();
        assert_eq!((found.as_slice(), page.lost, page.restarted, page.more), (numbers, rest.0, rest.1, rest.3));
        assert_eq!(page.next.wrapping_sub(FIRST), rest.2);
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        const BEFORE: u64 = u64::MAX;
        let logs = logs();
        check(&logs, (None, None, 9), &[], (0, false, BEFORE, false));
        check(&logs, (Some(BEFORE), None, 9), &[], (0, false, BEFORE, false));
        write(&logs, "a", &["0", "1"]);
        write(&logs, "b", &["2"]);
        write(&logs, "a", &["3"]);
        check(&logs, (None, None, 9), &[0, 1, 2, 3], (0, false, 3, false));
        check(&logs, (Some(BEFORE), None, 2), &[0, 1], (0, false, 1, true));
        check(&logs, (Some(1), None, 2), &[2, 3], (0, false, 3, false));
        check(&logs, (Some(3), None, 2), &[], (0, false, 3, false));
        check(&logs, (None, Some("a"), 2), &[0, 1], (0, false, 1, true));
        check(&logs, (Some(1), Some("a"), 2), &[3], (0, false, 3, false));
        check(&logs, (None, Some("b"), 1), &[2], (0, false, 3, false));
        check(&logs, (None, Some("c"), 1), &[], (0, false, 3, false));
    }

    #[test]
    fn a_number_of_another_run_is_noticed() {
        let logs = logs();
        write(&logs, "a", &["0"]);
        for after in [0_u64, 1, FIRST - 2, FIRST + 1, u64::MAX] {
            check(&logs, (Some(after.wrapping_sub(FIRST)), None, 9), &[0], (0, true, 0, false));
        }
    }

    #[test]
    fn the_oldest_lines_go_first_and_are_missed() {
        let logs = logs();
        for _ in 0..LINES_MAX + 2 {
            write(&logs, "a", &["x"]);
        }
        let last = LINES_MAX as u64 + 1;
        check(&logs, (None, None, 1), &[2], (0, false, 2, true));
        check(&logs, (Some(0), None, 1), &[2], (1, false, 2, true));
        check(&logs, (Some(1), None, 1), &[2], (0, false, 2, true));
        check(&logs, (Some(last - 1), None, 1), &[last], (0, false, last, false));
    }

    /// How many bytes and lines are kept.
    fn held(logs: &PolicyLogs) -> (usize, usize) {
        let kept = logs.lock();
        (kept.bytes, kept.lines.len())
    }

    #[test]
    fn bytes_are_bounded_and_counted_back() {
        let logs = logs();
        let quarter = "x".repeat(BYTES_MAX / 4 - LINE_BYTES - 1);
        write(&logs, "a", &[quarter.as_str(); 4]);
        assert_eq!(held(&logs), (BYTES_MAX, 4));
        write(&logs, "a", &[""]);
        assert_eq!(logs.lock().lines.len(), 4);
        check(&logs, (Some(0), None, 1), &[1], (0, false, 1, true));
        // One that has no room at all leaves nothing, and is missed like the others.
        write(&logs, "a", &["x".repeat(BYTES_MAX).as_str()]);
        assert_eq!(held(&logs), (0, 0));
        check(&logs, (Some(0), None, 1), &[], (5, false, 5, false));
        write(&logs, "b", &["y"]);
        check(&logs, (Some(0), None, 1), &[6], (5, false, 6, false));
    }

    #[tokio::test]
    async fn what_was_written_about_an_erased_user_is_forgotten_and_nothing_else() {
        let logs = logs();
        let users: [Option<UserId>; 3] = [None, Some("usr_1".parse().unwrap()), Some("usr_2".parse().unwrap())];
        for user in &users {
            let line = LogLine { level: LogLevel::Warn, message: "x".repeat(99) };
            logs.keep(
                TimeMs(9),
                (&"a".parse().unwrap(), 3),
                (DecisionId::from_random([7; 16]), user.as_ref()),
                &[line],
            );
        }
        // Whoever is about to write about them does so before, and not after.
        let writing = logs.writing().await;
        let user = users[1].clone().unwrap();
        let mut forgetting = std::pin::pin!(logs.forget(&user));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(forgetting.as_mut().poll(&mut context).is_pending());
        drop(writing);
        forgetting.await;
        let lines = logs.page(None, None, 9).lines;
        let kept: Vec<_> = lines.iter().map(|line| line.message.len() == 99).collect();
        assert_eq!(kept, [true, false, true]);
        assert_eq!(lines[1].message, ERASED);
        assert_eq!(held(&logs).0, logs.lock().lines.iter().map(Kept::bytes).sum::<usize>());
    }

    #[test]
    fn a_line_says_all_that_is_known_of_it() {
        let logs = logs();
        write(&logs, "a", &["odd"]);
        let page = serde_json::to_value(logs.page(None, None, 1)).unwrap();
        let line = serde_json::json!({ "sequence": FIRST, "time_ms": 9, "policy": "a", "version": 3, "level": "warn",
            "decision_id": "dec_07070707070707070707070707070707", "message": "odd" });
        assert_eq!(page["lines"], serde_json::json!([line]));
    }
}
