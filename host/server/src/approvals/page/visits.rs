//! Who is signing in for the approval page, and who has: in memory alone, for minutes, and of each approval a few. What
//! is asked for by a name is found by the digest of the name.
//!
//! What a sign-in comes to is not known here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attorn_api::ProblemCode;
use attorn_core::{ApprovalId, Digest, TimeMs};
use attorn_identity::secret::digests_match;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::approvals::vote::Evidence;
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::{Begun, RestsOn, SignedIn};
use crate::random;

/// How long a sign-in may take, in milliseconds.
pub(super) const SIGN_IN_MS: u64 = 5 * 60_000;
/// How long somebody who signed in may look and answer, in milliseconds.
pub(super) const VISIT_MS: u64 = 10 * 60_000;
/// The most that there are at once of one approval that asks its user alone, of one that asks groups, and of all together.
/// Of one approval the oldest makes room.
const OF_ONE_MAX: usize = 4;
const OF_GROUPS_MAX: usize = 32;
const ALL_MAX: usize = 2_048;
/// How many providers are asked at once for those who sign in.
const AT_ONCE: usize = 16;

/// Who comes to the page of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Its user alone.
    User,
    /// Those of groups, too.
    Groups,
}

impl Expected {
    const fn most(self) -> usize {
        match self {
            Self::User => OF_ONE_MAX,
            Self::Groups => OF_GROUPS_MAX,
        }
    }
}

/// Who is there.
pub(crate) struct Visits {
    sign_ins: Few<SignIn>,
    known: Few<Visit>,
    at_once: Arc<Semaphore>,
}

/// Somebody signs in.
pub(super) struct SignIn {
    /// Whose browser it is.
    browser: Digest,
    pub(super) begun: Begun,
}

/// Somebody has signed in, whom the approval asks.
#[derive(Clone)]
pub(super) struct Visit {
    /// Who they are.
    pub(super) who: SignedIn,
    /// What their form has, and no other page knows.
    pub(super) token: Zeroizing<String>,
    /// By what that is known.
    pub(super) evidence: Evidence,
    /// Their provider and its settings as they were when they signed in: a vote of theirs is worth what those are.
    pub(super) rests_on: RestsOn,
}

