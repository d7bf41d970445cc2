//! Who is signing in for the approval page: nothing is kept of them here. What has begun is in a cookie of their browser,
//! sealed, and good for one approval and some minutes; so however many begin, they take no place from each other.
//!
//! Whoever comes back names their approval and a secret in `state`, and has the cookie. That a sign-in is good once is seen
//! to by the provider, which takes a code once, and by those who have signed in ([`super::visits`]).

use std::sync::{Arc, Mutex, PoisonError};

use attorn_api::ProblemCode;
use attorn_core::{ApprovalId, Digest, TimeMs};
use attorn_identity::SealKey;
use attorn_identity::secret::digests_match;
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::http::failure::Failure;
use crate::providers::backchannel::sign_in::Begun;
use crate::random;

/// How long a sign-in may take, in milliseconds.
pub(super) const SIGN_IN_MS: u64 = 5 * 60_000;
/// The longest cookie that is looked at, in bytes; browsers keep none that is longer.
const COOKIE_BYTES_MAX: usize = 4_096;
const DIGEST_BYTES: usize = 32;

/// What seals them. Each key seals for as long as a sign-in may take, and opens for as long again: so none seals so much
/// that it says something of itself.
#[derive(Default)]
pub(super) struct SignIns(Mutex<Keys>);

#[derive(Default)]
struct Keys {
    /// The one that seals, and since when.
    now: Option<(TimeMs, Arc<SealKey>)>,
    before: Option<Arc<SealKey>>,
}

/// Somebody has come back.
pub(super) struct SignIn {
    /// By which it is told from others.
    pub(super) state: Digest,
    pub(super) begun: Begun,
}

/// What the provider brings back of a sign-in for this approval.
pub(super) fn new_state(approval: &ApprovalId) -> Result<Zeroizing<String>, Failure> {
    Ok(Zeroizing::new(format!("{approval}.{}", *random::secret()?)))
}

/// For which approval somebody comes back; none if that is no state of ours.
pub(super) fn approval(state: &str) -> Option<ApprovalId> {
    state.split_once('.')?.0.parse().ok()
}

/// What whoever comes back by a sign-in is told that lets nobody in, or let somebody in already.
pub(super) fn over() -> Failure {
    unknown("this sign-in is over, or began in another browser")
}

/// Nobody is known here, and why.
pub(super) fn unknown(why: &str) -> Failure {
    Failure::of(ProblemCode::UserUnauthenticated, why).with_help("open the link to the approval again")
}

impl SignIns {
    /// What the cookie holds of somebody who begins to sign in for this approval, with this state.
    pub(super) fn seal(&self, approval: &ApprovalId, state: &str, begun: &Begun) -> Result<String, Failure> {
        let mut whole = Zeroizing::new(digest(state).as_bytes().to_vec());
        let text = begun.to_text()?;
        // At once, so that no copy stays behind when it grows.
        whole.reserve_exact(text.len());
        whole.extend_from_slice(text.as_bytes());
        let sealed = self.key(begun.at())?.seal(about(approval).as_bytes(), &whole).map_err(Failure::internal)?;
        Ok(BASE64URL_NOPAD.encode(&sealed))
    }

    /// What has begun in the browser that has this cookie, for this approval, with this state.
    pub(super) fn open(&self, approval: &ApprovalId, (state, cookie): (&str, &str), now: TimeMs) -> Option<SignIn> {
        if cookie.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let (sealed, about) = (BASE64URL_NOPAD.decode(cookie.as_bytes()).ok()?, about(approval));
        let whole = self.keys().into_iter().find_map(|key| key.open(about.as_bytes(), &sealed).ok())?;
        let (of, text) = whole.split_first_chunk::<DIGEST_BYTES>()?;
        let (state, begun) = (digest(state), Begun::of_text(text)?);
        let in_time = begun.at() <= now && now < begun.at().plus_ms(SIGN_IN_MS);
        (in_time && digests_match(&Digest::from_bytes(*of), &state)).then_some(SignIn { state, begun })
    }

