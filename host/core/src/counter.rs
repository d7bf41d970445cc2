//! Counters: for whom they count, over what time, and what an allow charges to them.
//!
//! What a counter has come to is not known here; the store keeps it, and adds in the commit of an allow.

use crate::agent::Agent;
use crate::context::{Delegation, EvaluationContext, User};
use crate::id::{AgentId, Issuer, PolicyId, ReasonCode, SessionId, UserId};
use crate::terms::Debit;
use crate::time::TimeMs;

/// The most that a counter ever comes to, and the most that a debit charges or is held against: 2^53 - 1.
/// Up to here a language whose only numbers are doubles counts exactly, and so do all readers of JSON.
pub const COUNT_MAX: u64 = (1 << 53) - 1;

/// Whom a counter counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CounterScope {
    /// The agent that acts.
    Agent,
    /// The user on whose behalf it acts.
    User,
    /// This agent acting for this user.
    UserAgent,
    /// The delegation at the root of the chain.
    RootDelegation,
    /// The session.
    Session,
}

/// A span of UTC time over which a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CounterWindow {
    /// A calendar minute.
    Minute,
    /// A calendar hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
    /// For ever.
    Total,
}

/// Who exactly a counter counts for: a scope in one context.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CounterSubject {
    /// This agent.
    Agent(AgentId),
    /// This user.
    User(UserId),
    /// This agent acting for this user.
    UserAgent(UserId, AgentId),
    /// What this user delegated to this agent. It is not the delegation's id: a new one of the same user
    /// and agent continues the count.
    RootDelegation(UserId, AgentId),
    /// This session of this provider.
    Session(Issuer, SessionId),
}

/// Where a window begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowSpan {
    /// The first millisecond of it.
    pub start: TimeMs,
    /// The first after it; none for one that never ends.
    pub end: Option<TimeMs>,
}

/// What an allow adds to one counter of one subject, over all debits of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Whose counter it is.
    pub policy: PolicyId,
    /// The counter's name within the policy.
    pub counter: ReasonCode,
    /// For whom it counts.
    pub subject: CounterSubject,
    /// Over what time.
    pub window: CounterWindow,
    /// How much, 1 or more.
    pub amount: u64,
    /// The counter must not pass this: the least that any of the debits says, and [`COUNT_MAX`] at most.
    pub at_most: u64,
}

/// Why debits can never be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchargeable {
    /// A counter counts for somebody who is not there: no user, no delegation, no authentic session.
    WithoutSubject,
    /// What is to be added is more than the counter may ever come to.
    OverLimit,
}

impl CounterScope {
    /// Whom it counts for in this context.
    #[must_use]
    pub fn subject(self, context: &EvaluationContext) -> Option<CounterSubject> {
        self.subject_of(&context.agent, context.user.as_ref(), context.delegations.first())
    }

    /// Whom it counts for when this agent acts for this user, whose own delegation, the first of the chain, is
    /// `root`; none if somebody is missing.
    #[must_use]
    pub fn subject_of(self, agent: &Agent, user: Option<&User>, root: Option<&Delegation>) -> Option<CounterSubject> {
        let (agent, user) = (agent.id.clone(), user.map(|user| (user.id.clone(), user.issuer.clone())));
        Some(match self {
            Self::Agent => CounterSubject::Agent(agent),
            Self::User => CounterSubject::User(user?.0),
            Self::UserAgent => CounterSubject::UserAgent(user?.0, agent),
            Self::RootDelegation => CounterSubject::RootDelegation(user?.0, root?.to_agent.clone()),
            // INVARIANT: a session is the delegation's. What the agent states without one is its claim, and
            // an agent that could choose whom it is counted for would be counted for nobody.
            Self::Session => CounterSubject::Session(user?.1, root?.session.clone()),
        })
    }
}

impl CounterWindow {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The window around a time. One that would end after the end of time does not end.
    #[must_use]
    pub fn around(self, time: TimeMs) -> WindowSpan {
        const DAY_MS: u64 = 24 * 3_600_000;
        let of_length = |ms: u64| {
            let start = time.0 - time.0 % ms;
            WindowSpan { start: TimeMs(start), end: start.checked_add(ms).map(TimeMs) }
        };
        match self {
            Self::Minute => of_length(60_000),
            Self::Hour => of_length(3_600_000),
            Self::Day => of_length(DAY_MS),
            Self::Month => {
                let (year, month) = month_of(time.0 / DAY_MS);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                let start = days_until(year, month).saturating_mul(DAY_MS);
                let end = days_until(next_year, next_month).checked_mul(DAY_MS);
                WindowSpan { start: TimeMs(start), end: end.map(TimeMs) }
            }
            Self::Total => WindowSpan { start: TimeMs(0), end: None },
        }
    }
}

/// Year and month, from 1, of a day since 1970-01-01 in the proleptic Gregorian calendar. Years begin in
/// March here, so that the leap day is the last: see Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.
const fn month_of(day: u64) -> (u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let year = era * 400 + year_of_era;
    if from_march < 10 { (year, from_march + 3) } else { (year + 1, from_march - 9) }
}

/// Days from 1970-01-01 until the first of a month, from 1; the same source, `days_from_civil`.
const fn days_until(year: u64, month: u64) -> u64 {
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// What debits come to, one charge for each counter of each subject. Several debits of one counter add up,
/// under the least of their limits.
///
/// # Errors
///
/// When one of them can never be charged, whatever the counters stand at.
pub fn charges(
    debits: &[Debit],
    subject: impl Fn(CounterScope) -> Option<CounterSubject>,
) -> Result<Vec<Charge>, Unchargeable> {
    let mut charges: Vec<Charge> = Vec::new();
    for debit in debits {
        let Debit { policy, counter, scope, window, amount, at_most } = debit.clone();
        let subject = subject(scope).ok_or(Unchargeable::WithoutSubject)?;
        let same = |charge: &&mut Charge| {
            charge.policy == policy && charge.counter == counter && charge.subject == subject && charge.window == window
        };
        if let Some(charge) = charges.iter_mut().find(same) {
            charge.amount = charge.amount.checked_add(amount).ok_or(Unchargeable::OverLimit)?;
            charge.at_most = charge.at_most.min(at_most);
        } else {
            charges.push(Charge { policy, counter, subject, window, amount, at_most: at_most.min(COUNT_MAX) });
        }
    }
    if charges.iter().all(|charge| charge.amount <= charge.at_most) {
        Ok(charges)
    } else {
        Err(Unchargeable::OverLimit)
    }
}

#[cfg(test)]
#[path = "counter_tests.rs"]
mod tests;
