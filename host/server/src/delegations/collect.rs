//! Room for another delegation: where an agent has made as many of a user's as are kept, those that have ended for good
//! go, whatever ended them, those first that ended first. They would have gone later anyway; the log keeps what it says of
//! them.
//!
//! What may stand again, such as a delegation whose agent waits for its key, stays. Nothing is looked for before there is
//! need of room, and then no more often than once in a second for an agent.

use std::collections::BTreeMap;

use attorn_core::{AgentId, SessionId, TimeMs};
use attorn_store::records::{AgentRecord, DelegationRecord, SessionRecord};
use attorn_store::{Batch, CommitError, Key, KeyPrefix, PAGE_ITEMS_MAX, Store, Versioned};

use super::make::KEPT_MAX;
use super::room::take_away;
use crate::app::App;
use crate::http::failure::Failure;
use crate::users::KnownUser;

/// How many go at a time: enough that the next ones find room without looking.
const REMOVED_MAX: usize = 32;
/// How many delegations of a user's are looked at.
const LOOKED_AT_MAX: usize = 10_000;
/// How long a chain can be that is followed here.
const HOPS_MAX: usize = 16;

/// Make room for another delegation of this user's by this agent; whether there is some now.
pub(super) async fn make_room(app: &App, user: &KnownUser, by: &AgentId) -> Result<bool, Failure> {
    let kept = Key::kept_delegations(&user.record.value.id, by);
    if app.store.counter(&kept).await? < KEPT_MAX || app.room_rates.take(by).is_err() {
        return Ok(false);
    }
    let collecting = Collecting {
        store: &app.store,
        user,
        now: app.clock.now(),
        sessions: BTreeMap::new(),
        agents: BTreeMap::new(),
    };
    collecting.remove(by, |version| app.clock.outlived(version)).await.map(|removed| removed > 0)
}

struct Collecting<'a> {
    store: &'a Store,
    user: &'a KnownUser,
    now: TimeMs,
    sessions: BTreeMap<SessionId, Option<SessionRecord>>,
    /// How often each agent was suspended or retired; none of one that is not there.
    agents: BTreeMap<AgentId, Option<u64>>,
}

impl Collecting<'_> {
    /// Remove what has ended of what this agent made; how many went. What is of before a time that was set back has ended,
    /// too: `outlived` says so of a version.
    async fn remove(mut self, by: &AgentId, outlived: impl Fn(u64) -> bool) -> Result<usize, Failure> {
        let mut ended = Vec::new();
        let prefix = KeyPrefix::user_delegations(&self.user.record.value.id);
        let (mut after, mut looked_at) = (None, 0);
        loop {
            let page = self.store.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX).await?;
            for id in page.items.iter().filter_map(|(key, _)| key.named_delegation()) {
                let Some(found) = self.store.record::<DelegationRecord>(&Key::delegation(&id)).await? else { continue };
                if found.value.made_by() == by
                    && let Some(at) = self.ended_at(&found, &outlived).await?
                {
                    ended.push((at, found));
                }
            }
            looked_at += page.items.len();
            after = page.next;
            if after.is_none() || looked_at >= LOOKED_AT_MAX {
                break;
            }
        }
        ended.sort_by_key(|(at, found)| (*at, found.version));
        let mut removed = 0;
        for (_, found) in ended.iter().take(REMOVED_MAX) {
            removed += usize::from(self.remove_one(found).await?);
        }
        Ok(removed)
    }

    /// When a delegation ended for good, by itself or with what it hangs on. Where nobody wrote down when, the earliest
    /// that it can have been counts.
    async fn ended_at(
        &mut self,
        found: &Versioned<DelegationRecord>,
        outlived: &impl Fn(u64) -> bool,
    ) -> Result<Option<TimeMs>, Failure> {
        let mut at = self.ended_by_itself(found, outlived).await?;
        let mut parent = found.value.parent.clone();
        for _ in 0..HOPS_MAX {
            let Some(id) = parent.filter(|_| at.is_none()) else { break };
            let above = self.store.record::<DelegationRecord>(&Key::delegation(&id)).await?;
            let Some(above) = above else { return Ok(Some(found.value.created_at)) };
            at = self.ended_by_itself(&above, outlived).await?;
            parent = above.value.parent;
        }
        Ok(at)
    }

    async fn ended_by_itself(
        &mut self,
        found: &Versioned<DelegationRecord>,
        outlived: &impl Fn(u64) -> bool,
    ) -> Result<Option<TimeMs>, Failure> {
        let record = &found.value;
        let at = record.revoked_at.map_or(record.expires_at, |revoked_at| revoked_at.min(record.expires_at));
        if at <= self.now {
            return Ok(Some(at));
        }
        let (user, body) = (&self.user.record.value, &self.user.body);
        let of_agent = body.agent_revocations.get(&record.to_agent).copied().unwrap_or(0);
        if outlived(found.version)
            || record.user_revocations != user.revocations
            || record.agent_revocations != of_agent
            || self.revocations_of(&record.to_agent).await?.is_some_and(|now| now != record.revocations)
        {
            return Ok(Some(record.created_at));
        }
        Ok(match self.session(&record.session).await? {
            None => Some(record.created_at),
            Some(SessionRecord { ended_at: Some(at), .. }) => Some(*at),
            Some(session) => {
                let moved = session.sealed_name.is_none() && session.unnamed_revocations != body.unnamed_revocations;
                moved.then_some(record.created_at)
            }
        })
    }

    async fn session(&mut self, id: &SessionId) -> Result<Option<&SessionRecord>, Failure> {
        if !self.sessions.contains_key(id) {
            let found = self.store.record::<SessionRecord>(&Key::session(id)).await?;
            self.sessions.insert(id.clone(), found.map(|found| found.value));
        }
        Ok(self.sessions.get(id).and_then(Option::as_ref))
    }

    async fn revocations_of(&mut self, agent: &AgentId) -> Result<Option<u64>, Failure> {
        if let Some(known) = self.agents.get(agent) {
            return Ok(*known);
        }
        let found = self.store.record::<AgentRecord>(&Key::agent(agent)).await?;
        let revocations = found.map(|found| found.value.agent().revocations);
        self.agents.insert(agent.clone(), revocations);
        Ok(revocations)
    }

    /// Whether it went. One that changed meanwhile stays.
    async fn remove_one(&self, found: &Versioned<DelegationRecord>) -> Result<bool, Failure> {
        let (mut batch, key) = (Batch::new(self.now), Key::delegation(&found.value.id));
        let (expires_at, revoked_at) = (found.value.expires_at, found.value.revoked_at);
        batch.delete.push(Key::expiry(expires_at, &key));
        let at_revocation = revoked_at.filter(|at| *at != expires_at).map(|at| Key::expiry(at, &key));
        batch.delete.extend(at_revocation);
        take_away(self.store, found, &mut batch).await?;
        match self.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