    fn key(&self, now: TimeMs) -> Result<Arc<SealKey>, Failure> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |since: TimeMs| since <= now && now < since.plus_ms(SIGN_IN_MS);
        if let Some((_, key)) = keys.now.as_ref().filter(|(since, _)| serves(*since)) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(SealKey::generate().map_err(Failure::internal)?);
        keys.before = keys.now.replace((now, Arc::clone(&key))).map(|(_, key)| key);
        Ok(key)
    }

    fn keys(&self) -> Vec<Arc<SealKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.now.iter().map(|(_, key)| key).chain(&keys.before).cloned().collect()
    }
}

/// What is sealed of a sign-in for this approval.
fn about(approval: &ApprovalId) -> String {
    format!("attorn approval sign-in cookie v1 {approval}")
}

fn digest(state: &str) -> Digest {
    Digest::from_bytes(blake3::derive_key("attorn approval sign-in v1", state.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::backchannel::sign_in::fixtures::begun;

    fn ids() -> [ApprovalId; 2] {
        [[1; 16], [2; 16]].map(ApprovalId::from_random)
    }

    #[test]
    fn it_opens_for_its_approval_with_its_state_and_in_time() {
        let (sign_ins, [ours, other]) = (SignIns::default(), ids());
        let state = new_state(&ours).unwrap();
        assert_eq!((approval(&state), approval("another"), approval("x.y")), (Some(ours), None, None));
        let cookie = sign_ins.seal(&ours, &state, &begun(TimeMs(1_000))).unwrap();
        assert!(cookie.len() < COOKIE_BYTES_MAX / 2, "{}", cookie.len());
        let last = TimeMs(999 + SIGN_IN_MS);
        let opens = |approval, state: &str, cookie: &str, now| sign_ins.open(approval, (state, cookie), now);
        assert_eq!(opens(&ours, &state, &cookie, last).map(|found| found.begun), Some(begun(TimeMs(1_000))));
        let restarted = SignIns::default();
        restarted.seal(&ours, &state, &begun(TimeMs(1_000))).unwrap();
        assert!(restarted.open(&ours, (&state, &cookie), last).is_none(), "a sign-in outlived the server");
        for (approval, state, cookie, now) in [
            (&other, state.as_str(), cookie.as_str(), last),
            (&ours, &new_state(&ours).unwrap(), &cookie, last),
            (&ours, &state, "", last),
            (&ours, &state, &cookie[1..], last),
            (&ours, &state, &format!("{cookie}AAAA"), last),
            (&ours, &state, &"A".repeat(COOKIE_BYTES_MAX + 4), last),
            (&ours, &state, &cookie, TimeMs(1_000 + SIGN_IN_MS)),
            // Time was set back since.
            (&ours, &state, &cookie, TimeMs(999)),
        ] {
            assert!(opens(approval, state, cookie, now).is_none(), "{approval} {state} {cookie} {now}");
        }
    }

    #[test]
    fn a_key_opens_what_may_still_come_back_and_nothing_after() {
        let (sign_ins, [ours, _]) = (SignIns::default(), ids());
        let seal = |at: u64| sign_ins.seal(&ours, "state", &begun(TimeMs(at))).unwrap();
        let opens = |cookie: &str, at: u64| sign_ins.open(&ours, ("state", cookie), TimeMs(at)).is_some();
        let first = seal(0);
        let late = seal(SIGN_IN_MS - 1);
        assert_eq!(sign_ins.keys().len(), 1);
        seal(SIGN_IN_MS);
        assert!(opens(&late, 2 * SIGN_IN_MS - 2) && !opens(&first, SIGN_IN_MS));
        seal(2 * SIGN_IN_MS);
        assert_eq!(sign_ins.keys().len(), 2);
        let is_open =
            |sealed: &[u8]| sign_ins.keys().iter().any(|key| key.open(about(&ours).as_bytes(), sealed).is_ok());
        assert!(!is_open(&[1; 64]));
        let sealed = BASE64URL_NOPAD.decode(late.as_bytes()).unwrap();
        assert!(!is_open(&sealed));
    }
}
