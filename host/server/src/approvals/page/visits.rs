//! Who has signed in for the approval page: in memory alone, for minutes. Nobody who is not asked has a place here, and
//! nobody's place is taken by somebody else. What is asked for by a name is found by the digest of the name.
//!
//! Who is signing in is not known here ([`super::sign_ins`]), and neither is what a sign-in comes to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attorn_api::ProblemCode;
use attorn_core::{AgentId, ApprovalId, Digest, TimeMs};
use attorn_identity::secret::digests_match;
use zeroize::Zeroizing;

use super::sign_ins::{self, SignIns};
use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::{Arrival, RestsOn};
use crate::random;

/// How long somebody who signed in may look and answer, in milliseconds.
pub(super) const VISIT_MS: u64 = 10 * 60_000;
/// The most that there are at once of one person at one approval, of whose own the oldest makes room; at one approval, and
/// of all together.
const OF_PERSON_MAX: usize = 4;
const OF_ONE_MAX: usize = 128;
const ALL_MAX: usize = 2_048;
/// How many providers are asked at once for those who sign in, and of these for what one agent asks. Whoever has the link
/// can have a provider asked, so one agent's links keep nobody from answering others.
const AT_ONCE: usize = 16;
const AT_ONCE_OF_AGENT: usize = 4;

/// Who is there.
#[derive(Default)]
pub(crate) struct Visits {
    pub(super) sign_ins: SignIns,
    known: Mutex<HashMap<Digest, Held>>,
    /// For how many of each agent's approvals a provider is asked now.
    asked: Arc<Mutex<BTreeMap<AgentId, usize>>>,
}

/// Somebody has signed in, whom the approval asks.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) arrival: Arrival,
    /// What their form has, and no other page knows.
    pub(super) token: Zeroizing<String>,
}

struct Held {
    approval: ApprovalId,
    /// By which sign-in they came.
    state: Digest,
    at: TimeMs,
    until: TimeMs,
    visit: Visit,
}

/// A place among those for whom a provider is asked, for as long as it is held.
pub(super) struct Asks {
    agent: AgentId,
    asked: Arc<Mutex<BTreeMap<AgentId, usize>>>,
}

impl Drop for Asks {
    fn drop(&mut self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = asked.get_mut(&self.agent) {
            *count -= 1;
            if *count == 0 {
                asked.remove(&self.agent);
            }
        }
    }
}

impl Visits {
    /// A place among those for whom a provider is asked, for what this agent asks.
    pub(super) fn enter(&self, agent: &AgentId) -> Result<Asks, Failure> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let of_agent = asked.get(agent).copied().unwrap_or_default();
        if of_agent >= AT_ONCE_OF_AGENT || asked.values().sum::<usize>() >= AT_ONCE {
            return Err(busy("as many people sign in as may at once; try again in a moment"));
        }
        asked.insert(agent.clone(), of_agent + 1);
        Ok(Asks { agent: agent.clone(), asked: Arc::clone(&self.asked) })
    }

    /// Whether somebody has signed in by this sign-in, who is still there: it is good once.
    pub(super) fn has_come(&self, state: &Digest) -> bool {
        self.all().values().any(|held| held.state == *state)
    }

    /// Somebody has signed in for this approval, by this sign-in: what their cookie holds from now on.
    pub(super) fn let_in(
        &self,
        (approval, state): (ApprovalId, Digest),
        arrival: Arrival,
        now: TimeMs,
    ) -> Result<Zeroizing<String>, Failure> {
        let (cookie, token) = (random::secret()?, random::secret()?);
        let visit = Visit { arrival, token };
        self.put(digest(&cookie), Held { approval, state, at: now, until: now.plus_ms(VISIT_MS), visit })?;
        Ok(cookie)
    }

    /// Who has this cookie, if they signed in for this very approval, where people sign in for it now. Where something
    /// of that changed since, nobody has: the provider of then may have said who they are when it was not to be trusted.
    pub(super) fn of(&self, (approval, rests_on): (ApprovalId, &RestsOn), cookie: &str, now: TimeMs) -> Option<Visit> {
        let all = self.all();
        let held = all.get(&digest(cookie)).filter(|held| held.approval == approval && now < held.until)?;
        (held.visit.arrival.rests_on == *rests_on).then(|| held.visit.clone())
    }

    fn put(&self, name: Digest, held: Held) -> Result<(), Failure> {
        let mut all = self.all();
        all.retain(|_, other| held.at < other.until);
        // Another of the same sign-in came first, while the provider was asked for both.
        if all.values().any(|other| other.state == held.state) {
            return Err(sign_ins::over());
        }
        let is_theirs =
            |other: &Held| other.approval == held.approval && other.visit.arrival.who.is_same(&held.visit.arrival.who);
        let theirs = all.iter().filter(|(_, other)| is_theirs(other));
        let oldest = theirs.clone().min_by_key(|(_, other)| other.at).map(|(name, _)| *name);
        if let Some(oldest) = oldest.filter(|_| theirs.count() >= OF_PERSON_MAX) {
            all.remove(&oldest);
        }
        let of_one = all.values().filter(|other| other.approval == held.approval).count();
        if of_one >= OF_ONE_MAX || all.len() >= ALL_MAX {
            return Err(full());
        }
        all.insert(name, held);
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, Held>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// Whether a form is one that this visit was shown.
    pub(super) fn made(&self, token: &str) -> bool {
        digests_match(&digest(token), &digest(&self.token))
    }
}

