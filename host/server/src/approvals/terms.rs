//! The terms on which something was approved, as they are kept with it: a yes to one use for 5 EUR is none to a hundred,
//! or for 50 EUR.
//!
//! Nobody is granted anything by what is kept here. It is compared with what would be granted now, and no more.

use std::collections::BTreeMap;

use attorn_core::{Digest, Terms};
use serde::{Deserialize, Serialize};

use crate::decisions::digests::scope_name;

/// Of how many counters each charge is kept. Of the others there is a digest.
const CHARGES_MAX: usize = 64;

/// The terms of a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptTerms {
    grant_ms_max: u64,
    uses_max: u32,
    /// What is charged to each counter in all, and what that must not pass. Texts, for they may have 64 bits.
    charges: BTreeMap<String, (String, String)>,
    /// The digest of those that have no room.
    rest: Option<String>,
}

impl KeptTerms {
    pub(super) fn of(terms: &Terms) -> Self {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for debit in &terms.debits {
            let counter =
                [debit.policy.as_str(), debit.counter.as_str(), scope_name(debit.scope), debit.window.as_str()];
            let sum = sums.entry(counter.join(" ")).or_insert((0, u64::MAX));
            *sum = (sum.0.saturating_add(debit.amount), sum.1.min(debit.at_most));
        }
        let texts = |(name, (amount, at_most)): (String, (u64, u64))| (name, (amount.to_string(), at_most.to_string()));
        let mut all = sums.into_iter().map(texts);
        let charges: BTreeMap<_, _> = all.by_ref().take(CHARGES_MAX).collect();
        let mut hasher = blake3::Hasher::new_derive_key("attorn approved charges v1");
        let mut more = false;
        for (name, (amount, at_most)) in all {
            more = true;
            for part in [name, amount, at_most] {
                hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
            }
        }
        let rest = more.then(|| Digest::from_bytes(*hasher.finalize().as_bytes()).to_string());
        Self { grant_ms_max: terms.grant_ms_max, uses_max: terms.uses_max, charges, rest }
    }

    /// Whether nothing is granted and nothing charged on these terms that is not on the ones that are kept.
    pub(super) fn cover(&self, now: &Terms) -> bool {
        let now = Self::of(now);
        let number = |text: &String| text.parse::<u64>().ok();
        let no_more =
            |one: &String, kept: &String| matches!((number(one), number(kept)), (Some(one), Some(kept)) if one <= kept);
        let charges_no_more = now.charges.iter().all(|(counter, (amount, at_most))| {
            let kept = self.charges.get(counter);
            kept.is_some_and(|kept| no_more(amount, &kept.0) && no_more(at_most, &kept.1))
        });
        let grants_no_more = now.grant_ms_max <= self.grant_ms_max && now.uses_max <= self.uses_max;
        grants_no_more && charges_no_more && now.rest == self.rest
    }
}

#[cfg(test)]
mod tests {
    use attorn_core::{CounterScope, CounterWindow, Debit};

    use super::*;

    fn debit(counter: &str, amount: u64, at_most: u64) -> Debit {
        let (policy, counter) = ("spend".parse().unwrap(), counter.parse().unwrap());
        Debit { policy, counter, scope: CounterScope::Agent, window: CounterWindow::Day, amount, at_most }
    }

    fn terms(grant_ms_max: u64, uses_max: u32, debits: Vec<Debit>) -> Terms {
        Terms { debits, ..Terms::new(grant_ms_max, uses_max) }
    }

    #[test]
    fn less_is_covered_and_more_of_anything_is_not() {
        let approved = || terms(1_000, 2, vec![debit("eur", 5, 100)]);
        let of = |debits| terms(1_000, 2, debits);
        let other = |change: fn(&mut Debit)| {
            let mut debit = debit("eur", 5, 100);
            change(&mut debit);
            of(vec![debit])
        };
        for (now, covered) in [
            (approved(), true),
            (terms(999, 1, vec![debit("eur", 4, 99)]), true),
            (of(vec![]), true),
            (of(vec![debit("eur", 2, 100), debit("eur", 3, 100)]), true),
            (terms(1_001, 2, vec![debit("eur", 5, 100)]), false),
            (terms(1_000, 3, vec![debit("eur", 5, 100)]), false),
            (of(vec![debit("eur", 6, 100)]), false),
            (of(vec![debit("eur", 5, 101)]), false),
            (of(vec![debit("eur", 3, 100), debit("eur", 3, 100)]), false),
            (of(vec![debit("usd", 5, 100)]), false),
            (of(vec![debit("eur", 5, 100), debit("usd", 1, 1)]), false),
            (other(|debit| debit.policy = "other".parse().unwrap()), false),
            (other(|debit| debit.scope = CounterScope::User), false),
            (other(|debit| debit.window = CounterWindow::Total), false),
        ] {
            assert_eq!(KeptTerms::of(&approved()).cover(&now), covered, "{now:?}");
        }
    }

    #[test]
    fn what_has_no_room_has_to_be_the_very_same() {
        let many = |last: u64| {
            terms(1_000, 2, (0..70).map(|n| debit(&format!("c{n:02}"), if n == 69 { last } else { 1 }, 100)).collect())
        };
        let kept = KeptTerms::of(&many(5));
        assert!(kept.cover(&many(5)) && !kept.cover(&many(6)) && !kept.cover(&many(4)));
        assert!(serde_json::to_string(&kept).unwrap().len() < 8 << 10);
    }
}
