//! Policies that time out again and again: they are not asked for a while, which denies at once.
//!
//! It is counted per version of a policy and agent, so that an agent whose requests take a policy too long
//! gets nobody else denied. Only CPU time counts: a busy machine is no policy's fault. A pause begins with
//! an entry of the audit log; what was counted is in memory only, and a restart forgets it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use attorn_core::{AgentId, Failure as PolicyFailure, Outcome, PolicyId, TimeMs};
use attorn_engine::Evaluation;

use crate::active::ActivePolicy;

/// How many evaluations in a row run out of CPU time before the policy is not asked any more.
const IN_A_ROW_MAX: u32 = 8;
/// How long the first pause lasts. Each that follows without an answer in between lasts twice as long.
const PAUSE_MS: u64 = 10_000;
/// How long the longest lasts.
const PAUSE_MS_MAX: u64 = 320_000;
/// How many policies and agents are kept account of. What timed out longest ago is forgotten first.
const KEPT_MAX: usize = 4_096;

/// Who is not asked for whom.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// How many are kept, so that nobody takes the lock where nothing ever timed out.
    kept: AtomicUsize,
    accounts: Mutex<BTreeMap<Key, Account>>,
}

type Key = (PolicyId, u32, AgentId);

#[derive(Debug, Clone, Copy)]
struct Account {
    in_a_row: u32,
    last: TimeMs,
    /// How long the latest pause lasts, and until when; 0 before the first.
    pause_ms: u64,
    until: TimeMs,
}

impl Pauses {
    /// Until when this policy is not asked for this agent; none if it is asked.
    pub(crate) fn until(&self, policy: &ActivePolicy, agent: &AgentId, now: TimeMs) -> Option<TimeMs> {
        if self.kept.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let until = self.lock().get(&key(policy, agent)).map(|account| account.until);
        until.filter(|until| now < *until)
    }

    /// The policy was asked for this agent. If a pause begins with that, until when it lasts.
    pub(crate) fn observe(
        &self,
        policy: &ActivePolicy,
        agent: &AgentId,
        evaluation: &Evaluation,
        now: TimeMs,
    ) -> Option<TimeMs> {
        let out_of_time = match evaluation.outcome {
            Outcome::Failed(PolicyFailure::Deadline) => {
                // Who waited too long, or was not run at all, says nothing about the policy.
                if evaluation.usage.cpu_us < policy.record.limits.cpu_us_max {
                    return None;
                }
                true
            }
            Outcome::Failed(PolicyFailure::NotRunnable | PolicyFailure::Paused) => return None,
            Outcome::Verdict(_) | Outcome::Failed(_) => false,
        };
        if !out_of_time && self.kept.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.count(key(policy, agent), out_of_time, now)
    }

    fn count(&self, key: Key, out_of_time: bool, now: TimeMs) -> Option<TimeMs> {
        let mut accounts = self.lock();
        let begun = if out_of_time {
            make_room(&mut accounts, &key);
            let none = Account { in_a_row: 0, last: now, pause_ms: 0, until: TimeMs(0) };
            let account = accounts.entry(key).or_insert(none);
            account.in_a_row = account.in_a_row.saturating_add(1);
            account.last = now;
            // Whoever was asked before the pause began may answer while it lasts.
            (account.in_a_row >= IN_A_ROW_MAX && account.until <= now).then(|| {
                account.pause_ms = account.pause_ms.saturating_mul(2).clamp(PAUSE_MS, PAUSE_MS_MAX);
                account.until = now.plus_ms(account.pause_ms);
                account.until
            })
        } else {
            // What was asked before the pause began does not end it.
            if accounts.get(&key).is_some_and(|account| account.until <= now) {
                accounts.remove(&key);
            }
            None
        };
        self.kept.store(accounts.len(), Ordering::Relaxed);
        begun
    }