fn digest(name: &str) -> Digest {
    Digest::from_bytes(blake3::derive_key("attorn approval page v1", name.as_bytes()))
}

fn busy(why: impl Into<String>) -> Failure {
    Failure::of(ProblemCode::Busy, why)
}

/// All places are taken, each of which somebody has for as long as a visit takes.
fn full() -> Failure {
    let minutes = VISIT_MS / 60_000;
    busy(format!(
        "as many people have signed in as there are places for, and each has theirs for {minutes} minutes; open the link \
         to the approval again when some of them are over"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::approvals::vote::Evidence;
    use crate::providers::backchannel::sign_in::{Another, SignedIn};

    fn approval(number: u32) -> ApprovalId {
        ApprovalId::from_random(u128::from(number).to_be_bytes())
    }

    fn person(name: &str) -> SignedIn {
        SignedIn::Another(Another {
            subject: name.into(),
            names: BTreeSet::new(),
            groups: BTreeSet::new(),
            asserted_at: TimeMs(0),
            begun_at: TimeMs(0),
        })
    }

    fn rests_on(version: u64) -> RestsOn {
        RestsOn { provider: "idp".parse().unwrap(), versions: [7, version] }
    }

    /// Somebody is let in by a sign-in of this number: their cookie, or that they are not.
    fn let_in(
        visits: &Visits,
        approval: ApprovalId,
        (who, sign_in): (SignedIn, u64),
        at: u64,
    ) -> Result<Zeroizing<String>, Failure> {
        let evidence = Evidence { provider: "idp".parse().unwrap(), token: None };
        let by = (approval, digest(&sign_in.to_string()));
        let arrival = Arrival { who, evidence, session: None, begun_at: TimeMs(0), rests_on: rests_on(7) };
        visits.let_in(by, arrival, TimeMs(at))
    }

    /// What whoever is refused is told.
    fn refused<T>(found: Result<T, Failure>) -> Option<(ProblemCode, String)> {
        found.err().map(|failure| (failure.problem.code, failure.problem.detail))
    }

    fn is_there(visits: &Visits, approval: ApprovalId, cookie: &str) -> bool {
        visits.of((approval, &rests_on(7)), cookie, TimeMs(1_000)).is_some()
    }

    #[test]
    fn whoever_signs_in_often_takes_a_place_of_their_own_and_nobody_else_s() {
        let visits = Visits::default();
        let ours = approval(1);
        let bob = let_in(&visits, ours, (person("bob"), 0), 1).unwrap();
        let user = let_in(&visits, ours, (SignedIn::User, 1), 1).unwrap();
        let elsewhere = let_in(&visits, approval(2), (person("eve"), 2), 1).unwrap();
        let cookies: Vec<_> = (10..50).map(|n| let_in(&visits, ours, (person("eve"), n), n).unwrap()).collect();
        let there: Vec<_> = cookies.iter().map(|cookie| is_there(&visits, ours, cookie)).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), OF_PERSON_MAX);
        assert!(there[40 - OF_PERSON_MAX..].iter().all(|there| *there), "{there:?}");
        assert!(is_there(&visits, ours, &bob) && is_there(&visits, ours, &user));
        assert!(is_there(&visits, approval(2), &elsewhere));
    }

    #[test]
    fn where_there_are_as_many_as_may_be_whoever_comes_waits_and_nobody_goes() {
        let visits = Visits::default();
        let ours = approval(1);
        let first = let_in(&visits, ours, (person("0"), 0), 1).unwrap();
        for n in 1..OF_ONE_MAX as u64 {
            let_in(&visits, ours, (person(&n.to_string()), n), 1).unwrap();
        }
        assert_eq!(refused(let_in(&visits, ours, (person("late"), 9_000), 2)), refused::<()>(Err(full())));
        assert!(full().problem.detail.contains("for 10 minutes;"), "{}", full().problem.detail);
        assert!(is_there(&visits, ours, &first));
        for n in OF_ONE_MAX as u64..ALL_MAX as u64 {
            let_in(&visits, approval(u32::try_from(n).unwrap()), (SignedIn::User, n), 1).unwrap();
        }
        assert_eq!(refused(let_in(&visits, approval(9_999), (SignedIn::User, 9_999), 2)), refused::<()>(Err(full())));
        assert!(is_there(&visits, ours, &first));
        // What is over makes room.
        let_in(&visits, approval(9_999), (SignedIn::User, 9_999), 1 + VISIT_MS).unwrap();
        assert_eq!(visits.all().len(), 1);
    }

    #[test]
    fn whoever_signed_in_is_known_by_their_cookie_for_that_approval_and_for_a_time() {
        let visits = Visits::default();
        let cookie = let_in(&visits, approval(1), (SignedIn::User, 1), 1_000).unwrap();
        let (last, then) = (TimeMs(999 + VISIT_MS), rests_on(7));
        let visit = visits.of((approval(1), &then), &cookie, last).unwrap();
        assert!(visit.made(&visit.token) && !visit.made(&cookie) && !visit.made(""));
        assert!(visits.of((approval(2), &then), &cookie, last).is_none());
        assert!(visits.of((approval(1), &then), "", last).is_none());
        assert!(visits.of((approval(1), &then), &cookie, TimeMs(1_000 + VISIT_MS)).is_none());
        // The provider was changed since.
        assert!(visits.of((approval(1), &rests_on(8)), &cookie, last).is_none());
        // A sign-in is good once.
        assert!(visits.has_come(&digest("1")) && !visits.has_come(&digest("2")));
        let again = refused(let_in(&visits, approval(1), (SignedIn::User, 1), 2_000)).unwrap();
        assert_eq!(again.0, ProblemCode::UserUnauthenticated);
        assert!(again.1.starts_with("this sign-in is over"), "{}", again.1);
    }

    #[test]
    fn the_links_of_one_agent_keep_no_provider_busy_for_others() {
        let visits = Visits::default();
        let agent = |name: &str| -> AgentId { name.parse().unwrap() };
        let mut held: Vec<_> = (0..AT_ONCE_OF_AGENT).map(|_| visits.enter(&agent("a")).unwrap()).collect();
        let (code, detail) = refused(visits.enter(&agent("a"))).unwrap();
        assert!(code == ProblemCode::Busy && detail.ends_with("try again in a moment"), "{detail}");
        for name in ["b", "c", "d"] {
            held.extend((0..AT_ONCE_OF_AGENT).map(|_| visits.enter(&agent(name)).unwrap()));
        }
        assert_eq!(held.len(), AT_ONCE);
        assert!(visits.enter(&agent("e")).is_err());
        held.remove(0);
        held.push(visits.enter(&agent("e")).unwrap());
        drop(held);
        assert!(visits.asked.lock().unwrap().is_empty());
    }
}
