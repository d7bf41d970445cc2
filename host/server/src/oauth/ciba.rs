//! The token service in the words of CIBA (`OpenID` Connect Client-Initiated Backchannel Authentication Core 1.0, poll
//! mode), for agents that speak it: [`authorize`] takes note of what is asked, and [`poll`] decides it.
//!
//! It is the approval of a challenge, and no second way to decide. Nothing is decided where it is asked for, because no
//! proof of possession comes there; each poll brings one. What is noted is in memory alone: whoever asks the same again
//! after a restart finds the same approval, which is recorded.
//!
//! There is no ID token: nobody signs in here.

pub(crate) mod authorize;
pub(super) mod poll;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use attorn_api::oauth::OAuthCode;
use attorn_core::{AgentId, ApprovalId, Digest, TimeMs};

use crate::http::failure::Failure;

/// The `grant_type` of polls.
pub(crate) const CIBA: &str = "urn:openid:params:grant-type:ciba";

/// How long to wait before the first poll and between two, in seconds.
const INTERVAL_S: u64 = 2;
/// By how much longer after each `slow_down`, in seconds (section 11).
const SLOWER_S: u64 = 5;
/// How early a poll may be, in milliseconds: clocks and networks are not exact.
const EARLY_MS: u64 = 250;
/// The most that one agent may have asked for at once, and all together.
const OF_AGENT_MAX: usize = 32;
const ALL_MAX: usize = 2_048;

/// What agents have asked for.
#[derive(Default)]
pub(crate) struct AuthRequests(Mutex<HashMap<Digest, AuthRequest>>);

/// What an agent has asked for. It has no `Debug`: it holds arguments.
struct AuthRequest {
    agent: AgentId,
    /// The element of `authorization_details`.
    element: String,
    expires_at: TimeMs,
    interval_s: u64,
    polled_at: TimeMs,
    /// The approval that it waits for, once a decision has asked for one.
    approval: Option<ApprovalId>,
    /// Whether a poll is deciding now.
    busy: bool,
}

/// What a poll finds.
enum Found {
    /// This is to be decided, or looked at.
    Turn {
        /// The element of `authorization_details`.
        element: String,
        /// The approval that it waits for.
        approval: Option<ApprovalId>,
    },
    /// It came too early.
    SlowDown,
    /// Its time is over.
    Expired,
    /// There is none, or it is another agent's.
    Unknown,
}

impl AuthRequests {
    /// Take note of what an agent asks, under the digest of the name that it is told.
    fn note(&self, name: Digest, request: AuthRequest, now: TimeMs) -> Result<(), Failure> {
        let mut all = self.all();
        all.retain(|_, other| now < other.expires_at);
        let own = all.values().filter(|other| other.agent == request.agent).count();
        if own >= OF_AGENT_MAX || all.len() >= ALL_MAX {
            let detail = "as many authentication requests as there may be wait; poll for those, or let them expire";
            return Err(Failure::oauth(OAuthCode::TemporarilyUnavailable, detail));
        }
        all.insert(name, request);
        Ok(())
    }

    /// A poll's turn. Whoever has it ends it with [`Self::waits`] or [`Self::done`].
    fn turn(&self, name: &Digest, agent: &AgentId, now: TimeMs) -> Found {
        let mut all = self.all();
        let Some(request) = all.get_mut(name).filter(|request| request.agent == *agent) else { return Found::Unknown };
        if request.expires_at <= now {
            all.remove(name);
            return Found::Expired;
        }
        let due = request.polled_at.plus_ms(request.interval_s * 1_000);
        if request.busy || now.plus_ms(EARLY_MS) < due {
            request.interval_s = request.interval_s.saturating_add(SLOWER_S);
            request.polled_at = now;
            return Found::SlowDown;
        }
        (request.busy, request.polled_at) = (true, now);
        Found::Turn { element: request.element.clone(), approval: request.approval }
    }

    /// It waits on, for this approval.
    fn waits(&self, name: &Digest, approval: Option<ApprovalId>) {
        if let Some(request) = self.all().get_mut(name) {
            (request.busy, request.approval) = (false, approval);
        }
    }

    /// Nothing more comes of it.
    fn done(&self, name: &Digest) {
        self.all().remove(name);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, AuthRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(agent: &str) -> AuthRequest {
        AuthRequest {
            agent: agent.parse().unwrap(),
            element: "{}".into(),
            expires_at: TimeMs(301_000),
            interval_s: INTERVAL_S,
            polled_at: TimeMs(1_000),
            approval: None,
            busy: false,
        }
    }

    fn name(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    fn turn(requests: &AuthRequests, at: u64, agent: &str) -> &'static str {
        match requests.turn(&name(1), &agent.parse().unwrap(), TimeMs(at)) {
            Found::Turn { .. } => "turn",
            Found::SlowDown => "slow_down",
            Found::Expired => "expired",
            Found::Unknown => "unknown",
        }
    }

    #[test]
    fn a_poll_has_its_turn_when_the_interval_is_over_and_no_other_is_there() {
        let requests = AuthRequests::default();
        requests.note(name(1), request("bot"), TimeMs(1_000)).ok().unwrap();
        assert_eq!(turn(&requests, 3_000, "other"), "unknown");
        assert_eq!(turn(&requests, 2_749, "bot"), "slow_down");
        // 7 s from then on.
        assert_eq!(turn(&requests, 9_498, "bot"), "slow_down");
        assert_eq!(turn(&requests, 9_498 + 12_000, "bot"), "turn");
        assert_eq!(turn(&requests, 100_000, "bot"), "slow_down", "another decides");
        requests.waits(&name(1), None);
        assert_eq!(turn(&requests, 200_000, "bot"), "turn");
        requests.done(&name(1));
        assert_eq!(turn(&requests, 300_000, "bot"), "unknown");
    }

    #[test]
    fn what_is_over_has_expired_once_and_then_is_unknown() {
        let requests = AuthRequests::default();
        requests.note(name(1), request("bot"), TimeMs(1_000)).ok().unwrap();
        assert_eq!(turn(&requests, 301_000, "bot"), "expired");
        assert_eq!(turn(&requests, 301_000, "bot"), "unknown");
    }

    #[test]
    fn an_agent_has_no_more_than_its_share_and_what_has_expired_makes_room() {
        let requests = AuthRequests::default();
        for n in 0..OF_AGENT_MAX {
            let n = u8::try_from(n).unwrap();
            requests.note(name(n), request("bot"), TimeMs(1_000)).ok().unwrap();
        }
        let refused = requests.note(name(200), request("bot"), TimeMs(1_000)).err().unwrap();
        assert_eq!(refused.oauth, Some(OAuthCode::TemporarilyUnavailable));
        assert!(requests.note(name(201), request("other"), TimeMs(1_000)).is_ok());
        let later = AuthRequest { expires_at: TimeMs(999_000), ..request("bot") };
        assert!(requests.note(name(202), later, TimeMs(301_000)).is_ok());
    }
}
