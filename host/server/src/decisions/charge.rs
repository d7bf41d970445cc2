//! What an allow charges: adds of the commit, and what to make of a counter that has no room for one.

use attorn_core::{Charge, Decision, TimeMs};
use attorn_store::{Add, Batch, Key};

use super::record::Made;

/// A charge that a counter had no room for.
#[derive(Debug, Clone)]
pub(crate) struct Exceeded {
    key: Key,
    pub(super) charge: Charge,
    /// What the counter was found at.
    pub(super) found: u64,
}

/// Where a charge goes.
fn key(charge: &Charge, now: TimeMs) -> Key {
    let start = charge.window.around(now).start;
    Key::counter(&charge.policy, &charge.counter, &charge.subject, charge.window, start)
}

/// Add all charges to the batch of their decision. The counters of a window are removed some time after it
/// has ended.
pub(super) fn add(batch: &mut Batch, charges: &[Charge]) {
    for charge in charges {
        let key = key(charge, batch.now);
        // No charge is beyond `COUNT_MAX`. One that were would be beyond its limit, too, and be refused.
        let delta = i64::try_from(charge.amount).unwrap_or(i64::MAX);
        batch.add.push(Add { key: key.clone(), delta, at_most: charge.at_most });
        if let Some(end) = charge.window.around(batch.now).end {
            batch.put.push((Key::expiry(end, &key), Vec::new()));
        }
    }
}

/// Whether there is room for all that this decision charges, as the counters were found. Only the commit
/// says it for certain.
pub(crate) fn has_room(made: &Made) -> bool {
    let Decision::Allow(allowed) = &made.decision else { return true };
    allowed.charges().iter().all(|charge| {
        let asked = made.asked.iter().zip(&made.looked_up.known);
        let mut of_policy = asked.filter(|(asked, _)| asked.evaluated.policy == charge.policy);
        let counters = of_policy.next().map_or(&[][..], |(_, known)| &known.counters);
        let used = counters.iter().find(|counter| counter.name == charge.counter).map_or(0, |counter| counter.used);
        used.checked_add(charge.amount).is_some_and(|sum| sum <= charge.at_most)
    })
}

/// What this decision charges to the counter of this key, which was found at `found`.
pub(super) fn exceeded(made: &Made, limit: Key, found: u64) -> Option<Exceeded> {
    let Decision::Allow(allowed) = &made.decision else { return None };
    let charge = allowed.charges().iter().find(|charge| key(charge, made.now) == limit)?;
    Some(Exceeded { key: limit, charge: charge.clone(), found })
}

impl Exceeded {
    /// Whether evaluating again can change nothing: the policy was asked with this very value, or wants the
    /// same again, as it did `before`, although the counter only grows. So nobody is denied while there is
    /// room.
    pub(super) fn is_final(&self, made: &Made, before: Option<&Self>) -> bool {
        let Self { key, charge, found } = self;
        let seen = made.asked.iter().zip(&made.looked_up.known).any(|(asked, known)| {
            asked.evaluated.policy == charge.policy
                && known.counters.iter().any(|counter| counter.name == charge.counter && counter.used == *found)
        });
        seen || before.is_some_and(|before| before.key == *key && before.charge == *charge)
    }
}