impl Default for Visits {
    fn default() -> Self {
        Self { sign_ins: Few::default(), known: Few::default(), at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Visits {
    /// A place among those for whom a provider is asked.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.at_once).try_acquire_owned().map_err(|_| busy())
    }

    /// Somebody begins to sign in, with this state, in the browser that has this cookie.
    pub(super) fn begin(
        &self,
        (approval, expected): (ApprovalId, Expected),
        (state, cookie): (&str, &str),
        begun: Begun,
        now: TimeMs,
    ) -> Result<(), Failure> {
        let sign_in = SignIn { browser: digest(cookie), begun };
        let held = Held { approval, at: now, until: now.plus_ms(SIGN_IN_MS), what: sign_in };
        self.sign_ins.put(digest(state), held, expected)
    }

    /// Somebody comes back with this state: for which approval, and what had begun. It is there once.
    pub(super) fn back(&self, state: &str, now: TimeMs) -> Option<(ApprovalId, SignIn)> {
        let held = self.sign_ins.all().remove(&digest(state))?;
        (now < held.until).then_some((held.approval, held.what))
    }

    /// Somebody has signed in for this approval: what their cookie holds from now on.
    pub(super) fn let_in(
        &self,
        (approval, expected): (ApprovalId, Expected),
        (who, evidence, rests_on): (SignedIn, Evidence, RestsOn),
        now: TimeMs,
    ) -> Result<Zeroizing<String>, Failure> {
        let (cookie, token) = (random::secret()?, random::secret()?);
        let visit = Visit { who, token, evidence, rests_on };
        let held = Held { approval, at: now, until: now.plus_ms(VISIT_MS), what: visit };
        self.known.put(digest(&cookie), held, expected)?;
        Ok(cookie)
    }

    /// Who has this cookie, if they signed in for this very approval, where people sign in for it now. Where something
    /// of that changed since, nobody has: the provider of then may have said who they are when it was not to be trusted.
    pub(super) fn of(&self, (approval, rests_on): (ApprovalId, &RestsOn), cookie: &str, now: TimeMs) -> Option<Visit> {
        let all = self.known.all();
        let held = all.get(&digest(cookie)).filter(|held| held.approval == approval && now < held.until)?;
        (held.what.rests_on == *rests_on).then(|| held.what.clone())
    }
}

impl SignIn {
    /// Whether it began in the browser that has this cookie.
    pub(super) fn is_of(&self, cookie: Option<&str>) -> bool {
        cookie.is_some_and(|cookie| digests_match(&digest(cookie), &self.browser))
    }
}

impl Visit {
    /// Whether a form is one that this visit was shown.
    pub(super) fn made(&self, token: &str) -> bool {
        digests_match(&digest(token), &digest(&self.token))
    }
}

/// A few of something, by the digest of a name.
struct Few<T>(Mutex<HashMap<Digest, Held<T>>>);

struct Held<T> {
    approval: ApprovalId,
    at: TimeMs,
    until: TimeMs,
    what: T,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Few<T> {
    fn put(&self, name: Digest, held: Held<T>, expected: Expected) -> Result<(), Failure> {
        let mut all = self.all();
        all.retain(|_, other| held.at < other.until);
        let of_one = || all.iter().filter(|(_, other)| other.approval == held.approval);
        if of_one().count() >= expected.most() {
            let oldest = of_one().min_by_key(|(_, other)| other.at).map(|(name, _)| *name);
            oldest.map(|oldest| all.remove(&oldest));
        }
        if all.len() >= ALL_MAX {
            return Err(busy());
        }
        all.insert(name, held);
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, Held<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(name: &str) -> Digest {
    Digest::from_bytes(blake3::derive_key("attorn approval page v1", name.as_bytes()))
}

fn busy() -> Failure {
    Failure::of(ProblemCode::Busy, "as many people sign in as may at once; try again in a moment")
}

#[cfg(test)]
mod tests {
    use attorn_store::{Key, Require};

    use super::*;

    fn approval(byte: u8) -> ApprovalId {
        ApprovalId::from_random([byte; 16])
    }

    fn put(few: &Few<u32>, name: u32, of: ApprovalId, at: u64) -> Result<(), Failure> {
        let held = Held { approval: of, at: TimeMs(at), until: TimeMs(at + 100), what: name };
        few.put(digest(&name.to_string()), held, Expected::User)
    }

    fn held(few: &Few<u32>) -> Vec<u32> {
        let mut held: Vec<_> = few.all().values().map(|held| held.what).collect();
        held.sort_unstable();
        held
    }

    #[test]
    fn of_one_approval_the_oldest_makes_room_and_of_all_nobody_s_does() {
        let few = Few::default();
        for name in 0..6 {
            put(&few, name, approval(1), u64::from(name)).unwrap();
        }
        assert_eq!(held(&few), [2, 3, 4, 5]);
        for name in 10..u32::try_from(ALL_MAX).unwrap() + 6 {
            let of = ApprovalId::from_random(u128::from(name).to_be_bytes());
            put(&few, name, of, 10).unwrap();
        }
        let refused = put(&few, 9_999, approval(2), 10).unwrap_err();
        assert_eq!(refused.problem.code, ProblemCode::Busy);
        // Whoever signs in for an approval that has its few takes none from another.
        put(&few, 6, approval(1), 10).unwrap();
        assert_eq!(held(&few)[..4], [3, 4, 5, 6]);
        // What is over makes room.
        put(&few, 9_999, approval(2), 200).unwrap();
        assert_eq!(held(&few), [9_999]);
    }

    #[test]
    fn whoever_signed_in_is_known_by_their_cookie_for_that_approval_and_for_a_time() {
        let visits = Visits::default();
        let evidence = Evidence { provider: "idp".parse().unwrap(), token: None };
        let id = "idp".parse().unwrap();
        let rests_on =
            |version| [Key::provider(&id), Key::backchannel(&id)].map(|key| (key, Require::Version(version)));
        let (then, who) = (rests_on(7), (SignedIn::User, evidence, rests_on(7)));
        let cookie = visits.let_in((approval(1), Expected::User), who, TimeMs(1_000)).unwrap();
        let last = TimeMs(999 + VISIT_MS);
        let visit = visits.of((approval(1), &then), &cookie, last).unwrap();
        assert!(visit.made(&visit.token) && !visit.made(&cookie) && !visit.made(""));
        assert!(visits.of((approval(2), &then), &cookie, last).is_none());
        assert!(visits.of((approval(1), &then), "", last).is_none());
        assert!(visits.of((approval(1), &then), &cookie, TimeMs(1_000 + VISIT_MS)).is_none());
        // The provider was changed since.
        assert!(visits.of((approval(1), &rests_on(8)), &cookie, last).is_none());
    }
}
