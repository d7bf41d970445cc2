//! For how long nobody is asked again: somebody said no to it, or the user was asked at their provider and said nothing.
//!
//! What a hold is of ([`crate::decisions::digests::asked_of`]) leaves out all that a request says of itself, such as arguments and claims:
//! whoever is told no and changes a byte asks for the same. Each hold is twice as long as the one before, up to a bound.
//! Nothing is written when something lapses; that nobody answered is found when the next is to be asked, and written
//! then.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use attorn_core::{ApprovalId, ApprovalState, Digest, TimeMs};
use attorn_store::records::{ApprovalHoldRecord, ApprovalRecord, HoldReason, Record as _};
use attorn_store::{Batch, CommitError, Key, Require, Versioned};

use super::{ApprovalLimits, has_user_vote};
use crate::app::App;
use crate::http::failure::Failure;

/// How often it is noted anew that a user is asked, because somebody voted meanwhile.
const ATTEMPTS_MAX: usize = 8;
/// How long after a hold the next one counts as one more in a row: a day.
const REMEMBERED_MS: u64 = 24 * 3_600 * 1_000;

/// Holds as they are, and what they become with what is found to have lapsed.
#[derive(Default)]
pub(super) struct Holds {
    found: BTreeMap<Digest, Option<Versioned<ApprovalHoldRecord>>>,
    next: BTreeMap<Digest, ApprovalHoldRecord>,
}

impl Holds {
    /// Those of what is to be asked, and of what was asked and lapsed.
    pub(super) async fn of(app: &App, asked_of: Digest, lapsed: &[&ApprovalRecord]) -> Result<Self, Failure> {
        let mut holds = Self::default();
        holds.read(app, asked_of).await?;
        // The one that lapsed last says until when; of several at once each counts no more than all of them.
        let mut silent: BTreeMap<Digest, &ApprovalRecord> = BTreeMap::new();
        for one in lapsed.iter().filter(|one| is_unanswered(one)) {
            let last = silent.entry(one.asked_of).or_insert(one);
            if last.request.expires_at < one.request.expires_at {
                *last = one;
            }
        }
        for (asked_of, one) in silent {
            holds.read(app, asked_of).await?;
            let before = holds.found.get(&asked_of).and_then(Option::as_ref).map(|found| &found.value);
            let because = (HoldReason::Unanswered, one.request.id);
            let next = after(before, (asked_of, because), one.request.expires_at, app.approvals);
            holds.next.insert(asked_of, next);
        }
        Ok(holds)
    }

    async fn read(&mut self, app: &App, asked_of: Digest) -> Result<(), Failure> {
        if let Entry::Vacant(place) = self.found.entry(asked_of) {
            place.insert(app.store.record::<ApprovalHoldRecord>(&Key::approval_hold(&asked_of)).await?);
        }
        Ok(())
    }

    /// Whether nobody is asked for this now, and why.
    pub(super) fn on(&self, app: &App, asked_of: &Digest, now: TimeMs) -> Option<(HoldReason, ApprovalId)> {
        let stands = |found: &&Versioned<ApprovalHoldRecord>| !app.clock.outlived(found.version);
        let found = self.found.get(asked_of).and_then(Option::as_ref).filter(stands).map(|found| &found.value);
        let hold = self.next.get(asked_of).or(found)?;
        (now < hold.until).then_some((hold.because, hold.approval))
    }

    /// Write what they become. What was read has to hold: whoever says no meanwhile makes the decision anew.
    pub(super) fn put(&self, batch: &mut Batch) {
        for (asked_of, found) in &self.found {
            let require = found.as_ref().map_or(Require::Absent, |found| Require::Version(found.version));
            batch.require.push((Key::approval_hold(asked_of), require));
        }
        for next in self.next.values() {
            next.put(batch);
        }
    }
}

/// Whether the user was asked, and said neither yes nor no.
fn is_unanswered(record: &ApprovalRecord) -> bool {
    record.state == ApprovalState::Pending && record.prompted && !has_user_vote(record)
}