    /// For whom this version is not asked now, by agent, at most so many.
    pub(crate) fn of(&self, policy: &PolicyId, version: u32, now: TimeMs, max: usize) -> Vec<(AgentId, TimeMs)> {
        let accounts = self.lock();
        let of_version = accounts.iter().filter(|((id, number, _), _)| id == policy && *number == version);
        let paused = of_version.filter(|(_, account)| now < account.until);
        paused.map(|((_, _, agent), account)| (agent.clone(), account.until)).take(max).collect()
    }

    /// How many policies are not asked now, each counted for every agent that it is not asked for.
    pub(crate) fn count_now(&self, now: TimeMs) -> usize {
        self.lock().values().filter(|account| now < account.until).count()
    }

    /// Ask all again: nobody can say any more how long a pause lasts, where time is set back.
    pub(crate) fn forget(&self) {
        let mut accounts = self.lock();
        accounts.clear();
        self.kept.store(0, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(policy: &ActivePolicy, agent: &AgentId) -> Key {
    (policy.record.policy.clone(), policy.record.version, agent.clone())
}

fn make_room(accounts: &mut BTreeMap<Key, Account>, for_key: &Key) {
    if accounts.len() < KEPT_MAX || accounts.contains_key(for_key) {
        return;
    }
    let oldest = accounts.iter().min_by_key(|(_, account)| account.last).map(|(key, _)| key.clone());
    oldest.map(|key| accounts.remove(&key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(agent: &str) -> Key {
        ("p".parse().unwrap(), 1, agent.parse().unwrap())
    }

    fn now(ms: u64) -> TimeMs {
        TimeMs(1_000_000 + ms)
    }

    /// Time out so often in a row, and say when a pause began.
    fn time_out(pauses: &Pauses, agent: &str, times: u32, at: u64) -> Vec<Option<TimeMs>> {
        (0..times).map(|_| pauses.count(key(agent), true, now(at))).collect()
    }

    #[test]
    fn a_pause_begins_after_so_many_in_a_row_and_doubles() {
        let pauses = Pauses::default();
        assert_eq!(time_out(&pauses, "a", IN_A_ROW_MAX - 1, 0), vec![None; IN_A_ROW_MAX as usize - 1]);
        assert_eq!(time_out(&pauses, "a", 2, 0), [Some(now(PAUSE_MS)), None], "it begins once");
        let mut at = 0;
        for pause_ms in [20_000, 40_000, 80_000, 160_000, 320_000, 320_000] {
            at += 1_000_000;
            assert_eq!(time_out(&pauses, "a", 1, at), [Some(now(at + pause_ms))]);
        }
        assert_eq!(pauses.count_now(now(at)), 1);
        assert_eq!(pauses.count_now(now(at + PAUSE_MS_MAX)), 0);
    }

    #[test]
    fn an_answer_ends_the_count_and_nobody_pays_for_another() {
        let pauses = Pauses::default();
        for _ in 0..10 {
            time_out(&pauses, "a", IN_A_ROW_MAX - 1, 0);
            assert_eq!(pauses.count(key("a"), false, now(0)), None);
        }
        time_out(&pauses, "a", IN_A_ROW_MAX, 0);
        assert_eq!(pauses.count(key("a"), false, now(1)), None, "a late answer does not end the pause");
        let of_first = pauses.of(&"p".parse().unwrap(), 1, now(0), 16);
        assert_eq!(of_first, [("a".parse().unwrap(), now(PAUSE_MS))]);
        assert!(pauses.of(&"p".parse().unwrap(), 2, now(0), 16).is_empty());
        assert_eq!(time_out(&pauses, "b", 1, 0), [None]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes() {
        let pauses = Pauses::default();
        time_out(&pauses, "first", IN_A_ROW_MAX, 0);
        for n in 1..=KEPT_MAX {
            time_out(&pauses, &format!("a{n}"), 1, n as u64);
        }
        assert_eq!(pauses.lock().len(), KEPT_MAX);
        assert_eq!(pauses.count_now(now(0)), 0);
    }
}
