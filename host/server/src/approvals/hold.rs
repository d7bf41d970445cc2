//! For how long nobody is asked again: somebody said no to it, or the user was asked at their provider and said nothing.
//!
//! What a hold is of ([`crate::decisions::digests::asked_of`]) leaves out all that a request says of itself, such as arguments and claims:
//! whoever is told no and changes a byte asks for the same. Each hold is twice as long as the one before, up to a bound.
//! A yes makes that forgotten only where it is of all who were asked for the very request that was refused, or not answered
//! ([`ends_by`]): otherwise whoever says yes to something small would end what others put between the agent and something
//! large. Where different requests were refused in a row, or different people were asked, no yes ends it.
//! Nothing is written when something lapses; that nobody answered is found when the next is to be asked, and written
//! then.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use attorn_core::{ApprovalId, ApprovalRequest, ApprovalState, Digest, TimeMs};
use attorn_store::records::{ApprovalHoldRecord, ApprovalRecord, HoldReason, Record as _};
use attorn_store::{Batch, CommitError, Key, Require, Versioned};

use super::{ApprovalLimits, has_user_vote};
use crate::app::App;
use crate::decisions::behalf;
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
            let next = after(before, (silence(app, one).await?, one), one.request.expires_at, app.approvals);
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

/// Why a user who was asked said nothing, as far as it is known. It holds either way, so what this reads is named in no
/// batch: it changes what the agent is told, and not what it may do.
async fn silence(app: &App, asked: &ApprovalRecord) -> Result<HoldReason, Failure> {
    let Some(delegation) = &asked.delegation else { return Ok(HoldReason::Unanswered) };
    let is_revoked = match behalf::standing(app, delegation, &mut Vec::new()).await? {
        Ok((_, chain)) => chain.behalf.roots.user_revoked || chain.behalf.hops.iter().any(|hop| hop.revoked),
        // What nobody can look at any more was not seen to be revoked.
        Err(_) => false,
    };
    Ok(if is_revoked { HoldReason::DelegationRevoked } else { HoldReason::Unanswered })
}

/// Somebody says no: put into the batch of their vote for how long that holds.
pub(super) async fn refused(app: &App, record: &ApprovalRecord, batch: &mut Batch) -> Result<(), Failure> {
    let found = app.store.record::<ApprovalHoldRecord>(&Key::approval_hold(&record.asked_of)).await?;
    let before = found.as_ref().map(|found| &found.value);
    let next = after(before, (HoldReason::Refused, record), batch.now, app.approvals);
    let require = found.map_or(Require::Absent, |found| Require::Version(found.version));
    batch.require.push((next.key(), require));
    next.put(batch);
    Ok(())
}