/// Somebody says no: put into the batch of their vote for how long that holds.
pub(super) async fn refused(app: &App, record: &ApprovalRecord, batch: &mut Batch) -> Result<(), Failure> {
    let found = app.store.record::<ApprovalHoldRecord>(&Key::approval_hold(&record.asked_of)).await?;
    let because = (HoldReason::Refused, record.request.id);
    let next = after(found.as_ref().map(|found| &found.value), (record.asked_of, because), batch.now, app.approvals);
    let require = found.map_or(Require::Absent, |found| Require::Version(found.version));
    batch.require.push((next.key(), require));
    next.put(batch);
    Ok(())
}

/// All who were asked have said yes: what was refused or not answered before counts no more.
pub(super) async fn approved(app: &App, record: &ApprovalRecord, batch: &mut Batch) -> Result<(), Failure> {
    let key = Key::approval_hold(&record.asked_of);
    if let Some(found) = app.store.record::<ApprovalHoldRecord>(&key).await? {
        batch.require.push((key.clone(), Require::Version(found.version)));
        batch.delete.push(key);
    }
    Ok(())
}

/// The user is asked at their provider: from now on it is silence if they say nothing.
pub(crate) async fn prompted(app: &App, approval: &ApprovalId) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(found) = app.store.record::<ApprovalRecord>(&Key::approval(approval)).await? else { return Ok(()) };
        let mut batch = Batch::new(app.clock.now());
        batch.require.push((found.value.key(), Require::Version(found.version)));
        batch.put_record(&ApprovalRecord { prompted: true, ..found.value });
        match app.store.commit(batch).await {
            Err(CommitError::Conflict(_)) => {}
            other => return other.map(drop).map_err(Failure::from),
        }
    }
    Ok(())
}

/// One more hold, from then on.
fn after(
    before: Option<&ApprovalHoldRecord>,
    (asked_of, (because, approval)): (Digest, (HoldReason, ApprovalId)),
    at: TimeMs,
    limits: ApprovalLimits,
) -> ApprovalHoldRecord {
    let before = before.filter(|before| at < before.until.plus_ms(REMEMBERED_MS));
    let times = before.map_or(0, |before| before.times).saturating_add(1);
    let hold_ms = limits.refusal_ms.saturating_mul(1 << (times - 1).min(16)).min(limits.hold_ms_max);
    let until = at.plus_ms(hold_ms).max(before.map_or(TimeMs(0), |before| before.until));
    ApprovalHoldRecord { asked_of, because, approval, times, until }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ApprovalLimits = ApprovalLimits { refusal_ms: 10, hold_ms_max: 70, ..ApprovalLimits::USUAL };

    fn next(before: Option<&ApprovalHoldRecord>, at: u64) -> ApprovalHoldRecord {
        let because = (HoldReason::Refused, ApprovalId::from_random([1; 16]));
        after(before, (Digest::from_bytes([1; 32]), because), TimeMs(at), LIMITS)
    }

    #[test]
    fn each_is_twice_as_long_up_to_a_bound_and_forgotten_after_a_day() {
        let first = next(None, 100);
        assert_eq!((first.times, first.until), (1, TimeMs(110)));
        let second = next(Some(&first), 200);
        assert_eq!((second.times, second.until), (2, TimeMs(220)));
        let third = next(Some(&second), 300);
        let fourth = next(Some(&third), 400);
        assert_eq!((third.until, fourth.until), (TimeMs(340), TimeMs(470)));
        // None ends one that lasts longer.
        assert_eq!(next(Some(&fourth), 390).until, TimeMs(470));
        let many = ApprovalHoldRecord { times: u32::MAX, ..fourth.clone() };
        assert_eq!((next(Some(&many), 500).times, next(Some(&many), 500).until), (u32::MAX, TimeMs(570)));
        let day = 470 + REMEMBERED_MS;
        assert_eq!(next(Some(&fourth), day - 1).times, 5);
        assert_eq!(next(Some(&fourth), day).times, 1);
    }
}
