//! Who was let in lately, and from where: by the thumbprint of a key or a certificate, or by a client and its `kid`.
//!
//! A name says nothing before its signature is checked, and whoever knows a thumbprint and shares the address may use
//! it. So that something was refused under a name takes nothing from its owner: the name is only disputed there for a
//! while. Whoever comes by a disputed name waits for the others that come by the same, and names take turns. A stranger
//! who uses one so has no more of the server's time than in the lane of all strangers, and its owner waits for that
//! stranger's requests under that one name, and for nobody else's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attorn_api::PROOF_HEADER;
use attorn_identity::UnverifiedAssertion;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::http::access::{Shown, Signed, proof};

/// How long ago is lately.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// How many names at addresses are known at most. Whoever is one too many waits like everybody.
const KNOWN_MAX: usize = 16_384;

/// How long a name is disputed after something was refused under it.
const DISPUTED_FOR: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<(IpAddr, String), Name>>);

/// A name at an address.
struct Name {
    known_until: Instant,
    disputed_until: Option<Instant>,
    /// One at a time is authenticated under it while it is disputed.
    turn: Arc<Semaphore>,
}

/// How whoever comes by a known name goes on.
#[derive(Debug)]
pub(super) enum Way {
    /// At once.
    Free,
    /// When it is their turn, and then in the lane of those whose names are disputed.
    InTurn(Arc<Semaphore>),
}

impl Known {
    pub(super) fn add(&self, address: IpAddr, name: String, now: Instant) {
        let (mut known, known_until) = (self.lock(), now + KNOWN_FOR);
        let (room, who) = (known.len() < KNOWN_MAX, (address, name));
        match known.get_mut(&who) {
            Some(name) => name.known_until = known_until,
            None if room => {
                let turn = Arc::new(Semaphore::new(1));
                known.insert(who, Name { known_until, disputed_until: None, turn });
            }
            None => {}
        }
    }

    /// How a request by this name from there goes on; none if the name is not known there.
    pub(super) fn way(&self, address: IpAddr, name: String, now: Instant) -> Option<Way> {
        let known = self.lock();
        let name = known.get(&(address, name)).filter(|name| now < name.known_until)?;
        let disputed = name.disputed_until.is_some_and(|until| now < until);
        Some(if disputed { Way::InTurn(Arc::clone(&name.turn)) } else { Way::Free })
    }

    /// Something was refused there to somebody who came by this name.
    pub(super) fn dispute(&self, address: IpAddr, name: String, now: Instant) {
        if let Some(name) = self.lock().get_mut(&(address, name)) {
            name.disputed_until = Some(now + DISPUTED_FOR);
        }
    }

    pub(super) fn forget_idle(&self, now: Instant) {
        let mut known = self.lock();
        known.retain(|_, name| now < name.known_until);
        known.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(IpAddr, String), Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what name a request comes, if nothing in it is a lie.
pub(crate) fn claimed(shown: Shown<'_>, signed: &Signed<'_>) -> Option<String> {
    if let Some(certificate) = shown.certificates.and_then(|certificates| certificates.0.first()) {
        return Some(BASE64URL_NOPAD.encode(&Sha256::digest(certificate)));
    }
    if shown.headers.contains_key(PROOF_HEADER) {
        return proof(shown.headers).ok().map(|proof| proof.thumbprint().to_string());
    }
    let assertion = UnverifiedAssertion::parse(signed.form?.get("client_assertion")?).ok()?;
    // No id and no thumbprint has a blank.
    Some(format!("{} {}", assertion.client(), assertion.kid().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn has(known: &Known, address: IpAddr, name: &str, now: Instant) -> Option<bool> {
        known.way(address, name.to_owned(), now).map(|way| matches!(way, Way::Free))
    }

    #[test]
    fn whoever_was_let_in_is_known_there_for_a_while_whatever_is_refused_under_that_name() {
        let (known, now) = (Known::default(), Instant::now());
        known.add(HERE, "bot".into(), now);
        assert_eq!(has(&known, HERE, "bot", now), Some(true));
        assert_eq!((has(&known, THERE, "bot", now), has(&known, HERE, "other", now)), (None, None));
        let last = now + KNOWN_FOR;
        let before = last.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!((has(&known, HERE, "bot", before), has(&known, HERE, "bot", last)), (Some(true), None));
        known.dispute(THERE, "bot".into(), now);
        assert_eq!(has(&known, HERE, "bot", now), Some(true));
        // Who is not known is not made known by being refused.
        assert_eq!(has(&known, THERE, "bot", now), None);
        (0..1_000).for_each(|_| known.dispute(HERE, "bot".into(), now));
        assert_eq!(has(&known, HERE, "bot", now), Some(false));
        // It is not disputed for ever, nor is it known for longer for it.
        assert_eq!(has(&known, HERE, "bot", now + DISPUTED_FOR), Some(true));
        assert_eq!(has(&known, HERE, "bot", last), None);
    }

    #[test]
    fn no_more_are_known_than_there_is_room_for() {
        let (known, now) = (Known::default(), Instant::now());
        (0..KNOWN_MAX).for_each(|n| known.add(HERE, n.to_string(), now));
        known.add(HERE, "late".into(), now);
        assert_eq!(has(&known, HERE, "late", now), None);
        // Whoever is known stays so.
        let later = now + Duration::from_secs(1);
        known.add(HERE, "0".into(), later);
        known.forget_idle(now + KNOWN_FOR);
        assert_eq!(known.lock().len(), 1);
        assert_eq!(has(&known, HERE, "0", now + KNOWN_FOR), Some(true));
    }
}