/// All who were asked have said yes: that this very request was refused or not answered before, when the same were asked,
/// counts no more.
pub(super) async fn approved(app: &App, record: &ApprovalRecord, batch: &mut Batch) -> Result<(), Failure> {
    let key = Key::approval_hold(&record.asked_of);
    if let Some(found) = app.store.record::<ApprovalHoldRecord>(&key).await?
        && found.value.ends_by == Some(ends_by(&record.request))
    {
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
    (because, approval): (HoldReason, &ApprovalRecord),
    at: TimeMs,
    limits: ApprovalLimits,
) -> ApprovalHoldRecord {
    let of = (approval.asked_of, approval.request.id, ends_by(&approval.request));
    one_more(before, (because, of), at, limits)
}

fn one_more(
    before: Option<&ApprovalHoldRecord>,
    (because, (asked_of, approval, ends_by)): (HoldReason, (Digest, ApprovalId, Digest)),
    at: TimeMs,
    limits: ApprovalLimits,
) -> ApprovalHoldRecord {
    let before = before.filter(|before| at < before.until.plus_ms(REMEMBERED_MS));
    let times = before.map_or(0, |before| before.times).saturating_add(1);
    let hold_ms = limits.refusal_ms.saturating_mul(1 << (times - 1).min(16)).min(limits.hold_ms_max);
    let until = at.plus_ms(hold_ms).max(before.map_or(TimeMs(0), |before| before.until));
    let is_another = before.is_some_and(|before| before.ends_by != Some(ends_by));
    let ends_by = (!is_another).then_some(ends_by);
    ApprovalHoldRecord { asked_of, because, approval, times, until, ends_by }
}

/// Whose yes to what ends a hold because of this request: of those people, in those roles, to it.
fn ends_by(request: &ApprovalRequest) -> Digest {
    let mut needed: Vec<(&str, u32)> = request.requirements.iter().map(|one| (one.role.as_str(), one.count)).collect();
    needed.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key("attorn approval hold ends by v1");
    hasher.update(request.bound_to.as_bytes());
    for (role, count) in needed {
        hasher.update(&(role.len() as u64).to_be_bytes()).update(role.as_bytes()).update(&count.to_be_bytes());
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use attorn_core::verdict::ApprovalRequirement;

    use super::*;

    const LIMITS: ApprovalLimits = ApprovalLimits { refusal_ms: 10, hold_ms_max: 70, ..ApprovalLimits::USUAL };

    fn next(before: Option<&ApprovalHoldRecord>, at: u64) -> ApprovalHoldRecord {
        of(before, at, Digest::from_bytes([3; 32]))
    }

    fn of(before: Option<&ApprovalHoldRecord>, at: u64, ends_by: Digest) -> ApprovalHoldRecord {
        let of = (Digest::from_bytes([1; 32]), ApprovalId::from_random([1; 16]), ends_by);
        one_more(before, (HoldReason::Refused, of), TimeMs(at), LIMITS)
    }

    fn asked(bound_to: u8, needed: &[(&str, u32)]) -> Digest {
        let requirement =
            |(role, count): &(&str, u32)| ApprovalRequirement { role: role.parse().unwrap(), count: *count };
        ends_by(&ApprovalRequest {
            id: ApprovalId::from_random([2; 16]),
            bound_to: Digest::from_bytes([bound_to; 32]),
            requirements: needed.iter().map(requirement).collect(),
            votes: Vec::new(),
            expires_at: TimeMs(1),
        })
    }

    #[test]
    fn a_yes_ends_it_to_the_same_of_the_same_people_and_to_nothing_else() {
        let refused = asked(1, &[("user", 1), ("finance", 2)]);
        assert_eq!(asked(1, &[("finance", 2), ("user", 1)]), refused);
        for (bound_to, needed) in [
            (2, &[("user", 1), ("finance", 2)][..]),
            (1, &[("user", 1)]),
            (1, &[("finance", 2)]),
            (1, &[("user", 1), ("finance", 1)]),
            (1, &[("user", 2), ("finance", 1)]),
            (1, &[("operator", 1), ("finance", 2)]),
            (1, &[("user", 1), ("Finance", 2)]),
            (1, &[]),
        ] {
            assert_ne!(asked(bound_to, needed), refused, "{bound_to} {needed:?}");
        }
    }

    #[test]
    fn where_something_else_was_refused_before_no_yes_ends_it() {
        let (one, other) = (asked(1, &[("finance", 1)]), asked(2, &[("user", 1)]));
        let first = of(None, 100, one);
        assert_eq!((first.ends_by, of(Some(&first), 200, one).ends_by), (Some(one), Some(one)));
        let second = of(Some(&first), 200, other);
        assert_eq!(second.ends_by, None);
        // Not even when the same is refused again, until it is forgotten.
        assert_eq!(of(Some(&second), 300, other).ends_by, None);
        assert_eq!(of(Some(&second), second.until.0 + REMEMBERED_MS, other).ends_by, Some(other));
        // Of a hold from before this was kept nobody knows.
        let old = ApprovalHoldRecord { ends_by: None, ..first };
        assert_eq!(of(Some(&old), 200, one).ends_by, None);
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
